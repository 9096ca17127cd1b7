"""Events of a size or depth that nobody planned for: read rightly, and no neighbour pays."""

import pytest
from case_files import physical
from engines import ENGINES, differences, lines_of

WHOLE = physical("whole", "whole", select={"star": True, "exclude": [], "replace": []})
FIELDS = physical("fields", "fields", select=[["a", ["field", ["a"], "BIGINT"]], ["j", ["field", ["j"], "JSON"]]])


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_deep_nesting(engine, depth):
    deep = b'{"a":1,"j":' + b'[{"x":' * depth + b"7" + b"}]" * depth + b"}"
    torn = deep[:-2]
    result = engine([WHOLE, FIELDS]).run(b"\n".join([b'{"a":0}', deep, torn, b'{"a":2}']))
    assert lines_of(result.outputs["whole"]) == [b'{"a":0}', deep, b'{"a":2}']
    assert lines_of(result.outputs["fields"])[1] == deep
    assert [tuple(reject) for reject in result.rejects] == [
        (2, 9 + len(deep), 9 + len(deep) + len(torn), "unexpected_end", len(torn))
    ]


def test_duplicates_at_every_level_of_a_deep_event(engine):
    depth = 2_000
    text = b'{"x":0,"x":' * depth + b"7" + b"}" * depth
    result = engine([WHOLE]).run([text])
    assert result.outputs["whole"] == b'{"x":' * depth + b"7" + b"}" * depth + b"\n"


def test_a_line_of_ten_megabytes(engine):
    text = b'{"a":1,"j":"' + (b"\xc3\xa9 text " * 100 + b"\\n") * 12_500 + b'"}'
    result = engine([WHOLE, FIELDS]).run([text, b'{"a":2}', text[:-1]])
    assert result.outputs["whole"] == text + b'\n{"a":2}\n'
    assert [(index, reason) for index, _, _, reason, _ in result.rejects] == [(2, "unexpected_end")]


def test_many_members_and_long_numbers():
    wide = b"{" + b",".join(b'"k%d":%d' % (number, number) for number in range(20_000)) + b',"a":3,"k7":0}'
    long_number = b'{"a":' + b"9" * 20_000 + b',"j":1' + b"0" * 20_000 + b"}"
    long_fraction = b'{"a":1.' + b"0" * 20_000 + b',"j":[]}'
    long_key = b'{"' + b"a" * 100_000 + b'":1,"a":5}'
    assert differences([WHOLE, FIELDS], [wide, long_number, long_fraction, long_key]) == []


def test_an_empty_batch_and_an_empty_program():
    for batch in (b"", b"\n\n", [], [b""], [b"", b"{}"], b"{}", b"{}\n"):
        assert differences([WHOLE], batch) == []
        assert differences([], batch) == []


def test_line_ends_inside_an_item_become_spaces():
    item = b'{"a":\n1,\r\n"j":[1,\n2]}'
    assert differences([WHOLE, FIELDS], [item]) == []
    result = ENGINES["kernel"]([WHOLE, FIELDS]).run([item])
    assert [len(lines_of(rows)) for rows in result.outputs.values()] == [1, 1]
