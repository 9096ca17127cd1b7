"""What may be appended, and how a shard may be named: checked before a writer is even asked."""

from __future__ import annotations

import re

from headwater.core.errors import LogError
from headwater.core.limits import APPEND_PENDING_BYTES_MAX
from headwater.kernel import Packed
from headwater.log.interface import AppendGroup

_SHARD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_NAME_BYTES_MAX = 1024
_OFFSET_MAX = 2**63 - 1


def is_shard_name(shard: str) -> bool:
    """Whether the text can name a shard (and so a directory). Journals lie beside them, under names that cannot."""
    return _SHARD.fullmatch(shard) is not None


def check_shard_name(shard: str) -> None:
    """Raises LogError where the text cannot name a shard."""
    if not is_shard_name(shard):
        raise LogError(
            f"a shard cannot be named {shard!r}; valid are at most 100 of a-z 0-9 _ . - that begin with a letter or digit"
        )


def check_group(group: AppendGroup) -> int:
    """The bytes of a group. Raises LogError where no log could hold it: then the writer is not even asked."""
    size = 0
    for batch in group.batches:
        _check_place(batch.topic, batch.partition)
        size += len(batch.data)
    for commit in group.commits:
        _check_name("a consumer group", commit.group)
        _check_place(commit.topic, commit.partition)
        if not 0 <= commit.next_offset <= _OFFSET_MAX:
            place = f"{commit.topic}/{commit.partition}"
            raise LogError(f"{commit.group} cannot commit {commit.next_offset} in {place}; valid are 0 to 2^63-1")
    for name, state in group.state:
        _check_name("a state", name)
        size += len(state)
    if size > APPEND_PENDING_BYTES_MAX:
        raise LogError(f"an append group of {size} bytes is larger than {APPEND_PENDING_BYTES_MAX}; append it in several")
    return size


def _check_name(what: str, name: str) -> None:
    if not 0 < len(name.encode()) <= _NAME_BYTES_MAX:
        raise LogError(f"the name of {what} has {len(name.encode())} bytes; valid are 1 to {_NAME_BYTES_MAX}")


def _check_place(topic: str, partition: int) -> None:
    _check_name("a topic", topic)
    if not 0 <= partition < 2**32:
        raise LogError(f"{topic} cannot have a partition {partition}; valid are 0 to 2^32-1")


def pack_group(group: AppendGroup) -> Packed:
    """The group's batches, ready for a block. Raises LogError where one is not the records that it says."""
    try:
        return Packed([(batch.topic, batch.partition, batch.count, batch.data) for batch in group.batches])
    except ValueError as e:
        raise LogError(str(e)) from None
