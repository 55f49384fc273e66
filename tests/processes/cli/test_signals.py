"""Commands that are ended from outside: by Ctrl-C, SIGTERM, SIGHUP, and by a terminal that goes away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from support.children import Child, ended, heed_interrupts
from support.terminals import View, environment

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk import Stream, load
from support.commands import COMMAND

#: A camera of 1000 frames a second, whose frames hold their number, until it is killed.
CAMERA = """
import sys, time, numpy as np
from pymilk import SHM
shm = SHM("cam", ((8, 8), np.uint32))
print("ready", flush=True)
number = shm.get_counter()
while True:
    number += 1
    shm.set_data(np.full((8, 8), number, np.uint32))
    time.sleep(0.001)
"""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
signals = pytest.mark.parametrize("number", CODES, ids=[each.name for each in CODES])


@pytest.fixture
def camera(spawn: Callable[..., Child]) -> Child:
    child = spawn(CAMERA)
    child.expect("ready")
    return child


@pytest.fixture
def command(
    start_command: Callable[..., subprocess.Popen[str]],
) -> Callable[..., subprocess.Popen[str]]:
    """Start a command in a group of its own."""
    return partial(start_command, start_new_session=True)


def quietly_ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    status, out, err = ended(process)
    assert "Traceback" not in err
    return status, out, err


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait for something that a command does."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def readers() -> list[int]:
    """Tell who holds semaphores of the camera."""
    with Stream.attach("cam", writable=False) as stream:
        return [int(pid) for pid in stream.section("sem_read_pid") if pid > 0]


def let_frames_pass(count: int = 100) -> None:
    with Stream.attach("cam", writable=False) as stream:
        end = stream.counter + count
        while stream.counter < end:
            time.sleep(0.01)


def check(path: Path) -> int:
    with load(path) as loaded:
        frames, info = np.asarray(loaded.frames), loaded.info
        assert loaded.complete
        assert info is not None
        assert (frames == info["cnt0"][:, np.newaxis, np.newaxis]).all()
        return len(frames)


@signals
def test_capture_saves_what_it_has(number, camera, command, tmp_path):
    process = command("capture", "cam", "-n", 100_000, "-o", "out.npy")
    until(lambda: process.pid in readers(), process)
    let_frames_pass()
    process.send_signal(number)
    status, out, err = quietly_ended(process)
    assert status == CODES[number], err
    assert WORDS[number] in err
    assert "of 100000" in out
    assert check(tmp_path / "out.npy") > 0


@signals
@pytest.mark.parametrize("pause", [0, 0.005, 0.05])
def test_second_signal_tears_nothing(number, pause, camera, command, tmp_path):
    process = command("capture", "cam", "-n", 100_000, "-o", "out.npy")
    until(lambda: process.pid in readers(), process)
    let_frames_pass()
    process.send_signal(number)
    time.sleep(pause)
    process.send_signal(signal.SIGINT)
    status, out, err = quietly_ended(process)
    # The second one may come when nothing is left to do but to end. Of two that wait for a process, which a
    # busy machine may let run only then, the system may hand over either one first.
    either = (number, signal.SIGINT)[: 1 if pause > 0.01 else 2]
    first = next((each for each in either if WORDS[each] in err), None)
    assert first is not None, err
    assert status in (CODES[first], -signal.SIGINT), err
    assert err.count("pymilk: ") == 1
    assert "of 100000" in out
    assert check(tmp_path / "out.npy") > 0


@signals
def test_relay_takes_its_stream_with_it(number, camera, command, shm_dir):
    process = command("relay", "cam", "ring", "--depth", 16)
    until((shm_dir / "ring.im.shm").exists, process)
    until(lambda: process.pid in readers(), process)
    process.send_signal(number)
    status, out, err = quietly_ended(process)
    assert status == 0, err
    assert "cam" in out
    assert sorted(each.name for each in shm_dir.iterdir()) == ["cam.im.shm"]


@signals
def test_demo_leaves_nothing(number, command, shm_dir):
    options = ("--frames", 10**6, "--shape", "16x16", "--rate", 1000, "--no-picture")
    process = command("demo", "--dir", shm_dir, *options)
    until(lambda: list(shm_dir.glob("*.im.shm")), process)
    os.killpg(process.pid, number)  # as a terminal does
    status, _, err = quietly_ended(process)
    assert status == CODES[number], err
    assert WORDS[number] in err
    assert list(shm_dir.iterdir()) == []


@signals
def test_bench_shows_what_it_has(number, command, shm_dir):
    process = command("bench", "--rates", "1000,1001", "--seconds", 30, "--source", "plain", "--shape", "8x8")
    until(lambda: list(shm_dir.rglob("*.im.shm")), process)
    process.send_signal(number)
    status, _, err = quietly_ended(process)
    assert status == CODES[number], err
    assert list(shm_dir.iterdir()) == []


@signals
@pytest.mark.parametrize(
    "words", [["ls", "--rate", 60], ["info", "cam", "--measure", 60]], ids=["ls", "info"]
)
def test_measurements_end(number, words, camera, command):
    process = command(*words)
    until(lambda: b"pymilk" in Path(f"/proc/{process.pid}/cmdline").read_bytes(), process)
    until(lambda: has_handler(process.pid, number), process)
    process.send_signal(number)
    status, out, err = quietly_ended(process)
    assert (status, out) == (CODES[number], "")
    assert err == f"pymilk: {'interrupted' if number == signal.SIGINT else 'ended by ' + WORDS[number]}\n"


def has_handler(pid: int, number: int) -> bool:
    """Tell whether a process has handlers for this signal and for SIGTERM, which commands alone set."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
    return all(caught >> each - 1 & 1 for each in (number, signal.SIGTERM))


def test_ignored_hang_up_stays_ignored(camera, command):
    def nohup() -> None:
        heed_interrupts()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = command("ls", "--rate", 60, preexec_fn=nohup)
    until(lambda: has_handler(process.pid, signal.SIGINT), process)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert quietly_ended(process)[0] == 143


@pytest.mark.parametrize("output", ["terminal", "file"])
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("capture", "cam", "-n", 100_000), 129),
        (("record", "cam", "-n", 100_000), 130),
        (("record", "cam", "--until-stopped"), 0),
    ],
    ids=["capture", "record", "until-stopped"],
)
def test_terminal_that_goes_away(output, words, status, camera, tmp_path):
    ours, its = pty.openpty()
    report = tmp_path / "report.txt"

    def begin() -> None:
        heed_interrupts()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    with open(report, "w") as file:
        process = subprocess.Popen(
            [*COMMAND, *map(str, words), "-o", "out.npy"],
            stdin=its,
            stdout=file if output == "file" else its,
            stderr=its,
            cwd=tmp_path,
            env=environment(),
            start_new_session=True,
            preexec_fn=begin,
        )
    os.close(its)
    seen = b""
    try:
        while b"\xe2\x94\x81" not in seen or process.pid not in readers():  # the bar is drawn
            seen += os.read(ours, 1 << 16)
        let_frames_pass()
        os.close(ours)
        assert process.wait(60) == status
    finally:
        process.kill()
        process.wait()
    assert check(tmp_path / "out.npy") > 0
    if output == "file":
        assert "cam" in report.read_text()
        assert "Traceback" not in report.read_text()


def test_work_that_takes_long_has_a_bar(camera):
    view = View([*COMMAND, "info", "cam", "--measure", "2.5"], errors=subprocess.STDOUT)
    try:
        view.until_words("measuring")
        assert view.ended()[0] == 0
        assert "measuring" not in view.screen.words()
    finally:
        view.close()


def test_relay_shows_how_it_goes_and_prints_elsewhere(camera, command, tmp_path):
    """The line is drawn on the terminal; statistics go to the file, and nothing else does."""
    ours, its = pty.openpty()
    with open(tmp_path / "out.txt", "w") as file:
        process = command("relay", "cam", "ring", "--depth", 16, "--stats", 0.1, stdout=file, stderr=its)
    os.close(its)
    seen = b""
    try:
        while b" lost, " not in seen or not (tmp_path / "out.txt").read_text():
            seen += os.read(ours, 1 << 16)
        process.send_signal(signal.SIGTERM)
        while process.poll() is None:
            with contextlib.suppress(OSError):  # it is gone
                os.read(ours, 1 << 16)
    finally:
        os.close(ours)
    assert process.wait(60) == 0
    lines = (tmp_path / "out.txt").read_text().splitlines()
    told = [line for line in lines if line.startswith("cam -> ring: ")]
    assert len(told) >= 2
    assert lines[: len(told)] == told
    # Behind them it says why frames were lost, if some were.
    lost = re.search(r"(\d+) lost", told[-1])
    assert lost is not None
    assert (len(lines) > len(told)) == (int(lost[1]) > 0), lines
    assert b"cam -> ring" not in seen
