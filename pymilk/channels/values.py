"""Arrays as bytes of a value: type and axes as text that ends with NUL, filled to 8 bytes; the elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._types import Array
from ..arguments import shown
from ..errors import ChannelArgumentError
from .schema import read_type, type_text

__all__ = ["array_bytes", "array_head", "array_of", "pairs_of"]


def pairs_of(channel: str, values: Any, more: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what ``dict(values, **more)`` makes, or raise `ChannelArgumentError`."""
    try:
        return dict(values, **(more or {}))
    except (TypeError, ValueError):
        raise ChannelArgumentError(
            f"channel {channel!r}: values is a mapping of keys to values, or pairs of them, "
            f"not {shown(values)}",
            channel=channel,
            argument="values",
            found=values,
        ) from None


def array_head(array: Array) -> bytes:
    """Return type and axes of an array.

    Raises
    ------
    ValueError
        Elements of this type cannot be stored.
    """
    text = type_text(np.dtype((array.dtype, array.shape)) if array.ndim else array.dtype)
    if array.dtype.names or read_type(text, empty=True) is None:
        raise ValueError(f"an array has numbers, bool, dates, or text of fixed length, not {array.dtype}")
    head = text.encode() + b"\0"
    return head.ljust(-(-len(head) // 8) * 8, b"\0")


def array_bytes(array: Array) -> bytes:
    """Return an array as the bytes of a value. Raises as `array_head`."""
    return array_head(array) + array.tobytes()


def array_of(value: bytes) -> Array:
    """Return the array that bytes are: a copy.

    Raises
    ------
    ValueError
        They are none.
    """
    text, end, _ = value.partition(b"\0")
    found = read_type(text.decode("ascii"), empty=True) if end else None
    start = -(-(len(text) + 1) // 8) * 8
    if found is None:
        raise ValueError("no type of elements")
    base, axes = found
    if base.itemsize * math.prod(axes) != len(value) - start:
        raise ValueError(f"{len(value) - start} bytes are no array of {base} and axes {axes}")
    array: Array = np.frombuffer(value, base, offset=start).reshape(axes).copy()
    return array
