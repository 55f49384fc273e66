"""Errors about parameters (FPS) and process information."""

from __future__ import annotations

from typing import Any

from .streams import StreamError

__all__ = [
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
    "ProcessInfoStorageError",
    "ProcessListFullError",
    "ProcessTimeoutError",
    "TmuxError",
    "TmuxMissingError",
]


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


class ProcessInfoStorageError(ProcessInfoError, OSError):
    """There is no room for the file, or this process has no file descriptors left."""


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


# What tracebacks and pickles call them.
for _name in __all__:
    globals()[_name].__module__ = "pymilk.errors"
