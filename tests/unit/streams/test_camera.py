"""What cameras say in keywords, reposts, and the semaphore of an SHM."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Stream
from pymilk.errors import (
    KeywordNotFoundError,
    KeywordTypeError,
    SemaphoresExhaustedError,
    StreamArgumentError,
    StreamReadOnlyError,
)
from pymilk.streams.camera import crop_window, exposure_time, frame_rate, reads_per_frame


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, (0.1234, 0.0, 1)),
        ({"EXPTIME": 0.5, "tint": 0.1, "FRATE": 10.0, "fps": 5.0, "DET-NSMP": 4, "NDR": 2}, (0.5, 10.0, 4)),
        ({"tint": 2, "fps": 5, "NDR": 3}, (2.0, 5.0, 3)),
    ],
)
def test_numbers(keywords: dict[str, Any], expected: tuple[float, float, int]) -> None:
    found = (exposure_time(keywords), frame_rate(keywords), reads_per_frame(keywords))
    assert found == expected
    assert [type(value) for value in found] == [float, float, int]


def test_text_is_no_number() -> None:
    for function, name in ((exposure_time, "EXPTIME"), (frame_rate, "fps"), (reads_per_frame, "NDR")):
        with pytest.raises(KeywordTypeError, match=name) as caught:
            function({name: "fast"})
        assert isinstance(caught.value, AssertionError)
        assert (caught.value.keyword, caught.value.found) == (name, "fast")
    with pytest.raises(KeywordTypeError):
        reads_per_frame({"NDR": 1.5})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("PRD-MIN1", "PRD-RNG1", "PRD-MIN2", "PRD-RNG2"), (5, 14, 22, 58)),
        (("CROP_OR1", "CROP_EN1", "CROP_OR2", "CROP_EN2"), (5, 10, 22, 37)),
        (("x0", "x1", "y0", "y1"), (5, 14, 22, 58)),
    ],
)
def test_crop(names: tuple[str, ...], expected: tuple[int, ...]) -> None:
    keywords = dict(zip(names, (5, 10, 22, 37), strict=True))
    assert crop_window(keywords, (2, 3)) == expected
    del keywords[names[2]]
    with pytest.raises(KeyError):
        crop_window(keywords, (2, 3))


def test_crop_of_cameras_that_tell_nothing() -> None:
    assert crop_window({}, (2, 3)) == (0, 0, 2, 3)
    assert crop_window({}, (7,)) == (0, 0, 7, 1)
    assert crop_window({}, ()) == (0, 0, 1, 1)


@pytest.mark.parametrize("value", ["left", math.nan, math.inf, None])
def test_crop_that_is_no_number(value: object) -> None:
    with pytest.raises(KeywordTypeError, match="'x0'") as caught:
        crop_window({"x0": value, "x1": 1, "y0": 1, "y1": 1}, (2, 3))
    assert caught.value.keyword == "x0"


def test_methods_read_the_keywords_of_the_stream() -> None:
    with SHM("cam", np.zeros((4, 6), np.float32)) as shm:
        assert (shm.get_expt(), shm.get_fps(), shm.get_ndr()) == (0.1234, 0.0, 1)
        assert shm.get_crop() == (0, 0, 4, 6)
        shm.set_keywords({"EXPTIME": 0.25, "FRATE": 1500, "DET-NSMP": 2, "CROP_OR1": 1})
        assert (shm.get_expt(), shm.get_fps(), shm.get_ndr()) == (0.25, 1500.0, 2)
        with pytest.raises(KeywordNotFoundError):
            shm.get_crop()
        shm.destroy()


@pytest.mark.parametrize("ring", [{}, {"ring": 4}, {"ring": 4, "ring_kind": "temporal"}])
def test_repost(ring: dict[str, Any]) -> None:
    with SHM("cam", np.full((4, 6), 7, np.float32), **ring) as shm, SHM("cam") as reader:
        stream = reader._stream
        assert stream is not None
        shm.repost()
        assert (reader.get_counter(), reader.get_data()[0, 0]) == (2, 7)
        assert stream.acquisition_time_ns == stream.write_time_ns > 0
        moment = datetime.datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=datetime.timezone.utc)
        shm.repost(moment)
        assert abs(stream.acquisition_time_ns / 1e9 - moment.timestamp()) < 1e-6
        shm.repost(1.5)
        assert stream.acquisition_time_ns == 1_500_000_000
        assert (reader.get_counter(), reader.get_data()[0, 0]) == (4, 7)
        with pytest.raises(StreamArgumentError, match="datetime or seconds"):
            shm.repost("now")  # type: ignore[arg-type]
        assert reader.get_counter() == 4
        shm.destroy()


def test_semaphore_of_an_object() -> None:
    with SHM("cam", np.zeros((4, 6), np.float32)) as shm, SHM("cam") as reader:
        assert reader.check_sem_value() == 0
        assert reader.check_sem_trywait() is False
        assert reader.check_sem_timedwait(0.01) is False
        for _ in range(3):
            shm.set_data(np.ones((4, 6), np.float32))
        assert reader.check_sem_value() == 3
        assert reader.check_sem_trywait() is True
        assert reader.check_sem_timedwait(1) is True
        assert reader.check_sem_value() == 1
        shm.destroy()


def test_no_semaphore_left() -> None:
    with Stream.create("cam", (4, 6), np.float32, nbsem=2) as stream:
        readers = [stream.reader(), stream.reader()]
        assert [reader.flush() for reader in readers] == [0, 0]
        with SHM("cam") as shm, pytest.raises(SemaphoresExhaustedError) as caught:
            shm.check_sem_trywait()
        assert caught.value.count == 2
        for reader in readers:
            reader.close()
        with SHM("cam") as shm:
            assert shm.check_sem_trywait() is False


def test_read_only_stream_has_no_semaphore() -> None:
    with SHM("cam", np.zeros((4, 6), np.float32)), SHM("cam") as shm:
        assert shm._stream is not None
        shm._stream.close()
        shm._stream = Stream.attach("cam", writable=False)
        with pytest.raises(StreamReadOnlyError, match="get_data"):
            shm.check_sem_value()


def test_axes_are_whole_numbers() -> None:
    with pytest.raises(StreamArgumentError):
        SHM("cam", ((1.5, 2), np.float32))
