"""What an SHM makes keeps it open: it may be made by one that nobody else refers to."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from pymilk import SHM, RingReader, Stream, capture_many
from pymilk.compat import xaosim
from pymilk.errors import StreamClosedError, StreamTimeoutError
from support.camera import numbers
from support.waiting import until

FRAMES = np.stack([numbers((2, 2)) + number for number in range(5)])


@pytest.fixture(autouse=True)
def _no_word_about_unclosed_streams() -> Iterator[None]:
    """Fail a test that makes Python say that a stream is not closed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(each.message) for each in caught] == []


@pytest.fixture
def camera(make) -> SHM:
    return make("cam", numbers((2, 2)), ring=8)


def owners(camera: SHM) -> int:
    """Return how many readers have a semaphore."""
    return sum(pid > 0 for pid in camera.IMAGE.semReadPID)


@pytest.mark.parametrize("source", ["auto", "collector"])
def test_ring_reader(camera, source):
    with SHM("cam").ring_reader(source=source) as ring:
        gc.collect()
        camera.set_many(FRAMES)
        np.testing.assert_array_equal(ring.read(5).frames, FRAMES)
    assert owners(camera) == 0


def test_ring_reader_that_is_dropped(camera):
    ring = SHM("cam").ring_reader()
    assert ring.lag == 0
    del ring
    gc.collect()
    assert owners(camera) == 0


def test_background_capture(camera):
    capture = SHM("cam").capture(5, background=True)
    gc.collect()
    camera.set_many(FRAMES)
    np.testing.assert_array_equal(capture.join(5).frames, FRAMES)
    until(lambda: owners(camera) == 0)  # an ended capture keeps nothing open


def test_background_capture_that_times_out(camera):
    capture = SHM("cam").capture(5, background=True, timeout=0.001)
    until(lambda: capture.done)
    assert capture.error is not None
    assert not isinstance(capture.error, StreamClosedError)
    until(lambda: owners(camera) == 0)


def test_held_capture(camera):
    capture = SHM("cam").held_capture(5, None, 5.0, "auto")
    gc.collect()
    capture.begin()
    capture.armed()
    camera.set_many(FRAMES)
    assert capture.join(5).received == 5
    capture = SHM("cam").held_capture(5, None, 5.0, "auto")
    del capture
    gc.collect()


def test_name_that_is_used_again(camera):
    def reader() -> RingReader:
        shm = SHM("cam")
        return shm.ring_reader()

    with reader() as ring:
        camera.set_many(FRAMES)
        assert ring.read(5).received == 5


def test_close_still_closes_what_was_made(camera):
    shm = SHM("cam")
    ring, capture = shm.ring_reader(), shm.capture(5, background=True)
    shm.close()
    assert ring.closed
    with pytest.raises(StreamClosedError):
        capture.join(5)


def test_children_that_end_leave_the_object_open(camera):
    shm = SHM("cam")
    shm.ring_reader().close()
    shm.capture(1, background=True, timeout=0.001).wait_end()
    np.testing.assert_array_equal(shm.get_data(), numbers((2, 2)))
    shm.close()


def test_object_that_is_forgotten_is_still_named(camera):
    shm = SHM("cam")
    with pytest.raises(StreamTimeoutError):
        shm.capture(1, timeout=0.001)
    with pytest.warns(ResourceWarning, match="unclosed"):
        del shm


def test_others_that_keep_what_they_were_made_by(camera):
    image, md = SHM("cam").IMAGE, SHM("cam").md
    captures = capture_many([SHM("cam")], 5, background=True)
    reader = Stream.attach("cam").reader()
    with RingReader(Stream.attach("cam")) as ring:
        gc.collect()
        camera.set_many(FRAMES)
        assert reader.wait(1.0, after=1) == 6
        assert ring.read(5).received == 5
    assert captures.join(5)["cam"].received == 5
    assert image.md.cnt0 == md.cnt0 == 6


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_others_that_work_but_leave_an_unclosed_object(camera):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keywords, view = SHM("cam").keywords, SHM("cam").get_data(copy=False)
        semaphore = xaosim.shm("cam", nosem=False).sems[0]
        gc.collect()
        keywords["A"] = 1
        with SHM("cam").claim() as pixels:
            pixels[...] = 9
        assert semaphore.value >= 0
        assert camera["A"] == 1
        assert camera.get_data().min() == view.min() == 9
        del keywords, semaphore, view
        gc.collect()
