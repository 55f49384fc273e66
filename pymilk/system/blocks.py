"""`Block`: objects that run from the beginning of a ``with`` block to its end."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from .signals import unbroken
from .single import Single

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Block"]


class Block(Single, abc.ABC):
    """Base of objects with `start`, `stop` and `running` that ``with`` starts and stops.

    No signal leaves one of them running: neither just behind the start, nor within the end.
    """

    @property
    @abc.abstractmethod
    def running(self) -> bool:
        """Whether it was started and not stopped."""

    @abc.abstractmethod
    def start(self) -> Self:
        """Begin; returns itself."""

    @abc.abstractmethod
    def stop(self) -> Any:
        """End. A second call does nothing."""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            if self.running:  # an interrupt just behind it: __exit__ will not be called
                unbroken(self.stop)
            raise

    def __exit__(self, *exc: object) -> None:
        unbroken(self.stop)
