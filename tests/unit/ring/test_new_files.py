"""Ring readers of a stream that is replaced."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import FLAG_NEW_FILE
from pymilk.errors import StreamChangedError, StreamReplacedError
from support.rings import (
    CAPACITY,
    DTYPE,
    SHAPE,
    SOURCES,
    Both,
    account,
    create,
    each_source,
    numbers_of,
    stamped,
)
from support.waiting import PATIENCE, until

MakeSHM = Callable[..., SHM]


@each_source
def test_new_file_is_followed(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(3)
    assert numbers_of(both.ring.read(1)) == [2]
    again = create(make, source)
    # First what the ring of the old file still has.
    capture = both.ring.read(3, timeout=PATIENCE)
    assert numbers_of(capture) == [3, 4, 1]
    assert (capture.info["flags"] & FLAG_NEW_FILE).astype(bool).tolist() == [False, False, True]
    assert capture.info["lost"].tolist() == [0, 0, 0]
    again.set_data(stamped(2))
    capture = both.ring.read(1, timeout=PATIENCE)
    assert numbers_of(capture) == [2]
    assert not (capture.info["flags"] & FLAG_NEW_FILE).any()
    assert account(both.ring) == (5, 0, 0)
    assert both.ring.report.new_files == 1


@each_source
def test_losses_of_the_old_file_are_counted(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(1)
    both.ring.read(1)
    both.feed(3 * CAPACITY)
    newest = list(range(both.number - CAPACITY + 1, both.number + 1))
    create(make, source)
    if source == "collector":
        # Its ring goes on being filled: the new frame takes the place of an old one.
        until(lambda: (both.ring.latest() == 1).all())
        newest = newest[1:]
    assert numbers_of(both.ring.read(len(newest) + 1, timeout=PATIENCE)) == [*newest, 1]
    lost = 3 * CAPACITY - len(newest)
    assert account(both.ring) == (1 + len(newest) + 1, lost, 0)


@pytest.mark.parametrize(("old", "new"), [*itertools.permutations(SOURCES, 2)])
def test_new_file_with_another_ring(make: MakeSHM, old: str, new: str) -> None:
    both = Both(make, old)
    both.feed(2)
    both.ring.read(2)
    again = create(make, new, capacity=3)
    assert numbers_of(both.ring.read(1, timeout=PATIENCE)) == [1]
    # A collector collects from whatever there is.
    expected = "collector" if "collector" in (old, new) else new
    assert both.ring.source == expected
    for number in (2, 3, 4):
        again.set_data(stamped(number))
        assert numbers_of(both.ring.read(1, timeout=PATIENCE)) == [number]
    if expected != "collector":
        assert both.ring.depth == 4
    assert account(both.ring) == (6, 0, 0)


@each_source
def test_new_file_of_another_shape(make: MakeSHM, source: str) -> None:
    both = Both(make, source)
    both.feed(2)
    both.ring.read(2)
    make("cam", np.zeros((5, 5), DTYPE))
    with pytest.raises(StreamChangedError, match="'cam'") as caught:
        both.ring.read(1, timeout=PATIENCE)
    error = caught.value
    assert not isinstance(error, StreamReplacedError)  # which could be followed
    assert (error.stream, error.field, error.expected, error.found) == (
        "cam",
        "shape",
        SHAPE,
        (5, 5),
    )
