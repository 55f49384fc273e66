"""Objects cannot be copied past their class."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from pymilk._core import Claim, Mapping, PrivateRing, Reader, RingCursor, Stream


@pytest.mark.parametrize("cls", [Stream, Reader, Claim, Mapping, RingCursor])
def test_class_cannot_be_called(cls: type) -> None:
    with pytest.raises(TypeError, match=r"use|is made by"):
        cls()


def test_streams_are_not_pickled(stream: Stream) -> None:
    ring = PrivateRing(2, (2, 3), np.float32)
    for item in (stream, stream.reader(), stream.claim(), stream.ring_cursor(), ring, ring.cursor()):
        with pytest.raises(TypeError):
            pickle.dumps(item)
    with pytest.raises(TypeError, match="pass its name"):
        copy.copy(stream)
