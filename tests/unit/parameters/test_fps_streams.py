"""The check of streams that parameters name: there, and of the kind that flags require."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk.parameters import FPS, MessageCode, ParameterFlag, Status
from support.fps import store

#: Of a slot; each pair is what was found and what is required.
INFO, AXES, XSIZE = 4056, 12, 20


@pytest.fixture
def fps(shm_dir: Path) -> Iterator[FPS]:
    with FPS.create("loop", 8, directories=False) as made:
        yield made


def said(fps: FPS) -> list[str]:
    assert all(message.code == MessageCode.ERROR for message in fps.check())
    assert (Status.CHECKOK in fps.status) == (not fps.messages())
    assert fps.param("in").status.error == bool(fps.messages())
    return [message.text for message in fps.messages()]


def add(fps: FPS, *names: str, stream: str = "cam") -> None:
    flags = ParameterFlag.DEFAULT_INPUT
    for name in names:
        flags |= ParameterFlag[f"STREAM_{name}"]
    fps.add_param("in", "STREAMNAME", stream, flags=flags)


def require(fps: FPS, **numbers: int) -> None:
    """Store sizes that a stream has to have, as the program that made the FPS does."""
    places = {"axes": AXES, "x": XSIZE, "y": XSIZE + 8, "z": XSIZE + 16}
    for name, number in numbers.items():
        store(Path(fps.path), fps.table.slot_offset(0) + INFO + places[name] + 4, "<I", number)


def found(fps: FPS) -> tuple[Any, ...]:
    return struct.unpack("<qB3x8I B3x", fps.table.read(fps.table.slot_offset(0) + INFO, 48))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("ENFORCE_DATATYPE", "TEST_DATATYPE_FLOAT"), []),
        (("ENFORCE_DATATYPE", "TEST_DATATYPE_DOUBLE", "TEST_DATATYPE_FLOAT"), []),
        (("ENFORCE_DATATYPE", "TEST_DATATYPE_UINT16"), ["Stream cam is FLOAT, not UINT16"]),
        (
            ("ENFORCE_DATATYPE", "TEST_DATATYPE_UINT16", "TEST_DATATYPE_HALF"),
            ["Stream cam is FLOAT, not UINT16 or HALF"],
        ),
        (("ENFORCE_DATATYPE",), []),  # of no type: nothing is required
        (("TEST_DATATYPE_UINT16",), []),  # not enforced
        (("ENFORCE_2D",), []),
        (("ENFORCE_1D", "ENFORCE_2D"), []),
        (("ENFORCE_3D",), ["Stream cam has 2 axes, not 3"]),
        (("ENFORCE_1D", "ENFORCE_3D"), ["Stream cam has 2 axes, not 1 or 3"]),
        (("ENFORCE_XSIZE",), []),  # 0 is any size
        (
            ("ENFORCE_DATATYPE", "TEST_DATATYPE_INT8", "ENFORCE_1D", "RUN_REQUIRED"),
            ["Stream cam is FLOAT, not INT8", "Stream cam has 2 axes, not 1"],
        ),
    ],
)
def test_type_and_axes(
    fps: FPS, make_stream: Callable[..., Any], names: tuple[str, ...], expected: list[str]
) -> None:
    make_stream("cam", (4, 6), np.float32)
    add(fps, *names)
    assert said(fps) == expected


@pytest.mark.parametrize(
    ("flag", "required", "expected"),
    [
        ("ENFORCE_XSIZE", {"x": 6}, []),
        ("ENFORCE_XSIZE", {"x": 4}, ["Stream cam has xsize 6, not 4"]),
        ("ENFORCE_YSIZE", {"x": 4, "y": 5}, ["Stream cam has ysize 4, not 5"]),
        ("ENFORCE_ZSIZE", {"z": 2}, ["Stream cam has zsize 1, not 2"]),
        ("RUN_REQUIRED", {"x": 4, "y": 5, "z": 2}, []),  # no flag enforces them
        ("RUN_REQUIRED", {"axes": 2}, []),
        ("RUN_REQUIRED", {"axes": 3}, ["Stream cam has 2 axes, not 3"]),
    ],
)
def test_sizes(
    fps: FPS, make_stream: Callable[..., Any], flag: str, required: dict[str, int], expected: list[str]
) -> None:
    make_stream("cam", (4, 6), np.float32)
    add(fps, flag)
    require(fps, **required)
    assert said(fps) == expected
    numbers = found(fps)
    assert numbers[:2] == (0, 9)
    assert numbers[2:10:2] == (2, 6, 4, 1)
    kept = dict(zip(("axes", "x", "y", "z"), numbers[3:10:2], strict=True))
    assert kept == {"axes": 0, "x": 0, "y": 0, "z": 0, **required}


def test_every_type_has_its_flag(fps: FPS, make_stream: Callable[..., Any]) -> None:
    for number, (name, dtype) in enumerate(
        {
            "UINT8": "u1", "INT8": "i1", "UINT16": "u2", "INT16": "i2", "UINT32": "u4", "INT32": "i4",
            "UINT64": "u8", "INT64": "i8", "HALF": "f2", "FLOAT": "f4", "DOUBLE": "f8",
        }.items()
    ):  # fmt: skip
        make_stream(f"s{number}", (2, 2), np.dtype(dtype))
        with FPS.create("types", 4, directories=False, replace=True) as types:
            add(types, "ENFORCE_DATATYPE", f"TEST_DATATYPE_{name}", stream=f"s{number}")
            assert types.check() == []


def test_complex_streams_are_of_no_type_that_can_be_required(
    fps: FPS, make_stream: Callable[..., Any]
) -> None:
    make_stream("cam", (2, 2), np.complex64)
    add(fps, "ENFORCE_DATATYPE", "TEST_DATATYPE_FLOAT")
    assert said(fps) == ["Stream cam is complex64, not FLOAT"]


def test_streams_that_are_missing(fps: FPS) -> None:
    add(fps, "ENFORCE_2D")
    assert said(fps) == []  # it does not have to be there
    assert (found(fps)[0], found(fps)[-1]) == (-1, 0)
    fps.table.set_flags(fps.table.entry("in"), ParameterFlag.STREAM_RUN_REQUIRED)
    assert said(fps) == ["Stream cam is not there"]


def test_streams_that_nothing_is_required_of_are_not_looked_at(
    fps: FPS, make_stream: Callable[..., Any]
) -> None:
    make_stream("cam", (2, 2), np.float32)
    add(fps)
    assert said(fps) == []
    assert not any(found(fps))
