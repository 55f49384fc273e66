"""The table of streams: its columns, their order, what does not fit into it."""

from __future__ import annotations

import os
from typing import Any

from ..reports import COUNTER_SET
from ..streams.kinds import FRAMES
from .colour import Meaning
from .output import NOTHING, age_text, clean, fitted_table, process_text, size_text
from .tables import Table

__all__ = ["COLUMNS", "notes_of", "ordered", "stream_table", "unusable_line"]

#: Columns of the table; it can be sorted by each of them.
COLUMNS = ("name", "content", "dtype", "shape", "counter", "rate", "age", "writer", "readers", "ring",
           "size")  # fmt: skip

#: Columns of numbers, sorted from the largest to the smallest; ages by the times of the last frames.
_NUMBERS = ("counter", "rate", "age", "readers", "ring", "size")

#: Columns that are left out if a terminal is too narrow, the first one first.
_DISPENSABLE = ("size", "ring", "dtype", "readers", "content", "shape")

#: Order of writers: alive, not visible from here, dead.
_RANKS = {True: 0, None: 1, False: 2}


def ordered(streams: list[dict[str, Any]], column: str, reverse: bool) -> list[dict[str, Any]]:
    """Sort by a column; streams without a value come last, then files that are not streams."""
    # Ages are read at different times; the times of the last frames can be compared.
    keys = {"size": "nbytes", "shape": "frame_shape", "age": "last_frame_ns"}
    good = [entry for entry in streams if "error" not in entry]

    def value(entry: dict[str, Any]) -> Any:
        if column == "writer":
            pid = entry["writer_pid"]
            return None if pid is None else (_RANKS[entry["writer_alive"]], pid)
        if column == "readers":
            return len(entry["readers"])
        return entry[keys.get(column, column)]

    known = [entry for entry in good if value(entry) is not None]
    known.sort(key=value, reverse=(column in _NUMBERS) != reverse)
    unknown = [entry for entry in good if value(entry) is None]
    return known + unknown + [entry for entry in streams if "error" in entry]


def stream_table(
    streams: list[dict[str, Any]], width: int, sort: str, *, with_rate: bool
) -> tuple[Table, str]:
    """Return the table, with as many columns as there is room for, and the names of missing ones.

    Parameters
    ----------
    streams : list of dict
        From `inspection.survey`; files that are not streams are left out.
    width : int
        Columns of the terminal.
    sort : str
        One of `COLUMNS`, which is never left out.
    with_rate : bool
        `measure_rates` has measured them.
    """
    cells = [_cells(entry) for entry in streams if "error" not in entry]
    left_out = {"rate"} if not with_rate else set()
    if all(each["content"] == FRAMES for each in cells) and sort != "content":
        left_out.add("content")
    headings = [name for name in COLUMNS if name not in left_out]
    return fitted_table(width, headings, cells, [name for name in _DISPENSABLE if name != sort], _NUMBERS)


def _cells(entry: dict[str, Any]) -> dict[str, str]:
    rate = entry.get("rate")
    ring = str(entry["ring"]) if entry["ring"] else NOTHING
    return {
        "name": entry["name"],
        "content": entry["content"],
        "dtype": entry["dtype"],
        "shape": "x".join(str(length) for length in entry["frame_shape"]),
        "counter": str(entry["counter"]),
        "rate": NOTHING if rate is None else Meaning(f"{rate:.1f}/s", "good" if rate else "quiet"),
        "age": age_text(entry["age"]),
        "writer": process_text(entry["writer_pid"], entry["writer_alive"]),
        "readers": str(len(entry["readers"])),
        "ring": f"temporal {ring}" if entry["ring_kind"] == "temporal" else ring,
        "size": size_text(entry["nbytes"]),
    }


def unusable_line(entry: dict[str, Any]) -> str:
    """Return the line of a file that is not a usable stream, with the reason."""
    return clean(f"{os.path.basename(entry['path'])}: {entry['error'].removeprefix(entry['path'] + ': ')}")


def notes_of(streams: list[dict[str, Any]]) -> list[str]:
    """Return a line for each stream whose counter was set."""
    return [
        clean(f"{entry['name']}: {COUNTER_SET}")
        for entry in streams
        if "error" not in entry and entry["counter_set"]
    ]
