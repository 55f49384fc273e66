"""`Single`: objects of which there is one."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["Single"]


class Single:
    """Base of objects that own what two cannot share: a thread, a process, a port, a place to read.

    `copy`, `deepcopy` and `pickle` raise TypeError, which says what to do instead. A copy would end with
    itself what the original goes on to use.
    """

    __slots__ = ()

    #: Why, and what to do instead: subclasses say it.
    _single = "it belongs to this process; make another one there"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} objects cannot be copied or pickled: {self._single}")
