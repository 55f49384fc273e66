"""Which interpreter of the process this is: pymilk works in the main one only."""

from __future__ import annotations

import importlib

__all__ = ["in_main_interpreter"]


def in_main_interpreter() -> bool:
    """Tell whether this is the main interpreter of the process, and not a sub-interpreter."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # from Python 3.13 on, and before
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return bool(module.get_current() == module.get_main())
    return True  # a Python without sub-interpreters
