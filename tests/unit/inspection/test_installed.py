"""Distributions whose files have the names of ours."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from pymilk.inspection.installed import DISTRIBUTION, rivals
from support.findings import about


def install(folder: Path, name: str, lists: str, *packages: str) -> None:
    """Make what is left of a distribution where it was installed: `lists` says what it has, as tools do."""
    info = folder / f"{name}-9.9.{'egg' if lists == 'SOURCES.txt' else 'dist'}-info"
    info.mkdir()
    metadata = info / ("PKG-INFO" if lists == "SOURCES.txt" else "METADATA")
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    lines = {
        "top_level.txt": packages,
        "RECORD": [f"{info.name}/METADATA,,", *(f"{each}/__init__.py,sha256=0,1" for each in packages)],
        "SOURCES.txt": [f"{each}/__init__.py" for each in packages],
    }
    (info / lists).write_text("\n".join(lines[lists]))
    for each in packages:
        (folder / each).mkdir()
        (folder / each / "__init__.py").write_text("")


@pytest.mark.parametrize(
    ("name", "content"), [("top_level.txt", b"pyMilk"), ("RECORD", b"pyMilk/\xff.py,,\n")]
)
def test_what_a_broken_installation_left(
    name: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shm_dir: Path
) -> None:
    """As pip does that was interrupted: a list of files without a name, or one that nobody can read."""
    left = tmp_path / "~yMilk-9.9.dist-info"
    left.mkdir()
    (left / name).write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert rivals() == {}
    assert about("installation") == []


class Nameless(metadata.Distribution):
    """As found by other finders, importlib_metadata among them: what has no metadata says so by an error."""

    def read_text(self, filename: str) -> str | None:
        return "pyMilk" if filename == "top_level.txt" else None

    def locate_file(self, path: object) -> Path:
        return Path(str(path))

    @property
    def metadata(self) -> metadata.PackageMetadata:
        raise FileNotFoundError("No package metadata was found.")


class Finder(metadata.DistributionFinder):
    """One more place where distributions are looked for."""

    def find_distributions(self, context: object = None) -> list[metadata.Distribution]:
        return [Nameless()]


def test_what_another_finder_has(monkeypatch: pytest.MonkeyPatch, shm_dir: Path) -> None:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert any(isinstance(each, Nameless) for each in metadata.distributions())
    assert rivals() == {}
    assert about("installation") == []


def test_none_beside_us(shm_dir: Path) -> None:
    assert rivals() == {}
    assert about("installation") == []


@pytest.mark.parametrize("lists", ["top_level.txt", "RECORD", "SOURCES.txt"])
def test_the_library_whose_scripts_run_here(
    lists: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shm_dir: Path
) -> None:
    install(tmp_path, "pyMilk", lists, "pyMilk")
    install(tmp_path, "other", lists, "elsewhere")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert rivals() == {"pyMilk 9.9": ["pyMilk"]}
    [finding] = about("installation")
    assert finding["level"] == "problem"
    assert "pyMilk 9.9" in finding["found"]
    assert finding["todo"].endswith(f"pip uninstall pyMilk {DISTRIBUTION}")
