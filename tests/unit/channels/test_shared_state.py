"""Shared states within one process: what is set is read, and what cannot be set changes nothing."""

from __future__ import annotations

import asyncio
import os
import pickle
import random
import select
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

import pymilk
from pymilk import errors
from pymilk.channels import MessageLog, SharedState
from pymilk.channels.file import HEADER_NBYTES
from pymilk.channels.listing import list_channels, remove
from pymilk.system.locks import take_lock
from support.waiting import PATIENCE

SMALL = HEADER_NBYTES + 1024

VALUES = {
    "int": -(2**63),
    "most": 2**63 - 1,
    "float": 0.1,
    "not a number": float("nan"),
    "bool": True,
    "text": "\u00b5m",
    "nothing": "",
    "bytes": b"\0\xff",
    "array": np.arange(6, dtype=">i2").reshape(2, 3),
    "none of it": np.zeros((0, 3), "f4"),
    "single": np.array(3 + 4j),
    "dates": np.array(["2026-01-01"], "M8[D]"),
    "names": np.array(["a", "bc"]),
    "\u03b1" * 127: 1,
}


def same(one: object, other: object) -> bool:
    if isinstance(other, np.ndarray):
        return type(one) is np.ndarray and one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and repr(one) == repr(other)


def test_each_type_comes_back_as_it_was_set():
    with SharedState.create("state") as state, SharedState.attach("state") as other:
        for key, value in VALUES.items():
            state[key] = value
        assert all(same(other[key], value) for key, value in VALUES.items())
        assert list(other) == list(VALUES) == list(other.as_dict()) == list(other.keys())
        assert all(same(one, two) for one, two in zip(other.values(), VALUES.values(), strict=True))
        assert len(other) == len(VALUES) == other.epoch
        assert "int" in other
        assert "none" not in other
        assert 3 not in other
        assert (other.get("none"), other.get("none", 7), other.get("bool")) == (None, 7, True)


@pytest.mark.parametrize(
    ("given", "found"),
    [(np.bool_(True), True), (np.uint8(7), 7), (np.float32(0.5), 0.5), (bytearray(b"x"), b"x"),
     (memoryview(b"y"), b"y"), (np.str_("z"), "z"), (np.complex64(1j), np.array(1j, "c8")),
     (np.longdouble(2), np.array(2, "g"))],
)  # fmt: skip
def test_values_of_numpy(given, found):
    with SharedState.create("state") as state:
        state["key"] = given
        assert same(state["key"], found)


def test_what_is_read_is_a_copy():
    with SharedState.create("state", {"a": np.zeros(3)}) as state:
        state["a"][:] = 5
        assert not state["a"].any()


def test_sequence_epoch_and_time():
    with SharedState.create("state") as state:
        assert (state.epoch, state.last_ns) == (0, 0)
        assert state.update({"a": 1, "b": 2}) == 1
        state["a"] = 3
        assert state.update(b=4, c=5) == 3
        assert [tuple(state.entry(key))[:3] for key in "abc"] == [(3, 2, 2), (4, 2, 3), (5, 1, 3)]
        times = [state.entry(key).time_ns for key in "abc"]
        assert times[0] < times[1] == times[2] == state.last_ns
        assert state.update({}) == 3
        del state["a"]
        state["a"] = 6
        assert state.entry("a")[:3] == (6, 1, 5)
        assert list(state) == ["b", "c", "a"]


def test_changed_since():
    with SharedState.create("state", {"a": 1, "b": 2}) as state:
        assert state.changed_since(0) == (1, {"a": 1, "b": 2}, ("a", "b"), False)
        assert state.changed_since(1) == (1, {}, ("a", "b"), False)
        state["b"] = 3
        assert state.changed_since(1) == (2, {"b": 3}, ("a", "b"), False)
        del state["a"]
        assert state.changed_since(2) == (3, {}, ("b",), True)
        assert not state.changed_since(3).removed


def test_read_tells_each_change_once():
    with SharedState.create("state", {"a": 1}) as state, SharedState.attach("state") as reader:
        assert reader.wait(0)
        assert reader.read(0).values == {"a": 1}
        assert not reader.wait(0)
        with pytest.raises(errors.ChannelTimeoutError, match="nothing was set within 0 s"):
            reader.read(0)
        state["a"] = 2
        state["b"] = 3
        assert reader.read(0) == (3, {"a": 2, "b": 3}, ("a", "b"), False)
        assert reader.seen == 3


@pytest.mark.parametrize("seed", range(4))
def test_against_a_dict(seed):
    """Any lengths in any order: all values are those of a dict, and what has no room changes nothing."""
    choice = random.Random(seed)
    model: dict[str, object] = {}
    with SharedState.create("state", nbytes=HEADER_NBYTES + choice.choice((1024, 2000, 4096))) as state:
        room = state.room
        for _ in range(1000):
            keys = choice.sample([f"k{'x' * number}" for number in range(12)], choice.randint(1, 3))
            if choice.randrange(4) == 0 and keys[0] in model:
                del state[keys[0]], model[keys[0]]
                continue
            values = (choice.random(), choice.randbytes(choice.randrange(120)))
            step = {key: choice.choice(values) for key in keys}
            after = {**model, **step}
            sizes = [(32, len(k), len(v) if isinstance(v, bytes) else 8) for k, v in after.items()]
            epoch = state.epoch
            if sum(-(-each // 8) * 8 for entry in sizes for each in entry) > room:
                with pytest.raises(errors.RecordTooLongError):
                    state.update(step)
                assert state.epoch == epoch
            else:
                assert state.update(step) == epoch + 1
                model = after
            assert state.as_dict() == model
            assert list(state) == list(model)


@pytest.mark.parametrize("value", [None, [1.0], {"a": 1}, 2**63, -(2**63) - 1, object(), np.array([None]),
                                   "\ud800", np.zeros(2, [("a", "i4")]), 1j])  # fmt: skip
def test_values_that_cannot_be_set(value):
    with SharedState.create("state", {"a": 1}) as state:
        with pytest.raises(errors.ChannelArgumentError, match="the value of 'b' is an int"):
            state.update({"a": 2, "b": value})
        assert (state.as_dict(), state.epoch) == ({"a": 1}, 1)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\0", 3, None, b"a", "\ud800"])
def test_keys_that_cannot_be(key):
    with SharedState.create("state", {"a": 1}) as state:
        with pytest.raises(errors.ChannelArgumentError, match="a key is text of 1 to 255 bytes"):
            state.update({"a": 2, key: 1})
        for wrong in (lambda: state[key], lambda: state.entry(key), lambda: state.__delitem__(key)):
            with pytest.raises(errors.ChannelKeyError):
                wrong()
        assert key not in state
        assert (state.as_dict(), state.epoch) == ({"a": 1}, 1)
        with pytest.raises(errors.ChannelArgumentError):
            SharedState.create("other", {key: 1})


def test_deleting_is_one_step():
    with SharedState.create("state", {"a": 1, "b": 2, "c": 3}) as state:
        with pytest.raises(errors.ChannelKeyError):
            state.delete("a", "none")
        assert (list(state), state.epoch) == (["a", "b", "c"], 1)
        assert (state.delete("a", "c"), list(state.entries())) == (2, ["b"])
        assert state.entries()["b"] == state.entry("b")


def test_unknown_key():
    with SharedState.create("state", {"gain": 1}) as state:
        with pytest.raises(KeyError) as caught:
            state["exposure"]
        assert str(caught.value) == "channel 'state' has no key 'exposure'; its keys: 'gain'"
        assert pickle.loads(pickle.dumps(caught.value)).key == "exposure"
        with pytest.raises(errors.ChannelKeyError):
            del state["exposure"]
        assert state.epoch == 1


def test_no_room():
    with SharedState.create("state", {"a": b"x" * 100}, nbytes=SMALL) as state:
        assert state.room == 512 - 32
        with pytest.raises(errors.RecordTooLongError) as caught:
            state.update({"a": b"", "b": b"x" * 1000})
        assert (caught.value.nbytes, caught.value.longest) == (32 + 8 + 32 + 8 + 1000, 480)
        assert state.as_dict() == {"a": b"x" * 100}
        state["a"] = b"y" * 440
        with pytest.raises(errors.RecordTooLongError):
            state["b"] = 1
        del state["a"]
        state["b"] = b"z" * 440
    with pytest.raises(errors.RecordTooLongError):
        SharedState.create("other", {"a": b"x" * 1000}, nbytes=SMALL)
    assert [each["name"] for each in list_channels()] == ["state"]


def test_fixed_keys():
    values = {"a": 1, "b": "text", "c": np.zeros((2, 3)), "d": 1.0}
    with SharedState.create("state", values, fixed=True) as state, SharedState.attach("state") as other:
        assert other.fixed
        other.update(a=2, b="longer text", c=np.ones((2, 3)))
        before = other.changed_since(0)
        arrays = (np.zeros((3, 2)), np.zeros((2, 3), "i8"), np.zeros((2, 3), ">f8"), 1.0)
        for wrong in ({"a": 1.0}, {"d": 1}, {"a": True}, {"b": b""}, *({"c": each} for each in arrays)):
            with pytest.raises(errors.ChannelArgumentError, match=r"has fixed keys: '[abcd]' is "):
                other.update({"d": 5.0, **wrong})
        with pytest.raises(errors.ChannelKeyError):
            other["e"] = 1
        with pytest.raises(errors.ChannelArgumentError, match="cannot be removed"):
            del other["a"]
        assert repr(other.changed_since(0)) == repr(before)
        state["d"] = 2.0
    with pytest.raises(errors.ChannelArgumentError, match="there are none"):
        SharedState.create("other", fixed=True)


def test_a_writer_in_the_middle_of_a_step_is_waited_for():
    with SharedState.create("state", {"a": 1}) as state, SharedState.attach("state", timeout=0.01) as other:
        state._lock()
        with pytest.raises(errors.ChannelInUseError, match=r"has been writing it for 0\.01 s") as caught:
            other["a"] = 2
        assert caught.value.pids == [os.getpid()]
        assert (other["a"], other.epoch) == (1, 1)
        with pytest.raises(errors.ChannelInUseError):
            SharedState.create("state", replace=True, timeout=0)
        with pytest.raises(errors.ChannelInUseError):
            other.remove()
        state._unlock()
        other["a"] = 2
        assert state["a"] == 2


def test_threads_that_share_an_object_take_turns():
    with SharedState.create("state", {"a": 0, "b": 0}) as state:

        def work() -> None:
            for number in range(500):
                state.update(a=number, b=number)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            found = state.as_dict()
            assert found["a"] == found["b"]
        assert state.epoch == 2001


@pytest.mark.parametrize("shared", [True, False], ids=["one object", "an object each"])
def test_locked(shared):
    """What is read within is still so when the next step is done."""
    with SharedState.create("state", {"count": 0}, timeout=PATIENCE) as state:

        def work() -> None:
            mine = state if shared else SharedState.attach("state", timeout=PATIENCE)
            for _ in range(50):
                with mine.locked(), mine.locked():
                    mine["count"] = mine["count"] + 1
            if not shared:
                mine.close()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert state["count"] == 150
        with pytest.raises(errors.ChannelKeyError), state.locked():
            state["none"]
        with SharedState.attach("state", timeout=0) as other:
            other["count"] = 0


def test_removed_and_replaced():
    with SharedState.create("state", {"a": 1}) as state, SharedState.attach("state") as other:
        with pytest.raises(errors.ChannelExistsError):
            SharedState.create("state")
        with SharedState.create("state", {"a": 2}, replace=True) as new:
            for call in (lambda: state["a"], state.as_dict, lambda: state.update(a=3), lambda: len(other),
                         lambda: other.read(0), lambda: other.wait_for_change(1, 0)):  # fmt: skip
                with pytest.raises(errors.ChannelRemovedError):
                    call()
            assert (new["a"], new.epoch) == (2, 1)
            reader = SharedState.attach("state")
            new.remove()
            assert new.closed
            with pytest.raises(errors.ChannelRemovedError):
                reader["a"]
            with pytest.raises(errors.ChannelRemovedError):
                reader.remove()
            reader.close()
        with pytest.raises(errors.ChannelNotFoundError):
            SharedState.attach("state")


def test_deleted_file():
    """Nobody says that it is gone: writing finds out at once."""
    with SharedState.create("state", {"a": 1}) as state:
        os.unlink(state.path)
        with pytest.raises(errors.ChannelRemovedError):
            state["a"] = 2
        with pytest.raises(errors.ChannelRemovedError):
            state.wait_for_change(1, timeout=PATIENCE)


def test_closed():
    state = SharedState.create("state", {"a": 1})
    state.close()
    state.close()
    assert repr(state) == "<SharedState 'state' closed>"
    for call in (lambda: state["a"], lambda: state.update(a=1), lambda: state.epoch, lambda: list(state),
                 lambda: state.read(0), lambda: state.__delitem__("a"), lambda: state.wait(0),
                 state.fileno, state.remove):  # fmt: skip
        with pytest.raises(errors.ChannelClosedError):
            call()
    with pytest.raises(TypeError):
        SharedState()


def test_read_only():
    with SharedState.create("state", {"a": 1}) as state, SharedState.attach("state", write=False) as other:
        assert not other.writing
        for call in (lambda: other.update(a=1), lambda: other.__delitem__("a"), other.remove):
            with pytest.raises(errors.ChannelReadOnlyError):
                call()
        assert other["a"] == 1
        assert state.writing


def test_no_descriptor_is_left(shm_dir):
    with SharedState.create("state", {"a": 1}) as state:
        state["a"] = 2
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            with SharedState.attach("state") as other:
                other["a"] = 3
                take_lock(other_fd := os.open(state.path, os.O_RDWR))
                os.close(other_fd)
        assert len(os.listdir("/proc/self/fd")) == before


def damage(path: str, at: int, form: str, *numbers: int) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(struct.pack(form, *numbers))


IMAGE = HEADER_NBYTES + 512  # that of epoch 1, in a file of SMALL bytes


@pytest.mark.parametrize(
    ("at", "form", "numbers"),
    [
        (IMAGE, "Q", (2,)),
        (IMAGE + 8, "Q", (504,)),
        (IMAGE + 8, "Q", (2**64 - 8,)),
        (IMAGE + 8, "Q", (41,)),
        (IMAGE + 32 + 24, "I", (2**32 - 1,)),
        (IMAGE + 32 + 24, "I", (4,)),
        (IMAGE + 32 + 30, "H", (9,)),
        (IMAGE + 32 + 30, "H", (6,)),
        (128, "Q", (7,)),
        (192, "Q", (2**64 - 1,)),
    ],
)
def test_damage(at, form, numbers):
    with SharedState.create("state", {"a": 1}, nbytes=SMALL) as state:
        damage(state.path, at, form, *numbers)
        for call in (lambda: state["a"], state.as_dict):
            with pytest.raises(errors.ChannelDamagedError):
                call()


def test_file_that_is_cut():
    with SharedState.create("state", {"a": 1}) as state, SharedState.attach("state") as other:
        os.truncate(state.path, 100)
        for call in (lambda: state["a"], state.as_dict, lambda: other.update(a=2), lambda: other.read(0)):
            with pytest.raises(errors.ChannelDamagedError):
                call()


@pytest.mark.parametrize(
    ("at", "number", "field"),
    [(0, 0, "magic"), (8, 2, "version"), (12, 1, "kind"), (16, 5, "nbytes"), (40, 8, "room"), (48, 2, "size"),
     (56, 520, "size"), (56, 0, "size"), (56, 129, "size")],
)  # fmt: skip
def test_header_that_is_refused(at, number, field):
    with SharedState.create("state", nbytes=SMALL) as state:
        damage(state.path, at, "I", number)
        with pytest.raises(errors.ChannelFormatError) as caught:
            SharedState.attach("state")
        assert caught.value.field == field


def test_channels_of_other_kinds(shm_dir: Path):
    with MessageLog.create("log") as log:
        os.link(log.path, shm_dir / "log.state.shm")
        with pytest.raises(errors.ChannelFormatError, match="kind is 1, not 3"):
            SharedState.attach("log")
        with pytest.raises(errors.ChannelArgumentError, match="is not the path of a channel"):
            SharedState.attach(log.path)
    with pytest.raises(errors.ChannelArgumentError):
        SharedState.create("../x")
    with pytest.raises(errors.StreamNameError):
        SharedState.create("")
    for wrong in (SMALL - 1, True, "x"):
        with pytest.raises(errors.ChannelArgumentError):
            SharedState.create("state", nbytes=wrong)
    for late in (-1, None, float("nan")):
        with pytest.raises(errors.StreamArgumentError):
            SharedState.create("state", timeout=late)


@pytest.mark.parametrize("epoch", [-1, 2**63, 0.5, None, "1"])
def test_epochs_that_cannot_be(epoch):
    with SharedState.create("state") as state:
        for call in (state.changed_since, state.wait_for_change):
            with pytest.raises(errors.ChannelArgumentError, match="an epoch is a number from 0 on"):
                call(epoch)


def test_waiting_for_changes():
    with SharedState.create("state", {"a": 1}) as state, SharedState.attach("state") as reader:
        assert reader.wait_for_change(0, timeout=0) == 1
        with pytest.raises(errors.ChannelTimeoutError):
            reader.wait_for_change(1, timeout=0.001)
        timer = threading.Timer(0.005, lambda: state.update(a=2))
        timer.start()
        assert reader.wait_for_change(1, timeout=PATIENCE) == 2
        timer.join()


def test_wait_any_and_descriptors():
    with (
        SharedState.create("state") as state,
        SharedState.attach("state") as reader,
        MessageLog.create("log") as log,
        MessageLog.attach("log") as messages,
    ):
        with pytest.raises(errors.StreamTimeoutError):
            pymilk.wait_any([messages, reader], timeout=0.001)
        timer = threading.Timer(0.005, lambda: state.update(a=2))
        timer.start()
        assert pymilk.wait_any([messages, reader], timeout=PATIENCE) == [1]
        timer.join()
        assert select.select([reader], [], [], PATIENCE)[0] == [reader]
        assert reader.read(0).values == {"a": 2}
        log.append("x")
        assert pymilk.wait_any([messages, reader], timeout=PATIENCE) == [0]


def test_asyncio():
    async def follow(reader: SharedState) -> list[dict[str, object]]:
        found = []
        async for changes in reader:
            found.append(changes.values)
            if len(found) == 2:
                return found
            state["b"] = 2
        return found

    with SharedState.create("state", {"a": 1}) as state, SharedState.attach("state") as reader:
        assert asyncio.run(follow(reader)) == [{"a": 1}, {"b": 2}]
        with pytest.raises(errors.ChannelTimeoutError):
            asyncio.run(reader.read_async(0.001))


def test_listing_and_removal():
    with SharedState.create("state", {"a": 1, "b": 2}, fixed=True) as state:
        (entry,) = list_channels()
        expected = {"name": "state", "kind": "state", "keys": 2, "count": 1, "fixed": True, "age": None}
        assert entry.items() >= expected.items()
        state["a"] = 3
        assert list_channels()[0]["age"] >= 0
        remove(state.path)
        assert list_channels() == []
