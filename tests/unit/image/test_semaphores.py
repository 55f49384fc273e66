"""Semaphores of an `Image`."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk.errors import ImageNotInitializedError, StreamArgumentError
from support.images import ramp, sleeps

Make = Callable[..., Any]


def test_codes_of_semaphore_calls(make: Make) -> None:
    image = make("x", ramp(3), NBsem=3)
    image.semflush(-1)
    assert [image.semvalue(k) for k in (-1, 0, 2, 3)] == [-1, 0, 0, -1]
    assert [image.semtrywait(k) for k in (-1, 0, 3)] == [1, -1, 1]
    assert [image.semtimedwait(k, 0) for k in (-1, 0, 3)] == [1, -1, 1]
    assert image.semtimedwait(0, -1) == -1
    assert [image.semwait(k) for k in (-1, 3)] == [1, 1]
    assert [image.sempost(k) for k in (0, 2, 3, 99)] == [0, 0, 1, 1]
    assert image.sempost(index=-1) == 0
    assert [image.semvalue(np.int32(k)) for k in range(3)] == [2, 1, 2]
    assert [image.semwait(0), image.semtrywait(0), image.semtrywait(0)] == [0, 0, -1]
    assert [image.semflush(2), image.semvalue(2), image.semvalue(1)] == [0, 0, 1]
    assert [image.semflush(3), image.semflush(-1), image.semvalue(1)] == [1, 0, 0]


@pytest.mark.parametrize(
    "call", ["semwait", "semtrywait", "sempost", "semflush", "semvalue", "getsemwaitindex"]
)
def test_index_is_a_number(make: Make, call: str) -> None:
    image = make("x", ramp(3))
    for bad in (None, 1.0, "1"):
        with pytest.raises(TypeError):
            getattr(image, call)(bad)


def test_timeouts(make: Make) -> None:
    image = make("x", ramp(3))
    image.semflush(-1)
    began = time.monotonic()
    assert image.semtimedwait(0, 0.05) == -1
    assert time.monotonic() - began >= 0.05
    for bad in (None, "1"):
        with pytest.raises(TypeError):
            image.semtimedwait(0, bad)
    with pytest.raises(StreamArgumentError, match="nan"):
        image.semtimedwait(0, math.nan)


@pytest.mark.parametrize("wait", [lambda i: i.semwait(0), lambda i: i.semtimedwait(0, 60)])
def test_waits_release_the_gil(make: Make, wait: Any) -> None:
    """A thread of this very process posts: it could not, if the wait kept the interpreter."""
    image = make("x", ramp(3))
    image.semflush(-1)
    waits = threading.Event()

    def post() -> None:
        waits.wait()
        for _ in range(1000):
            pass
        image.sempost(0)

    thread = threading.Thread(target=post)
    thread.start()
    waits.set()
    assert wait(image) == 0
    thread.join()


@pytest.mark.parametrize("wait", [lambda i: i.semwait(0), lambda i: i.semtimedwait(0, 60)])
@pytest.mark.parametrize("end", ["close", "open", "create"])
def test_close_ends_waits(make: Make, wait: Any, end: str) -> None:
    image = make("x", ramp(3))
    image.semflush(-1)
    ended: list[Any] = []

    def waiting() -> None:
        try:
            ended.append(wait(image))
        except RuntimeError as error:
            ended.append(error)

    thread = threading.Thread(target=waiting)
    thread.start()
    while thread.native_id is None or not sleeps(thread.native_id):
        time.sleep(0)
    if end == "close":
        image.close()
    while end != "close" and not ended:  # again, if the thread had not begun to wait
        assert image.create("y", ramp(3)) == 0 if end == "create" else image.open("x") == 0
        image.semflush(-1)
        time.sleep(0)
    thread.join()
    assert [(type(each), str(each)) for each in ended] == [
        (ImageNotInitializedError, "image not initialized")
    ]


def test_semaphores_of_objects(make: Make) -> None:
    image = make("x", ramp(3), NBsem=3)
    assert image.getsemwaitindex(1) == 1
    assert image.getsemwaitindex(2) == 1  # what it has
    assert image.semReadPID == [-1, os.getpid(), -1]
    second, third, fourth = make("x"), make("x"), make("x")
    assert second.getsemwaitindex(1) == 0  # the lowest free one
    assert third.getsemwaitindex(99) == 2
    assert fourth.getsemwaitindex(0) == -1
    second.close()
    assert fourth.getsemwaitindex(2) == 0
    for index in (None, "0", 0.5):
        with pytest.raises(TypeError):
            image.getsemwaitindex(index)
