import base64
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.collect.answer import ProblemError
from headwater.collect.body import BodyError
from headwater.collect.protocols.interface import Incoming
from headwater.collect.protocols.wrapping import form, json_of, ms_in, payload

JSON = '{"text":"~~??>>é"}'.encode()
PACKED = base64.b64encode(JSON)


@pytest.mark.parametrize(
    "body",
    [
        JSON,
        b" \n" + JSON + b"\n",
        PACKED,
        PACKED.rstrip(b"="),
        base64.urlsafe_b64encode(JSON),
        PACKED.replace(b"+", b" "),
        gzip.compress(JSON),
        base64.b64encode(gzip.compress(JSON)),
        base64.b64encode(PACKED),
    ],
)
def test_json_is_found_in_what_is_around_it(body):
    assert json_of(body) == JSON


@pytest.mark.parametrize("body", [b"", b"word", b"7", b"a=b", base64.b64encode(b"word"), b"\xff\xfe"])
def test_a_body_that_holds_none_stays_as_it_is(body):
    assert json_of(body) == body


@pytest.mark.parametrize("pack", [gzip.compress, base64.b64encode])
def test_layers_are_bounded(pack):
    body = JSON
    for _ in range(5):
        body = pack(body)
    assert json_of(body) == body


def test_forms():
    assert form(b"data=%7B+%7D%FF&a=&data=2&b") == {"data": b"2", "a": b"", "b": b""}
    assert form(b"a=%zz%") == {"a": b"%zz%"}
    with pytest.raises(BodyError) as caught:
        form(b"&" * 64)
    assert caught.value.reason == "form_fields"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1760000000000", b"1760000000000"),
        ("", None),
        ("176", None),
        ("0760000000000", None),
        ("١٧٦٠٠٠٠٠٠٠٠٠٠", None),
        ("1760000000.00", None),
    ],
)
def test_times_of_query_strings(text, expected):
    assert ms_in(text) == expected


@given(
    st.binary(), st.sampled_from([b"", b"data=", b"\x1f\x8b", b"%7B"]), st.sampled_from(["", "application/x-www-form-urlencoded"])
)
def test_no_body_is_more_than_malformed(body, head, kind):
    incoming = Incoming("POST", "/track", {}, {b"content-type": kind.encode()}, body=head + body)
    try:
        assert isinstance(payload(incoming), bytes)
    except (BodyError, ProblemError):
        return
