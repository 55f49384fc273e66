"""Shared states between processes: whole steps under load, killed and stopped writers, forks, Ctrl-C."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from pymilk import errors
from pymilk.channels import SharedState
from support.dying import BY_HAND
from support.waiting import PATIENCE, until

DEATHS = "from support import state_deaths; state_deaths.main()"

#: Steps of each writer.
COUNT = 10_000

#: Sets keys that belong together, with values of changing lengths, as fast as it can.
WRITER = """
import sys
import numpy as np
from pymilk.channels import SharedState
state = SharedState.attach("state")
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[1])):
    text, array = f"{number} " * (number % 9), np.full(number % 50, number)
    state.update({"number": number, "text": text, "array": array, sys.argv[2]: number})
print("done", flush=True)
sys.stdin.readline()
"""


def whole(values: dict[str, object]) -> bool:
    """Tell whether values are those of one step."""
    number = values["number"]
    array = np.full(number % 50, number)
    return values["text"] == f"{number} " * (number % 9) and np.array_equal(values["array"], array)


@pytest.mark.parametrize(("step", "every"), [("small", 2), pytest.param("large", 1, marks=BY_HAND)])
def test_writer_dies_behind_each_store_of_a_step(spawn, step, every):
    code, out, err = spawn(DEATHS, step, every, every - 1).finish(timeout=110)
    assert (code, err) == (0, ""), err
    if out.strip() == "not permitted":
        pytest.skip("processes may not be traced here")
    count, furthest = map(int, out.split())
    assert count >= 8
    assert furthest // every == count


def test_never_half_of_a_step(spawn):
    """Two writers as fast as they can; a reader looks at everything, at changes, and at single keys."""
    with SharedState.create("state") as state:
        children = [spawn(WRITER, COUNT, name) for name in ("one", "two")]
        for child in children:
            child.expect("ready")
        for child in children:
            child.tell()
        epoch, reads = state.wait_for_change(0, PATIENCE), 0
        while state.epoch < 2 * COUNT:
            values = state.as_dict()
            assert whole(values)
            changes = state.changed_since(epoch)
            assert changes.epoch >= epoch
            if changes.values:
                assert whole(changes.values)
            epoch = changes.epoch
            text = state["text"]
            assert not text or text == f"{text.split()[0]} " * (int(text.split()[0]) % 9)
            reads += 1
        for child in children:
            child.expect("done")
        assert state.epoch == 2 * COUNT
        assert (state["one"], state["two"]) == (COUNT - 1, COUNT - 1)
        assert (state.entry("one").sequence, state.entry("number").sequence) == (COUNT, 2 * COUNT)
        assert reads > 100


KILLED = """
import sys
from pymilk.channels import SharedState
state = SharedState.attach("state")
state._lock()
print("ready", flush=True)
sys.stdin.readline()
"""


def test_writer_that_is_killed_or_stopped_in_a_step(spawn):
    with SharedState.create("state", {"a": 1}, timeout=0.1) as state:
        child = spawn(KILLED)
        child.expect("ready")
        child.process.send_signal(signal.SIGSTOP)
        with pytest.raises(errors.ChannelInUseError, match="maybe stopped") as caught:
            state["a"] = 2
        assert caught.value.pids == [child.process.pid]
        assert (state["a"], state.epoch) == (1, 1)
        child.kill()
        began = time.monotonic()
        state["a"] = 3
        assert time.monotonic() - began < 1


READER = """
from pymilk import errors
from pymilk.channels import SharedState
state = SharedState.attach("state")
print(state.read(0).values, flush=True)
try:
    while True:
        print(state.read().values, flush=True)
except (KeyboardInterrupt, errors.ChannelRemovedError) as error:
    print(type(error).__name__, flush=True)
"""


@pytest.mark.parametrize("end", ["KeyboardInterrupt", "ChannelRemovedError"])
def test_reader_in_another_process(spawn, end):
    with SharedState.create("state", {"a": 1}) as state:
        child = spawn(READER)
        child.expect("{'a': 1}")
        state.update(b=2, c=3)
        child.expect("{'b': 2, 'c': 3}")
        if end == "KeyboardInterrupt":
            time.sleep(0.1)
            child.process.send_signal(signal.SIGINT)
        else:
            state.remove()
        child.expect(end)


def test_child_after_fork_has_a_lock_of_its_own():
    with SharedState.create("state", {"a": 0}, timeout=0.05) as state:
        state["a"] = 1
        state._lock()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                state["a"] = 2
            except errors.ChannelInUseError:
                code = 0 if state["a"] == 1 else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        with SharedState.attach("state", timeout=0) as other, pytest.raises(errors.ChannelInUseError):
            other["a"] = 3
        state._unlock()
        pid = os.fork()
        if pid == 0:
            state["a"] = 4
            os._exit(0)
        until(lambda: state["a"] == 4)
        os.waitpid(pid, 0)
        state["a"] = 5
