"""Bad moments and places: signals while a pipe is waited for, full disks."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from support.calling import call
from support.waiting import until


@pytest.mark.parametrize(
    "command",
    [
        ["record", "cam", "-o", "a.npy", "-n", "1", "--header"],
        ["bridge", "send", "cam", "--config"],
        ["bridge", "recv", "rtc/cam", "--config"],
        ["bridge", "tail", "rtc/cam", "--config"],
        ["bridge", "router", "--config"],
    ],
    ids=lambda each: " ".join(each[:2]),
)
def test_waiting_for_a_pipe_can_be_ended(command: list[str], make, start_command, tmp_path: Path) -> None:
    make("cam", ((3, 4), np.uint16))
    os.mkfifo(tmp_path / "pipe.toml")
    process = start_command(*command, "pipe.toml")

    other: list[int] = []

    def somebody_reads() -> bool:
        with contextlib.suppress(OSError):  # ENXIO: nobody yet
            other.append(os.open(tmp_path / "pipe.toml", os.O_WRONLY | os.O_NONBLOCK))
        return bool(other)

    until(somebody_reads)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert process.stderr is not None
    assert process.stderr.read() == "pymilk: ended by SIGTERM\n"
    os.close(other[0])


def test_command_of_exec_that_goes_on_can_be_left(make, start_command, tmp_path: Path) -> None:
    make("cam", ((3, 4), np.uint16))
    script = "echo $$ > pid; mv pid begun; exec sleep 1000 > /dev/null 2>&1"
    process = start_command("watch", "cam", "--once", "--interval", "0.1", "--exec", script)
    until((tmp_path / "begun").exists)
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "pymilk: a command of --exec goes on; Ctrl-C leaves it alone\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == "pymilk: interrupted\n"
    finally:
        os.kill(int((tmp_path / "begun").read_text()), signal.SIGKILL)


def test_ctrl_c_of_a_terminal_does_not_reach_commands_of_exec(make, start_command, tmp_path: Path) -> None:
    """It goes to all processes of a group."""
    make("cam", ((3, 4), np.uint16))
    os.mkfifo(tmp_path / "pipe")
    script = "echo begun > begun; read word < pipe; echo $word > ended"
    process = start_command(
        "watch", "cam", "--interval", "0.1", "--exec", script, start_new_session=True
    )
    until((tmp_path / "begun").exists)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == "pymilk: a command of --exec goes on; Ctrl-C leaves it alone\n"
    (tmp_path / "pipe").write_text("whole\n")
    assert process.wait(60) == 0
    assert (tmp_path / "ended").read_text() == "whole\n"


def test_metrics_that_do_not_fit_leave_no_file(make, start_command, tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client", reason="extra metrics")
    make("cam", ((3, 4), np.uint16))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    process = start_command(
        "watch", "cam", "--once", "--interval", "0.1", "--metrics", "m.prom", preexec_fn=limited
    )
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, "m.prom cannot be written: File too large" in said) == (1, True), said
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "command",
    [["demo", "--frames", "2"], ["bench", "--rate", "200", "--seconds", "0.05", "--source", "plain"]],
    ids=lambda each: each[0],
)
def test_picture_that_cannot_be_written_is_said(command: list[str], start_command, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="extra plot")
    (tmp_path / "full.png").symlink_to("/dev/full")
    process = start_command(*command, "--plot", "full.png")
    said = process.communicate(timeout=100)[1]
    assert process.returncode == 1, said
    assert said.splitlines()[-1].startswith("pymilk: full.png cannot be written: No space left on device")


@pytest.mark.parametrize("option", ["--min-rate", "--max-age"])
def test_limits_that_are_too_large(option: str, shm_dir: Path) -> None:
    said = call("watch", "--once", option, "1e18")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith(f"pymilk: {option} is ")
    assert said.stderr.endswith(" 0 to 1e12, not 1e+18\n")
