"""The documentation: its links, and the files of the project that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from support.paths import ROOT, TESTS

PAGES = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md")])

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

#: A path below a folder of the project, in backquotes; what follows a blank or :: is not part of it.
NAMED = re.compile(r"`((?:pymilk|tests|docs|benchmarks|typing_tests)/[\w./*-]+)")

#: A test, perhaps with a star and parameters, or a file of tests.
TESTED = re.compile(r"`(test_[\w*.]+)(?:\[[^`]*\])?`")

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="needs the sources")


def text_of(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)


def anchors(page: Path) -> Iterator[str]:
    """Tell the anchors of a page's headings, as GitHub makes them."""
    for heading in re.findall(r"^#+ (.*)$", text_of(page), re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        yield re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(text_of(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # it names what there was
    for name in NAMED.findall(text_of(page)):
        assert list(ROOT.glob(name.rstrip("./"))), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_are_named_exist(page: Path) -> None:
    files = list(TESTS.rglob("test_*.py"))
    known = {path.name for path in files}
    known.update(name for path in files for name in re.findall(r"def (test_\w+)", path.read_text()))
    for name in TESTED.findall(text_of(page)):
        pattern = name.replace("...", "*")
        assert any(fnmatch(each, pattern) for each in known), name


# -- what CONTRIBUTING.md says of the house --------------------------------------------------------


def section(heading: str) -> str:
    """Return a section of CONTRIBUTING.md."""
    return (ROOT / "CONTRIBUTING.md").read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]


def test_walks_of_a_frame_name_what_there_is() -> None:
    walks = section("Where a frame goes").split("\n**")[1:]
    assert len(walks) == 3
    for walk in walks:
        steps = walk.partition("**")[2]
        named = re.findall(r"`([\w/<>]+\.(?:pyx|pxd|py|h))`", steps)
        files = [path for name in named for path in (ROOT / "pymilk").rglob(name.replace("<format>", "*"))]
        assert len(files) >= len(named) > 2, walk
        for name in named:
            assert any(path.match(name.replace("<format>", "*")) for path in files), name
        code = "\n".join(path.read_text() for path in files)
        for name in re.findall(r"`([A-Za-z_][\w.]*)`", steps):
            assert name in named or all(re.search(rf"\b{part}\b", code) for part in name.split(".")), name


def test_floors_are_those_that_are_checked() -> None:
    contract = re.search(r'name = "Floors".*?layers = \[(.*?)\]', (ROOT / "pyproject.toml").read_text(), re.S)
    assert contract is not None
    layers = re.findall(r'"([^"]+)"', contract[1])[::-1]
    level = {room: at for at, layer in enumerate(layers) for room in re.split(r"[ |]+", layer)}
    rows = re.findall(r"^\| \d+ \| (.*?) \|(.*?)\|$", section("The house"), re.M)
    told = [
        [level[room] for room in re.findall(r"`(\w+)/?`", words + what if at < 2 else words) if room in level]
        for at, (words, what) in enumerate(rows)
    ]
    assert len([room for row in told for room in row]) >= 30
    highest = 0
    for row in filter(None, told):
        assert min(row) >= highest, row
        highest = max(row)
