"""The ``pymilk`` command, and those that existing scripts call. Their libraries are the extra ``cli``."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Callable

from .._interpreter import as_command, begin_command, let_interrupts_kill
from ..system.causes import cause_of, ended_resources

if as_command():
    let_interrupts_kill()  # until `begin_command`, and from there on

__all__ = ["creashmim", "main", "shmImshow", "shmPlot", "shmTermshow", "updatekw"]


def main() -> None:
    """Run the command line; the console script ``pymilk``."""
    _run(".app", "app", "pymilk")


def creashmim() -> None:
    """Run the console script ``creashmim``."""
    _run(".commands.familiar", "creashmim", "creashmim")


def updatekw() -> None:
    """Run the console script ``updatekw``."""
    _run(".commands.familiar", "updatekw", "updatekw")


def shmImshow() -> None:
    """Run the console script ``shmImshow``."""
    _run(".commands.familiar", "shm_imshow", "shmImshow")


def shmPlot() -> None:
    """Run the console script ``shmPlot``."""
    _run(".commands.familiar", "shm_plot", "shmPlot")


def shmTermshow() -> None:
    """Run the console script ``shmTermshow``."""
    _run(".commands.familiar", "shm_termshow", "shmTermshow")


def _open_closed_streams() -> None:
    """Open closed standard streams (``>&-``) on /dev/null: the next opened file would get their output."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            break
    for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (until the end)


def _replace_what_cannot_be_encoded() -> None:
    """Print "?" for letters of names and keywords that the terminal cannot show, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")


def loaded(module: str, name: str) -> Callable[..., object]:
    """Import a command; what is missing for that ends the program with a sentence."""
    try:
        found: Callable[..., object] = getattr(importlib.import_module(module, __package__), name)
        return found
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in ("click", "rich"):
            raise
        sys.exit(f"pymilk's commands need {library}, which is not installed: pip install click rich")
    except (OSError, ImportError, MemoryError) as error:
        # No descriptors, no memory: Python says which library it could not load.
        sys.exit(f"pymilk: its own files cannot be loaded: {error or 'no memory'}")


def _run(module: str, command: str, name: str) -> None:
    begin_command()
    _open_closed_streams()
    _replace_what_cannot_be_encoded()
    found = loaded(module, command)
    try:
        found(prog_name=name)
    except OSError as error:  # of click, before a command begins and after it ended
        if ended_resources(error) is None:
            loaded(".exits", "end_without_output")(error)
            raise
        sys.exit(f"pymilk: {cause_of(error)}")
