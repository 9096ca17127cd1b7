"""The project on disk: headwater.toml, plan/*.toml (also *.proto and numbers.lock), rules/*.sql and udfs/*.py, made a draft."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from headwater.core.errors import ProjectError
from headwater.core.limits import UDF_BATCH_MS_MAX
from headwater.registry.encoding import Encoder
from headwater.registry.json_schema import DATASET_NAME
from headwater.registry.log_settings import LogSettings, local, read_log_settings
from headwater.registry.numbers import LOCK_FILE, read_numbers
from headwater.registry.plan import Plan
from headwater.registry.snapshot import Draft
from headwater.registry.toml_file import Table, TomlFile
from headwater.registry.udfs import examine_udfs
from headwater.rules import Cache, Finding, compile_files
from headwater.rules.compiler import DEAD_LETTERS

SETTINGS_FILE = "headwater.toml"
_MODES = ("file-led",)


class Settings(msgspec.Struct, frozen=True):
    """What headwater.toml says. All but ``name`` and ``source`` belongs to the process and is read at its start."""

    name: str
    mode: str
    source: str
    host: str
    port: int
    data_dir: Path
    out_dir: Path
    log: LogSettings
    udf_batch_ms_max: int = UDF_BATCH_MS_MAX


class Project(msgspec.Struct, frozen=True):
    """What the files of a project said when they were read: texts by their names within ``directory``."""

    directory: Path
    settings: Settings
    plan: dict[str, str]
    rules: dict[str, str]
    findings: tuple[Finding, ...] = ()
    protos: dict[str, str] = {}
    numbers: str | None = None
    udfs: dict[str, str] = {}


class Examined(msgspec.Struct, frozen=True):
    """Everything found in a project, and the draft: None where any finding is an error."""

    draft: Draft | None
    findings: tuple[Finding, ...]


def load(directory: Path) -> Project:
    """Reads a project's files. Raises ProjectError where there is none, or headwater.toml is not valid."""
    settings_file = directory / SETTINGS_FILE
    try:
        text = settings_file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ProjectError(
            f"{directory} is no project: it has no {SETTINGS_FILE}. `headwater init {directory}` writes one"
        ) from None
    except OSError as error:
        raise ProjectError(f"{settings_file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ProjectError(f"{settings_file}: not UTF-8 at byte {error.start}") from None
    settings, findings = _settings(directory, text)
    if findings:
        raise refused(findings)
    unread: list[Finding] = []
    plan = _texts(directory, "plan", ".toml", unread)
    rules = _texts(directory, "rules", ".sql", unread)
    protos = {name.removeprefix("plan/"): text for name, text in _texts(directory, "plan", ".proto", unread).items()}
    numbers = _texts(directory, "plan", ".lock", unread).get(LOCK_FILE)
    udfs = _texts(directory, "udfs", ".py", unread)
    return Project(directory, settings, plan, rules, tuple(unread), protos, numbers, udfs)


def examine(project: Project, cache: Cache | None = None) -> Examined:
    """Compiles a project and says everything that is wrong with it; warnings do not keep it from running.

    The ``cache`` of an earlier call saves what has not changed from being compiled again.
    """
    drafted = draft_of(project, cache)
    if drafted.draft is None:
        return Examined(None, drafted.findings)
    draft = drafted.draft
    datasets = drafted.encoder.encode(draft.datasets, draft.rules, draft.sources)
    misfits = drafted.plan.findings()
    if misfits:
        return Examined(None, (*drafted.findings, *misfits))
    return Examined(msgspec.structs.replace(draft, datasets=datasets), drafted.findings)


class Drafted(msgspec.Struct, frozen=True):
    """A project whose rules are compiled and whose datasets have no encoding yet; ``draft`` is None where there are errors."""

    draft: Draft | None
    findings: tuple[Finding, ...]
    plan: Plan
    encoder: Encoder


def draft_of(project: Project, cache: Cache | None = None) -> Drafted:
    """Compiles plan and rules; ``cache`` as for `examine`."""
    plan = Plan()
    for file, text in project.plan.items():
        plan.read(file, text)
    numbers, unread = read_numbers(project.numbers)
    settings = project.settings
    encoder = Encoder(settings.name, plan.datasets, numbers, project.protos)
    udfs, misdeclared = examine_udfs(project.udfs, cache)
    findings = [*project.findings, *plan.finish(), *unread, *misdeclared]
    if any(finding.severity == "error" for finding in findings):
        # Rules would be told of fields that are missing only because their plan could not be read.
        return Drafted(None, tuple(findings), plan, encoder)
    if not any(app.write_keys for app in plan.apps):
        message = "no app has a write key, so nothing can be reported"
        hint = "plan/*.toml holds apps: [[app]] with name, owner and write_keys"
        findings.append(Finding("warning", "no_write_key", message, next(iter(project.plan), "plan"), 1, 1, 1, "", hint))
    draft = Draft(
        project=settings.name, source=settings.source, apps=tuple(plan.apps), event_types=tuple(plan.event_types), udfs=udfs
    )
    compiled = compile_files(project.rules, draft.sources, cache, udfs)
    findings += compiled.findings
    if any(finding.severity == "error" for finding in findings):
        return Drafted(None, tuple(findings), plan, encoder)
    return Drafted(
        msgspec.structs.replace(draft, rules=compiled.rules, datasets=compiled.datasets), tuple(findings), plan, encoder
    )


def compile(project: Project) -> Draft:
    """The draft of a project without errors. Raises ProjectError with all findings."""
    examined = examine(project)
    if examined.draft is None:
        raise refused(examined.findings)
    return examined.draft


def refused(findings: Iterable[Finding]) -> ProjectError:
    """The error that says all findings, errors first."""
    ordered = tuple(sorted(findings, key=lambda finding: finding.severity != "error"))
    return ProjectError("\n\n".join(map(str, ordered)), ordered)


def _settings(directory: Path, text: str) -> tuple[Settings, list[Finding]]:
    toml = TomlFile(SETTINGS_FILE, text)
    if toml.findings:
        return Settings("", "", "", "", 0, directory, directory, local(directory)), toml.findings
    table = Table(toml, (), toml.content, SETTINGS_FILE)
    settings = Settings(
        name=table.text("name"),
        mode=table.text("mode", "file-led", valid=_MODES),
        source=table.text("source", "app_events"),
        host=table.text("host", "127.0.0.1"),
        port=table.integer("port", 8080, 0, 65535),
        data_dir=directory / table.text("data_dir", "data"),
        out_dir=directory / table.text("out_dir", "out"),
        log=local(directory),
        udf_batch_ms_max=table.integer("udf_batch_ms_max", UDF_BATCH_MS_MAX, 1, 3_600_000),
    )
    settings = msgspec.structs.replace(settings, log=read_log_settings(table, directory, settings.data_dir))
    table.done()
    if settings.source and not DATASET_NAME.fullmatch(settings.source):
        valid = "valid are letters, digits and _, not beginning with a digit"
        table.say("source", "wrong_value", f"{settings.source!r} is not the name of a dataset; {valid}")
    if settings.source == DEAD_LETTERS:
        table.say("source", "wrong_value", f"{DEAD_LETTERS!r} is the dataset of what was refused; name another source")
    taken = {directory, directory / "plan", directory / "rules", directory / "udfs"}
    for key, place, other in (
        ("data_dir", settings.data_dir, settings.out_dir),
        ("out_dir", settings.out_dir, settings.data_dir),
    ):
        if place in taken or place == other:
            table.say(key, "wrong_value", f"{key} is a directory of its own; got {place.name!r}")
    return settings, toml.findings


def _texts(directory: Path, part: str, suffix: str, unread: list[Finding]) -> dict[str, str]:
    texts = {}
    try:
        entries = [entry.name for entry in os.scandir(directory / part)]
    except FileNotFoundError:
        return {}
    except OSError as error:
        unread.append(Finding("error", "not_read", f"cannot be read: {error.strerror}", part, 1, 1, 1, ""))
        return {}
    for file in sorted(directory / part / entry for entry in entries if entry.endswith(suffix) and not entry.startswith(".")):
        name = f"{part}/{file.name}"
        try:
            if file.exists() and not (file.is_file() or file.is_dir()):
                raise OSError(errno.EINVAL, "Is a pipe or device")  # Reading it may never end.
            texts[name] = file.read_bytes().decode("utf-8").removeprefix("\ufeff")
        except OSError as error:
            unread.append(Finding("error", "not_read", f"cannot be read: {error.strerror}", name, 1, 1, 1, ""))
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            unread.append(Finding("error", "not_utf8", f"not UTF-8: byte {error.start}", name, line, 1, 1, ""))
    return texts
