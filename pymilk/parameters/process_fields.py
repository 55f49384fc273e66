"""Values of single fields to bytes and back, as the structure of process information has them."""

from __future__ import annotations

import struct
from typing import Any

from ..arguments import shown
from ..errors import ProcessInfoArgumentError
from .process_layout import Field
from .stored_text import cut as shortened

__all__ = ["decode", "encode", "known", "nanoseconds"]

#: Longest time that is stored, in seconds.
_LONGEST = 9e9


def known(kind: type[Any], value: int) -> Any:
    """Return the member of an enumeration, or the number if it has none."""
    return kind(value) if value in kind._value2member_map_ else value


def _number(kind: str, nbytes: int) -> str:
    """Return the format of `struct` for a field that is a number."""
    letter = {4: "i", 8: "q"}[nbytes]
    return "<" + (letter.upper() if kind == "uint" else letter)


def nanoseconds(argument: str, seconds: Any) -> int:
    """Return a time in seconds, which is above 0, as nanoseconds; anything else raises."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= _LONGEST:
        raise ProcessInfoArgumentError(
            f"{argument} is a number of seconds above 0 and up to {_LONGEST:g}, not {shown(seconds)}",
            argument=argument,
            found=seconds,
        )
    return round(seconds * 1e9)


def decode(field: Field, content: bytes) -> Any:
    """Return the value of the bytes of a field: int, str, bytes, or nanoseconds for a time."""
    if field.kind == "text":
        return content.partition(b"\0")[0].decode(errors="replace")
    if field.kind == "time":
        seconds, nanoseconds = struct.unpack("<qq", content)
        return seconds * 1_000_000_000 + nanoseconds
    if field.kind == "raw":
        return content
    return struct.unpack(_number(field.kind, field.nbytes), content)[0]


def encode(field: Field, name: str, value: Any, *, cut: bool) -> bytes:
    """Return the bytes of a field for a value."""
    if field.kind == "time":
        return struct.pack("<qq", *divmod(int(value), 1_000_000_000))
    if field.kind != "text":
        try:
            return struct.pack(_number(field.kind, field.nbytes), value)
        except struct.error:
            raise ProcessInfoArgumentError(
                f"{name} is a whole number of {field.nbytes} bytes, not {shown(value)}",
                argument=name,
                found=value,
            ) from None
    if not isinstance(value, str):
        raise ProcessInfoArgumentError(f"{name} is a text, not {shown(value)}", argument=name, found=value)
    text = value.encode(errors="replace")
    if len(text) >= field.nbytes:
        if not cut:
            raise ProcessInfoArgumentError(
                f"{name} has {len(text)} bytes; the format stores at most {field.nbytes - 1}",
                argument=name,
                found=value,
            )
        text = shortened(text, field.nbytes - 1)
    return text.partition(b"\0")[0].ljust(field.nbytes, b"\0")
