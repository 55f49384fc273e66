"""Distributions whose files have the names of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymilk.inspection.installed import DISTRIBUTION, rivals
from support.findings import about


def install(folder: Path, name: str, *packages: str) -> None:
    info = folder / f"{name}-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    (info / "top_level.txt").write_text("\n".join(packages))


def test_none_beside_us(shm_dir: Path) -> None:
    assert rivals() == {}
    assert about("installation") == []


def test_the_library_whose_scripts_run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shm_dir: Path
) -> None:
    install(tmp_path, "pyMilk", "pyMilk")
    install(tmp_path, "other", "elsewhere")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert rivals() == {"pyMilk 9.9": ["pyMilk"]}
    [finding] = about("installation")
    assert finding["level"] == "problem"
    assert "pyMilk 9.9" in finding["found"]
    assert finding["todo"].endswith(f"pip uninstall pyMilk {DISTRIBUTION}")
