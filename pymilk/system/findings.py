"""What ``pymilk doctor`` reports: one form, and the advice that more than one kind of file needs."""

from __future__ import annotations

__all__ = ["MAKE_AGAIN", "PERMIT_READING", "Finding", "finding"]

#: ``topic``, ``level`` ("ok", "note" for what may matter, "problem"), ``found``, and ``todo``, which is empty
#: if there is nothing to do.
Finding = dict[str, str]

#: What to do about a file that is not what its name says, and about one that may not be read.
MAKE_AGAIN = "move it elsewhere, or have its program make it again"
PERMIT_READING = "to look at it, have its owner permit reading"


def finding(topic: str, found: str, todo: str = "", level: str = "note") -> Finding:
    """Return a finding; `level` counts if there is something to do."""
    return {"topic": topic, "level": level if todo else "ok", "found": found, "todo": todo}
