"""`Sink`: one file, or one directory, that frames of a stream are written to, one batch at a time.

The recorder gets memory from `Sink.room` and fills it, or has `Sink.write` write frames where they lie in a
ring. Then it calls `Sink.commit`. From then on the frames belong to the file: if the process is killed at
any moment, committed frames (flushed ones, for some formats) can be read. A sink writes the pixels first,
then their rows, then the number of frames.
"""

from __future__ import annotations

import abc
import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..._types import Array
from ...errors import StreamArgumentError, StreamFormatError
from ...foreign.hdus import Hdu
from ...system.files import NO_RESERVING, delete, moved_into_place, put_in_place, remove_unfinished
from ...system.hidden import hidden_name
from .packed import Packed

__all__ = [
    "CLOCK",
    "HEADER_NBYTES",
    "LASTING",
    "WRITE_NBYTES",
    "Header",
    "Sink",
    "Stored",
    "batch_of",
    "dimensions_of",
    "header_of_json",
    "json_of_header",
    "new_file",
    "nothing_to_close",
    "replace_file",
    "reserve",
    "write_all",
]

#: The header of a recording: plain values, see `pymilk.recording.Recording`.
Header = dict[str, Any]

#: Longest header of a recording, in bytes.
HEADER_NBYTES = 16 << 20

#: Bytes of frames that are written at a time where they lie. Each call costs some time of its own, and the
#: page cache keeps large pieces in large pages.
WRITE_NBYTES = 4 << 20

#: What headers say of the clock of all times.
CLOCK = "CLOCK_TAI, nanoseconds since 1970-01-01 TAI"


def nothing_to_check() -> None:
    """Check nothing: frames that are not mapped, whose reading fails if they are not there."""


#: What stays true of a header when the pixels of its recording were reduced: cut out, averaged, subtracted.
LASTING = ("pymilk", "stream", "squeeze", "tri_dim", "dtype", "symcode", "keywords")


class Stored(NamedTuple):
    """A file that was read.

    Attributes
    ----------
    frames : array-like, shape (n or more, *shape)
        In the order of the stream: an array, or an object that is indexed like one along its first axis.
    convert : callable or None
        Converts items of `frames` to native dtype; None if they have it.
    dtype : dtype
        Native.
    info : ndarray of FRAME_ROW, or None
        None: pymilk did not record the file.
    header : dict
    complete : bool
    close : callable
    plain : bool
        An array of others, or a reduced recording: `frames` has no axis of time yet if `axes` says so.
    axes : int or None
        How many axes a frame of a plain array has; None: all but the first. Of an opened file: how many
        the array has.
    hdu : str
        Which image of a FITS file it is, where that is not the primary HDU: ``"[SCI]"``.
    others : tuple of str
        Further images of the file, if none was asked for.
    remark : str
        Why a recording is read as a plain array.
    missing : str
        What of the frames is not in the file, in words.
    check : callable
        Raises if the file was cut since it was opened; frames that were read before are right then.
    rows : int or None
        How many rows the file says that it has, where `info` has fewer of them.
    times_in : (str, str)
        Where other programs find the times in files of this format: finished, or not.
    behind : int
        Bytes of the file behind a plain array.
    """

    frames: Any
    convert: Callable[[Array], Array] | None
    dtype: np.dtype[Any]
    info: Array | None
    header: Header
    complete: bool
    close: Callable[[], object]
    plain: bool = False
    axes: int | None = None
    hdu: str = ""
    others: tuple[str, ...] = ()
    remark: str = ""
    missing: str = ""
    check: Callable[[], object] = nothing_to_check
    rows: int | None = None
    times_in: tuple[str, str] = ("", "")
    behind: int = 0


class Sink(abc.ABC):
    """A new file that frames are written to.

    Parameters
    ----------
    path : str
    shape : tuple of int
        Of a frame, in C order of the stream.
    dtype : dtype
    header : dict
    compress : bool or str
        See `packing.checked_compress`.
    frames : int or None
        Most frames that will come.
    replace : bool
        Replace the files of this name, and those that `files` gives. They stay until the new file, still
        without frames, is complete.

    Raises
    ------
    OSError
        An error of the operating system, such as FileExistsError; callers translate it with `file_error`. The
        same holds for all methods. New files are deleted.
    """

    #: Name and hidden name of an old folder that was replaced; who made the sink deletes it, or puts it back.
    replaced: Sequence[tuple[str, str]] = ()

    #: Whether a file can have several images, HDUs, that `read` chooses from.
    has_hdus: ClassVar[bool] = False

    #: What `compress` may be, beside False.
    compresses: ClassVar[tuple[bool | str, ...]] = ()

    #: Whether frames may be stored as they are in a file that is compressed.
    hurries: ClassVar[bool] = False

    #: Set while the ring fills up: frames are to be stored as they are, where the format can.
    hurried: bool = False

    #: What was packed; None: nothing is.
    packed: Packed | None = None

    #: Where other programs find the time of each frame: in a finished file, and until it is finished.
    times_in: ClassVar[tuple[str, str]]

    #: Whether frames can be written past the page cache: `begin_direct`.
    takes_direct: ClassVar[bool] = False

    #: Whether frames can count once they are on the disk: `hold`, `sync`.
    holds: ClassVar[bool] = False

    #: Seconds after which `flush` is due.
    flush_seconds: float = 1.0

    @classmethod
    def check(cls, shape: tuple[int, ...], dtype: np.dtype[Any], compress: bool | str) -> None:
        """Raise if frames like these cannot be written, or a library is missing."""
        if compress and compress not in cls.compresses:
            raise StreamArgumentError(
                "compress: .npy cubes are not compressed, so that they can be memory-mapped; "
                "take .fits, .h5 or .zarr",
                argument="compress",
                found=compress,
            )

    @classmethod
    def check_disk(cls, direct: bool, sync: str | None) -> None:
        """Raise if frames cannot get to the disk in this way."""
        if direct and not cls.takes_direct:
            raise StreamArgumentError(
                "direct: the HDF5 library writes through the page cache; take .npy, .fits or .zarr",
                argument="direct",
                found=direct,
            )
        if sync == "second" and not cls.holds:
            raise StreamArgumentError(
                "sync: the HDF5 library may leave a half of a change on the disk when the power fails, "
                "whatever is done once a second; take .npy, .fits or .zarr, or short files of .h5 "
                "(max_seconds_per_file=10, --max-seconds-per-file 10) with sync='end' (--sync end)",
                argument="sync",
                found=sync,
            )

    @classmethod
    def most_frames(cls, asked: int | None, coming: int | None) -> int | None:
        """Return the most frames of a file, if `asked` are to be in one, and `coming` in all; None: any."""
        return asked

    @classmethod
    def check_keywords(cls, keywords: Iterable[tuple[Any, ...]]) -> None:
        """Warn, once, of what the format cannot hold of the keywords of a stream."""
        return None

    @classmethod
    def files(cls, path: str) -> list[str]:
        """Return the paths of all files of a recording of this path; the first is `path`."""
        return [path]

    @classmethod
    @abc.abstractmethod
    def read(cls, path: str, hdu: Hdu | None = None) -> Stored:
        """Open a file of this format; `hdu` only where `has_hdus`. May raise OSError."""

    @classmethod
    def remove(cls, path: str) -> None:
        """Delete the existing files of a recording of this path."""
        for each in cls.files(path):
            delete(each)

    @abc.abstractmethod
    def __init__(
        self,
        path: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        header: Header,
        *,
        compress: bool | str = False,
        frames: int | None = None,
        replace: bool = False,
    ) -> None: ...

    @property
    @abc.abstractmethod
    def written(self) -> int:
        """Frames in the file: all committed ones, after `flush`."""

    @abc.abstractmethod
    def room(self, count: int) -> Array:
        """Return C-contiguous memory for 1 to `count` frames."""

    def in_place(self, count: int) -> int:
        """Return how many of `count` frames `write` takes now; 0: they are wanted in `room`."""
        return 0

    def write(self, frames: Array) -> None:
        """Write frames behind the committed ones, from memory that another program may overwrite meanwhile.

        Without `commit` they do not count, and the next frames take their place.

        Parameters
        ----------
        frames : ndarray, shape (n, *shape)
            C-contiguous; `in_place` gave n.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def commit(self, info: Array) -> None:
        """Add what `write` wrote last, or else the first frames in the memory that `room` returned last.

        `info` has their rows: all of `write`, any number of `room`.
        """

    def flush(self) -> None:  # noqa: B027  (most have nothing to do)
        """Write committed frames so that they outlive the process, unless they do already.

        Frames that do not fit on the disk are dropped, and the error is raised; `finish` is still possible.
        """

    def begin_direct(self) -> bool:
        """Write frames past the page cache from now on; False if the file system cannot do that."""
        raise NotImplementedError

    @abc.abstractmethod
    def begin_early(self) -> None:
        """Have the kernel begin at once to write frames to the disk, so that little is left to wait for."""

    def hold(self) -> None:
        """Let committed frames count once `sync` has brought them to the disk. Called before the first."""
        raise NotImplementedError

    def sync(self) -> None:
        """Wait until all committed frames are on the disk, and count them there: after `hold`."""
        raise NotImplementedError

    @abc.abstractmethod
    def verify(self) -> None:
        """Raise `OutputChangedError` unless all files are there, under their names and as long as they were.

        `close` leaves the files as they are after that.
        """

    @abc.abstractmethod
    def finish(self, header: Header) -> None:
        """Complete the file, with its last header, and close it."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close the file as it is."""


def nothing_to_close() -> None:
    """Do nothing: for maps that end with the last array over them, and files opened at each access."""


def batch_of(shape: tuple[int, ...], dtype: np.dtype[Any], nbytes: int) -> int:
    """Return how many frames of this kind have about `nbytes` bytes: 1 at least."""
    return max(1, nbytes // max(1, math.prod(shape) * dtype.itemsize))


def dimensions_of(shape: tuple[int, ...]) -> list[str]:
    """Return the names of the axes of stored frames: ``["time", "y", "x"]``; x is size[0] of the stream.

    Parameters
    ----------
    shape : tuple of int
        Of a frame, as it is stored.
    """
    return ["time", *"zyx"[3 - len(shape) :]]


def new_file(path: str, content: bytes, replace: bool = False, nbytes: int = 0) -> int:
    """Create a file, which may replace one; returns its descriptor.

    The file has its first content when it gets its name, and is `nbytes` long if that is more: what follows
    is zeros that take no room on the disk.
    """
    remove_unfinished(path)
    hidden = hidden_name(path)
    descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        write_all(descriptor, content, 0)
        if nbytes > len(content):
            os.ftruncate(descriptor, nbytes)
        put_in_place(hidden, path, replace)
    except BaseException:
        os.close(descriptor)
        delete(hidden)
        raise
    return descriptor


def write_all(descriptor: int, content: Any, offset: int) -> None:
    """Write all bytes of a buffer at a place in a file. Without the GIL."""
    view = memoryview(content).cast("B")
    while view:
        done = os.pwrite(descriptor, view, offset)
        view, offset = view[done:], offset + done


def replace_file(path: str, content: Any, durable: bool = False) -> None:
    """Replace a file by the content of a buffer; at any moment the old or the new file exists.

    `durable`: also on the disk, after a power failure.
    """
    with moved_into_place(path) as hidden, open(hidden, "xb", buffering=0) as file:
        write_all(file.fileno(), content, 0)
        if durable:
            os.fsync(file.fileno())


def reserve(descriptor: int, offset: int, nbytes: int) -> None:
    """Reserve disk blocks for a part of a file, so that writing there cannot fail.

    The length also tells a file that another program cuts from one that is being written.

    Raises
    ------
    OSError
        There is not enough room.
    """
    try:
        os.posix_fallocate(descriptor, offset, nbytes)
    except OSError as error:
        if error.errno not in NO_RESERVING:
            raise
        zeros = bytes(min(nbytes, 1 << 20))
        for at in range(0, nbytes, len(zeros)):
            write_all(descriptor, zeros[: nbytes - at], offset + at)


def json_of_header(header: Header) -> str:
    """Return a header as JSON; numbers that JSON does not have become text."""

    def plain(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(each) for each in value]
        return value

    return json.dumps(plain(header), indent=1)


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _number(word: str) -> float:
    value = float(word)
    return value if math.isfinite(value) else _no_number(word)


def header_of_json(text: str | bytes, path: str) -> Header:
    """Read a header that `json_of_header` wrote."""
    try:
        header = json.loads(text, parse_constant=_no_number, parse_float=_number)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise StreamFormatError(
            f"{path} is no header of a recording, or it is damaged",
            path=path,
            field="header",
            expected="JSON",
            found=str(text[:80]),
        )
    return header
