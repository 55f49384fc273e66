"""Units for systemd: valid, and of commands and options that there are."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from support.paths import ROOT

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

UNITS = sorted((ROOT / "contrib" / "systemd").glob("*.service"))

pytestmark = pytest.mark.skipif(not UNITS, reason="needs the sources")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_commands_of_units_are_understood(unit: Path) -> None:
    import click

    from pymilk.cli.app import app

    found = configparser.ConfigParser(interpolation=None, strict=False)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(unit)
    words = shlex.split(found["Service"]["ExecStart"].replace("%i", "cam0"))
    assert words[:2] == ["/usr/bin/env", "pymilk"]
    command = app.get_command(click.Context(app), words[2])
    assert command is not None
    context = command.make_context(words[2], words[3:])  # raises for options that there are not
    assert context.params
    assert "%i" in found["Service"]["ExecStart"] or "@" not in unit.name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_units_are_valid(tmp_path: Path) -> None:
    for unit in UNITS:
        shutil.copy(unit, tmp_path / unit.name.replace("@", "@cam0"))
    said = subprocess.run(
        ["systemd-analyze", "verify", *tmp_path.iterdir()], capture_output=True, text=True, timeout=60
    )
    wrong = [line for line in said.stderr.splitlines() if str(tmp_path) in line or "pymilk" in line]
    assert wrong == []
