"""A field of the header that is changed for a moment: writers look again before they give up."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from pymilk._core import Stream
from pymilk.errors import StreamDamagedError, StreamReplacedError

FRAME = np.ones((4, 4), np.uint16)


@contextmanager
def changed(path: str, place: int, nbytes: int, seconds: float) -> Iterator[None]:
    """Change a field, and put it back after some time."""
    with open(path, "r+b", buffering=0) as file:
        file.seek(place)
        before = file.read(nbytes)
        file.seek(place)
        file.write(bytes(each ^ 1 for each in before))

        def put_back() -> None:
            file.seek(place)
            file.write(before)

        timer = threading.Timer(seconds, put_back)
        timer.start()
        yield
        timer.join()


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
    shm = make("cam", FRAME)
    stream = shm._stream
    write = {
        "set_data": lambda: shm.set_data(FRAME),
        "publish": lambda: stream.publish(FRAME),
        "set_many": lambda: shm.set_many(FRAME[None]),
        "repost": shm.repost,
    }
    with changed(shm.FILEPATH, *places[field], seconds=0.03):
        began = time.monotonic()
        if way == "claim":
            with stream.claim() as pixels:
                pixels[...] = 1
        else:
            write[way]()
        assert time.monotonic() - began < 0.1
    assert stream.counter == 2
    assert (shm.get_data() == 1).all()


def test_reader_goes_on(make, places):
    shm, other = make("cam", FRAME), make("cam")
    with changed(shm.FILEPATH, *places["size"], seconds=0.03):
        time.sleep(0.005)
        assert (other.get_data() == 1).all()
    shm.set_data(FRAME * 2)
    assert (other.get_data() == 2).all()


def test_writer_is_right_again_once_it_gave_up(make, places):
    shm = make("cam", FRAME)
    stream = shm._stream
    with changed(shm.FILEPATH, *places["size"], seconds=0.25):
        with pytest.raises(StreamDamagedError):
            stream.publish(FRAME)
        began = time.monotonic()
        with pytest.raises(StreamDamagedError):
            stream.publish(FRAME)
        assert time.monotonic() - began < 0.05  # it has waited once
        with pytest.raises(StreamReplacedError):
            shm.set_data(FRAME)
    shm.set_data(FRAME)
    stream.publish(FRAME)
    assert stream.counter == 3
    with Stream.attach("cam") as other:
        assert other.counter == 3
