"""`Channel`: what all channels have in common. ``with``, a descriptor, and tasks that wait."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from ..arguments import shown
from ..errors import ChannelArgumentError
from ..streams.waiting import Awaited
from ..streams.watching import Descriptor, read_later
from ..system.single import Single

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Channel", "check_start"]

_T = TypeVar("_T")


def check_start(start: str) -> None:
    """Raise an error if a reader cannot begin there."""
    if start not in ("now", "oldest"):
        text = f"start is 'now' or 'oldest', not {shown(start)}"
        raise ChannelArgumentError(text, argument="start", found=start)


class Channel(Single):
    """Something with `_awaited`, which `pymilk.wait_any`, descriptors and tasks wait for.

    It is the last of the bases of a class: the others say what to wait for.
    """

    _single = "what it has read, and its locks, belong to this process; pass the name, and attach it there"

    #: Made by `fileno`, and told after each read.
    _descriptor: Descriptor | None = None

    def _awaited(self) -> Awaited:
        """Return what `pymilk.wait_any` waits for: see `pymilk.streams.waiting.Awaited`."""
        raise NotImplementedError

    def _watched(self) -> Awaited:
        """Return what another thread waits for while this object reads."""
        return self._awaited()

    async def _later(self, read: Callable[[], _T], timeout: float | None) -> _T:
        """Read as soon as there is something, without blocking the event loop: see `read_later`."""
        return await read_later(read, self._watched, timeout)

    def fileno(self) -> int:
        """Return a descriptor that is readable while there may be something unread: for select, epoll, Qt.

        An eventfd, fed by one thread of the process, and closed with this object. It may be readable without
        anything new: read with a timeout of 0.

        Raises
        ------
        ChannelClosedError, StreamClosedError, ChannelRemovedError
        StreamStorageError
            This process has no file descriptors left.
        """
        if self._descriptor is None or self._descriptor.fileno() < 0:
            self._watched()  # raises if it is closed or removed
            self._descriptor = Descriptor(self._watched)
        return self._descriptor.fileno()

    def _tell(self) -> None:
        """Tell who waits by the descriptor that something was read, or that there is nothing."""
        if self._descriptor is not None:
            self._descriptor.update()

    def close(self) -> None:
        """Let go of the file."""
        raise NotImplementedError

    def _close_descriptor(self) -> None:
        if self._descriptor is not None:
            self._descriptor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self
