"""`Image.open`, `close` and `destroy`."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk.errors import ImageNotInitializedError, ImageUnsupportedError
from support import golden
from support import isio_format as fmt
from support.images import Image, ramp

Make = Callable[..., Any]


def test_open_codes(shm_dir: Path) -> None:
    good = bytearray(fmt.encode(fmt.fresh("x", (8, 4), 9, nbkw=4, nbsem=3)))

    def put(name: str, field: str, value: Any) -> None:
        data = bytearray(good)
        fmt.patch(data, field, value)
        (shm_dir / f"{name}.im.shm").write_bytes(data)

    (shm_dir / "short.im.shm").write_bytes(good[:-8])
    (shm_dir / "nothing.im.shm").write_bytes(b"")
    put("old", "version", "1.99")
    put("unready", "version", "")
    put("many", "nelement", 10_000_000_001)
    put("other", "nelement", 1000)
    put("axes", "naxis", 7)
    shutil.copy(golden.path("ga_gpu"), shm_dir / "gpu.im.shm")
    (shm_dir / "x.im.shm").write_bytes(good)
    expected = {
        "nowhere": 40,
        "": 40,
        None: 40,
        "y" * 200: 40,
        "short": 40,
        "nothing": 40,
        "axes": 40,
        "other": 40,
        "old": 100,
        "unready": 100,
        "many": 1,
        "gpu": 1,
    }
    image = Image()
    for name, code in expected.items():
        assert image.open("x") == 0
        assert image.last_error is None
        assert (image.open(name), image.memsize) == (code, 0), name  # type: ignore[arg-type]
        assert str(image.last_error)
    assert isinstance(image.last_error, ImageUnsupportedError)


def test_open_again_and_again(make: Make) -> None:
    make("a", ramp(3))
    make("b", ramp(4, 3))
    image = Image()
    for name, shape in (("a", (3,)), ("b", (4, 3)), ("a", (3,))):
        assert image.open(name) == 0
        assert (image.md.name, image.shape, image.used) == (name, shape, 0)
        assert image.memsize == os.path.getsize(Path(os.environ["MILK_SHM_DIR"], f"{name}.im.shm"))
    image.close()


def test_arrays_stay_valid_memory(make: Make) -> None:
    image = make("x", ramp(4, 3))
    arrays = [image.view(), np.asarray(image), np.array(image, copy=False), memoryview(image)]
    image.destroy()
    del image
    gc.collect()
    for found in arrays:
        np.testing.assert_array_equal(found, ramp(4, 3))


def test_destroy_by_the_creator_only(make: Make, shm_dir: Path) -> None:
    creator, reader = make("x", ramp(3)), make("x")
    assert reader.destroy() == 0
    assert reader.md.cnt0 == 1  # nothing happened to it
    with pytest.raises(TypeError):
        creator.destroy("x")
    assert creator.destroy() == 0
    assert not list(shm_dir.iterdir())
    with pytest.raises(ImageNotInitializedError):
        creator.destroy()
    assert reader.copy().tolist() == [0, 1, 2]  # the memory lives on


def test_destroy_what_is_gone(make: Make, shm_dir: Path) -> None:
    image = make("x", ramp(3))
    os.unlink(shm_dir / "x.im.shm")
    image.write(ramp(3) + 1)
    assert image.copy().tolist() == [1, 2, 3]
    assert image.destroy() == 0
    assert image.memsize == 0


def test_create_over_a_stream_that_is_read(make: Make) -> None:
    image = make("x", ramp(3))
    reader = make("x")
    assert image.create("x", ramp(4, 3) + 5) == 0
    assert (image.shape, reader.shape, reader.copy().tolist()) == ((4, 3), (3,), [0, 1, 2])
    assert reader.open("x") == 0
    np.testing.assert_array_equal(reader.copy(), ramp(4, 3) + 5)
