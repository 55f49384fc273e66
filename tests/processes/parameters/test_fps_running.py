"""This and other Python processes as the process behind an FPS; states by PID and start time."""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymilk.errors import FPSInUseError, FPSReplacedError
from pymilk.parameters import FPS, ParameterFlag, ParameterType, Signal, Status, Timespec
from pymilk.parameters.header import write_field
from pymilk.times import now_ns

LOOP = """
import sys
from pymilk.parameters import FPS
fps = FPS("loop")
with fps.running() as run:
    print("up", flush=True)
    while run.going:
        run.write("seen", run.read("gain"))
        run.wait(0.001)
print("down", flush=True)
"""

INTERRUPTED = """
import time
from pymilk.parameters import FPS
fps = FPS("loop")
with fps.running() as run:
    print("up", flush=True)
    time.sleep(60)
print("down", flush=True)
"""


@pytest.fixture
def fps() -> Any:
    with FPS.create("loop", standard=True, directories=False) as made:
        made.add_param("gain", default=0.5, limits=(0.0, 1.0))
        made.add_param("seen", default=0.0, flags=ParameterFlag.DEFAULT_OUTPUT)
        yield made


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_python_loop_is_driven_from_outside(fps: FPS, spawn: Callable[..., Any]) -> None:
    child = spawn(LOOP)
    child.expect("up")
    assert (fps.conf_state, fps.run_state) == ("running", "running")
    assert (fps.header()["confpid"], fps.header()["runpid"]) == (child.pid, child.pid)
    assert fps.status & 0x33 == Status.CONF | Status.RUN | Status.CMDCONF | Status.CMDRUN
    assert fps.status_text == "conf running, run running, check ok"
    fps.set("gain", 0.75, force=True)
    until(lambda: fps["seen"] == 0.75)
    assert fps.param("gain").current == 0.75
    fps.run_stop(60)
    child.expect("down")
    assert child.finish()[::2] == (0, "")
    assert (fps.conf_state, fps.run_state) == ("stopped", "stopped")
    assert (fps.header()["confpid"], fps.header()["runpid"]) == (0, 0)
    assert fps.status & 0x33 == 0


def test_ctrl_c_of_a_control_program_ends_the_block_quietly(fps: FPS, spawn: Callable[..., Any]) -> None:
    child = spawn(INTERRUPTED)
    child.expect("up")
    fps.run_stop(60)
    child.expect("down")
    assert child.finish()[::2] == (0, "")


def test_ctrl_c_of_a_user_is_passed_on(fps: FPS, spawn: Callable[..., Any]) -> None:
    child = spawn(INTERRUPTED)
    child.expect("up")
    os.kill(child.pid, signal.SIGINT)
    code, out, err = child.finish()
    assert code != 0
    assert "down" not in out
    assert "KeyboardInterrupt" in err
    assert (fps.conf_state, fps.run_state) == ("stopped", "stopped")


def test_a_process_that_is_killed_has_died(fps: FPS, spawn: Callable[..., Any]) -> None:
    child = spawn(LOOP)
    child.expect("up")
    child.kill()
    assert (fps.conf_state, fps.run_state) == ("died", "died")
    with fps.running() as run:  # takes its place
        assert (fps.conf_state, fps.run_state) == ("running", "running")
        assert run.going


def test_one_process_has_a_part_at_a_time(fps: FPS, spawn: Callable[..., Any]) -> None:
    child = spawn(LOOP)
    child.expect("up")
    with (
        pytest.raises(FPSInUseError, match=f"its run process is process {child.pid}") as caught,
        fps.running(),
    ):
        pass
    assert caught.value.pids == [child.pid]
    assert fps.header()["runpid"] == child.pid
    with fps.running(run=False):  # nor is there a second conf process
        assert fps.header()["confpid"] == child.pid


def test_conf_stop_ends_the_conf_part_alone(fps: FPS) -> None:
    with fps.running() as run:
        fps.conf_stop(60)
        assert (fps.conf_state, fps.run_state) == ("stopped", "running")
        assert run.going
    with fps.running(run=False) as conf:
        assert Signal.CONFRUN in fps.signal
        fps.conf_stop(60)
        assert conf.wait(60)


def test_updates_are_checked(fps: FPS) -> None:
    with fps.running():
        until(lambda: Signal.UPDATE not in fps.signal)
        assert Status.CHECKOK in fps.status
        fps.set("gain", 5.0, force=True)
        until(lambda: Status.CHECKOK not in fps.status)
        until(lambda: Signal.UPDATE not in fps.signal)
        assert [each.text for each in fps.messages()] == ["float64 value 5.000000 above max 1.000000"]
        assert fps.param("gain").status.error
        fps.set("gain", 0.5, force=True)
        until(lambda: Status.CHECKOK in fps.status)
        assert not fps.messages()
        assert not fps.param("gain").status.error


def test_what_may_be_written_follows_the_state(fps: FPS) -> None:
    run_only = ParameterFlag.DEFAULT_INPUT & ~ParameterFlag.WRITE | ParameterFlag.WRITERUN
    fps.add_param("live", default=1, flags=run_only)
    fps.add_param("still", default=1, flags=ParameterFlag.DEFAULT_INPUT & ~ParameterFlag.WRITERUN)
    assert (fps.param("live").status.writable, fps.param("still").status.writable) == (False, True)
    with fps.running():
        assert (fps.param("live").status.writable, fps.param("still").status.writable) == (True, False)
        until(lambda: ParameterFlag.WRITESTATUS in fps.param("live").flags)
        assert ParameterFlag.WRITESTATUS not in fps.param("still").flags


def test_a_pid_that_was_reused_is_not_running(fps: FPS) -> None:
    write_field(fps.table, "confpid", os.getpid())
    now = now_ns()
    for age, state in ((0, "running"), (10**9 * 10**6, "stopped")):
        write_field(fps.table, "confpidstarttime", Timespec(*divmod(now - age, 10**9)))
        assert fps.conf_state == state
    fps.change_status(set=Status.CMDCONF)
    assert fps.conf_state == "died"
    write_field(fps.table, "confpid", 0)
    assert fps.conf_state == "starting"
    write_field(fps.table, "confpid", -1)
    assert fps.conf_state == "starting"


def test_a_file_that_is_made_anew_ends_the_loop(fps: FPS) -> None:
    run = fps.running()
    run.__enter__()
    FPS.create("loop", replace=True, directories=False).close()
    assert run.wait(60)
    assert not run.going
    with pytest.raises(FPSReplacedError):
        run.__exit__(None, None, None)


def test_errors_in_the_block_come_out(fps: FPS) -> None:
    with pytest.raises(ZeroDivisionError), fps.running():
        raise ZeroDivisionError
    assert fps.run_state == "stopped"


def test_milk_s_name_for_a_start(fps: FPS, shm_dir: Path) -> None:
    with fps.running():
        assert len(fps["conf.timestring"]) == len("20260101T000000.000000000Z")


def test_info_of_streams_is_filled_in(fps: FPS, make_stream: Callable[..., Any]) -> None:
    flags = ParameterFlag.DEFAULT_INPUT_STREAM | ParameterFlag.STREAM_RUN_REQUIRED
    fps.add_param("in", default="cam", type=ParameterType.STREAMNAME, flags=flags)
    assert [each.text for each in fps.check()] == ["Stream cam is not there"]
    make_stream("cam", (4, 6), "u2")
    assert fps.check() == []
    slot = fps.param("in").slot
    info = fps.table.read(fps.table.slot_offset(slot) + 4056, 48)
    assert struct.unpack("<qB3x8I B3x", info) == (0, 3, 2, 0, 6, 0, 4, 0, 1, 0, 2)
