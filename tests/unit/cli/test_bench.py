"""``pymilk bench``: its options, and its errors."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pymilk.bench import Benchmark
from pymilk.bench import result as bench_result
from pymilk.bench.result import BenchResult
from support.bench_points import point

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")


def test_command_says_what_is_wrong(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from pymilk.cli.app import app

    for arguments, code, word in (
        (["--rates", "fast"], 2, "list of rates"),
        (["--shape", "120"], 2, "HEIGHTxWIDTH"),
        (["--source", "river"], 2, "river"),
        (["--plot", str(tmp_path / "no" / "such.png")], 2, "no directory"),
        (["--cpu-reader", "100000"], 1, "cores that this process may use"),
        (["--seconds", "0.1", "--stall", "200"], 1, "stall"),
        (["--memory", "0.1"], 1, "20 frames or more"),
    ):
        said = CliRunner().invoke(app, ["bench", *arguments])
        assert (said.exit_code, word in said.output) == (code, True), said.output
    assert "Example: pymilk bench" in CliRunner().invoke(app, ["bench", "--help"]).output


def test_command_without_matplotlib_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from pymilk.cli.app import app

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = CliRunner().invoke(app, ["bench", "--plot", "x.png"])
    assert said.exit_code == 2
    assert "pip install matplotlib" in said.output


def test_command_ends_with_1_if_the_account_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from pymilk.cli.app import app

    def measured(self: Benchmark, progress: object = None) -> BenchResult:
        self.result.points.append(point(disagreements=["2 frames were delivered more than once"]))
        return self.result

    monkeypatch.setattr(Benchmark, "run", measured)
    said = CliRunner().invoke(app, ["bench", "--source", "plain"])
    assert said.exit_code == 1
    assert "WRONG ACCOUNT" in said.output
    assert bench_result.COLUMNS[0][1] in said.output
