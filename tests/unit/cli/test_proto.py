"""`headwater proto`: what it writes, what it says, and its exit codes."""

from pathlib import Path

from headwater.cli.main import run
from headwater.registry.template import write_project


def test_numbers_and_files_are_written_once(tmp_path: Path, capsys) -> None:
    shop = tmp_path / "shop"
    write_project(shop)
    assert run(["proto", str(shop)]) == 0
    assert "no dataset is in Protobuf" in capsys.readouterr().out
    plan = shop / "plan/demo.toml"
    plan.write_text(plan.read_text() + '\n[[dataset]]\nname = "orders"\nencoding = "protobuf"\n')
    assert run(["proto", str(shop), "--check"]) == 1
    assert "orders: no number for event_id, order_id" in capsys.readouterr().out
    assert run(["proto", str(shop)]) == 0
    assert f"wrote {shop / 'proto/orders.proto'}" in capsys.readouterr().out
    assert run(["proto", str(shop), "--check"]) == 0
    assert capsys.readouterr().out == "nothing has changed\n"
    (shop / "plan/numbers.lock").write_text("format = 7\n")
    assert run(["proto", str(shop)]) == 1
    assert "format 7 is not known" in capsys.readouterr().err
