"""Parameters of another machine: read, set once where that is allowed, watched; errors as they are there."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pymilk.bridge import ParameterOffer, RemoteParameters, Sender, remote_fps
from pymilk.bridge.keys import ABOUT, CHANGES, READ, SET, TURN, parameter_key
from pymilk.bridge.parameters import acts, asking, desk, watching
from pymilk.bridge.parameters.wire import encode
from pymilk.errors import (
    BridgeError,
    BridgeForbiddenError,
    FPSArgumentError,
    FPSCheckError,
    FPSKeyError,
    FPSLimitError,
    FPSNotFoundError,
    FPSReadOnlyError,
    FPSReplacedError,
    FPSTextError,
    FPSTimeoutError,
    FPSTypeError,
    StreamArgumentError,
    StreamBusyError,
    StreamClosedError,
)
from pymilk.parameters import FPS, ParameterFlag, Timespec
from support.waiting import until

OFFER = ParameterOffer(("l*",), set=("loop/*",), command=("loop/*stop", "loop/runstart"))


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch):
    monkeypatch.setattr(asking, "_AGAIN_SECONDS", 0.002)
    monkeypatch.setattr(asking, "_WAIT_SECONDS", 0.002)
    monkeypatch.setattr(desk, "_LOOK_SECONDS", 0.01)


@pytest.fixture
def loop(shm_dir):
    with FPS.create("loop", directories=False, description="of the test") as made:
        made.add_param("gain", "FLOAT32", 0.25, (0.0, 1.0), description="of the loop")
        made.add_param("modes", "INT64", 100)
        made.add_param("big", "UINT64", 2**63 + 1)
        made.add_param("on", default=True)
        made.add_param("file", "FILENAME", "a.fits")
        made.add_param("at", "TIMESPEC", (3, 5))
        made.add_param("seen", "FLOAT64", 1.5, flags=ParameterFlag.DEFAULT_OUTPUT)
        yield made


@pytest.fixture
def sender(wires, loop):
    with Sender((), host="rtc", engine=wires, params=OFFER) as made:
        until(lambda: made.report.parameters.fps)
        yield made


@pytest.fixture
def remote(wires, sender):
    with RemoteParameters("rtc", "loop", engine=wires, timeout=0.05) as made:
        yield made


def test_what_is_read_is_what_the_file_has(remote, loop):
    assert remote.as_dict() == loop.as_dict()
    assert [type(each) for each in remote.as_dict().values()] == [
        type(each) for each in loop.as_dict().values()
    ]
    assert list(remote) == list(loop)
    assert (len(remote), "gain" in remote, "loop.gain" in remote, "nothing" in remote) == (
        7,
        True,
        True,
        False,
    )
    for here, there in zip(loop.params(), remote.params(), strict=True):
        for name in ("key", "keyword", "type", "type_name", "value", "current", "low", "high", "limits",
                     "flags", "cnt0", "description", "status"):  # fmt: skip
            assert getattr(there, name) == getattr(here, name), name


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -0.0, 5e-324])
def test_all_numbers_come_as_they_are(remote, loop, value):
    loop.add_param("x", "FLOAT64", 0.0)
    remote["x"] = value
    assert np.float64(loop["x"]).tobytes() == np.float64(value).tobytes()
    assert np.float64(remote["x"]).tobytes() == np.float64(value).tobytes()


@pytest.mark.parametrize(
    ("key", "value", "stored"),
    [
        ("gain", 0.5, 0.5),
        ("loop.gain", np.float32(0.5), 0.5),
        ("modes", -(2**63), -(2**63)),
        ("big", 2**64 - 1, 2**64 - 1),
        ("on", False, False),
        ("file", "a\udcffé.fits", "a\udcffé.fits"),
        ("at", Timespec(7, 8), Timespec(7, 8)),
        ("at", 2.5, Timespec(2, 500_000_000)),
    ],
)
def test_what_is_set_is_in_the_file(remote, loop, key, value, stored):
    before = loop.param(key).cnt0
    assert remote.set(key, value) == stored
    assert loop[key] == remote[key] == stored
    assert loop.param(key).cnt0 == before + 1


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("nothing", 1, FPSKeyError),
        ("gain", 2.0, FPSLimitError),
        ("gain", "a", FPSTypeError),
        ("modes", 1.5, FPSTypeError),
        ("file", "x" * 64, FPSTextError),
        ("seen", 1.0, FPSReadOnlyError),
    ],
)
def test_errors_are_those_of_the_file(remote, loop, sender, key, value, error):
    with pytest.raises(error) as here:
        loop[key] = value
    with pytest.raises(error) as there:
        remote[key] = value
    assert str(there.value) == str(here.value).partition("; pass force=True")[0]
    for name in error.fields:
        if name != "path":
            assert getattr(there.value, name) == getattr(here.value, name), name
    assert there.value.path is None
    assert str(pickle.loads(pickle.dumps(there.value))) == str(there.value)
    assert sender.report.parameters.refused == 1


def test_no_path_of_the_host_is_told(remote, loop, wires):
    (answer,) = wires.ask(parameter_key("rtc", "loop", READ, ABOUT), 1)
    assert b"parameters" in answer.message
    assert os.path.dirname(loop.path).encode() not in answer.message
    os.remove(loop.path)
    with pytest.raises(FPSNotFoundError) as caught:
        remote.as_dict()
    assert "loop.fps.shm" in str(caught.value)
    assert os.path.dirname(loop.path) not in str(caught.value)


@pytest.mark.parametrize("value", [None, [1, 2, 3], {"a": 1}, b"x", object()])
def test_what_no_parameter_can_be_is_not_even_sent(remote, sender, value):
    with pytest.raises(FPSTypeError):
        remote["gain"] = value
    assert sender.report.parameters.asked == 0


def test_several_are_written_or_none(remote, loop):
    with pytest.raises(FPSLimitError):
        remote.update({"modes": 7, "gain": 2.0})
    assert loop["modes"] == 100
    remote.update({"modes": 7, "gain": 1.0})
    assert (loop["modes"], loop["gain"]) == (7, 1.0)


def test_permissions_of_the_moment_count(remote, loop):
    """A parameter without WRITERUN may not be written while a run process is up."""
    loop.add_param("fixed", "INT64", 1, flags=ParameterFlag.DEFAULT_INPUT & ~ParameterFlag.WRITERUN)
    remote["fixed"] = 2
    with loop.running(conf=False):
        with pytest.raises(FPSReadOnlyError, match="WRITERUN"):
            remote["fixed"] = 3
        assert remote.run_state == "running"
    assert loop["fixed"] == 2


def test_what_the_host_does_not_let_be_done(wires, loop, shm_dir):
    offer = ParameterOffer(("loop",), set=("loop/ga*",))
    with (
        Sender((), host="rtc", engine=wires, params=offer) as sender,
        RemoteParameters("rtc", "loop", engine=wires, timeout=0.05) as remote,
    ):
        until(lambda: sender.report.parameters.fps)
        remote["gain"] = 0.5
        for do, said in (
            (lambda: remote.set("modes", 1), "--allow-set loop/modes"),
            (lambda: remote.set("nothing", 1), "--allow-set loop/nothing"),
            (remote.run_stop, "--allow-command loop/runstop"),
        ):
            with pytest.raises(BridgeForbiddenError, match=said):
                do()
        assert loop["modes"] == 100
        assert sender.report.parameters.refused == 3


def test_one_spelling_is_what_rules_are_about(wires, sender, loop):
    """The keyword with the name in front would pass a rule of another parameter."""
    (turn,) = wires.ask(parameter_key("rtc", "loop", TURN, "new"), 1)
    secret = turn.message.partition(b'"turn":"')[2][:32].decode()
    asked = encode({"turn": secret, "number": 1, "value": 0.5})
    (answer,) = wires.ask(parameter_key("rtc", "loop", SET, "loop.gain"), 1, asked)
    assert b"FPSKeyError" in answer.message
    assert loop["gain"] == 0.25


def test_commands(remote, loop, sender, monkeypatch):
    told = []
    for name in ("conf_stop", "run_stop", "run_start"):
        monkeypatch.setattr(
            acts.FPS, name, lambda fps, timeout, name=name: told.append((name, fps.name, timeout))
        )
    monkeypatch.setattr(acts.FPS, "tmux_isrunning", lambda fps: False)
    monkeypatch.setattr(acts.FPS, "tmux_start", lambda fps: told.append("tmux"))
    remote.conf_stop(1)
    remote.run_stop(2)
    remote.run_start()
    assert told == [("conf_stop", "loop", 1.0), ("run_stop", "loop", 2.0), "tmux", ("run_start", "loop", 5.0)]
    assert sender.report.parameters.commanded == 3
    with pytest.raises(BridgeForbiddenError, match="confstart"):
        remote.conf_start()
    assert len(told) == 4


def test_what_a_command_raises_is_raised_here(remote, monkeypatch):
    def refuse(fps, timeout):
        raise FPSCheckError("fps 'loop' cannot run: a, b", fps="loop", messages=["a", "b"])

    monkeypatch.setattr(acts.FPS, "tmux_isrunning", lambda fps: True)
    monkeypatch.setattr(acts.FPS, "run_start", refuse)
    with pytest.raises(FPSCheckError, match="cannot run: a, b") as caught:
        remote.run_start()
    assert caught.value.messages == ["a", "b"]


def test_who_is_not_there(wires, sender):
    with pytest.raises(FPSNotFoundError, match="rtc offers no fps 'other', but 'loop'"):
        RemoteParameters("rtc", "other", engine=wires, timeout=0.01).as_dict()
    with pytest.raises(BridgeError, match="nobody offers parameters of 'hub'"):
        RemoteParameters("hub", "loop", engine=wires, timeout=0.01).as_dict()
    assert remote_fps(host="hub", timeout=0, engine=wires) == []


def test_an_asterisk_is_a_name_as_others_are(wires, sender, loop, remote):
    """It stood for all: one of the hosts answered, and a change was asked for of all parameters."""
    with pytest.raises(BridgeError, match=r"nobody offers parameters of '\*'"):
        RemoteParameters("*", "loop", engine=wires, timeout=0.01).as_dict()
    with pytest.raises(FPSNotFoundError, match=r"rtc offers no fps '\*', but 'loop'"):
        RemoteParameters("rtc", "*", engine=wires, timeout=0.01).as_dict()
    for call in (lambda: remote["*"], lambda: remote.set("*", 0.5)):
        with pytest.raises(FPSKeyError):
            call()
    assert [each["host"] for each in remote_fps(host="*", engine=wires)] == ["rtc"]


def test_fps_come_and_go(wires, sender, loop):
    assert [(each["host"], each["name"], each["parameters"]) for each in remote_fps(engine=wires)] == [
        ("rtc", "loop", 7)
    ]
    FPS.create("other", directories=False).close()  # is not offered
    with FPS.create("late", directories=False) as late:
        until(lambda: sender.report.parameters.fps == ["late", "loop"])
        assert [each["name"] for each in remote_fps(engine=wires)] == ["late", "loop"]
        late.destroy()
    until(lambda: sender.report.parameters.fps == ["loop"])
    assert [each["name"] for each in remote_fps(engine=wires)] == ["loop"]


def test_many_parameters_come_in_several_answers(remote, loop, sender, monkeypatch):
    monkeypatch.setattr(desk, "_PIECE_NBYTES", 400)
    assert remote.as_dict() == loop.as_dict()
    assert sender.report.parameters.asked == 4


def test_changes_come_in_order(remote, loop):
    with remote.watch("gain", "modes") as watch:
        for number in (1, 2, 3):
            loop["modes"] = number
            loop["on"] = False  # nobody asked for it
            change = next(watch)
            assert (change.key, change.value, change.counter, change.missed) == (
                "modes",
                number,
                1 + number,
                0,
            )
        loop["at"] = (1, 1)
        loop["gain"] = 1.0
        assert next(watch)[:2] == ("gain", 1.0)


def test_a_watch_ends(remote, loop):
    assert list(remote.watch(timeout=0)) == []
    with pytest.raises(FPSTimeoutError, match="in 0 s"):
        remote.wait_for_change(timeout=0)
    with pytest.raises(FPSKeyError):
        remote.watch("nothing")
    watch = remote.watch()
    watch.close()
    assert list(watch) == []


@pytest.mark.parametrize("timeout", [None, 60])
def test_a_wait_ends_when_another_thread_closes(remote, timeout):
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(remote.wait_for_change, "gain", timeout)
        until(lambda: remote._watches)
        remote.close()
        with pytest.raises(StreamClosedError, match="parameters of rtc/loop were closed"):
            waits.result(30)


@pytest.mark.parametrize(
    "key",
    [3, None, 10**5000, b"gain", ("gain",), "x" * 100_000],
    ids=["int", "none", "digits", "bytes", "tuple", "long"],
)
def test_keys_that_are_none(remote, loop, wires, key):
    """The engine would end at such names; nothing is asked."""
    asked = len(wires.messages)
    for call in (
        lambda: remote[key],
        lambda: remote.set(key, 1),
        lambda: remote.update({key: 1}),
        lambda: remote.watch(key),
        lambda: remote.wait_for_change([key], 0),
    ):
        with pytest.raises(FPSKeyError, match=r"a key is a str( of up to 400 letters)?, not"):
            call()
    assert key not in remote
    with pytest.raises(StreamArgumentError, match="command is confstart, confstop, runstart or runstop"):
        remote.command(key)
    assert len(wires.messages) == asked
    with pytest.raises(StreamArgumentError, match="values is a mapping"):
        remote.update(5)
    with pytest.raises(FPSArgumentError, match="keys is a key, or several"):
        remote.wait_for_change(5)


def test_a_second_thread_that_takes_changes_is_told(remote, loop):
    with remote.watch("modes", timeout=60) as watch, ThreadPoolExecutor(1) as pool:
        takes = pool.submit(next, watch)
        until(watch._alone.locked)
        with pytest.raises(StreamBusyError, match="another thread is reading"):
            next(watch)
        loop["modes"] = 1
        assert takes.result(60).value == 1


def test_changes_that_are_lost_on_the_way_are_read(remote, loop, wires):
    with remote.watch("modes", timeout=30) as watch:
        loop["modes"] = 1
        assert next(watch).value == 1
        sent = len(wires.messages)
        wires.drop = lambda number: number == sent
        loop["modes"] = 2
        until(lambda: len(wires.messages) > sent)
        loop["on"] = False
        change = next(watch)
        assert (change.value, change.counter, change.missed) == (2, 3, 0)


def test_an_fps_that_is_made_anew_ends_a_watch(remote, loop):
    with remote.watch(timeout=30) as watch:
        loop["modes"] = 1
        next(watch)
        FPS.create("loop", directories=False, replace=True).close()
        with pytest.raises(FPSReplacedError, match="made anew"):
            next(watch)


def test_a_host_that_ends_ends_a_watch(remote, loop, sender, monkeypatch):
    monkeypatch.setattr(watching, "_SILENCE_SECONDS", 0.01)
    with remote.watch(timeout=30) as watch:
        loop["modes"] = 1
        next(watch)
        sender.stop()
        with pytest.raises(BridgeError, match="nobody offers"):
            next(watch)


def test_after_the_end(wires, sender):
    remote = RemoteParameters("rtc", "loop", engine=wires)
    watch = remote.watch()
    remote.close()
    remote.close()
    assert watch.closed
    with pytest.raises(StreamClosedError, match="rtc/loop were closed"):
        remote.as_dict()


def test_nothing_is_looked_at_while_nobody_listens(remote, loop, wires, sender):
    with remote.watch("modes"):
        until(lambda: wires.messages)
    assert not wires.wanted(parameter_key("rtc", "loop", READ, CHANGES))
    changes = sender._desk._changes["loop"]
    until(lambda: changes._fps is None)
    assert not changes.push()
    assert changes._fps is None


def test_two_hosts_of_one_name_are_not_written_to(wires, loop, sender, remote):
    with Sender((), host="rtc", engine=wires, params=OFFER) as second:
        until(lambda: second.report.parameters.fps)
        with pytest.raises(BridgeError, match="2 machines offer fps 'loop' as 'rtc'"):
            remote["gain"] = 0.5
    assert loop["gain"] == 0.25


@pytest.mark.parametrize("given", [5, [1], None, b"gain"], ids=repr)
def test_keys_and_values_that_are_none(wires, sender, given):
    with RemoteParameters("rtc", "loop", engine=wires, timeout=5) as remote:
        with pytest.raises(FPSKeyError, match="a key is a str, not"):
            remote.set(given, 0.5)
        with pytest.raises(StreamArgumentError, match="values is a mapping"):
            remote.update(given)
        if given == 5:
            with pytest.raises(FPSArgumentError, match="keys is a key, or several of them, not 5"):
                remote.wait_for_change(given, 0.1)
        assert remote["gain"] == 0.25
