"""The Protobuf sink: the conformance suite, and a dataset that becomes Protobuf or JSON while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.core.descriptor import Descriptor, WireField, WireStruct
from headwater.core.record import Record, encode
from headwater.deliver import Checkpoint, ProtobufSink, SinkBatch
from headwater.testing.power_loss import PowerLoss
from headwater.testing.sink_conformance import SinkConformance

FIELDS = (WireField(name="row", number=1, kind="int64"), WireField(name="n", number=2, kind="int64"))
DESCRIPTOR = Descriptor(messages=(WireStruct(name="Row", fields=FIELDS),), files=(("row.proto", "message Row {}"),))


class Both(ProtobufSink):
    """Rows as the suite's, which are no messages of a schema: what is tested is files, lengths and checkpoints."""

    def _encoded(self, lines: bytes) -> bytes:
        super()._encoded(lines)
        return lines


class TestKilled(SinkConformance):
    def make_sink(self, directory: Path) -> ProtobufSink:
        return Both(directory / "out", lambda: DESCRIPTOR, file_bytes_max=300)

    def read_rows(self, directory: Path) -> list[bytes]:
        return b"".join(path.read_bytes() for path in sorted((directory / "out").glob("*.pb"))).splitlines()


class TestPowerLoss(TestKilled):
    @pytest.fixture(autouse=True)
    def _power(self) -> Iterator[None]:
        with PowerLoss() as self.power:
            yield

    def crash(self, directory: Path) -> None:
        if (directory / "out").exists():
            self.power.strike(directory / "out")


def batch(offset: int, payload: bytes) -> SinkBatch:
    return SinkBatch(0, encode(Record(payload=payload)), offset, offset + 1)


def names(directory: Path) -> dict[str, bytes]:
    return {path.name[-8:]: path.read_bytes() for path in sorted(directory.iterdir())}


def test_a_change_of_encoding_begins_a_new_file(tmp_path: Path) -> None:
    wanted: list[Descriptor | None] = [None]
    sink = ProtobufSink(tmp_path / "out", lambda: wanted[0])
    sink.open(None)
    sink.write(batch(0, b'{"row":1}'))
    wanted[0] = DESCRIPTOR
    sink.write(batch(1, b'{"row":2}'))
    assert sink.sync().place == {"file": 1, "length": 0, "protobuf": 1}
    sink.write(batch(2, b'{"row":3,"gone":1}'))
    checkpoint = sink.sync()
    assert checkpoint.place == {"file": 1, "length": 3, "protobuf": 1}
    json_lines = b'{"row":1}\n{"row":2}\n'
    assert names(tmp_path / "out") == {"0.ndjson": json_lines, "00001.pb": b"\x02\x08\x03", "ow.proto": b"message Row {}"}
    # The descriptor of a column that came takes effect at once, and one that is gone while the process is down at its start.
    more = WireStruct(name="Row", fields=(*FIELDS, WireField(name="gone", number=3, kind="int64")))
    wanted[0] = Descriptor(messages=(more,), files=(("row.proto", "message Row { }"),))
    sink.write(batch(3, b'{"gone":4}'))
    assert names(tmp_path / "out")["00001.pb"] == b"\x02\x08\x03\x02\x18\x04"
    assert names(tmp_path / "out")["ow.proto"] == b"message Row { }"
    sink.close()
    wanted[0] = None
    again = ProtobufSink(tmp_path / "out", lambda: wanted[0])
    assert again.open(checkpoint) == Checkpoint(next_offsets={0: 3}, rows=3, place={"file": 2, "length": 0})
    again.write(batch(3, b'{"gone":4}'))
    again.sync()
    assert names(tmp_path / "out")["00001.pb"] == b"\x02\x08\x03"
    assert names(tmp_path / "out")["2.ndjson"] == b'{"gone":4}\n'
