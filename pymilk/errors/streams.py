"""Errors and warnings about streams, captures and recordings, and the base of all errors."""

from __future__ import annotations

import contextlib
import datetime
import io
import sys
from pathlib import PurePath
from typing import Any

__all__ = [
    "AutoRelinkError",
    "AutoRelinkSizeError",
    "AutoRelinkTypeError",
    "CaptureMemoryError",
    "FitsHeaderWarning",
    "ForeignFileWarning",
    "FrameLostError",
    "FrameMismatchError",
    "FrameTornWarning",
    "ImageNotInitializedError",
    "ImageUnsupportedError",
    "KeywordError",
    "KeywordNotFoundError",
    "KeywordTableFullError",
    "KeywordTypeError",
    "LibraryMissingError",
    "MultiCaptureError",
    "NotStartedError",
    "OutputChangedError",
    "RecordError",
    "RecordingInUseError",
    "RecordingIncompleteError",
    "SchedulingWarning",
    "SemaphoresExhaustedError",
    "SeveralImagesError",
    "StreamArgumentError",
    "StreamBusyError",
    "StreamChangedError",
    "StreamClosedError",
    "StreamDamagedError",
    "StreamError",
    "StreamExistsError",
    "StreamForkedError",
    "StreamFormatError",
    "StreamGoneWarning",
    "StreamInUseError",
    "StreamInUseWarning",
    "StreamLockedError",
    "StreamNameError",
    "StreamNotFoundError",
    "StreamNotReadyError",
    "StreamPermissionError",
    "StreamReadOnlyError",
    "StreamReplacedError",
    "StreamShapeChangedError",
    "StreamStorageError",
    "StreamTimeoutError",
    "StreamTimeoutWarning",
    "StreamTypeChangedError",
    "StreamUnsupportedError",
]


def _rebuild(cls: type[StreamError], message: str, attributes: dict[str, Any]) -> StreamError:
    """Make an exception again from its pickled parts."""
    return cls(message, **attributes)


#: Packages and modules whose classes every process of pymilk has.
_OURS = ("numpy", __name__.partition(".")[0])


def _travels(value: Any) -> bool:
    """Tell whether any other process can have a value of this kind; not a lambda, a lock, an open file."""
    room = type(value).__module__.partition(".")[0]
    ours = room in _OURS
    if not ours and room not in sys.stdlib_module_names:
        return False  # also what is derived from a text or number by a program
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, PurePath, datetime.date)):
        return True
    if ours or room == "builtins":
        if isinstance(value, (tuple, list, set, frozenset)):
            return all(map(_travels, value))
        if isinstance(value, dict):
            return all(_travels(key) and _travels(each) for key, each in value.items())
    if isinstance(value, BaseException) and not isinstance(value, StreamError):
        return _travels(value.args)
    if not ours:
        return False
    try:
        value.__reduce_ex__(4)
    except TypeError:  # it is of this process
        return False
    return not getattr(getattr(value, "dtype", None), "hasobject", False)


def _that_travels(value: Any) -> Any:
    """Return a value for another process: itself, or its repr."""
    try:
        return value if _travels(value) else repr(value)
    except Exception:  # noqa: BLE001 (whatever its class raises)
        return f"an object of the class {type(value).__name__}"


class StreamError(Exception):
    """Base class of all pymilk exceptions.

    Parameters
    ----------
    message : str
        What was asked, what was found, and what the user can do.
    stream : str, optional
        Name of the stream, or its path where it has no name yet.
    **attributes
        Set on the exception; each subclass lists its own.

    Attributes
    ----------
    stream : str or None
    capture : Capture or None
        The frames received before the error, where the call was to receive some.
    report : RecordReport or None
        What was recorded before the error, where the call was to record.
    """

    capture: Any = None
    report: Any = None

    #: Attributes that instances of the class have besides `stream`; None where not given.
    fields: tuple[str, ...] = ()

    stream: str | None

    def __init__(self, message: str, *, stream: str | None = None, **attributes: Any) -> None:
        super().__init__(message)
        unknown = set(attributes) - set(self.fields)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no attribute {sorted(unknown)}")
        self.message = message
        self.stream = stream
        for field in self.fields:
            setattr(self, field, attributes.get(field))

    def __str__(self) -> str:
        # OSError and KeyError would show "[Errno ...]" or quotes around the message.
        return self.message

    def _parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the class takes, and what was set later: results of the call, notes."""
        given = {name: getattr(self, name) for name in ("stream", *self.fields)}
        later = {name: value for name, value in vars(self).items() if name not in given and name != "message"}
        if "__notes__" in later:
            later["__notes__"] = list(later["__notes__"])
        return given, later

    def __reduce__(self) -> tuple[Any, ...]:
        given, later = self._parts()
        given = {name: _that_travels(value) for name, value in given.items()}
        return _rebuild, (type(self), self.message, given), later or None

    def __copy__(self) -> StreamError:
        given, later = self._parts()
        again = _rebuild(type(self), self.message, given)
        vars(again).update(later)
        return again


class StreamNameError(StreamError, ValueError):
    """The text is not a valid name, or not a valid path, of a stream.

    Attributes
    ----------
    name : str
        What was given.
    """

    fields = ("name",)
    name: str


class StreamNotFoundError(StreamError, FileNotFoundError):
    """There is no such stream, or no such directory to hold streams.

    Attributes
    ----------
    path : str
        Where it was looked for.
    """

    fields = ("path",)
    path: str


class StreamExistsError(StreamError, FileExistsError):
    """A stream of that name, or a file of a recording, exists and must not be replaced.

    Attributes
    ----------
    path : str
    argument : str or None
        What replaces it all the same.
    """

    fields = ("path", "argument")
    path: str
    argument: str | None


class RecordingInUseError(StreamExistsError):
    """The file is being recorded by a living process.

    Attributes
    ----------
    path : str
    pids : list of int
        The process.
    """

    fields = ("path", "pids")
    pids: list[int]


class OutputChangedError(StreamError):
    """A file was deleted, renamed, replaced or cut by another program while it was recorded.

    Attributes
    ----------
    path : str
    """

    fields = ("path",)
    path: str


class StreamPermissionError(StreamError, PermissionError):
    """The operating system does not let this user open, create or remove the file.

    Attributes
    ----------
    path : str
    """

    fields = ("path",)
    path: str


class StreamStorageError(StreamError, OSError):
    """There is not enough memory or disk space for a stream or a file.

    Attributes
    ----------
    path : str
    needed : int
        Bytes asked for.
    available : int
        Bytes free at the time.
    """

    fields = ("path", "needed", "available")
    path: str
    needed: int
    available: int


class StreamFormatError(StreamError, ValueError):
    """The file is not a stream of this format, or its header contradicts itself.

    Attributes
    ----------
    path : str
    field : str
        Field of the header, or "file size".
    expected, found : object
    """

    fields = ("path", "field", "expected", "found")
    path: str
    field: str
    expected: Any
    found: Any


class StreamArgumentError(StreamError, ValueError):
    """An argument is outside of what the call accepts.

    Attributes
    ----------
    argument : str
        Its name.
    found : object
        What was given.
    """

    fields = ("argument", "found")
    argument: str
    found: Any


class StreamNotReadyError(StreamFormatError):
    """The file exists, but its creator has not finished it, or died before."""


class StreamChangedError(StreamError):
    """The stream was recreated: it is no longer the one that was attached.

    Attributes
    ----------
    field : str
        What differs: "shape", "dtype" or "inode".
    expected, found : object
        As it was when attached, and as it is now.
    """

    fields = ("field", "expected", "found")
    field: str
    expected: Any
    found: Any


class StreamShapeChangedError(StreamChangedError):
    """The stream was recreated with another shape."""


class StreamTypeChangedError(StreamChangedError):
    """The stream was recreated with another pixel type."""


class StreamReplacedError(StreamChangedError):
    """The path of the stream leads to another file now; attach it again to follow."""


class StreamDamagedError(StreamReplacedError):
    """The file of the stream was cut, or its header rewritten, while it was attached.

    Another program made a stream in the same file instead of a new one, or damaged it. Attach it again once
    it is whole.
    """


class StreamClosedError(StreamError, ValueError):
    """The handle was closed."""


class StreamForkedError(StreamClosedError):
    """The object was made in the parent process; its thread does not exist in this forked one.

    Attributes
    ----------
    pid : int
        The parent.
    """

    fields = ("pid",)


class StreamReadOnlyError(StreamError, PermissionError):
    """The call writes, and the stream was attached read-only."""


class StreamBusyError(StreamError):
    """The handle is in use: a claim of a frame is open on it, or another thread waits with this reader."""


class StreamInUseError(StreamError):
    """The call would delete or replace a stream that living processes use.

    Attributes
    ----------
    path : str
    pids : list of int
        The processes.
    """

    fields = ("path", "pids")
    path: str
    pids: list[int]


class StreamLockedError(StreamInUseError):
    """Another handle writes the stream exclusively (``exclusive=True``).

    Attributes
    ----------
    path : str
    pids : list of int
        The process of that handle; empty if the operating system does not show it.
    """


class StreamTimeoutError(StreamError, TimeoutError):
    """No new frame was published in time.

    Attributes
    ----------
    timeout : float
        Seconds that were waited for a frame.
    counter : int
        Frames published when the wait ended.
    capture : Capture or None
        The frames received so far, when the wait was part of a capture.
    """

    fields = ("timeout", "counter", "capture")
    timeout: float
    counter: int
    capture: Any


class FrameMismatchError(StreamError, ValueError, TypeError):
    """An array does not fit the stream, or the call.

    Attributes
    ----------
    field : str
        What does not fit: "shape", "dtype", "order", "writeable", "overlap" or "nbytes".
    expected, found : object
    """

    fields = ("field", "expected", "found")
    field: str
    expected: Any
    found: Any


class FrameLostError(StreamError):
    """A frame was overwritten before it was read.

    Attributes
    ----------
    seq : int
        Counter of the frame that was wanted.
    oldest, newest : int
        Counters of the oldest and newest frame that are still available.
    lost : int
        How many frames are gone.
    """

    fields = ("seq", "oldest", "newest", "lost")
    seq: int
    oldest: int
    newest: int
    lost: int


class SemaphoresExhaustedError(StreamError):
    """Every semaphore of the stream belongs to a live reader.

    Attributes
    ----------
    count : int
        Semaphores that the stream has.
    """

    fields = ("count",)
    count: int


class CaptureMemoryError(StreamError, MemoryError):
    """There is not enough memory for the frames of a capture.

    Attributes
    ----------
    needed, available : int
        Bytes.
    """

    fields = ("needed", "available")
    needed: int
    available: int


class MultiCaptureError(StreamError):
    """Some of several captures failed; the others are complete.

    Attributes
    ----------
    captures : MultiCapture
        All of them; those that failed hold what they had received.
    errors : dict
        Label of each stream that failed, and its exception.
    """

    fields = ("captures", "errors")
    captures: Any
    errors: dict[str, BaseException]


class RecordError(StreamError):
    """Recording failed for some of several streams; the files of the others are complete.

    Attributes
    ----------
    report : RecordReport
        Of all of them.
    errors : dict
        Label of each stream that failed, and its exception.
    """

    fields = ("report", "errors")
    errors: dict[str, BaseException]


class NotStartedError(StreamError, RuntimeError):
    """A recorder, player, simulated camera or end of the bridge is waited for, and was never started."""


class KeywordError(StreamError, ValueError):
    """A keyword cannot be stored: name, value or comment too long, or no room left.

    Attributes
    ----------
    keyword : str or None
    limit, found : int
        The longest that fits and what was given: bytes of text, or keywords in the stream.
    """

    fields = ("keyword", "limit", "found")
    keyword: str | None
    limit: int
    found: int


class KeywordTableFullError(KeywordError, RuntimeError):
    """More keywords were given than the stream has room for; none was written."""


class KeywordTypeError(KeywordError, AssertionError):
    """A keyword has the wrong type: text instead of a number, or a number instead of text.

    Attributes
    ----------
    keyword : str
    found : object
        Its value.
    """


class KeywordNotFoundError(StreamError, KeyError, AssertionError, ValueError):
    """The stream has no keyword of that name.

    Scripts that update keywords catch AssertionError or ValueError, depending on their age.

    Attributes
    ----------
    keyword : str
    """

    fields = ("keyword",)
    keyword: str


class ImageNotInitializedError(StreamError, RuntimeError):
    """An `Image` was used before `open` or `create`, or after `close`."""


class StreamUnsupportedError(StreamError, io.UnsupportedOperation):
    """The stream, ring or pixel type does not support the call."""


class ImageUnsupportedError(StreamUnsupportedError, RuntimeError):
    """The stream, location or pixel type of an `Image` does not support the call."""


class LibraryMissingError(StreamError, ImportError):
    """An optional library is not installed.

    Attributes
    ----------
    library : str
        The module that could not be imported.
    extra : str
        The extra of pymilk that installs it.
    """

    fields = ("library", "extra")
    library: str
    extra: str


class RecordingIncompleteError(StreamFormatError):
    """A recording that has to be complete is not; the message says what is missing."""


class SeveralImagesError(StreamFormatError, AssertionError):
    """A file has several images, and the call needs a file with one."""


def carry(error: BaseException, **what: Any) -> None:
    """Set attributes of an exception that ends a call: the results that the call can no longer return.

    Parameters
    ----------
    error : BaseException
        Any one. Attributes that it has, and those of exceptions that take none, stay as they are.
    **what
        Names and values.
    """
    for name, value in what.items():
        if getattr(error, name, None) is None:
            with contextlib.suppress(Exception):
                setattr(error, name, value)


class SchedulingWarning(UserWarning):
    """A real-time priority was asked for that the system does not permit."""


class StreamTimeoutWarning(UserWarning):
    """A wait ended without a new frame, and the previous frame was returned instead."""


class StreamInUseWarning(UserWarning):
    """A stream is replaced that a living process writes: what it writes from now on is seen by nobody."""


class StreamGoneWarning(UserWarning):
    """The file of a stream that this process writes was deleted or replaced: nobody sees what is written."""


class FrameTornWarning(UserWarning):
    """A frame may hold pixels of two frames: its writer died, or is too fast for any copy."""


# Names that existing scripts catch. These errors are raised at each access until the user attaches again.
AutoRelinkError = StreamChangedError
AutoRelinkSizeError = StreamShapeChangedError
AutoRelinkTypeError = StreamTypeChangedError


class ForeignFileWarning(UserWarning):
    """A file leaves open what to read from it: one of several images, or a header that is not its own."""


class FitsHeaderWarning(UserWarning):
    """A comment is longer than a FITS header can hold, and was cut."""


# What tracebacks and pickles call them.
for _name in __all__:
    globals()[_name].__module__ = "pymilk.errors"
