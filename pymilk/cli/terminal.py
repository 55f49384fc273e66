"""`Terminal`: draw on the terminal and read keys; its state is restored however the command ends."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from types import FrameType
from typing import Any

__all__ = ["ERASE", "Terminal", "colours_of", "interactive"]

#: Terminals that know these show a drawing at once.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"

#: Alternate screen, no cursor, no wrapping; and the way back, also within a drawing.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = _END + "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"

_CLEAR = "\x1b[0m\x1b[2J"

#: Clears the rest of a line.
ERASE = "\x1b[K"

#: Keys by the last letter of their sequence, and by the number in front of a tilde.
_LETTERS = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
_NUMBERS = {"1": "home", "7": "home", "4": "end", "8": "end", "5": "pageup", "6": "pagedown"}

#: Seconds after which an escape without more is the key of that name.
_ESCAPE_SECONDS = 0.05

#: Signals that end the command, and signals that it handles.
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_EVENTS = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)


class _Ended(BaseException):
    """A signal arrived that ends the command."""


def interactive() -> bool:
    """Return whether there is a terminal to draw on and to read keys from."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def colours_of(stream: Any) -> str:
    """Return how a picture is shown on a terminal: "true", "256" or "ascii".

    ``NO_COLOR`` that is not empty, an encoding without blocks, a pipe, or a ``TERM`` that is not known for
    256 colours mean ASCII; ``COLORTERM`` of ``truecolor`` or ``24bit`` means true colour.
    """
    kind = os.environ.get("TERM", "dumb")
    try:
        blocks = codecs.lookup(stream.encoding or "ascii").name == "utf-8"
    except LookupError:
        blocks = False
    if os.environ.get("NO_COLOR") or kind == "dumb" or not blocks or not stream.isatty():
        return "ascii"
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or kind.endswith("direct"):
        return "true"
    return "256" if "256" in kind else "ascii"


class Terminal:
    """Draw lines and read keys: a context manager, which restores the terminal at its end.

    Attributes
    ----------
    lines, columns : int
        Its size.

    Notes
    -----
    Within it Ctrl-C, SIGTERM, SIGHUP and SIGQUIT end the command at any point: the terminal is restored, then
    the signal has its usual effect. Ctrl-Z, ``fg`` and a new size are handled. A closed terminal ends the
    command without an error.
    """

    def __init__(self) -> None:
        self._in, self._out = sys.stdin.fileno(), sys.stdout.fileno()
        self.lines = self.columns = 1
        self._drawn: list[str] = []
        self._bytes = b""
        self._before: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._ended = 0
        self._leaving = False
        self._events: set[int] = set()
        self._late_continue = False
        self._wake: tuple[int, int] | None = None
        self._wake_before = -1

    def __enter__(self) -> Terminal:
        try:
            self._enter()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._leave()
        # The window was closed, or the connection has ended. Errors of streams have classes of their own.
        return kind is OSError

    def _enter(self) -> None:
        """Set up the terminal."""
        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        self._before = termios.tcgetattr(self._in)
        self._wake_before = signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        for number in _EVENTS:
            self._handlers[number] = signal.signal(number, self._note)
        for number in _ENDS:
            # Ignored signals, as SIGHUP under nohup, stay ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._end)
        self._screen()

    def _leave(self) -> None:
        """Restore the terminal; then raise the signal that arrived, if any."""
        self._leaving = True
        if self._before is not None:
            with contextlib.suppress(OSError, termios.error):  # it may be gone
                # Drop output that is not shown yet. Off and on undoes a Ctrl-S; on alone does not.
                termios.tcflush(self._out, termios.TCOFLUSH)
                termios.tcflow(self._out, termios.TCOOFF)
                termios.tcflow(self._out, termios.TCOON)
                self._restore()
            self._before = None
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
        if self._wake is not None:
            signal.set_wakeup_fd(self._wake_before)
            for end in self._wake:
                os.close(end)
            self._wake = None
        if self._ended == signal.SIGINT:
            raise KeyboardInterrupt
        if self._ended:
            signal.signal(self._ended, signal.SIG_DFL)
            os.kill(os.getpid(), self._ended)
            sys.exit(128 + self._ended)  # the first process of a container is not killed by its own signal

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._ended or self._leaving:
            return
        self._ended = number
        # Already ending: nothing may stop the terminal from being restored.
        while frame is not None:
            if frame.f_code in (Terminal.__exit__.__code__, Terminal._leave.__code__):
                return
            frame = frame.f_back
        raise _Ended

    def _note(self, number: int, frame: object) -> None:
        self._events.add(number)

    def _screen(self) -> None:
        try:
            tty.setcbreak(self._in, termios.TCSANOW)
        except termios.error as error:
            raise OSError(*error.args) from error
        self._write(_ENTER)
        self._measure()

    def _restore(self) -> None:
        self._write(_LEAVE)
        termios.tcsetattr(self._in, termios.TCSANOW, self._before or [])

    def _measure(self) -> None:
        size = os.get_terminal_size(self._out)
        self.lines, self.columns = max(1, size.lines), max(1, size.columns)
        self._drawn = []
        self._write(_CLEAR)

    def _write(self, text: str) -> None:
        content = text.encode(sys.stdout.encoding, "replace")
        while content:
            content = content[os.write(self._out, content) :]

    def draw(self, lines: list[str]) -> None:
        """Draw lines from the top; unchanged lines are skipped.

        Each line is as wide as the terminal, or begins with `ERASE`.
        """
        lines = lines[: self.lines]
        pieces = [
            f"\x1b[{at + 1};1H{line}"
            for at, line in enumerate(lines)
            if at >= len(self._drawn) or self._drawn[at] != line
        ]
        if pieces:
            self._write(_BEGIN + "".join(pieces) + _END)
        self._drawn = lines

    def wait(self, until: float) -> list[str] | None:
        """Wait for keys.

        Parameters
        ----------
        until : float
            Time of the monotonic clock at which the wait ends.

        Returns
        -------
        list of str or None
            Letters, "up", "down", "left", "right", "pageup", "pagedown", "home", "end", "escape"; empty at
            the end of the time, or if everything must be drawn again. None: the terminal is gone.
        """
        if self._ended:  # the exception got lost, as in a destructor
            raise _Ended
        wake = self._wake[0] if self._wake is not None else -1
        seconds = max(0.0, until - time.monotonic())
        alone = self._bytes == b"\x1b"
        ready, _, _ = select.select(
            [self._in, wake], [], [], min(seconds, _ESCAPE_SECONDS) if alone else seconds
        )
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            self._tend()
        if self._in not in ready:
            if alone and wake not in ready:
                self._bytes = b""
                return ["escape"]
            return []
        try:
            piece = os.read(self._in, 4096)
        except OSError:
            return None
        return self._keys(piece) if piece else None

    def _tend(self) -> None:
        """Handle signals that do not end the command."""
        events, self._events = self._events, set()
        if signal.SIGTSTP in events:
            self._restore()
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)  # stops here until the shell continues the process
            signal.signal(signal.SIGTSTP, self._note)
            # The signal that continued it; it arrives later if another thread got it.
            self._late_continue = signal.SIGCONT not in self._events
            self._events.discard(signal.SIGCONT)
            self._screen()
        elif signal.SIGCONT in events and not self._late_continue:
            self._screen()
        else:
            self._late_continue = self._late_continue and signal.SIGCONT not in events
            if signal.SIGWINCH in events:
                self._measure()

    def _keys(self, piece: bytes) -> list[str]:
        """Return the keys of some bytes; an incomplete sequence is kept for the next call."""
        text = (self._bytes + piece).decode("latin-1")
        self._bytes = b""
        keys = []
        while text:
            if text[0] != "\x1b":
                keys.append(text[0])
                text = text[1:]
            elif len(text) == 1 or (text[1] in "[O" and not any("@" <= each <= "~" for each in text[2:])):
                self._bytes = text.encode("latin-1") if len(text) < 32 else b""
                break
            elif text[1] in "[O":
                end = next(at for at, each in enumerate(text[2:], 2) if "@" <= each <= "~")
                number = text[2:end].partition(";")[0]
                key = _NUMBERS.get(number) if text[end] == "~" else _LETTERS.get(text[end])
                keys += [key] if key is not None else []
                text = text[end + 1 :]
            else:
                text = text[1:]
        return keys
