"""What the site and the man pages are made of: names, commands, links."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from support.paths import ROOT

pytest.importorskip("sphinx", reason="needs the extra docs")

pytestmark = pytest.mark.skipif(not (ROOT / "tools").exists(), reason="needs the sources")


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    if not (ROOT / "tools").exists():
        pytest.skip("needs the sources")
    sys.path.insert(0, str(ROOT / "tools"))


@pytest.fixture(scope="module")
def commands() -> list:
    return importlib.import_module("docsite.commands").command_help()


def test_every_public_name_has_its_place() -> None:
    names = importlib.import_module("docsite.names")
    for face in names.faces():
        listed = {*face.classes, *face.functions, *face.errors, *face.values, *face.elsewhere}
        public = {each for each in importlib.import_module(face.name).__all__ if not each.startswith("__")}
        assert public - listed <= {"errors", "times"}, face.name  # faces themselves


def test_every_face_is_on_the_page_of_the_reference() -> None:
    names = importlib.import_module("docsite.names")
    page = (ROOT / "docs" / "api" / "README.md").read_text()
    listed = [line.removeprefix("generated/") for line in page.splitlines() if line.startswith("generated/")]
    assert listed == list(names.FACES)


def test_every_command_has_a_page(commands: list) -> None:
    names = {each.name.partition(" ")[0] for each in commands}
    # These have no parser.
    bare = {"pymilk-exec", "zmq_send", "zmq_recv"}
    scripts = {
        each.name for each in entry_points(group="console_scripts") if each.value.startswith("pymilk.")
    }
    assert names == scripts - bare
    app = importlib.import_module("pymilk.cli.app").app
    assert {f"pymilk {each}" for each in app.list_commands(None)} <= {each.name for each in commands}
    for each in commands:
        assert each.summary, each.name


def test_pages_of_commands_have_all_options(commands: list, tmp_path: Path) -> None:
    importlib.import_module("docsite.commands").write_command_pages(commands, tmp_path)
    page = (tmp_path / "pymilk-record.rst").read_text()
    assert "``--max-frames-per-file N``" in page
    assert "\\*" in page  # NAMES may be patterns: no emphasis
    assert "--colors" not in (tmp_path / "pymilk-show.rst").read_text()  # a hidden, older word


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
def test_man_pages_are_without_a_warning(tmp_path: Path) -> None:
    pages = importlib.import_module("docsite.manpages").write_man_pages(tmp_path)
    assert len(pages) > 30
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Kutf8", "-Tascii", "-P-c", *pages], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert "pymilk record cam0 -o cam0.fits -n 100000 --max-frames-per-file 10000" in " ".join(
        done.stdout.split()
    )


def test_lines_of_man_pages_are_no_requests() -> None:
    pages = importlib.import_module("docsite.manpages")
    help_of = importlib.import_module("docsite.commands").CommandHelp
    text = pages.man_page(help_of("x", "NAME", ("It is. So.", "a\n.so /etc/passwd"), (("-q", ".x 'y'"),)))
    assert "\\&.so /etc/passwd" in text
    assert "\\&.x \\(aqy\\(aq" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[a](docs/arrays.md#means)", "[a](arrays.md#means)"),
        ("![a](docs/demo.png)", "![a](demo.png)"),
        ("[a](CONTRIBUTING.md)", "[a](contributing.md)"),
        ("[a](LICENSE)", "[a](https://host/blob/main/LICENSE)"),
        ("[a](https://x.y/z) [b](#c)", "[a](https://x.y/z) [b](#c)"),
        ("```\n[a](docs/arrays.md)\n```", "```\n[a](docs/arrays.md)\n```"),
    ],
)
def test_links_lead_to_pages_or_to_the_code_host(text: str, shown: str) -> None:
    docsite = importlib.import_module("docsite.links")
    whole = {"contributing": "CONTRIBUTING.md"}
    links = docsite.Links(ROOT, ROOT / "docs", "https://host", whole)
    assert links.relinked(text, ROOT, ROOT / "docs") == shown


def test_broken_links_of_a_site_are_found(tmp_path: Path) -> None:
    check = importlib.import_module("docsite.check")
    (tmp_path / "a.html").write_text('<h1 id="top"></h1><a href="b.html#x"></a><a href="c.html"></a>')
    (tmp_path / "b.html").write_text('<p id="y"></p><a href="a.html#top"></a><img src="no.png">')
    assert list(check.broken_links(tmp_path)) == ["a.html: b.html#x", "a.html: c.html", "b.html: no.png"]
