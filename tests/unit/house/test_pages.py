"""The documentation's pages: links lead somewhere, and the change log has a place for what comes next."""

import re
from pathlib import Path

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)


def without_code(text: str) -> str:
    """The page with code blanked out; line numbers stay."""
    text = FENCE.sub(lambda block: "\n" * block.group().count("\n"), text)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(text: str) -> set[str]:
    """The fragments that headings give, as GitHub makes them."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(name: str, path: Path, text: str) -> list[str]:
    offences = []
    bare = without_code(text)
    for found in LINK.finditer(bare):
        target, _, fragment = found.group(1).partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        place = f"{name}:{bare.count(chr(10), 0, found.start()) + 1}"
        aim = (path.parent / target).resolve() if target else path
        if not aim.exists():
            offences.append(f"{place}: the link to {target!r} leads nowhere")
        elif fragment and aim.suffix == ".md" and fragment not in anchors(aim.read_text()):
            offences.append(f"{place}: {target or name} has no heading {fragment!r}; it has {sorted(anchors(aim.read_text()))}")
    return offences


def test_every_relative_link_leads_somewhere(tree):
    offences = []
    for path in tree.ending(".md"):
        offences += broken_links(tree.name(path), path, path.read_text())
    assert not offences, "\n".join(offences)


def test_broken_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A b, c!\n[a](#a-b-c) [b](#none)\n`[c](code.md)`\n```\n[d](code.md)\n```\n[e](gone.md) [f](page.md)\n")
    found = broken_links("page.md", page, page.read_text())
    assert [offence.split(": ")[0] for offence in found] == ["page.md:2", "page.md:7"]


def test_the_change_log_has_an_unreleased_section(tree):
    headings = HEADING.findall((tree.root / "CHANGELOG.md").read_text())
    assert "Unreleased" in [heading.strip("[]") for heading in headings], "CHANGELOG.md has no heading `## Unreleased`"
