"""`SHM.IMAGE` and `SHM.md` that are kept over a recreation tell of the new stream, or raise."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Stream
from pymilk.errors import StreamChangedError, StreamShapeChangedError, StreamTypeChangedError
from pymilk.image import Image
from support.camera import numbers

FILLED = numbers((2, 2)) * 7

USES: dict[str, Callable[[Image], Any]] = {
    "md": lambda image: image.md.cnt0,
    "shape": lambda image: image.shape,
    "memsize": lambda image: image.memsize,
    "trace": lambda image: image.streamproctrace0,
    "copy": lambda image: image.copy(),
    "view": lambda image: image.view(),
    "array": lambda image: np.array(image),
    "write": lambda image: image.write(FILLED.T),
    "update": lambda image: image.update(),
    "update_atime": lambda image: image.update_atime(1.0),
    "semReadPID": lambda image: image.semReadPID,
    "getsemwaitindex": lambda image: image.getsemwaitindex(0),
    "sempost": lambda image: image.sempost(0),
    "semvalue": lambda image: image.semvalue(0),
    "semflush": lambda image: image.semflush(-1),
    "semtrywait": lambda image: image.semtrywait(0),
    "get_kws": lambda image: image.get_kws(),
    "set_kws_list": lambda image: image.set_kws_list([]),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("data", "error"),
    [(numbers((3, 5)), StreamShapeChangedError), (numbers((2, 2), np.int16), StreamTypeChangedError)],
)
def test_image_of_a_stream_that_no_longer_fits_raises(make, use, data, error):
    shm = make("cam", numbers((2, 2)))
    image, md, trace = shm.IMAGE, shm.md, shm.IMAGE.streamproctrace0
    make("cam", data)
    for _ in range(2):
        with pytest.raises(error) as caught:
            USES[use](image)
        assert isinstance(caught.value, StreamChangedError)
        for read in (
            lambda: shm.IMAGE, lambda: shm.md, lambda: md.inode, lambda: md.name, lambda: repr(md),
            lambda: trace.cnt0,
        ):  # fmt: skip
            with pytest.raises(error):
                read()
    assert "cam" in repr(image)
    assert make("cam").get_counter() == 1  # nothing was written into the new stream


def test_image_of_a_stream_that_fits_is_that_of_the_new_one(make):
    shm = make("cam", numbers((2, 2)))
    image, md, inode = shm.IMAGE, shm.md, shm.md.inode
    new = make("cam", FILLED)
    assert md.inode == image.md.inode == new.md.inode != inode
    np.testing.assert_array_equal(image.copy(), FILLED.T)
    image.write((FILLED + 1).T)
    assert (md.cnt0, new.get_counter()) == (2, 2)
    np.testing.assert_array_equal(np.array(image, copy=False).T, new.get_data())
    np.testing.assert_array_equal(shm.get_data(), FILLED + 1)
    assert image.used == 0
    assert image is shm.IMAGE


def test_image_comes_back_with_a_stream_that_fits(make):
    shm = make("cam", numbers((2, 2)))
    md = shm.md
    make("cam", numbers((3, 3)))
    with pytest.raises(StreamShapeChangedError):
        _ = md.cnt0
    again = make("cam", FILLED)
    assert md.inode == again.md.inode


@pytest.mark.parametrize("data", [numbers((2, 2)), numbers((3, 3))])
def test_ends_of_an_image_whose_stream_was_replaced(make, data):
    shm = make("cam", numbers((2, 2)))
    reader = make("cam")
    image, other = shm.IMAGE, reader.IMAGE
    new = make("cam", data)
    assert image.destroy() == image.destroy() == 0
    assert other.close() == 0
    with pytest.raises(RuntimeError, match="image not initialized"):
        other.close()
    for each in (shm, reader):
        each.destroy()
        each.destroy()
        each.close()
    np.testing.assert_array_equal(make("cam").get_data(), data)
    assert os.path.exists(new.FILEPATH)


def test_object_ends_quietly_after_its_image(make):
    for end in ("close", "destroy"):
        shm = make("cam", numbers((2, 2)))
        assert getattr(shm.IMAGE, end)() == 0
        shm.destroy()
        shm.close()


def test_image_ends_with_an_object_that_has_followed(make):
    shm = make("cam", numbers((2, 2)))
    image, md = shm.IMAGE, shm.md
    make("cam", FILLED)
    shm.get_data()
    shm.close()
    for use in (lambda: image.md, image.copy, image.close, lambda: md.cnt0, lambda: repr(md)):
        with pytest.raises(RuntimeError, match="image not initialized"):
            use()
    assert (image.memsize, image.used) == (0, 0)
    assert "not initialized" in repr(image)


def test_closed_image_closes_the_stream_that_was_followed(make):
    shm = make("cam", numbers((2, 2)))
    image = shm.IMAGE
    make("cam", FILLED)
    shm.get_data()
    assert image.close() == 0
    with pytest.raises(ValueError, match="closed"):
        shm.get_data()


def test_metadata_outlive_a_forgotten_object(make):
    camera = make("cam", numbers((2, 2)))
    md, image = SHM("cam").md, SHM("cam").IMAGE
    gc.collect()
    camera.set_data(FILLED)
    assert (md.cnt0, image.md.cnt0) == (2, 2)
    new = make("cam", FILLED)
    assert md.inode == image.md.inode == new.md.inode


def test_image_that_was_opened_stays_with_its_file(make):
    make("cam", numbers((2, 2)))
    image = Image()
    assert image.open("cam") == 0
    md = image.md
    make("cam", numbers((3, 3)))
    assert image.md.size == md.size == [2, 2]
    image.close()


def test_image_that_opens_another_stream_leaves_its_object(make):
    shm = make("cam", numbers((2, 2)))
    other = make("other", numbers((3, 3)))
    image = shm.IMAGE
    assert image.open("other") == 0
    assert image.md.inode == other.md.inode
    assert image.shape == (3, 3)
    image.close()
    with Stream.attach("cam") as stream:
        assert stream.counter == 1
