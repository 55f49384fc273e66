"""Arguments as pymembus takes them: what is of another type is a TypeError, all else an error code."""

from __future__ import annotations

from ...errors import StreamNameError
from ...names import check_name

__all__ = ["content", "integer", "milliseconds", "share_name"]


def content(value: object, name: str) -> bytes:
    """Return a text (as UTF-8) or bytes as bytes."""
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise TypeError(f"{name}: {error}") from None
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    raise TypeError(f"{name} is str, bytes or bytearray, not {type(value).__name__}")


def integer(value: object, name: str, least: int = -(2**31), most: int = 2**31 - 1) -> int:
    """Return an integer of this range."""
    if not hasattr(value, "__index__"):
        raise TypeError(f"{name} is an int, not {type(value).__name__}")
    number = int(value.__index__())
    if not least <= number <= most:
        raise TypeError(f"{name} is an int from {least} to {most}, not {number}")
    return number


def milliseconds(value: object, name: str = "wait") -> float:
    """Return a wait in seconds."""
    return integer(value, name, 0, 2**63 - 1) / 1000


def share_name(value: object) -> str | None:
    """Return the name of the stream or channel for ``"/name"``; None if there can be none of that name."""
    try:
        return check_name(content(value, "sName").decode("utf-8", "surrogateescape").removeprefix("/"))
    except StreamNameError:
        return None
