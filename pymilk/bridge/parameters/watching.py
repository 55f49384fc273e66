"""Changes of the parameters of another machine, one by one."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from ...errors import BridgeMessageError, FPSReplacedError
from ...parameters.watching import Change, ChangeLoop
from ...system.latch import Latch
from ..keys import CHANGES, READ, parameter_key
from .asking import Asking
from .wire import decode, value_of

__all__ = ["RemoteWatch"]

#: Messages that are kept until they are looked at, and most bytes of one. What is lost is asked for.
_KEPT, _MESSAGE_MOST = 64, 256 << 10

#: Seconds without a message after which the host is asked whether it is there: it says something each second.
_SILENCE_SECONDS = 5.0


class RemoteWatch(ChangeLoop):
    """Changes of some parameters of another machine, in a ``for`` loop; see `RemoteParameters.watch`.

    Changes count from the moment that the watch was made. It ends after `close`, and when no change comes in
    time. A message that is lost on the way is noticed within a second, and all parameters are read then:
    values that come are always true, and `Change.missed` counts the writes between them.

    Attributes
    ----------
    refused : int
        Messages that were none, and were left out.
    """

    def __init__(self, asking: Asking, keys: tuple[str, ...], timeout: float | None) -> None:
        super().__init__(asking.fps, timeout)
        self._asking = asking
        self.refused = 0
        self._messages: deque[bytes] = deque(maxlen=_KEPT)
        self._news = Latch()
        self._last = -1  # number of the message that was taken last
        self._heard = time.monotonic()
        key = parameter_key(asking.host, asking.fps, READ, CHANGES)
        self._listening = asking.engine.listen(key, self._take_message)
        try:
            self._file, params = asking.params(keys or None)
        except BaseException:
            self._listening.close()
            raise
        self._keys = {each.key for each in params} if keys else None
        self._seen = {each.key: each.cnt0 for each in params}

    def _take_message(self, message: bytes) -> None:
        if len(message) <= _MESSAGE_MOST:
            self._messages.append(message)
        else:
            self.refused += 1
        self._news.set()

    def _wait(self, deadline: int) -> bool:
        """Wait for a change; False when the watch is over."""
        while not self._closed:
            self._news.clear()
            while self._messages:
                self._read(self._messages.popleft())
            if self._ready:
                return True
            now = time.monotonic()
            left = deadline / 1e9 - now if deadline >= 0 else _SILENCE_SECONDS
            if left <= 0:
                return False
            silent = self._heard + _SILENCE_SECONDS - now
            if silent <= 0:
                self._read_all()  # raises if nobody is there
                continue
            self._news.wait(min(left, silent))
        return False

    def _read(self, message: bytes) -> None:
        """Take the changes of a message; what is none of them is left out."""
        try:
            given = decode(message, _MESSAGE_MOST)
            file, number, changes = given.get("file"), given.get("number"), given.get("changes")
            if type(number) is not int or not isinstance(changes, list):
                raise BridgeMessageError("a message about changes is none")
            told = [_change_of(each) for each in changes]
        except BridgeMessageError:
            self.refused += 1
            return
        self._heard = time.monotonic()
        whole, self._last = number == self._last + 1, number
        if file != self._file or not whole:
            self._read_all()
        for key, value, count in told:
            self._note(key, value, count)

    def _read_all(self) -> None:
        """Read all parameters: something was lost on the way, or is not known yet."""
        file, params = self._asking.params(self._keys)
        self._heard = time.monotonic()
        if file != self._file:
            fps = self._asking.fps
            raise FPSReplacedError(
                f"fps {fps!r} of {self._asking.host} was made anew; watch it again", fps=fps
            )
        for each in params:
            self._note(each.key, each.value, each.cnt0)

    def _note(self, key: str, value: Any, count: int) -> None:
        before = self._seen.get(key, 0)
        if count > before and (self._keys is None or key in self._keys):
            self._seen[key] = count
            self._ready.append(Change(key, value, count, count - before - 1))

    def take(self) -> list[Change]:
        """Return the changes that have come already."""
        changes = list(self._ready)
        self._ready.clear()
        return changes

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._closed

    def close(self) -> None:
        """End the loop, also from another thread."""
        super().close()
        self._listening.close()
        self._news.set()


def _change_of(given: Any) -> tuple[str, Any, int]:
    """Check a change: key, value and counter."""
    if not isinstance(given, list) or len(given) != 4:
        raise BridgeMessageError("a change is none")
    key, kind, value, count = given
    if not (isinstance(key, str) and type(count) is int and 0 <= count < 2**64):
        raise BridgeMessageError("a change is none")
    return key, value_of({"type": kind, "value": value}), count
