"""``pymilk simulate``, as a user runs it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pymilk import SHM, Stream
from support.commands import run


@pytest.fixture
def command(start_command: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.Popen[str]]:
    return partial(start_command, "simulate")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("faults", [[], ["--drop", "0.1", "--late", "0.1"]])
def test_live_stream_in_one_line(
    number: int, faults: list[str], command: Callable[..., subprocess.Popen[str]], shm_dir: Path
) -> None:
    simulation = command("cam", "--rate", "500", "--shape", "20x30", "--ring", "16", *faults)
    assert simulation.stderr is not None
    assert "shack-hartmann 20x30 uint16 at 500 frames/s into cam" in simulation.stderr.readline()
    with SHM("cam") as shm:
        assert shm.capture(30).frames.shape == (30, 20, 30)
    simulation.send_signal(number)
    assert simulation.wait(60) == 0
    assert simulation.stderr.read() == ""
    assert list(shm_dir.iterdir()) == []


def test_loop_in_one_line(command: Callable[..., subprocess.Popen[str]], shm_dir: Path) -> None:
    simulation = command("ao", "--loop", "--gain", "0.5")
    assert simulation.stderr is not None
    assert "ao_wfs, ao_dm, ao_res" in simulation.stderr.readline()
    with SHM("ao_res") as residual:
        assert residual.capture(5).report.received == 5
    simulation.send_signal(signal.SIGINT)
    assert simulation.wait(60) == 0
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize(("name", "more"), [("cam", ()), ("ao", ("--loop",))])
def test_a_name_in_use(
    name: str, more: tuple[str, ...], command: Callable[..., subprocess.Popen[str]]
) -> None:
    """A camera cannot be told to replace what another one writes."""
    simulation = command(name, *more)
    assert simulation.stderr is not None
    simulation.stderr.readline()
    with SHM("cam" if not more else "ao_wfs") as shm:
        shm.capture(2)
    said = run("simulate", name, *more)
    assert said.returncode == 1
    assert said.stderr.endswith("end it first, or choose another name\n")
    simulation.send_signal(signal.SIGINT)
    assert simulation.wait(60) == 0


def test_so_many_frames(shm_dir: Path) -> None:
    said = run("simulate", "cam", "--frames", "20", "--rate", "1000", "--kind", "telemetry")
    assert (said.returncode, said.stdout) == (0, "")
    assert list(shm_dir.iterdir()) == []


def test_camera_that_dies(shm_dir: Path) -> None:
    said = run("simulate", "cam", "--die", "0.2", "--shape", "8x8")
    assert said.returncode == -signal.SIGKILL
    with Stream.attach("cam") as left:
        assert left.write == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--loop", "--ring", "8"], "--ring is for a camera"),
        (["--gain", "1"], "--gain is for a loop"),
        (["--tear", "0.1", "--ring", "8"], "plain streams only"),
        (["--shape", "a"], "is not LENGTH or HEIGHTxWIDTH"),
        (["--drop", "2"], "--drop"),
        (["--kind", "x"], "--kind"),
        (["--dtype", "complex64"], "integer or float"),
        (["--kind", "pyramid", "--shape", "4x4"], "16x16"),
    ],
)
def test_what_cannot_be_simulated(options: list[str], words: str, shm_dir: Path) -> None:
    said = run("simulate", "cam", *options)
    assert said.returncode in (1, 2)
    assert words in said.stderr
    assert "Traceback" not in said.stderr
    assert list(shm_dir.iterdir()) == []
