"""Reports events, a plain log record, and one through Python's logging, with OpenTelemetry's exporter over HTTP with Protobuf."""

import os

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

compression = Compression.Gzip if os.environ["GZIP"] == "1" else Compression.NoCompression
exporter = OTLPLogExporter(
    endpoint=os.environ["URL"] + "/v1/logs", headers={"authorization": f"Bearer {os.environ['KEY']}"}, compression=compression
)
provider = LoggerProvider(resource=Resource.create({"service.name": "shop", "service.version": "1.2"}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=200, max_queue_size=10_000))
logger = provider.get_logger("lib", "1.0", attributes={"kind": "test"})
for number in range(int(os.environ["COUNT"]) - 1):
    logger.emit(
        LogRecord(
            timestamp=1_700_000_000_000_000_000 + number * 1_000_000,
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body={"text": f"für {number} €", "list": [number, 0.5, True], "raw": b"\xff\x00"},
            attributes={"user.id": f"user{number % 7}", "session.id": "s1", "number": number, "big": 2**62, "ratio": 0.25},
            event_name="order.done",
        )
    )
logger.emit(LogRecord(body="plain"))
assert provider.force_flush()
provider.shutdown()
