"""Subclasses and pickles of `Image`."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import Stream
from pymilk.errors import ImageNotInitializedError
from pymilk.image import image_over
from support.images import Image, ramp

Make = Callable[..., Any]

OWN_NAMES = (
    "_write",
    "_live",
    "_created",
    "_release",
    "_section",
    "_publish",
    "_frame",
    "_open",
    "_error",
    "_stream",
    "_image",
    "_failed",
)


def test_subclass_may_call_its_things_as_it_likes(shm_dir: Path) -> None:
    """Attributes and methods of its own do not change what the others do."""

    class Hostile(Image):  # type: ignore[misc]
        def __init__(self) -> None:  # without super
            for name in OWN_NAMES:
                setattr(self, name, None)

        memsize = 5
        md = None
        shape = None

        def view(self) -> None:
            raise AssertionError

        write = close = copy = view

    image = Hostile()
    with pytest.raises(ImageNotInitializedError):
        np.asarray(image)
    assert image.create("x", ramp(4, 3)) == 0
    assert image.used == 1
    np.testing.assert_array_equal(np.asarray(image), ramp(4, 3))
    np.testing.assert_array_equal(np.array(image), ramp(4, 3))
    assert image.open("x") == 0
    assert (image.update(), image.semvalue(0)) == (0, 2)
    assert repr(image) == "<Hostile 'x' shape=(4, 3) dtype=float32>"
    assert image.create("x", ramp(3)) == 0
    assert image.destroy() == 0
    assert not list(shm_dir.iterdir())


def test_image_cannot_be_pickled(make: Make) -> None:
    for image in (Image(), make("x", ramp(3))):
        for call in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled; pass the name"):
                call(image)
    for part in (image.md, image.streamproctrace0):
        with pytest.raises(TypeError, match="cannot be pickled; pass its name"):
            pickle.dumps(part)


def test_image_is_collected(make: Make) -> None:
    image = Image()
    assert image.create("x", ramp(3), NBsem=1) == 0
    assert image.getsemwaitindex(0) == 0
    image.me = image  # a cycle
    del image
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()
    assert make("x").getsemwaitindex(0) == 0


def test_image_over_a_stream() -> None:
    with Stream.create("x", (3, 4), "f4") as stream:
        image = image_over(stream, True)
        assert (image.used, image.shape) == (1, (4, 3))
        stream.publish(np.ones((3, 4), "f4"))
        assert image.copy().sum() == 12
        with Stream.create("y", (5,), "f4") as other:
            assert image_over(other, False, image) is image
            assert (image.used, image.shape, stream.closed) == (0, (5,), False)
        with pytest.raises(ImageNotInitializedError):
            _ = image.md
        assert (image.used, image.memsize) == (0, 0)


@pytest.mark.parametrize(("shape", "rounds"), [((8, 8), 300), ((400, 400), 30)])
def test_threads_share_an_image(make: Make, shape: tuple[int, int], rounds: int) -> None:
    """One publishes after the other, also where the pixels are copied without the GIL."""
    image = make("x", np.zeros(shape, "f4"))
    failed: list[Exception] = []

    def publish(number: int) -> None:
        try:
            for _ in range(rounds):
                image.write(np.full(shape, number, "f4"))
                image.update()
                image.update_atime(1.0)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=publish, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert (image.md.cnt0, image.md.cnt1, image.md.write) == (1 + 9 * rounds, 1 + 3 * rounds, 0)
    assert len(np.unique(image.copy())) == 1
