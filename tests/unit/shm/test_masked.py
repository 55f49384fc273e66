"""Masked arrays are filled as documented, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Stream
from pymilk.compat import xaosim
from pymilk.errors import FrameMismatchError, StreamArgumentError
from pymilk.image import Image
from support.foreign_files import played

FLOATS = np.ma.masked_equal(np.arange(12, dtype=np.float32).reshape(3, 4), 5)
INTEGERS = FLOATS.astype(np.uint16)
NOTHING_MASKED = np.ma.masked_equal(INTEGERS.data, 99)
EXPECTED = np.where(FLOATS.data == 5, np.nan, FLOATS.data)


def writers(name: str) -> list[Callable[[Any], Any]]:
    """Return all that writes a frame into a stream of this name."""

    def with_shm(write: Callable[[SHM, Any], object]) -> Callable[[Any], None]:
        def go(frame: Any) -> None:
            with SHM(name) as shm:
                write(shm, frame)

        return go

    def with_stream(write: Callable[[Stream, Any], object]) -> Callable[[Any], None]:
        def go(frame: Any) -> None:
            with Stream.attach(name) as stream:
                write(stream, frame)

        return go

    return [
        with_shm(lambda shm, frame: shm.set_data(frame)),
        with_shm(lambda shm, frame: shm.set_data(frame, check_dt=True)),
        with_shm(lambda shm, frame: shm.set_many(frame[None])),
        with_stream(lambda stream, frame: stream.publish(frame)),
        with_stream(lambda stream, frame: stream.publish_many(frame[None])),
    ]


@pytest.mark.parametrize("which", range(5))
def test_frames(which: int, make: Callable[..., SHM]) -> None:
    floats, integers = make("f", (FLOATS.shape, np.float32)), make("u", (FLOATS.shape, np.uint16))
    writers("f")[which](FLOATS)
    np.testing.assert_array_equal(floats.get_data(), EXPECTED)
    count = integers.get_counter()
    with pytest.raises(StreamArgumentError, match=r"1 pixels are masked.*filled"):
        writers("u")[which](INTEGERS)
    assert integers.get_counter() == count
    writers("u")[which](NOTHING_MASKED)
    np.testing.assert_array_equal(integers.get_data(), INTEGERS.data)


def test_new_streams(shm_dir: Any) -> None:
    with SHM("f", FLOATS) as shm:
        np.testing.assert_array_equal(shm.get_data(), EXPECTED)
        shm.destroy()
    for make in (lambda: SHM("u", INTEGERS), lambda: xaosim.shm("u", INTEGERS)):
        with pytest.raises(StreamArgumentError, match="masked"):
            make()
    assert not list(shm_dir.iterdir())


def test_images(make: Callable[..., SHM]) -> None:
    make("f", (FLOATS.shape, np.float32))
    image = Image()
    image.open("f")
    image.write(np.ma.masked_array(FLOATS.data.T, FLOATS.mask.T))
    np.testing.assert_array_equal(np.asarray(image), EXPECTED.T)
    image.close()


def test_what_is_played() -> None:
    np.testing.assert_array_equal(played(FLOATS[None]), EXPECTED[None])
    with pytest.raises(StreamArgumentError, match="masked"):
        played(INTEGERS[None])


def test_the_message_for_a_wrong_dtype_names_the_argument_that_converts(make: Callable[..., SHM]) -> None:
    shm = make("cam", ((3, 4), np.uint16))
    for data in (FLOATS.data, np.zeros((3, 4), np.int32), [[0.5] * 4] * 3):
        with pytest.raises(FrameMismatchError, match="check_dt=True"):
            shm.set_data(data)
    shm.set_data(np.full((3, 4), 7.9), check_dt=True)
    assert (shm.get_data() == 7).all()
    make("bits", ((3, 4), np.uint8)).set_data(np.ones((3, 4), bool))
