"""Snowplow's cookie and what its trackers would send again for ever."""

from headwater.collect.answer import Problem
from headwater.collect.protocols.interface import Incoming
from headwater.collect.protocols.snowplow import SNOWPLOW


def asked(method="POST", query=None, **headers):
    """The network user that the events get, and the cookie."""
    given = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    incoming = Incoming(method, "/com.snowplowanalytics.snowplow/tp2", dict(query or {}), given, body=b'{"data":[]}')
    unwrapped = SNOWPLOW.unwrap(incoming, SNOWPLOW.endpoints[0])
    user = incoming.query.get("nuid")
    assert user is None or user.encode() in unwrapped.content
    return user, dict(SNOWPLOW.accept(None, incoming).headers).get(b"set-cookie", b"").decode(), unwrapped.anonymous


def test_the_cookie_says_what_the_events_say():
    for method in ("POST", "GET"):
        for query, cookie, expected in [({}, b"x=1; sp=n1", "n1"), ({"nuid": "n2"}, b"sp=n1", "n2")]:
            user, said, anonymous = asked(method, query, cookie=cookie)
            assert (user, anonymous) == (expected, False)
            assert said == f"sp={expected}; Max-Age=31536000; Path=/; SameSite=None; Secure; HttpOnly"


def test_a_new_browser_gets_a_new_id_and_an_odd_cookie_is_replaced():
    users = [asked()[0], asked()[0], asked(cookie=b'sp="a\\015\\012b"')[0], asked(query={"nuid": "a\r\nb"})[0]]
    assert len(set(users)) == 4
    assert {len(user) for user in users} == {36}


def test_an_anonymous_request_gets_no_cookie_and_no_id():
    assert asked(cookie=b"sp=n1", query={"nuid": "n2"}, sp_anonymous=b"*") == (None, "", True)


def test_what_can_never_pass_is_not_sent_again():
    incoming = Incoming("POST", "/i", {}, {})
    for status, expected in [(413, 422), (415, 422), (400, 400), (401, 401), (503, 503)]:
        assert SNOWPLOW.refuse(Problem(status, "code", "text"), incoming).status == expected
