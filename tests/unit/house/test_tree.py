"""What no tracked file may hold: hosts that readers cannot reach, paths of one machine, numbers of issues, lock files."""

import re
from pathlib import Path

# Hosts that a tracked file may name: loopback, reserved names, and the references that the documentation links to.
HOSTS_ALLOWED = re.compile(
    r"""(localhost|127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0
    |([\w-]+\.)*(example|invalid|test|localhost)
    |([\w-]+\.)*example\.(com|org|net)
    |(www\.)?(apache|rfc-editor|json-schema|w3|keepachangelog|semver|schema)\.org
    |arrow\.apache\.org
    |(www\.)?duckdb\.org
    |(www\.)?segment\.com
    |api\.segment\.io
    |docs\.snowplow\.io
    |opentelemetry\.io
    |(www\.)?github\.com
    )$""",
    re.VERBOSE,
)
LOCK_FILES = {"uv.lock", "Cargo.lock", "package-lock.json", "pnpm-lock.yaml", "yarn.lock", "poetry.lock"}
# Spelled with classes, so that this file does not offend itself.
MACHINE_PATH = re.compile(r"(?<![\w.@-])[/](?:root|work|home/[a-z]\w*|tmp/[w]t)[/]")
ISSUE = re.compile(r"(?:^|[\s(])#\d{1,5}\b|\b(?:issue|ticket|pull request|PR) ?#?\d+", re.IGNORECASE)
PROSE = (".md", ".py", ".pyi", ".rs", ".toml", ".sh", ".sql", "")


def offences_of(
    texts: list[tuple[str, str]], pattern: re.Pattern[str], why: str, allowed: re.Pattern[str] | None = None
) -> list[str]:
    offences = []
    for name, text in texts:
        for number, line in enumerate(text.splitlines(), 1):
            for found in pattern.finditer(line):
                if not (allowed and allowed.match(found.group(1))):
                    offences.append(f"{name}:{number}: {found.group().strip()!r}: {why}")
    return offences


def test_only_known_hosts(tree):
    url = re.compile(r"\b\w[\w+]*://(?:[^/\s@\"'`<>{}]+@)?([A-Za-z0-9.\[\]:-]*[A-Za-z0-9\]])(?<!:)", re.ASCII)
    texts = [(name, re.sub(r":(\d+|\{\w+\}|PORT)(?=[/\s\"'`)]|$)", "", text)) for name, text in tree.texts()]
    offences = offences_of(texts, url, "a host that is not in HOSTS_ALLOWED of this test", HOSTS_ALLOWED)
    assert not offences, "\n".join(offences)


def test_no_paths_of_one_machine(tree):
    offences = offences_of(tree.texts(), MACHINE_PATH, "a path of one machine; use a relative one")
    assert not offences, "\n".join(offences)


def test_no_issue_numbers(tree):
    texts = [(name, text) for name, text in tree.texts() if Path(name).suffix in PROSE]
    offences = offences_of(texts, ISSUE, "a number of an issue; say what it was about")
    assert not offences, "\n".join(offences)


def test_no_lock_files(tree):
    found = [tree.name(path) for path in tree.files if path.name in LOCK_FILES]
    assert not found, f"lock files name the hosts of package registries and are not tracked: {found}"


def test_the_patterns_find_what_they_should():
    # Each written in two parts, since this file is checked as well.
    assert MACHINE_PATH.search("see /" + "root/x")
    assert MACHINE_PATH.search("`/" + "home/anna/x`")
    assert not MACHINE_PATH.search("https://x.test/a/" + "work/b")
    assert ISSUE.search("as in (#" + "12)")
    assert ISSUE.search("Issue " + "7")
    assert not ISSUE.search("colour: #" + "333333")
    assert not ISSUE.search("# 3 apples")
    assert not HOSTS_ALLOWED.match("evil.test.io")
    assert HOSTS_ALLOWED.match("a.example.com")
