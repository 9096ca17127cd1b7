"""The grammar of expressions.

Precedence is DuckDB's, loosest first: OR, AND, NOT, predicates, ||, + -, * / // %, unary -, postfix.

Two predicates in a row (`a = b IS NULL`) are refused: readers differ on what they mean, so parentheses must say it.
"""

from __future__ import annotations

import re

from headwater.rules import literals
from headwater.rules.cursor import RESERVED, Cursor
from headwater.rules.lexer import END, NAME, NUMBER, QUOTED, STRING, SYMBOL, Token
from headwater.rules.refused import AGGREGATES, AGGREGATES_HINT
from headwater.rules.syntax import Node, RefusedError
from headwater.rules.type_names import parse_type

_COMPARISONS = {"=": "eq", "<>": "ne", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_PREDICATES = frozenset([*_COMPARISONS, "IS", "NOT", "IN", "BETWEEN", "LIKE"])
_ARITHMETIC = {
    "||": (1, "concat"),
    "+": (2, "add"),
    "-": (2, "sub"),
    "*": (3, "mul"),
    "/": (3, "div"),
    "//": (3, "int_div"),
    "%": (3, "mod"),
}
_AFTER_NAMES = frozenset([",", ".", ")", "::", "FROM", "AS", "AND", "OR", "IS", *_COMPARISONS, *_ARITHMETIC])
_INTEGER = re.compile(r"\d+(_\d+)*")
_DECIMAL = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?")
_BIGINT_END = 2**63


def parse_expression(c: Cursor) -> Node:
    """An expression up to the first token that cannot go on with it. Raises RefusedError."""
    c.enter()
    alternatives = [_conjunction(c)]
    while c.take("OR"):
        alternatives.append(_conjunction(c))
    c.level -= 1
    return alternatives[0] if len(alternatives) == 1 else _flat("or", alternatives)


def _conjunction(c: Cursor) -> Node:
    operands = [_negation(c) if c.token.key == "NOT" else _predicate(c)]
    while c.take("AND"):
        operands.append(_negation(c) if c.token.key == "NOT" else _predicate(c))
    return operands[0] if len(operands) == 1 else _flat("and", operands)


def _flat(kind: str, operands: list[Node]) -> Node:
    return Node(kind, operands[0].start, operands[-1].end, operands)


def _negation(c: Cursor) -> Node:
    c.enter()
    start = c.next().start
    operand = _negation(c) if c.token.key == "NOT" else _predicate(c)
    c.level -= 1
    return Node("not", start, operand.end, [operand])


def _predicate(c: Cursor) -> Node:
    left = _arithmetic(c, 1)
    if c.token.key not in _PREDICATES:
        return left
    if operation := _COMPARISONS.get(c.token.key):
        c.next()
        right = _arithmetic(c, 1)
        node = Node("compare", left.start, right.end, [left, right], operation)
    elif c.take("IS"):
        node = _is(c, left)
    else:
        node = _named_predicate(c, left)
    if c.token.key in _PREDICATES:
        hint = "put parentheses around the part that is meant first"
        raise RefusedError(c.token.start, c.token.end, "chained", f"{c.shown(c.token)} cannot follow another comparison", hint)
    return node


def _is(c: Cursor, left: Node) -> Node:
    negated = bool(c.take("NOT"))
    if c.take("NULL"):
        return Node("is_null", left.start, c.last_end(), [left], negated)
    if c.token.key == "DISTINCT":
        c.next()
        c.expect("FROM", "after IS DISTINCT")
        right = _arithmetic(c, 1)
        return Node("compare", left.start, right.end, [left, right], "not_distinct" if negated else "distinct")
    if c.token.key in ("TRUE", "FALSE", "UNKNOWN"):
        hint = "write IS NULL" if c.token.key == "UNKNOWN" else "write the condition alone, or coalesce(condition, FALSE)"
        raise c.refuse(f"IS {c.token.key}", hint)
    raise c.unexpected("NULL or DISTINCT FROM")


def _named_predicate(c: Cursor, left: Node) -> Node:
    negated = bool(c.take("NOT"))
    if c.take("IN"):
        c.expect("(", "with the values that IN compares with")
        if c.token.key in ("SELECT", "WITH", "FROM", "VALUES"):
            raise c.refuse("a subquery", "list the values: IN (1, 2)")
        items = [parse_expression(c)]
        while c.take(","):
            items.append(parse_expression(c))
        c.expect(")", "after the values of IN")
        return Node("in", left.start, c.last_end(), [left, *items], negated)
    if c.take("BETWEEN"):
        if c.token.key in ("SYMMETRIC", "ASYMMETRIC") and c.peek().key != "AND":
            raise c.refuse(f"BETWEEN {c.token.key}")
        low = _arithmetic(c, 1)
        c.expect("AND", "between the bounds of BETWEEN")
        high = _arithmetic(c, 1)
        return Node("between", left.start, high.end, [left, low, high], negated)
    if c.take("LIKE"):
        args = [left, _arithmetic(c, 1)]
        if c.take("ESCAPE"):
            args.append(_arithmetic(c, 1))
        return Node("like", left.start, c.last_end(), args, negated)
    raise c.unexpected("IN, BETWEEN or LIKE")


def _arithmetic(c: Cursor, loosest: int) -> Node:
    left = _operand(c)
    while (found := _ARITHMETIC.get(c.token.key)) and found[0] >= loosest:
        c.next()
        right = _arithmetic(c, found[0] + 1)
        if found[1] != "concat":
            left = Node("arithmetic", left.start, right.end, [left, right], found[1])
        elif left.kind == "concat" and left.value:
            left = Node("concat", left.start, right.end, [*left.args, right], True)
        else:
            left = Node("concat", left.start, right.end, [left, right], True)
    return left


def _operand(c: Cursor) -> Node:
    token = c.token
    if token.key == "-":
        c.next()
        if c.token.kind is NUMBER and c.peek().key not in ("::", "["):
            return _number(c, c.next(), token)
        c.enter()
        operand = _operand(c)
        c.level -= 1
        return Node("negative", token.start, operand.end, [operand])
    return _postfix(c, _primary(c, token))


def _postfix(c: Cursor, node: Node) -> Node:
    while True:
        key = c.token.key
        if key == ".":
            c.next()
            name = c.token
            if name.kind is not NAME and name.kind is not QUOTED:
                if name.key == "*":
                    raise c.refuse("`*` of a struct", "name the fields that are wanted")
                raise c.unexpected("the name of a field")
            c.next()
            if c.token.key == "(":
                message = "a function called with a dot cannot be used in rules"
                raise RefusedError(node.start, c.token.end, "outside_subset", message, f"write {name.text}(…)")
            node = Node("get", node.start, name.end, [node], name.text)
        elif key == "[":
            node = _index(c, node)
        elif key == "::":
            c.next()
            kind = parse_type(c)
            node = Node("cast", node.start, c.last_end(), [node], (kind, False))
        else:
            return node


def _index(c: Cursor, node: Node) -> Node:
    c.next()
    index = None if c.token.key == ":" else parse_expression(c)
    if index is None or c.token.key == ":":
        return _slice(c, node, index)
    c.expect("]", "after the position of an item")
    if index.kind == "literal" and index.value[0] == "VARCHAR":
        return Node("get", node.start, c.last_end(), [node], index.value[1])
    return Node("item", node.start, c.last_end(), [node, index])


def _slice(c: Cursor, node: Node, begin: Node | None) -> Node:
    """`list[a:b]`; which of the bounds are there is the value."""
    c.next()
    end = None if c.token.key in ("]", ":") else parse_expression(c)
    if c.token.key == ":":
        raise c.refuse("a slice with a step", "write list[a:b]")
    c.expect("]", "after the last position of a slice")
    args = [part for part in (node, begin, end) if part is not None]
    return Node("slice", node.start, c.last_end(), args, (begin is not None, end is not None))


def _primary(c: Cursor, token: Token) -> Node:
    if token.kind is NUMBER:
        return _number(c, c.next(), None)
    if token.kind is STRING:
        c.next()
        return Node("literal", token.start, token.end, [], ("VARCHAR", token.text))
    if token.kind is NAME:
        return _word(c, token)
    if token.kind is QUOTED:
        word = c.name("an expression")
        return Node("name", word.start, word.end, [], word.text)
    if token.key == "(":
        return _parentheses(c, token)
    if token.key == "*":
        raise c.refuse("`*` as part of an expression", "`SELECT *` stands alone, with EXCLUDE and REPLACE")
    if token.key == "." and c.peek().kind is NUMBER:
        raise RefusedError(token.start, c.peek().end, "number", "a number begins with a digit", f"write 0.{c.peek().text}")
    if token.kind is SYMBOL and (token.text[0].isalpha() or token.text[0] == "$") and len(token.text) > 1:
        raise c.refuse("this kind of text literal", "write '…', with a quote inside as two quotes")
    raise c.unexpected("an expression")


def _parentheses(c: Cursor, token: Token) -> Node:
    c.next()
    if c.token.key in ("SELECT", "WITH", "FROM", "VALUES"):
        raise c.refuse("a subquery", "a rule reads one dataset, event by event")
    node = parse_expression(c)
    if c.token.key == ",":
        raise c.refuse("a row of several values", "compare each value on its own, joined with AND")
    c.expect(")", "to close the parenthesis")
    if node.kind == "concat":
        node.value = False
    node.start, node.end = token.start, c.last_end()
    return node


def _number(c: Cursor, token: Token, minus: Token | None) -> Node:
    written = c.text[token.start : token.end]
    start = minus.start if minus else token.start
    after = c.token
    if after.kind in (NAME, NUMBER) and after.start == token.end:
        raise RefusedError(
            token.start,
            after.end,
            "number",
            f"`{c.text[token.start : after.end][:40]}` is no number",
            "valid are 12, 1.5 and 1e3",
        )
    if _INTEGER.fullmatch(written):
        digits = written.replace("_", "").lstrip("0") or "0"
        value = int(digits) if len(digits) <= 19 else _BIGINT_END + 1
        value = -value if minus else value
        if not -_BIGINT_END <= value < _BIGINT_END:
            hint = "BIGINT holds -9223372036854775808 to 9223372036854775807; with a point it is a DOUBLE"
            raise RefusedError(start, token.end, "number", "the integer is outside BIGINT", hint)
        return Node("literal", start, token.end, [], ("BIGINT", value))
    if not _DECIMAL.fullmatch(written):
        raise RefusedError(token.start, token.end, "number", f"`{written[:40]}` is no number", "valid are 12, 1.5 and 1e3")
    real = float(written)
    if real == float("inf"):
        raise RefusedError(
            start, token.end, "number", "the number is outside DOUBLE", "DOUBLE holds up to 1.7976931348623157e308"
        )
    return Node("literal", start, token.end, [], ("DOUBLE", -real if minus else real))


def _word(c: Cursor, token: Token) -> Node:
    match token.key:
        case "NULL" | "TRUE" | "FALSE":
            c.next()
            value = {"NULL": ("NULL", None), "TRUE": ("BOOLEAN", True), "FALSE": ("BOOLEAN", False)}[token.key]
            return Node("literal", token.start, token.end, [], value)
        case "CASE":
            return _case(c)
        case "NOT":
            raise RefusedError(
                token.start, token.end, "chained", "`NOT` cannot stand inside a comparison", "put parentheses around NOT …"
            )
    after = c.peek()
    if after.key == "(" and token.key in ("CAST", "TRY_CAST"):
        return _cast(c, token.key == "TRY_CAST")
    if after.kind is STRING and token.key not in RESERVED:
        return literals.typed_text(c)
    if token.key == "INTERVAL" and (after.key not in _AFTER_NAMES or (after.key == "-" and c.peek(2).kind is NUMBER)):
        return literals.interval(c)
    if token.key == "ARRAY" and after.key == "[":
        raise c.refuse("an array literal", "write IN (…) to compare with several values")
    if token.key == "LAMBDA" and after.kind is NAME:
        raise c.refuse("a lambda")
    if after.key == "(" and (token.key not in RESERVED or token.key in ("LEFT", "RIGHT")):
        return _call(c, token)
    word = _field_name(c)
    return Node("name", word.start, word.end, [], word.value)


def _field_name(c: Cursor) -> Node:
    """A word as the name of a field; a word of SQL there is refused as what it begins."""
    token = c.token
    if token.key in RESERVED:
        if c.peek().key in _AFTER_NAMES:
            hint = f'a field of that name is written with quotes: "{token.text}"'
            raise RefusedError(token.start, token.end, "syntax", f"{c.shown(token)} is a word of SQL", hint)
        raise c.unexpected("an expression")
    c.next()
    return Node("name", token.start, token.end, [], token.text)


def _case(c: Cursor) -> Node:
    start = c.next().start
    args = []
    has_subject = c.token.key != "WHEN"
    if has_subject:
        args.append(parse_expression(c))
    c.expect("WHEN", "after CASE")
    while True:
        args.append(parse_expression(c))
        c.expect("THEN", "after the condition of WHEN")
        args.append(parse_expression(c))
        if not c.take("WHEN"):
            break
    has_else = bool(c.take("ELSE"))
    if has_else:
        args.append(parse_expression(c))
    if c.token.key != "END":
        raise c.unexpected("WHEN or END" if has_else else "WHEN, ELSE or END")
    c.next()
    return Node("case", start, c.last_end(), args, (has_subject, has_else))


def _cast(c: Cursor, lenient: bool) -> Node:
    start = c.next().start
    c.next()
    operand = parse_expression(c)
    c.expect("AS", "and a type, as in CAST(x AS BIGINT)")
    kind = parse_type(c)
    c.expect(")", "after the type")
    return Node("cast", start, c.last_end(), [operand], (kind, lenient))


def _call(c: Cursor, name: Token) -> Node:
    c.next()
    c.next()
    args: list[Node] = []
    if c.token.key == "*":
        raise c.refuse(f"{name.text}(*)", AGGREGATES_HINT if name.key.lower() in AGGREGATES else None)
    if name.key == "TRIM" and c.token.key in ("BOTH", "LEADING", "TRAILING"):
        raise c.refuse(f"TRIM({c.token.key} … FROM …)", "write trim(text, characters), ltrim or rtrim")
    if name.key == "EXTRACT":
        args.append(literals.extract(c))
        args.append(parse_expression(c))
    elif c.token.key != ")":
        args.append(parse_expression(c))
        while c.take(","):
            args.append(parse_expression(c))
    if c.token.key in ("FROM", "FOR", "IN") and c.token.kind is not END:
        raise c.refuse(f"{name.text}(… {c.token.key} …)", "give arguments with commas between them")
    c.expect(")", f"after the arguments of {name.text}")
    if c.token.key in ("OVER", "FILTER", "WITHIN"):
        raise c.unexpected("an operator")
    return Node("call", name.start, c.last_end(), args, name.text)
