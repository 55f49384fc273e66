"""What scripts of older interfaces rely on: silent ends, slots that are emptied by hand, comments, events."""

from __future__ import annotations

import importlib
import os
import pkgutil
from typing import Any

import numpy as np
import pyMilk
import pytest

from pymilk import SHM, Stream
from pymilk.errors import StreamArgumentError, StreamNotFoundError, StreamReplacedError
from support import isio_format
from support.camera import numbers

EVENT = np.dtype("<u1,<u1,<u2,<u1")


# -- ends -----------------------------------------------------------------------------------------


def test_end_twice(make):
    shm = make("cam", numbers((2, 2)))
    shm.destroy()
    shm.destroy()
    shm.close()
    shm.close()
    shm.destroy()


@pytest.mark.parametrize("shape", [(2, 2), (3, 3)])
def test_end_of_an_object_whose_file_was_replaced(make, shape):
    old = make("cam", numbers((2, 2)))
    new = make("cam", numbers(shape))
    old.destroy()
    old.destroy()
    np.testing.assert_array_equal(new.get_data(), numbers(shape))
    np.testing.assert_array_equal(make("cam").get_data(), numbers(shape))
    with Stream.attach("cam") as stream:
        make("cam", numbers(shape))
        with pytest.raises(StreamReplacedError):  # the new interface tells
            stream.destroy()


def test_end_of_an_object_whose_file_is_gone(make):
    shm = make("cam", numbers((2, 2)))
    os.unlink(shm.FILEPATH)
    with pytest.raises(StreamNotFoundError):
        shm.destroy()


# -- a slot that is emptied by hand --------------------------------------------------------------------


def take_one(shm: SHM) -> None:
    while shm.check_sem_value():
        shm.check_sem_trywait()


EMPTIED = {
    "semflush": lambda shm: shm.IMAGE.semflush(shm.semID),
    "semflush of all": lambda shm: shm.IMAGE.semflush(-1),
    "trywait": take_one,
    "trywait until none": lambda shm: [None for _ in iter(shm.check_sem_trywait, False)],
    "semtrywait": lambda shm: [None for _ in iter(lambda: shm.IMAGE.semtrywait(shm.semID), -1)],
    "semwait": lambda shm: shm.IMAGE.semwait(shm.semID),
    "timedwait": lambda shm: shm.check_sem_timedwait(1.0),
    "timedwait in vain": lambda shm: (shm.IMAGE.semflush(shm.semID), shm.check_sem_timedwait(0.0)),
}


@pytest.mark.parametrize("how", EMPTIED)
def test_reply_belongs_to_its_request(make, how):
    replies = make("reply", np.zeros(2, np.int32))
    shm = make("reply")
    assert shm.semID is not None
    for number in range(1, 5):
        replies.set_data(np.full(2, -number, np.int32))  # something that came before the request
        EMPTIED[how](shm)
        assert shm.get_data(True, timeout=0.001, checkSemAndFlush=False, return_none_on_timeout=True) is None
        EMPTIED["semflush"](shm)
        replies.set_data(np.full(2, 1000 + number, np.int32))
        assert shm.get_data(True, checkSemAndFlush=False)[0] == 1000 + number


def test_posts_that_are_left_count(make):
    replies = make("reply", np.zeros(2, np.int32))
    shm = make("reply")
    assert shm.semID is not None
    replies.set_data(np.full(2, 1, np.int32))
    replies.set_data(np.full(2, 2, np.int32))
    assert shm.check_sem_trywait()
    assert shm.get_data(True, timeout=1.0, checkSemAndFlush=False)[0] == 2
    replies.set_data(np.full(2, 3, np.int32))
    other = next(index for index in range(10) if index != shm.semID)
    shm.IMAGE.semflush(other)  # the slot of somebody else
    assert shm.get_data(True, timeout=1.0, checkSemAndFlush=False)[0] == 3


# -- keywords ----------------------------------------------------------------------------------------


def test_comment_that_is_not_given_is_lost(make):
    shm = make("cam", ((2, 2), np.uint8), nbkw=4)
    table = {"A": (1, "first"), "B": (2, "second")}
    for given in ({"A": 3}, {"A": (3,)}):
        shm.reset_keywords(table)
        shm.set_keywords(given)
        assert shm.get_keywords(True) == {"A": (3, ""), "B": (2, "second")}
    shm.set_keywords({"A": 4, "B": 5})
    assert shm.get_keywords(True) == {"A": (4, ""), "B": (5, "")}
    shm.reset_keywords(table)
    shm["A"] = 3
    assert shm.get_keyword("A", comment=True) == (3, "")
    shm.reset_keywords(table)
    shm.update_keyword("A", 3)
    shm.keywords["B"] = 4
    assert shm.get_keywords(True) == {"A": (3, "first"), "B": (4, "second")}


@pytest.mark.parametrize("text", ["0123456789abcdef", "äöüäöüäö"])
def test_byte_behind_a_full_text_is_0(make, text):
    shm = make("cam", ((2, 2), np.uint8), nbkw=4)
    shm.set_keywords({"A": text, "B": "short"})
    counts = []
    for _ in range(3):
        shm.update_keyword("A", text)
        with Stream.attach("cam") as stream:
            full, short = stream.read_keywords()
        counts.append(full.cnt)
        assert full.cnt % 256 == 0
        assert short.cnt == 1
    assert counts == sorted(set(counts))  # each write still counts
    assert shm["A"] == text


# -- times -------------------------------------------------------------------------------------------


def test_stored_time_is_a_number_too(make):
    shm = make("cam", numbers((2, 2)))
    before = shm.md.writetime
    seconds = float(before)
    assert before == seconds
    assert seconds - 1 < before < seconds + 1
    assert seconds <= before <= seconds
    assert seconds + 1 > before > seconds - 1
    assert before - (seconds - 2) == pytest.approx(2)
    assert (seconds + 2) - before == pytest.approx(2)
    assert before + 1 == seconds + 1 == 1 + before
    assert (before - before).total_seconds() == 0  # two of them are datetimes
    assert before - (before - before) == before
    assert sorted([before, seconds - 1.0]) == [seconds - 1.0, before]
    assert before != "text"
    assert {before: 1}[before] == 1


# -- names -------------------------------------------------------------------------------------------


def modules() -> list[str]:
    found = pkgutil.walk_packages(pyMilk.__path__, "pyMilk.")
    return sorted(each.name for each in found if not each.ispkg)


@pytest.mark.parametrize("name", modules())
def test_alias_is_the_module_of_pymilk_and_hands_on_no_other_name(name):
    module: Any = importlib.import_module(name)
    try:
        own = importlib.import_module(name.replace("pyMilk", "pymilk", 1))
    except ModuleNotFoundError:
        return
    assert {each for each in dir(module) if not each.startswith("_")} == {
        each for each in dir(own) if not each.startswith("_")
    }
    if name.startswith("pyMilk.interfacing."):
        public = {each for each in vars(module) if not each.startswith("_")}
        assert public == {each for each in module.__all__ if each in vars(module)}
        assert all(hasattr(module, each) for each in module.__all__)


@pytest.mark.parametrize(("one", "other"), [("fits", "fits_lib"), ("shm", "isio_shmlib")])
def test_two_spellings_have_the_same_names(one, other):
    first: Any = importlib.import_module(f"pyMilk.interfacing.{one}")
    second: Any = importlib.import_module(f"pyMilk.interfacing.{other}")
    names = [{each for each in dir(module) if not each.startswith("_")} for module in (first, second)]
    assert names[0] - {one, other} == names[1] - {one, other}


@pytest.mark.parametrize("name", ["zmq_send", "zmq_recv"])
def test_scripts_over_a_network_are_refused_in_words(name):
    module = importlib.import_module(f"pyMilk.scripts.{name}")
    with pytest.raises(SystemExit, match=r"pickle.*pymilk record"):
        module.main()


# -- events ------------------------------------------------------------------------------------------


def test_events_of_5_bytes(make):
    events = np.zeros((3, 2), EVENT)
    events["f2"] = np.arange(6).reshape(3, 2) + 300
    events["f3"] = 7
    shm = make("events", events)
    with open(shm.FILEPATH, "rb") as file:
        content = file.read()
    assert content[isio_format.OFFSETS["default"]["datatype"]] == 20
    assert events.tobytes() in content
    reader = make("events")
    assert reader.nptype == EVENT
    np.testing.assert_array_equal(reader.get_data(), events)
    events["f0"] = 1
    shm.set_data(events)
    np.testing.assert_array_equal(reader.get_data(copy=False), events)
    assert reader.IMAGE.md.datatype == 20
    with pytest.raises(StreamArgumentError):
        make("other", ((2, 2), np.dtype("V5")))
