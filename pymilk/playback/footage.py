"""What can be played: recordings, cubes, image folders and videos, each as one run of timed frames."""

from __future__ import annotations

import abc
import os
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..axes import Orientation, Which3DState, encode
from ..errors import StreamArgumentError, StreamFormatError, StreamNotFoundError
from ..recording import Recording, load, orientation_of
from ..recording.sinks import SUFFIXES, Header
from ..system.extras import optional_library
from ..system.files import checked_path, file_error

__all__ = ["IMAGE_SUFFIXES", "VIDEO_SUFFIXES", "Cube", "Footage", "Images", "Video", "open_footage"]

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".pgm", ".ppm", ".gif", ".webp")
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts", ".y4m")

#: What brightness is made of: red, green, blue (ITU-R BT.601).
_GREY = np.array([0.299, 0.587, 0.114])

#: Interval of a recording of a single frame, for those who play it again and again.
_ALONE_NS = 1_000_000_000

#: Columns of the rows of a recording that times are taken from: the first that has all of them, in order.
_TIMES = ("atime_ns", "writetime_ns", "arrival_ns")


class Footage(abc.ABC):
    """Frames of one shape and dtype, in order, that can be read again and again.

    Attributes
    ----------
    name : str
        What it is, for messages.
    stream_name : str or None
        What a stream of it may be called.
    turn : Orientation
        Of the stream that its frames are to be in: `turn.stream_shape` is the shape of a frame there.
    dtype : dtype
        That the stream has.
    count : int or None
        Frames; None if that is known only after reading them.
    interval_ns : int or None
        Usual time from frame to frame; None if its frames have no times.
    keywords : list of (name, value, comment)
    """

    name: str
    stream_name: str | None = None
    turn: Orientation
    dtype: np.dtype[Any]
    count: int | None = None
    interval_ns: int | None = None
    keywords: list[tuple[Any, ...]]

    @abc.abstractmethod
    def pieces(self, limit: int) -> Iterator[tuple[Array, Array | None]]:
        """Go through all frames once.

        Parameters
        ----------
        limit : int
            Frames of a piece, at most.

        Yields
        ------
        (ndarray of shape (n, *turn.stream_shape), ndarray of int64 of shape (n,), or None)
            Frames, and the nanoseconds that passed before each, since the one before; None without times.
            That of the first frame is the usual interval, for those who begin again.

        Raises
        ------
        StreamFormatError
            A frame is damaged, or of another shape or dtype than the first.
        """

    def close(self) -> None:  # noqa: B027  (most have nothing open)
        """Close its files."""


class Cube(Footage):
    """An array of frames, in memory or in a file.

    Parameters
    ----------
    frames : array-like, shape (n, *shape), n 1 or more
        Read piece by piece with slices along its first axis.
    turn : Orientation, optional
        How a frame of the stream looks like one of `frames`. Default: as `SHM` has it by default.
    info : ndarray of FRAME_ROW, optional
        Has the times.
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
        self.turn = turn or _usual(shape[1:])
        self.dtype = np.dtype(np.uint8) if frames.dtype == bool else frames.dtype.newbyteorder("=")
        self.count = shape[0]
        self.keywords = keywords or []
        self._frames = frames
        self._recording = recording
        self._steps: Array | None = None
        if info is not None:
            steps = np.maximum(np.diff(_stamps(info)), 0)
            self.interval_ns = max(1, int(np.median(steps))) if len(steps) else _ALONE_NS
            self._steps = np.concatenate([[self.interval_ns], steps])

    def pieces(self, limit: int) -> Iterator[tuple[Array, Array | None]]:
        """See `Footage`."""
        assert self.count is not None
        for at in range(0, self.count, limit):
            frames = self.turn.native(np.asarray(self._frames[at : at + limit]))
            yield frames, None if self._steps is None else self._steps[at : at + limit]

    def close(self) -> None:
        """See `Footage`."""
        if self._recording is not None:
            self._recording.close()


def _usual(shape: tuple[int, ...]) -> Orientation:
    """Return the orientation of frames that `SHM` shows with this shape by default."""
    raw = encode(np.broadcast_to(np.uint8(0), shape), 4, Which3DState.LAST2LAST)
    return Orientation(raw.shape[::-1])


def _stamps(info: Array) -> npt.NDArray[np.int64]:
    """Return the times of frames, nanoseconds of CLOCK_TAI: the best that all frames have."""
    for column in _TIMES:
        stamps: npt.NDArray[np.int64] = info[column].astype(np.int64)
        if (stamps > 0).all() and (np.diff(stamps) >= 0).all():
            break
    return stamps


class _Sequence(Footage):
    """Frames that come one after the other."""

    @abc.abstractmethod
    def _frames(self) -> Iterator[tuple[Array, int | None]]:
        """Go through all frames: each with the nanoseconds before it."""

    def _look(self) -> None:
        """Learn from the first frame."""
        for frame, _ in self._frames():
            self.turn, self.dtype = _usual(frame.shape), frame.dtype
            return
        raise StreamFormatError(
            f"{self.name} has no frames", path=self.name, field="frames", expected="1 or more", found=0
        )

    def pieces(self, limit: int) -> Iterator[tuple[Array, Array | None]]:
        """See `Footage`."""
        for number, (frame, step) in enumerate(self._frames()):
            if frame.shape != self.turn.shape or frame.dtype != self.dtype:
                raise StreamFormatError(
                    f"{self.name}: frame {number} is {frame.shape} of {frame.dtype}, the first one "
                    f"{self.turn.shape} of {self.dtype}; a stream has frames of one kind",
                    path=self.name,
                    field="shape",
                    expected=self.turn.shape,
                    found=frame.shape,
                )
            yield self.turn.native(frame[None]), None if step is None else np.array([step])


class Images(_Sequence):
    """Image files, in the order of their names; those of several pages give several frames.

    Numbers in names count as numbers: ``f2.png`` is before ``f10.png``. Colours become brightness.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        self.stream_name = _stem(path)
        self.keywords = []
        self._imageio = optional_library("imageio.v3", "video", "images to play")
        if os.path.isdir(path):
            try:
                names = [each for each in os.listdir(path) if each.lower().endswith(IMAGE_SUFFIXES)]
            except OSError as error:
                raise file_error(error, path, "read", "source") from error
            shown = sorted((each for each in names if not each.startswith(".")), key=_natural)
            self._paths = [os.path.join(path, each) for each in shown]
        else:
            self._paths = [path]
        self._look()

    def _frames(self) -> Iterator[tuple[Array, int | None]]:
        for path in self._paths:
            try:
                for image in self._imageio.imiter(path, plugin="pillow"):
                    yield _grey(np.asarray(image)), None
            except MemoryError:
                raise
            except Exception as error:  # libraries of many formats: anything can come
                raise _damaged(error, path, "image") from error


def _natural(name: str) -> list[Any]:
    """Return what names are sorted by."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name)]


def _grey(image: Array) -> Array:
    """Return the brightness of an image: two axes."""
    if image.ndim == 3 and image.shape[2] in (1, 2):  # grey, and its transparency
        image = image[..., 0]
    elif image.ndim == 3 and image.shape[2] in (3, 4):
        bright = image[..., :3] @ _GREY
        image = bright if image.dtype.kind == "f" else np.rint(bright).astype(image.dtype)
    return image.astype(np.uint8) if image.dtype == bool else image


class Video(_Sequence):
    """A video file. Colours become brightness: 8 bits, or 16 where the file has more than 8."""

    def __init__(self, path: str) -> None:
        self.name = path
        self.stream_name = _stem(path)
        self.keywords = []
        self._av = optional_library("av", "video", "videos")
        with self._open() as container:
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            self.interval_ns = max(1, round(1e9 / rate))
        self._look()

    def _open(self) -> Any:
        try:
            container = self._av.open(self.name)
        except Exception as error:
            raise _damaged(error, self.name, "video") from error
        if not container.streams.video:
            container.close()
            raise StreamFormatError(
                f"{self.name} has no pictures", path=self.name, field="video", expected="1 or more", found=0
            )
        return container

    def _frames(self) -> Iterator[tuple[Array, int | None]]:
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            before: float | None = None
            try:
                for frame in container.decode(stream):
                    deep = frame.format.components[0].bits > 8
                    step = self.interval_ns
                    if before is not None and frame.time is not None:
                        step = max(0, round((frame.time - before) * 1e9))
                    before = frame.time
                    yield frame.to_ndarray(format="gray16le" if deep else "gray"), step
            except self._av.error.FFmpegError as error:
                raise _damaged(error, self.name, "video") from error


def _damaged(error: Exception, path: str, what: str) -> Exception:
    """Return the error of ours for what a library says of a file."""
    if isinstance(error, OSError) and error.errno is not None and not os.path.isfile(path):
        return file_error(error, path, "read", "source")
    return StreamFormatError(
        f"{path} is no {what} that can be read, or it is damaged: {error}",
        path=path,
        field="file",
        expected=what,
        found=str(error),
    )


def _stem(path: str) -> str:
    """Return the file name without suffix."""
    return os.path.splitext(os.path.basename(os.path.abspath(path)))[0]


def open_footage(source: Any) -> Footage:
    """Open what is to be played.

    Parameters
    ----------
    source : str, PathLike, list of them, Recording, or array_like of shape (n, *shape)
        A path is that of a recording or a cube (what `pymilk.load` takes), of a folder of images, of an
        image file, or of a video.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        It is not there, or cannot be read.
    StreamFormatError
        It is damaged, or nothing of those.
    StreamArgumentError
        It has no frames, or they are no frames of a stream.
    LibraryMissingError
        An ImportError: the library for it is not installed.
    """
    if isinstance(source, (str, os.PathLike)):
        path = checked_path(source, "what is to be played", "source")
        suffix = os.path.splitext(path)[1].lower()
        if suffix not in SUFFIXES:
            if not os.path.exists(path):
                raise StreamNotFoundError(f"there is nothing to play at {path}", path=path)
            if os.path.isdir(path) or suffix in IMAGE_SUFFIXES:
                return Images(path)
            if suffix in VIDEO_SUFFIXES:
                return Video(path)
            raise StreamArgumentError(
                f"{path!r}: the suffix tells what it is: a recording ({', '.join(SUFFIXES)}), an image "
                f"({', '.join(IMAGE_SUFFIXES)}) or a video ({', '.join(VIDEO_SUFFIXES)}); or it is a folder "
                "of images",
                argument="source",
                found=path,
            )
        return _recorded(load(path))
    if isinstance(source, Recording):
        return _recorded(source, owned=False)
    if isinstance(source, (list, tuple)) and source and all(
        isinstance(each, (str, os.PathLike)) for each in source
    ):
        return _recorded(load(source))
    try:
        frames = np.asarray(source)
    except ValueError as error:
        raise StreamArgumentError(
            f"what is to be played is no array, nor a path: {error}", argument="source", found=source
        ) from None
    if frames.ndim == 0 or frames.dtype.kind not in "biufc":
        raise StreamArgumentError(
            f"what is to be played is a path, a recording, or an array of frames, not {source!r:.80}",
            argument="source",
            found=source,
        )
    return Cube(frames, "the array")


def _keywords(header: Header, path: str) -> list[tuple[Any, ...]]:
    """Return the keywords of a recording, whose header anybody may have edited."""
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


def _recorded(recording: Recording, *, owned: bool = True) -> Cube:
    """Return what a recording has."""
    header = recording.header
    turn = orientation_of(header, recording.paths[0]) if header else None
    try:
        cube = Cube(
            recording.frames,
            recording.paths[0],
            turn,
            recording.info,
            _keywords(header, recording.paths[0]),
            recording if owned else None,
        )
    except BaseException:
        if owned:
            recording.close()
        raise
    cube.stream_name = header.get("stream") or _stem(recording.paths[0])
    return cube
