"""What kind of interpreter this is: pymilk works in the main one of a process only, and with its GIL."""

from __future__ import annotations

import importlib
import sys

__all__ = ["in_main_interpreter", "without_gil"]


def in_main_interpreter() -> bool:
    """Tell whether this is the main interpreter of the process, and not a sub-interpreter."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # from Python 3.13 on, and before
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return bool(module.get_current() == module.get_main())
    return True  # a Python without sub-interpreters


def without_gil() -> bool:
    """Tell whether this is a free-threaded Python that runs without the GIL at this moment."""
    enabled = getattr(sys, "_is_gil_enabled", None)  # from Python 3.13 on
    return enabled is not None and not enabled()
