"""Frames of recorded files that other processes read: paths go there, and each process opens the files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._types import Array
from ..errors import StreamFormatError
from ..system.forks import tell_after_fork
from .frames import LazyFrames

__all__ = ["frames_elsewhere"]


class _File:
    """The frames of one file, which is opened when they are indexed; can be pickled.

    Parameters
    ----------
    path : str
        Absolute, with the HDU if there is a choice.
    shape : tuple of int
        (n, *shape).
    dtype : dtype
    opener : callable
        Opens a path; returns a `Recording`. A function of a module, so that it can be pickled.
    frame_axes : int or None
        For `opener`: how many axes a frame of an array of others has.
    """

    def __init__(
        self,
        path: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        opener: Callable[..., Any],
        frame_axes: int | None,
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self._path, self._opener, self._frame_axes = path, opener, frame_axes
        self._opened: Any = None
        self._lock = threading.Lock()
        tell_after_fork(self)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may hold it

    def __reduce__(self) -> tuple[Any, ...]:
        return _File, (self._path, self.shape, self.dtype, self._opener, self._frame_axes)

    def __getitem__(self, which: slice) -> Array:
        frames: Array = np.asarray(self._frames()[which])
        return frames

    def _frames(self) -> Any:
        with self._lock:  # threads of dask may come at once
            if self._opened is None:
                self._opened = self._opener(self._path, frame_axes=self._frame_axes)
            found = self._opened.frames
        count, *shape = self.shape
        if found.shape[0] < count or found.shape[1:] != tuple(shape) or found.dtype != self.dtype:
            raise StreamFormatError(
                f"{self._path} has changed: {self.shape} of {self.dtype} is wanted, and it has {found.shape} "
                f"of {found.dtype}",
                path=self._path,
                field="shape",
                expected=self.shape,
                found=found.shape,
            )
        return found


def _as_it_is(frames: Array) -> Array:
    return frames


class _Frames(LazyFrames):
    """Those whose files are opened when they are indexed."""

    __reduce__ = object.__reduce__  # type: ignore[assignment]


def frames_elsewhere(
    parts: Sequence[tuple[str, int]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    opener: Callable[..., Any],
    frame_axes: int | None,
) -> LazyFrames:
    """Return frames that can be pickled: some bytes for each file.

    Parameters
    ----------
    parts : sequence of (str, int)
        Absolute paths, and the number of frames of each.
    shape : tuple of int
        Of a frame.
    dtype, opener, frame_axes
        See `_File`.
    """
    files = [(_File(path, (count, *shape), dtype, opener, frame_axes), count) for path, count in parts]
    return _Frames(files, [_as_it_is] * len(files), shape, dtype, [path for path, _ in parts])
