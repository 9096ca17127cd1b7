"""Types of the native module. The classes live in `kernel/src/python/`, one file each.

Everything that runs per batch raises RuntimeError where the kernel itself is at fault (a panic). It says where in the source, and nothing
of what was read. No object but a Deduplicator is the worse for it; that one refuses all further work.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, final

__version__: str

class Udfs(Protocol):
    """What calls Python functions."""

    def batch(self) -> Callable[[str, int, bytes], bytes]:
        """Called once for each batch that calls any; gives what makes the calls: (name, rows, columns) → answers, both MessagePack."""

@final
class Program:
    """A rule set linked for running. Immutable; may be used by several threads at once."""

    def __new__(
        cls,
        rules: list[bytes],
        udfs: Udfs | None = None,
        *,
        input: bytes | None = None,
        outputs: dict[str, bytes] | None = None,
        arrow: dict[str, bytes | None] | None = None,
    ) -> Program:
        """Links physical rules (JSON, `docs/formats/physical-rule.md`). Raises ValueError that names the rule and what is not known.

        Also where HEADWATER_DISPATCH names no way of finding structure that this machine has.

        ``udfs`` calls the Python functions that the rules call: `headwater.kernel.udf.host.Host`. What it raises, runs raise.
        With ``input``, a descriptor (`docs/formats/descriptor.md`), events are Protobuf messages in place of JSON. The datasets of
        ``outputs`` have messages of their descriptors as rows, each behind its length as a varint unless it is a record's payload: what
        `Protobuf.encode` makes of the JSON row. Whole events are passed on as they are where the descriptors agree.

        The rows of the datasets named in ``arrow`` are Arrow. Their columns are those given (JSON: [[name, type], …]), or with None the
        union of their rules' columns by name, in the order of the rules. Columns that contradict each other are a ValueError.
        """
    @property
    def rule_names(self) -> list[str]: ...
    @property
    def datasets(self) -> list[str]: ...
    @property
    def arrow_columns(self) -> dict[str, ArrowColumns]:
        """Dataset → its columns, of those named in ``arrow``."""
    @property
    def field_paths(self) -> list[str]:
        """Every path that a rule names, dotted, sorted: the order of the field counters."""
    def run(self, batch: bytes | list[bytes]) -> Result:
        """Runs NDJSON (or one event an item). Blank lines are passed over but numbered. Outputs are NDJSON. The GIL is released.

        Messages stand each behind its length as a varint (or one an item); what is left of a last one that is not whole is a reject.

        Raises ValueError where a text or list column of a dataset that is Arrow takes more than 2 GiB.
        """
    def profile(self, batch: bytes) -> Result:
        """As `run`, but every event is timed, which takes longer."""
    def explain(self) -> list[dict[str, Any]]:
        """What the index made of each rule, in their order.

        `groups`: how many groups of the index hold the rule, none where its WHERE contradicts itself. `beside`: how many other rules
        are looked at together with it, in the largest of these. `can_fail`: its WHERE can be NULL because something failed. `conditions`:
        for each that WHERE joins by AND (level, found in, masked in, alone in, shared with). At level 1 it is the first atom by which
        the rule is found, at 2 the second, at 0 none; then in how many of the groups it finds the rule, is tested as a bit of a mask,
        and is evaluated by itself; then how many other rules have it, for which it is evaluated once an event.
        """
    def run_records(self, records: bytes, topic: str, partition: int, first_offset: int, snapshot: int) -> Result:
        """Runs a batch of records; outputs are batches of records that keep the input's key, tier, times and event_id.

        The origin of an output is that of the input, or (topic, partition, first_offset + index) where the input is its own. Raises
        ValueError where a dataset is Arrow.
        """

@final
class Result:
    """What one batch gave."""

    @property
    def events(self) -> int:
        """Lines read that were not blank: well-formed ones and rejects."""
    @property
    def outputs(self) -> dict[str, bytes]:
        """Dataset → its rows; copied together anew at each call. The result holds the batch that was run, for events passed on whole."""
    @property
    def arrow(self) -> dict[str, ArrowRows]:
        """Dataset → its rows, of the datasets named in the program's ``arrow``; those without rows are left out."""
    @property
    def rows(self) -> dict[str, int]: ...
    @property
    def rules(self) -> list[tuple[int, int, int, int, int]]:
        """(rule index, matched, where_errors, failed, not_finite) of the rules where any is not 0. `matched` includes neither."""
    @property
    def written(self) -> list[tuple[int, int, int, int]]:
        """(rule index, rows emitted, columns of these that were NULL, bytes) of the rules that wrote. Bytes as their dataset got them."""
    @property
    def evaluated(self) -> list[tuple[int, int]]:
        """(rule index, events for which its conditions were looked at): those that the index did not rule out. Where it is not 0."""
    @property
    def presence(self) -> list[tuple[int, int]]:
        """For each of `field_paths`: in how many of the sampled events it has a value, and in how many it is null or missing.

        Sampled are the first well-formed event of the batch and every 64th after it.
        """
    @property
    def fields(self) -> list[tuple[int, int, int]]:
        """(index into `field_paths`, coerced, type_errors) where any is not 0."""
    @property
    def rejects(self) -> list[tuple[int, int, int, str, int]]:
        """(index of the line or record from 0, start, end in the batch or item, reason, offset in the line) of what is no JSON object."""
    @property
    def failures(self) -> list[tuple[int, int, int, int, str, str]]:
        """(index of the line or record from 0, start, end, rule index, column, operation that failed).

        Where a Python function failed, the operation is `udf <name>: <type>: <text>`, and in WHERE the column is empty.
        """

@final
class ArrowColumns:
    """The columns of a dataset: `pyarrow.schema(columns)`."""

    @property
    def names(self) -> list[str]: ...
    def __arrow_c_schema__(self) -> object: ...

@final
class ArrowRows:
    """Rows of a dataset in the layout of Arrow: `pyarrow.record_batch(rows)`, `polars.DataFrame(rows)`, DuckDB's `FROM rows`.

    Whoever takes them shares the kernel's memory without a copy; it is given back with the last who holds them.
    """

    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...
    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...

@final
class Counters:
    """Adds results up without a Python loop."""

    def __new__(cls, program: Program) -> Counters: ...
    def add(self, result: Result) -> None: ...
    def events(self) -> int: ...
    def rejects(self) -> int: ...
    def rules(self) -> dict[str, dict[str, int]]:
        """Name → what it counted; every rule of the program.

        `matched` = `emitted` events gave a row, of `bytes` in all; in `nulls` of their columns that are not constant there was NULL, and
        `not_finite` were left out for that. `failed` and `where_errors` events did not match because something failed. `evaluated`
        were looked at: the index ruled the others out. `ns`: the time that the rule takes, by the events that were timed, as if all were.
        """
    def fields(self) -> dict[str, dict[str, int]]:
        """Path → coerced, type_errors; and of the sampled events present, nulls; every path of the program."""
    def outputs(self) -> dict[str, dict[str, int]]:
        """Dataset → rows, bytes; every dataset of the program."""
    def sampled(self) -> int:
        """Events for which it was looked at whether fields are there: the first well-formed one of a batch and every 64th after it."""
    def timed(self) -> int:
        """Events that were timed: one in 1,024 of each thread."""

@final
class Protobuf:
    """Messages of one descriptor (`docs/formats/descriptor.md`) and the JSON that they stand for. Immutable; any thread may use it."""

    def __new__(cls, descriptor: bytes) -> Protobuf:
        """Takes the stored form as JSON. Raises ValueError that says what is not as it must be."""
    def encode(self, lines: bytes) -> bytes:
        """Rows (NDJSON) as messages, each behind its length as a varint. The GIL is released.

        Raises ValueError, with the number of the line, where one is no JSON object.
        """
    def decode(self, batch: bytes) -> tuple[bytes, list[tuple[int, int]], list[tuple[int, str, int]], int]:
        """Messages, each behind its length, as NDJSON: one line each, an empty one where it is refused. The GIL is released.

        Then: where each message stands in the batch (start, end), the refused ones as (index, reason, offset in the message), and how
        many bytes were read; the rest is a message that is not whole.
        """

def whole_messages(data: bytes) -> tuple[int, int, int]:
    """How many bytes of ``data`` are messages, each behind its length, how many these are, and how long the next one is, its length
    included: 0 where that is not known yet, 2^63 − 1 where what stands there is no length.
    """

def dispatch() -> str:
    """How this process finds the structure of events: `avx512`, `avx2` or `portable`.

    The best that the machine has, settled at the first use; the environment variable HEADWATER_DISPATCH names another. Raises
    ValueError, as linking a program does, where that name is unknown or the machine lacks the instructions.
    """

def structure_only(batch: bytes) -> int:
    """Finds the structure of each line and nothing more, for measuring; how many brackets, colons, commas and values. GIL released."""

# Sinks. Both raise ValueError where the bytes are not whole records of a known version.

def payload_lines(records: bytes) -> tuple[bytes, int]:
    """The payloads of a batch of records as NDJSON, and their number. The GIL is released."""

def split_by_class(records: bytes, classes: int) -> list[tuple[int, int, bytes]]:
    """(key class, number of records, records) of each class that has any, sorted; the order within a class is kept.

    The class is xxh64 (seed 0) of the key's UTF-8, or of the event_id's where the key is empty, modulo ``classes``. Raises ValueError
    where ``classes`` is 0 or the bytes are not whole records. The GIL is released.
    """

def record_delays(records: bytes, now_ms: int) -> list[tuple[int, int]]:
    """How long ago the records were received: (ms, records), sorted; a delay is rounded up by at most 1/16. The GIL is released."""

# Log segments (`docs/formats/log.md`). All raise ValueError that names the byte where bytes are not what they should
# be, and NotImplementedError where they are whole, but of a format that this kernel does not know.

_Range = tuple[int, int, int, int, int, int, int, int, int]

def checksum(data: bytes, seed: int = 0) -> int:
    """CRC32C of ``data``, going on from ``seed``."""

def encode_frame(kind: int, group: int, content: bytes) -> bytes:
    """A frame without a body: kind 0 (segment header) or 2 (mark)."""

@final
class Packed:
    """Batches (topic, partition, count, records) of one caller, checked, and compressed as far as they fill chunks by themselves.

    The GIL is released. Raises ValueError that names the batch where one is not whole records of a known version, or not as many.
    """

    def __new__(cls, batches: list[tuple[str, int, int, bytes]]) -> Packed: ...
    @property
    def records(self) -> int:
        """How many records they hold."""
    @property
    def raw_bytes(self) -> int:
        """Bytes of their records."""

@final
class Block:
    """A block frame whose bytes are joined once it is known what stands around them. Made by `encode_block`."""

    @property
    def checksum(self) -> int:
        """The checksum of its header."""
    def __len__(self) -> int: ...
    def joined(self, before: bytes = b"", after: bytes = b"") -> bytes:
        """``before``, the frame and ``after`` in a row. Raises MemoryError."""

def encode_block(group: int, packed: list[Packed], firsts: list[list[int]]) -> Block | None:
    """A block frame of all of them, with the first offset of each batch in the order that `Packed` got it; None for no record.

    The GIL is released. Raises ValueError where the offsets of a partition have gaps, or there are more than 128 MiB of records.
    """

def read_frame(data: bytes, start: int, position: int) -> tuple[int, int, int, int, int] | int:
    """(kind, group, header length, body length, header checksum) of the frame at ``data[start:]``, its header checked.

    An int says how many bytes from ``start`` on are needed to tell. ``position`` is what errors name.
    """

def block_directory(header: bytes, position: int) -> list[tuple[str, int, int, int]]:
    """(topic, partition, first offset, count) of each partition in a block, from its header; sorted."""

def block_times(header: bytes, position: int) -> tuple[int, int, int, int]:
    """Least and greatest event time, least and greatest received time (ms) in a block; least > greatest where no record has one."""

def index_at_time(records: bytes, time_ms: int) -> int:
    """The index of the first record that was received at ``time_ms`` or later; the number of records where none was."""

def check_pattern(pattern: str, options: str) -> tuple[int | None, int, str]:
    """How many groups a regular expression has; or None, the number of its character from 0, and why it is refused.

    `options` is a part of `gils`, in this order. Raises ValueError for others.
    """

def check_block(frame: bytes, position: int) -> None:
    """Checks the directory of a whole block frame, and every chunk against its checksum."""

def find_later_frame(data: bytes, start: int, group: int) -> int | None:
    """Where in ``data`` from ``start`` on a valid frame of ``group`` or a later one begins."""

def find_ranges(
    data: bytes, position: int, end: int, topic: str, partition: int, offset: int, raw_max: int, raw: int = 0
) -> tuple[list[_Range], int, int]:
    """Walks the frames of ``data``, which begin at ``position`` in the file: ranges of a partition from ``offset`` on.

    A range begins with (position and number of the stored bytes that `decode_ranges` needs, bytes of records, …). Then: where the
    first frame begins that was not looked at, and how many bytes from there its header needs, or 0. Stops at ``end``, and, with
    ``end`` as the next position, before a range by which there would be more than ``raw_max`` bytes of records with the ``raw``
    that were found before; the first one is found whatever its size.
    """

def decode_ranges(ranges: list[tuple[_Range, bytes, int]], offset: int, bytes_max: int) -> tuple[bytes, int]:
    """Checks and unpacks ranges (each with bytes and where in them its stored ones start), the GIL released.

    The records from ``offset`` on, at most ``bytes_max`` unless the first alone is larger, and the next offset.
    """

def split_block(frame: bytes, position: int, topic: str, wanted: dict[int, int]) -> list[tuple[int, int, int, bytes]]:
    """A whole block, read once for many partitions: ``wanted`` has for each the first offset that is wanted.

    (partition, first offset, count, records), sorted; a partition occurs again where its records do not lie together in the block.
    """

@final
class Deduplicator:
    """Drops repeats of an `event_id` within a window of received time. Safe to call from several threads.

    An id is remembered for the window, and at most an eighth longer, after the last record that had it, or until there are more than
    ``ids_max``: then the oldest ones are forgotten. Records without an `event_id` are never repeats. It takes an id that it never saw
    for a repeat with a probability of ids / 2^120.
    """

    def __new__(cls, window_ms: int, ids_max: int) -> Deduplicator:
        """Raises ValueError where one of them is not positive."""
    @staticmethod
    def restore(state: bytes, window_ms: int, ids_max: int) -> Deduplicator:
        """A filter as `state` left it, once all `replay_ranges` are replayed. Raises ValueError where the bytes are no state."""
    def run(self, records: bytes, topic: str, partition: int, first_offset: int) -> Deduplicated:
        """Drops the repeats of one batch. The GIL is released.

        Raises ValueError, and remembers nothing, where the batch is not whole records or not the next one of its partition.
        """
    def replay(self, records: bytes, topic: str, partition: int, first_offset: int) -> None:
        """Remembers the ids of a batch that was run before the state was taken; what lies behind that state is passed over."""
    def state(self) -> bytes:
        """Small JSON, to be stored in the append group that commits the offsets of the batches run so far."""
    def replay_ranges(self) -> list[tuple[str, int, int, int]]:
        """(topic, partition, from offset, to offset) of the records that hold all ids remembered. To be read in any order."""
    @property
    def ids(self) -> int:
        """Ids remembered."""
    @property
    def forgotten(self) -> int:
        """Ids forgotten before their window was over, since there were too many."""

@final
class Deduplicated:
    """What a `Deduplicator` kept of a batch."""

    @property
    def records(self) -> bytes:
        """The records kept, each with its origin in the header, since its place in the batch tells its offset no more."""
    @property
    def count(self) -> int:
        """Records kept."""
    @property
    def duplicates(self) -> int:
        """Records dropped."""
    @property
    def kept(self) -> list[bool]:
        """For every record of the batch whether it was kept."""

@final
class Intake:
    """A tracking plan and the mappings of protocols, linked: request bodies in, records out. Immutable; any thread may use it."""

    def __new__(
        cls, plan: bytes, mappings: bytes, *, event_bytes_max: int, id_bytes_max: int, events_max: int, output_bytes_max: int
    ) -> Intake:
        """Links JSON as `headwater.collect.plan` and `headwater.collect.protocols` make it. Raises ValueError that names the fault."""
    def run(
        self,
        body: bytes,
        *,
        protocol: str,
        shape: str,
        variant: str,
        app: str,
        received_time: int,
        seed: bytes,
        ip: str,
        user_agent: str,
        client_side: bool,
        write_key: str,
    ) -> IntakeResult:
        """Runs one body. No content makes it raise; ValueError where protocol, shape or app are not linked.

        ``variant`` names what kind of items they are where the endpoint says so, else "". ``received_time`` is ms since 1970, UTC.
        ``seed`` (16 random bytes) gives ids to events without one. ``ip`` and ``user_agent`` fill the context where ``client_side``.
        ``write_key`` is kept out of dead letters. The GIL is released.
        """

@final
class IntakeResult:
    """What one body gave: accepted + dead + dropped pieces, in the order of the body."""

    @property
    def records(self) -> bytes:
        """The events' records, `accepted` of them."""
    @property
    def accepted(self) -> int: ...
    @property
    def dead_records(self) -> bytes:
        """The dead letters' records, `dead` of them."""
    @property
    def dead(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def broken(self) -> str | None:
        """What is wrong where the structure of the body is broken; the pieces before that were taken."""
    @property
    def too_large(self) -> tuple[str, int] | None:
        """("events" or "bytes", the limit) where the body as a whole is refused; everything else is empty then."""
    def verdicts(self) -> bytes:
        """A JSON list: {"verdict", "event_id", "violations"} or {"verdict", "reason", "detail"} for each piece."""

@final
class IntakeCounters:
    """Adds results up without a Python loop. At most 10,000 event types and violations are counted apart, then as `other`."""

    def __new__(cls) -> IntakeCounters: ...
    def add(self, result: IntakeResult) -> None: ...
    def accepted(self) -> int: ...
    def dead(self) -> dict[str, int]:
        """Reason → pieces."""
    def dropped(self) -> dict[str, int]:
        """Reason → pieces."""
    def events(self) -> list[tuple[str, str, int, int, int]]:
        """(app, event type, accepted, of them flagged, dead), in no order."""
    def violations(self) -> list[tuple[str, str, str, int]]:
        """(app, event type, violation, events), in no order."""

def otlp_envelopes(body: bytes, *, protobuf: bool, bytes_max: int) -> bytes | None:
    """The log records of an OTLP export request as JSON: a list of envelopes, one for each scope, with `resource`, `schema_url`,
    `scope` and the list `log_records`; attribute lists are objects, and names those of the Protobuf fields. What cannot be read
    stands there as text. None where that were more than ``bytes_max``. Raises ValueError where the body as a whole cannot be read.
    """

def body_text(body: bytes, paths: Sequence[Sequence[str]], list: str) -> str | None:
    """The text at the first of ``paths`` where there is one, below a body that is an object, or below the first of its items."""
