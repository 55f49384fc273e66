"""Handlers of signals that raise, as that of Ctrl-C does, and cannot be taken for anything else."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

__all__ = ["Told", "told"]


class Told(BaseException):
    """What the handlers raise: nobody else handles the signal. Its argument is the number."""


@contextlib.contextmanager
def told(*numbers: int) -> Iterator[None]:
    """Let these signals raise `Told` within a block; at its end no timer is left."""

    def tell(number: int, frame: object) -> None:
        raise Told(number)

    before = {number: signal.signal(number, tell) for number in numbers}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
