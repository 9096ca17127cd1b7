"""Compiling with what the last compilation left gives what compiling anew gives, whatever was edited in between."""

import gc
from collections.abc import Iterator

import msgspec
import pytest

from headwater.core.dataset import SourceSchema
from headwater.core.ids import Random, seeded_random
from headwater.core.types import BIGINT, StructOf
from headwater.rules import Cache, compile_files, compiler


def split(text: str) -> list[str]:
    return text.split("----\n")


# Statements to edit with, between lines of dashes; {n} becomes a number.
CLEAN = split("""
-- rule: {n}
-- owner: ann
INSERT INTO likes SELECT user_id, event_time AS ts FROM app_events WHERE event = 'a{n}'
----
-- rule: wide{n}
INSERT INTO wide SELECT user_id,
  properties.price * {n} AS price,
  'x;--{n}' AS text FROM app_events
WHERE app = 'b'
----
-- rule: star{n}
INSERT INTO all_events SELECT * EXCLUDE (app) FROM app_events WHERE event IN ('a', 'b{n}')
----
INSERT INTO unnamed SELECT event_time AS ts FROM app_events WHERE event = 'c'
----

/* a comment; with a semicolon */ -- rule: planned{n}
INSERT INTO counts SELECT event FROM planned WHERE event = 'video_{n}'
----
-- rule: never{n}
INSERT INTO never SELECT user_id FROM app_events WHERE event = 'a' AND event = 'b'
----
-- rules: misspelt
-- rule: slow{n}
INSERT INTO slow
-- tier: P1
SELECT user_id FROM app_events WHERE properties.price > {n}
----
-- rule: typed{n}
INSERT INTO typed SELECT properties.duration_ms AS x FROM app_events WHERE event = 'd'
----
-- nothing but a comment {n}
----
""")
WRONG = split("""
-- rule: typed_text{n}
INSERT INTO typed SELECT user_id AS x FROM app_events WHERE event = 'd'
----
-- rule: twice
INSERT INTO twice SELECT user_id, user_id FROM app_events WHERE event = 'd'
----
-- rule: same
INSERT INTO likes SELECT user_id, event_time AS ts FROM app_events WHERE event = 'a1'
----
INSERT INTO app_events SELECT nothing FROM app_events WHERE event = 'e'
----
-- rule: cut{n}
INSERT INTO cut SELECT user_id FROM app_events WHERE event = 'e'
INSERT INTO more SELECT user_id FROM app_events
----
SELECT {n}
----
INSERT INTO Likes SELECT user_id FROM nowhere WHERE event = 'e'
----
INSERT INTO x SELECT user_id FROM app_events WHERE event = 'never ends
""")


def edits(random: Random, rounds: int) -> Iterator[dict[str, str]]:
    """Two files of statements, edited step by step."""
    files = {"one.sql": [CLEAN[0].format(n=9)], "a/two.sql": ["", "-- rule: stays\n" + CLEAN[3]]}
    for _ in range(rounds):
        statements = files[random.choice(list(files))]
        for _ in range(random.randrange(1, 4)):
            at = random.randrange(len(statements) + 1)
            pool = WRONG if random.random() < 0.2 else CLEAN
            statement = random.choice(pool).format(n=random.randrange(4))
            match random.randrange(4):
                case 0 if at < len(statements):
                    del statements[at]
                case 1 if at < len(statements):
                    statements[at] = "\n" + statements[at]
                case 2 if statements:
                    random.shuffle(statements)
                case _:
                    statements.insert(at, statement)
        yield {name: ";".join(held) for name, held in files.items()}


@pytest.mark.parametrize("seed", range(40))
def test_it_gives_what_compiling_anew_gives(sources: dict[str, SourceSchema], seed: int) -> None:
    random, cache = seeded_random(seed), Cache()
    for files in edits(random, 25):
        if random.random() < 0.1:
            base = StructOf((*sources["app_events"].base.fields, (f"extra_{random.randrange(99)}", BIGINT)))
            sources = {**sources, "app_events": msgspec.structs.replace(sources["app_events"], base=base)}
        assert compile_files(files, sources, cache) == compile_files(files, sources)


@pytest.fixture
def lowered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the datasets of statements that were lowered and not taken as they were."""
    names: list[str] = []
    lower = compiler.lower

    def counted(statement, fields, file, udfs):
        names.append(statement.into.text)
        return lower(statement, fields, file, udfs)

    monkeypatch.setattr(compiler, "lower", counted)
    return names


def files_of(count: int, extra: str = "") -> dict[str, str]:
    rule = "-- rule: r{0}\nINSERT INTO d{0} SELECT user_id FROM app_events WHERE event = 'a'"
    return {"rules.sql": extra + ";\n".join(rule.format(number) for number in range(count))}


def test_only_what_changed_is_lowered_again(sources: dict[str, SourceSchema], lowered: list[str]) -> None:
    cache = Cache()
    compile_files(files_of(5), sources, cache)
    assert lowered == ["d0", "d1", "d2", "d3", "d4"]
    del lowered[:]
    compile_files(files_of(5), sources, cache)
    assert lowered == []
    changed = {"rules.sql": files_of(5)["rules.sql"].replace("INTO d3", "INTO other")}
    compile_files(changed, sources, cache)
    assert lowered == ["other"]
    del lowered[:]
    compile_files(files_of(5, "INSERT INTO new SELECT event FROM app_events WHERE event = 'b';"), sources, cache)
    assert lowered == ["new", "d3"]


def test_a_change_of_a_source_lowers_what_reads_it(sources: dict[str, SourceSchema], lowered: list[str]) -> None:
    cache, text = Cache(), "INSERT INTO {0} SELECT event FROM {0} WHERE event = 'video_like'"
    files = {"rules.sql": text.format("planned").replace("INTO planned", "INTO p") + ";" + files_of(2)["rules.sql"]}
    compile_files(files, sources, cache)
    del lowered[:]
    fewer = msgspec.structs.replace(sources["planned"], event_types=sources["planned"].event_types[1:])
    compiled = compile_files(files, {**sources, "planned": fewer}, cache)
    assert lowered == ["p"]
    assert compiled == compile_files(files, {**sources, "planned": fewer})


def test_a_statement_with_errors_is_read_again(sources: dict[str, SourceSchema], lowered: list[str]) -> None:
    cache, wrong = Cache(), {"rules.sql": "INSERT INTO d SELECT a FROM app_events WHERE event = 'x'"}
    first = compile_files(wrong, sources, cache)
    moved = {"rules.sql": "\n\n" + wrong["rules.sql"]}
    assert compile_files(moved, sources, cache).errors[0].line == first.errors[0].line + 2
    assert lowered == ["d", "d"]


def test_what_is_gone_is_forgotten(sources: dict[str, SourceSchema], lowered: list[str]) -> None:
    cache = Cache()
    for count in (5, 1, 5):
        compile_files(files_of(count), sources, cache)
    assert len(lowered) == 9


def test_what_is_kept_is_nothing_for_the_garbage_collector(sources: dict[str, SourceSchema]) -> None:
    """A full collection holds up all threads for as long as it takes to go through what is kept."""
    rule = "-- rule: {0}\nINSERT INTO d SELECT user_id, properties.price + {0} AS n FROM app_events WHERE event IN ('a', '{0}')"
    files, cache = {"rules.sql": ";\n".join(rule.format(number) for number in range(1000))}, Cache()
    gc.collect()
    before = len(gc.get_objects())
    compiled = compile_files(files, sources, cache)
    gc.collect()
    assert len(compiled.rules) == 1000
    assert len(gc.get_objects()) - before < 500
