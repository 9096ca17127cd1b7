"""Where the log lies that a command is about, and opening it: for looking only, or to write."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias

import structlog
import typer

from headwater.core.errors import LogError
from headwater.log.follow import last_manifests
from headwater.log.ledger import object_name
from headwater.log.manifest import decode_manifest
from headwater.log.named_storage import NamedStorage
from headwater.log.shared import LogSettings, SharedLog, open_log
from headwater.log.storage import Storage
from headwater.log.stores.place import storage_at
from headwater.log.stores.read_only import ReadOnlyStorage
from headwater.log.takeover import Sites
from headwater.registry.project import SETTINGS_FILE, load

UNNAMED = "local"
"""The site of a project that names none."""

ProjectOption: TypeAlias = Annotated[
    Path | None, typer.Option("--project", metavar="DIR", help="The project whose log it is; here if left out.")
]
LogOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        metavar="[NAME=]PLACE",
        help="Where the log lies, in place of a project: a directory, or s3://, gs://, az://, hdfs://. Once for each site.",
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")]


class Place(NamedTuple):
    """A log: its places by the names of its sites, the site to read from, and the project, where it is one's."""

    sites: Mapping[str, str]
    witnesses: Mapping[str, str]
    first: str
    project: Path | None

    def storages(self, read_only: bool) -> tuple[dict[str, Storage], dict[str, Storage]]:
        """Sites and witnesses. Raises LogError where one's client is not installed."""
        found: list[dict[str, Storage]] = [
            {name: storage_at(place) for name, place in places.items()} for places in (self.sites, self.witnesses)
        ]
        if read_only:
            found = [{name: ReadOnlyStorage(storage) for name, storage in storages.items()} for storages in found]
        return found[0], found[1]


def find_log(project: Path | None, places: list[str] | None) -> Place:
    """The log that the options name. Raises ProjectError, LogError, typer.BadParameter."""
    if places:
        if project is not None:
            raise typer.BadParameter("--log and --project exclude each other: a project says where its log lies")
        return _given(places)
    directory = project or Path()
    settings = load(directory).settings.log
    return Place(settings.sites, settings.witnesses, settings.site, directory)


def _given(places: list[str]) -> Place:
    sites: dict[str, str] = {}
    for text in places:
        name, place = _split(text)
        place = place.rstrip("/") or place
        if not name and len(places) > 1:
            raise typer.BadParameter(f"of several sites each has its name: --log NAME={text}")
        if not place:
            raise typer.BadParameter(f"--log takes a directory or URL, such as data/log or s3://name.example/log; got {text!r}")
        if "://" not in place and (Path(place) / SETTINGS_FILE).exists():
            raise typer.BadParameter(f"{place} is a project, not a log: --project {place}")
        if name in sites or place in sites.values():
            raise typer.BadParameter(f"--log names {name or place} twice")
        sites[name or _name_of(place)] = place
    return Place(sites, {}, next(iter(sites)), None)


def _split(text: str) -> tuple[str, str]:
    name, equals, place = text.partition("=")
    return (name, place) if equals and name and "/" not in name else ("", text)


def _name_of(place: str) -> str:
    """The name under which the manifests of a log know the only site that was given."""
    names = _member_names({"": ReadOnlyStorage(storage_at(place))})
    if not names or UNNAMED in names:
        return UNNAMED
    if len(names) == 1:
        return next(iter(names))
    raise typer.BadParameter(
        f"the log at {place} has the sites {', '.join(sorted(names))}; say which this is: --log NAME={place}"
    )


def _member_names(sites: Mapping[str, Storage]) -> set[str]:
    """The sites that the last manifests of all shards name."""
    named = Sites(tuple(NamedStorage(name, storage) for name, storage in sites.items()))
    names = set()
    for storage in named.storages:
        for part in storage.list(""):
            shard = part.removesuffix("/")
            for number, data in last_manifests(shard, named)[-1:]:
                manifest = decode_manifest(data, number, object_name(f"{shard}/manifest", number))
                names |= {member.site for member in manifest.members}
    return names


@contextlib.contextmanager
def reading(place: Place, follows: bool = False) -> Iterator[SharedLog]:
    """The log, to look at: nothing of it is changed, and no shard taken over. With ``follows`` it sees what is appended.

    Raises LogError where there is none.
    """
    _say_to_stderr()
    check_place(place)
    sites, witnesses = place.storages(read_only=True)
    log = open_log(sites, witnesses, LogSettings(first=place.first, follows=follows))
    try:
        yield log
    finally:
        log.close()


def check_place(place: Place) -> None:
    """Raises LogError where the only site is a directory that is not there; of several sites some may be lost."""
    path = next(iter(place.sites.values()))
    if len(place.sites) == 1 and "://" not in path and not Path(path).is_dir():
        raise LogError(f"there is no log at {path}{' yet: `headwater up` begins it' if place.project else ''}")


@contextlib.contextmanager
def writing(place: Place) -> Iterator[SharedLog]:
    """The log, to append to. Raises LogError where it has sites that are not among those given."""
    _say_to_stderr()
    check_all_sites(place)
    sites, witnesses = place.storages(read_only=False)
    # It follows, so that others see the last append before there is another one.
    log = open_log(sites, witnesses, LogSettings(first=place.first, host="headwater log"))
    try:
        yield log
    finally:
        log.close()


def check_all_sites(place: Place) -> None:
    """Raises LogError where the log's manifests name sites that were not given.

    Who writes with too few of a log's sites takes a minority of them for the majority.
    """
    sites, _ = place.storages(read_only=True)
    unknown = sorted(_member_names(sites) - set(sites))
    if unknown:
        raise LogError(
            f"the log has the site {', '.join(unknown)} as well, and is written with all of its sites and witnesses only: "
            "name its project, or all sites with --log NAME=PLACE"
        )


def named_sites(place: Place, read_only: bool) -> Sites:
    """The sites and witnesses, by their names."""
    sites, witnesses = place.storages(read_only)
    return Sites(
        tuple(NamedStorage(name, storage) for name, storage in sites.items()),
        tuple(NamedStorage(name, storage) for name, storage in witnesses.items()),
    )


def _say_to_stderr() -> None:
    """What the log reports belongs to standard error, where it is not among the records."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(colors=False)],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
