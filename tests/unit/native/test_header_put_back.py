"""A field of the header that is changed for a moment: writers look again before they give up."""

from __future__ import annotations

import math
import struct
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from pymilk._core import Stream
from pymilk.errors import StreamDamagedError, StreamError, StreamReplacedError

FRAME = np.ones((4, 4), np.uint16)


class Changed:
    """Changes a field until it is put back: by a timer, or at the end of the block.

    Attributes
    ----------
    seconds : float
        How long it was changed.
    """

    def __init__(self, path: str, place: int, nbytes: int, after: float | None = None) -> None:
        self._path, self._place = path, place
        with open(path, "rb") as file:
            file.seek(place)
            self._before = file.read(nbytes)
        self._timer = None if after is None else threading.Timer(after, self.put_back)
        self.seconds = math.inf

    def _store(self, content: bytes) -> None:
        with open(self._path, "r+b", buffering=0) as file:
            file.seek(self._place)
            file.write(content)

    def put_back(self) -> None:
        self._store(self._before)
        self.seconds = time.monotonic() - self._began

    def __enter__(self) -> Changed:
        self._began = time.monotonic()
        self._store(bytes(each ^ 1 for each in self._before))
        if self._timer is not None:
            self._timer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._timer is None:
            self.put_back()
        else:
            self._timer.join()


def until_in_time(attempt: Callable[[str], bool]) -> None:
    """Do it, with streams of its own, until nobody was held up: it is looked again for 0.1 s only."""
    assert any(attempt(f"cam{number}") for number in range(50)), "always too late"


@pytest.fixture
def places(make_stream) -> dict[str, tuple[int, int]]:
    """Where the fields are: found by their values, so that the test knows no layout."""
    stream = make_stream("probe", (3, 5, 7), np.float32)
    with open(stream.path, "rb") as file:
        head = file.read(200)
    size = head.index(struct.pack("<III", 7, 5, 3))
    return {"size": (size, 4), "nelement": (head.index(struct.pack("<Q", 105), size), 8)}


@pytest.mark.parametrize("field", ["size", "nelement"])
@pytest.mark.parametrize("way", ["set_data", "publish", "claim", "set_many", "repost"])
def test_writer_goes_on(make, places, field, way):
    def claim(stream: Stream) -> None:
        with stream.claim() as pixels:
            pixels[...] = 1

    write = {
        "set_data": lambda shm: shm.set_data(FRAME),
        "publish": lambda shm: shm._stream.publish(FRAME),
        "claim": lambda shm: claim(shm._stream),
        "set_many": lambda shm: shm.set_many(FRAME[None]),
        "repost": lambda shm: shm.repost(),
    }

    def attempt(name: str) -> bool:
        shm = make(name, FRAME)
        refused = False
        with Changed(shm.FILEPATH, *places[field], after=0.03) as changed:
            began = time.monotonic()
            try:
                write[way](shm)
            except StreamDamagedError:
                refused = True
            took = time.monotonic() - began
        if changed.seconds >= 0.08:
            return False
        assert not refused
        assert shm._stream.counter == 2
        assert (shm.get_data() == 1).all()
        return took < 0.1

    until_in_time(attempt)


def test_reader_goes_on(make, places):
    def attempt(name: str) -> bool:
        shm, other = make(name, FRAME), make(name)
        refused = False
        with Changed(shm.FILEPATH, *places["size"], after=0.03) as changed:
            time.sleep(0.005)
            try:
                assert (other.get_data() == 1).all()
            except StreamError:
                refused = True
        if changed.seconds >= 0.08:
            return False
        assert not refused
        shm.set_data(FRAME * 2)
        assert (other.get_data() == 2).all()
        return True

    until_in_time(attempt)


def test_writer_is_right_again_once_it_gave_up(make, places):
    shm = make("cam", FRAME)
    stream = shm._stream
    with Changed(shm.FILEPATH, *places["size"]):
        took = []
        for _ in range(6):
            began = time.monotonic()
            with pytest.raises(StreamDamagedError):
                stream.publish(FRAME)
            took.append(time.monotonic() - began)
        assert min(took[1:]) < 0.05  # it has waited once
        with pytest.raises(StreamReplacedError):
            shm.set_data(FRAME)
    shm.set_data(FRAME)
    stream.publish(FRAME)
    assert stream.counter == 3
    with Stream.attach("cam") as other:
        assert other.counter == 3
