"""What tests of Protobuf share: protoc, buf, message classes, and generated schemas."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import strategies as st

from headwater.core.types import BIGINT, SCALARS, VARCHAR, DataType, ListOf, Scalar, StructOf

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6) | st.sampled_from(
    ["a", "b", "a_b", "aB", "Ab", "A", "message", "optional", "string", "reserved", "google", "items", "Item", "1a", "unit price"]
)


def structs(inner: st.SearchStrategy[DataType]) -> st.SearchStrategy[StructOf]:
    pairs = st.lists(st.tuples(NAMES, inner), min_size=1, max_size=5, unique_by=lambda one: one[0].casefold())
    return pairs.map(lambda fields: StructOf(tuple(fields)))


TYPES: st.SearchStrategy[DataType] = st.recursive(
    st.sampled_from([Scalar(name) for name in SCALARS]),
    lambda inner: st.builds(ListOf, inner) | structs(inner),
    max_leaves=8,
)
ROWS = structs(TYPES)
SMALL_ROWS = structs(st.sampled_from([BIGINT, VARCHAR, ListOf(BIGINT), StructOf((("x", BIGINT), ("y", VARCHAR)))]))


def message_class(files: dict[str, str], name: str, directory: Path) -> Any:
    """The class that the official library makes of a message; what it holds is compiled by protoc."""
    directory.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (directory / file).write_text(text, encoding="utf-8")
    stored = directory / "descriptors.pb"
    command = [sys.executable, "-m", "grpc_tools.protoc", "--proto_path=.", "--include_imports", f"--descriptor_set_out={stored}"]
    done = subprocess.run([*command, *files], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + str(files)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(stored.read_bytes()).file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def buf_breaking(before: dict[str, str], after: dict[str, str], directory: Path) -> str:
    """What buf finds between two states of the same files; empty where nothing breaks the wire format."""
    buf = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
    if buf is None:
        pytest.skip("no buf (PyPI: buf-bin)")
    for name, files in (("before", before), ("after", after)):
        shutil.rmtree(directory / name, ignore_errors=True)
        (directory / name).mkdir(parents=True)
        for file, text in files.items():
            (directory / name / file).write_text(text, encoding="utf-8")
    config = json.dumps({"version": "v2", "breaking": {"use": ["WIRE"]}})
    command = [buf, "breaking", "--config", config, "--against", "../before", "."]
    done = subprocess.run(command, cwd=directory / "after", capture_output=True, text=True, check=False)
    assert bool(done.returncode) == bool(done.stdout), done
    return done.stdout + done.stderr
