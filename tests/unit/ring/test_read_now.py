"""`RingReader.read` of frames that are there: one step, all of it or nothing, and nothing lost behind it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from pymilk import SHM, RingReader, errors
from support.interrupts import Interrupt, interrupted

SHAPE = (3, 4)


@pytest.fixture
def shm() -> Iterator[SHM]:
    with SHM("cam", (SHAPE, np.uint16), ring=8) as shm:
        yield shm
        shm.destroy()


def publish(shm: SHM, *numbers: int) -> None:
    for number in numbers:
        shm.set_data(np.full(SHAPE, number, np.uint16))


@pytest.mark.parametrize("source", ["auto", "collector"])
@pytest.mark.parametrize("count", [1, 3])
def test_exception_behind_the_step_carries_the_frames(shm: SHM, count: int, source: str) -> None:
    """At each place where Python looks for signals while the capture is made."""
    steps = 0
    with shm.ring_reader(source=source) as ring:
        while True:
            publish(shm, *range(1, count + 1))
            ring.wait()
            while ring.lag < count:
                pass
            steps += 1
            try:
                with interrupted(steps, "/pymilk/capture/"):
                    capture = ring.read(count)
            except Interrupt as error:
                capture = error.capture
            else:
                break
            finally:
                assert ring.lag == 0
            assert capture.frames[:, 0, 0].tolist() == list(range(1, count + 1))
            assert np.all(np.diff(capture.info["cnt0"].astype(int)) == 1)
        assert (ring.lost, ring.report.received) == (0, steps * count)
    assert steps > 1


def test_too_few_frames_are_not_taken_by_the_step(shm: SHM) -> None:
    with shm.ring_reader() as ring:
        publish(shm, 1, 2)
        with pytest.raises(errors.StreamTimeoutError) as caught:
            ring.read(3, timeout=0.0)
        assert caught.value.capture.frames[:, 0, 0].tolist() == [1, 2]
        publish(shm, 3)
        assert ring.read(1, timeout=0.0).frames[0, 0, 0] == 3
        assert ring.lost == 0


def test_losses_are_counted_or_raised(shm: SHM) -> None:
    with shm.ring_reader() as counting, shm.ring_reader(on_lost="raise") as raising:
        publish(shm, *range(1, 11))
        capture = counting.read(1)
        assert (capture.frames[0, 0, 0], capture.info["lost"][0], counting.lost) == (4, 3, 3)
        with pytest.raises(errors.FrameLostError) as caught:
            raising.read(1)
        assert (caught.value.lost, caught.value.seq) == (3, 2)
        assert raising.read(1).frames[0, 0, 0] == 4


def test_newest_skips_the_others(shm: SHM) -> None:
    with shm.ring_reader(policy="newest") as ring:
        publish(shm, 1, 2, 3)
        assert ring.read(1).frames[0, 0, 0] == 3
        assert (ring.report.skipped, ring.lost) == (2, 0)


@pytest.mark.parametrize("symcode", [4, 0, 5])
def test_memory_of_the_user(shm: SHM, symcode: int) -> None:
    with SHM("cam", symcode=symcode) as turned, turned.ring_reader() as ring:
        for make in (np.zeros, lambda shape, dtype: np.zeros(shape[::-1], dtype).T):
            out = make((1, *turned.shape), np.uint16)
            publish(shm, 7)
            assert np.shares_memory(ring.read(1, out=out).frames, out)
            assert (out == 7).all()


@pytest.mark.parametrize("damage", [
    lambda out: out[:, :2],
    lambda out: out.astype(np.int16),
    lambda out: np.broadcast_to(out, out.shape),
])  # fmt: skip
def test_memory_that_does_not_fit_takes_no_frame(shm: SHM, damage: Callable[..., np.ndarray]) -> None:
    with shm.ring_reader() as ring:
        publish(shm, 1)
        with pytest.raises(errors.FrameMismatchError):
            ring.read(1, out=damage(np.zeros((1, *SHAPE), np.uint16)))
        assert ring.lag == 1


def test_rows_are_made_when_they_are_asked_for(shm: SHM) -> None:
    with shm.ring_reader() as ring:
        publish(shm, 1, 2)
        capture = ring.read(2)
        assert np.shares_memory(capture.info, capture.info)
        assert capture.info["cnt0"].tolist() == [2, 3]
        assert (capture.report.received, capture.report.lost, len(capture)) == (2, 0, 2)
        again = pickle.loads(pickle.dumps(capture))
        assert np.array_equal(again.info, capture.info)


def test_closed_reader_and_number_of_frames(shm: SHM) -> None:
    ring: RingReader = shm.ring_reader()
    for wrong in (0, -1, 1.5, "2"):
        with pytest.raises(errors.StreamArgumentError):
            ring.read(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing"):
        ring.read()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="older name"):
        ring.read(1, n=1)
    publish(shm, 1, 2)
    assert len(ring.read(n=1)) == len(ring.read(np.int64(1))) == 1
    ring.close()
    with pytest.raises(errors.StreamClosedError):
        ring.read(1)
