"""Reads which functions files of Python declare. The files are not run: marks and annotations are read from their text."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from headwater.core.types import BIGINT, BOOLEAN, DOUBLE, TIMESTAMP, VARCHAR, DataType, ListOf
from headwater.core.udf import Parameter, Signature, UdfSet
from headwater.rules.cursor import RESERVED
from headwater.rules.findings import Finding, Findings, SourceFile
from headwater.rules.functions import FUNCTIONS
from headwater.rules.refused import AGGREGATES

_SCALARS: dict[str, DataType] = {
    "int": BIGINT,
    "float": DOUBLE,
    "bool": BOOLEAN,
    "str": VARCHAR,
    "datetime": TIMESTAMP,
    "datetime.datetime": TIMESTAMP,
}
_VALID = (
    "a column is list[int], list[float], list[bool], list[str], list[datetime], or a list of lists of these; "
    "with NULLs, list[float | None]"
)
# What has the form of a call in SQL without being a function of the table.
_TAKEN = frozenset(("cast", "try_cast", "extract", "case", "interval", "not", "exists"))
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def read_udfs(files: Mapping[str, str]) -> tuple[UdfSet, tuple[Finding, ...]]:
    """The functions that files declare, and what is wrong with them; a function with findings is left out."""
    findings = Findings()
    known: dict[str, str] = {}
    signatures = []
    for name, text in files.items():
        for signature in _File(SourceFile(name, text), findings).signatures():
            place = f"{signature.file}:{signature.line}"
            first = known.setdefault(signature.name.lower(), place)
            if first == place:
                signatures.append(signature)
            else:
                file = SourceFile(name, text)
                start = text.find(f"def {signature.name}") + 4
                message = f"a function `{signature.name}` is already at {first}"
                hint = "names of functions are unique over all files, and letter case tells no two apart"
                findings.add(file, start, start + len(signature.name), "duplicate_udf", message, hint)
    return UdfSet(dict(files), tuple(signatures)), findings.result()


class _RefusedError(Exception):
    def __init__(self, node: ast.AST, message: str, hint: str) -> None:
        super().__init__(message)
        self.node, self.message, self.hint = node, message, hint


class _File:
    """One file of Python."""

    def __init__(self, file: SourceFile, findings: Findings) -> None:
        self.file = file
        self.findings = findings
        self.lines = [line.encode() for line in file.text.splitlines(keepends=True)]
        self.marks: set[str] = set()

    def signatures(self) -> Iterator[Signature]:
        """The functions that are marked and have no findings."""
        try:
            tree = ast.parse(self.file.text, self.file.name)
        except SyntaxError as error:
            start = self._offset(error.lineno or 1, 0) + max((error.offset or 1) - 1, 0)
            self.findings.add(self.file, min(start, len(self.file.text)), start + 1, "python", f"not Python: {error.msg}")
            return
        except ValueError as error:  # A NUL character.
            self.findings.add(self.file, 0, 1, "python", f"not Python: {error}")
            return
        self.marks = set(_marks(tree))
        for node in ast.walk(tree):
            if isinstance(node, _Function) and any(map(self._is_mark, node.decorator_list)):
                try:
                    yield self._signature(node, tree)
                except _RefusedError as refused:
                    self._refuse(refused)

    def _is_mark(self, decorator: ast.expr) -> bool:
        return ast.unparse(decorator) in self.marks

    def _signature(self, node: _Function, tree: ast.Module) -> Signature:
        _check_form(node, tree)
        _check_name(node)
        parameters = tuple(self._parameter(argument) for argument in node.args.args)
        if not parameters:
            hint = "a function that needs none is a constant: write its value into the rule"
            raise _RefusedError(node, f"`{node.name}` takes no column", hint)
        if node.returns is None:
            raise _RefusedError(node, f"`{node.name}` does not say what it gives", f"write -> and a column; {_VALID}")
        result, null = _column(node.returns, f"what `{node.name}` gives")
        return Signature(node.name, self.file.name, node.lineno, parameters, result, null)

    def _parameter(self, argument: ast.arg) -> Parameter:
        if argument.annotation is None:
            hint = f"write {argument.arg}: and a column; {_VALID}"
            raise _RefusedError(argument, f"the parameter `{argument.arg}` has no annotation", hint)
        kind, null = _column(argument.annotation, f"the parameter `{argument.arg}`")
        return Parameter(argument.arg, kind, null)

    def _refuse(self, refused: _RefusedError) -> None:
        node = refused.node
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        start = self._offset(line, column)
        end = self._offset(getattr(node, "end_lineno", line), getattr(node, "end_col_offset", column + 1))
        if isinstance(node, _Function):
            start = self.file.text.index(node.name, self.file.text.index("def", start) + 3)
            end = start + len(node.name)
        self.findings.add(self.file, start, end, "udf", refused.message, refused.hint)

    def _offset(self, line: int, column: int) -> int:
        """Characters before a place; Python counts its columns in bytes."""
        before = sum(len(each.decode()) for each in self.lines[: line - 1])
        return before + (len(self.lines[line - 1][:column].decode(errors="ignore")) if line <= len(self.lines) else 0)


def _marks(tree: ast.Module) -> Iterator[str]:
    """How the decorator is written in this file."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (f"{one.asname or one.name}.udf" for one in names if one.name == "headwater")
            case ast.ImportFrom(module="headwater", names=names, level=0):
                yield from (one.asname or one.name for one in names if one.name == "udf")


def _check_form(node: _Function, tree: ast.Module) -> None:
    if node not in tree.body:
        hint = "move it to the top level of the file"
        raise _RefusedError(node, f"`{node.name}` stands inside of something else", hint)
    if isinstance(node, ast.AsyncFunctionDef):
        raise _RefusedError(node, f"`{node.name}` is async", "write def; rules wait for what it gives")
    args = node.args
    if args.vararg or args.kwarg or args.kwonlyargs or args.posonlyargs or args.defaults:
        hint = "it takes columns in their order, without defaults, * and /"
        raise _RefusedError(node, f"`{node.name}` has parameters that rules cannot give", hint)


def _check_name(node: _Function) -> None:
    lower = node.name.lower()
    if lower in FUNCTIONS or lower in AGGREGATES or lower in _TAKEN or lower.upper() in RESERVED:
        raise _RefusedError(node, f"`{node.name}` is a name of SQL", "give it a name of your own")


def _column(annotation: ast.expr, what: str) -> tuple[DataType, bool]:
    """The type of a column, and whether it may hold NULL."""
    written = _unquoted(annotation)
    match written:
        case ast.Subscript(value=ast.Name("list") | ast.Name("List"), slice=item):
            kind, null = _item(item)
            if kind is not None:
                return kind, null
    hint = _VALID
    scalar, _null = _item(written)
    if scalar is not None:
        hint = f"it is given a whole column: write list[{ast.unparse(written)}]"
    raise _RefusedError(annotation, f"{what} cannot be {ast.unparse(written)}", hint)


def _item(annotation: ast.expr) -> tuple[DataType | None, bool]:
    """The type of an item, None where there is none, and whether it may be None."""
    match _unquoted(annotation):
        case (
            ast.BinOp(left=one, op=ast.BitOr(), right=ast.Constant(None))
            | ast.BinOp(left=ast.Constant(None), op=ast.BitOr(), right=one)
        ):
            return _item(one)[0], True
        case ast.Subscript(value=ast.Name("Optional"), slice=one):
            return _item(one)[0], True
        case ast.Subscript(value=ast.Name("list") | ast.Name("List"), slice=one):
            inner = _item(one)[0]
            return (None if inner is None or isinstance(inner, ListOf) else ListOf(inner)), False
        case written:
            return _SCALARS.get(ast.unparse(written)), False


def _unquoted(annotation: ast.expr) -> ast.expr:
    """An annotation in quotes as what it stands for."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return annotation
    return annotation
