"""Names of a package that are in its rooms: a room is loaded with the first of its names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["late_names"]


def late_names(package: str, rooms: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    rooms : mapping of str to iterable of str
        The names in each of its modules.
    """
    room_of = {name: room for room, names in rooms.items() for name in names}

    def load(name: str) -> Any:
        if name not in room_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f".{room_of[name]}", package), name)
        setattr(sys.modules[package], name, found)
        return found

    return load
