"""What is counted of questions about parameters, and how many of them are answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...errors import BridgeMessageError
from ...system.faults import words_of_fault
from ..reports import ParameterReport
from .wire import encode, told_error

__all__ = ["Account", "Rate"]

#: Questions a second that are answered, of each kind.
_RATE = 1000.0


class Rate:
    """Lets so many questions pass a second, and no more than that at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left, self._when = _RATE, time.monotonic()

    def take(self) -> None:
        """Let one pass.

        Raises
        ------
        BridgeMessageError
            There are too many.
        """
        with self._lock:
            now = time.monotonic()
            self._left = min(_RATE, self._left + (now - self._when) * _RATE)
            self._when = now
            if self._left < 1:
                raise BridgeMessageError(f"more than {_RATE:g} questions a second are not answered")
            self._left -= 1


class Account:
    """Counts what was asked, done and refused; used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._report = ParameterReport()

    def count(self, name: str) -> None:
        """Add one to a field of the report."""
        with self._lock:
            setattr(self._report, name, getattr(self._report, name) + 1)

    def note(self, error: BaseException) -> None:
        """Keep what went wrong although nobody asked."""
        with self._lock:
            self._report.trouble = words_of_fault(error)

    def refuse(self, error: BaseException) -> bytes:
        """Count a refusal, and return it as it is sent."""
        with self._lock:
            self._report.refused += 1
            self._report.trouble = words_of_fault(error)
        return encode(told_error(error))

    def answer(self, rate: Rate, do: Callable[[], dict[str, Any]]) -> bytes:
        """Return the answer to a question, or why there is none; never raises."""
        self.count("asked")
        try:
            rate.take()
            return encode(do())
        except Exception as error:  # noqa: BLE001 (who asks would wait for an answer)
            return self.refuse(error)

    def told(self, fps: list[str]) -> ParameterReport:
        """Return the report as it is now; `fps` are offered."""
        with self._lock:
            return replace(self._report, fps=fps)
