"""`Image.create`."""

from __future__ import annotations

import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk.ImageStreamIOWrap as ISIO
from pymilk import Stream
from support.images import Image, Image_kw, ramp

FLOAT = ISIO.ImageStreamIODataType.FLOAT
Make = Callable[..., Any]
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_create_every_type(make: Make, dtype: str) -> None:
    pixels = ramp(4, 3, 2, dtype=dtype)
    image = make("x", pixels)
    assert (image.used, image.shape, image.md.cnt0, image.md.cnt1) == (1, (4, 3, 2), 1, 1)
    assert image.md.datatype == ISIO.ImageStreamIODataType(int(image.md.datatype)).type
    assert ISIO.ImageStreamIODataType(image.md.datatype).dtype == dtype
    assert [image.semvalue(k) for k in range(10)] == [1] * 10
    assert image.md.acqtime == image.md.writetime
    for found in (image.copy(), image.view(), np.array(image), np.asarray(image)):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, pixels)
    assert repr(image) == f"<Image 'x' shape=(4, 3, 2) dtype={np.dtype(dtype)}>"


BUFFER_KINDS: dict[str, Callable[[], Any]] = {
    "C order": lambda: np.ascontiguousarray(ramp(4, 3)),
    "F order": lambda: ramp(4, 3),
    "strided": lambda: np.repeat(np.repeat(ramp(4, 3), 2, 0), 3, 1)[::2, ::3],
    "reversed": lambda: ramp(4, 3)[::-1, ::-1].copy()[::-1, ::-1],
    "other byte order": lambda: ramp(4, 3, dtype=">f4"),
    "memoryview": lambda: memoryview(np.ascontiguousarray(ramp(4, 3))),
    "read-only": lambda: np.frombuffer(ramp(4, 3).T.tobytes(), "f4").reshape(3, 4).T,
}


@pytest.mark.parametrize("kind", BUFFER_KINDS)
def test_create_and_write_any_memory(make: Make, kind: str) -> None:
    image = make("x", BUFFER_KINDS[kind]())
    assert (image.shape, image.md.datatype) == ((4, 3), FLOAT)
    np.testing.assert_array_equal(image.copy(), ramp(4, 3))
    image.view()[:] = 0
    image.write(BUFFER_KINDS[kind]())
    np.testing.assert_array_equal(image.copy(), ramp(4, 3))
    assert image.md.cnt0 == 2


def test_buffers_that_are_no_arrays(make: Make) -> None:
    image = make("x", array.array("d", [1, 2, 3]))
    assert image.copy().tolist() == [1, 2, 3]
    image = make("b", b"abc")
    assert (image.md.datatype, bytes(image.copy())) == (1, b"abc")
    image = make("bits", np.array([True, False]))
    image.write(np.array([False, True]))
    assert (image.md.datatype, image.copy().tolist()) == (1, [0, 1])
    other = make("copied", image)
    other.write(image)
    assert other.copy().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (10, {"name": ""}),
        (1, {"name": "x" * 200}),
        (1, {"name": "a/b"}),
        (1, {"name": "a\0b"}),
        (10, {"buffer": np.float32(1)}),
        (10, {"buffer": np.zeros((1, 1, 1, 1))}),
        (10, {"buffer": np.zeros((2, 0))}),
        (10, {"buffer": np.broadcast_to(np.uint8(0), (10**6, 10**5))}),
        (10, {"location": -2}),
        (10, {"NBsem": -1}),
        (10, {"NBsem": 70_000}),
        (10, {"NBkw": 70_000}),
        (10, {"NBkw": 1.5}),
        (10, {"CBsize": -1}),
        (10, {"imagetype": 1}),
        (10, {"imagetype": -1}),
    ],
)
@pytest.mark.parametrize("shared", [0, 1])
def test_refused(make: Make, shm_dir: Path, code: int, change: dict[str, Any], shared: int) -> None:
    image = make("before", ramp(3))
    assert image.create(**{"name": "x", "buffer": ramp(4, 3), "shared": shared, **change}) == code
    assert str(image.last_error)
    assert (image.used, image.memsize) == (0, 0)
    assert [path.name for path in shm_dir.iterdir()] == ["before.im.shm"]
    assert image.create("x", ramp(3)) == 0
    assert image.last_error is None
    image.close()


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((np.zeros(3, object),), RuntimeError, "Not implemented datatype"),
        ((np.zeros(3, "M8[s]"),), RuntimeError, "Not implemented datatype"),
        ((np.zeros(3, "S4"),), RuntimeError, "Not implemented datatype"),
        ((np.zeros(3, np.longdouble),), RuntimeError, "Not implemented datatype"),
        ((np.zeros(3), 0), RuntimeError, "unsupported location"),
        (([1, 2, 3],), TypeError, "has to be an array, not a list"),
        (((1, 2, 3),), TypeError, "has to be an array, not a tuple"),
        ((3,), TypeError, "has to be an array, not a int"),
        ((None,), TypeError, "has to be an array, not a NoneType"),
    ],
)
def test_unsupported(make: Make, shm_dir: Path, arguments: Any, kind: Any, message: str) -> None:
    image = make("before", ramp(3))
    with pytest.raises(kind, match=message) as caught:
        image.create("x", *arguments)
    assert type(caught.value).__module__ == "pymilk.errors"
    assert (image.md.name, image.md.cnt0) == ("before", 1)
    assert [path.name for path in shm_dir.iterdir()] == ["before.im.shm"]


def test_all_options(make: Make) -> None:
    image = make("x", ramp(4, 3), -1, True, 3, 5, ISIO.ImageStreamIOType.IMG_RECV_TYPE, 4)
    md = image.md
    assert (md.sem, md.NBkw, md.imagetype, md.shared, md.location) == (3, 5, 4, 1, -1)
    # The frame went through the ring as well.
    with Stream.attach("x") as stream:
        assert (stream.cb_size, stream.cb_index) == (4, 1)
        np.testing.assert_array_equal(stream.section("ring_slots")[1].T, ramp(4, 3))


def test_local_image(shm_dir: Path) -> None:
    image = Image()
    assert image.create("x", ramp(4, 3), shared=0) == 0
    assert not list(shm_dir.iterdir())
    assert (image.used, image.md.shared, image.md.cnt0) == (1, 0, 1)
    image.write(ramp(4, 3) + 1)
    assert image.update() == 0
    np.testing.assert_array_equal(image.copy(), ramp(4, 3) + 1)
    assert (image.md.cnt0, image.semvalue(0)) == (3, 3)
    image.set_kws_list([Image_kw("A", 1)])
    view = image.view()
    assert image.destroy() == 0
    assert view[1, 0] == 2


def test_no_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILK_SHM_DIR", "/nowhere")
    image = Image()
    assert (image.create("x", ramp(3)), image.open("x")) == (40, 40)
    assert "/nowhere" in str(image.last_error)


def test_directory_may_be_set_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILK_SHM_DIR", str(tmp_path))
    image = Image()
    assert image.create("x", ramp(3)) == 0
    assert (tmp_path / "x.im.shm").stat().st_size == image.memsize
    image.destroy()
