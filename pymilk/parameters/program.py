"""``pymilk-exec``: a Python function as the program behind an FPS, started as milk starts its own programs.

An FPS whose header says program ``pymilk`` and function ``package.module:function`` is started by its
control program with ``pymilk-exec -n NAME "package.module:function _RUNSTART_ ..."`` in its working
directory. The function is called with a `Running`, and runs until `Running.going` is false.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import FPSArgumentError, StreamError
from .cores import COMMANDS, move
from .fps import FPS
from .words import Signal, Status

__all__ = ["main"]

_USAGE = 'usage: pymilk-exec -n FPS "[mload MODULE;...] PACKAGE.MODULE:FUNCTION _RUNSTART_"\n'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the console script ``pymilk-exec``; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["-h"], ["--help"]):
        sys.stdout.write(_USAGE)
        return 0
    if len(given) != 3 or given[0] != "-n":
        sys.stderr.write(_USAGE)
        return 2
    try:
        run(given[1], given[2])
    except StreamError as error:
        sys.stderr.write(f"pymilk-exec: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(name: str, line: str) -> None:
    """Do what a command line asks for.

    Parameters
    ----------
    name : str
        Of the FPS.
    line : str
        Commands with semicolons between them. Those that load modules are of no use here; those that choose
        cores (`.procinfo.cset`, `.procinfo.taskset`) are done before a run process starts.

    Raises
    ------
    FPSArgumentError
        It asks for something that is not known.
    """
    commands = [part.split() for part in line.split(";") if part.strip()]
    cores = [words for words in commands if words[0] in COMMANDS and len(words) == 2]
    commands = [words for words in commands if words[0] not in ("mload", *COMMANDS)]
    if len(commands) != 1 or len(commands[0]) < 2:
        raise FPSArgumentError(
            f"fps {name!r}: {line!r} is not one command with a function and a word such as _RUNSTART_",
            fps=name,
            argument="command",
            found=line,
        )
    target, what = commands[0][:2]
    with FPS(name, writable=True) as fps:
        if what == "_CONFSTART_":
            with fps.running(conf=True, run=False) as running:
                running.wait()
        elif what == "_RUNSTART_":
            function = function_of(target, name)
            for command, where in cores:
                if trouble := move(command, where.strip('"')):
                    sys.stderr.write(f"pymilk-exec: fps {name!r}: {command}: {trouble}\n")
            with fps.running(conf=False) as running:
                function(running)
        elif what == "_CONFSTOP_":
            fps.request(clear=Signal.CONFRUN)
        elif what == "_RUNSTOP_":
            fps.change_status(clear=Status.CMDRUN)
        else:
            raise FPSArgumentError(
                f"fps {name!r}: {what!r} is not known; known are _CONFSTART_, _CONFSTOP_, _RUNSTART_ and "
                "_RUNSTOP_",
                fps=name,
                argument="command",
                found=what,
            )


def function_of(target: str, name: str) -> Callable[..., Any]:
    """Import ``package.module:function``; the working directory is looked in first.

    Raises
    ------
    FPSArgumentError
    """
    module, _, attribute = target.partition(":")
    if not attribute or not all(module.split(".")):
        raise FPSArgumentError(
            f"fps {name!r}: {target!r} is not package.module:function",
            fps=name,
            argument="function",
            found=target,
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise FPSArgumentError(
            f"fps {name!r}: {target!r} cannot be imported from {os.getcwd()}: {error}",
            fps=name,
            argument="function",
            found=target,
        ) from error
    if not callable(found):
        raise FPSArgumentError(
            f"fps {name!r}: {target!r} cannot be called", fps=name, argument="function", found=target
        )
    return found  # type: ignore[no-any-return]
