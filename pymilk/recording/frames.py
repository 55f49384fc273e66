"""`LazyFrames`: frames of a recording, read from the disk when they are indexed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .._types import Array
from ..arraylike import ArrayLike
from ..errors import StreamError, StreamFormatError
from ..system.causes import ended_resources
from ..system.files import file_error, memory_error
from ..system.memory import free_memory
from ..system.single import Single
from .reductions import Reductions

__all__ = ["LazyFrames", "piece_of"]


class LazyFrames(Single, Reductions, ArrayLike):
    """Frames that are read, and converted, when they are indexed.

    Behaves like a read-only array of shape (n, *shape): `shape`, `dtype`, `ndim`, `len`, iteration, indices,
    and the reductions of `Reductions` (``frames.mean(axis=0)``), block by block. ``numpy.asarray`` and DLPack
    read all of them into memory: always a copy.

    Parameters
    ----------
    parts : sequence of (array-like, int)
        Files in order, and the number of valid frames of each.
    convert : callable
        Converts stored frames to frames as users see them. A copy or a view.
    shape : tuple of int
        Of a frame.
    dtype : dtype
    paths : sequence of str
        Of the files.
    checks : sequence of callable, optional
        One for each part: raises if it was cut while it was read.

    Notes
    -----
    Each access reads from the files; keep the result if it is used twice. An index along the first axis
    reads only those frames.
    """

    _single = (
        "they are in files that are open in this process; read them into an array with "
        "numpy.array, or open the files again with pymilk.load"
    )

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __init__(
        self,
        parts: Sequence[tuple[Any, int]],
        convert: Sequence[Callable[[Array], Array]],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        paths: Sequence[str],
        checks: Sequence[Callable[[], object]] = (),
    ) -> None:
        self._paths = list(paths)
        self._checks = list(checks)
        self._parts = list(parts)
        self._convert = list(convert)
        self._starts = np.cumsum([0, *(count for _, count in parts)])
        self.shape = (int(self._starts[-1]), *shape)
        self.dtype = dtype

    def __len__(self) -> int:
        return self.shape[0]

    def _read(self, start: int, stop: int, step: int) -> Array:
        """Read ``range(start, stop, step)``, ascending."""
        try:
            return self._joined(start, stop, step)
        except MemoryError as error:
            if isinstance(error, StreamError):
                raise
            raise memory_error(f"{self._paths[0]}: frames {start} to {stop - 1}", "read") from error

    def _joined(self, start: int, stop: int, step: int) -> Array:
        pieces = []
        for number, (part, count) in enumerate(self._parts):
            base = int(self._starts[number])
            low = start if start >= base else base + (start - base) % step
            high = min(stop, base + count)
            if low < high:
                raw = piece_of(part, slice(low - base, high - base, step), self._paths[number])
                made = self._convert[number](raw)
                if isinstance(part, np.ndarray) and np.may_share_memory(made, part):
                    made = made.copy()  # out of the map, before the look whether the file was cut
                pieces.append(made)
                if self._checks:
                    self._checks[number]()
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.empty((0, *self.shape[1:]), self.dtype)

    def __getitem__(self, key: Any) -> Any:
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
        every: tuple[Any, ...] = (slice(None), *rest)
        if isinstance(first, (int, np.integer)) and not isinstance(first, (bool, np.bool_)):
            at = int(first) + (len(self) if first < 0 else 0)
            if not 0 <= at < len(self):
                raise IndexError(f"frame {first} of {len(self)}")
            every = (0, *rest)  # a number is chosen like a list, if there are lists behind it
            return self._read(at, at + 1, 1)[every]
        if isinstance(first, slice):
            chosen = range(*first.indices(len(self)))
            if chosen.step < 0:
                return self._read(*_slice(chosen[::-1]))[::-1][every]
            return self._read(*_slice(chosen))[every]
        if isinstance(first, (list, np.ndarray)):
            rows = np.asarray(first)
            if rows.ndim == 1 and rows.dtype == np.bool_ and len(rows) == len(self):
                rows = np.flatnonzero(rows)
            if rows.ndim == 1 and (rows.dtype.kind in "iu" or len(rows) == 0):
                found = np.empty((len(rows), *self.shape[1:]), self.dtype)
                for at, row in enumerate(rows):
                    found[at] = self[int(row)]
                # Lists behind go with this one, as NumPy has it: chosen pixel by pixel.
                each = (np.arange(len(rows)), *rest)
                return found[each] if rest else found
        return np.asarray(self)[key]

    def __iter__(self) -> Iterator[Array]:
        for row in range(len(self)):
            yield self[row]

    def _as_array(self, copy: bool | None) -> Array:
        if copy is False:
            raise ValueError("frames are read from files: they cannot be an array without a copy")
        return np.ascontiguousarray(self._read(0, len(self), 1))

    def __repr__(self) -> str:
        return f"<LazyFrames shape={self.shape} dtype={self.dtype}>"


def piece_of(part: Any, which: slice, path: str) -> Array:
    """Read frames of a file."""
    wanted = math.prod(part.shape[1:]) * part.dtype.itemsize * len(range(*which.indices(part.shape[0])))
    if not isinstance(part, np.ndarray) and wanted > free_memory():
        raise StreamFormatError(
            f"{path}: frames {which.start} to {which.stop - 1} take {wanted} bytes, and there is not so "
            "much memory; read fewer at a time",
            path=path,
            field="shape",
            found=part.shape,
        )
    try:
        return np.asarray(part[which])
    except MemoryError as error:
        raise memory_error(f"{path}: frames {which.start} to {which.stop - 1}", "read", wanted) from error
    except StreamError:
        raise
    except Exception as error:  # any error of the format's library
        ended = ended_resources(error)
        if ended is not None:
            raise file_error(ended, path, "read") from error
        raise StreamFormatError(
            f"{path}: frames {which.start} to {which.stop - 1} cannot be read; the file is damaged, or was "
            f"closed: {error!r}",
            path=path,
            field="frames",
            found=repr(error),
        ) from error


def _slice(chosen: range) -> tuple[int, int, int]:
    return chosen.start, max(chosen.start, chosen.stop), chosen.step
