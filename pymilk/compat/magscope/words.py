"""Exceptions, types of pixels, and the numbers in segments of information."""

from __future__ import annotations

import logging
import operator
import struct
from typing import Any

import numpy as np

from .segments import Segment

__all__ = [
    "BufferOverflow",
    "BufferUnderflow",
    "DatasetNotReadyError",
    "InfoWords",
    "as_time",
    "bit_to_dtype",
    "int_to_uint_dtype",
    "logger",
    "need_segment",
    "positive",
]

_TIME = struct.Struct("d")

#: Present because scripts may name it; nothing is logged.
logger = logging.getLogger("pymilk.compat.magscope")

#: Bits of a pixel to its type.
bit_to_dtype: dict[int, type[np.unsignedinteger[Any]]] = {
    8: np.uint8,
    16: np.uint16,
    32: np.uint32,
    64: np.uint64,
}


class BufferUnderflow(Exception):
    """There is not as much to read as was asked for."""


class BufferOverflow(Exception):
    """There is no room for what was to be written; nothing was."""


class DatasetNotReadyError(Exception):
    """There is no dataset of that name, or it cannot be attached in its state."""


def int_to_uint_dtype(bits: int) -> type[np.unsignedinteger[Any]]:
    """Return the scalar type of unsigned integers of so many bits: 8, 16, 32 or 64.

    Raises
    ------
    ValueError
    """
    try:
        return bit_to_dtype[bits]
    except (KeyError, TypeError):
        raise ValueError(f"Unsupported bit width: {bits}") from None


def as_time(timestamp: Any) -> float:
    """Return a time that is not a float already; what is no number raises struct.error."""
    return _TIME.unpack(_TIME.pack(timestamp))[0]  # type: ignore[no-any-return]


def positive(what: str, number: Any) -> int:
    """Return a count as an int.

    Raises
    ------
    TypeError
        It is no integer.
    ValueError
        It is not positive.
    """
    count = operator.index(number)
    if count <= 0:
        raise ValueError(f"{what} must be positive, not {count}")
    return count


def need_segment(segment: Segment, nbytes: int) -> None:
    """Raise if a segment is smaller than the information about it says.

    Raises
    ------
    ValueError
    """
    if segment.size < nbytes or nbytes <= 0:
        raise ValueError(
            f"shared memory {segment.name!r} has {segment.size} bytes; its information asks for {nbytes}: "
            "another program damaged it, or it is something else"
        )


class InfoWords:
    """Unsigned numbers of 8 bytes in big-endian order at the beginning of a segment.

    Parameters
    ----------
    segment : Segment
    count : int

    Raises
    ------
    ValueError
        The segment is too small.
    """

    def __init__(self, segment: Segment, count: int) -> None:
        need_segment(segment, 8 * count)
        self._memory = segment.memory
        self._all = struct.Struct(f">{count}Q")

    def __getitem__(self, at: int) -> int:
        return int.from_bytes(self._memory[8 * at : 8 * at + 8], "big")

    def __setitem__(self, at: int, value: int) -> None:
        self._memory[8 * at : 8 * at + 8] = value.to_bytes(8, "big")

    def all(self) -> tuple[int, ...]:
        """Return all of them."""
        return self._all.unpack_from(self._memory)

    def put(self, *values: int) -> None:
        """Store all of them."""
        self._all.pack_into(self._memory, 0, *values)
