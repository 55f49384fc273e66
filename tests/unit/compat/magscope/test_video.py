"""VideoBuffer of the facade of magscope.datatypes: its segments, rings, locks, views, and what it refuses."""

from __future__ import annotations

import gc
import struct
from typing import Any

import numpy as np
import pytest

from pymilk.compat.magscope import BufferOverflow, BufferUnderflow, VideoBuffer
from support.segments import CountingLock, put_words, segments, values, video_buffer, words

SIZES = {"n_stacks": 2, "width": 5, "height": 3, "n_images": 2}


@pytest.fixture
def kind(name: str) -> type[VideoBuffer]:
    return video_buffer(name)


@pytest.fixture
def video(kind: type[VideoBuffer], lock: CountingLock) -> VideoBuffer:
    return kind(create=True, locks={kind.name: lock}, bits=16, **SIZES)


def image(number: int, dtype: Any = np.uint16) -> np.ndarray[Any, Any]:
    """Return pixels in the order of memory: (height, width)."""
    return (np.arange(15).reshape(3, 5) + 100 * number).astype(dtype)


def write(video: VideoBuffer, *numbers: int) -> None:
    for number in numbers:
        video.write_image_and_timestamp(image(number, video.dtype).tobytes(), number + 0.5)


def test_the_name_is_the_one_of_magscope() -> None:
    assert VideoBuffer.name == "VideoBuffer"


@pytest.mark.parametrize(("bits", "dtype"), [(8, "u1"), (16, "u2"), (32, "u4"), (64, "u8")])
def test_segments_and_numbers(kind: type[VideoBuffer], lock: CountingLock, bits: int, dtype: str) -> None:
    video = kind(create=True, locks={kind.name: lock}, bits=bits, **SIZES)
    itemsize = bits // 8
    assert segments(kind.name) == {"": 60 * itemsize, " Info": 40, " Timestamps": 32, " Index": 24}
    assert words(f"{kind.name} Info") == [2, 5, 3, 2, bits]
    assert words(f"{kind.name} Index") == [0, 0, 0]
    other = kind(create=False, locks={kind.name: lock}, n_stacks=9, bits=8)
    for each in (video, other):
        assert (each.n_stacks, each.n_images, each.n_total_images) == (2, 2, 4)
        assert (each.image_shape, each.stack_shape) == ((5, 3), (5, 3, 2))
        assert (each.dtype, each.itemsize) == (np.dtype(dtype).type, itemsize)
        assert each.image_size == 15 * itemsize
        assert (each.stack_size, each.buffer_size) == (30 * itemsize, 60 * itemsize)
        assert each.lock is lock
    write(video, 1, 2)
    assert words(f"{kind.name} Index") == [0, 2, 2]
    assert values(f"{kind.name} Timestamps", float).tolist() == [1.5, 2.5, 0, 0]
    assert values(kind.name, dtype).tolist()[:30] == [
        *image(1, dtype).ravel().tolist(),
        *image(2, dtype).ravel().tolist(),
    ]
    first, time = other.read_image()
    assert (first.tolist(), time) == (image(1, dtype).T.tolist(), 1.5)


def test_images_come_in_order_around_the_ring(video: VideoBuffer) -> None:
    number = 0
    for _ in range(7):
        write(video, *range(number, number + 3))
        assert (video.get_level(), video.get_unread_stack_count()) == (0.75, 1)
        assert video.check_read_stack()
        index, newest = video.peak_image()
        assert (index, newest.nbytes) == ((number + 2) % 4, 30)
        assert bytes(newest) == image(number + 2).tobytes()
        for _ in range(3):
            pixels, time = video.read_image()
            assert (pixels.shape, pixels.dtype) == ((5, 3), np.uint16)
            assert type(time) is np.float64
            assert (pixels.tolist(), time) == (image(number).T.tolist(), number + 0.5)
            number += 1
    assert (video.get_level(), video.check_read_stack()) == (0.0, False)


def test_a_full_ring_refuses_and_keeps_what_it_has(video: VideoBuffer) -> None:
    write(video, 0, 1, 2, 3)
    before = values(video.name, np.uint8)
    for refused in (lambda: write(video, 4), lambda: video.write_timestamp(4.5)):
        with pytest.raises(BufferOverflow):
            refused()
    assert np.array_equal(values(video.name, np.uint8), before)
    assert words(f"{video.name} Index") == [0, 0, 4]
    assert video.get_level() == 1.0


def test_an_empty_ring_has_nothing_to_read(video: VideoBuffer) -> None:
    for read in (video.read_image, video.peak_stack, video.read_stack_no_return):
        with pytest.raises(BufferUnderflow):
            read()
    assert video.peak_image()[0] == 3
    write(video, 0)
    for read in (video.peak_stack, video.read_stack_no_return):  # one image is no stack
        with pytest.raises(BufferUnderflow):
            read()
    assert video.get_level() == 0.25


def test_stacks_are_looked_at_and_then_taken(video: VideoBuffer) -> None:
    write(video, 0, 1, 2, 3)
    for first in (0, 2):
        stack, times = video.peak_stack()
        assert (stack.shape, stack.dtype, times.dtype) == ((5, 3, 2), np.uint16, np.float64)
        assert stack[:, :, 1].tolist() == image(first + 1).T.tolist()
        assert times.tolist() == [first + 0.5, first + 1.5]
        assert video.peak_stack()[1].tolist() == times.tolist()  # it was not taken
        video.read_stack_no_return()
    assert video.get_level() == 0


def test_a_stack_over_the_end_has_no_view(video: VideoBuffer) -> None:
    write(video, 0, 1, 2)
    for _ in range(3):
        video.read_image()
    write(video, 3, 4)
    with pytest.raises(TypeError, match="over the end"):
        video.peak_stack()
    assert video.read_image()[1] == 3.5
    write(video, 5)
    assert video.peak_stack()[1].tolist() == [4.5, 5.5]


def test_views_are_live_and_outlive_the_buffer(video: VideoBuffer, kind: type[VideoBuffer]) -> None:
    write(video, 0, 1)
    stack, _ = video.peak_stack()
    _, newest = video.peak_image()
    pixels, _ = video.read_image()
    other = kind(create=False, locks={kind.name: video.lock})
    pixels[0, 0], newest[0] = 77, 99
    assert (other.peak_image()[1][0], other._images[0, 0, 0]) == (99, 77)
    for segment in (video._shm, video._ts_shm, video._idx_shm, video._shm_info):
        segment.close()
        segment.close()
        segment.unlink()
    del video, other
    gc.collect()
    assert (stack[0, 0, 0], pixels[0, 0], newest[0]) == (77, 77, 99)
    assert segments(kind.name) == {}


def test_a_time_alone_leaves_the_pixels(video: VideoBuffer) -> None:
    write(video, 0, 1, 2, 3)
    video.read_stack_no_return()
    video.write_timestamp(np.float32(7.5))
    video.write_timestamp(8)
    for _ in range(2):
        video.read_image()
    pixels, time = video.read_image()
    assert (pixels.tolist(), time) == (image(0).T.tolist(), 7.5)
    assert video.read_image()[1] == 8.0


@pytest.mark.parametrize(
    ("pixels", "time", "error"),
    [
        ([0] * 30, 1.0, TypeError),
        (image(0), 1.0, ValueError),  # two axes
        (image(0).ravel(), 1.0, ValueError),  # 16-bit items
        (bytes(29), 1.0, ValueError),
        (bytes(31), 1.0, ValueError),
        (np.zeros(30, np.int8), 1.0, ValueError),
        (bytes(30), "1", struct.error),
        (bytes(30), None, struct.error),
    ],
)
def test_what_is_no_image_changes_nothing(
    video: VideoBuffer, pixels: Any, time: Any, error: type[Exception]
) -> None:
    write(video, 1)
    before = [values(f"{video.name}{suffix}", np.uint8).tolist() for suffix in ("", " Timestamps", " Index")]
    with pytest.raises(error):
        video.write_image_and_timestamp(pixels, time)
    assert before == [
        values(f"{video.name}{suffix}", np.uint8).tolist() for suffix in ("", " Timestamps", " Index")
    ]


@pytest.mark.parametrize("kind_of", [bytes, bytearray, memoryview, lambda raw: np.frombuffer(raw, np.uint8)])
@pytest.mark.parametrize("width", [5, 300_000])
def test_all_that_is_flat_bytes_is_an_image(
    kind: type[VideoBuffer], lock: CountingLock, kind_of: Any, width: int
) -> None:
    video = kind(create=True, locks={kind.name: lock}, n_stacks=1, n_images=2, width=width, height=2, bits=8)
    pixels = np.arange(2 * width).astype(np.uint8)
    video.write_image_and_timestamp(kind_of(pixels.tobytes()), 1)
    backwards = memoryview(pixels.tobytes())[::-1]  # not contiguous
    video.write_image_and_timestamp(backwards, 2)
    assert np.array_equal(video.read_image()[0], pixels.reshape(2, width).T)
    assert np.array_equal(video.read_image()[0], pixels[::-1].reshape(2, width).T)
    for wrong in (pixels.tobytes()[1:], pixels.astype(np.int8), pixels.reshape(2, width)):
        with pytest.raises(ValueError, match="structures"):
            video.write_image_and_timestamp(wrong, 3)
    assert video.get_level() == 0


def test_each_call_takes_the_lock_once(video: VideoBuffer, lock: CountingLock) -> None:
    assert lock.taken == 0
    calls = {
        "write": lambda: write(video, 0),
        "write_timestamp": lambda: video.write_timestamp(1.0),
        "get_level": video.get_level,
        "get_unread_stack_count": video.get_unread_stack_count,
        "check_read_stack": video.check_read_stack,
        "peak_stack": video.peak_stack,
        "read_image": video.read_image,
    }
    for call in calls.values():
        before = lock.taken
        call()
        assert lock.taken == before + 1
    with lock:
        video.peak_image()  # takes none
    other = CountingLock()
    video.lock = other
    video.get_level()
    assert (video.lock, other.taken) == (other, 1)


@pytest.mark.parametrize("missing", ["n_stacks", "width", "height", "n_images", "bits"])
def test_a_number_that_is_missing_or_impossible_leaves_nothing(
    kind: type[VideoBuffer], lock: CountingLock, missing: str
) -> None:
    numbers = {**SIZES, "bits": 8}
    for wrong in (None, 0, -1, 1.5, "3"):
        with pytest.raises((ValueError, TypeError)):
            kind(create=True, locks={kind.name: lock}, **{**numbers, missing: wrong})
        assert segments(kind.name) == {}
    with pytest.raises(KeyError):
        kind(create=True, locks={}, **numbers)
    assert segments(kind.name) == {}
    kind(create=True, locks={kind.name: lock}, **numbers)


@pytest.mark.parametrize("suffix", [" Info", "", " Timestamps", " Index"])
def test_a_name_in_use_is_left_as_it_is(
    kind: type[VideoBuffer], lock: CountingLock, video: VideoBuffer, suffix: str
) -> None:
    write(video, 1)
    for segment in (video._shm, video._shm_info, video._ts_shm, video._idx_shm):
        if segment.name != kind.name + suffix:
            segment.unlink()
    before = values(f"{kind.name}{suffix}", np.uint8).tolist()
    with pytest.raises(FileExistsError):
        kind(create=True, locks={kind.name: lock}, bits=8, **SIZES)
    assert list(segments(kind.name)) == [suffix]
    assert values(f"{kind.name}{suffix}", np.uint8).tolist() == before


def test_attaching_before_it_exists(kind: type[VideoBuffer], lock: CountingLock) -> None:
    with pytest.raises(FileNotFoundError):
        kind(create=False, locks={kind.name: lock})


@pytest.mark.parametrize(
    "info",
    [
        (0, 0, 0, 0, 0),
        (2, 5, 3, 2, 7),
        (2, 5, 3, 200, 16),
        (2**63, 2**63, 2**63, 2**63, 64),
        (0, 5, 3, 2, 16),
    ],
)
def test_damaged_information_is_refused(
    kind: type[VideoBuffer], video: VideoBuffer, info: tuple[int, ...]
) -> None:
    put_words(f"{kind.name} Info", *info)
    with pytest.raises(ValueError, match=r"bit width|damaged"):
        kind(create=False, locks={kind.name: video.lock})


def test_damaged_indices_reach_no_memory_of_others(video: VideoBuffer) -> None:
    put_words(f"{video.name} Index", 2**40, 2**40, 2)
    for call in (
        lambda: write(video, 1),
        lambda: video.write_timestamp(1.0),
        video.read_image,
        video.peak_stack,
    ):
        with pytest.raises((ValueError, IndexError, TypeError)):
            call()
