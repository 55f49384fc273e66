"""Errors about channels."""

from __future__ import annotations

from typing import Any

from .streams import StreamError

__all__ = [
    "ChannelArgumentError",
    "ChannelClosedError",
    "ChannelDamagedError",
    "ChannelError",
    "ChannelExistsError",
    "ChannelFormatError",
    "ChannelFullError",
    "ChannelInUseError",
    "ChannelKeyError",
    "ChannelNotFoundError",
    "ChannelPermissionError",
    "ChannelReadOnlyError",
    "ChannelRemovedError",
    "ChannelStorageError",
    "ChannelTimeoutError",
    "RecordTooLongError",
]


class ChannelError(StreamError):
    """Base class of errors about channels.

    Attributes
    ----------
    channel : str or None
        Its name.
    path : str or None
        Its file, or the directory that was looked in.
    """

    fields: tuple[str, ...] = ("channel", "path")
    channel: str | None
    path: str | None


class ChannelNotFoundError(ChannelError, FileNotFoundError):
    """There is no channel of that name and kind."""


class ChannelExistsError(ChannelError, FileExistsError):
    """There is a channel of that name already. Nothing was changed."""


class ChannelPermissionError(ChannelError, PermissionError):
    """The operating system does not let this user open, create or remove the file."""


class ChannelStorageError(ChannelError, OSError):
    """The file cannot be made: no space, or another trouble of the file system."""


class ChannelClosedError(ChannelError, ValueError):
    """The object was closed."""


class ChannelArgumentError(ChannelError, ValueError):
    """An argument is outside of what the call accepts.

    Attributes
    ----------
    argument : str
    found : object
    """

    fields = (*ChannelError.fields, "argument", "found")
    argument: str
    found: Any


class ChannelFormatError(ChannelError, ValueError):
    """The file is no channel of this kind, or of a version that is not known, or contradicts itself.

    Attributes
    ----------
    field : str
        Field of the header, or "file size".
    expected, found : object
    """

    fields = (*ChannelError.fields, "field", "expected", "found")
    field: str
    expected: Any
    found: Any


class ChannelDamagedError(ChannelFormatError):
    """The file was cut or overwritten while it was attached."""


class ChannelRemovedError(ChannelError, OSError):
    """The file was removed or made anew: no record will come in the one that is attached."""


class ChannelInUseError(ChannelError, RuntimeError):
    """Another process, or another object of this one, writes the channel.

    Attributes
    ----------
    pids : list of int
        Of the writer, if it is visible.
    """

    fields = (*ChannelError.fields, "pids")
    pids: list[int]


class ChannelKeyError(ChannelError, KeyError):
    """A shared state has no such key. Nothing was changed.

    Attributes
    ----------
    key : str
    """

    fields = (*ChannelError.fields, "key")
    key: str


class ChannelReadOnlyError(ChannelError, PermissionError):
    """The object was attached for reading."""


class ChannelTimeoutError(ChannelError, TimeoutError):
    """Nothing came in time.

    Attributes
    ----------
    timeout : float
    """

    fields = (*ChannelError.fields, "timeout")
    timeout: float


class ChannelFullError(ChannelError, TimeoutError):
    """All slots of a command queue are in use, and none became free in time. Nothing was sent.

    Attributes
    ----------
    slots : int
    """

    fields = (*ChannelError.fields, "slots")
    slots: int


class RecordTooLongError(ChannelError, ValueError):
    """A record is longer than the channel can hold. Nothing was written.

    Attributes
    ----------
    nbytes, longest : int
    """

    fields = (*ChannelError.fields, "nbytes", "longest")
    nbytes: int
    longest: int


# What tracebacks and pickles call them.
for _name in __all__:
    globals()[_name].__module__ = "pymilk.errors"
