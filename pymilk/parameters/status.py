"""What the file of a process said when it was read, for lists and pages."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from .process_layout import Control, LoopState

__all__ = ["ProcessStatus", "State"]

#: Of the process of an entry, by its PID and start time.
State = Literal["running", "gone", "reused"]


@dataclass(frozen=True)
class ProcessStatus:
    """What the file of one process said when it was read.

    Attributes
    ----------
    name, pid, path
        As the file name tells them.
    state : {"running", "gone", "reused"}
        Of the process: by its PID and its start time.
    error : str or None
        Why the file cannot be read; all that follows is None then.
    created_ns : int
        Nanoseconds of CLOCK_TAI.
    loop_count, loop_limit : int
        Finished iterations, and the number after which the loop ends; -1 is none.
    control : Control or int
    loop_state : LoopState or int
    message : str
    status_code : int
    description, tmux, source : str
        `source` is ``"FILE:LINE FUNCTION"``.
    trigger : str or None
        Name of the stream that starts an iteration.
    trigger_mode, trigger_status : int
    trigger_counter : int
    missed, timeouts : int
        Frames of the trigger stream that were not seen, and waits that ended without one; in total.
    rate, jitter, duration : float or None
        Iterations per second, standard deviation of the period and median time of an iteration in seconds.
        None if the loop does not measure.
    last_start_ns : int or None
        Start of the newest measured iteration.
    """

    name: str
    pid: int
    path: str
    state: State
    error: str | None = None
    created_ns: int | None = None
    loop_count: int | None = None
    loop_limit: int | None = None
    control: int | None = None
    loop_state: int | None = None
    message: str | None = None
    status_code: int | None = None
    description: str | None = None
    tmux: str | None = None
    source: str | None = None
    trigger: str | None = None
    trigger_inode: int | None = None
    trigger_mode: int | None = None
    trigger_status: int | None = None
    trigger_counter: int | None = None
    missed: int | None = None
    timeouts: int | None = None
    rate: float | None = None
    jitter: float | None = None
    duration: float | None = None
    last_start_ns: int | None = None

    @property
    def stale(self) -> bool:
        """Whether the process of the entry has ended."""
        return self.state != "running"

    @property
    def doing(self) -> str:
        """What the process does, in one word: "running", "paused", "stopped", ...; for lists."""
        if self.error is not None:
            return "unreadable"
        if self.stale:
            return "dead" if self.state == "gone" else "dead (PID reused)"
        if self.control == Control.EXIT:
            return "stopping"
        if self.control == Control.PAUSE:
            return "paused"
        names = {LoopState.INIT: "starting", LoopState.ACTIVE: "running", LoopState.PAUSE: "paused",
                 LoopState.STOP: "stopped", LoopState.ERROR: "error", LoopState.SPIN: "spinning",
                 LoopState.CRASHED: "crashed"}  # fmt: skip
        word = names.get(LoopState(self.loop_state)) if self.loop_state in names else None
        return word or f"state {self.loop_state}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("control", "loop_state", "trigger_mode", "trigger_status"):
            found[name] = getattr(found[name], "name", found[name])
        return {**found, "stale": self.stale, "doing": self.doing}
