"""Commands that draw: each in a terminal of its own, whose screen is on paper."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable

from support.children import heed_interrupts
from support.screen import Screen


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    settings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONSAFEPATH": "1"}
    return {**kept, **settings, "PYTHONIOENCODING": "utf-8", **changes}


class View:
    """A command in a terminal of its own, whose screen is drawn on paper."""

    def __init__(
        self,
        command: list[str],
        lines: int = 24,
        columns: int = 80,
        errors: int | None = subprocess.PIPE,
        **variables: str,
    ) -> None:
        self.ours, self.its = pty.openpty()
        self.screen = Screen(lines, columns)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.resize(lines, columns)
        self.before = termios.tcgetattr(self.its)

        def begin() -> None:
            heed_interrupts()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command,
            stdin=self.its,
            stdout=self.its,
            stderr=errors,
            env=environment(**variables),
            start_new_session=True,
            preexec_fn=begin,
        )

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self.its, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds: float) -> None:
        """Take in what comes within that time, or the next piece of it."""
        ready, _, _ = select.select([self.ours], [], [], seconds)
        if ready:
            with contextlib.suppress(OSError):
                self.screen.feed(self._decoder.decode(os.read(self.ours, 1 << 20)))

    def until(self, condition: Callable[[Screen], bool], seconds: float = 60) -> Screen:
        """Read until the screen is as wanted."""
        end = time.monotonic() + seconds
        while not condition(self.screen):
            assert time.monotonic() < end, self.screen.words()
            assert self.process.poll() is None, (self.screen.words(), self.process.communicate())
            self.read(0.2)
        return self.screen

    def until_words(self, words: str) -> Screen:
        return self.until(lambda screen: words in screen.words())

    def press(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def ended(self) -> tuple[int, str]:
        """Wait for the end; returns exit code and what was said on stderr."""
        end = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < end
            self.read(0.05)
        while select.select([self.ours], [], [], 0)[0]:
            self.read(0)
        said = self.process.stderr.read().decode() if self.process.stderr else ""
        return self.process.returncode, said

    def restored(self) -> bool:
        """Tell whether the terminal is as it was; what was written last may still be on its way."""
        end = time.monotonic() + 5
        while not self._is_restored():
            if time.monotonic() > end:
                return False
            self.read(0.05)
        return True

    def _is_restored(self) -> bool:
        modes = self.screen.modes
        return (
            termios.tcgetattr(self.its) == self.before
            and self.screen.entered == self.screen.left > 0
            and bool(modes["?25"])
            and bool(modes["?7"])
        )

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()
        os.close(self.ours)
        os.close(self.its)
