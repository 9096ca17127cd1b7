"""Numbers of Protobuf fields: given once, never again; and `buf breaking` finds nothing in what the registry allows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protobufs import ROWS, SMALL_ROWS, buf_breaking

from headwater.core.types import BIGINT, DOUBLE, VARCHAR, ListOf, StructOf
from headwater.registry.numbers import Numbers, read_numbers, structs_of
from headwater.registry.proto_schema import generated


def row(**fields: object) -> StructOf:
    return StructOf(tuple(fields.items()))  # type: ignore[arg-type]


def numbered(*rows: StructOf) -> Numbers:
    numbers = Numbers()
    for each in rows:
        numbers.assign("d", each)
    return numbers


def given_to(numbers: Numbers, fields: StructOf) -> dict[str, int]:
    return {name: found.number for name, _ in fields.fields if (found := numbers.find("d", (), name))}


def test_a_number_is_never_used_again():
    first, second, third = row(a=BIGINT, b=VARCHAR), row(b=VARCHAR, c=DOUBLE), row(a=BIGINT, b=VARCHAR, c=DOUBLE)
    numbers = numbered(first)
    assert given_to(numbers, first) == {"a": 1, "b": 2}
    numbers.assign("d", second)
    assert given_to(numbers, second) == {"b": 2, "c": 3}
    assert numbers.reserved("d", (), {"b", "c"}) == [1]
    numbers.assign("d", third)
    assert given_to(numbers, third) == {"a": 4, "b": 2, "c": 3}


def test_protobufs_own_numbers_are_left_out():
    last = '{name = "gone", number = 18998, type = "BIGINT", reserved = true}'
    numbers, _ = read_numbers(f'format = 1\n[[struct]]\ndataset = "d"\nfields = [{last}]')
    numbers.assign("d", row(a=BIGINT, b=BIGINT))
    assert given_to(numbers, row(a=BIGINT, b=BIGINT)) == {"a": 18999, "b": 20000}


def test_another_type_is_refused_in_place_and_may_have_a_new_number():
    numbers = numbered(row(a=BIGINT))
    with pytest.raises(
        ValueError, match="the field `a` of the Protobuf dataset `d` is VARCHAR now, but its number 1 is that of a BIG"
    ):
        numbers.assign("d", row(a=VARCHAR))
    assert given_to(numbers, row(a=BIGINT)) == {"a": 1}
    numbers.assign("d", row(b=BIGINT))
    numbers.assign("d", row(a=VARCHAR, b=BIGINT))
    assert given_to(numbers, row(a=VARCHAR)) == {"a": 3}


def test_a_struct_numbers_its_own_fields_through_lists_too():
    numbers = numbered(row(a=ListOf(row(x=BIGINT))), row(a=ListOf(row(y=VARCHAR, x=BIGINT))))
    assert [(one.name, one.number) for one in numbers.of("d", ("a",)).all] == [("x", 1), ("y", 2)]


@given(st.lists(ROWS, min_size=1, max_size=3))
def test_the_lock_file_reads_back(rows):
    numbers = Numbers()
    for index, each in enumerate(rows):
        numbers.assign(f"d{index}", each)
    read, findings = read_numbers(numbers.text())
    assert not findings
    assert read.text() == numbers.text()
    for index, each in enumerate(rows):
        assert not list(read.misfits(f"d{index}", each))


LISTED = 'format = 1\n[[struct]]\ndataset = "d"\nfields = [{}]'
A, B = '{name = "a", number = 1, type = "T"}', '{name = "b", number = 1, type = "T"}'
WRONG = [
    ("format = 2", "format 2 is not known"),
    ("format = 1\nother = 1", "no key 'other'"),
    ('format = 1\n[[struct]]\ndataset = "d"\nin = 1\nfields = []', "in is a list of names"),
    (LISTED.format(A.replace("1", "0")), "whole number from 1"),
    (LISTED.format(f"{A}, {B}"), "number 1 stands twice"),
    (LISTED.format(f"{A}, {A.replace('1', '2')}"), "'a' stands twice"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_broken_lock_file_is_said(text, said):
    _, findings = read_numbers(text)
    assert any(said in str(finding) for finding in findings), findings


def files_of(numbers: Numbers, fields: StructOf) -> dict[str, str]:
    return dict(generated("shop", "d", fields, numbers).files)


@settings(max_examples=15)
@given(st.lists(SMALL_ROWS, min_size=2, max_size=4))
def test_buf_finds_nothing_in_what_is_allowed(tmp_path_factory, rows):
    """Fields that come, go and come back, and the same inside a STRUCT; a change of type is left out where it is refused."""
    directory = tmp_path_factory.mktemp("buf")
    numbers = numbered(rows[0])
    before = files_of(numbers, rows[0])
    for each in rows[1:]:
        changed = {where for where, _, known in numbers.misfits("d", each) if known is not None}
        allowed = StructOf(tuple(one for one in each.fields if (one[0],) not in changed))
        numbers.assign("d", allowed)
        after = files_of(numbers, allowed)
        assert buf_breaking(before, after, directory) == ""
        before = after


BREAKING = [
    (row(a=BIGINT), row(a=VARCHAR)),
    (row(a=BIGINT), row(a=ListOf(BIGINT))),
    (row(a=row(x=BIGINT)), row(a=row(x=DOUBLE))),
    (row(a=row(x=BIGINT)), row(a=VARCHAR)),
]


@pytest.mark.parametrize(("before", "after"), BREAKING, ids=str)
def test_what_buf_refuses_the_registry_refuses(tmp_path, before, after):
    """The same numbers under another type, as they would be if the registry did not refuse it."""
    with pytest.raises(ValueError, match="now, but its number"):
        numbered(before).assign("d", after)
    assert "changed" in buf_breaking(files_of(numbered(before), before), files_of(numbered(after), after), tmp_path)


def test_a_number_that_is_not_reserved_is_what_buf_refuses(tmp_path):
    both = row(a=BIGINT, b=BIGINT)
    text = files_of(numbered(both), both)["d.proto"]
    cut = "\n".join(line for line in text.splitlines() if " b = 2" not in line)
    assert "without reserving the number" in buf_breaking({"d.proto": text}, {"d.proto": cut}, tmp_path)
    assert "reserved 2;" in files_of(numbered(both, row(a=BIGINT)), row(a=BIGINT))["d.proto"]


def test_paths_of_structs():
    inner = row(x=BIGINT)
    assert [path for path, _ in structs_of(row(a=ListOf(ListOf(inner)), b=row(c=inner)))] == [(), ("a",), ("b",), ("b", "c")]
