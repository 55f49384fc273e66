"""Watch streams through the night: which of them stall, slow down, lose frames, die, or run out of room."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core import FLAG_TORN
from ..arguments import check_number, check_texts
from ..errors import StreamError, StreamTimeoutError
from ..inspection import measure_rates, survey
from ..names import is_pattern, matches, stream_directory
from ..ring import RingReader
from ..system.signals import unbroken

__all__ = ["Event", "Limits", "Watcher"]

#: Seconds that a writer may take for a frame before it counts as stuck in it.
_STUCK = 1.0

#: Seconds that may be waited for frames that are there.
_NOW = 0.001


@dataclass(frozen=True)
class Limits:
    """What counts as trouble; None: not looked at.

    A writer that is dead or stuck within a frame, a stream that is damaged or gone, and a full file system
    are trouble in any case.

    Parameters
    ----------
    min_rate : float, optional
        Frames per second.
    max_age : float, optional
        Seconds since the last frame.
    max_lost : int, optional
        Frames that a reader of this process may lose from one look to the next. Each stream is read for that,
        with a thread of its own where it has no ring.
    max_full : float, default 95
        Percent of the file system of the streams.

    Raises
    ------
    StreamArgumentError
    """

    min_rate: float | None = None
    max_age: float | None = None
    max_lost: int | None = None
    max_full: float = 95.0

    def __post_init__(self) -> None:
        units = {"min_rate": "frames per second", "max_age": "seconds", "max_lost": "frames"}
        for name, wanted in units.items():
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), f"{wanted}, 0 to 1e12", 0.0, 1e12)
        check_number("max_full", self.max_full, "percent, 0 to 100", 0.0, 100.0)


@dataclass(frozen=True)
class Event:
    """A stream whose state changed.

    Attributes
    ----------
    when : float
        Seconds since 1970, UTC.
    stream : str
        Its name; "" for the file system.
    state : str
        "ok", or what is wrong: "stalled", "slow", "losing", "torn", "dead", "stuck", "gone", "unusable",
        "full".
    text : str
        In words, with numbers.
    """

    when: float
    stream: str
    state: str
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.when))
        return {"utc": moment, "stream": self.stream, "state": self.state, "text": self.text}

    def __str__(self) -> str:
        each = self.to_dict()
        what = f"{self.state}, {self.text}" if self.text else self.state
        return f"{each['utc']} {self.stream or 'file system'}: {what}"


class Watcher:
    """Looks at streams again and again, and tells what changed.

    Parameters
    ----------
    patterns : iterable of str
        Names, or patterns as the shell has them. A plain name has to be there; none means all streams.
    limits : Limits, optional

    Attributes
    ----------
    states : dict of str to Event
        The present state of each stream, and of the file system under "".
    streams : list of dict
        What `pymilk.survey` said at the last look, with ``rate``, and ``lost`` and ``torn`` since the look
        before where `Limits.max_lost` is given.

    Raises
    ------
    StreamNotFoundError
        There is no stream directory.
    """

    def __init__(self, patterns: Iterable[str] = (), limits: Limits | None = None) -> None:
        self._patterns = check_texts("patterns", patterns, "a tuple of names or patterns")
        self._limits = limits or Limits()
        self._readers: dict[str, RingReader] = {}
        self._known: dict[str, None] = {each: None for each in self._patterns if not is_pattern(each)}
        self.states: dict[str, Event] = {}
        self.streams = self._survey()

    def _survey(self) -> list[dict[str, Any]]:
        found = [each for each in survey() if not self._patterns or self._wanted(each["name"])]
        self._known.update(dict.fromkeys(each["name"] for each in found))
        return found

    def _wanted(self, name: str) -> bool:
        return matches(name, self._patterns)

    def look(self) -> list[Event]:
        """Look once more; returns an event for each stream whose state is another one than before.

        The first look tells the state of each. Rates are those since the last look.
        """
        before, self.streams = self.streams, self._survey()
        measure_rates(before, self.streams)
        entries = {each["name"]: each for each in self.streams}
        now = time.time()
        found = [self._file_system(now)]
        for name in self._known:
            entry = entries.get(name)
            if entry is None:
                found.append(Event(now, name, "gone", f"no such stream in {stream_directory()}"))
            elif "error" in entry:
                found.append(Event(now, name, "unusable", entry["error"]))
            else:
                if self._limits.max_lost is not None:
                    self._count(entry)
                found.append(Event(now, name, *self._state(entry)))
        changed = [each for each in found if self._is_new(each)]
        self.states = {each.stream: each for each in found}
        return changed

    def _is_new(self, event: Event) -> bool:
        last = self.states.get(event.stream)
        if last is None:
            return bool(event.stream) or event.state != "ok"
        return last.state != event.state

    def _file_system(self, now: float) -> Event:
        room = shutil.disk_usage(stream_directory())
        full = 100 * (1 - room.free / room.total)
        text = f"{full:.0f} % of {room.total / 1e6:.0f} MB"
        return Event(now, "", "full" if full > self._limits.max_full else "ok", text)

    def _state(self, entry: dict[str, Any]) -> tuple[str, str]:
        """Return the worst that is wrong with a stream, in a word and in words."""
        limits, age, rate = self._limits, entry["age"], entry["rate"]
        silent = f"no frame for {age:.1f} s" if age is not None else "no frame yet"
        if entry["writer_alive"] is False:
            return "dead", f"its writer, process {entry['writer_pid']}, has ended; {silent}"
        if entry["writing"] and age is not None and age > _STUCK:
            return "stuck", f"its writer is within a frame for {age:.1f} s"
        if limits.max_age is not None and (age is None or age > limits.max_age):
            return "stalled", f"{silent}, {limits.max_age:g} s allowed"
        if limits.min_rate is not None and rate is not None and rate < limits.min_rate:
            return "slow", f"{rate:.1f} frames/s, {limits.min_rate:g} wanted"
        if entry.get("torn"):
            return "torn", f"{entry['torn']} torn frames"
        if limits.max_lost is not None and entry.get("lost", 0) > limits.max_lost:
            return "losing", f"{entry['lost']} frames lost, {limits.max_lost} allowed"
        return "ok", "" if rate is None else f"{rate:.1f} frames/s"

    def _count(self, entry: dict[str, Any]) -> None:
        """Add what a reader lost since the last look, and how many torn frames it got."""
        name = entry["name"]
        entry["lost"] = entry["torn"] = 0
        try:
            reader = self._readers.get(name)
            if reader is None:
                self._readers[name] = RingReader(name)
                return
            waiting = reader.lag
            while waiting > 0:
                block = next(reader.blocks(waiting, timeout=_NOW))
                waiting -= len(block.frames)
                entry["lost"] += int(block.info["lost"].sum())
                entry["torn"] += int(np.count_nonzero(block.info["flags"] & FLAG_TORN))
        except StreamTimeoutError:
            pass  # the frames were overwritten meanwhile; the next look counts them
        except StreamError:
            self._forget(name)

    def _forget(self, name: str) -> None:
        reader = self._readers.pop(name, None)
        if reader is not None:
            reader.close()

    def close(self) -> None:
        """End the readers."""
        for name in list(self._readers):
            self._forget(name)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *exc: object) -> None:
        unbroken(self.close)
