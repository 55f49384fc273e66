"""`Alone`: what one thread at a time does with an object."""

from __future__ import annotations

import threading

from ..errors import StreamBusyError

__all__ = ["Alone"]


class Alone:
    """A block that one thread at a time is in; another one, or a signal handler within it, gets an error.

    Parameters
    ----------
    what : str
        The object, as the message begins.
    stream : str
        For the error.
    """

    def __init__(self, what: str, stream: str) -> None:
        self._what, self._stream = what, stream
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise StreamBusyError(
                f"{self._what}: another thread is reading from it, or a signal handler interrupted a read; "
                "give each one of its own",
                stream=self._stream,
            )

    def __exit__(self, *exc: object) -> None:
        self._lock.release()

    def after_fork(self) -> None:
        """Forget a thread of the parent that is in the block."""
        self._lock = threading.Lock()
