"""What a parameter requires of the stream that it names: set, read, checked, refused."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pymilk.errors import FPSArgumentError, FPSReadOnlyError, FPSTypeError
from pymilk.parameters import FPS, Parameter, ParameterFlag, Signal, StreamRequirement

#: Of a slot, and in it.
INFO, REQUIRED = 4056, {"axes": 16, "x": 24, "y": 32, "z": 40}

U2, F4 = np.dtype("u2"), np.dtype("f4")


@pytest.fixture
def fps() -> Iterator[FPS]:
    with FPS.create("loop", 8, directories=False) as made:
        made.add_param("in", "STREAMNAME", "cam")
        made.add_param("n", default=1)
        yield made


@pytest.fixture
def wfs(fps: FPS) -> Parameter:
    return fps.param("in")


def stored(fps: FPS) -> dict[str, int]:
    info = fps.table.read(fps.table.slot_offset(0) + INFO, 48)
    return {name: struct.unpack_from("<I", info, at)[0] for name, at in REQUIRED.items()}


def said(fps: FPS) -> list[str]:
    fps.check()
    return [message.text for message in fps.messages()]


@pytest.mark.parametrize(
    ("arguments", "requirement", "sizes", "flags"),
    [
        ({}, StreamRequirement(), (0, 0, 0, 0), ""),
        (
            {"shape": (4, 6)},
            StreamRequirement((2,), 6, 4),
            (2, 6, 4, 0),
            "ENFORCE_2D ENFORCE_XSIZE ENFORCE_YSIZE",
        ),
        ({"shape": (4, None)}, StreamRequirement((2,), 0, 4), (2, 0, 4, 0), "ENFORCE_2D ENFORCE_YSIZE"),
        ({"shape": [np.int64(5)]}, StreamRequirement((1,), 5), (1, 5, 0, 0), "ENFORCE_1D ENFORCE_XSIZE"),
        (
            {"shape": (7, 0, 2**32 - 1)},
            StreamRequirement((3,), 2**32 - 1, 0, 7),
            (3, 2**32 - 1, 0, 7),
            "ENFORCE_3D ENFORCE_XSIZE ENFORCE_ZSIZE",
        ),
        ({"axes": 3}, StreamRequirement((3,)), (3, 0, 0, 0), "ENFORCE_3D"),
        ({"axes": (3, 2)}, StreamRequirement((2, 3)), (0, 0, 0, 0), "ENFORCE_2D ENFORCE_3D"),
        (
            {"dtype": "float32"},
            StreamRequirement(dtypes=(F4,)),
            (0, 0, 0, 0),
            "ENFORCE_DATATYPE TEST_DATATYPE_FLOAT",
        ),
        (
            {"dtype": (np.float32, "u2")},
            StreamRequirement(dtypes=(U2, F4)),
            (0, 0, 0, 0),
            "ENFORCE_DATATYPE TEST_DATATYPE_FLOAT TEST_DATATYPE_UINT16",
        ),
    ],
)
def test_what_is_set_is_stored_and_read(
    fps: FPS,
    wfs: Parameter,
    arguments: dict[str, Any],
    requirement: StreamRequirement,
    sizes: tuple[int, ...],
    flags: str,
) -> None:
    before = wfs.flags
    wfs.require_stream(**arguments)
    assert wfs.required_stream == requirement
    assert tuple(stored(fps).values()) == sizes
    expected = before
    for name in flags.split():
        expected |= ParameterFlag[f"STREAM_{name}"]
    assert wfs.flags == expected
    assert wfs.value == "cam"


def test_each_call_says_all_of_it(fps: FPS, wfs: Parameter) -> None:
    before = wfs.flags
    wfs.require_stream((3, 4, 5), ["u1", "f8"])
    wfs.require_stream((6,), "i2")
    assert wfs.required_stream == StreamRequirement((1,), 6, 0, 0, (np.dtype("i2"),))
    assert list(stored(fps).values()) == [1, 6, 0, 0]
    wfs.require_stream()
    assert (wfs.required_stream, wfs.flags) == (StreamRequirement(), before)
    assert not any(stored(fps).values())


def test_the_check_holds_streams_against_it(
    fps: FPS, wfs: Parameter, make_stream: Callable[..., Any]
) -> None:
    make_stream("cam", (4, 6), np.float32)
    wfs.require_stream((4, 6), "float32")
    assert said(fps) == []
    wfs.require_stream((6, 4), "uint16")
    assert said(fps) == [
        "Stream cam is FLOAT, not UINT16",
        "Stream cam has xsize 6, not 4",
        "Stream cam has ysize 4, not 6",
    ]
    wfs.require_stream(axes=(1, 3))
    assert said(fps) == ["Stream cam has 2 axes, not 1 or 3"]
    wfs.require_stream(axes=3)
    assert said(fps) == ["Stream cam has 2 axes, not 3"]
    wfs.require_stream()
    assert said(fps) == []


def test_a_check_keeps_what_is_required_meanwhile(
    fps: FPS, wfs: Parameter, make_stream: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymilk.parameters import check

    make_stream("cam", (4, 6), np.float32)
    wfs.require_stream((4, 6))
    look = check.read_stream_header

    def looked(name: str) -> Any:
        wfs.require_stream((8, 9))
        return look(name)

    monkeypatch.setattr(check, "read_stream_header", looked)
    fps.check()
    assert wfs.required_stream == StreamRequirement((2,), 9, 8)
    assert list(stored(fps).values()) == [2, 9, 8, 0]


def test_a_conf_process_is_asked_to_check_again(fps: FPS, wfs: Parameter) -> None:
    fps.table.change_signal(clear_bits=Signal.UPDATE)
    wfs.require_stream((4, 6))
    assert fps.table.signal & Signal.UPDATE


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"shape": ()}, "shape"),
        ({"shape": (1, 2, 3, 4)}, "shape"),
        ({"shape": (1, -2)}, "shape"),
        ({"shape": (1, 2**32)}, "shape"),
        ({"shape": (1.5, 2)}, "shape"),
        ({"shape": (True, 2)}, "shape"),
        ({"shape": "44"}, "shape"),
        ({"axes": 0}, "axes"),
        ({"axes": 4}, "axes"),
        ({"axes": [2, "3"]}, "axes"),
        ({"axes": [[2]]}, "axes"),
        ({"axes": True}, "axes"),
        ({"axes": 2, "shape": (4, 4)}, "axes"),
        ({"dtype": "complex64"}, "dtype"),
        ({"dtype": ">u2"}, "dtype"),
        ({"dtype": [None]}, "dtype"),
        ({"dtype": "no type"}, "dtype"),
        ({"dtype": ["u2", "S4"]}, "dtype"),
    ],
)
def test_what_no_stream_can_be_is_refused(
    fps: FPS, wfs: Parameter, arguments: dict[str, Any], argument: str
) -> None:
    wfs.require_stream((5, 6), "u2")
    before = fps.table.read(0, fps.table.slot_offset(8))
    with pytest.raises(FPSArgumentError) as raised:
        wfs.require_stream(**arguments)
    assert raised.value.argument == argument
    assert fps.table.read(0, fps.table.slot_offset(8)) == before


def test_it_is_only_for_parameters_that_name_a_stream(fps: FPS) -> None:
    assert fps.param("n").required_stream == StreamRequirement()
    with pytest.raises(FPSTypeError, match="names no stream"):
        fps.param("n").require_stream((4, 6))


def test_it_belongs_to_the_program_that_made_the_fps(fps: FPS) -> None:
    with FPS("loop") as other:
        with pytest.raises(FPSReadOnlyError, match="force=True"):
            other.param("in").require_stream((4, 6))
        assert other.param("in").required_stream == StreamRequirement()
        other.param("in").require_stream((4, 6), force=True)
    with FPS("loop", writable=False) as other:
        assert other.param("in").required_stream == StreamRequirement((2,), 6, 4)
        with pytest.raises(FPSReadOnlyError):
            other.param("in").require_stream(force=True)
    assert fps.param("in").required_stream == StreamRequirement((2,), 6, 4)
