"""The check of all parameters, as the conf process of an FPS does it: what is found is stored in the file.

Checked are the entries that are ACTIVE and USED. The wording of the first four messages was measured on
milk's own files.
"""

from __future__ import annotations

import os
import struct

from .._core import read_header as read_stream_header
from ..errors import FPSError, StreamError
from ..native.formats import DTYPES
from .header import Message, write_field, write_messages
from .layout import SLOT_FIELDS
from .naming import fps_path
from .table import Entry, ParameterTable
from .words import MessageCode, ParameterFlag, ParameterType, Signal, Status

__all__ = ["check_all"]

#: What milk reports limits of; limits of other numbers are heeded by writers only.
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

#: Where a stream was found: nowhere, or in shared memory.
_NOT_FOUND, _SHARED = 0, 2


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
    # Last: who waits for it finds all of the above.
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
        return [message(text) for text in _stream(table, entry) if required]
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


def _stream(table: ParameterTable, entry: Entry) -> list[str]:
    """Look at the stream that is named: its type and size."""
    name = table.get(entry.keyword)
    offset = table.slot_offset(entry.slot) + SLOT_FIELDS["info"].offset
    info = bytearray(table.read(offset, 48))
    try:
        stream = read_stream_header(name)
    except StreamError:
        struct.pack_into("<q", info, 0, -1)
        struct.pack_into("<B", info, 44, _NOT_FOUND)
        _note(table, entry, bytes(info))
        return [f"Stream {name} is not there"]
    code = next(number for number, dtype in DTYPES.items() if dtype == stream["dtype"])
    size = [*reversed(stream["shape"]), 1, 1, 1][:3]
    # The first number means something in the process that loaded the stream only; 0 or more says that one
    # did.
    struct.pack_into("<qB", info, 0, 0, code)
    for at, number in zip((12, 20, 28, 36), (len(stream["shape"]), *size), strict=True):
        struct.pack_into("<I", info, at, number)  # the second of each pair is what is required
    struct.pack_into("<B", info, 44, _SHARED)
    _note(table, entry, bytes(info))
    return []
