"""Sources to play: recordings, cubes, image folders and videos, each as a sequence of timed frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..arguments import shown
from ..axes import Orientation
from ..errors import StreamArgumentError, StreamFormatError, StreamNotFoundError
from ..foreign.contents import content_of
from ..foreign.hdus import split_hdu
from ..native.formats import EVENT
from ..recording import Recording, load, orientation_of
from ..recording.opening import check_frame_axes
from ..recording.sinks import FITS_SUFFIXES, SUFFIXES, Header
from ..system.arrays import as_pixels
from ..system.files import checked_path, file_error
from .base import Footage, stem, usual_orientation
from .images import IMAGE_KINDS, IMAGE_SUFFIXES, Images
from .video import VIDEO_KINDS, VIDEO_SUFFIXES, Video

__all__ = ["IMAGE_SUFFIXES", "VIDEO_SUFFIXES", "Cube", "Footage", "Images", "Video", "open_footage"]

#: Interval of a recording of a single frame, for those who play it again and again.
_ALONE_NS = 1_000_000_000

#: Columns of rows that times are taken from: the first one with increasing times for all frames.
_TIMES = ("atime_ns", "writetime_ns", "arrival_ns")


class Cube(Footage):
    """An array of frames, in memory or in a file.

    Parameters
    ----------
    frames : array-like, shape (n, *shape), n 1 or more
        Read piece by piece with slices along its first axis.
    name : str
    turn : Orientation, optional
        Orientation that turns frames of the stream into `frames`. Default: that of `SHM`.
    info : ndarray of FRAME_ROW, optional
        Has the times.
    keywords : list of tuple, optional
        Name, value and comment of each, for the stream.
    recording : Recording, optional
        Closed with this.
    """

    def __init__(
        self,
        frames: Any,
        name: str,
        turn: Orientation | None = None,
        info: Array | None = None,
        keywords: list[tuple[Any, ...]] | None = None,
        recording: Recording | None = None,
    ) -> None:
        shape = tuple(frames.shape)
        if len(shape) < 2 or len(shape) > 4 or 0 in shape:
            raise StreamArgumentError(
                f"{name} has the shape {shape}; frames to play are a cube of shape (n, ...), with 1 to 3 "
                "axes for a frame and no axis of length 0",
                argument="source",
                found=shape,
            )
        self.name = name
        self.turn = turn or usual_orientation(shape[1:])
        self.dtype = np.dtype(np.uint8) if frames.dtype == bool else frames.dtype.newbyteorder("=")
        self.count = shape[0]
        self.keywords = keywords or []
        self.notes, self.choices = [], []
        self._frames = frames
        self._recording = recording
        self.check: Callable[[], object] | None = None
        self._steps: Array | None = None
        if info is not None:
            steps = np.maximum(np.diff(_stamps(info)), 0)
            self.interval_ns = max(1, int(np.median(steps))) if len(steps) else _ALONE_NS
            self._steps = np.concatenate([[self.interval_ns], steps])

    def pieces(self, limit: int) -> Iterator[tuple[Array, Array | None]]:
        """See `Footage`."""
        assert self.count is not None
        for at in range(0, self.count, limit):
            piece = self._frames[at : at + limit]
            if self.check is None:
                frames = self.turn.native(np.asarray(piece))
            else:
                frames = self.turn.native(np.array(piece))
                self.check()  # the file may have been cut while it was copied
            yield frames, None if self._steps is None else self._steps[at : at + limit]

    def close(self) -> None:
        """See `Footage`."""
        if self._recording is not None:
            self._recording.close()


def _stamps(info: Array) -> npt.NDArray[np.int64]:
    """Return the times of frames in nanoseconds of CLOCK_TAI, from the best column that all frames have."""
    for column in _TIMES:
        stamps: npt.NDArray[np.int64] = info[column].astype(np.int64)
        if (stamps > 0).all() and (np.diff(stamps) >= 0).all():
            break
    return stamps


def open_footage(source: Any, *, hdu: Any = None, frame_axes: int | None = None) -> Footage:
    """Open what is to be played.

    Parameters
    ----------
    source : str, PathLike, list of them, Recording, or array_like of shape (n, *shape)
        A path is that of a recording or an array (what `pymilk.load` takes), of a folder of images, of an
        image file, or of a video. Content decides, not the suffix.
    hdu, frame_axes
        See `pymilk.load`.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        It does not exist, or cannot be read.
    StreamFormatError
        It is damaged, or none of these.
    StreamArgumentError
        It has no frames, or not frames of a stream.
    CaptureMemoryError
        There is no memory for a frame.
    LibraryMissingError
        An ImportError: the library for it is not installed.
    """
    if isinstance(source, (str, os.PathLike)):
        return _of_path(checked_path(source, "what is to be played", "source"), hdu, frame_axes)
    if isinstance(source, (list, tuple)) and source and all(
        isinstance(each, (str, os.PathLike)) for each in source
    ):
        return _recorded(load(source, hdu=hdu, frame_axes=frame_axes), frame_axes=frame_axes)
    _check_choices("arrays and open recordings", hdu, None)
    if isinstance(source, Recording):
        _check_choices("open recordings", None, frame_axes)
        return _recorded(source, owned=False)
    return _of_array(source, frame_axes)


def _check_choices(what: str, hdu: Any, frame_axes: int | None) -> None:
    """Raise if an option is given that says nothing about this kind of source."""
    for name, found in (("hdu", hdu), ("frame_axes", frame_axes)):
        if found is not None:
            fitting = "FITS files" if name == "hdu" else "arrays and files of arrays"
            raise StreamArgumentError(
                f"{name} is for {fitting}, not for {what}",
                argument=name,
                found=found,
            )


def _of_path(given: str, hdu: Any, frame_axes: int | None) -> Footage:
    """Open a file or a folder by what is in it; where that says nothing, its suffix decides."""
    path, named = split_hdu(given)
    suffix = os.path.splitext(path)[1].lower()
    loadable = suffix in SUFFIXES or path.lower().endswith(FITS_SUFFIXES)
    if os.path.exists(path):
        try:
            content = content_of(path)
        except OSError as error:
            raise file_error(error, path, "read", "source") from error
        kind = "" if content.packed else content.kind
        images = kind in IMAGE_KINDS or (kind == "folder" and not loadable)
        video = kind in VIDEO_KINDS
        if not (images or video or loadable or content.kind in ("fits", "npy", "hdf5")):
            images, video = suffix in IMAGE_SUFFIXES, suffix in VIDEO_SUFFIXES
            if not (images or video):
                raise StreamArgumentError(
                    f"{path!r} is {content.words}; what can be played is a recording or an array "
                    f"({', '.join(SUFFIXES)}), an image ({', '.join(IMAGE_SUFFIXES)}), a video "
                    f"({', '.join(VIDEO_SUFFIXES)}), or a folder of images",
                    argument="source",
                    found=path,
                )
        if images or video:
            _check_choices(content.words, named if named is not None else hdu, frame_axes)
            return Images(path) if images else Video(path)
    elif not loadable:
        raise StreamNotFoundError(f"there is nothing to play at {path}", path=path)
    return _recorded(load(given, hdu=hdu, frame_axes=frame_axes), frame_axes=frame_axes)


def _of_array(source: Any, frame_axes: int | None) -> Cube:
    """Return the frames of an array."""
    frames = as_pixels(source, "source")
    if frames.ndim == 0 or (frames.dtype.kind not in "biufc" and frames.dtype != EVENT):
        raise StreamArgumentError(
            f"what is to be played is a path, a recording, or an array of frames, not {shown(source, 80)}",
            argument="source",
            found=source,
        )
    check_frame_axes(frame_axes)
    if frame_axes == frames.ndim:
        frames = frames[None]
    elif frame_axes is not None and frame_axes != frames.ndim - 1:
        raise StreamArgumentError(
            f"frame_axes: the array has the shape {frames.shape}, and no frames of {frame_axes} axes",
            argument="frame_axes",
            found=frame_axes,
        )
    return Cube(frames, "the array")


def _keywords(header: Header, path: str) -> list[tuple[Any, ...]]:
    """Return the keywords of a recording; its header may have been edited."""
    found = header.get("keywords", [])
    good = isinstance(found, list) and all(
        isinstance(each, list) and len(each) == 3
        and isinstance(each[0], str) and isinstance(each[1], (int, float, str)) and isinstance(each[2], str)
        for each in found
    )  # fmt: skip
    if not good:
        raise StreamFormatError(
            f"{path}: the header of the recording is damaged: its keywords are not name, value and comment",
            path=path,
            field="keywords",
            expected="[[name, value, comment], ...]",
            found=found,
        )
    return [tuple(each) for each in found]


def _recorded(recording: Recording, *, owned: bool = True, frame_axes: int | None = None) -> Cube:
    """Return what a recording has."""
    header, path = recording.header, recording.paths[0]
    turn = orientation_of(header, path) if header else None
    try:
        cube = Cube(
            recording.frames,
            path + recording.hdu,
            turn,
            recording.info,
            _keywords(header, path),
            recording if owned else None,
        )
    except BaseException:
        if owned:
            recording.close()
        raise
    cube.stream_name = header.get("stream") or stem(path)
    cube.check = recording.check
    cube.choices = _choices(recording, frame_axes)
    if recording.remark:
        cube.notes.append(f"read as a plain array, since {recording.remark}")
    elif recording.behind:
        cube.notes.append(f"{recording.behind} bytes behind its array are left out")
    elif recording.missing:
        cube.notes.append(f"not complete: {recording.missing}")
    return cube


def _choices(recording: Recording, frame_axes: int | None) -> list[tuple[str, str, Any]]:
    """Tell what a file leaves open: which of its images, and what a frame of two axes is."""
    choices: list[tuple[str, str, Any]] = []
    if recording.others:
        choices.append(("{} takes another image", "hdu", recording.others[0].strip("[]")))
    if frame_axes is None and recording.file_axes == 2:
        if recording.frames.ndim == 3:
            choices.append(("one image is one frame, {} plays its rows", "frame_axes", 1))
        else:
            choices.append(("its first axis is time, {} plays it as one image", "frame_axes", 2))
    return choices
