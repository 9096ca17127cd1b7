"""What SQL knows and rules do not: how findings name it, and what to write instead."""

from __future__ import annotations

_JOIN = ("a JOIN", "a rule reads one dataset, event by event")
AGGREGATES_HINT = "a rule sees one event at a time; aggregate in the system that receives the dataset"
_GROUP = ("GROUP BY", AGGREGATES_HINT)
_BITS = ("bit operations", None)
_REGEXP = ("this form of regular expressions", "write regexp_matches(text, 'pattern')")
_ADD = "add an INTERVAL to a TIMESTAMP: x + INTERVAL 5 MINUTE"
_ARROW = ("the JSON arrows -> and ->>", "write a.b or a['b']")

# What a word or symbol stands for where it cannot stand: name, hint.
CONSTRUCTS: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "ASOF", "POSITIONAL", "SEMI", "ANTI"), _JOIN),
    "GROUP": _GROUP,
    "HAVING": ("HAVING", _GROUP[1]),
    "ORDER": ("ORDER BY", "order is promised within a partition only"),
    "LIMIT": ("LIMIT", "a rule is a standing query without an end"),
    "OFFSET": ("OFFSET", "a rule is a standing query without an end"),
    "FETCH": ("FETCH", "a rule is a standing query without an end"),
    "WINDOW": ("WINDOW", "a rule sees one event at a time"),
    "QUALIFY": ("QUALIFY", "a rule sees one event at a time"),
    "OVER": ("a window function", "a rule sees one event at a time"),
    "FILTER": ("FILTER", "a rule sees one event at a time; write the condition into WHERE or CASE"),
    "DISTINCT": ("DISTINCT", "repeats of an event_id are dropped before rules run"),
    "UNION": ("UNION", "write one INSERT INTO for each part: several rules may write one dataset"),
    "INTERSECT": ("INTERSECT", "join the conditions with AND"),
    "EXCEPT": ("EXCEPT", "write the condition with AND NOT; to leave columns out of `*`, write EXCLUDE"),
    "TABLESAMPLE": ("TABLESAMPLE", "sampling belongs to the plan, not to a rule"),
    "USING": ("USING", "sampling belongs to the plan, not to a rule"),
    "RETURNING": ("RETURNING", None),
    "PIVOT": ("PIVOT", None),
    "UNPIVOT": ("UNPIVOT", None),
    "WITH": ("a CTE (WITH)", "write the expression where it is used"),
    "VALUES": ("VALUES", "a rule is INSERT INTO … SELECT … FROM … WHERE …"),
    "EXISTS": ("EXISTS", "a rule reads one dataset, event by event"),
    "SELECT": ("a subquery", "a rule reads one dataset, event by event"),
    "ANY": ("ANY", "write IN (…)"),
    "SOME": ("SOME", "write IN (…)"),
    "ALL": ("ALL", None),
    "ILIKE": ("ILIKE", "write lower(…) LIKE '…'"),
    "SIMILAR": ("SIMILAR TO", _REGEXP[1]),
    "REGEXP": _REGEXP,
    "GLOB": ("GLOB", "write LIKE, with % and _"),
    "ISNULL": ("ISNULL", "write IS NULL"),
    "NOTNULL": ("NOTNULL", "write IS NOT NULL"),
    "AT": ("AT TIME ZONE", "times are in UTC"),
    "COLLATE": ("COLLATE", "texts compare by their bytes; write lower(…) to set letter case aside"),
    "ON": ("ON CONFLICT", None),
    "ARRAY": ("an array literal", None),
    "~": _REGEXP,
    "!~": _REGEXP,
    "~*": _REGEXP,
    "~~": ("the operator ~~", "write LIKE"),
    "~~*": ("the operator ~~*", "write lower(…) LIKE '…'"),
    "~~~": ("the operator ~~~", "write LIKE"),
    "->": _ARROW,
    "->>": _ARROW,
    "#>": _ARROW,
    "#>>": _ARROW,
    "==": ("the operator ==", "write ="),
    "<=>": ("the operator <=>", "write IS NOT DISTINCT FROM"),
    "&": _BITS,
    "|": _BITS,
    "<<": _BITS,
    ">>": _BITS,
    "^": ("the power operator", None),
    "**": ("the power operator", None),
    "^@": ("the operator ^@", "write starts_with(a, b)"),
    "&&": ("the operator &&", "write AND"),
    "!": ("the operator !", "write NOT"),
    "??": ("the operator ??", "write coalesce(a, b)"),
    "@>": ("the operator @>", None),
    "<@": ("the operator <@", None),
    "=>": ("a named argument", "give arguments in their order"),
    ":=": ("a named argument", "give arguments in their order"),
    "?": ("a parameter", "write the value"),
    "$": ("a parameter", "write the value"),
    "@": ("the operator @", None),
    ":": ("a slice", "take one item: list[1]"),
    "{": ("a struct literal", "give each part a column of its own"),
    "[": ("a list literal", "write IN (…) to compare with several values"),
    "+": ("the sign +", "leave it out"),
}

# Statements that a file of rules cannot hold.
STATEMENTS = frozenset(
    (  # noqa: SIM905
        "ALTER ANALYZE ATTACH BEGIN CALL CHECKPOINT COMMENT COMMIT COPY CREATE DELETE DESCRIBE DETACH DROP EXECUTE EXPLAIN "
        "EXPORT FROM IMPORT INSTALL LOAD MERGE PIVOT PRAGMA PREPARE ROLLBACK SELECT SET SHOW SUMMARIZE TRUNCATE UPDATE USE "
        "VACUUM VALUES WITH"
    ).split()
)

# Type names of other systems, and what is meant.
TYPE_NAMES: dict[str, str] = {
    **dict.fromkeys(
        ("INT", "INTEGER", "INT2", "INT4", "INT8", "SMALLINT", "TINYINT", "LONG", "HUGEINT", "UBIGINT", "UINTEGER"), "BIGINT"
    ),
    **dict.fromkeys(("FLOAT", "FLOAT4", "FLOAT8", "REAL", "DECIMAL", "NUMERIC", "NUMBER"), "DOUBLE"),
    **dict.fromkeys(("TEXT", "STRING", "CHAR", "BPCHAR", "NVARCHAR", "UUID", "ENUM"), "VARCHAR"),
    **dict.fromkeys(("BOOL", "LOGICAL"), "BOOLEAN"),
    **dict.fromkeys(("DATE", "DATETIME", "TIMESTAMPTZ", "TIMESTAMP_MS", "TIMESTAMP_S", "TIMESTAMP_NS", "TIME"), "TIMESTAMP"),
    **dict.fromkeys(("MAP", "ROW"), "STRUCT"),
    **dict.fromkeys(("JSONB", "VARIANT", "UNION"), "JSON"),
}

# Functions of other systems that have no namesake here, and what to write.
FUNCTIONS_INSTEAD: dict[str, str] = {
    **dict.fromkeys(("if", "iff", "decode"), "write CASE WHEN … THEN … ELSE … END"),
    **dict.fromkeys(("concat", "concat_ws"), "write a || b"),
    **dict.fromkeys(("now", "today", "current_timestamp", "current_date", "get_current_timestamp"), "write received_time"),
    **dict.fromkeys(("date_add", "dateadd", "timestampadd", "to_days", "to_hours", "to_minutes", "to_seconds"), _ADD),
    **dict.fromkeys(("strptime", "try_strptime", "to_datetime", "parse_timestamp"), "write CAST(x AS TIMESTAMP), or TRY_CAST"),
    "age": "write a - b, and compare it with an INTERVAL; or date_sub('day', b, a)",
    "last_day": "write date_trunc('month', x) + INTERVAL 1 MONTH - INTERVAL 1 DAY",
    **dict.fromkeys(("json_extract", "json_extract_string", "get_json_object", "json_value"), _ARROW[1]),
}

AGGREGATES = frozenset(
    (  # noqa: SIM905
        "any_value arg_max arg_min array_agg avg bit_and bit_or bool_and bool_or count count_if first last list max median "
        "min mode quantile row_number rank dense_rank lag lead ntile string_agg sum stddev variance approx_count_distinct "
        "group_concat histogram"
    ).split()
)
