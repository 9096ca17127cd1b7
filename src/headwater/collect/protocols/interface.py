"""What a protocol declares: where it listens, how its bodies become canonical events, and how it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from headwater.collect.answer import Answer, Problem
from headwater.kernel import IntakeResult

Path = tuple[str, ...]
Shape = Literal["envelope", "one", "events", "auto", "envelopes"]


class Endpoint(msgspec.Struct, frozen=True):
    """A path that takes events; one step of it may be `{name}`. ``shape`` is how a body holds items: `envelope` (an object with a
    list), `one` (an object), `events` (a list, one object, or one object a line), `auto` (one of these), `envelopes` (a list of
    envelopes). ``variant`` says what kind of items they are; "" where each says so. ``bodiless``: a POST without a body may be an
    event all the same.
    """

    path: str
    shape: Shape
    variant: str = ""
    methods: tuple[str, ...] = ("POST",)
    bodiless: bool = False


class Incoming(msgspec.Struct):
    """A request as protocols see it: names of ``headers`` are small, of a repeated header or query parameter the last counts.

    ``names`` are the steps of the path that the endpoint leaves open. ``body`` is what was sent, unpacked where it was gzip.
    ``scheme`` is http or https, as the collector itself is spoken to.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[bytes, bytes]
    names: dict[str, str] = {}
    body: bytes = b""
    scheme: str = "http"

    def header(self, name: bytes) -> str:
        """The text of a header, "" where there is none."""
        return self.headers.get(name, b"").decode("latin-1").strip()


class Unwrapped(msgspec.Struct, frozen=True):
    """What a body holds once its wrapping is off: JSON for the kernel. ``key``: the write key, where the wrapping had it.

    ``protocol``: whose mapping and answer count, where two share a path; "" for the endpoint's own. ``direct``: it comes from the
    user's own device, as a pixel does, so that address and user agent are the user's. ``address``: whether the client lets its
    address be kept. ``anonymous``: it asks that nothing of its connection is kept.
    """

    content: bytes
    shape: Shape
    variant: str = ""
    key: str | None = None
    protocol: str = ""
    direct: bool = False
    address: bool = True
    anonymous: bool = False


class Reply(msgspec.Struct, frozen=True):
    """A path that clients ask for something else than to take events, such as their settings."""

    path: str
    answer: Callable[[Incoming], Answer]
    methods: tuple[str, ...] = ("GET",)


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """How items become canonical events; the kernel links it (`kernel/src/intake/mapping.rs`).

    A path is a tuple of keys from the item down; one that begins with "^" leads into the envelope. ``list``: the envelope's key
    for the items. ``fields``: candidate paths of canonical fields; the first that is there, not null and not "", wins.
    ``true_time``: candidates for the event's time that go before those, and that no clock puts right. ``id_scope``: event ids are
    unique only together with the text there, which then goes before them and a `#`. ``required``: paths of texts without which an
    item is a dead letter.
    ``discriminator``: the key that names an item's variant. ``variants``: per variant `event` (a constant) or `event_from` (a
    path, or several; `event` is for where there is none) and, of its text, `event_part` (separator, number); `properties` (a
    path, or several); `into_properties` (pairs of path and name). ``unpack``: keys whose text is JSON, or base64 of JSON; what
    it holds stands in its place, under a name of its own where the key comes with one. ``any_unit``: numbers as times are s,
    ms, µs or ns by how large they are. ``context``: what becomes the context; ``into_context``: values that go there too;
    `page.url` is the key `url` of an object `page` there, where nobody sent one.
    ``rename``, ``property_rename``: new names of keys of the context and of the properties; None leaves one out. ``lift``:
    (path in the context, key), copied where that key is not there. ``dropped``: keys left out. ``envelope_sent``: the envelope's
    keys for the time of sending. ``rest``: where all other keys of an item go.
    """

    list: str
    fields: dict[str, tuple[Path, ...]]
    variants: dict[str, dict[str, Any]]
    discriminator: str | None = None
    unpack: tuple[str | tuple[str, str], ...] = ()
    required: tuple[Path, ...] = ()
    true_time: tuple[Path, ...] = ()
    id_scope: Path | None = None
    any_unit: bool = False
    context: Path = ("context",)
    into_context: tuple[tuple[Path, str], ...] = ()
    rename: dict[str, Any] = {}
    property_rename: dict[str, Any] = {}
    lift: tuple[tuple[Path, str], ...] = ()
    dropped: tuple[str, ...] = ()
    envelope_sent: tuple[str, ...] = ()
    rest: Literal["top", "context", "properties"] = "top"


def _as_it_is(incoming: Incoming, endpoint: Endpoint) -> Unwrapped:
    return Unwrapped(incoming.body, endpoint.shape, endpoint.variant)


def _no_headers(_: Incoming) -> tuple[tuple[bytes, bytes], ...]:
    return ()


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol. ``bearer``, ``basic``: whether these kinds of `Authorization` carry the write key; ``key_paths``: where a body
    may, below the envelope or else its first item.

    ``unwrap`` takes the wrapping off a body, be it a form, base64 or a query string; it raises `BodyError` where it cannot, and
    handles no event by itself. ``accept`` makes the answer of a body whose events are durable; ``refuse`` that of a request which
    failed as a whole. ``replies``: what else clients ask for. ``credentials``: browsers send cookies, so that answers name the
    page's origin. ``preflight``: further headers of the answer to OPTIONS.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    mapping: Mapping
    key_paths: tuple[Path, ...] = ()
    bearer: bool = False
    basic: bool = True
    unwrap: Callable[[Incoming, Endpoint], Unwrapped] = _as_it_is
    accept: Callable[[IntakeResult, Incoming], Answer]
    refuse: Callable[[Problem, Incoming], Answer]
    replies: tuple[Reply, ...] = ()
    credentials: bool = False
    preflight: Callable[[Incoming], tuple[tuple[bytes, bytes], ...]] = _no_headers
