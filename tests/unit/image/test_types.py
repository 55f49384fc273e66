"""The codes and keywords of ImageStreamIOWrap: their names, numbers, texts and limits."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

from pymilk.errors import ImageUnsupportedError, KeywordError, StreamArgumentError
from pymilk.ImageStreamIOWrap import Image_kw, ImageStreamIODataType, ImageStreamIOType

PIXELS = {
    "UINT8": (1, "u1"),
    "INT8": (2, "i1"),
    "UINT16": (3, "u2"),
    "INT16": (4, "i2"),
    "UINT32": (5, "u4"),
    "INT32": (6, "i4"),
    "UINT64": (7, "u8"),
    "INT64": (8, "i8"),
    "HALF": (13, "f2"),
    "FLOAT": (9, "f4"),
    "DOUBLE": (10, "f8"),
    "COMPLEX_FLOAT": (11, "c8"),
    "COMPLEX_DOUBLE": (12, "c16"),
}

STREAMS = {
    "CIRCULAR_BUFFER_TYPE": 1,
    "MATH_DATA_TYPE": 2,
    "IMG_RECV_TYPE": 4,
    "IMG_SENT_TYPE": 8,
    "ZAXIS_UNDEF_TYPE": 0,
    "ZAXIS_SPACIAL_TYPE": 0x10000,
    "ZAXIS_TEMPORAL_TYPE": 0x20000,
    "ZAXIS_WAVELENGTH_TYPE": 0x30000,
    "ZAXIS_MAPPING_TYPE": 0x40000,
}

# -- codes --------------------------------------------------------------------------------------------


def test_members_and_their_order() -> None:
    members = ImageStreamIODataType.Type.__members__
    assert {name: int(code) for name, code in members.items()} == {n: v for n, (v, _) in PIXELS.items()}
    assert list(members) == list(PIXELS)
    assert {name: int(code) for name, code in ImageStreamIOType.Type.__members__.items()} == STREAMS
    for outer in (ImageStreamIODataType, ImageStreamIOType):
        for name, code in outer.Type.__members__.items():
            assert getattr(outer, name) is code is getattr(outer.Type, name)


@pytest.mark.parametrize("name", PIXELS)
def test_pixel_type(name: str) -> None:
    number, dtype = PIXELS[name]
    for given in (number, getattr(ImageStreamIODataType, name), np.uint8(number)):
        made = ImageStreamIODataType(given)
        assert made.type is getattr(ImageStreamIODataType, name)
        assert made.dtype == np.dtype(dtype)
        assert made.size == np.dtype(dtype).itemsize
        assert repr(made) == str(made) == f"datatype: {number}\nsize: {made.size}\n"
    for attribute in ("type", "size", "dtype"):
        with pytest.raises(AttributeError):
            setattr(made, attribute, 1)


@pytest.mark.parametrize("code", [0, 14, -1, 300])
def test_no_pixel_type(code: int) -> None:
    with pytest.raises(StreamArgumentError, match=f"1 to 13, not {code}"):
        ImageStreamIODataType(code)


def test_pixel_type_is_a_number() -> None:
    for given in ("FLOAT", 9.0, None):
        with pytest.raises(TypeError):
            ImageStreamIODataType(given)  # type: ignore[arg-type]


def test_stream_type() -> None:
    made = ImageStreamIOType(0x20001)
    assert (made.type, made.axis) == (
        ImageStreamIOType.CIRCULAR_BUFFER_TYPE,
        ImageStreamIOType.ZAXIS_TEMPORAL_TYPE,
    )
    assert repr(ImageStreamIOType(2)) == str(ImageStreamIOType(2)) == "type: 2\naxis: 0\n"
    for bad in (-1, 2**64):
        with pytest.raises(StreamArgumentError, match="64 bits"):
            ImageStreamIOType(bad)
    with pytest.raises(TypeError):
        ImageStreamIOType("x")  # type: ignore[arg-type]
    for attribute in ("type", "axis"):
        with pytest.raises(AttributeError):
            setattr(made, attribute, 1)


def test_members_behave_as_scripts_expect() -> None:
    code = ImageStreamIODataType.FLOAT
    assert (repr(code), str(code), f"{code}", code.name, code.value, int(code)) == (
        "<Type.FLOAT: 9>",
        "Type.FLOAT",
        "Type.FLOAT",
        "FLOAT",
        9,
        9,
    )
    assert code == 9
    assert hash(code) == 9
    assert {9: "found"}[code] == "found"
    assert list(range(20))[code] == 9
    assert ImageStreamIODataType.Type(9) is code
    assert ImageStreamIODataType.Type(np.int64(9)) is code
    for bad in ("FLOAT", None, 3.5):
        with pytest.raises(TypeError, match=r"ImageStreamIODataType\.Type is made from an int"):
            ImageStreamIODataType.Type(bad)


@pytest.mark.parametrize("given", [3, np.uint16(3)])
def test_unknown_code(given: Any) -> None:
    code = ImageStreamIOType.Type(given)
    assert (repr(code), code.name, code.value, code == 3, int(code)) == ("<Type.???: 3>", "???", 3, True, 3)
    assert "???" not in ImageStreamIOType.Type.__members__


@pytest.mark.parametrize("code", [ImageStreamIODataType.HALF, ImageStreamIOType.Type(3)])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_codes_survive_pickling(code: Any, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(code, protocol))
    assert (type(again), int(again), again.name) == (type(code), int(code), code.name)
    assert copy.deepcopy(code) == code


def test_dict_of_numpy_types() -> None:
    """Scripts keep a table from NumPy's types to these."""
    table = {np.dtype(dtype): getattr(ImageStreamIODataType, name) for name, (_, dtype) in PIXELS.items()}
    assert table[np.dtype(np.float32)] == ImageStreamIODataType.FLOAT
    assert all(ImageStreamIODataType(code).dtype == dtype for dtype, code in table.items())


# -- keywords -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "stored"),
    [
        (3, "L", 3),
        (-(2**63), "L", -(2**63)),
        (2**63 - 1, "L", 2**63 - 1),
        (True, "L", 1),
        (np.bool_(True), "L", 1),
        (np.int16(-5), "L", -5),
        (np.uint64(7), "L", 7),
        (2**63, "D", 2.0**63),
        (np.uint64(2**64 - 1), "D", 2.0**64),
        (0.5, "D", 0.5),
        (3.0, "D", 3.0),
        (np.float64(0.1), "D", 0.1),
        (np.float32(0.5), "D", 0.5),
        (np.float16(0.5), "D", 0.5),
        (np.array(2.5), "D", 2.5),
        ("CRED2", "S", "CRED2"),
        (np.str_("CRED2"), "S", "CRED2"),
        (b"CRED2", "S", "CRED2"),
        ("", "S", ""),
    ],
)
def test_value_and_its_type(value: Any, kind: str, stored: Any) -> None:
    keyword = Image_kw("NAME", value, "comment")
    assert (keyword.name, keyword.type, keyword.value, keyword.comment) == ("NAME", kind, stored, "comment")
    assert type(keyword.value) is type(stored)


def test_value_by_the_name_of_its_type() -> None:
    assert Image_kw("A", numl=3).type == "L"
    assert Image_kw("A", numf=0.5).type == "D"
    assert Image_kw(name="A", valstr="x", comment="c").comment == "c"
    whole = Image_kw("A", numf=3)
    assert (whole.type, whole.value, type(whole.value)) == ("D", 3.0, float)
    for wrong in (
        {"numl": 3.0},
        {"numl": "3"},
        {"numl": 2**63},
        {"numf": "3"},
        {"valstr": 3},
        {"numl": 3, "numf": 3.0},
    ):
        with pytest.raises(TypeError):
            Image_kw("A", **wrong)
    with pytest.raises(TypeError):
        Image_kw("A", 3, numl=3)


@pytest.mark.parametrize("value", [None, [1], (1, 2), {}, object(), np.array([1.5]), 1j])
def test_no_value(value: Any) -> None:
    with pytest.raises(TypeError):
        Image_kw("A", value)


@pytest.mark.parametrize("arguments", [(3, 4), (None, 4), ("A", 3, None), ("A", 3, 4)])
def test_texts_are_texts(arguments: Any) -> None:
    with pytest.raises(TypeError):
        Image_kw(*arguments)


def test_empty_keyword() -> None:
    keyword = Image_kw()
    assert (keyword.name, keyword.type, keyword.comment) == ("", "\0", "")
    with pytest.raises(ImageUnsupportedError, match="Unknown format") as caught:
        _ = keyword.value
    assert isinstance(caught.value, RuntimeError)
    assert repr(keyword) == "Unknown format "


@pytest.mark.parametrize("letter", ["x", "\u00b5"])
def test_limits_are_bytes_and_may_be_reached(letter: str) -> None:
    width = len(letter.encode())
    full = Image_kw(letter * (16 // width), letter * (16 // width), letter * (80 // width))
    assert len(full.name) == 16 // width
    for what, arguments, limit in (
        ("name", (letter * (16 // width + 1), 1), 16),
        ("valstr", ("A", letter * (16 // width + 1)), 16),
        ("comment", ("A", 1, letter * (80 // width + 1)), 80),
    ):
        with pytest.raises(KeywordError, match=f"^{what} too long") as caught:
            Image_kw(*arguments)
        assert isinstance(caught.value, ValueError)
        assert (caught.value.limit, caught.value.found) == (limit, limit + width)


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_cannot_be_stored(text: str) -> None:
    for arguments in ((text, 1), ("A", text), ("A", 1, text)):
        with pytest.raises(KeywordError, match="cannot be stored"):
            Image_kw(*arguments)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (42, "42"),
        (-1, "-1"),
        (0.1, "0.1"),
        (3.0, "3"),
        (1e-7, "1e-07"),
        (123456789.0, "1.23457e+08"),
        (math.inf, "inf"),
        ("text", "text"),
    ],
)
def test_shown(value: Any, shown: str) -> None:
    assert repr(Image_kw("A", value)) == str(Image_kw("A", value)) == f"{shown} "
    assert repr(Image_kw("A", value, "note")) == f"{shown} note"


def test_keyword_cannot_be_changed() -> None:
    keyword = Image_kw("A", 1)
    for attribute in ("name", "type", "value", "comment", "cnt"):
        with pytest.raises(AttributeError):
            setattr(keyword, attribute, "x")
    assert keyword != Image_kw("A", 1)  # no equality, as ever


@pytest.mark.parametrize(
    "keyword",
    [
        Image_kw(),
        Image_kw("A", 3, "c"),
        Image_kw("A", numf=3),
        Image_kw("A", b"\xff", b"\xfe"),  # type: ignore[arg-type]
    ],
)
def test_keywords_survive_pickling(keyword: Image_kw) -> None:
    for again in (pickle.loads(pickle.dumps(keyword)), copy.deepcopy(keyword)):
        assert (again.name, again.type, again.comment) == (keyword.name, keyword.type, keyword.comment)
        assert repr(again) == repr(keyword)
