"""Idioms of existing scripts with `Image`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pymilk.ImageStreamIOWrap as ISIO
from support.images import Image_kw, ramp

FLOAT = ISIO.ImageStreamIODataType.FLOAT
Make = Callable[..., Any]


def test_idiom_missing_stream() -> None:
    img = ISIO.Image()
    assert img.open("nowhere") != 0
    assert img.open("nowhere") == 40
    assert img.memsize == 0
    assert ISIO.Image().create("x", np.zeros(3)) == 0
    assert ISIO.Image().open("x") == 0
    assert not hasattr(ISIO, "IMAGESTRUCT_VERSION")


def test_idiom_arguments_in_the_wrong_place() -> None:
    img = ISIO.Image()
    assert img.create("x", np.zeros((128, 64)), -1, True, 8, 1, ISIO.ImageStreamIODataType.FLOAT, 1) == 0
    md = img.md
    assert (md.datatype, md.imagetype, md.sem, md.NBkw) == (ISIO.ImageStreamIODataType.DOUBLE, 9, 8, 1)
    assert str(md.imagetype) == "Type.???"
    img.destroy()


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {}),
        ((-1, 1), {}),
        ((-1, True, 4, 1), {}),
        ((), {"location": -1, "shared": 1, "NBsem": 5, "NBkw": 10}),
    ],
)
def test_idiom_create(arguments: Any, options: Any) -> None:
    img = ISIO.Image()
    assert img.create("x", np.asfortranarray(ramp(4, 3)), *arguments, **options) == 0
    assert np.array_equal(np.array(img), ramp(4, 3))
    img.destroy()


def test_idiom_create_with_ring() -> None:
    img = ISIO.Image()
    assert img.create("x", np.zeros((4, 3, 2), "f4"), imagetype=1, CBsize=16) == 0
    assert img.create("y", np.zeros((4, 3), "f4"), imagetype=1, CBsize=16) == 10  # has to have 3 axes


def test_idiom_create_from_sizes() -> None:
    img = ISIO.Image()
    assert img.create("x", [128, 64], ISIO.ImageStreamIODataType.FLOAT, 1, 8) == 0
    md = img.md
    assert (md.size, md.datatype, md.NBkw, md.sem, md.cnt0, md.shared) == ([128, 64], FLOAT, 8, 10, 0, 1)
    assert not img.copy().any()
    assert img.create("x", (3,), ISIO.ImageStreamIODataType.UINT16) == 0
    assert (img.shape, img.md.datatype) == ((3,), 3)
    assert img.create("x", [2.5], FLOAT) == 10
    assert img.memsize == 0


def test_idiom_reuse_or_replace() -> None:
    def prepare(shape: tuple[int, ...]) -> Any:
        img = ISIO.Image()
        if img.open("x") == 0:
            if img.md.size[0] == shape[0] and img.md.datatype == ISIO.ImageStreamIODataType.FLOAT:
                return img, "kept"
            img.destroy()
        img.create("x", np.zeros(shape, np.float32))
        return img, "made"

    first, what = prepare((4, 3))
    assert what == "made"
    assert prepare((4, 3))[1] == "kept"
    other, what = prepare((5, 3))
    assert (what, other.md.size[:], first.md.size) == ("made", [5, 3], [4, 3])
    # And on the same object.
    other.destroy()
    assert other.create("x", np.zeros((6, 2), np.float32)) == 0
    assert np.all(other.md.size == [6, 2])
    other.close()


def test_idiom_arrays(make: Make) -> None:
    img = make("x", ramp(4, 1, 3))
    live = np.array(img, copy=False)
    for view in (live.T, np.array(img, copy=False, order="F").T):
        assert view.shape == (3, 1, 4)
        assert view.flags.c_contiguous
        assert np.shares_memory(view, live)
    assert np.squeeze(img.copy()).shape == (4, 3)
    assert np.ascontiguousarray(img.copy().T).tolist() == np.arange(12).reshape(3, 1, 4).tolist()
    view[:] = 3
    img.update()
    assert (np.array(img) == 3).all()


def test_idiom_write(make: Make) -> None:
    arr = np.arange(12.0).reshape(3, 4)
    img = make("x", np.zeros((4, 3), np.float32))
    img.write(np.asfortranarray(arr.T, dtype=np.float32))
    assert np.array_equal(img.copy().T, arr)
    img.write(np.ones((4, 3), np.float32))
    assert img.copy().sum() == 12
    command = np.arange(5, dtype=np.float32)
    img = make("dm", np.zeros((5, 1), np.float32))
    img.write(np.array([command]).T)
    assert np.array_equal(np.squeeze(img.copy()), command)


def test_idiom_semaphores(make: Make) -> None:
    img = make("x", np.zeros((4, 3)), NBsem=1)
    sem = img.getsemwaitindex(0)
    assert sem >= 0
    assert make("x").getsemwaitindex(0) < 0
    img.semflush(-1)
    assert img.semtimedwait(sem, 0.001) != 0
    img.update()
    looks = 0
    while img.semtrywait(sem) != 0:
        looks += 1
    assert looks == 0
    assert img.semReadPID[sem] == os.getpid()


def test_idiom_keywords(make: Make) -> None:
    img = make("x", np.zeros(3), NBkw=5)
    img.set_kws({"gain": Image_kw("gain", 2.5, "e/ADU"), "filter": Image_kw("filter", "H ")})
    assert {name: kw.value for name, kw in img.get_kws().items()} == {"filter": "H ", "gain": 2.5}
    assert {kw.name.strip(): kw.value for kw in img.get_kws_list() if kw.type != "N"} == {
        "filter": "H ",
        "gain": 2.5,
    }


def test_idiom_metadata(make: Make) -> None:
    img = make("x", np.zeros((4, 3)))
    md = img.md
    seen = [md.cnt0]
    for _ in range(3):
        img.write(np.zeros((4, 3)))
        seen.append(md.cnt0)
    assert seen == [1, 2, 3, 4]
    assert tuple(md.size[: md.naxis]) == (4, 3)
    last = md.lastaccesstime
    assert md.lastaccesstime == last
    assert hasattr(img, "md")
    assert np.all(md.size == make("x").md.size)
    with contextlib.suppress(Exception):
        img.destroy()
    with pytest.raises(RuntimeError):
        hasattr(img, "md")
