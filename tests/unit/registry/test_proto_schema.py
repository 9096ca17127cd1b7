"""Generated `.proto` files: protoc takes every one, and the descriptor says the same as the file."""

from hypothesis import given, settings
from protobufs import ROWS, message_class

from headwater.core.descriptor import descriptor_from_json, descriptor_to_json
from headwater.core.types import BIGINT, JSON, TIMESTAMP, VARCHAR, ListOf, StructOf
from headwater.registry.numbers import Numbers
from headwater.registry.proto_file import descriptor_from_files
from headwater.registry.proto_schema import generated, package_of

PROTO = """\
// The dataset user_actions, as `headwater proto` wrote it from its schema.
syntax = "proto3";

package my_shop;

import "google/protobuf/timestamp.proto";

message UserActions {
  optional string uid = 1;
  optional google.protobuf.Timestamp at = 2;
  repeated int64 ids = 3;
  optional string more = 4;  // JSON
  optional Where where = 5;
  repeated Pairs pairs = 6;
  optional int64 unit_price = 7;  // unit price

  message Where {
    optional int64 x = 1;
  }

  message Pairs {
    repeated int64 items = 1;
  }
}
"""


def shape(descriptor, index=0, seen=()):
    """A descriptor without names and order, which a compiled file may have otherwise."""
    if index in seen:
        return index
    inner = (*seen, index)
    fields = descriptor.messages[index].fields
    return sorted(
        (one.number, one.kind, one.cardinality, one.message >= 0 and shape(descriptor, one.message, inner)) for one in fields
    )


def made(row: StructOf, dataset: str = "user_actions"):
    numbers = Numbers()
    numbers.assign(dataset, row)
    return generated("My shop", dataset, row, numbers)


def test_the_file_of_a_dataset():
    fields = (
        ("uid", VARCHAR),
        ("at", TIMESTAMP),
        ("ids", ListOf(BIGINT)),
        ("more", JSON),
        ("where", StructOf((("x", BIGINT),))),
        ("pairs", ListOf(ListOf(BIGINT))),
        ("unit price", BIGINT),
    )
    assert dict(made(StructOf(fields)).files) == {"user_actions.proto": PROTO}


@settings(max_examples=25)
@given(ROWS)
def test_protoc_takes_every_schema_and_says_what_the_descriptor_says(tmp_path_factory, row):
    descriptor = made(row)
    files = dict(descriptor.files)
    message_class(files, "my_shop.UserActions", tmp_path_factory.mktemp("protoc"))
    compiled = descriptor_from_files(files, "user_actions.proto", "my_shop.UserActions")
    assert shape(compiled) == shape(descriptor)
    assert descriptor_from_json(descriptor_to_json(descriptor)) == descriptor


def test_packages():
    assert [package_of(name) for name in ("shop", "My shop!", "9 lives", "")] == ["shop", "my_shop", "project_9_lives", "project"]
