"""``pymilk create`` and ``pymilk rm``: options, refusals."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk import SHM
from pymilk._core import Stream
from support.calling import call, done


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("u8", "u1"), ("u16", "u2"), ("u32", "u4"), ("u64", "u8"), ("i8", "i1"), ("i16", "i2"), ("i32", "i4"),
     ("i64", "i8"), ("f16", "f2"), ("f32", "f4"), ("f64", "f8"), ("c64", "c8"), ("c128", "c16")],
)  # fmt: skip
def test_names_of_pixel_types(kind, dtype, shm_dir):
    from pymilk.cli.commands.streams import TYPES

    assert len(TYPES) == 13
    done("create", "cam", 2, 3, "--type", kind)
    with Stream.attach("cam") as stream:
        assert (stream.dtype, stream.shape) == (np.dtype(dtype), (2, 3))


def test_create_a_temporal_ring(shm_dir):
    done("create", "cam", 12, 20, "--type", "u16", "--ring", 5, "--temporal", "--kw", 3)
    with Stream.attach("cam") as stream:
        assert (stream.temporal, stream.shape, stream.frame_shape) == (True, (5, 12, 20), (12, 20))
        assert (stream.nbkw, stream.counter) == (3, 0)
    with SHM("cam") as shm:
        shm.set_data(np.full((12, 20), 7, np.uint16))
        assert shm.get_data().max() == 7
    assert call("create", "cube", 2, 3, 4, "--ring", 5, "--temporal").returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [["cam"], ["cam", "0"], ["cam", "4", "--type", "f128"], ["cam", "4", "4", "--temporal"], ["cam", "x"]],
)
def test_create_wrong_usage(arguments, shm_dir):
    assert call("create", *arguments).returncode == 2
    assert list(shm_dir.iterdir()) == []


def test_create_what_cannot_be(shm_dir):
    for code, arguments in (
        (1, ["a/b", "4"]), (1, ["cam", "2", "2", "2", "2"]),
        (2, ["cam", "4", "--kw", "70000"]), (2, ["cam", "4", "--ring", "5000000000"]),
    ):  # fmt: skip
        said = call("create", *arguments)
        assert said.returncode == code
        assert "Traceback" not in said.stderr
    assert list(shm_dir.iterdir()) == []


def test_remove_stream_does_not_count_this_process(make_stream, shm_dir):
    from pymilk import remove_stream

    stream = make_stream("cam", (2, 2), "u1")
    assert stream.sem_index is not None
    remove_stream("cam")
    assert stream.deleted
    assert list(shm_dir.iterdir()) == []
