"""Which protocol answers a path."""

from __future__ import annotations

import msgspec

from headwater.collect.protocols import PROTOCOLS
from headwater.collect.protocols.interface import Endpoint, Protocol, Reply


class Route(msgspec.Struct, frozen=True):
    """What listens at a path. ``names``: the steps that it leaves open."""

    protocol: Protocol
    target: Endpoint | Reply
    names: dict[str, str] = {}


_Targets = dict[str, tuple[Protocol, Endpoint | Reply]]


def _targets() -> _Targets:
    targets: _Targets = {}
    for protocol in PROTOCOLS:
        listening: tuple[Endpoint | Reply, ...] = (*protocol.endpoints, *protocol.replies)
        for target in listening:
            if target.path in targets:
                raise ValueError(f"{protocol.name} and {targets[target.path][0].name} both listen at {target.path}")
            targets[target.path] = protocol, target
    return targets


TARGETS = _targets()
_OPEN = [(path.split("/"), *target) for path, target in TARGETS.items() if "{" in path]


def find(path: str) -> Route | None:
    """What listens at a path; a slash at its end makes no difference."""
    path = path.rstrip("/") or "/"
    if found := TARGETS.get(path):
        return Route(*found)
    steps = path.split("/")
    for pattern, protocol, target in _OPEN:
        if len(pattern) == len(steps) and all(step == own or own[:1] == "{" for step, own in zip(steps, pattern, strict=True)):
            names = {own[1:-1]: step for step, own in zip(steps, pattern, strict=True) if own[:1] == "{"}
            if all(names.values()):
                return Route(protocol, target, names)
    return None


def paths() -> list[str]:
    """The paths that take events, for people who looked elsewhere."""
    return [path for path, (_, target) in TARGETS.items() if isinstance(target, Endpoint)]
