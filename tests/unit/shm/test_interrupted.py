"""A frame that was not handed over is unread, wherever an exception of a signal handler comes."""

from __future__ import annotations

import contextlib
import gc
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import FrameTornWarning, StreamTimeoutError
from pymilk.system.signals import ENDS
from support.instants import Instants, own_garbage
from support.interrupts import Interrupt, interrupted
from support.isio_format import OFFSETS
from support.told import Told, told

MakeSHM = Callable[..., SHM]

#: More places than a read has.
MANY = 1000

FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "copy": ({}, {}),
    "view": ({}, {"copy": False}),
    "turned": ({"symcode": 5}, {}),
    "turned view": ({"symcode": 5}, {"copy": False}),
    "turned out": ({"symcode": 5}, {"out": np.empty((3, 3), np.uint32)}),
    "temporal": ({"ring": 4, "ring_kind": "temporal"}, {}),
    "temporal view": ({"ring": 4, "ring_kind": "temporal"}, {"copy": False}),
    "cube": ({"ring": 4, "ring_kind": "temporal"}, {"cube": True}),
}


def stamp(number: int) -> np.ndarray:
    return np.full((3, 3), number, np.uint32)


@pytest.mark.parametrize("form", FORMS)
def test_frame_is_unread_after_an_interrupt(make: MakeSHM, form: str) -> None:
    """The next read that takes what came since the last one returns it, without a wait."""
    made, options = FORMS[form]
    writer = make("cam", stamp(0), **made)
    reader = make("cam", symcode=made.get("symcode", 4))
    options = {"timeout": 1, "checkSemAndFlush": False, "on_timeout": "raise", **options}
    for step in range(1, MANY):
        writer.set_data(stamp(step))
        with interrupted(step, "/pymilk/shm/"):
            try:
                got = reader.get_data(True, **options)
            except Interrupt:
                got = None
        if got is not None:
            assert (got == step).any()
            assert step > 1  # the usual cases have few places: they are compiled
            return
        assert (reader.get_data(True, **options) == step).any(), step
    pytest.fail("a read has more places than that")


@pytest.mark.parametrize("module", ["/pymilk/shm/", "/pymilk/streams/waiting"])
def test_object_follows_a_new_file_whole_or_not_at_all(make: MakeSHM, module: str) -> None:
    """After an interrupt the next call works, and gives the frame of the new file."""
    for step in range(1, MANY):
        make("cam", stamp(1))
        reader = SHM("cam")
        make("cam", stamp(2))
        got = None
        with contextlib.suppress(Interrupt), interrupted(step, module):
            got = reader.get_data()
        if got is None:
            got = reader.get_data(True, timeout=1, checkSemAndFlush=False, on_timeout="raise")
        else:
            assert step > 5
            step = MANY
        assert (got == 2).all()
        reader.close()
        if step == MANY:
            return
    pytest.fail("following has more places than that")


def test_torn_frame_that_was_an_error_is_unread(make: MakeSHM) -> None:
    writer = make("cam", stamp(0))
    reader = make("cam")
    writer.set_data(stamp(1))
    raw = np.memmap(writer.FILEPATH, np.uint8, "r+")
    raw[OFFSETS["default"]["write"]] = 1  # as of a writer that died within a frame
    for options in ({}, {"out": np.empty((3, 3), np.uint32)}, {"cube": True}):
        with warnings.catch_warnings():
            warnings.simplefilter("error", FrameTornWarning)
            with pytest.raises(FrameTornWarning):
                reader.get_data(**options)
        # It still counts as new.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FrameTornWarning)
            got = reader.get_data(True, timeout=1, checkSemAndFlush=False, on_timeout="raise")
        assert (got == 1).all()
        with pytest.raises(StreamTimeoutError):
            reader.get_data(True, timeout=0.001, checkSemAndFlush=False, on_timeout="raise")
        raw[OFFSETS["default"]["write"]] = 0
        writer.set_data(stamp(1))
        raw[OFFSETS["default"]["write"]] = 1


def descriptors() -> set[str]:
    """Return the descriptors of files of streams that this process has open."""
    found = set()
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{each}")
            if ".im.shm" in target:
                found.add(f"{each} {target}")
    return found


#: A signal that comes while an object is deleted is an exception that is ignored: so does Python.
lost = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@lost
def test_making_an_exclusive_stream_leaves_no_descriptor(shm_dir: Path) -> None:
    """Neither that of a lock, the old one or the new one, nor that of a file."""
    with own_garbage():
        for step in range(1, MANY):
            Stream.create("cam", (3, 3), np.uint32, replace=True).close()
            before = descriptors()
            with contextlib.suppress(Told), told(*ENDS), Instants(step) as instants:
                Stream.create("cam", (3, 3), np.uint32, replace=True, exclusive=True).close()
            gc.collect()  # what the exception held
            assert descriptors() == before, instants.where
            if instants.passed < step:
                assert step > 50
                return
    pytest.fail("making a stream has more places than that")


@lost
@pytest.mark.parametrize("exclusive", [False, True])
def test_first_frame_that_was_interrupted_keeps_nobody_from_the_next(shm_dir: Path, exclusive: bool) -> None:
    """Neither the handle itself, which is not left in the middle of a frame, nor another one."""
    with Stream.create("cam", (3, 3), np.uint32):
        for step in range(1, MANY):
            stream = None if exclusive else Stream.attach("cam")
            with contextlib.suppress(Told), told(*ENDS), Instants(step) as instants:
                stream = stream or Stream.attach("cam", exclusive=True)
                stream.publish(stamp(step))
            with stream or Stream.attach("cam", exclusive=True) as again:
                again.publish(stamp(step))
            if instants.passed < step:
                assert step > 2
                return
    pytest.fail("a first frame has more places than that")
