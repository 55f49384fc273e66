"""Copies past the caches, of frames of any length and alignment: each byte arrives, and no other changes."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk.errors import StreamTimeoutError

#: From here on a cube is beyond the caches, and frames go there with streaming stores.
CUBE_NBYTES = 33_554_432

#: The last ones are slots that are filled so.
SLOT_NBYTES = 1_048_576


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("offset", [0, 1, 32, 63])
@pytest.mark.parametrize("nbytes", [4096, 4097, 4159, 8191, 8192, 8255, 8256, 12_345, 70_001])
def test_into_a_cube_beyond_the_caches(make, nbytes, offset):
    frames = noise(7, nbytes)
    count = -(-CUBE_NBYTES // nbytes)
    memory = np.full(count * nbytes + 128, 0xA5, np.uint8)
    cube = memory[offset : offset + count * nbytes].reshape(count, nbytes)
    shm = make("cam", ((nbytes,), np.uint8), ring=16)
    with shm.ring_reader() as ring:
        shm.set_many(frames)
        with pytest.raises(StreamTimeoutError):  # there are no more
            ring.read(count, out=cube, timeout=0)
    np.testing.assert_array_equal(cube[:7], frames)
    assert (memory[:offset] == 0xA5).all()
    assert (cube[7:] == 0xA5).all()


@pytest.mark.parametrize("nbytes", [SLOT_NBYTES, SLOT_NBYTES + 1, SLOT_NBYTES + 4159, 3 * SLOT_NBYTES - 63])
@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_into_slots_of_a_ring(make, kind, nbytes):
    frames = noise(3, 1, nbytes)
    shm = make("cam", ((1, nbytes), np.uint8), ring=4, ring_kind=kind)
    with shm.ring_reader() as ring:
        for frame in frames:
            shm.set_data(frame.reshape(shm.shape))
        capture = ring.read(3, timeout=5)
    np.testing.assert_array_equal(capture.frames.reshape(frames.shape), frames)
