"""Datasets that the plan says are Protobuf: descriptors in the draft, numbers on disk, and what keeps one from being it."""

import itertools
from pathlib import Path

import pytest
from protobufs import buf_breaking, message_class

from headwater.core.errors import ProjectError, SchemaError
from headwater.registry import project
from headwater.registry.numbers import LOCK_FILE
from headwater.registry.proto_file import descriptor_from_files
from headwater.registry.proto_project import write_protos
from headwater.registry.snapshot import decode, numbered
from headwater.registry.template import write_project

ACTIONS = '\n[[dataset]]\nname = "user_actions"\nencoding = "protobuf"\n'
OWN = '\n[[dataset]]\nname = "orders"\nencoding = "protobuf"\nproto = "order.proto"\nmessage = "shop.v1.Order"\n'
ORDER = """\
syntax = "proto3";
package shop.v1;
message Order {
  string event_id = 1;
  optional string order_id = 2;
  double amount = 3;
  string currency = 4;
  sint64 ts = 5;
  repeated Order more = 6;
  map<string, int64> counts = 7;
  enum State { UNKNOWN = 0; PAID = 1; }
  State state = 8;
}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write_project(tmp_path / "shop")
    return tmp_path / "shop"


def add(shop: Path, text: str) -> None:
    file = shop / "plan/demo.toml"
    file.write_text(file.read_text() + text)


def edit(shop: Path, file: str, before: str, after: str) -> None:
    text = (shop / file).read_text()
    assert before in text
    (shop / file).write_text(text.replace(before, after))


def descriptors(shop: Path):
    return {one.name: one.descriptor for one in project.compile(project.load(shop)).datasets}


def said(shop: Path) -> str:
    return "\n".join(map(str, project.examine(project.load(shop)).findings))


def test_numbers_are_given_by_command_and_kept(shop):
    add(shop, ACTIONS)
    assert "plan/numbers.lock has no number for the field `uid` and 4 more" in said(shop)
    written = write_protos(shop, shop / "proto", only_check=True)
    assert written.numbered == {"user_actions": ["uid", "ts", "action", "item_id", "seconds"]}
    assert not (shop / LOCK_FILE).exists()
    write_protos(shop, shop / "proto")
    assert write_protos(shop, shop / "proto", only_check=True).changed == []
    draft = project.compile(project.load(shop))
    snapshot = numbered(draft, 1, 0)
    assert decode(snapshot.encode()) == snapshot
    found = {one.name: one.descriptor for one in draft.datasets}
    assert found["orders"] is None
    assert found["user_actions"] is not None
    assert [(field.name, field.number) for field in found["user_actions"].root.fields] == [
        ("uid", 1),
        ("ts", 2),
        ("action", 3),
        ("item_id", 4),
        ("seconds", 5),
    ]
    message_class({"user_actions.proto": (shop / "proto/user_actions.proto").read_text()}, "shop.UserActions", shop / "x")


def test_a_column_that_goes_is_reserved_and_comes_back_under_a_new_number(shop, tmp_path):
    add(shop, ACTIONS)
    files = [write_protos(shop, shop / "proto").files]
    column = ",\n       properties.duration_ms / 1000.0 AS seconds"
    edit(shop, "rules/actions.sql", column, "")
    files.append(write_protos(shop, shop / "proto").files)
    assert "reserved 5;" in files[-1]["user_actions.proto"]
    edit(shop, "rules/actions.sql", "'play' AS action", "'play' AS action, properties.duration_ms / 1000.0 AS seconds")
    files.append(write_protos(shop, shop / "proto").files)
    assert "optional double seconds = 6;" in files[-1]["user_actions.proto"]
    for before, after in itertools.pairwise(files):
        assert buf_breaking(before, after, tmp_path / "buf") == ""


def test_a_column_that_changes_its_type_is_refused_with_what_to_do(shop):
    add(shop, ACTIONS)
    write_protos(shop, shop / "proto")
    lock = (shop / LOCK_FILE).read_text()
    edit(shop, "rules/actions.sql", "/ 1000.0 AS seconds", "// 1000 AS seconds")
    text = said(shop)
    assert (
        "the field `seconds` of the Protobuf dataset `user_actions` is BIGINT now, but its number 5 is that of a DOUBLE" in text
    )
    assert "give the field another name, or take it out" in text
    with pytest.raises(ProjectError, match="its number 5 is that of a DOUBLE"):
        write_protos(shop, shop / "proto")
    assert (shop / LOCK_FILE).read_text() == lock


def test_whole_events_have_the_message_of_their_source(shop):
    edit(shop, "rules/orders.sql", "SELECT event_id, ", "SELECT * FROM app_events WHERE event = 'order_paid';\n-- ")
    (shop / "rules/orders.sql").write_text("INSERT INTO orders SELECT * FROM app_events WHERE event = 'order_paid';\n")
    add(shop, ACTIONS.replace("user_actions", "orders"))
    files = write_protos(shop, shop / "proto").files
    assert "message AppEvents {" in files["app_events.proto"]
    descriptor = descriptors(shop)["orders"]
    assert descriptor is not None
    properties = next(field for field in descriptor.root.fields if field.name == "properties")
    assert "order_id" in [field.name for field in descriptor.messages[properties.message].fields]
    message_class(files, "shop.AppEvents", shop / "x")


def test_a_file_of_ones_own(shop):
    add(shop, OWN)
    assert "there is no file order.proto in plan/" in said(shop)
    (shop / "plan/order.proto").write_text(ORDER)
    descriptor = descriptors(shop)["orders"]
    assert descriptor is not None
    fields = {field.name: field for field in descriptor.root.fields}
    assert {name: field.cardinality for name, field in fields.items()} == {
        "event_id": "implicit",
        "order_id": "optional",
        "amount": "implicit",
        "currency": "implicit",
        "ts": "implicit",
        "more": "repeated",
        "counts": "map",
        "state": "implicit",
    }
    assert fields["state"].values == ((0, "UNKNOWN"), (1, "PAID"))
    assert fields["more"].message == 0
    assert write_protos(shop, shop / "proto").files == {"order.proto": ORDER}


MISFITS = [
    ("double amount = 3", "float amount = 3", "`amount` is DOUBLE, which the field's float cannot hold; it takes double"),
    (
        "string event_id = 1",
        "repeated string event_id = 1",
        "`event_id` is VARCHAR, but the field of the message is repeated string",
    ),
    ("string currency = 4;", "", "has no field `currency`"),
    ("sint64 ts = 5", "int32 ts = 5", "it takes int64 or sint64 or sfixed64"),
    ("message Order {", "message Ordr {", "order.proto has no message 'shop.v1.Order'; it has shop.v1.Ordr"),
    ("package shop.v1;", "package shop.v1", "order.proto:3:1"),
]


@pytest.mark.parametrize(("before", "after", "text"), MISFITS)
def test_a_file_of_ones_own_that_does_not_fit(shop, before, after, text):
    add(shop, OWN)
    own = ORDER.replace("repeated Order more = 6;", "")
    (shop / "plan/order.proto").write_text(own.replace(before, after))
    assert text in said(shop)


def test_an_import_is_carried_along(shop):
    (shop / "plan/item.proto").write_text('syntax = "proto3"; package shop.v1; message Item { string sku = 1; }')
    text = ORDER.replace("package shop.v1;", 'package shop.v1; import "item.proto";').replace("repeated Order", "repeated Item")
    found = descriptor_from_files(
        {"order.proto": text, "item.proto": (shop / "plan/item.proto").read_text()}, "order.proto", "shop.v1.Order"
    )
    assert [one.name for one in found.messages][:2] == ["shop.v1.Order", "shop.v1.Item"]
    assert [name for name, _ in found.files] == ["item.proto", "order.proto"]
    with pytest.raises(SchemaError, match=r"item\.proto"):
        descriptor_from_files({"order.proto": text}, "order.proto", "shop.v1.Order")


WRONG = [
    ('name = "gone"\nencoding = "protobuf"', "no rule writes the dataset 'gone'"),
    ('name = "app_events"\nencoding = "protobuf"', "is the source, which the collector writes as JSON"),
    ('name = "orders"\nencoding = "avro"', "encoding is 'json' or 'protobuf'; got 'avro'"),
    ('name = "orders"\nencoding = "protobuf"\nproto = "o.proto"', "go together"),
    ('name = "orders"\nproto = "o.proto"\nmessage = "a.B"', 'goes with encoding = "protobuf"'),
    ('name = "orders"\nencoding = "protobuf"\nproto = "../o.proto"\nmessage = "a.B"', "is the name of a .proto file in plan/"),
    ('name = "orders"\nencoding = "protobuf"\nproto = "o.proto"\nmessage = "a b"', "is a full name"),
    ('name = "orders"\n[[dataset]]\nname = "orders"', "the dataset 'orders' stands twice"),
]


@pytest.mark.parametrize(("text", "finding"), WRONG)
def test_what_a_plan_cannot_say(shop, text, finding):
    add(shop, f"\n[[dataset]]\n{text}\n")
    assert finding in said(shop)
