"""The catalogue of errors: each has a stable code, and says what failed, where, what was got and what is valid."""

from __future__ import annotations

from typing import Any


class HeadwaterError(Exception):
    """An error with a stable ``code``. ``retryable`` tells whether the same call may succeed later without a change."""

    code = "error"
    retryable = False


class ProjectError(HeadwaterError):
    """headwater.toml, a plan file or a rule file cannot be used as it is. ``findings`` are all that was found, where it was."""

    code = "project_invalid"

    def __init__(self, text: str, findings: tuple[Any, ...] = ()) -> None:
        super().__init__(text)
        self.findings = findings


class SchemaError(HeadwaterError):
    """A JSON Schema cannot be used as the schema of a dataset."""

    code = "schema_invalid"


class RegistryError(HeadwaterError):
    """A snapshot cannot be stored or read."""

    code = "registry_failed"


class LinkError(HeadwaterError):
    """Physical rules that this kernel cannot link: an unknown format or operation. The running program is untouched."""

    code = "rules_not_linked"


class UdfError(HeadwaterError):
    """A file of Python functions cannot be run, or its process cannot be started. ``text`` says why, without the place."""

    code = "udf_not_loaded"

    def __init__(self, text: str, file: str = "", line: int = 1) -> None:
        super().__init__(f"{file}:{line}: {text}" if file else text)
        self.text, self.file, self.line = text, file, line


class LogError(HeadwaterError):
    """The log refused an append or a read. Nothing of the refused append will ever be read."""

    code = "log_failed"


class LogUnavailable(LogError):
    """The log cannot append now, as where the disk is full; nothing was acknowledged."""

    code = "log_unavailable"
    retryable = True


class Overtaken(LogError):
    """Another process writes the shard now. Whether it kept what was being appended is not known: open the shard and look."""

    code = "shard_overtaken"


class AppendInDoubt(LogError):
    """An append was neither acknowledged nor refused: too few sites answered. The writer is done for: open the shard and look."""

    code = "append_in_doubt"


class StaleGeneration(LogError):
    """A member committed for units that are not its own any more, or not yet. Nothing was committed by this call."""

    code = "generation_stale"


class StorageUnavailable(LogUnavailable):
    """The storage did not answer, or failed. What was asked of it may have been done, may be done later, or never."""

    code = "storage_unavailable"


class StorageFull(StorageUnavailable):
    """No space, or no quota. A put left nothing. An append may have left bytes from ``at`` on, none before."""

    code = "storage_full"


class ObjectMissing(LogError):
    """There is no object of that name."""

    code = "object_missing"


class CorruptLog(LogError):
    """Bytes in the log fail their checksum or break an invariant."""

    code = "log_corrupt"


class InputError(HeadwaterError):
    """An input of a batch run cannot be read to its end: missing, truncated, damaged, or one line beyond the limit."""

    code = "input_invalid"


class OutputError(HeadwaterError):
    """The output of a batch run cannot be written; nothing of it was put in place."""

    code = "output_refused"


class SinkError(HeadwaterError):
    """A sink cannot write now, as where the disk is full; what it was given stays in the log and is tried again."""

    code = "sink_failed"
    retryable = True


class DemoError(HeadwaterError):
    """The demonstration cannot run: its directory is not its own, its client is missing, or the server ended."""

    code = "demo_failed"


class DataInUse(HeadwaterError):
    """Another process runs on the same data directory."""

    code = "data_in_use"
    retryable = True


class AddressInUse(HeadwaterError):
    """The address to listen on cannot be had."""

    code = "address_in_use"
    retryable = True
