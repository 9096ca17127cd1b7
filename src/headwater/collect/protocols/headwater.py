"""Our own protocol: canonical events as one object, a list, or one a line; a verdict for each. docs/collect.md."""

from __future__ import annotations

from headwater.collect.answer import Answer, refuse
from headwater.collect.protocols.interface import Endpoint, Incoming, Mapping, Protocol
from headwater.kernel import IntakeResult

_SAME_NAME = ("event_id", "event_time", "sent_time", "user_id", "device_id", "session_id", "platform")


def _accept(result: IntakeResult, _: Incoming) -> Answer:
    counts = b'{"accepted":%d,"dropped":%d,"dead":%d,"events":' % (result.accepted, result.dropped, result.dead)
    return Answer(200, counts + result.verdicts() + b"}")


HEADWATER = Protocol(
    name="headwater",
    endpoints=(Endpoint("/v1/events", "events"),),
    mapping=Mapping(
        list="events",
        fields={name: ((name,),) for name in _SAME_NAME},
        variants={"": {"event_from": ("event",), "properties": ("properties",)}},
    ),
    bearer=True,
    accept=_accept,
    refuse=lambda problem, _: refuse(problem),
)
