"""Exceptions within a claim."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM

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
