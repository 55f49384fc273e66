"""Frames of a Zarr recording, read from the files of its chunks when they are indexed.

A Zarr library makes zeros of a chunk that is not there. Here it is an error, and so is a chunk that was cut,
and a group that was replaced by another one, since the recording was opened.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from ..._types import Array
from ...errors import StreamFormatError
from ...system.extras import optional_library
from ...system.regular import regular_file
from .outputs import identity_of
from .packing import BLOSC_HEAD

__all__ = ["ChunkFiles", "is_whole_blosc"]


def is_whole_blosc(head: bytes, nbytes: int, size: int) -> bool:
    """Return whether a Blosc chunk of `size` bytes says that it has this length, and `nbytes` unpacked."""
    return (
        len(head) >= BLOSC_HEAD
        and int.from_bytes(head[4:8], "little") == nbytes
        and int.from_bytes(head[12:16], "little") == size
    )


class ChunkFiles:
    """The chunks of an array along its first axis: indexed by slices of that.

    Parameters
    ----------
    group : str
        Path of the group.
    name : str
        Of the array.
    shape : tuple of int
    rows : int
        Of a chunk.
    dtype : dtype
        As stored.
    packed : bool
        The chunks are packed with Blosc.
    """

    def __init__(
        self, group: str, name: str, shape: tuple[int, ...], rows: int, dtype: np.dtype[Any], packed: bool
    ) -> None:
        self.shape, self.dtype, self.ndim = shape, dtype, len(shape)
        self._group, self._folder, self._rows = group, os.path.join(group, name), rows
        self._row_nbytes = math.prod(shape[1:]) * dtype.itemsize
        self._decode = None
        if packed:
            self._decode = optional_library("numcodecs", "zarr", "compressed Zarr recordings").Blosc().decode
        self._identities = self._found()

    def _found(self) -> list[tuple[int, int]]:
        return [identity_of(os.stat(each)) for each in (self._group, self._folder)]

    def check(self) -> None:
        """Raise `StreamFormatError` unless the group is the one that was opened."""
        try:
            same = self._found() == self._identities
        except FileNotFoundError:
            same = False
        if not same:
            raise StreamFormatError(
                f"{self._group} was deleted or replaced by another program after it was opened; its frames "
                "cannot be read",
                path=self._group,
                field="group",
            )

    def __getitem__(self, which: slice) -> Array:
        chosen = range(*which.indices(self.shape[0]))
        made = np.empty((len(chosen), *self.shape[1:]), self.dtype)
        done = 0
        while done < len(chosen):
            number, first = divmod(chosen[done], self._rows)
            last = min(self._rows, self.shape[0] - number * self._rows)
            count = min(len(chosen) - done, -(-(last - first) // chosen.step))
            stop = first + (count - 1) * chosen.step + 1
            made[done : done + count] = self._part(number, first, stop)[:: chosen.step]
            done += count
        self.check()
        return made

    def _part(self, number: int, first: int, stop: int) -> Array:
        """Read rows of a chunk; ValueError if it is not whole, StreamFormatError if it is not there."""
        path = os.path.join(self._folder, ".".join(["c", str(number), *["0"] * (self.ndim - 1)]))
        nbytes = self._rows * self._row_nbytes
        try:
            file = regular_file(path)
        except FileNotFoundError:
            self.check()
            raise StreamFormatError(
                f"{path} was deleted by another program after the recording was opened",
                path=path,
                field="chunk",
            ) from None
        with file:
            size = os.fstat(file.fileno()).st_size
            if self._decode is None:
                file.seek(first * self._row_nbytes)
                content: Any = file.read((stop - first) * self._row_nbytes)
                whole = size == nbytes and len(content) == (stop - first) * self._row_nbytes
            else:
                content = file.read(min(size, nbytes + (1 << 20)))  # what is packed may be a little longer
                whole = len(content) == size and is_whole_blosc(content, nbytes, size)
        if not whole:
            raise ValueError(f"{path} is cut or damaged")
        if self._decode is not None:
            content = memoryview(self._decode(content)).cast("B")
            if len(content) != nbytes:
                raise ValueError(f"{path} is damaged")
            content = content[first * self._row_nbytes : stop * self._row_nbytes]
        return np.frombuffer(content, self.dtype).reshape(stop - first, *self.shape[1:])
