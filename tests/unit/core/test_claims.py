"""Exceptions within a claim."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk.errors import StreamArgumentError, StreamBusyError

Make = Callable[..., SHM]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("ring_kind", [None, "fast", "temporal"])
def test_frame_of_a_claim_that_failed_is_not_published(
    make: Make, error: type[BaseException], ring_kind: str | None
) -> None:
    options = {} if ring_kind is None else {"ring": 4, "ring_kind": ring_kind}
    shm = make("claimed", np.ones((4, 6), np.uint32), **options)
    stream = shm._stream
    before = shm.get_counter(), stream.cnt1, stream.cb_index, stream.write_time_ns, stream.sem_values()
    with pytest.raises(error), shm.claim() as frame:  # noqa: PT012
        frame[0] = 5
        raise error
    after = shm.get_counter(), stream.cnt1, stream.cb_index, stream.write_time_ns, stream.sem_values()
    assert after == before
    assert stream.write == 0
    with shm.claim() as frame:
        frame[:] = 2
    assert shm.get_counter() == before[0] + 1
    assert (shm.get_data() == 2).all()


def test_generator_that_is_dropped_leaves_its_claim(cam: SHM) -> None:
    def fill() -> Any:
        with cam.claim() as frame:
            frame[:] = 1
            yield

    generator = fill()
    next(generator)
    assert cam._stream.write == 1
    before = cam.get_counter()
    del generator
    gc.collect()
    assert (cam._stream.write, cam.get_counter()) == (0, before)
    cam.set_data(np.full((4, 6), 2, np.uint32))


def test_claim_that_is_dropped_without_being_left_is_abandoned(cam: SHM) -> None:
    before = cam.get_counter()
    frame = cam.claim().__enter__()
    frame[:] = 1
    gc.collect()
    assert (cam._stream.write, cam.get_counter()) == (0, before)
    cam.set_data(np.full((4, 6), 2, np.uint32))


def test_claim_is_entered_and_left_once(cam: SHM) -> None:
    before = cam.get_counter()
    claim = cam.claim()
    with pytest.raises(StreamBusyError, match="not entered, or was left already"):
        claim.__exit__(None, None, None)
    with claim:
        with pytest.raises(StreamBusyError, match="entered already"):
            claim.__enter__()
        assert cam._stream.write == 1
    assert cam.get_counter() == before + 1
    with pytest.raises(StreamBusyError, match="not entered, or was left already"):
        claim.__exit__(None, None, None)
    with claim:  # it can be used again
        pass
    assert (cam._stream.write, cam.get_counter()) == (0, before + 2)


def test_claim_is_made_by_its_stream_alone(cam: SHM) -> None:
    kind = type(cam.claim())
    with pytest.raises(TypeError, match="made by SHM"):
        kind()
    with pytest.raises(TypeError, match="made by SHM"):
        kind.__new__(kind).__enter__()


def test_error_of_the_orientation_abandons_the_frame(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    shm = make("turned", np.ones((4, 6), np.uint32), symcode=3)
    before = shm.get_counter()

    def fail(frames: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(shm._turn, "view", fail)
    claim = shm.claim()
    with pytest.raises(MemoryError), claim:
        pass
    assert (shm._stream.write, shm.get_counter()) == (0, before)


@pytest.mark.parametrize("missed", [0, np.uint8(0), False])
def test_claim_of_the_next_frame(cam: SHM, missed: Any) -> None:
    """No frame is missed, in whatever type that is said; the usual 0 is not even checked."""
    stream = cam._stream
    before = stream.counter
    with stream.claim(missed=missed):
        pass
    assert stream.counter == before + 1
    with pytest.raises(StreamArgumentError, match="missed"):
        stream.claim(missed=0.0)
