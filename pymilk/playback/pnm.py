"""PBM, PGM and PPM files: values as they are stored, of any depth.

Libraries scale them to 8 or 16 bits: 4029 of a camera of 12 bits (maxval 4095) would become 64479.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._types import Array

__all__ = ["pnm_pictures"]

#: Blanks and comments between the numbers of a header.
_GAP = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(rb"P([1-6])" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)")
_DEPTH = re.compile(_GAP + rb"(\d+)\s")


def pnm_pictures(path: str) -> Iterator[Array]:
    """Go through the pictures of a file: shape (height, width), or (height, width, 3) with colours.

    Raises
    ------
    OSError, ValueError
        The file cannot be read, or it is damaged.
    """
    with open(path, "rb") as file:
        content = file.read()
    at = 0
    while at < len(content) and content[at:].strip():
        picture, at = _picture(content, at)
        yield picture


def _picture(content: bytes, at: int) -> tuple[Array, int]:
    """Read the picture at a place; returns it, and the place behind it."""
    while content[at : at + 1].isspace():
        at += 1
    header = _HEADER.match(content, at)
    if header is None:
        raise ValueError(f"there is no header of a picture at byte {at}")
    kind, width, height = (int(each) for each in header.groups())
    at, depth = header.end(), 1
    if kind in (1, 4):
        at += 1
    else:
        found = _DEPTH.match(content, at)
        if found is None or not 1 <= int(found[1]) <= 65535:
            raise ValueError("its largest value is none of 1 to 65535")
        at, depth = found.end(), int(found[1])
    shape = (height, width, 3) if kind in (3, 6) else (height, width)
    if not width or not height:
        raise ValueError(f"it is {width} x {height} pixels large")
    dtype: np.dtype[Any] = np.dtype(np.uint8 if depth < 256 else np.uint16)
    if kind <= 3:
        picture, at = _of_text(content, at, shape, kind)
        if picture.size and not 0 <= picture.min() <= picture.max() <= depth:
            raise ValueError(f"it has values outside of 0 to {depth}, its largest one")
        return picture.astype(dtype), at
    if kind == 4:
        return _of_bits(content, at, height, width)
    stored = dtype.newbyteorder(">")
    count = int(np.prod(shape))
    _check_length(content, at, count * dtype.itemsize)
    picture = np.frombuffer(content, stored, count, at).reshape(shape).astype(dtype)
    return picture, at + count * dtype.itemsize


def _of_text(content: bytes, at: int, shape: tuple[int, ...], kind: int) -> tuple[Array, int]:
    """Read numbers that are written out; the digits of a PBM need no blanks between them."""
    count = int(np.prod(shape))
    text = re.sub(rb"#[^\n]*", b"", content[at:])
    words = [bytes([each]) for each in text if each in b"01"] if kind == 1 else text.split()
    if len(words) < count:
        raise ValueError(f"it has {len(words)} of {count} values")
    return np.array([int(word) for word in words[:count]]).reshape(shape), len(content)


def _of_bits(content: bytes, at: int, height: int, width: int) -> tuple[Array, int]:
    row = -(-width // 8)
    _check_length(content, at, row * height)
    packed = np.frombuffer(content, np.uint8, row * height, at).reshape(height, row)
    return np.unpackbits(packed, axis=1)[:, :width], at + row * height


def _check_length(content: bytes, at: int, nbytes: int) -> None:
    if len(content) < at + nbytes:
        raise ValueError(f"it has {len(content) - at} of {nbytes} bytes of pixels")
