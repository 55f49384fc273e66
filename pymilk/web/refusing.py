"""What is said of a wrong value in a message of the page."""

from __future__ import annotations

from ..arguments import shown
from ..errors import StreamArgumentError

__all__ = ["bad_value"]


def bad_value(name: str, found: object, wanted: str) -> StreamArgumentError:
    """Return the error for a value, shown in short: a page may send anything. `wanted` follows "is"."""
    return StreamArgumentError(f"{name} is {wanted}, not {shown(found, 60)}", argument=name, found=found)
