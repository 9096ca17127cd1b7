import base64

import pytest

from headwater.collect.credentials import from_headers
from headwater.collect.protocols.headwater import HEADWATER
from headwater.collect.protocols.segment import SEGMENT


def basic(text):
    return b"Basic " + base64.b64encode(text)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({b"authorization": basic(b"wk:")}, "wk"),
        ({b"authorization": basic(b"wk")}, "wk"),
        ({b"authorization": basic(b"wk:password:more")}, "wk"),
        ({b"authorization": b"basic   " + base64.b64encode(b"wk:")}, "wk"),
        ({b"authorization": b"Basic"}, ""),
        ({b"authorization": b"Basic !!!"}, ""),
        ({b"authorization": basic(b"\xff\xfe")}, ""),
        ({b"authorization": b"Digest x"}, None),
        ({b"headwater-key": b" wk "}, "wk"),
        ({b"headwater-key": b"wk", b"authorization": basic(b"other:")}, "wk"),
    ],
)
def test_where_a_key_may_stand(headers, key):
    assert from_headers(headers, SEGMENT) == key


def test_bearer_is_a_key_only_where_the_protocol_says_so():
    assert from_headers({b"authorization": b"Bearer wk"}, HEADWATER) == "wk"
    # Segment's bearer token is one of OAuth; the write key is in the body then.
    assert from_headers({b"authorization": b"Bearer token"}, SEGMENT) is None
