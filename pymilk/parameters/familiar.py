"""Process information as existing scripts know it: `processinfo` of milk's Python bindings, on `ProcessInfo`.

New code takes `pymilk.parameters.ProcessInfo`, which has a loop, states and timing. Differences to the
bindings: a call that fails raises an error with a message instead of returning a number, and an object that
has no file yet raises instead of ending the process.
"""

from __future__ import annotations

import signal
import time
from typing import Any

from ..errors import ProcessInfoClosedError
from .familiar_times import timespec
from .process_layout import LoopState
from .processinfo import ProcessInfo

__all__ = ["ProcessInfoCalls", "cacao_processinfo", "processinfo", "timespec"]


def _of_field(field: str, doc: str) -> Any:
    """Make a property of a field of the structure."""
    return property(
        lambda self: self._process.field(field),
        lambda self, value: self._process.store(field, value),
        doc=doc,
    )


def _of_time(field: str, doc: str) -> Any:
    """Make a property of a time."""

    def get(self: ProcessInfoCalls) -> timespec:
        return timespec(*divmod(self._process.field(field), 1_000_000_000))

    def put(self: ProcessInfoCalls, value: timespec) -> None:
        self._process.store(field, value.tv_sec * 1_000_000_000 + value.tv_nsec)

    return property(get, put, doc=doc)


class ProcessInfoCalls:
    """Calls and properties that all three spellings of the class share.

    Parameters
    ----------
    name : str, optional
        Given: `create` is called with it.
    CTRLval : int, default 0
        0 run, 1 pause, 2 step, 3 exit.
    """

    def __init__(self, name: str | None = None, CTRLval: int = 0) -> None:
        self._open: ProcessInfo | None = None
        if name is not None:
            self.create(name, CTRLval)

    @property
    def _process(self) -> ProcessInfo:
        if self._open is None:
            raise ProcessInfoClosedError("this object has no process information; call create or link first")
        return self._open

    def create(self, name: str, CTRLval: int) -> int:
        """Make the process information of this process; returns 0."""
        self.close()
        self._open = ProcessInfo.create(name)
        self._open.store("CTRLval", CTRLval)
        return 0

    def link(self, name: str) -> int:
        """Open the process information of a process, by name or path; returns 0."""
        self.close()
        self._open = ProcessInfo.attach(name)
        return 0

    def close(self, name: str = "") -> int:
        """Let go of it, and remove the file if this process made it; returns 0. `name` has no effect."""
        process, self._open = self._open, None
        if process is not None:
            process.close()
        return 0

    def sigexit(self, sig: int) -> int:
        """Say in the message that a signal ended the process, and close; returns 0."""
        process = self._process
        try:
            name = signal.Signals(sig).name
        except ValueError:
            name = f"signal {sig}"
        process.store("loopstat", LoopState.CRASHED)
        process.store("statusmsg", f"{name} {time.strftime('%H:%M:%S')}")
        return self.close()

    def writeMessage(self, message: str) -> int:
        """Set the message, cut to 199 bytes; returns 0."""
        self._process.store("statusmsg", message)
        return 0

    def exec_start(self) -> int:
        """Note the start of an iteration; returns 0."""
        self._process.exec_start()
        return 0

    def exec_end(self) -> int:
        """Note its end, and count it; returns 0."""
        self._process.exec_end()
        return 0

    name = _of_field("name", "Name of the process.")
    source_FILE = _of_field("source_FILE", "Source file of the owner.")
    source_LINE = _of_field("source_LINE", "Line in it.")
    PID = _of_field("PID", "Process id.")
    loopcnt = _of_field("loopcnt", "Finished iterations.")
    CTRLval = _of_field("CTRLval", "Control word: 0 run, 1 pause, 2 step, 3 exit.")
    tmuxname = _of_field("tmuxname", "Session of tmux; a blank without.")
    loopstat = _of_field("loopstat", "State of the loop.")
    statusmsg = _of_field("statusmsg", "Last message.")
    statuscode = _of_field("statuscode", "Free status code.")
    description = _of_field("description", "What the process is for.")


class processinfo(ProcessInfoCalls):
    """As ``pyMilk.ProcessInfoWrap`` and ``pyMilk.interfacing.pinfo`` spell it."""

    source_function = _of_field("source_FUNCTION", "Function of the owner.")
    create_time = _of_time("createtime", "When it was made, by CLOCK_TAI.")


class cacao_processinfo(ProcessInfoCalls):
    """As ``CacaoProcessTools`` spells it."""

    source_FUNCTION = _of_field("source_FUNCTION", "Function of the owner.")
    createtime = _of_time("createtime", "When it was made, by CLOCK_TAI.")
