"""Who is in another PID namespace, as in a container, is told by its number here, or is not visible."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from pymilk import errors
from pymilk.channels import CommandQueue, MessageLog, SharedState
from pymilk.channels.listing import list_channels, remove
from support.namespaces import begin_inside, needs_namespaces, run_inside

#: Has one channel of each kind to itself. It is process 1 there.
INSIDE = """
import sys
from pymilk.channels import CommandQueue, MessageLog, SharedState
log = MessageLog.create("log")
state = SharedState.create("state", {"a": 1})
queue = CommandQueue.create("queue")
with state.locked():
    print("ready", flush=True)
    sys.stdin.readline()
"""

#: Is process 1 there, too.
ANOTHER = """
from pymilk import errors
from pymilk.channels import MessageLog
try:
    MessageLog.attach("log", write=True)
except errors.ChannelInUseError as error:
    print(error.pids, error)
"""


@pytest.fixture
def inside(shm_dir):
    """The number here of a process in another PID namespace."""
    needs_namespaces()
    child = begin_inside(sys.executable, "-c", INSIDE)
    assert child.stdout.readline() == "ready\n"
    yield int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text())
    child.communicate("\n", timeout=30)


def test_the_holder_is_told_by_its_number_here(inside):
    state = SharedState.attach("state", timeout=0.05)
    for refused in (
        partial(MessageLog.attach, "log", write=True),
        partial(MessageLog.create, "log", replace=True),
        partial(state.update, a=2),
        partial(remove, "log.msg.shm"),
        partial(remove, "queue.cmd.shm"),
    ):
        with pytest.raises(errors.ChannelInUseError) as caught:
            refused()
        assert caught.value.pids == [inside]
        assert f"process {inside} (" in str(caught.value)
    found = {each["name"]: each for each in list_channels()}
    assert found["log"]["writer"] == inside
    assert found["queue"]["users"] == [inside]


def test_the_holder_is_not_taken_for_one_that_has_its_number(inside):
    """Two containers: process 1 of the one has it, and process 1 of the other one asks."""
    other = begin_inside(sys.executable, "-c", ANOTHER)
    said, _ = other.communicate(timeout=30)
    assert said.startswith("[] channel 'log': a process that is not visible here"), said
    for name in ("log.msg.shm", "queue.cmd.shm"):
        done = run_inside("rm", name)
        assert done.returncode != 0
        assert "not visible here" in done.stderr


def test_another_handle_of_this_process_is_told_as_that(shm_dir):
    with MessageLog.create("log"), pytest.raises(errors.ChannelInUseError, match="another object of this"):
        MessageLog.attach("log", write=True)
    with CommandQueue.create("queue") as queue:
        assert len(list_channels()[1]["users"]) == 1
        assert queue.waiting == 0
