"""The interpreter: pymilk works in the main one of a process only, and with its GIL.

Also what Ctrl-C does while a command is being imported.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading

__all__ = [
    "as_command",
    "as_module",
    "begin_command",
    "in_main_interpreter",
    "is_command",
    "let_interrupts_kill",
    "let_interrupts_raise",
    "without_gil",
]

#: Names of the commands, and what Python is called by while it imports the package for ``python -m pymilk``.
_COMMANDS = ("pymilk", "pymilk-exec", "creashmim", "updatekw", "shmImshow", "shmPlot", "shmTermshow", "-m")

#: Whether this process runs one of the commands, and ends with it.
_is_command = False


def in_main_interpreter() -> bool:
    """Return whether this is the main interpreter of the process, and not a sub-interpreter."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # from Python 3.13 on, and before
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return bool(module.get_current() == module.get_main())
    return True  # a Python without sub-interpreters


def without_gil() -> bool:
    """Return whether this is a free-threaded Python that runs without the GIL at this moment."""
    enabled = getattr(sys, "_is_gil_enabled", None)  # from Python 3.13 on
    return enabled is not None and not enabled()


def as_command() -> bool:
    """Return whether this process was started for one of pymilk's commands."""
    return os.path.basename((getattr(sys, "argv", None) or [""])[0]) in _COMMANDS


def as_module() -> bool:
    """Return whether Python imports the package for ``python -m pymilk``: no script has that name."""
    arguments, original = getattr(sys, "argv", None) or [""], sys.orig_argv
    if arguments[0] != "-m" or len(original) <= len(arguments):
        return False
    word = original[-len(arguments)]
    return word == "pymilk" or (word.startswith("-") and word.endswith("mpymilk"))


def let_interrupts_kill() -> None:
    """Let Ctrl-C end the process at once, where Python would raise KeyboardInterrupt.

    Nothing has begun while a command is imported; libraries turn an interrupt of their import into other
    errors, or ignore it.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def let_interrupts_raise() -> None:
    """Undo `let_interrupts_kill`."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def begin_command() -> None:
    """Begin a command, with which the process ends: Ctrl-C ends it at once until the command handles that."""
    global _is_command
    _is_command = True
    let_interrupts_kill()


def is_command() -> bool:
    """Return whether this process runs one of the commands, and ends with it."""
    return _is_command
