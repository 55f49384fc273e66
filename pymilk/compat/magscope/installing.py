"""`install`: the facade under the name that scripts import."""

from __future__ import annotations

import importlib.util
import sys
import types

__all__ = ["install"]


def install() -> None:
    """Have ``import magscope.datatypes`` find this facade, in this process.

    Notes
    -----
    Where MagScope itself is installed, its other modules stay, and use the facade if they are imported later.
    What was imported from the original before stays the original. Nothing is written to the disk.
    """
    facade = sys.modules[__package__]
    parent = sys.modules.get("magscope")
    if parent is None and importlib.util.find_spec("magscope") is None:
        parent = types.ModuleType("magscope", "Holds pymilk.compat.magscope as `datatypes`.")
        parent.__path__ = []
        sys.modules["magscope"] = parent
    sys.modules["magscope.datatypes"] = facade
    if parent is not None:
        vars(parent)["datatypes"] = facade
