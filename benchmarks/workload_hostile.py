"""A rule set that an index likes least: ranges, LIKE, OR, NOT, hardly an equality, a tenth without a condition on `event`."""

from __future__ import annotations

import random

from headwater.measure.workload import COLUMNS, ENTRIES, FIXED_COLUMNS, PLATFORMS, REGIONS, draw_name, sql_list

SEED = 23


def draw_range(chance: random.Random) -> str:
    """A range of numbers that one event in five to thirty is in."""
    at = chance.randrange(1, 50)
    return chance.choice(
        [
            f"properties.position BETWEEN {at} AND {at + chance.randrange(2, 8)}",
            f"(properties.play_rate >= {at / 55:.3f} AND properties.play_rate < {at / 55 + 0.08:.3f})",
            f"(properties.duration_ms > {at * 200} AND properties.duration_ms <= {at * 240 + 900})",
            f"properties.log_pb.rank BETWEEN {at * 3} AND {at * 3 + chance.randrange(5, 40)}",
        ]
    )


def draw_text(chance: random.Random) -> str:
    """A part of a text."""
    return chance.choice(
        [
            f"context.app_version LIKE '{chance.randrange(10, 30)}.%'",
            f"context.ip LIKE '%.{chance.randrange(256)}.%'",
            f"properties.title LIKE '%{chance.choice(['today', '热点', 'clip', 'plain'])}%'",
            f"properties.log_pb.impr_id LIKE '{chance.randrange(16):x}%'",
        ]
    )


def draw_either(chance: random.Random) -> str:
    """Alternatives of different fields."""
    return f"({draw_range(chance)} OR {draw_text(chance)} OR properties.duration_ms > {chance.randrange(20, 60) * 1000})"


def draw_not(chance: random.Random) -> str:
    """What must not be."""
    region, entry = chance.choice(REGIONS), chance.choice(ENTRIES)
    inner = [f"(context.region = '{region}' OR properties.enter_from = '{entry}')", draw_text(chance), draw_range(chance)]
    return f"NOT ({chance.choice([*inner, f'platform IN {sql_list(sorted(chance.sample(PLATFORMS, 2)))}'])})"


def draw_rule(chance: random.Random, number: int) -> str:
    """One rule."""
    where = []
    if number % 10:
        names = sorted({draw_name(chance) for _ in range(chance.choice([1, 2, 3]))})
        where.append(f"event IN {sql_list(names)}" if len(names) > 1 else f"event = '{names[0]}'")
    else:
        where += [draw_range(chance), draw_text(chance)]
    where += [draw_range(chance), draw_range(chance), draw_either(chance), draw_not(chance)]
    names = sorted(chance.sample(list(COLUMNS), 3))
    select = ", ".join([*FIXED_COLUMNS, *(f"{COLUMNS[name]} AS {name}" for name in names)])
    conditions = "\n  AND ".join(where)
    return (
        f"-- rule: h{number:05d}\nINSERT INTO topic_{number % 200:03d}\nSELECT {select}\nFROM app_events\nWHERE {conditions};\n"
    )


def rules(count: int, seed: int = SEED) -> str:
    """The text of a file of rules."""
    chance = random.Random(seed)
    return "\n".join(draw_rule(chance, number) for number in range(count))
