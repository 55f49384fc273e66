"""Layouts of parameter files: a header, then slots of one size each, without a version mark.

They are told apart by size: each layout keeps the number of slots at its own place in the header, and the
file is as long as that number says. Layout "v1" was measured on milk's own files and headers (unchanged from
the end of 2022 to 2024). The others were computed from the member order of headers of milk's development
branch (2026) with the alignment rule of C on 64-bit machines; no file that milk wrote in one of them was
available.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["LAYOUTS", "MOST_SLOTS", "SLOT_FIELDS", "Field", "Layout", "layout_of"]

#: Most slots that are believed. milk has 200 by default.
MOST_SLOTS = 100_000

#: Kinds of members: size of one in bytes, and its alignment.
_KINDS = {"text": (1, 1), "i4": (4, 4), "u4": (4, 4), "i8": (8, 8), "u8": (8, 8), "time": (16, 8)}


class Field(NamedTuple):
    """Where a member is."""

    offset: int
    #: Of the whole member, in bytes.
    nbytes: int
    #: "text" (NUL-terminated), "i4", "u4", "i8", "u8", or "time" (two "i8": seconds, nanoseconds).
    kind: str


class Layout(NamedTuple):
    """One layout."""

    name: str
    header_nbytes: int
    slot_nbytes: int
    #: Of the header.
    fields: dict[str, Field]
    #: Whether each slot has a second counter, which goes up with the first.
    counts_values: bool

    def size(self, slots: int) -> int:
        """Return how long a file with so many slots is."""
        return self.header_nbytes + slots * self.slot_nbytes


def _placed(members: list[tuple[str, str, int]]) -> tuple[dict[str, Field], int]:
    """Place members as C does; returns them, and the size of the structure."""
    fields, at, largest = {}, 0, 1
    for name, kind, count in members:
        size, alignment = _KINDS[kind]
        at = -(-at // alignment) * alignment
        fields[name] = Field(at, size * count, kind)
        at += size * count
        largest = max(largest, alignment)
    return fields, -(-at // largest) * largest


_HEADER = [
    ("name", "text", 100),
    ("description", "text", 200),
    ("keywordarray", "text", 200),
    ("workdir", "text", 200),
    ("datadir", "text", 200),
    ("confdir", "text", 200),
    ("sourcefname", "text", 200),
    ("sourceline", "i4", 1),
    ("pname", "text", 100),
    ("callprogname", "text", 80),
    ("callfuncname", "text", 100),
    ("nameindexW", "text", 16 * 10),
    ("NBnameindex", "i4", 1),
    ("confpid", "i4", 1),
    ("confpidstarttime", "time", 1),
    ("runpid", "i4", 1),
    ("runpidstarttime", "time", 1),
    ("NBmodule", "i4", 1),
    ("modulename", "text", 50 * 200),
    ("signal", "u8", 1),
    ("confwaitus", "u8", 1),
    ("status", "u4", 1),
    ("NBparamMAX", "i8", 1),
    ("message", "text", 100 * 500),
    ("msgpindex", "i4", 100),
    ("msgcode", "u4", 100),
    ("msgcnt", "i8", 1),
    ("conferrcnt", "u4", 1),
]

_SLOT = [
    ("fpflag", "u8", 1),
    ("userflag", "u8", 1),
    ("keywordfull", "text", 1280),
    ("keyword", "text", 20 * 64),
    ("keywordlevel", "i4", 1),
    ("keywordfrom", "text", 1280),
    ("description", "text", 64),
    ("type", "u4", 1),
    ("val", "u8", 16),
    ("info", "u8", 6),
    ("cnt0", "i8", 1),
]

#: Fields of a slot. They are at the same place in all layouts.
SLOT_FIELDS, _SLOT_NBYTES = _placed(_SLOT)


def _with(
    members: list[tuple[str, str, int]], after: str, *added: tuple[str, str, int]
) -> list[tuple[str, str, int]]:
    """Return the members with some added after the one of a name."""
    at = [name for name, _, _ in members].index(after) + 1
    return [*members[:at], *added, *members[at:]]


def _layout(name: str, header: list[tuple[str, str, int]], slot_nbytes: int = _SLOT_NBYTES) -> Layout:
    fields, nbytes = _placed(header)
    return Layout(name, nbytes, slot_nbytes, fields, counts_values=slot_nbytes > _SLOT_NBYTES)


_WITH_SESSION = _with(_HEADER, "callfuncname", ("tmuxname", "text", 100))
_WITH_HELP = _with(
    _with(_WITH_SESSION, "description", ("helptext", "text", 8192), ("execfullpath", "text", 512)),
    "status",
    ("processinfo_change_cnt", "u8", 1),
)

#: All layouts that are known, the usual one first.
LAYOUTS = (
    _layout("v1", _HEADER),
    _layout("fw-a", _WITH_SESSION),
    _layout("fw-b", _WITH_HELP),
    # Each slot ends with two members more: value_cnt (i8) and cli_index (i4).
    _layout("fw-c", _WITH_HELP, _SLOT_NBYTES + 16),
)


def layout_of(nbytes: int, read: Callable[[int, int], bytes]) -> tuple[Layout, int] | None:
    """Find the layout of a file.

    Parameters
    ----------
    nbytes : int
        Size of the file.
    read : callable
        ``read(count, offset)`` returns bytes of the file; fewer where it ends.

    Returns
    -------
    (Layout, int) or None
        The layout and the number of slots. None if no layout fits.
    """
    for layout in LAYOUTS:
        stored = read(8, layout.fields["NBparamMAX"].offset)
        slots = int.from_bytes(stored, "little", signed=True)
        if len(stored) == 8 and 0 < slots <= MOST_SLOTS and nbytes == layout.size(slots):
            return layout, slots
    return None
