"""`Running`: this Python process as the conf and run process of an FPS.

The conf process of milk looks every `confwaitus` at two bits: CONFRUN, without which it ends, and UPDATE,
which asks it to check the parameters. Its run process ends at Ctrl-C, which is what a control program sends;
that program clears CMDRUN just after. Both are done here by one thread, which waits without the GIL.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import threading
import time
from types import TracebackType
from typing import Any

from ..errors import FPSError, FPSInUseError, FPSKeyError
from ..system.forks import left_with_parent, tell_after_fork
from ..system.latch import Latch
from ..system.processes import named_processes
from ..system.signals import unbroken
from ..system.single import Single
from ..system.threads import join_thread, start_thread
from ..times import now_ns
from .check import check_all
from .control import Role, process_state, registered
from .header import Message, write_field
from .table import ParameterTable
from .watching import deadline_of
from .words import Signal, Status, Timespec

__all__ = ["Running", "conf_step"]

#: Both states are looked at this often; requests as often as the file says.
_PIECE_NS = 50_000_000

#: Seconds that a control program may take from Ctrl-C to clearing CMDRUN.
_STOP_SECONDS = 0.5

_BITS = {"conf": Status.CONF | Status.CMDCONF, "run": Status.RUN | Status.CMDRUN}


def conf_step(table: ParameterTable) -> bool:
    """Do what a conf process does each time that it looks at its requests.

    Returns
    -------
    bool
        False if it was told to end.
    """
    if not table.signal & Signal.CONFRUN:
        return False
    roles: tuple[tuple[Role, Status], ...] = (("conf", Status.CONF), ("run", Status.RUN))
    is_up = Status(sum(bit for role, bit in roles if process_state(table, role) == "running"))
    before = Status(table.status) & (Status.CONF | Status.RUN)
    if is_up != before:
        # Other parameters may be written then, so all are checked again.
        table.change_status(set_bits=is_up, clear_bits=before & ~is_up)
        table.change_signal(set_bits=Signal.UPDATE)
    if table.signal & Signal.UPDATE:
        # Cleared first: a value that is written during the check asks for another one.
        table.change_signal(clear_bits=Signal.UPDATE)
        check_all(table)
    return True


class Running(Single):
    """The process behind an FPS; made by `FPS.running`, and entered with ``with``.

    Parameters
    ----------
    table : ParameterTable
    conf, run : bool
        Which of the two processes this is.

    Attributes
    ----------
    going : bool
        False once the run process was told to stop. Without run: once the conf process was.

    Notes
    -----
    When a control program stops it, the Ctrl-C that it sends comes as KeyboardInterrupt; the ``with`` block
    ends then without an error. A Ctrl-C of a user is passed on.
    """

    _single = "it is of one process; make another one"

    def __init__(self, table: ParameterTable, conf: bool | None, run: bool) -> None:
        self._table = table
        self._asked_conf = conf
        self._run = run
        self._conf = False
        self._pid = 0
        self._stopped = Latch()
        self._leave = False
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    # -- the block

    def __enter__(self) -> Running:
        table = self._table
        self._conf = self._asked_conf is True or (
            self._asked_conf is None and process_state(table, "conf") != "running"
        )
        parts: tuple[tuple[Role, bool], ...] = (("conf", self._conf), ("run", self._run))
        roles = [role for role, mine in parts if mine]
        for role in roles:
            self._need_free(role)
        self._pid = os.getpid()
        try:
            self._begin(roles)
            return self
        except BaseException:
            unbroken(self._end)
            raise

    def _begin(self, roles: list[Role]) -> None:
        table = self._table
        for role in roles:
            self._register(role)
        if self._conf:
            table.change_signal(set_bits=Signal.CONFRUN | Signal.UPDATE)
        if self._run:
            self._note_start()
        if self._conf:
            self._answer()
        self._thread = threading.Thread(target=self._serve, name=f"pymilk-fps-{table.name}", daemon=True)
        start_thread(self._thread)
        tell_after_fork(self)

    def _after_fork(self) -> None:
        # The thread stayed with the parent, which is the process of the FPS: nobody would tell this one.
        if not self._stopped.is_set():
            self._error = left_with_parent("process of an FPS", self._table.name)
            self._stopped = Latch()
            self._stopped.set()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if os.getpid() != self._pid:
            return False  # a child after fork: all of this is the parent's
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        try:
            told = interrupted and self._was_told()
            unbroken(self._end)
        except KeyboardInterrupt:
            # It may come so late, behind the bit that says the same.
            unbroken(self._end)
            if not self._was_told():
                raise
            told = interrupted
        if self._error is not None and kind is None:
            raise self._error
        return told

    def _end(self) -> None:
        """End the thread and leave the file as if the process had never run."""
        self._leave = True
        if self._thread is not None:
            join_thread(self._thread)
        with contextlib.suppress(FPSError):  # the file may be gone
            self._unregister("conf")
            self._unregister("run")

    def _need_free(self, role: Role) -> None:
        table = self._table
        pid = registered(table, role)[0]
        if pid != os.getpid() and process_state(table, role) == "running":
            raise FPSInUseError(
                f"fps {table.name!r}: its {role} process is {named_processes([pid])} already; stop that "
                "first",
                fps=table.name,
                pids=[pid],
            )

    def _register(self, role: Role) -> None:
        now = divmod(now_ns(), 1_000_000_000)
        # Time before PID: a reader must not take us for an old process whose PID was reused.
        write_field(self._table, f"{role}pidstarttime", Timespec(*now))
        write_field(self._table, f"{role}pid", self._pid)
        self._table.change_status(set_bits=_BITS[role])

    def _unregister(self, role: Role) -> None:
        """Leave the file as if the process had never run, if it is still ours."""
        if registered(self._table, role)[0] == self._pid:
            self._table.change_status(clear_bits=_BITS[role])
            write_field(self._table, f"{role}pid", 0)

    def _note_start(self) -> None:
        """Store when the run process started, where the FPS has an entry for it."""
        now = time.time_ns()
        started = datetime.datetime.fromtimestamp(now // 1_000_000_000, datetime.timezone.utc)
        text = f"{started:%Y%m%dT%H%M%S}.{now % 1_000_000_000:09d}Z"
        with contextlib.suppress(FPSKeyError):
            self._table.put(f"{self._table.name}.conf.timestring", text, True)

    def _was_told(self) -> bool:
        """Tell whether it was a control program that interrupted us."""
        return self._stopped.wait(_STOP_SECONDS) and self._error is None

    # -- the thread

    def _serve(self) -> None:
        """Answer requests until the block ends."""
        try:
            while not self._leave:
                self._table.wait_for_request(
                    time.monotonic_ns() + _PIECE_NS,
                    Signal.UPDATE if self._conf else 0,
                    Signal.CONFRUN if self._conf else 0,
                    Status.CMDRUN if self._run and not self._stopped.is_set() else 0,
                )
                if not self._table.is_current():
                    self._table.change_status()  # raises the error that says so
                self._answer()
        except BaseException as error:  # noqa: BLE001 (raised at the end of the block)
            self._error = error
            self._stopped.set()

    def _answer(self) -> None:
        """Do what is asked for now."""
        table = self._table
        if self._run and not table.status & Status.CMDRUN:
            self._stopped.set()
        if not self._conf:
            return
        if not conf_step(table):
            self._conf = False
            self._unregister("conf")
            if not self._run:
                self._stopped.set()

    # -- what the program in the block asks

    @property
    def going(self) -> bool:
        """Whether to go on."""
        return not self._stopped.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until told to stop; returns False if that does not come in time (seconds; None: for ever).

        Raises
        ------
        StreamForkedError
            This is a child of the process that entered the block: nobody tells it to stop.
        """
        deadline_of(timeout, self._table.name)  # raises for what is no time
        told = self._stopped.wait(None if timeout is None else float(timeout))
        if self._error is not None and os.getpid() != self._pid:
            raise self._error
        return told

    def stop(self) -> None:
        """Stop as if a control program had said so."""
        self._stopped.set()

    def check(self) -> list[Message]:
        """Check all parameters now, and return what is wrong."""
        return check_all(self._table)

    def read(self, key: str) -> Any:
        """Read a parameter, and tell so: a control program shows the value that was read last (`current`)."""
        return self._table.feed_back(self._table.entry(key))

    def write(self, key: str, value: Any) -> None:
        """Write a parameter of one's own program, whatever the permissions of others and the limits are."""
        self._table.put(key, value, True)
