"""Functions as they are loaded and called: columns in, answers out, both MessagePack as `kernel/src/udf/pack.rs` says."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec

from headwater.core.errors import UdfError
from headwater.core.limits import UDF_ANSWER_BYTES_MAX, UDF_REASON_CHARS_MAX
from headwater.core.udf import Signature, UdfSet
from headwater.kernel.udf.values import WrongResultError, answers, column

_PACKAGE = "headwater_udfs"


class Failure:
    """Why a row has no value."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Functions:
    """Functions that are loaded into this process. Calling is `batch`'s, which the kernel asks once a batch."""

    def __init__(self, udfs: UdfSet) -> None:
        """Runs the files. Raises UdfError where one cannot be run, or does not hold what it declares."""
        modules = {name: _module(name, text) for name, text in udfs.files.items()}
        self._loaded: dict[str, tuple[Signature, Callable[..., Any]]] = {}
        for one in udfs.signatures:
            function = getattr(modules[one.file], one.name, None)
            if not callable(function):
                raise UdfError(
                    f"`{one.name}` is {type(function).__name__} once the file has run, not a function", one.file, one.line
                )
            self._loaded[one.name] = one, function

    @property
    def signatures(self) -> dict[str, Signature]:
        """By name."""
        return {name: signature for name, (signature, _) in self._loaded.items()}

    def loaded(self, name: str) -> tuple[Signature, Callable[..., Any]]:
        """A function and what it declares. Raises KeyError where there is none of that name."""
        return self._loaded[name]

    def batch(self) -> Callable[[str, int, bytes], bytes]:
        """What calls a function with the columns of so many rows."""
        return self.call

    def call(self, name: str, rows: int, columns: bytes) -> bytes:
        """Calls a function. A row that has no value becomes a failure; nothing is raised."""
        known = self._loaded.get(name)
        if known is None:
            return all_failed(f"unknown: there is no function {name}")
        signature, function = known
        given = [column(one, part.type) for one, part in zip(msgspec.msgpack.decode(columns), signature.parameters, strict=True)]
        found = outcomes(function, signature, given, rows)
        packed = msgspec.msgpack.encode([{"": each.reason} if isinstance(each, Failure) else each for each in found])
        if len(packed) > UDF_ANSWER_BYTES_MAX:
            return all_failed(
                f"wrong_result: its values take {len(packed)} bytes together; at most {UDF_ANSWER_BYTES_MAX} are taken"
            )
        return packed


def all_failed(reason: str) -> bytes:
    """The answer that all calls failed."""
    return msgspec.msgpack.encode({"": reason})


def outcomes(function: Callable[..., Any], signature: Signature, columns: Sequence[list[Any]], rows: int) -> list[Any]:
    """A value or a Failure for each row. Where a call of several rows raises, halves are called, down to the rows at fault."""
    try:
        # The function may change its lists; what is tried again must be what was given.
        result = function(*(list(each) for each in columns))
        if not isinstance(result, list | tuple):
            raise WrongResultError(f"it gave {_article(type(result).__name__)}, not a list")
        if len(result) != rows:
            raise WrongResultError(f"it gave {len(result)} values for {rows} row{'' if rows == 1 else 's'}")
    except BaseException as error:  # An exit, too, is only this function's.
        if rows == 1:
            return [Failure(_reason(error))]
        half = rows // 2
        first, second = [each[:half] for each in columns], [each[half:] for each in columns]
        return outcomes(function, signature, first, half) + outcomes(function, signature, second, rows - half)
    return answers(result, signature.result, signature.null, lambda error: Failure(_reason(error)))


def _reason(error: BaseException) -> str:
    """The last line of the traceback: the error's type and the first line of its text."""
    try:
        lines = str(error).splitlines()
    except Exception:
        lines = []
    name = "wrong_result" if isinstance(error, WrongResultError) else type(error).__name__
    text = f"{name}: {lines[0]}" if lines and lines[0] else name
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= UDF_REASON_CHARS_MAX else text[: UDF_REASON_CHARS_MAX - 1] + "…"


def _module(file: str, text: str) -> types.ModuleType:
    module = types.ModuleType(f"{_PACKAGE}.{PurePosixPath(file).stem}")
    module.__file__ = file
    sys.modules[module.__name__] = module  # Dataclasses and the like look their module up.
    try:
        exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        lines = [frame.lineno for frame in _frames(error) if frame.filename == file]
        line = lines[-1] if lines else getattr(error, "lineno", None)
        raise UdfError(_reason(error), file, line or 1) from error
    return module


class _Frame(msgspec.Struct):
    filename: str
    lineno: int


def _frames(error: BaseException) -> list[_Frame]:
    found, trace = [], error.__traceback__
    while trace is not None:
        found.append(_Frame(trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return found


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"
