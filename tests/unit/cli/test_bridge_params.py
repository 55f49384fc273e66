"""``pymilk bridge params``: it prints what ``pymilk fps`` prints, and sets what may be set."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from pymilk.bridge import ParameterOffer, Sender
from pymilk.bridge.parameters import asking, remote
from pymilk.parameters import FPS
from support.calling import call
from support.waiting import until
from support.wires import Wires


@pytest.fixture
def loop(shm_dir):
    with FPS.create("loop", directories=False, description="a loop") as made:
        made.add_param("gain", default=0.25, limits=(0.0, 1.0), description="of the loop")
        made.add_param("on", default=True)
        made.add_param("mode", default="a\x1b[2Jb")
        yield made


@pytest.fixture(autouse=True)
def rtc(loop, monkeypatch):
    wires = Wires()
    monkeypatch.setattr(remote, "open_engine", lambda links, most: wires)
    monkeypatch.setattr(remote.Connections, "check", lambda connections: None)
    monkeypatch.setattr(asking, "_AGAIN_SECONDS", 0.002)
    offer = ParameterOffer(("loop",), set=("loop/gain", "loop/on"))
    with Sender((), host="rtc", engine=wires, params=offer) as made:
        until(lambda: made.report.parameters.fps)
        yield made


def printed(*arguments):
    result = call(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize("more", [(), ("gain",), ("mode", "on"), ("--json",), ("gain", "--json")])
def test_values_are_printed_as_fps_get_prints_them(more):
    assert printed("bridge", "params", "rtc", "loop", *more) == printed("fps", "get", "loop", *more)


def test_a_list_is_printed_as_fps_ls_prints_it():
    here, there = printed("fps", "ls"), printed("bridge", "params", "rtc")
    assert there.replace("rtc/", "").split() == here.split()
    (found,) = json.loads(printed("bridge", "params", "rtc", "--json"))
    (local,) = json.loads(printed("fps", "ls", "--json"))
    assert found == {"host": "rtc", **{name: value for name, value in local.items() if name != "path"}}
    assert json.loads(printed("bridge", "params", "*", "--json")) == [found]


def test_values_are_set(loop):
    assert printed("bridge", "params", "rtc", "loop", "gain=0.5", "on=off") == ""
    assert (loop["gain"], loop["on"]) == (0.5, False)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("rtc", "loop", "gain=2"), 1, "outside of the limits"),
        (("rtc", "loop", "on=off", "gain=2"), 1, "outside of the limits"),
        (("rtc", "loop", "gain=x"), 1, "is no value for 'gain'"),
        (("rtc", "loop", "mode=x"), 1, "--allow-set loop/mode"),
        (("rtc", "loop", "nothing"), 1, "no parameter 'nothing'"),
        (("rtc", "loop", "--command", "runstop"), 1, "--allow-command loop/runstop"),
        (("rtc", "loop", "--command", "run"), 2, "confstart"),
        (("rtc", "other", "--timeout", "0"), 1, "rtc offers no fps 'other', but 'loop'"),
        (("hub", "--timeout", "0"), 1, "nobody offers parameters of 'hub'"),
        (("rtc", "loop", "gain", "on=off"), 2, "KEY=VALUEs"),
        (("rtc", "loop", "on=off", "--watch"), 2, "KEY=VALUEs"),
        (("rtc", "--watch"), 2, "need the NAME"),
    ],
)
def test_what_is_refused(loop, arguments, code, said):
    result = call("bridge", "params", *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert said in result.stderr
    assert loop.as_dict() == {"gain": 0.25, "on": True, "mode": "a\x1b[2Jb"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--params"),
        (("--allow-set", "loop/gain"), "offered first"),
        (("--params", "l", "--allow-set", "g"), "FPS/NAME"),
    ],
)
def test_what_cannot_be_offered(options, said):
    result = call("bridge", "send", *options)
    assert result.returncode in (1, 2)
    assert said in result.stderr
