"""What part of an image a view shows, and how large: cut out, made smaller, and laid out for the page."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .._types import Array
from ..streams.binning import shrunk
from .jpeg import RULES, check_library, jpeg_of
from .refusing import bad_value

__all__ = ["Region", "cut_of", "packed", "pixels_of"]

#: Largest side of what is sent: textures of all graphics cards have that much.
_LARGEST = 4096

#: Values of a curve that are sent as they are.
_LONGEST = 131_072

_WORDS = ("mean", "max", "first")


@dataclass(frozen=True)
class Region:
    """A part of an image, and the pixels that there is room for.

    Attributes
    ----------
    left, bottom, right, top : float
        In pixels of the image: column and row of the first, and of the one behind the last. Row 0 is at the
        bottom.
    width, height : int
        Pixels of the canvas.
    how : {"mean", "max", "first"}
        What becomes of pixels that there is no room for.
    index : int or None
        Slice of a cube; None for the one written last.
    jpeg : str or None
        Rule for the levels of a JPEG of 8 bits, with loss; None for the values themselves.
    """

    left: float = 0.0
    bottom: float = 0.0
    right: float = math.inf
    top: float = math.inf
    width: int = 1024
    height: int = 1024
    how: Literal["mean", "max", "first"] = "mean"
    index: int | None = None
    jpeg: str | None = None

    @classmethod
    def read(cls, given: object) -> Region:
        """Check what a page asks for.

        Raises
        ------
        StreamArgumentError
            It is no region.
        LibraryMissingError
            It is to be sent as a JPEG, and there is no Pillow.
        """
        if not isinstance(given, dict):
            raise bad_value("view", given, "an object")
        values: dict[str, Any] = {}
        for name in ("left", "bottom", "right", "top"):
            if name in given:
                values[name] = _number(name, given[name])
        for name in ("width", "height"):
            if name in given:
                values[name] = int(min(max(_number(name, given[name]), 1), _LARGEST))
        if "how" in given:
            if given["how"] not in _WORDS:
                raise bad_value("how", given["how"], "one of mean, max, first")
            values["how"] = given["how"]
        number = given.get("slice")
        if number is not None:
            if type(number) is not int or not 0 <= number < 2**32:
                raise bad_value("slice", number, "a number from 0")
            values["index"] = number
        if given.get("jpeg") is not None:
            if given["jpeg"] not in RULES:
                raise bad_value("jpeg", given["jpeg"], f"one of {', '.join(RULES)}")
            check_library()
            values["jpeg"] = given["jpeg"]
        return cls(**values)

    def within(self, rows: int, columns: int) -> tuple[slice, slice]:
        """Return rows and columns of an image that the region touches; at least one of each."""
        return _part(self.bottom, self.top, rows), _part(self.left, self.right, columns)


def _part(first: float, behind: float, length: int) -> slice:
    begin = int(min(max(math.floor(first), 0), length - 1))
    end = length if behind == math.inf else int(min(max(math.ceil(behind), begin + 1), length))
    return slice(begin, max(end, begin + 1))


def _number(name: str, found: object) -> float:
    # Whole numbers may be larger than any float.
    if type(found) is not int and not (isinstance(found, float) and math.isfinite(found)):
        raise bad_value(name, found, "a number")
    assert isinstance(found, (int, float))
    return float(min(max(found, -1e9), 1e9))


def pixels_of(image: Array, region: Region) -> tuple[Array, dict[str, Any]]:
    """Cut a region out of an image, as large as the canvas needs it.

    Parameters
    ----------
    image : ndarray, shape (rows, columns) or (columns,)
    region : Region

    Returns
    -------
    pixels : ndarray, C order, little endian
        Of the dtype of the image where the page can hold it: integers of up to 32 bits, float32, or pairs of
        float32 for complex numbers. Others become float32. Or the bytes of a JPEG; curves are never one.
    said : dict
        ``region`` (left, bottom, right, top, in whole pixels), ``bins`` (columns and rows that became one),
        ``shape`` (of the image), ``sent`` (dtype, or "jpeg", with ``levels``), ``exact`` (every pixel is what
        the stream holds).
    """
    curve = image.ndim == 1
    plane = image.reshape(1, -1) if curve else image
    rows, columns = region.within(*plane.shape)
    part = plane[rows, columns]
    across = _bins(part.shape[1], region.width if not curve else _LONGEST)
    down = _bins(part.shape[0], region.height)
    small, exact = shrunk(part, down, across, region.how)
    levels: dict[str, Any] = {}
    if region.jpeg and not curve:
        content, levels["levels"] = jpeg_of(small, region.jpeg)
        pixels, kept = np.frombuffer(content, np.uint8), False
    else:
        pixels, kept = _for_the_page(small)
    return pixels, {
        "region": [columns.start, rows.start, columns.stop, rows.stop],
        "bins": [across, down],
        "shape": list(image.shape),
        "dtype": str(image.dtype),
        "sent": "jpeg" if levels else str(pixels.dtype),
        "size": list(small.shape),
        "exact": exact and kept,
        **levels,
    }


def cut_of(image: Array, region: Region) -> tuple[Array, dict[str, Any]]:
    """Cut a region out of an image, every pixel as the stream holds it.

    Parameters
    ----------
    image : ndarray, shape (rows, columns) or (columns,)
    region : Region
        `width`, `height`, `how` and `jpeg` do not matter.

    Returns
    -------
    pixels : ndarray, C order, little endian
        Of the dtype of the image; bools as uint8, float16 as float32, complex numbers as pairs.
    said : dict
        As that of `pixels_of`.

    Raises
    ------
    StreamArgumentError
        The region has more than 4096 x 4096 pixels.
    """
    plane = image.reshape(1, -1) if image.ndim == 1 else image
    rows, columns = region.within(*plane.shape)
    part = plane[rows, columns]
    if part.size > _LARGEST**2:
        raise bad_value("cut", part.shape, f"a region of at most {_LARGEST}x{_LARGEST} pixels")
    pixels = np.ascontiguousarray(part, part.dtype.newbyteorder("<"))
    if pixels.dtype.kind == "c":
        pixels = pixels.view("<f4" if pixels.dtype.itemsize == 8 else "<f8")
    elif pixels.dtype == np.bool_:
        pixels = pixels.view(np.uint8)
    elif pixels.dtype == np.float16:
        pixels = pixels.astype(np.float32)
    return pixels, {
        "region": [columns.start, rows.start, columns.stop, rows.stop],
        "bins": [1, 1],
        "shape": list(image.shape),
        "dtype": str(image.dtype),
        "sent": str(pixels.dtype),
        "size": list(part.shape),
        "exact": True,
    }


def _bins(length: int, room: int) -> int:
    return max(1, -(-length // max(1, room)))


def _for_the_page(small: Array) -> tuple[Array, bool]:
    kind, nbytes = small.dtype.kind, small.dtype.itemsize
    if kind == "c":
        pairs = np.ascontiguousarray(small, np.complex64)
        return pairs.view(np.float32), nbytes == 8
    if kind == "b":
        return np.ascontiguousarray(small).view(np.uint8), True
    if (kind in "ui" and nbytes <= 4) or (kind == "f" and nbytes == 4):
        return np.ascontiguousarray(small, small.dtype.newbyteorder("<")), True
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(small, "<f4"), nbytes == 2


def packed(said: dict[str, Any], pixels: Array) -> bytes:
    """Return a message for the page: length of a header, the header as JSON, pixels at a multiple of 8."""
    header = json.dumps(said, allow_nan=False).encode()
    header += b" " * (-(len(header) + 4) % 8)
    return b"".join((struct.pack("<I", len(header)), header, pixels.data.cast("B")))
