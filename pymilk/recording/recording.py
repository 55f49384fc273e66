"""Read recordings of any format: frames as they were seen, their rows, gaps and header.

`load` opens what `pymilk.record` wrote, finished or not, and plain cubes of others.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .._core import FRAME_ROW
from .._types import Array
from ..axes import Orientation
from ..errors import RecordingIncompleteError, StreamFormatError
from ..streams.labelled import Labelled
from ..system.single import Single
from .elsewhere import frames_elsewhere
from .frames import LazyFrames
from .headers import orientation_of, words_of_axes
from .opening import check_frame_axes, open_files, warn_of
from .reductions import Reductions
from .sinks import Stored
from .wholeness import count_frames, mark_seams, what_is_missing

__all__ = ["GAP_ROW", "Recording", "load", "open_together"]

#: One gap: `row` of the frame after it, number of missing frames, numbers of the frames around it.
GAP_ROW = np.dtype([("row", "<i8"), ("lost", "<u8"), ("before", "<u8"), ("after", "<u8")])


class Recording(Single, Reductions, Labelled):
    """Frames of a stream that were written to disk. Made by `load`; a context manager.

    An array of shape (n, *shape): indices are those of `frames`. ``numpy.asarray(recording)`` and DLPack give
    a read-only view where `frames` is a memory map, and read all frames into memory where it is `LazyFrames`.
    ``recording.mean(axis=0)`` and the others of `Reductions` read block by block, in constant memory.
    `to_xarray`, `to_dask` and `to_pandas` give it to other libraries.

    Attributes
    ----------
    paths : list of str
        The files, in order.
    frames : ndarray or LazyFrames, shape (n, *shape)
        As `SHM.get_data` of the recorded object gave them; of FITS files of others as astropy gives them,
        which is ``[y, x]`` with row 0 at the bottom of the picture. A read-only memory map where the format
        allows:
        NPY, and FITS of uint8. Otherwise `LazyFrames`, which reads what is indexed.
    info : ndarray of FRAME_ROW, shape (n,), or None
        The row of each frame, bit for bit as a `Capture` has it; ``lost`` also counts what is missing between
        two files. Times are nanoseconds of CLOCK_TAI. None for
        a file that pymilk did not record.
    gaps : ndarray of GAP_ROW
        Missing frames: ``row`` is the first frame after the gap, ``lost`` the number of missing frames, and
        ``before`` and ``after`` are the numbers (``cnt0``) of the frames around it. ``before`` is 0 for a
        gap before the first frame.
    header : dict
        ``stream``, ``dtype``, ``shape`` (of a frame as seen), ``stream_shape``, ``axes`` (which index is
        which axis of the stream), ``symcode``, ``tri_dim``, ``squeeze``, ``clock``, ``tai_offset`` (seconds
        that TAI was ahead of UTC), ``started_ns``, ``first_ns`` (acquisition of the first frame; if its
        writer stored no valid time, when it was written, or arrived),
        ``frames``, ``lost``, ``ended``, ``part`` (number in a series, or None), ``series_ns`` (when the
        series began, the same in all of its files, or None), ``pymilk`` (version), ``complete``, and
        ``keywords``: a list of [name, value, comment], as they were when the recording began. Empty for
        files of others. Of a series: that of the first file, with the totals. A reduced
        copy of a recording (part of it, its mean, its pixels changed) keeps what tells the orientation,
        ``stream`` and ``keywords``.
    complete : bool
        The recorder ended as asked; header, rows and frames agree in number; every file of a series and every
        chunk is there; numbers go on from file to file. `frames`, `info` and `gaps` are right in any case.
        While the recorder is at work, or if it was killed, ``lost``, ``frames`` and ``ended`` of the header
        are not written yet. Files of others are complete, reduced copies of recordings are not.
    missing : str
        Why it is not complete, in one sentence; empty if it is.
    hdu : str
        Which image of a FITS file it is, where there is a choice: ``"[SCI]"``. Empty otherwise.
    others : tuple of str
        Further images of the file, if none was asked for.
    remark : str
        Why a file that carries the header of a recording is read as a plain array; empty otherwise.
    behind : int
        Bytes of an NPY file of others behind its array, which are left out.
    file_axes : int or None
        How many axes an array of others, or a reduced copy, has in its file; None for recordings, which say
        themselves what a frame is.
    times_in : str or None
        Where other programs find the time of each frame; None where there are no rows.
    """

    _single = "its files are open in this process; open them again with pymilk.load"

    def __init__(self, paths: list[str], stored: list[Stored], series: bool = False) -> None:
        self.paths = paths
        self.hdu = stored[0].hdu
        self.file_axes = stored[0].axes if stored[0].plain else None
        self.others = stored[0].others
        self.remark = stored[0].remark
        self.behind = stored[0].behind if stored[0].plain else 0
        self._close = [each.close for each in stored]
        self._check = [each.check for each in stored]
        self.header = dict(stored[0].header)
        self._counts = counts = [count_frames(each) for each in stored]
        self.info: Array | None = None
        if all(each.info is not None for each in stored):
            self.info = np.zeros(sum(counts), FRAME_ROW)  # numpy.concatenate would change the dtype
            done = 0
            for each, count in zip(stored, counts, strict=True):
                assert each.info is not None
                self.info[done : done + count] = each.info[:count]
                done += count
            mark_seams(self.info, stored)
        at_work = stored[-1].header.get("ended") in (None, "running")
        self.times_in = None if self.info is None else stored[-1].times_in[at_work]
        self.missing = what_is_missing(paths, stored, series)
        self.complete = not self.missing
        turns = [_orientation(each, path) for each, path in zip(stored, paths, strict=True)]
        turn, alone = turns[0], stored[0]
        shape = _shape(alone, turn)
        for path, each, its in zip(paths, stored, turns, strict=True):
            if _shape(each, its) != shape or each.dtype != alone.dtype:
                raise StreamFormatError(
                    f"{path} has frames {_shape(each, its)} of {each.dtype}, and {paths[0]} has "
                    f"{shape} of {alone.dtype}; load them one by one",
                    path=path,
                    field="shape",
                    expected=shape,
                    found=_shape(each, its),
                )
        self.frames: Any
        if len(stored) == 1 and alone.convert is None and isinstance(alone.frames, np.ndarray):
            frames = alone.frames[: counts[0]]
            self.frames = turn.view(frames) if turn is not None else frames
            self.frames.flags.writeable = False
        else:
            parts = [(each.frames, count) for each, count in zip(stored, counts, strict=True)]
            convert = [_seen(each.convert, its) for each, its in zip(stored, turns, strict=True)]
            checks = [each.check for each in stored]
            self.frames = LazyFrames(parts, convert, shape, alone.dtype, paths, checks)
        if self.header:
            assert turn is not None
            self.header["shape"] = list(turn.shape)
            self.header["axes"] = words_of_axes(turn)
            if len(stored) > 1:
                self.header["part"] = None
                self.header["frames"] = len(self)
                self.header["ended"] = stored[-1].header.get("ended")
            if self.info is not None:
                self.header["lost"] = int(self.info["lost"].sum())
            self.header["complete"] = self.complete

    @property
    def gaps(self) -> Array:
        """See the class."""
        if self.info is None:
            return np.empty(0, GAP_ROW)
        rows = np.flatnonzero(self.info["lost"])
        gaps = np.zeros(len(rows), GAP_ROW)
        gaps["row"] = rows
        gaps["lost"] = self.info["lost"][rows]
        gaps["after"] = self.info["cnt0"][rows]
        behind = rows > 0
        gaps["before"][behind] = self.info["cnt0"][rows[behind] - 1]
        return gaps

    def close(self) -> None:
        """Close the files. Memory maps stay valid; `LazyFrames` of HDF5 files do not."""
        for close in self._close:
            close()

    def check(self) -> None:
        """Raise `StreamFormatError` if a file was cut since it was opened.

        Frames of a memory map are plain memory: where the file ends now they are zeros. `LazyFrames` and
        `pymilk.play` look by themselves.
        """
        for check in self._check:
            check()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of `frames`: (n, *shape)."""
        shape: tuple[int, ...] = self.frames.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        dtype: np.dtype[Any] = self.frames.dtype
        return dtype

    def _as_array(self, copy: bool | None) -> Array:
        # A plain array in any case: a map of NumPy's own class would stay one through all calculations.
        return np.array(self.frames) if copy else _plain(self.frames, copy)

    def _facts(self) -> list[tuple[str, object]]:
        rows: list[tuple[str, object]] = [("file", self.paths[0])]
        if self.paths[1:]:
            rows.append(("and", f"{len(self.paths) - 1} more files"))
        if self.header.get("stream"):
            rows.append(("stream", self.header["stream"]))
        return [*rows, ("complete", self.missing or "yes")]

    def _described(self) -> dict[str, Any]:
        return self.header

    def _frames_for_dask(self) -> tuple[Any, list[int]]:
        axes = None if self.header or self.info is not None else len(self.shape) - 1
        paths = [os.path.abspath(path) + self.hdu for path in self.paths]
        parts = list(zip(paths, self._counts, strict=True))
        return frames_elsewhere(parts, self.shape[1:], self.dtype, load, axes), self._counts

    def _have_read(self) -> None:
        self.check()

    def __getitem__(self, key: Any) -> Any:
        """Return ``frames[key]``, as of an array: views of a memory map, else copies."""
        return self.frames[key]

    def __iter__(self) -> Iterator[tuple[Array, np.void | None]]:
        """Go through (frame, row): views of a memory map, else each frame is read when its turn comes.

        The row is a view of `info`; None if there are no rows.
        """
        rows: Iterable[Any] = itertools.repeat(None, len(self)) if self.info is None else self.info
        return zip(self.frames, rows, strict=True)

    def __len__(self) -> int:
        return len(self.frames)

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        more = f" and {len(self.paths) - 1} more" if self.paths[1:] else ""
        name = os.path.basename(self.paths[0]) + self.hdu + more
        state = "" if self.complete else ", not complete"
        return f"<Recording {name}: {len(self)} frames {self.frames.shape[1:]} of {self.frames.dtype}{state}>"


def _plain(frames: Any, copy: bool | None) -> Array:
    """Return frames as a plain array; a view of a memory map."""
    made: Array = frames.__array__(copy=copy) if isinstance(frames, LazyFrames) else np.asarray(frames)
    return made


def _orientation(stored: Stored, path: str) -> Orientation | None:
    """Return the orientation of frames; None for a file that pymilk did not record."""
    if not stored.header:
        return None
    turn = orientation_of(stored.header, path)
    if turn.stream_shape != tuple(stored.frames.shape[1:]):
        raise StreamFormatError(
            f"{path}: the header of the recording is damaged: it describes frames {turn.stream_shape}, and "
            f"the file has {tuple(stored.frames.shape[1:])}",
            path=path,
            field="stream_shape",
            expected=tuple(stored.frames.shape[1:]),
            found=turn.stream_shape,
        )
    return turn


def _shape(stored: Stored, turn: Orientation | None) -> tuple[int, ...]:
    """Return the shape of a frame as it was seen."""
    return tuple(stored.frames.shape[1:]) if turn is None else turn.shape


def _seen(convert: Callable[[Array], Array] | None, turn: Orientation | None) -> Callable[[Array], Array]:
    """Return a function that converts stored frames to frames as users see them."""

    def seen(raw: Array) -> Array:
        frames = raw if convert is None else convert(raw)
        return frames if turn is None else turn.view(frames)

    return seen


def load(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    hdu: int | str | tuple[str, int] | None = None,
    frame_axes: int | None = None,
    strict: bool = False,
) -> Recording:
    """Open a recording, or an array of others.

    Parameters
    ----------
    path : str or PathLike, or a list of them
        What `pymilk.record` wrote, also while it is being written or after the recorder was killed, or an
        NPY or FITS file of others. Content decides, not the suffix; FITS may be packed (``.fits.gz``,
        ``.fits.bz2``, ``.fits.xz``, ``.fits.fz``). A name that does not exist while ``cam_000000.fits`` and
        so on do gives the whole series; so does a list of files, in its order.
    hdu : int, str or (str, int), optional
        Which image of a FITS file: number (0 is the primary), name, or name and version. The same as
        ``"file.fits[SCI]"`` in the path. Default: the first HDU with an image.
    frame_axes : int, optional
        How many axes a frame of an array of others has. Default: a FITS image of one or two axes is one
        frame; the first axis of anything else is taken for time.
    strict : bool, default False
        Refuse a recording that is not complete.

    Returns
    -------
    Recording

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        A file does not exist, or cannot be read.
    StreamFormatError
        It is damaged, or something else than a recording or an array; or the files of a list do not belong
        together.
    StreamArgumentError
        An unknown suffix, an empty list, or no such HDU.
    RecordingIncompleteError
        With `strict`: a StreamFormatError that says what is missing.
    LibraryMissingError
        An ImportError: the library of the format is not installed.

    Warns
    -----
    ForeignFileWarning
        The file has several images and none was asked for; it carries the header of a recording that it is
        not any more, and is read as a plain array; or there are bytes behind the array of an NPY file.

    Notes
    -----
    Opening costs no more than reading `info`: frames stay on the disk until they are used, but those of
    FITS files that are packed as a whole, scaled, or compressed in another way than by `compress`, which are
    read into memory. Pixels of FITS files of others are
    those that astropy gives, NaN where they are missing. For HDF5 close the recording, or use it in a
    ``with`` block.

    Examples
    --------
    >>> with pymilk.load("cam.fits") as cam:                              # doctest: +SKIP
    ...     print(cam.frames.shape, cam.info["cnt0"], cam.gaps, cam.header["stream"])
    """
    return open_together(path, hdu, frame_axes, strict)


def open_together(
    path: Any, hdu: Any, frame_axes: int | None, strict: bool, whole: bool = False
) -> Recording:
    """Do what `load` does; with `whole` a single file has to be a whole recording, and no part of one."""
    check_frame_axes(frame_axes)
    stored: list[Stored] = []
    try:
        parts, series = open_files(path, hdu, frame_axes, stored)
        warn_of(parts, stored)
        recording = Recording([each for each, _ in parts], stored, series or whole)
        if strict and recording.missing:
            raise RecordingIncompleteError(
                f"the recording is not complete: {recording.missing}",
                path=recording.paths[0],
                field="complete",
                expected=True,
                found=False,
            )
        return recording
    except BaseException:
        for one in stored:
            one.close()
        raise
