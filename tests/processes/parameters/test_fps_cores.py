"""A run process of Python is moved to the cores that its FPS says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pymilk.parameters import FPS, program
from pymilk.parameters.cores import move


def test_moving(monkeypatch: pytest.MonkeyPatch) -> None:
    permitted = os.sched_getaffinity(0)
    try:
        core = max(permitted)
        assert move("tsetpmove", f"{core}-8000") == ""
        assert os.sched_getaffinity(0) == {core}
        assert "cannot run on cores 8000" in move("tsetpmove", "8000")
    finally:
        os.sched_setaffinity(0, permitted)
    monkeypatch.setenv("PATH", "/nowhere")
    assert move("csetpmove", "ao").startswith("cset cannot be run")


def test_a_run_process_of_python_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "coremod.py").write_text(
        "import os\nseen = []\ndef step(run): seen.append(os.sched_getaffinity(0))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    permitted = os.sched_getaffinity(0)
    core = max(permitted)
    with FPS.create("loop", directories=False):
        try:
            program.run("loop", f'tsetpmove "{core}"; mload milkinfo; coremod:step _RUNSTART_ 1')
        finally:
            os.sched_setaffinity(0, permitted)
        import coremod  # type: ignore[import-not-found]

        assert coremod.seen == [{core}]
        monkeypatch.setenv("PATH", "/nowhere")
        assert program.main(["-n", "loop", "csetpmove ao; coremod:step _RUNSTART_"]) == 0
        assert "fps 'loop': csetpmove: cset cannot be run" in capsys.readouterr().err
        assert len(coremod.seen) == 2
