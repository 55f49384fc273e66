"""`timespec` of milk's Python bindings: one class for parameters and for process information."""

from __future__ import annotations

__all__ = ["timespec"]


class timespec:
    """A time in seconds and nanoseconds, both of which can be changed.

    Parameters
    ----------
    tv_sec, tv_nsec : int
    """

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __init__(self, tv_sec: int = 0, tv_nsec: int = 0) -> None:
        self.tv_sec, self.tv_nsec = tv_sec, tv_nsec

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, timespec):
            return NotImplemented
        return (self.tv_sec, self.tv_nsec) == (other.tv_sec, other.tv_nsec)

    def __repr__(self) -> str:
        return f"timespec(tv_sec={self.tv_sec}, tv_nsec={self.tv_nsec})"
