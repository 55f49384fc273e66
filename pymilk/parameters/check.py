"""The check of all parameters, as the conf process of an FPS does it: what is found is stored in the file.

Checked are the entries that are ACTIVE and USED. The wording of the first four messages was measured on
milk's own files.
"""

from __future__ import annotations

import os
import struct

from .._core import read_header as read_stream_header
from ..errors import FPSError, StreamError
from .header import Message, write_field, write_messages
from .layout import SLOT_FIELDS
from .naming import fps_path
from .stream_info import (
    ENFORCED,
    FOUND_PLACES,
    STREAM_INFO_NBYTES,
    differences,
    note_found,
    note_missing,
)
from .table import Entry, ParameterTable
from .words import MessageCode, ParameterFlag, ParameterType, Signal, Status

__all__ = ["check_all"]

#: Types whose limits milk's check looks at. Limits of other numbers are checked when a value is written.
_LIMITED = {
    ParameterType.INT64: ("int64", "d"),
    ParameterType.FLOAT32: ("float32", "f"),
    ParameterType.FLOAT64: ("float64", "f"),
}

_FILES = {
    ParameterType.FILENAME: "File",
    ParameterType.FITSFILENAME: "FITS file",
    ParameterType.EXECFILENAME: "Executable",
}


def check_all(table: ParameterTable) -> list[Message]:
    """Check all parameters and store what is found: messages, ERROR and WRITESTATUS flags, CHECKOK.

    Returns
    -------
    list of Message
        Errors; empty if all is well.
    """
    found: list[Message] = []
    wrong = 0
    for entry in table.entries():
        flags = ParameterFlag(table.flags(entry))
        if ParameterFlag.USED not in flags:
            continue
        said = _check(table, entry, flags)
        found += said
        wrong += bool(said)
        (table.set_flags if said else table.clear_flags)(entry, ParameterFlag.ERROR)
        writable = table.permitted(entry)
        (table.set_flags if writable else table.clear_flags)(entry, ParameterFlag.WRITESTATUS)
    write_messages(table, found)
    write_field(table, "conferrcnt", wrong)
    if wrong:
        table.change_status(clear_bits=Status.CHECKOK)
    else:
        table.change_status(set_bits=Status.CHECKOK)
    # Last: a process that waits for this finds all of the above.
    table.change_signal(clear_bits=Signal.CHECKED)
    return found


def _check(table: ParameterTable, entry: Entry, flags: ParameterFlag) -> list[Message]:
    """Check one parameter."""
    kind = table.type_code(entry)

    def message(text: str, code: MessageCode | int = 0) -> Message:
        return Message(text, entry.slot, MessageCode(MessageCode.ERROR | code))

    if ParameterFlag.CHECKINIT in flags and table.counter(entry) == 0:
        return [message("Not initialized", MessageCode.NOTINITIALIZED)]
    if kind in _LIMITED:
        return [message(text, code) for text, code in _outside(table, entry, flags)]
    required = ParameterFlag.FILE_RUN_REQUIRED in flags
    if kind in _FILES and required:
        path = table.get(entry.keyword)
        there = os.access(path, os.X_OK) if kind == ParameterType.EXECFILENAME else os.path.exists(path)
        return [] if there else [message(f"{_FILES[ParameterType(kind)]} {path} does not exist")]
    if kind == ParameterType.FPSNAME:
        return [message(text) for text in _other_fps(table, entry) if required]
    if kind == ParameterType.STREAMNAME:
        return [message(text) for text in _stream(table, entry, flags)]
    return []


def _outside(table: ParameterTable, entry: Entry, flags: ParameterFlag) -> list[tuple[str, MessageCode]]:
    """Compare a number with its limits."""
    word, form = _LIMITED[ParameterType(table.type_code(entry))]
    value, low, high = (table.element(entry, number) for number in range(3))
    said = []
    if ParameterFlag.MINLIMIT in flags and not value >= low:
        said.append((f"{word} value {value:{form}} below min {low:{form}}", MessageCode.BELOWMIN))
    if ParameterFlag.MAXLIMIT in flags and not value <= high:
        said.append((f"{word} value {value:{form}} above max {high:{form}}", MessageCode.ABOVEMAX))
    return said


def _note(table: ParameterTable, entry: Entry, content: bytes) -> None:
    """Store what belongs to the type of a parameter, beside its value."""
    table.write(table.slot_offset(entry.slot) + SLOT_FIELDS["info"].offset, content)


def _other_fps(table: ParameterTable, entry: Entry) -> list[str]:
    """Look at the FPS that is named: its slots, and how many are active and used."""
    name = table.get(entry.keyword)
    try:
        other = ParameterTable(fps_path(name), name, False)
    except FPSError:
        _note(table, entry, struct.pack("<3q", -1, 0, 0))
        return [f"FPS {name} is not there"]
    active = other.entries()
    used = sum(bool(other.flags(each) & ParameterFlag.USED) for each in active)
    _note(table, entry, struct.pack("<3q", other.slots, len(active), used))
    other.close()
    return []


def _stream(table: ParameterTable, entry: Entry, flags: ParameterFlag) -> list[str]:
    """Look at the stream that is named, if it has to be there, or has to be of some kind if it is there."""
    required = ParameterFlag.STREAM_RUN_REQUIRED in flags
    if not (required or flags & ENFORCED):
        return []
    name = table.get(entry.keyword)
    offset = table.slot_offset(entry.slot) + SLOT_FIELDS["info"].offset
    info = bytearray(table.read(offset, STREAM_INFO_NBYTES))
    try:
        stream = read_stream_header(name)
    except StreamError:
        note_missing(info)
        wrong = ["is not there"] if required else []
    else:
        wrong = differences(flags, note_found(info, stream["dtype"], stream["shape"]))
    for start, stop in FOUND_PLACES:
        table.write(offset + start, bytes(info[start:stop]))
    return [f"Stream {name} {text}" for text in wrong]
