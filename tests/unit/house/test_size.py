"""Files of at most 600 lines (tests 900), functions of at most 70."""

import ast
import re
from collections.abc import Iterator

LINES_MAX = 600
TEST_LINES_MAX = 900
FUNCTION_LINES_MAX = 70
CODE = (".py", ".pyi", ".rs", ".sql", ".sh", ".ts", ".js", ".java", ".html", ".css")


def test_files_are_short(tree):
    offences = []
    for path in tree.ending(*CODE):
        name = tree.name(path)
        most = TEST_LINES_MAX if name.startswith(("tests/", "kernel/tests/")) else LINES_MAX
        lines = path.read_text().count("\n")
        if lines > most:
            offences.append(f"{name}:{most + 1}: {lines} lines, at most {most}; split it")
    assert not offences, "\n".join(offences)


def python_functions(text: str) -> Iterator[tuple[int, str, int]]:
    """(first line, name, lines) of every function, nested ones and methods too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name, (node.end_lineno or node.lineno) - node.lineno + 1


# What a brace may hide in: comments, raw and plain text, characters. Their line feeds stay, so that lines keep their numbers.
_RUST_HIDDEN = re.compile(r'//[^\n]*|/\*.*?\*/|b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?\'(?:\\.[^\']*|[^\'\\])\'', re.DOTALL)
_RUST_FUNCTION = re.compile(r"\bfn\s+(\w+)")


def rust_functions(text: str) -> Iterator[tuple[int, str, int]]:
    """(first line, name, lines) of every function that has a body."""
    bare = _RUST_HIDDEN.sub(lambda hidden: "\n" * hidden.group().count("\n"), text)
    for found in _RUST_FUNCTION.finditer(bare):
        first = bare.count("\n", 0, found.start()) + 1
        brackets = depth = 0
        for at in range(found.end(), len(bare)):
            character = bare[at]
            if character in "([":
                brackets += 1
            elif character in ")]":
                brackets -= 1
            elif character == ";" and depth == 0 and brackets == 0:
                break
            elif character == "{":
                depth += 1
            elif character == "}":
                depth -= 1
                if depth == 0 and brackets == 0:
                    yield first, found.group(1), bare.count("\n", 0, at) + 2 - first
                    break


def test_functions_are_short(tree):
    offences = []
    for suffix, functions in ((".py", python_functions), (".rs", rust_functions)):
        for path in tree.ending(suffix):
            for line, function, lines in functions(path.read_text()):
                if lines > FUNCTION_LINES_MAX:
                    offences.append(
                        f"{tree.name(path)}:{line}: {function} has {lines} lines, at most {FUNCTION_LINES_MAX}; split it"
                    )
    assert not offences, "\n".join(offences)


def test_the_rust_scan_sees_functions_as_they_are():
    text = """
fn plain(a: [u8; 2]) -> u8 {
    a[0] // }
}
trait T { fn declared(&self) -> u8; fn given(&self) { } }
fn texts<'a>(x: &'a str) -> char {
    let _ = (r#"}"#, "}\\"}", b'}', '\\'', '{');
    if x == "{" {
        return '}';
    }
    /* }
    */
    'x'
}
"""
    assert list(rust_functions(text)) == [(2, "plain", 3), (5, "given", 1), (6, "texts", 9)]


def test_the_python_scan_sees_nested_functions():
    text = "class A:\n    def f(self):\n        def g():\n            pass\n        return g\n"
    assert list(python_functions(text)) == [(2, "f", 4), (3, "g", 2)]
