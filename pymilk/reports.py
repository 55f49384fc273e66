"""`Report`: what every account of work has in common - as a dict, as rows of a table, as text."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from .notebooks import as_html
from .verdicts import wrapped

__all__ = [
    "COUNTER_SET",
    "LossReport",
    "Report",
    "amount",
    "counter_set_rows",
    "counter_set_text",
    "ending_text",
    "times_text",
    "uncertain_text",
]

#: What is said of a stream whose counter moved further than frames can come: see `FLAG_COUNTER_SET`.
COUNTER_SET = "counter set by another program"


@dataclass(repr=False, eq=False)
class Report:
    """Base of all reports. A report is a dataclass: its fields are the attributes that users read.

    A subclass declares its fields, and overrides `title` and `rows` where field names do not say enough.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes as plain Python values, ready for JSON."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}

    def title(self) -> str:
        """Return the line above the rows."""
        return type(self).__name__

    def rows(self) -> list[tuple[str, str]]:
        """Return the report as (label, text) pairs, for tables."""
        return [(each.name.replace("_", " "), str(getattr(self, each.name))) for each in fields(self)]

    def _repr_html_(self) -> str:
        """Return the report as a table for notebooks."""
        return as_html(self.title(), self.rows())

    def __str__(self) -> str:
        rows = self.rows()
        width = max((len(label) for label, _ in rows), default=0)
        return "\n".join([self.title(), *(f"  {label:<{width}}  {text}" for label, text in rows)])


def amount(count: int, one: str, many: str = "") -> str:
    """Return how many there are, in words: ``1 frame``, ``2 frames``."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


class LossReport(Report):
    """Base of reports of work that can lose frames: they end with why, and with what to do."""

    def reasons(self) -> list[str]:
        """Return why frames are missing, and what to do: a sentence each; none if nothing was lost."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes as plain Python values, ready for JSON, and `reasons`."""
        return {**super().to_dict(), "reasons": self.reasons()}

    def told(self, text: str) -> str:
        """Return a text with the reasons behind it."""
        return "\n".join([text, *map(wrapped, self.reasons())])

    def __str__(self) -> str:
        return self.told(super().__str__())


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: no NaN, no report, no container that the report goes on to change."""
    if isinstance(value, Report):
        return value.to_dict()
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def times_text(times: dict[str, float]) -> str:
    """Return percentiles as text: ``p50 1.2, p99 3.4``."""
    return ", ".join(f"{key} {value:.1f}" for key, value in times.items())


def counter_set_rows(times: int) -> list[tuple[str, str]]:
    """Return the row of a report whose stream had its counter set so often; none if it never had."""
    return [(COUNTER_SET, f"{times} times; losses unknown")] if times else []


def counter_set_text(times: int) -> str:
    """Return the same as a sentence; "" if it never had."""
    return " ".join(f"{label} {text}" for label, text in counter_set_rows(times))


def ending_text(ended: str, error: str | None) -> str:
    """Return how something ended, with the message of what ended it."""
    return ended if error is None else f"{ended}: {error}"


def uncertain_text(count: int) -> str:
    """Return how many frames may be those with the next number, and why."""
    return f"{count}, among the torn: the writer posts before it counts, and stores no times"
