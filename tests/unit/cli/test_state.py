"""``pymilk state``, and what ``ls``, ``info``, ``rm`` and completion say of shared states."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.shell_completion import ShellComplete

from pymilk.channels import CommandQueue, MessageLog, SharedState
from pymilk.cli.app import app
from support.calling import call, done

VALUES = {"exposure": 1.0, "count": 3, "open": True, "filter": "R", "raw": b"\xff", "offset": np.arange(2)}


@pytest.fixture
def state():
    with SharedState.create("cam", VALUES) as state:
        yield state


def test_printing(state):
    lines = done("state", "cam").splitlines()
    assert lines[0].split() == ["key", "value", "set", "age"]
    assert [line.split()[:2] for line in lines[1:]] == [
        ["exposure", "1.0"], ["count", "3"], ["open", "True"], ["filter", "R"],
        ["raw", r"\xff"], ["offset", "[0,"],
    ]  # fmt: skip
    assert done("state", "cam", "filter", "count") == "R\n3\n"
    found = json.loads(done("state", "cam", "--json"))
    assert {key: each["value"] for key, each in found.items()} == {**VALUES, "raw": r"\xff", "offset": [0, 1]}
    assert (found["count"]["sequence"], found["count"]["epoch"]) == (1, 1)
    assert list(json.loads(done("state", "cam", "count", "--json"))) == ["count"]


def test_setting_keeps_types(state):
    assert done("state", "cam", "exposure=2", "count=4", "open=false", "filter=7", "raw=x") == ""
    assert state.epoch == 2
    found = state.as_dict()
    del found["offset"]
    assert repr(found) == "{'exposure': 2.0, 'count': 4, 'open': False, 'filter': '7', 'raw': b'x'}"
    done("state", "cam", "new=1.5", "word=a=b")
    assert (state["new"], state["word"]) == (1.5, "a=b")
    assert done("state", "cam", "new = 2", "new") == "2.0\n"
    done("state", "cam", "--text", "new=2")
    assert state["new"] == "2"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["count=x", "filter=B"], "'count' is of type int, 'x' is not; nothing was set (--text: store text)"),
        (["open=7"], "'open' is of type bool"),
        (["offset=1"], "'offset' is an array"),
        (["none"], "has no key 'none'"),
        (["--delete", "filter", "none"], "has no key 'none'"),
        (["count=99999999999999999999"], "the value of 'count' is an int of 64 bits"),
    ],
)
def test_what_cannot_be_done(state, given, said):
    result = call("state", "cam", *given)
    assert (result.returncode, said in result.stderr) == (1, True), result.stderr
    assert state.epoch == 1


@pytest.mark.parametrize("given", ["--delete", "--delete a=1", "--text", "=1", "--delete a --json"])
def test_wrong_usage(state, given):
    assert call("state", "cam", *given.split()).returncode == 2


def test_deleting(state):
    done("state", "cam", "--delete", "filter", "raw")
    assert (list(state), state.epoch) == (["exposure", "count", "open", "offset"], 2)


def test_listing_and_removal(state):
    assert done("ls").startswith("cam.state.shm: state, 6 keys, epoch 1")
    assert json.loads(done("info", "cam.state.shm", "--json"))["keys"] == 6
    done("rm", "cam.state.shm")
    result = call("state", "cam")
    assert (result.returncode, "no channel 'cam'" in result.stderr) == (1, True)


def test_names_are_completed(state):
    with MessageLog.create("cam_log"), CommandQueue.create("cam_queue"):
        complete = ShellComplete(app, {}, "pymilk", "_PYMILK_COMPLETE")
        for command, name in (("state", "cam"), ("tail", "cam_log"), ("send", "cam_queue")):
            assert [each.value for each in complete.get_completions([command], "ca")] == [name]
