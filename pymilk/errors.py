"""Every exception and warning of pymilk.

All exceptions derive from `StreamError`. Each one is also the builtin that callers would catch anyway
(`FileNotFoundError`, `TimeoutError`, `ValueError`, ...), carries its numbers as attributes, so that messages
need no parsing, and survives pickling, because exceptions cross processes.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

__all__ = [
    "AutoRelinkError",
    "AutoRelinkSizeError",
    "AutoRelinkTypeError",
    "CaptureMemoryError",
    "FPSArgumentError",
    "FPSCheckError",
    "FPSClosedError",
    "FPSDamagedError",
    "FPSError",
    "FPSExistsError",
    "FPSFormatError",
    "FPSFullError",
    "FPSInUseError",
    "FPSKeyError",
    "FPSLimitError",
    "FPSNameError",
    "FPSNotFoundError",
    "FPSPermissionError",
    "FPSReadOnlyError",
    "FPSReplacedError",
    "FPSStorageError",
    "FPSTextError",
    "FPSTimeoutError",
    "FPSTypeError",
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
    "ProcessGoneError",
    "ProcessInfoArgumentError",
    "ProcessInfoClosedError",
    "ProcessInfoDamagedError",
    "ProcessInfoError",
    "ProcessInfoExistsError",
    "ProcessInfoFormatError",
    "ProcessInfoNameError",
    "ProcessInfoNotFoundError",
    "ProcessInfoPermissionError",
    "ProcessListFullError",
    "ProcessTimeoutError",
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
    "TmuxError",
    "TmuxMissingError",
]


def _rebuild(cls: type[StreamError], message: str, attributes: dict[str, Any]) -> StreamError:
    """Make an exception again from its pickled parts."""
    return cls(message, **attributes)


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

    def __reduce__(self) -> tuple[Any, ...]:
        attributes = {field: getattr(self, field) for field in self.fields}
        return _rebuild, (type(self), self.message, {"stream": self.stream, **attributes})


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
    """

    fields = ("path",)
    path: str


class RecordingInUseError(StreamExistsError):
    """The file is being recorded by a living process.

    Attributes
    ----------
    path : str
    pids : list of int
        The process.
    """

    fields = ("path", "pids")  # type: ignore[assignment]
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
    """A recorder or player is stopped or waited for, and was never started."""


class FPSError(StreamError):
    """Base class of errors about parameters (FPS).

    Attributes
    ----------
    fps : str or None
        Name of the FPS.
    path : str or None
        Its file, or the directory that was looked in.
    """

    fields: tuple[str, ...] = ("fps", "path")
    fps: str | None
    path: str | None


class FPSNotFoundError(FPSError, FileNotFoundError):
    """There is no FPS of that name."""


class FPSExistsError(FPSError, FileExistsError):
    """There is an FPS of that name already. Nothing was changed."""


class FPSPermissionError(FPSError, PermissionError):
    """The operating system does not let this user open, create or remove the file or a directory."""


class FPSStorageError(FPSError, OSError):
    """The file or one of its directories cannot be made: no space, or another trouble of the file system."""


class FPSClosedError(FPSError, ValueError):
    """The object was closed."""


class FPSNameError(FPSError, ValueError):
    """The text cannot be the name of an FPS, or the key of a parameter.

    Attributes
    ----------
    name : str
        What was given.
    """

    fields = (*FPSError.fields, "name")
    name: str


class FPSArgumentError(FPSError, ValueError):
    """An argument is outside of what the call accepts.

    Attributes
    ----------
    argument : str
    found : object
    """

    fields = (*FPSError.fields, "argument", "found")
    argument: str
    found: Any


class FPSFormatError(FPSError, ValueError):
    """The file has no known layout, or its header contradicts itself.

    Attributes
    ----------
    field : str
        Field of the header, or "file size".
    expected, found : object
    """

    fields = (*FPSError.fields, "field", "expected", "found")
    field: str
    expected: Any
    found: Any


class FPSDamagedError(FPSFormatError):
    """The file was cut, or its header rewritten, while it was attached."""


class FPSReplacedError(FPSError, OSError):
    """The file was removed or made anew; nobody looks at the one that is attached. Attach the FPS again."""


class FPSKeyError(FPSError, KeyError, ValueError):
    """The FPS has no parameter of that key.

    Attributes
    ----------
    key : str
    similar : list of str
        Keys that look alike.
    """

    fields = (*FPSError.fields, "key", "similar")
    key: str
    similar: list[str]


class FPSTypeError(FPSError, TypeError, ValueError):
    """The value has another type than the parameter.

    Attributes
    ----------
    key : str
    expected : str
        Type of the parameter, for example "FLOAT32".
    found : object
        What was given.
    """

    fields = (*FPSError.fields, "key", "expected", "found")
    key: str
    expected: str
    found: Any


class FPSLimitError(FPSError, ValueError):
    """The value is outside of the limits of the parameter, or of its type.

    Attributes
    ----------
    key : str
    found : object
        What was given.
    low, high : int, float or None
        The limits, both included; None where there is none.
    """

    fields = (*FPSError.fields, "key", "found", "low", "high")
    key: str
    found: Any
    low: Any
    high: Any


class FPSTextError(FPSError, ValueError):
    """A text is too long for its field, or holds a NUL.

    Attributes
    ----------
    key : str
        The parameter, or the field of the header.
    limit, found : int
        Bytes that fit, and bytes given.
    """

    fields = (*FPSError.fields, "key", "limit", "found")
    key: str
    limit: int
    found: int


class FPSReadOnlyError(FPSError, PermissionError):
    """The parameter may not be written, or not in the present state of its processes.

    Attributes
    ----------
    key : str or None
        None if the whole FPS is attached read-only.
    """

    fields = (*FPSError.fields, "key")
    key: str | None


class FPSFullError(FPSError, RuntimeError):
    """All slots of the FPS are in use; nothing was added.

    Attributes
    ----------
    slots : int
    """

    fields = (*FPSError.fields, "slots")
    slots: int


class FPSTimeoutError(FPSError, TimeoutError):
    """No change came in time, or a process did not do in time what it was told.

    Attributes
    ----------
    timeout : float
        Seconds.
    pid : int or None
        The process that was waited for, if there is one.
    """

    fields = (*FPSError.fields, "timeout", "pid")
    timeout: float
    pid: int | None


class FPSInUseError(FPSError, RuntimeError):
    """A living process has the part in this FPS that was asked for.

    Attributes
    ----------
    pids : list of int
    """

    fields = (*FPSError.fields, "pids")
    pids: list[int]


class FPSCheckError(FPSError, RuntimeError):
    """The last check of the parameters found errors, so the run process was not started.

    Attributes
    ----------
    messages : list of str
        What the check found.
    """

    fields = (*FPSError.fields, "messages")
    messages: list[str]


class TmuxError(FPSError, RuntimeError):
    """tmux refused, or has no session for this FPS.

    Attributes
    ----------
    said : str
        What tmux said.
    """

    fields = (*FPSError.fields, "said")
    said: str


class TmuxMissingError(TmuxError, FileNotFoundError):
    """tmux is not installed."""


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


class ProcessInfoError(StreamError):
    """Base class of errors about process information.

    Attributes
    ----------
    process : str or None
        Name of the process, as its file has it.
    pid : int or None
    path : str or None
        The file, or the directory that was looked in.
    """

    fields: tuple[str, ...] = ("process", "pid", "path")
    process: str | None
    pid: int | None
    path: str | None


class ProcessInfoNameError(ProcessInfoError, ValueError):
    """The text cannot be the name of a process in a file name: empty, too long, or with "/" in it."""


class ProcessInfoArgumentError(ProcessInfoError, ValueError):
    """An argument is outside of what the call accepts.

    Attributes
    ----------
    argument : str
    found : object
    """

    fields = (*ProcessInfoError.fields, "argument", "found")
    argument: str
    found: Any


class ProcessInfoNotFoundError(ProcessInfoError, FileNotFoundError):
    """No process information of that PID, name or path."""


class ProcessInfoExistsError(ProcessInfoError, FileExistsError):
    """This process has process information of that name already."""


class ProcessInfoPermissionError(ProcessInfoError, PermissionError):
    """The file may not be read, or not be written by this user."""


class ProcessInfoClosedError(ProcessInfoError, ValueError):
    """The object was closed, or belongs to the parent of this process."""


class ProcessInfoFormatError(ProcessInfoError, ValueError):
    """The file has no known layout, or holds values that contradict it.

    Attributes
    ----------
    field : str
        Field of the structure, or "file size".
    expected, found : object
    """

    fields = (*ProcessInfoError.fields, "field", "expected", "found")
    field: str
    expected: Any
    found: Any


class ProcessInfoDamagedError(ProcessInfoFormatError):
    """The file was cut while it was in use."""


class ProcessListFullError(ProcessInfoError, OSError):
    """Every slot of the process list belongs to a living process.

    Attributes
    ----------
    slots : int
    """

    fields = (*ProcessInfoError.fields, "slots")
    slots: int


class ProcessGoneError(ProcessInfoError, ProcessLookupError):
    """The process of the entry has ended; another one may have its PID by now. Nothing was written."""


class ProcessTimeoutError(ProcessInfoError, TimeoutError):
    """The process did not do in time what it was told.

    Attributes
    ----------
    timeout : float
        Seconds.
    """

    fields = (*ProcessInfoError.fields, "timeout")
    timeout: float


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
