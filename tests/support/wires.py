"""An engine of the bridge within one process: it carries, drops and keeps what a test says."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from pymilk.bridge.engine import Answer
from pymilk.times import now_ns


def matches(key: str, pattern: str) -> bool:
    return fnmatchcase(key.replace("$*", "*"), pattern.replace("$*", "*"))


class Entry:
    """What one of the others said or asked for."""

    def __init__(self, among: list[Entry], key: str, call: Callable[..., object] | None) -> None:
        self._among, self.key, self.call = among, key, call
        among.append(self)

    def close(self) -> None:
        if self in self._among:
            self._among.remove(self)


class WireOutlet(Entry):
    def __init__(self, wires: Wires, key: str, heard: Callable[[], object]) -> None:
        super().__init__(wires.outlets, key, heard)
        self._wires = wires

    @property
    def wanted(self) -> bool:
        return self._wires.wanted(self.key)

    def put(self, message: bytes) -> None:
        self._wires.put(self.key, message)


class Listener(Entry):
    def __init__(self, wires: Wires, key: str, take: Callable[..., object]) -> None:
        super().__init__(wires.listeners, key, take)
        self._wires = wires
        wires.tell(key)

    def close(self) -> None:
        super().close()
        self._wires.tell(self.key)


class Presence(Entry):
    def __init__(self, wires: Wires, key: str) -> None:
        super().__init__(wires.here, key, None)
        self._wires = wires
        wires.tell_of(key, True)

    def close(self) -> None:
        there = self in self._among
        super().close()
        if there:
            self._wires.tell_of(self.key, False)


class Wires:
    """Carries each message at once to all who listen, unless `drop` says no.

    Attributes
    ----------
    drop : callable
        Gets the number of a message, from 0 on, and returns whether it gets lost.
    messages : list of bytes
        All that were put.
    """

    failed = False

    def __init__(self, drop: Callable[[int], bool] = lambda number: False) -> None:
        self.drop = drop
        self.messages: list[bytes] = []
        self.outlets: list[Entry] = []
        self.listeners: list[Entry] = []
        self.answers: list[Entry] = []
        self.here: list[Entry] = []
        self.notices: list[Entry] = []

    def wanted(self, key: str) -> bool:
        return any(each.key == key for each in self.listeners)

    def tell(self, key: str) -> None:
        for each in list(self.outlets):
            if each.key == key:
                each.call()

    def put(self, key: str, message: bytes) -> None:
        self.messages.append(message)
        if not self.drop(len(self.messages) - 1):
            for each in list(self.listeners):
                if each.key == key:
                    each.call(message)

    def outlet(self, key, heard, *, urgent=False):
        return WireOutlet(self, key, heard)

    def listen(self, key, take):
        return Listener(self, key, take)

    def answer(self, key, say):
        return Entry(self.answers, key, say)

    def ask(self, key, timeout, question=b"", *, urgent=False):
        asked = [each for each in list(self.answers) if matches(each.key, key) or matches(key, each.key)]
        keys = {each: key if "*" in each.key else each.key for each in asked}
        said = [(keys[each], each.call(keys[each], question)) for each in asked]
        return [Answer(at, message, now_ns()) for at, message in said if message is not None]

    def appear(self, key):
        return Presence(self, key)

    def tell_of(self, key: str, there: bool) -> None:
        for each in list(self.notices):
            if matches(key, each.key):
                each.call(key, there)

    def notice(self, key, changed):
        for each in self.here:
            if matches(each.key, key):
                changed(each.key, True)
        return Entry(self.notices, key, changed)

    def neighbours(self):
        return []

    def close(self) -> None:
        pass
