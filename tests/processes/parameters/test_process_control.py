"""Loops in second processes: seen, paused, stepped, stopped, killed, started at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import errors
from pymilk.parameters.findings import process_findings
from pymilk.parameters.graph import read_graph
from pymilk.parameters.listing import list_processes, remove_stale_processes
from pymilk.parameters.process_folders import ProcessList
from pymilk.parameters.process_layout import Control, LoopState
from pymilk.parameters.processinfo import ProcessInfo

LOOP = """
import sys
from pymilk.parameters.processinfo import ProcessInfo
with ProcessInfo.create(sys.argv[1], description="a child") as process:
    print("ready")
    for number in process.loop(period=0.001):
        pass
print("left", process.path)
"""

STEP = """
import sys, numpy as np, pymilk
from pymilk.parameters.processinfo import ProcessInfo
source, target = sys.argv[1:]
a = pymilk.SHM(source)
b = pymilk.SHM(target, np.zeros((4, 4), np.float32))
with ProcessInfo.create("make_" + target) as process:
    print("ready")
    for frame in process.loop(a):
        b.set_data(frame + 1)
"""


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_loop_of_another_process(spawn, shm_dir):
    child = spawn(LOOP, "childloop")
    child.expect("ready")
    with ProcessInfo.attach("childloop") as process:
        assert process.pid == child.pid
        assert process.state == "running"
        until(lambda: process.loop_count > 20)
        until(lambda: process.timing.rate == pytest.approx(1000, rel=0.9))  # it may have been held up before
        assert process.loop_state is LoopState.ACTIVE
        process.pause()
        until(lambda: process.loop_state == LoopState.PAUSE)
        count = process.loop_count
        time.sleep(0.05)
        assert process.loop_count == count
        process.step()
        until(lambda: process.loop_count == count + 1)
        until(lambda: process.control == Control.PAUSE)
        process.resume()
        until(lambda: process.loop_count > count + 20)
        process.stop(timeout=30)
        assert child.finish()[0] == 0
        assert process.message.startswith("CTRLexit ")
        assert process.state == "gone"
    assert list_processes(str(shm_dir)) == []
    with ProcessList(str(shm_dir), False) as slots:
        assert [(slot.pid, slot.name, slot.state) for slot in slots.read()] == [(child.pid, "childloop", 1)]


def test_paused_loop_costs_little(spawn):
    child = spawn(LOOP, "childloop")
    child.expect("ready")
    with ProcessInfo.attach(child.pid) as process:
        process.pause()
        until(lambda: process.loop_state == LoopState.PAUSE)

        def used() -> float:
            fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        before = used()
        time.sleep(1)
        assert used() - before < 0.1
        process.stop(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal(spawn, number):
    child = spawn(LOOP, "childloop")
    child.expect("ready")
    with ProcessInfo.attach("childloop") as process:
        process.pause()  # a paused loop ends too
        until(lambda: process.loop_state == LoopState.PAUSE)
        process.signal(number)
        assert child.finish()[0] == -number
        assert os.path.exists(process.path) == (number == signal.SIGTERM)


def test_killed_process(spawn, shm_dir):
    child = spawn(LOOP, "childloop")
    child.expect("ready")
    child.kill()
    (found,) = list_processes(str(shm_dir))
    assert (found.state, found.stale, found.doing) == ("gone", True, "dead")
    assert any("childloop" in each["found"] and each["level"] == "note" for each in process_findings())
    with ProcessInfo.attach("childloop") as process, pytest.raises(errors.ProcessGoneError):
        process.pause()
    assert remove_stale_processes(str(shm_dir)) == [found.path]
    assert not any(str(shm_dir) in each["found"] for each in process_findings())
    with ProcessList(str(shm_dir), False) as slots:
        assert slots.read() == []


def test_zombie_has_ended(spawn, shm_dir):
    child = spawn(LOOP, "childloop")
    child.expect("ready")
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: list_processes(str(shm_dir))[0].state == "gone")  # nobody has waited for it yet


def test_processes_that_start_at_once_get_a_slot_each(spawn, shm_dir):
    code = """
import sys
from pymilk.parameters.processinfo import ProcessInfo
print("ready")
sys.stdin.readline()
with ProcessInfo.create("racer") as process:
    print(process._list[1])
    sys.stdin.readline()
"""
    children = [spawn(code) for _ in range(8)]
    for child in children:
        child.expect("ready")
    for child in children:
        child.tell()
    places = [int(child.hear()) for child in children]
    assert sorted(places) == list(range(8))
    with ProcessList(str(shm_dir), False) as slots:
        assert {slot.at: slot.pid for slot in slots.read()} == {
            place: child.pid for place, child in zip(places, children, strict=True)
        }
    listed = sorted(each.pid for each in list_processes(str(shm_dir)))
    assert listed == sorted(child.pid for child in children)
    for child in children:
        child.tell()
        assert child.finish()[0] == 0


def test_forked_child_leaves_the_file(spawn):
    code = """
import os
from pymilk import errors
from pymilk.parameters.processinfo import ProcessInfo
process = ProcessInfo.create("parent")
pid = os.fork()
if pid == 0:
    try:
        process.exec_start()
    except errors.ProcessInfoClosedError:
        process.close()
        os._exit(5)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
assert os.path.exists(process.path)
process.exec_start()
process.close()
assert not os.path.exists(process.path)
"""
    assert spawn(code).finish()[0] == 0


def test_forgotten_close_is_quiet(spawn, shm_dir):
    child = spawn('from pymilk.parameters.processinfo import ProcessInfo\np = ProcessInfo.create("left")')
    assert child.finish() == (0, "", "")
    assert [each.doing for each in list_processes(str(shm_dir))] == ["dead"]


def test_duration_limit_counts_whole_seconds():
    """The C library compares the nanoseconds within the second only."""
    with ProcessInfo.create("slow") as process:
        process.set_limits(duration=0.9)
        for number in process.loop(range(2)):
            if number == 0:
                time.sleep(1.01)
        assert process.field("dtexec_limit_cnt") == 1


def test_pipeline(spawn, make):
    camera = make("cam", np.zeros((4, 4), np.float32))
    for source, target in (("cam", "slopes"), ("slopes", "dm")):
        child = spawn(STEP, source, target)
        child.expect("ready")
        with ProcessInfo.attach(f"make_{target}") as process:
            until(lambda process=process: process.field("triggerstatus") == 1)
    last = make("dm")
    before = last.get_counter()
    camera.set_data(np.full((4, 4), 5, np.float32))
    until(lambda: last.get_counter() > before)
    assert last.get_data()[0, 0] == 7
    until(lambda: len(read_graph().streams["dm"].steps) == 2)
    graph = read_graph()
    node = graph.streams["dm"]
    steps = [(step.process, step.source) for step in node.steps]
    assert steps == [("make_dm", "slopes"), ("make_slopes", "cam")]
    assert node.root_ns == node.steps[1].started_ns
    assert 0 < node.latency < 10
    assert node.age >= 0
    text = str(graph)
    assert text.index("cam  frame") < text.index("make_slopes") < text.index("slopes  frame")
    assert text.index("slopes  frame") < text.index("make_dm") < text.index("dm  frame")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pymilk", *arguments], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONSAFEPATH": "1"}, check=False,
    )  # fmt: skip


def test_commands(spawn, shm_dir):
    child = spawn(LOOP, "childloop")
    child.expect("ready")
    listed = run("ps")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "childloop" in listed.stdout
    assert str(child.pid) in listed.stdout
    (found,) = [each for each in json.loads(run("ps", "--json").stdout) if each["pid"] == child.pid]
    assert (found["name"], found["doing"], found["stale"]) == ("childloop", "running", False)
    child.kill()
    assert "childloop" in run("doctor").stdout
    assert run("ps", "--remove-stale").stdout == f"removed {found['path']}\n"
    assert "childloop" not in run("ps").stdout
