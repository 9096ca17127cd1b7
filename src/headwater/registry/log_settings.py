"""The table `[log]` of headwater.toml: where the log lies, and into how many key classes it is divided."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from headwater.core.limits import KEY_CLASSES_MAX, LOG_SITES_MAX
from headwater.registry.toml_file import Table, one_of
from headwater.rules.findings import did_you_mean

SCHEMES = ("s3", "gs", "az", "hdfs")
"""Of places that are no directories."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_LOCAL = "local"


class LogSettings(msgspec.Struct, frozen=True):
    """``sites`` and ``witnesses`` are places by name: the absolute path of a directory, or a URL. ``site`` is read first."""

    sites: dict[str, str]
    site: str
    witnesses: dict[str, str] = {}
    key_classes: int = 1


def local(data_dir: Path) -> LogSettings:
    """Those of a project that says nothing: one site, in the data directory."""
    return LogSettings({_LOCAL: str((data_dir / "log").absolute())}, _LOCAL)


def read_log_settings(table: Table, directory: Path, data_dir: Path) -> LogSettings:
    """Reads `[log]` of a project in ``directory``; what is wrong is found in the table's file."""
    usual = local(data_dir)
    if "log" not in table.value:
        table.get("log", None)
        return usual
    log = Table(table.file, (*table.path, "log"), table.get("log"), "[log]")
    key_classes = log.integer("key_classes", 1, 1, KEY_CLASSES_MAX)
    sites = _places(log, "sites", directory) or usual.sites
    witnesses = _places(log, "witnesses", directory)
    first = next(iter(sites))
    site = log.text("site", first) or first
    log.done()
    if site not in sites:
        log.say("site", "wrong_value", f"site is {one_of(tuple(sites))}; got {site!r}", did_you_mean(site, tuple(sites)))
    twice = [name for name in witnesses if name in sites or witnesses[name] in sites.values()]
    for name in twice:
        log.say("witnesses", "wrong_value", f"the witness {name!r} is a site as well; a witness is a place of its own")
    return LogSettings(sites, site, witnesses, key_classes)


def _places(log: Table, key: str, directory: Path) -> dict[str, str]:
    if key not in log.value:
        log.get(key, None)
        return {}
    table = Table(log.file, (*log.path, key), log.get(key), f"[log.{key}]")
    if table.value == {} or len(table.value) > LOG_SITES_MAX:
        log.say(key, "wrong_value", f"{key} are from 1 to {LOG_SITES_MAX} places by name; got {len(table.value)}")
    places: dict[str, str] = {}
    for name in table.value:
        place = _place(table, name, directory)
        if not _NAME.fullmatch(name):
            table.say(name, "wrong_value", f"{name!r} is no name; valid are at most 50 of a-z 0-9 _ -, a letter or digit first")
        elif place in places.values():
            table.say(name, "wrong_value", f"{name} is the same place as another; each has a place of its own")
        elif place:
            places[name] = place
    return places


def _place(table: Table, name: str, directory: Path) -> str:
    text = table.text(name)
    if not text:
        return ""
    url = _URL.fullmatch(text)
    if url is None:
        return str((directory / text).absolute())
    if url[1] not in SCHEMES:
        table.say(name, "wrong_value", f"{name} is a directory or begins with {one_of([f'{each}://' for each in SCHEMES])}")
    elif not url[2].strip("/"):
        table.say(name, "wrong_value", f"{name} has nothing behind {url[1]}://")
    elif "@" in url[2].split("/")[0]:
        table.say(name, "wrong_value", f"{name} holds a user name or password; name them in the environment of the process")
    return text.rstrip("/")
