"""Second processes: Python that runs some code, and commands of pymilk."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from support.forked import Process, given, heed_interrupts, parent

#: Begins code that replaces a stream of a living process on purpose.
REPLACES = "import warnings\nwarnings.filterwarnings('ignore', 'stream .* is replaced')\n"


#: What `python -m pymilk` does.
_COMMAND = "import runpy; runpy.run_module('pymilk', run_name='__main__', alter_sys=True)"

#: What commands import beside NumPy.
_LIBRARIES = ("click", "rich.console", "rich.progress", "rich.table", "rich.text")


def begin_command(
    arguments: Iterable[object],
    environment: dict[str, str],
    directory: Path | None = None,
    **options: Any,
) -> Process | subprocess.Popen[str]:
    """Begin a command of pymilk in a process of its own; its pipes are those of a `Child`.

    A new interpreter, if there are options of `subprocess.Popen`.
    """
    words = tuple(map(str, arguments))
    environment = {**environment, "PYTHONSAFEPATH": "1"}
    if not options and "PYTHONDEVMODE" not in environment:
        ready = parent(*_LIBRARIES)
        if ready is not None and ready.serves(environment):
            return Process(ready, _COMMAND, words, environment, directory and str(directory))
    usual = {**dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE), "preexec_fn": heed_interrupts}
    return subprocess.Popen(
        [sys.executable, "-m", "pymilk", *words],
        text=True,
        env=environment,
        cwd=directory,
        **{**usual, **options},
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end of a command; returns its exit code, and what it said on stdout and stderr."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


class Child:
    """A second Python process that runs `code`, and talks through a pipe, a line at a time."""

    def __init__(self, code: str, *args: object) -> None:
        arguments = tuple(map(str, args))
        environment = given(os.environ)
        ready = parent()
        self.process: Process | subprocess.Popen[str]
        if ready is not None and ready.serves(environment):
            self.process = Process(ready, code, arguments, environment)
        else:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                bufsize=1,
                env=environment,
                preexec_fn=heed_interrupts,
            )
        self.pid = self.process.pid
        self._heard = ""

    def tell(self, line: object = "") -> None:
        """Send one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self, timeout: float = 60) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        # Past the buffer of the pipe object: select knows nothing of lines that wait in there.
        pipe = self.process.stdout.fileno()
        while "\n" not in self._heard:
            ready, _, _ = select.select([pipe], [], [], timeout)
            piece = os.read(pipe, 65536).decode() if ready else ""
            if not piece:
                self.process.kill()
                raise AssertionError(f"child said nothing; its stderr: {self.process.stderr.read()}")
            self._heard += piece
        line, _, self._heard = self._heard.partition("\n")
        return line

    def expect(self, line: str, timeout: float = 60) -> None:
        """Wait for exactly this line."""
        assert self.hear(timeout) == line

    def finish(self, timeout: float = 60) -> tuple[int, str, str]:
        """Wait for its end; returns exit code, the rest of stdout, and stderr."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, self._heard + out, err

    def kill(self) -> None:
        """Kill it at once, and reap it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.communicate()
