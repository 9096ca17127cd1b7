"""The Protobuf side of a project on disk: numbers for the lock file, and the `.proto` files of its datasets."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headwater.core.errors import ProjectError
from headwater.core.files import replace_file
from headwater.registry.numbers import LOCK_FILE
from headwater.registry.project import draft_of, examine, load, refused


class WrittenProtos(msgspec.Struct, frozen=True):
    """What was written: the fields that got numbers, by dataset, and the `.proto` files by name. ``changed``: files that differ
    from what was there."""

    numbered: dict[str, list[str]]
    files: dict[str, str]
    changed: list[str]


def write_protos(directory: Path, output: Path, *, only_check: bool = False) -> WrittenProtos:
    """Gives numbers to new fields, keeps them in the lock file, and writes the `.proto` files of all Protobuf datasets.

    ``only_check`` writes nothing and tells what would change. Raises ProjectError with all findings where the project has errors
    or a field has changed its type.
    """
    project = load(directory)
    drafted = draft_of(project)
    if drafted.draft is None:
        raise refused(drafted.findings)
    draft, numbers = drafted.draft, drafted.encoder.numbers
    numbered: dict[str, list[str]] = {}
    for name, row in drafted.encoder.generated(draft.datasets, draft.rules, draft.sources).items():
        new = [".".join(where) for where, _, known in numbers.misfits(name, row) if known is None]
        try:
            numbers.assign(name, row)
        except ValueError:
            continue  # `examine` finds the same, with its place.
        if new:
            numbered[name] = new
    lock = numbers.text() if numbers.structs else None
    examined = examine(msgspec.structs.replace(project, numbers=lock))
    if examined.draft is None:
        raise refused(examined.findings)
    descriptors = [dataset.descriptor for dataset in examined.draft.datasets if dataset.descriptor is not None]
    files = dict(file for descriptor in descriptors for file in descriptor.files)
    wanted = {directory / LOCK_FILE: lock} if lock is not None else {}
    wanted |= {output / name: text for name, text in files.items()}
    changed = {path: text for path, text in wanted.items() if _text(path) != text}
    if not only_check:
        _write(changed)
    return WrittenProtos(numbered, files, [str(path) for path in changed])


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, text.encode())
        except OSError as error:
            raise ProjectError(f"{path}: cannot be written: {error.strerror}") from None
