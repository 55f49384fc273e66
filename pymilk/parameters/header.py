"""The header of an attached FPS: read and written by the names of its members."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from .records import as_text
from .stored_text import decode
from .table import ParameterTable
from .words import MessageCode, Timespec

__all__ = ["Message", "messages", "read_field", "read_header", "write_field", "write_messages"]

#: Messages that fit, and bytes of one.
_MESSAGES, _MESSAGE = 100, 500

_NUMBERS = {"i4": "<i", "u4": "<I", "i8": "<q", "u8": "<Q"}

#: Members that are rows of texts: bytes of a row.
_ROWS = {"nameindexW": 10, "modulename": 200}


class Message(NamedTuple):
    """What a check found."""

    text: str
    #: Slot of the parameter; -1: none.
    slot: int
    code: MessageCode


def read_field(table: ParameterTable, field: str) -> Any:
    """Read a member: str, int, `Timespec`, or a list of them."""
    offset, nbytes, kind = table.layout.fields[field]
    raw = table.read(offset, nbytes)
    if field in _ROWS:
        row = _ROWS[field]
        return [decode(raw[at : at + row]) for at in range(0, nbytes, row)]
    if kind == "text":
        return decode(raw)
    if kind == "time":
        return Timespec(*struct.unpack("<2q", raw))
    numbers = [each for (each,) in struct.iter_unpack(_NUMBERS[kind], raw)]
    return numbers[0] if len(numbers) == 1 else numbers


def write_field(table: ParameterTable, field: str, value: str | int | Timespec) -> None:
    """Write a member that is one text, number or time.

    Raises
    ------
    FPSTextError
        A text is too long.
    """
    offset, nbytes, kind = table.layout.fields[field]
    if isinstance(value, str):
        raw = as_text(value, nbytes, table.name, field)
    elif isinstance(value, Timespec):
        raw = struct.pack("<2q", *value)
    else:
        raw = struct.pack(_NUMBERS[kind], value)
    table.write(offset, raw)


def read_header(table: ParameterTable) -> dict[str, Any]:
    """Read the whole header, but for the messages: see `messages`."""
    left_out = ("message", "msgpindex", "msgcode")
    header = {field: read_field(table, field) for field in table.layout.fields if field not in left_out}
    header["modulename"] = header["modulename"][: max(0, min(header["NBmodule"], 50))]
    return header


def messages(table: ParameterTable) -> list[Message]:
    """Read what the last check found."""
    fields = table.layout.fields
    count = max(0, min(read_field(table, "msgcnt"), _MESSAGES))
    texts = table.read(fields["message"].offset, count * _MESSAGE)
    slots = struct.unpack(f"<{count}i", table.read(fields["msgpindex"].offset, 4 * count))
    codes = struct.unpack(f"<{count}I", table.read(fields["msgcode"].offset, 4 * count))
    return [
        Message(
            decode(texts[number * _MESSAGE : (number + 1) * _MESSAGE]),
            slots[number],
            MessageCode(codes[number]),
        )
        for number in range(count)
    ]


def write_messages(table: ParameterTable, found: list[Message]) -> None:
    """Store what a check found; the count last, so that each message is complete when it counts."""
    fields = table.layout.fields
    for number, message in enumerate(found[:_MESSAGES]):
        raw = message.text.encode("utf-8", "replace")[: _MESSAGE - 1] + b"\0"
        table.write(fields["message"].offset + number * _MESSAGE, raw)
        table.write(fields["msgpindex"].offset + 4 * number, struct.pack("<i", message.slot))
        table.write(fields["msgcode"].offset + 4 * number, struct.pack("<I", message.code))
    write_field(table, "msgcnt", min(len(found), _MESSAGES))
