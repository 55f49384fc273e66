"""Frames with their times and numbers, as tables of pandas, arrays of xarray, and chunks of dask."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..arraylike import ArrayLike
from ..errors import StreamArgumentError, StreamError, StreamFormatError
from ..notebooks import as_html, picture_of, upstairs
from ..system.extras import optional_library
from ..times import frame_times, to_utc

__all__ = ["Labelled"]

#: Approximate bytes of a chunk of dask.
_CHUNK_NBYTES = 32 << 20

#: Gaps that notebooks show, at most.
_GAPS_TOLD = 5

#: Largest number of seconds that TAI can be ahead of UTC in a header that is not damaged.
_LARGEST_OFFSET = 1000


class Labelled(ArrayLike):
    """Base of `Capture` and `Recording`: frames, and the row of each.

    All times are UTC by the offset of the machine that took the frames, as their header has it, and not by
    that of the machine that reads them. They are acquisition times (``atime_ns``); where the writer stored no
    valid one, when the frame was written, or arrived.
    """

    if TYPE_CHECKING:

        @property
        def frames(self) -> Any: ...  # noqa: D102

        @property
        def info(self) -> Array | None: ...  # noqa: D102

    def _described(self) -> dict[str, Any]:
        """Return the header: stream, tai_offset, keywords and more."""
        raise NotImplementedError

    def utc(self, tai_offset: int | None = None) -> npt.NDArray[np.datetime64]:
        """Return the time of each frame, in UTC.

        Parameters
        ----------
        tai_offset : int, optional
            Seconds that TAI was ahead of UTC on the machine that took the frames. Default: as the header
            says.

        Returns
        -------
        ndarray of datetime64[ns], shape (n,)
            A copy.

        Raises
        ------
        StreamFormatError
            There are no rows: the file is of others.
        StreamArgumentError
            The header does not tell the offset, and none was given.
        """
        rows = self._rows()
        offset = self._described().get("tai_offset") if tai_offset is None else tai_offset
        if not isinstance(offset, int) or isinstance(offset, bool) or abs(offset) > _LARGEST_OFFSET:
            raise StreamArgumentError(
                f"the header does not say how many seconds TAI was ahead of UTC ({offset!r}); pass "
                "tai_offset=37, or 0 if the clock of that machine was never told",
                argument="tai_offset",
                found=offset,
            )
        return np.atleast_1d(to_utc(frame_times(rows), offset))

    def plot(
        self,
        frame: int | str = -1,
        *,
        levels: str | tuple[float, float] = "zscale",
        cmap: str = "gray",
    ) -> Any:
        """Draw a frame, and the times between frames, with matplotlib.

        Parameters
        ----------
        frame : int or "mean", default -1
            Which one, or the mean of all.
        levels, cmap
            As for `pymilk.plot`.

        Returns
        -------
        ndarray of matplotlib.axes.Axes
            The picture, row 0 at the bottom; and the intervals in milliseconds, with a red line for each gap.

        Raises
        ------
        StreamFormatError
            There are no frames, or they have more than two axes.
        LibraryMissingError
            An ImportError: matplotlib is not installed.
        """
        title = self._described().get("stream") or "frames"
        return upstairs("plot_frames")(self, title, frame=frame, levels=levels, cmap=cmap)

    def to_video(
        self,
        path: str | os.PathLike[str],
        *,
        rate: float = 25.0,
        step: int = 1,
        levels: tuple[float, float] | None = None,
        cmap: str = "gray",
        progress: Callable[[int, int], object] | None = None,
    ) -> int:
        """Write a video with the time of each frame, and marks where frames are missing.

        Parameters
        ----------
        path : str or PathLike
        rate : float, default 25
            Pictures per second.
        step, levels, cmap, progress
            See `pymilk.view.write_video`.

        Returns
        -------
        int
            Pictures written.

        Raises
        ------
        StreamFormatError, StreamArgumentError, StreamStorageError, LibraryMissingError
            See `pymilk.view.write_video`.
        """
        made: int = upstairs("write_video")(
            self, path, rate=rate, step=step, levels=levels, cmap=cmap, progress=progress
        )
        return made

    def _facts(self) -> list[tuple[str, object]]:
        """Return what notebooks show of this kind of object beside its frames."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        """Return the last frame, rate and gaps for notebooks. Waits for nothing but one frame of a file."""
        rows: list[tuple[str, object]] = [
            ("frames", f"{len(self.frames)} of {' x '.join(map(str, self.shape[1:]))}, {self.dtype}"),
            *self._facts(),
        ]
        if self.info is not None:
            rows += _accounts(self.info)
        try:
            picture = picture_of(self.frames[-1]) if len(self.frames) else ""
        except StreamError as error:  # a file that was cut, or closed
            return as_html(repr(self), [*rows, ("but", error)])
        return as_html(repr(self), rows, picture)

    def _rows(self) -> Array:
        if self.info is None:
            raise StreamFormatError(
                "frames of a file that pymilk did not record have no rows, and so no times", field="info"
            )
        return self.info

    def to_pandas(self, tai_offset: int | None = None) -> Any:
        """Return the rows as a table of pandas.

        Parameters
        ----------
        tai_offset : int, optional
            See `utc`.

        Returns
        -------
        pandas.DataFrame
            A row for each frame, a column for each field of `info`; the index is the time in UTC, with its
            zone. A copy.

        Raises
        ------
        StreamFormatError, StreamArgumentError
            See `utc`.
        LibraryMissingError
            An ImportError: pandas is not installed.
        """
        pandas = optional_library("pandas", "pandas", "tables of rows")
        rows = self._rows()
        index = pandas.DatetimeIndex(self.utc(tai_offset), tz="UTC", name="time")
        return pandas.DataFrame({name: rows[name] for name in rows.dtype.names or ()}, index=index)

    def to_xarray(self, chunks: Any = None, tai_offset: int | None = None) -> Any:
        """Return the frames with their times and numbers, as an array of xarray.

        Parameters
        ----------
        chunks : int, str, tuple or dict, optional
            Make chunks of dask, as `to_dask` does; ``{}`` takes its default. None: no dask.
        tai_offset : int, optional
            See `utc`.

        Returns
        -------
        xarray.DataArray
            Dimensions ``time``, ``y``, ``x`` (``z`` before them for 3D frames): the axes of `frames` in their
            order. Coordinates of ``time``: the time in UTC, and ``cnt0``, the number of each frame; none for
            files of others. Attributes: the header, and the keywords under their names, unless the header has
            that name. Frames in memory, and of a memory map, are a view; others are read when they are
            indexed, and not kept. For reductions of more than memory give chunks, or use
            ``recording.mean(axis=0)``.

        Raises
        ------
        StreamArgumentError
            See `utc`.
        LibraryMissingError
            An ImportError: xarray, or dask, is not installed.
        """
        xarray = optional_library("xarray", "xarray", "labelled arrays")
        axes = self.ndim - 1
        names = ["time", *(f"axis_{at}" for at in range(1, axes - 2)), *"zyx"[max(0, 3 - axes) :]]
        if chunks is not None:
            data = self.to_dask(chunks or None)
        elif isinstance(self.frames, np.ndarray):
            data = np.asarray(self.frames)
        else:
            data = _read_when_indexed(xarray, self.frames)
        coordinates = {}
        if self.info is not None:
            coordinates = {"time": self.utc(tai_offset), "cnt0": ("time", self.info["cnt0"].copy())}
        described = self._described()
        return xarray.DataArray(
            xarray.Variable(names, data),
            coordinates,
            name=described.get("stream") or "frames",
            attrs=_attributes(described),
        )

    def to_aotpy(self, unit: str | None = None, tai_offset: int | None = None) -> Any:
        """Return the frames as an image of aotpy, for telemetry files of the AOT standard.

        Parameters
        ----------
        unit : str, optional
            Of the pixels, as FITS writes it: ``"adu"``.
        tai_offset : int, optional
            See `utc`.

        Returns
        -------
        aotpy.Image
            Data of shape (n, *shape), time (UNIX seconds of each frame, and its number), and the keywords.
            Frames in memory, and of a memory map, are a view; all others are read now. Put it where it
            belongs, for example ``detector.pixel_intensities``, and write the whole with
            ``AOSystem.write_to_file``.

        Raises
        ------
        StreamArgumentError
            See `utc`.
        StreamFormatError
            There are no rows: the file is of others.
        LibraryMissingError
            An ImportError: aotpy is not installed.

        Notes
        -----
        AOT counts seconds in double precision: times are exact to 0.2 us.
        """
        aotpy = optional_library("aotpy", "aotpy", "AOT files")
        described = self._described()
        name = described.get("stream") or "frames"
        times = self.utc(tai_offset).astype("datetime64[ns]").astype(np.int64) / 1e9
        numbers = self._rows()["cnt0"].tolist()
        keywords = [aotpy.Metadatum(*each) for each in described.get("keywords", ())]
        when = aotpy.Time(f"{name} time", timestamps=times.tolist(), frame_numbers=numbers)
        return aotpy.Image(name, np.asarray(self), unit=unit, time=when, metadata=keywords)

    def to_dask(self, chunks: Any = None) -> Any:
        """Return the frames as an array of dask, which reads them chunk by chunk.

        Parameters
        ----------
        chunks : int, str, tuple or dict, optional
            As for ``dask.array.from_array``. Default: whole frames, about 32 MiB each; none goes over the end
            of a file.

        Returns
        -------
        dask.array.Array, shape (n, *shape)
            Of all files, in order. Nothing is read before it is computed. What computes it, threads or other
            processes, also of other machines (dask.distributed), opens the files of a recording anew by their
            absolute paths, which have to be the same there; the recording itself may be closed. A capture is
            handed over with its pixels.

        Raises
        ------
        LibraryMissingError
            An ImportError: dask is not installed.
        """
        dask = optional_library("dask.array", "dask", "chunked arrays")
        frames, counts = self._frames_for_dask()
        if chunks is None:
            frame_nbytes = max(1, self.nbytes // max(1, len(self)))  # type: ignore[arg-type]
            chunks = (_lengths(counts, max(1, _CHUNK_NBYTES // frame_nbytes)), *self.shape[1:])
        empty = np.empty((0,) * self.ndim, self.dtype)
        # Without a name dask would read all frames to make one.
        return dask.from_array(frames, chunks, name=False, meta=empty)

    def _frames_for_dask(self) -> tuple[Any, list[int]]:
        """Return what dask indexes, and the number of frames of each file."""
        return self.frames, [len(self)]  # type: ignore[arg-type]


def _lengths(counts: list[int], step: int) -> tuple[int, ...]:
    """Divide so many frames of each file into chunks of up to `step`."""
    found = [min(step, count - first) for count in counts for first in range(0, count, step)]
    return tuple(found) or (0,)


def _accounts(info: Array) -> list[tuple[str, object]]:
    """Return rate and gaps of frames."""
    rows: list[tuple[str, object]] = []
    times = frame_times(info)
    if len(times) > 1 and times[-1] > times[0]:
        published = len(times) - 1 + int(info["lost"][1:].sum())
        rate = published / (int(times[-1]) - int(times[0])) * 1e9
        rows.append(("rate of the writer", f"{rate:.1f} frames/s"))
    gaps = np.flatnonzero(info["lost"])
    told = [f"{int(info['lost'][row])} before frame {int(info['cnt0'][row])}" for row in gaps[:_GAPS_TOLD]]
    more = f" and {len(gaps) - _GAPS_TOLD} more" if len(gaps) > _GAPS_TOLD else ""
    rows.append(("lost", f"{int(info['lost'].sum())}" + (f": {', '.join(told)}{more}" if told else "")))
    return rows


def _read_when_indexed(xarray: Any, frames: Any) -> Any:
    """Return frames for xarray, which reads those that are indexed."""
    indexing = optional_library("xarray.core.indexing", "xarray", "labelled arrays")

    class Frames(xarray.backends.BackendArray):  # type: ignore[misc]
        shape, dtype = frames.shape, frames.dtype

        def __getitem__(self, key: Any) -> Any:
            basic = indexing.IndexingSupport.BASIC
            return indexing.explicit_indexing_adapter(key, self.shape, basic, lambda its: frames[its])

    return indexing.LazilyIndexedArray(Frames())


def _attributes(header: dict[str, Any]) -> dict[str, Any]:
    """Return a header as attributes that files of netCDF can hold: numbers, text and lists of them."""
    attributes = {name: value for name, value in header.items() if name != "keywords" and value is not None}
    for name, value, *_ in header.get("keywords", ()):
        attributes.setdefault(name, value)
    return {name: int(value) if isinstance(value, bool) else value for name, value in attributes.items()}
