"""`Image_md` and `Proc_trace`: the metadata of an `Image`, each field read at each access."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._core import Stream
from ..times import to_local
from .opened import not_initialized, open_only, section_of, stamp_of
from .types import ImageStreamIODataType, ImageStreamIOType

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Image_md", "Proc_trace"]


def _of_stream(read: Callable[[Stream], Any], doc: str) -> Any:
    """Make a property of `Image_md` or `Proc_trace`: read at each access."""

    @open_only
    def value(self: _View) -> Any:
        return read(self._live())

    return property(value, doc=doc)


class _View:
    """Base of what an `Image` tells of its stream: made by the image, read at each access."""

    __slots__ = ("_follow", "_stream")

    _stream: Stream
    _follow: Callable[[], Stream] | None

    @classmethod
    def _of(cls, stream: Stream, follow: Callable[[], Stream] | None) -> Self:
        """Return the view of a stream; `follow` returns it after following it, for that of an SHM."""
        view = cls.__new__(cls)
        view._stream, view._follow = stream, follow
        return view

    def _live(self) -> Stream:
        """Return the stream, which is open; that of an SHM after following it to a new file."""
        stream = self._stream if self._follow is None else self._follow()
        if stream.closed:  # values outside the mapping could still be read
            raise not_initialized(stream.name)
        return stream


class Image_md(_View):
    """The metadata of a stream; every attribute is read anew at each access. Made by `Image.md`.

    Notes
    -----
    Times are naive local datetimes that are also numbers (see `pymilk.times.StreamTime`). They are as the
    writer stored them: nothing is converted from TAI to UTC.

    That of an `SHM` follows its stream to a new file, and raises `StreamChangedError` where that has another
    shape or dtype. That of an `Image` stays with the file that was opened.
    """

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("an Image_md is made by Image.md")

    version = _of_stream(lambda s: s.version, "Version of the structure.")
    name = _of_stream(lambda s: s.stored_name, "Name, as stored.")
    naxis = _of_stream(lambda s: s.naxis, "Number of axes.")
    size = _of_stream(lambda s: list(s.size), "Axes as a list, fastest first.")
    nelement = _of_stream(lambda s: s.nelement, "Number of pixels.")
    datatype = _of_stream(lambda s: ImageStreamIODataType.Type(s.datatype), "Code of the pixel type.")
    imagetype = _of_stream(lambda s: ImageStreamIOType(s.imagetype).type, "Low 4 bits of the type.")
    creationtime = _of_stream(lambda s: to_local(s.creation_time_ns), "When the stream was created.")
    lastaccesstime = _of_stream(
        lambda s: to_local(s.last_access_time_ns), "Last access, by writers that note it."
    )
    acqtime = _of_stream(lambda s: to_local(s.acquisition_time_ns), "When the newest frame was acquired.")
    writetime = _of_stream(lambda s: to_local(s.write_time_ns), "When the newest frame was published.")
    shared = _of_stream(lambda s: s.shared, "1; 0 if the stream is local to this process.")
    inode = _of_stream(lambda s: s.inode, "Inode of the file when it was created.")
    location = _of_stream(lambda s: s.location, "-1, or the number of a GPU.")
    location_str = _of_stream(
        lambda s: "CPU RAM" if s.location < 0 else f"GPU{s.location} RAM", "Where the pixels are."
    )
    status = _of_stream(lambda s: s.status, "Status bits.")
    flag = _of_stream(lambda s: s.flag, "Flag of the writer.")
    logflag = _of_stream(lambda s: s.logflag, "Whether a logger is to record the stream.")
    sem = _of_stream(lambda s: s.nbsem, "Number of semaphores.")
    cnt0 = _of_stream(lambda s: s.counter, "Frames published.")
    cnt1 = _of_stream(lambda s: s.cnt1, "Slice written last, where the writer keeps it.")
    cnt2 = _of_stream(lambda s: s.cnt2, "Counter of synchronisation schemes.")
    write = _of_stream(lambda s: s.write, "1 while a frame is being written.")
    NBkw = _of_stream(lambda s: s.nbkw, "Room for keywords.")

    @open_only
    def __repr__(self) -> str:
        stream = self._live()
        lines = {
            "Name": self.name,
            "Version": self.version,
            "Size": self.size,
            "nelement": self.nelement,
            "creationtime": _shown(stream.creation_time_ns),
            "lastaccesstime": _shown(stream.last_access_time_ns),
            "acqtime": _shown(stream.acquisition_time_ns),
            "shared": self.shared,
            "location": self.location_str,
            "flag": self.flag,
            "logflag": self.logflag,
            "sem": self.sem,
            "cnt0": self.cnt0,
            "cnt1": self.cnt1,
            "cnt2": self.cnt2,
        }
        return "\n".join(f"{label}: {value}" for label, value in lines.items())


def _shown(stamp_ns: int) -> str:
    """Show a stored time as C's ctime does."""
    return time.ctime(stamp_ns // 1_000_000_000)


def _of_trace(field: str, doc: str) -> Any:
    return _of_stream(lambda s: int(section_of(s, "trace")[0][field]), doc)


class Proc_trace(_View):
    """Entry 0 of the processing trace of a stream, read at each access. Made by `Image.streamproctrace0`."""

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("a Proc_trace is made by Image.streamproctrace0")

    triggermode = _of_trace("triggermode", "How the process is triggered.")
    pid_write = _of_trace("procwrite_PID", "Process that updated the stream.")
    trigger_inode = _of_trace("trigger_inode", "Inode of the stream that triggered it.")
    trigger_semindex = _of_trace("trigsemindex", "Semaphore that triggered it, -1: none.")
    trigger_status = _of_trace("triggerstatus", "How the trigger came.")
    cnt0 = _of_trace("cnt0", "Counter of the stream that triggered it.")
    ts_procstart = _of_stream(
        lambda s: to_local(stamp_of(section_of(s, "trace")[0]["ts_procstart"])), "When the processing began."
    )
    ts_streamupdate = _of_stream(
        lambda s: to_local(stamp_of(section_of(s, "trace")[0]["ts_streamupdate"])),
        "When the stream was updated.",
    )
