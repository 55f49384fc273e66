"""A writer of a table, killed behind each of its stores, and what others find then."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pymilk.channels import Table
from support.killing import content_of, count_deaths, leave_each_store

COLUMNS = [("number", "u8"), ("half", "f4"), ("text", "S12")]

#: Rows written in peace: the ring has gone round once.
BEFORE = 11
ROWS = 7


def row(number: int) -> tuple[int, float, bytes]:
    return number, number / 2, b"row %d" % number


def check(reader: Table, seen: int, count: int) -> int:
    """Read all that is there: each row is right, and none is missing without being counted."""
    rows = reader.read_many()
    for values, info in zip(rows.data, rows.info, strict=True):
        number = int(info["cnt0"])
        assert number == seen + 1 + int(info["lost"])
        assert tuple(values) == row(number)
        seen = number
    assert seen == count, (seen, count)
    return len(rows)


def tables() -> Iterator[int]:
    """Kill a writer while it appends."""
    with Table.create("table", COLUMNS, ROWS) as table:
        path = table.path
        for number in range(1, BEFORE + 1):
            table.append(row(number))
    content = content_of(path)
    kept = content[:]
    deaths = leave_each_store(
        lambda: Table.attach("table", write=True), lambda given: given.append(row(BEFORE + 1)), content
    )
    for stores in deaths:
        with Table.attach("table", start="oldest") as early, Table.attach("table") as late:
            count = late.count
            assert count in (BEFORE, BEFORE + 1)
            # One slot may be in the making: the oldest of these rows, no other.
            assert check(early, early.reader.lost + count - early.unread, count) >= ROWS - 1
            with Table.attach("table", write=True) as table:
                assert table.append(row(count + 1)) == count + 1
            check(early, count, count + 1)
            check(late, count, count + 1)
        yield stores
        content[:] = kept
    os.unlink(path)


def main() -> None:
    count_deaths(tables)
