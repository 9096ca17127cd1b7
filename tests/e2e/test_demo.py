"""`headwater demo`, as `make demo` starts it, but shorter."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HEADWATER = Path(sys.executable).with_name("headwater")


def demo(directory, *options):
    return subprocess.run(
        [HEADWATER, "demo", "--dir", directory, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


def test_all_of_it_adds_up(tmp_path):
    done = demo(tmp_path / "demo", "--json", "--seconds", "12", "--users", "800", "--seed", "7")
    report = json.loads(done.stdout)
    assert report["problems"] == []
    assert done.returncode == 0
    assert report["ok"]
    assert set(report["datasets"]) == {
        *("user_actions", "ad_attribution", "exposures", "order_facts", "coupons"),
        *("search_terms", "playback_quality", "shop_events", "dead_letters"),
    }
    assert all(report["datasets"].values())
    assert report["collect"]["dropped"] == {"wrong_key": report["reported"]["mistakes"]["wrong key"]}
    mistakes, dead = report["reported"]["mistakes"], Counter(report["collect"]["dead"])
    del dead["unregistered_event"]
    assert dead.total() == mistakes["malformed body"] + mistakes["malformed line"]
    assert report["etl"]["duplicates"] == report["reported"]["mistakes"]["reported twice"] > 0
    rows = [json.loads(line) for file in (tmp_path / "demo/out/shop_events").glob("*.ndjson") for line in file.open()]
    assert len(rows) == report["datasets"]["shop_events"]
    assert all(row["app"] == "shop" and "hw" not in row for row in rows)
    assert len({row["event_id"] for row in rows}) == len(rows)


def test_what_does_not_add_up_ends_with_1(tmp_path):
    done = demo(tmp_path / "demo", "--exit", "--seconds", "1", "--users", "3")
    assert done.returncode == 1
    assert "The dataset coupons got no rows" in done.stdout


def test_a_directory_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    done = demo(tmp_path, "--exit")
    assert done.returncode == 1
    assert "was not made by `headwater demo`" in done.stderr


def test_its_server_ends_with_it(tmp_path):
    with subprocess.Popen(
        [HEADWATER, "demo", "--dir", tmp_path / "demo", "--users", "20"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        port = int(re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline()).group(1))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass
