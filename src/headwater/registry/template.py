"""The project that `headwater init` writes: one app, four event types, three rules."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from headwater.core.errors import ProjectError
from headwater.core.ids import new_write_key

_SETTINGS = """\
# A Headwater project. Start it with `headwater up`. docs: plan/*.toml says what may be reported, rules/*.sql what happens to it.
name = "{name}"
mode = "file-led"        # the plan and the rules are these files; edits take effect within seconds
source = "app_events"    # the dataset that the collector feeds and rules read
host = "127.0.0.1"
port = 8080
data_dir = "data"        # the log and the snapshots
out_dir = "out"          # what rules write: out/<dataset>/*.ndjson
"""

_PLAN = """\
# The tracking plan of the app `demo`.

[[app]]
name = "demo"
owner = "you"
mode = "observe"         # observe: an unregistered event passes, flagged. enforce: it becomes a dead letter
write_keys = ["{write_key}"]

# A field is its type, or a table: {{ type = "…", required = true, description = "…" }}.
# Types: BIGINT, DOUBLE, BOOLEAN, VARCHAR, TIMESTAMP, JSON, STRUCT(name TYPE, …), and TYPE[] for a list.

[[event_type]]
app = "demo"
name = "screen_view"
owner = "you"
tier = "P2"              # P0 is kept first when there is too much of everything, P3 last
description = "A screen or page was shown."
[event_type.properties]
screen = {{ type = "VARCHAR", required = true }}
referrer = "VARCHAR"

[[event_type]]
app = "demo"
name = "video_play"
owner = "you"
tier = "P1"
description = "A video was played, reported when it ends."
[event_type.properties]
video_id = {{ type = "VARCHAR", required = true }}
duration_ms = {{ type = "BIGINT", required = true, description = "Time really watched, in milliseconds." }}
position = {{ type = "BIGINT", description = "Place in the feed, from 0." }}
tags = "VARCHAR[]"

[[event_type]]
app = "demo"
name = "video_like"
owner = "you"
tier = "P1"
description = "A video was liked."
[event_type.properties]
video_id = {{ type = "VARCHAR", required = true }}
position = "BIGINT"

[[event_type]]
app = "demo"
name = "order_paid"
owner = "you"
tier = "P0"
description = "An order was paid."
[event_type.properties]
order_id = {{ type = "VARCHAR", required = true }}
amount = {{ type = "DOUBLE", required = true, description = "In the order's currency." }}
currency = "VARCHAR"
items = "STRUCT(sku VARCHAR, count BIGINT)[]"
"""

_RULES_ACTIONS = """\
-- A rule is one INSERT statement: INTO is where its rows go, WHERE which events match, SELECT what is written.
-- `headwater check` checks these files; a running `headwater up` takes an edit over within seconds.

-- rule: likes
-- owner: you
-- tier: P1
-- description: Who liked which video.
INSERT INTO user_actions
SELECT coalesce(user_id, device_id) AS uid, event_time AS ts, 'like' AS action, properties.video_id AS item_id
FROM app_events
WHERE event = 'video_like';

-- rule: long_plays
-- owner: you
-- tier: P1
-- description: Plays of three seconds and more; two rules may write one dataset.
INSERT INTO user_actions
SELECT coalesce(user_id, device_id) AS uid, event_time AS ts, 'play' AS action, properties.video_id AS item_id,
       properties.duration_ms / 1000.0 AS seconds
FROM app_events
WHERE event = 'video_play' AND properties.duration_ms >= 3000;
"""

_RULES_ORDERS = """\
-- rule: orders
-- owner: you
-- tier: P0
-- description: Every paid order, with the event's own id.
INSERT INTO orders
SELECT event_id, properties.order_id AS order_id, properties.amount AS amount,
       upper(coalesce(properties.currency, 'eur')) AS currency, event_time AS ts
FROM app_events
WHERE event = 'order_paid';
"""

_README = """\
# {name}

Start it:

    headwater up

Report an event with curl (the status page is http://127.0.0.1:8080):

    curl http://127.0.0.1:8080/v1/events -u {write_key}: \\
      -d '{{"event": "video_like", "user_id": "ann", "properties": {{"video_id": "v1", "position": 3}}}}'

or with a Segment library, such as Python's (`pip install segment-analytics-python`):

    import segment.analytics as analytics
    analytics.write_key = "{write_key}"
    analytics.host = "http://127.0.0.1:8080"
    analytics.track("ann", "video_play", {{"video_id": "v1", "duration_ms": 12000}})
    analytics.flush()

What the rules made of it:

    tail -n 3 out/user_actions/*.ndjson

- `plan/demo.toml` says which events the app may report, and its write key.
- `rules/*.sql` say what is written where. Edit them while it runs; `headwater check` says what is wrong with them.
- `data/` holds the log and the snapshots of this configuration, `out/` the datasets.
"""

_GITIGNORE = "/data/\n/out/\n"


class WrittenProject(msgspec.Struct, frozen=True):
    """What was written where. ``kept`` were there before and are untouched."""

    directory: Path
    name: str
    write_key: str
    files: tuple[str, ...]
    kept: tuple[str, ...]


def write_project(directory: Path) -> WrittenProject:
    """Writes the project. Raises ProjectError where the directory has one, or a file of the same name as one of ours."""
    if (directory / "headwater.toml").exists():
        raise ProjectError(f"{directory} has a project already (headwater.toml is there); name another directory")
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", directory.resolve().name).strip("-") or "headwater"
    write_key = new_write_key()
    texts = {
        "plan/demo.toml": _PLAN.format(write_key=write_key),
        "rules/actions.sql": _RULES_ACTIONS,
        "rules/orders.sql": _RULES_ORDERS,
        "README.md": _README.format(name=name, write_key=write_key),
        ".gitignore": _GITIGNORE,
        "headwater.toml": _SETTINGS.format(name=name),
    }
    there = [file for file in texts if (directory / file).exists()]
    kept = tuple(file for file in there if file in ("README.md", ".gitignore"))
    if clash := [file for file in there if file not in kept]:
        raise ProjectError(
            f"{directory} has {', '.join(clash)} already; nothing was written. Name another directory or move it away"
        )
    try:
        for file, text in texts.items():
            if file not in kept:
                (directory / file).parent.mkdir(parents=True, exist_ok=True)
                (directory / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ProjectError(f"{error.filename}: cannot be written: {error.strerror}") from None
    return WrittenProject(directory, name, write_key, tuple(file for file in texts if file not in kept), kept)
