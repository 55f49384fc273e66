"""Whether a living process writes a stream, also one that is not visible from here.

The file has process numbers: of whoever posted the semaphores, and of its creator. A number that belongs to
no process here need not mean that its process has ended: in another container it has that number, and here
another one, or none. So a writer is looked for by its number, by what it calls itself in its own PID
namespace, and by its traces: a counter that moves, a raised ``write``, a fresh stamp.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..times import now_ns
from .mappings import FileId, has_mapped, mapped_by, those_called
from .processes import named_processes, numbered, owner_state, shows_all_processes

__all__ = ["PATIENCE", "Traces", "Writers", "living_writers", "note_as_ours"]

#: Seconds for which a counter is watched before its stream counts as free.
PATIENCE = 0.1

#: Seconds that the last frame of a writer that is not visible from here counts as fresh.
_FRESH = 5.0

#: Seconds for which it is watched at least if its last frame is fresh.
_SHORT_LOOK = 0.05

#: What shows in any container that there is a writer.
_MOVES = "its counter moves"

#: Seconds between two looks at a counter.
_LOOK_SECONDS = 0.002


class Traces(NamedTuple):
    """What the file of a stream tells of the processes that write it.

    Attributes
    ----------
    file : FileId
    posters : tuple of int
        Those that posted its semaphores last, as far as they are known.
    creator : int
        0 or less if that is not known.
    counter : int
    writing : bool
        ``write`` is raised.
    stamp_ns : int
        When it was written last, CLOCK_TAI; 0 if that was not stored.
    """

    file: FileId
    posters: tuple[int, ...]
    creator: int
    counter: int
    writing: bool
    stamp_ns: int

    @property
    def pids(self) -> tuple[int, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys(pid for pid in (*self.posters, self.creator) if pid > 0))

    @property
    def writers(self) -> tuple[int, ...]:
        """Those that published: the posters, or the creator if no poster is known and there are frames."""
        return self.posters or (self.pids if self.counter else ())


class Writers(NamedTuple):
    """The living writers of a stream, this process not counted.

    Attributes
    ----------
    pids : list of int
        Those that are visible from here.
    sign : str
        What shows that there is one although no number tells it; empty if nothing does.
    made : bool
        The processes are not known to have written it: one of them made it, and has it open.
    """

    pids: list[int]
    sign: str = ""
    made: bool = False

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.pids or self.sign)

    def __str__(self) -> str:
        """Say what they do, to follow the name of the stream."""
        names = named_processes(self.pids)
        if self.made:
            return f"was made by {names} and is open there"
        if self.sign:
            who = names if self.pids else "a process that is not visible from here"
            return f"is written by {who} ({self.sign})"
        return f"is written by {names}"


#: Files that this process has made or written in, and its number then.
_ours: dict[tuple[int, int], int] = {}


def note_as_ours(device: int, inode: int) -> None:
    """Note that this process writes a file: its number may also be that of a process of another container."""
    _ours[device, inode] = os.getpid()


def living_writers(
    look: Callable[[], Traces], patience: float = PATIENCE, *, creators: bool = False
) -> Writers:
    """Find the living writers of a stream, this process not counted.

    Parameters
    ----------
    look : callable
        Returns what the file tells now.
    patience : float, default 0.1
        Seconds for which a counter is watched if no number tells. 0 watches only if a frame is fresh.
    creators : bool, default False
        Count also the process that made the stream, if it has it open.

    Returns
    -------
    Writers
        A process counts if it has the file mapped. Where the mappings of another user cannot be read, its
        number has to do.
    """
    traces = look()
    own = _ours.get((traces.file.device, traces.file.inode)) == os.getpid()
    pids = _visible(traces, traces.writers, own)
    if not (pids or own):
        sign = _sign(look, traces, patience)
        if sign:
            return Writers(mapped_by(traces.file)[0] if sign == _MOVES else [], sign)
    if not pids and creators:
        return Writers(_visible(traces, (traces.creator,), own), made=True)
    return Writers(pids)


def _visible(traces: Traces, numbers: Iterable[int], own: bool) -> list[int]:
    """Return the living processes that numbers in the file mean, as far as they are visible from here."""
    found: list[int] = []
    for number in numbers:
        if number <= 0 or (own and number == os.getpid()):
            continue
        pids, known = those_called(number, traces.file)
        if known or owner_state(number, traces.stamp_ns) == "running":
            found += pids
    return list(dict.fromkeys(found))


def _sign(look: Callable[[], Traces], traces: Traces, patience: float) -> str:
    """Return what shows that a process writes the stream that its numbers do not name."""
    if not (traces.counter or traces.writing):
        return ""
    age = (now_ns() - traces.stamp_ns) / 1e9 if traces.stamp_ns else None
    fresh = age is not None and abs(age) < _FRESH
    if fresh or traces.writing:
        patience = max(patience, _SHORT_LOOK)
    deadline = time.monotonic() + patience
    while patience and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        if look().counter != traces.counter:
            return _MOVES
    below = [pid for number in traces.pids for pid in numbered(number)]
    untold = any(has_mapped(pid, traces.file) is None for pid in below)
    if shows_all_processes() and not untold:
        return ""  # those that the numbers meant have ended, in every container
    if traces.writing:
        return "its write flag is raised"
    return f"its last frame is {abs(age or 0.0):.1f} s old" if fresh else ""
