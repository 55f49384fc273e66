"""`Silence`: the timeouts of an object that waits for frames, what they lead to, and when to warn of them."""

from __future__ import annotations

import time

from .._core import Stream
from ..arguments import bad_argument, check_choice
from ..errors import StreamTimeoutError, StreamTimeoutWarning
from ..system.notices import warn_caller
from ..times import last_written

__all__ = ["ON_TIMEOUT", "Silence", "check_on_timeout", "why_silent"]

#: What a read without a new frame does: raise, return the old frame, or return None.
ON_TIMEOUT = ("old", "raise", "none")

#: A silence of so many seconds is told with the number of its frame, so that Python shows each one.
_LONG_SECONDS = 10.0


def check_on_timeout(on_timeout: str, return_none: bool, stream: str) -> str:
    """Return what a timeout leads to, from the parameter `on_timeout` and its older spelling."""
    check_choice("on_timeout", on_timeout, ON_TIMEOUT, stream)
    if not return_none:
        return on_timeout
    if on_timeout == "raise":
        wanted = "'none' where return_none_on_timeout is given; leave one of them out"
        raise bad_argument("on_timeout", on_timeout, wanted, stream)
    return "none"


class Silence:
    """Count timeouts, and warn of the 1st, 2nd, 4th, 8th and so on without a new frame between them.

    Python shows a warning once for each line of a script and each text. The texts differ, so that a loop on
    a stream that has ended goes on to be told, at growing intervals.

    Parameters
    ----------
    warn_from : int, default 1
        The first of these to warn of: a power of two.
    advice : str
        What the caller can do, at the end of later warnings.

    Attributes
    ----------
    timeouts : int
        All of them, whatever they led to.
    """

    def __init__(self, warn_from: int = 1, advice: str = ". on_timeout='raise' makes it an error") -> None:
        self.timeouts = 0
        self._advice = advice
        self._warn_from = warn_from
        self._row = 0
        self._began = 0.0

    @property
    def is_on(self) -> bool:
        """Whether no new frame came since the last timeout."""
        return self._row > 0

    def end(self) -> None:
        """Note that a new frame came."""
        self._row = 0

    def timed_out(self, stream: Stream, timeout: float | None, on_timeout: str) -> bool:
        """Count a timeout; returns whether the old frame is to be returned.

        Parameters
        ----------
        stream : Stream
            Not closed.
        timeout : float
            Seconds that were waited.
        on_timeout : {"old", "raise", "none"}

        Raises
        ------
        StreamTimeoutError
            With "raise".

        Warns
        -----
        StreamTimeoutWarning
            With "old".
        """
        self.timeouts += 1
        self._row += 1
        if self._row == 1:
            self._began = time.monotonic() - (timeout or 0.0)
        if stream.damaged:  # reading it raises an error of its own
            return on_timeout != "none"
        if on_timeout == "raise":
            raise StreamTimeoutError(
                f"stream {stream.name!r}: no new frame within {timeout} s; its counter is {stream.counter}, "
                f"{why_silent(stream)}",
                stream=stream.name,
                timeout=timeout,
                counter=stream.counter,
            )
        if on_timeout == "none":
            return False
        if self._row >= self._warn_from and self._row & (self._row - 1) == 0:
            warn_caller(self._text(stream, timeout), StreamTimeoutWarning)
        return True

    def _text(self, stream: Stream, timeout: float | None) -> str:
        text = f"stream {stream.name!r}: no new frame within {timeout} s"
        if self._row == 1:
            return f"{text}; this is the previous one"
        long = time.monotonic() - self._began
        which = "; the previous frame"
        if long >= _LONG_SECONDS:
            which = f", for {long:.0f} s; frame {stream.counter}"
        return f"{text}, {self._row} times in a row{which} is returned again{self._advice}"


def why_silent(stream: Stream) -> str:
    """Return what is known of the writer of a stream that has no new frame, for messages."""
    return last_written(stream.write_time_ns, stream.deleted)
