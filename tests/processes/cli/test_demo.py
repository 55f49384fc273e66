"""``pymilk demo`` and the command line as a whole, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.children import heed_interrupts

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk.simulate import SimulatedCamera, shack_hartmann
from support.commands import COMMAND

ENVIRONMENT = {**os.environ, "PYTHONSAFEPATH": "1", "COLUMNS": "100"}


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**ENVIRONMENT, "MILK_SHM_DIR": os.environ["MILK_SHM_DIR"]},
        **options,
    )


def test_demo_reports_and_draws(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="extra plot")
    said = run("demo", "--frames", 200, "--rate", 1000, cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "200 of 200" in said.stdout
    assert "lost" in said.stdout
    picture = tmp_path / "pymilk-demo.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "pymilk-demo.png" in said.stderr


def test_demo_as_json(tmp_path: Path) -> None:
    options = ("--shape", "16x24", "--dtype", "float32", "--wait", "spin", "--no-picture", "--json")
    said = run("demo", "--frames", 100, "--rate", 2000, *options, cwd=tmp_path)
    assert (said.returncode, said.stderr) == (0, "")
    report = json.loads(said.stdout)
    assert report["received"] == report["requested"] == 100
    assert report["torn"] == 0
    assert list(tmp_path.iterdir()) == []


def test_demo_leaves_nothing_in_the_directory_it_was_given(shm_dir: Path) -> None:
    said = run("demo", "--frames", 50, "--dir", shm_dir, "--no-picture", "--json")
    assert said.returncode == 0
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "SIGTERM"), (signal.SIGHUP, 129, "SIGHUP")],
)
def test_demo_is_interrupted_cleanly(
    number: signal.Signals, code: int, word: str, shm_dir: Path
) -> None:
    options = ("--frames", "100000", "--shape", "16x16", "--rate", "1000", "--no-picture")
    child = subprocess.Popen(
        [*COMMAND, "demo", "--dir", str(shm_dir), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    try:
        while not list(shm_dir.glob("*.im.shm")) and child.poll() is None:
            pass
        # As a terminal does: the whole process group gets it.
        os.killpg(child.pid, number)
        _, said = child.communicate(timeout=60)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == code, said
    assert word in said
    assert "Traceback" not in said
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--shape", "120"], "HEIGHTxWIDTH"),
        (["--shape", "2x2"], "4x4"),
        (["--dtype", "purple"], "NumPy dtype"),
        (["--dtype", "complex64"], "integer or float"),
        (["--frames", "0"], "frames"),
        (["--rate", "-1"], "rate"),
        (["--dir", "/nowhere/at/all"], "does not exist"),
    ],
)
def test_demo_wrong_usage(arguments: list[str], word: str) -> None:
    said = run("demo", *arguments)
    assert said.returncode == 2
    assert word in said.stderr


def test_picture_that_cannot_be_saved_is_refused_before_the_work(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="extra plot")
    said = run("demo", "--frames", 20, "--picture", tmp_path / "no" / "such.png")
    assert (said.returncode, said.stdout) == (2, "")
    assert f"there is no directory {str(tmp_path / 'no')!r}" in " ".join(said.stderr.split())


def test_help_has_an_example() -> None:
    assert "Example: pymilk demo" in run("demo", "--help").stdout
    assert "demo" in run("--help").stdout
    assert run("--version").stdout.startswith("pymilk ")


def test_missing_library_is_named() -> None:
    code = "import sys; sys.modules['click'] = None; from pymilk.cli import main; main()"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT)
    assert said.returncode == 1
    assert "pip install click rich" in said.stderr


def test_frames_of_the_simulation_move_and_repeat() -> None:
    frames = shack_hartmann((30, 40), np.uint16, 8)
    assert (frames.shape, frames.dtype) == ((8, 30, 40), np.uint16)
    assert len({frame.tobytes() for frame in frames}) == 8
    np.testing.assert_array_equal(frames, shack_hartmann((30, 40), np.uint16, 8))
    assert shack_hartmann((8, 8), np.int8, 2).max() <= 127
    assert shack_hartmann((8, 8), np.uint8, 2).max() > 50


def test_camera_process_ends_with_the_block(shm_dir: Path) -> None:
    from pymilk import SHM

    with SimulatedCamera("cam", (8, 8), np.uint16, rate=1000) as camera:
        with SHM("cam") as shm:
            assert shm.capture(20).report.received == 20
        os.kill(camera.pid, 0)
        pid = camera.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert list(shm_dir.iterdir()) == []


def test_camera_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from pymilk.errors import StreamError

    monkeypatch.setenv("MILK_SHM_DIR", "/nowhere/at/all")
    with pytest.raises(StreamError, match="did not start"), SimulatedCamera("cam"):
        raise AssertionError
