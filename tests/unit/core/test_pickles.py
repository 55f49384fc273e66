"""What can be pickled, and what refuses."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest

import pymilk
from pymilk import SHM
from pymilk._core import Stream

Make = Callable[..., SHM]


def test_what_is_not_pickled_says_so(cam: SHM) -> None:
    with cam.ring_reader(4) as ring:
        cam.set_data(np.ones((4, 6), np.uint32))
        with pytest.raises(TypeError, match="ring reader of stream 'cam' cannot be pickled"):
            pickle.dumps(ring)
    with (
        pymilk.Relay("cam", "cam_ring", 4) as relay,
        pytest.raises(TypeError, match="relay of stream 'cam' cannot be pickled"),
    ):
        pickle.dumps(relay)
    with pytest.raises(TypeError, match="a Stream cannot be pickled; pass its name"):
        pickle.dumps(Stream.attach("cam"))
