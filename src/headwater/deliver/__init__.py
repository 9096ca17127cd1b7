"""The way out: datasets of the log into sinks, each record once."""

from headwater.deliver.deliverer import Deliverer
from headwater.deliver.sink import Checkpoint, Sink, SinkBatch
from headwater.deliver.sinks.ndjson import NdjsonSink
from headwater.deliver.sinks.protobuf import ProtobufSink

__all__ = ["Checkpoint", "Deliverer", "NdjsonSink", "ProtobufSink", "Sink", "SinkBatch"]
