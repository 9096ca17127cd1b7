"""Types as plan files write them, which is as rules do: `BIGINT`, `VARCHAR[]`, `STRUCT(sku VARCHAR, "unit price" DOUBLE)[]`."""

from __future__ import annotations

from headwater.core.types import DataType
from headwater.rules.cursor import Cursor
from headwater.rules.findings import Findings, SourceFile
from headwater.rules.lexer import END, tokenize
from headwater.rules.syntax import RefusedError
from headwater.rules.type_names import VALID_TYPES, parse_type


def type_of_text(text: str) -> DataType:
    """The type that a text names, in any letter case. Raises ValueError that says what is wrong and what is valid."""
    findings = Findings()
    tokens = tokenize(SourceFile("", text), findings)
    cursor = Cursor(tokens, text)
    try:
        kind = parse_type(cursor)
        if findings.errors or cursor.token.kind is not END:
            raise cursor.unexpected(f"the end, or [] for a list: {VALID_TYPES}")
    except RefusedError as error:
        message = error.message.replace("the statement", f"the type {text!r}")
        raise ValueError(f"{message}; {error.hint}" if error.hint else message) from None
    return kind
