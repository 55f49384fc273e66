"""`SHM` as an array: its newest frame for NumPy and its kin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import Stream
from .._types import Array
from ..arraylike import ArrayLike
from ..errors import StreamError
from ..notebooks import as_html, picture_of, upstairs
from ..streams.camera import frame_rate
from ..streams.keywords import Keywords
from ..times import now_ns

__all__ = ["PixelCalls"]


class PixelCalls(ArrayLike):
    """Base class of `SHM`: the newest frame as an array.

    ``numpy.asarray(shm)`` is a copy of the newest frame, whole, as ``shm.get_data()`` gives it, and so is
    what DLPack hands over. ``numpy.array(shm, copy=False)`` of NumPy 2 is a view: ``get_data(copy=False)``.
    Nothing waits for a new frame.
    """

    if TYPE_CHECKING:  # SHM has these
        FNAME: str
        shape: tuple[int, ...]
        nptype: np.dtype[Any]
        _stream: Stream | None
        _view: Array | None
        _temporal: bool

        @property
        def keywords(self) -> Keywords: ...  # noqa: D102

        def get_data(self, *, copy: bool = True) -> Array: ...  # noqa: D102

        def _live(self) -> Stream: ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels; the same as `nptype`."""
        return self.nptype

    def _as_array(self, copy: bool | None) -> Array:
        return self.get_data(copy=copy is not False)

    def __getitem__(self, key: Any) -> Any:
        """Return the value of a keyword, ``shm["EXPTIME"]``, or pixels of the newest frame, ``shm[2:4, 0]``.

        Pixels are those of a copy: the whole frame is copied once for each index. To read several parts of
        one frame, index what `get_data` returns.
        """
        return self.keywords[key] if isinstance(key, str) else self.get_data()[key]

    def __contains__(self, item: Any) -> bool:
        """Return whether there is a keyword of this name, or a pixel of this value in the newest frame."""
        return item in self.keywords if isinstance(item, str) else bool(np.any(self.get_data() == item))

    def __iter__(self) -> Iterator[Any]:
        """Go through the rows of the newest frame, of one copy; `ring_reader` and `capture` give frames."""
        return iter(self.get_data())

    def __len__(self) -> int:
        """Return the length of the first axis of a frame; TypeError for a frame of a single pixel."""
        if not self.shape:
            raise TypeError(f"stream {self.FNAME!r} has frames of a single pixel, which have no length")
        return self.shape[0]

    def _repr_html_(self) -> str:
        """Return the newest frame and facts for notebooks. Does not wait, nor follow a new file."""
        stream = self._stream
        if stream is None:
            return as_html(repr(self), [])
        rows: list[tuple[str, object]] = [
            ("frames", f"{' x '.join(map(str, self.shape)) or 'one pixel'}, {self.dtype}"),
            ("counter", stream.counter),
        ]
        try:
            if stream.write_time_ns > 0:
                rows.append(("last frame", f"{(now_ns() - stream.write_time_ns) / 1e9:.3f} s ago"))
            rate = frame_rate(Keywords(lambda: stream))
            if rate:
                rows.append(("rate, by its keyword", f"{rate:g} frames/s"))
            # Not by `get_data`, which would make this the frame that was read last.
            view = self._view
            newest = view if view is None or not self._temporal else view[stream.cnt1 % len(view)]
            picture = "" if newest is None else picture_of(newest)
        except StreamError as error:  # damaged, closed meanwhile, or a keyword that is no number
            return as_html(repr(self), [*rows, ("but", error)])
        return as_html(repr(self), rows, picture)

    def live(self, **settings: object) -> Any:
        """Show this stream in a notebook, live: see `pymilk.live`, which takes these settings."""
        return upstairs("live")(self._live(), **settings)

    def __bool__(self) -> bool:
        """Return True: an object, open or closed."""
        return True
