"""What a protocol declares: where it listens, how its bodies become canonical events, and how it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from headwater.collect.answer import Answer, Problem
from headwater.kernel import IntakeResult


class Endpoint(msgspec.Struct, frozen=True):
    """A path that takes POST. ``shape`` is how its body holds items: `envelope` (an object with a list), `one` (an object), or
    `events` (a list, one object, or one object a line). ``variant`` says what kind of items they are; "" where each says so.
    """

    path: str
    shape: str
    variant: str = ""


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """How items become canonical events; the kernel links it (`kernel/src/intake/mapping.rs`).

    ``list``: the envelope's key for the items. ``fields``: candidate source paths of canonical fields; the first that is there,
    not null and not "", wins. ``discriminator``: the key that names an item's variant. ``variants``: per variant `event` (a
    constant) or `event_from` (a key), `properties` (a key) and `into_properties` (key → name). ``rename``: new names of keys of
    the context. ``lift``: (path in the context, key), copied where that key is not there. ``dropped``: keys left out.
    ``envelope_sent``: the envelope's keys for the time of sending. All other keys of an item stay as they are.
    """

    list: str
    fields: dict[str, tuple[tuple[str, ...], ...]]
    variants: dict[str, dict[str, Any]]
    discriminator: str | None = None
    rename: dict[str, Any] = {}
    lift: tuple[tuple[tuple[str, ...], str], ...] = ()
    dropped: tuple[str, ...] = ()
    envelope_sent: tuple[str, ...] = ()


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol. ``key_member``: where a body may carry the write key; ``bearer``: whether `Authorization: Bearer` does.

    ``accept`` makes the answer of a body whose events are durable; ``refuse`` that of a request which failed as a whole.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    mapping: Mapping
    key_member: str | None = None
    bearer: bool = False
    accept: Callable[[IntakeResult], Answer]
    refuse: Callable[[Problem], Answer]
