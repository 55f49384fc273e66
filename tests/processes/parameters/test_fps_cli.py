"""``pymilk fps`` as a command: following changes, starting and stopping processes, the live table."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pymilk.parameters import FPS, Program

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")



@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FPS]:
    (tmp_path / "loopmod.py").write_text("def step(running):\n    running.wait()\n")
    (tmp_path / "fpstmuxenv").write_text("export PYTHONSAFEPATH=1\n")
    monkeypatch.chdir(tmp_path)
    with FPS.create("loop", program=Program("pymilk", "loopmod:step")) as fps:
        fps.add_param("gain", default=0.5, limits=(0, 1))
        yield fps


def said(command: subprocess.Popen[str]) -> str:
    assert command.stdout is not None
    return command.stdout.readline()


def test_changes_are_printed_as_they_come(
    loop: FPS, start_command: Callable[..., subprocess.Popen[str]]
) -> None:
    plain, as_json = (
        start_command("fps", "watch", "loop"),
        start_command("fps", "watch", "loop", "gain", "--json"),
    )
    for command in (plain, as_json):
        # It is not told when it begins to look: write until it says so.
        while not select.select([command.stdout], [], [], 0.05)[0]:
            loop["gain"] = 0.25
    line = said(plain)
    assert " gain = 0.25" in line
    found = json.loads(said(as_json))
    assert (found["key"], found["value"], found["counter"] > 1) == ("gain", 0.25, True)
    for command in (plain, as_json):
        command.send_signal(signal.SIGINT)
        assert command.wait(60) == 130


def test_a_watched_fps_that_is_removed_ends_the_command(
    loop: FPS, start_command: Callable[..., subprocess.Popen[str]]
) -> None:
    command = start_command("fps", "watch", "loop")
    while not select.select([command.stdout], [], [], 0.05)[0]:
        loop["gain"] = 0.25
    loop.destroy()
    _, err = command.communicate(timeout=60)
    assert (command.returncode, "was removed" in err) == (1, True)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
@pytest.mark.usefixtures("tmux_server")
def test_processes(loop: FPS, start_command: Callable[..., subprocess.Popen[str]]) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        command = start_command("fps", *arguments)
        out, err = command.communicate(timeout=100)
        return command.returncode, out, err

    assert run("run", "loop", "start")[0] == 1  # nothing was checked
    assert run("conf", "loop", "start", "--timeout", "60") == (0, "", "")
    assert run("run", "loop", "start", "--timeout", "60") == (0, "", "")
    assert run("run", "loop", "state")[1] == "running\n"
    entry = json.loads(run("ls", "--json")[1])[0]
    assert (entry["conf"], entry["run"], entry["check"]) == ("running", "running", "ok")
    assert run("rm", "loop")[0] == 1
    assert run("run", "loop", "stop", "--timeout", "60") == (0, "", "")
    assert run("conf", "loop", "stop", "--timeout", "60") == (0, "", "")
    assert run("rm", "loop") == (0, "", "")


def test_the_live_table(
    loop: FPS, start_command: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("4H", 20, 100, 0, 0))
    monkeypatch.setenv("TERM", "xterm")
    command = start_command("fps", "ls", "--watch", stdin=its, stdout=its, stderr=its)
    os.close(its)

    def until(word: bytes) -> None:
        drawn, end = b"", time.monotonic() + 60
        while word not in drawn:
            ready, _, _ = select.select([ours], [], [], end - time.monotonic())
            assert ready, drawn
            drawn += os.read(ours, 65536)

    until(b"loop")
    with FPS.create("later", directories=False):
        until(b"later")
    os.write(ours, b"q")
    assert command.wait(60) == 0
    os.close(ours)
