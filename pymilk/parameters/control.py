"""The conf and run process of an FPS, started and stopped from outside; and their states.

What is typed, and which bits are set and cleared with it, is what milk's control program does. A process
counts as running if its PID is alive and was not started later than it registered.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable
from typing import Literal

from ..errors import FPSArgumentError, FPSCheckError, FPSKeyError, FPSTimeoutError
from ..system.processes import named_processes, owner_state
from .header import messages, read_field, write_field
from .table import ParameterTable
from .tmux import TmuxSession
from .watching import deadline_of
from .words import Signal, Status

__all__ = [
    "State",
    "conf_start",
    "conf_stop",
    "process_state",
    "registered",
    "run_start",
    "run_stop",
    "status_text",
    "tmux_start",
]

#: "starting": told to start, but not registered yet; "died": registered, then ended without saying so.
State = Literal["running", "starting", "died", "stopped"]

Role = Literal["conf", "run"]

_COMMAND_BIT = {"conf": Status.CMDCONF, "run": Status.CMDRUN}

#: Programs, functions and modules that can stand in a command line.
_WORD = re.compile(r"[A-Za-z0-9_.:/@%+=,-]+")

#: Texts of `.procinfo.cset` that ask for nothing: processes are in "system" anyway.
_NO_SET = ("", "system", "NULL", "NULLSTRING")

#: What starts a Python function: see program.py.
_OWN = "pymilk-exec"

#: Bits that are set until a check that was asked for is done.
_CHECK_PENDING = Signal.UPDATE | Signal.CHECKED

#: Seconds between two looks at a process that starts or stops.
_LOOK_SECONDS = 0.002


def registered(table: ParameterTable, role: Role) -> tuple[int, int]:
    """Return the PID that a process stored, and when it did so (ns of CLOCK_TAI)."""
    return read_field(table, f"{role}pid"), read_field(table, f"{role}pidstarttime").ns


def process_state(table: ParameterTable, role: Role) -> State:
    """Tell what has become of the conf or run process."""
    pid, since_ns = registered(table, role)
    if pid > 0 and owner_state(pid, since_ns) == "running":
        return "running"
    if not table.status & _COMMAND_BIT[role]:
        return "stopped"
    return "died" if pid > 0 else "starting"


def status_text(table: ParameterTable) -> str:
    """Tell the states of both processes and the result of the last check, in words."""
    status = Status(table.status)
    if Status.CHECKOK in status:
        check = "ok"
    else:
        count = read_field(table, "conferrcnt")
        check = f"{count} error{'s' if count != 1 else ''}" if count else "not done"
    return f"conf {process_state(table, 'conf')}, run {process_state(table, 'run')}, check {check}"


def _wait(
    table: ParameterTable, timeout: float | None, done: Callable[[], bool], role: Role, what: str
) -> None:
    """Wait until something is so; 0 does not wait at all."""
    deadline = deadline_of(timeout, table.name)
    if timeout == 0:
        return
    while not done():
        if 0 <= deadline <= time.monotonic_ns():
            assert timeout is not None
            pid = registered(table, role)[0]
            who = f" ({named_processes([pid])})" if pid > 0 else ""
            raise FPSTimeoutError(
                f"fps {table.name!r}: its {role} process{who} {what} in {float(timeout):g} s; "
                f"see window {role} of tmux session {table.name!r}",
                fps=table.name,
                timeout=timeout,
                pid=pid or None,
            )
        time.sleep(_LOOK_SECONDS)


def _word(table: ParameterTable, field: str, text: str) -> str:
    """Return a text of the file that is to stand in a command line, if it is a plain word."""
    if not _WORD.fullmatch(text):
        raise FPSArgumentError(
            f"fps {table.name!r}: its header says {field} {text!r}, which cannot be run: it has to be a "
            "plain word",
            fps=table.name,
            argument=field,
            found=text,
        )
    return text


def _command(table: ParameterTable, what: str, front: str = "") -> str:
    """Return the command by which the program behind the FPS is told to start or stop.

    `front` stands before the commands that the program is told, in the same quotes.
    """
    program = _word(table, "callprogname", read_field(table, "callprogname"))
    function = _word(table, "callfuncname", read_field(table, "callfuncname"))
    count = max(0, min(read_field(table, "NBmodule"), 50))
    modules = [_word(table, "modulename", each) for each in read_field(table, "modulename")[:count]]
    parts = [_word(table, "name", part) for part in table.name.split("-")[1:] if part]
    loads = "".join(f"mload {module};" for module in modules)
    words = " ".join(word for word in (front, loads, function, what, *parts) if word)
    return f'{_executable(program)} -n {table.name} "{words}"'


def _executable(program: str) -> str:
    """Return what to run: ``<program>-exec``; our own by its path, as the shells of tmux may not find it."""
    ours = os.path.join(os.path.dirname(sys.executable), _OWN)
    return shlex.quote(ours) if f"{program}-exec" == _OWN and os.access(ours, os.X_OK) else f"{program}-exec"


def tmux_start(table: ParameterTable) -> None:
    """Make the tmux session, with the shell functions that start and stop the processes."""
    session = TmuxSession(table.name)
    conf, stop = _command(table, "_CONFSTART_"), _command(table, "_RUNSTOP_")
    run = _command(table, "_RUNSTART_", "${TCSETCMDPREFIX}")
    front = "MILK_FPSPROCINFO=1"
    session.start(
        read_field(table, "workdir"),
        [f"function fpsconfstart {{ {front} {conf}; }}"],
        [f"function fpsrunstart {{ {front} {run}; }}", f"function fpsrunstop {{ {front} {stop}; }}"],
    )


def _go_there(session: TmuxSession, table: ParameterTable, window: str) -> None:
    session.type(window, f"cd {shlex.quote(read_field(table, 'workdir'))}")


def conf_start(table: ParameterTable, timeout: float | None) -> None:
    """Start the conf process in its window and wait for it."""
    if process_state(table, "conf") == "running":
        return
    session = TmuxSession(table.name)
    session.need()
    table.change_status(set_bits=Status.CMDCONF)
    table.change_signal(set_bits=Signal.UPDATE)
    try:
        _go_there(session, table, "conf")
        session.type("conf", "fpsconfstart")
    except BaseException:
        table.change_status(clear_bits=Status.CMDCONF)
        raise
    _wait(table, timeout, lambda: process_state(table, "conf") == "running", "conf", "did not start")


def conf_stop(table: ParameterTable, timeout: float | None) -> None:
    """Tell the conf process to end and wait for it."""
    table.change_signal(clear_bits=Signal.CONFRUN)
    _wait(table, timeout, lambda: process_state(table, "conf") != "running", "conf", "did not stop")


def run_start(table: ParameterTable, timeout: float | None) -> None:
    """Start the run process in its window and wait for it."""
    if process_state(table, "run") == "running":
        return
    session = TmuxSession(table.name)
    session.need()
    _need_check(table, timeout)
    lines = [*_settings(table), "fpsrunstart"]
    table.change_status(set_bits=Status.CMDRUN)
    try:
        _go_there(session, table, "run")
        for line in lines:
            session.type("run", line)
    except BaseException:
        table.change_status(clear_bits=Status.CMDRUN)
        raise
    table.change_signal(set_bits=Signal.UPDATE)
    _wait(table, timeout, lambda: process_state(table, "run") == "running", "run", "did not start")


def _need_check(table: ParameterTable, timeout: float | None) -> None:
    """Raise if the last check found errors. One that is asked for and can be done is waited for."""
    deadline = deadline_of(timeout, table.name)
    if table.signal & Signal.UPDATE and process_state(table, "conf") == "running":
        # UPDATE is cleared when the check begins, CHECKED when it is done.
        table.change_signal(set_bits=Signal.UPDATE | Signal.CHECKED)
    while table.signal & _CHECK_PENDING and process_state(table, "conf") == "running":
        if 0 <= deadline <= time.monotonic_ns():
            break
        time.sleep(_LOOK_SECONDS)
    if table.status & Status.CHECKOK:
        return
    said = [message.text for message in messages(table)]
    why = (
        f"the last check found: {'; '.join(said)}"
        if said
        else "its parameters were not checked; start conf first"
    )
    raise FPSCheckError(f"fps {table.name!r} cannot run: {why}", fps=table.name, messages=said)


def _value(table: ParameterTable, key: str) -> object:
    """Return a standard entry; None if the FPS does not have it."""
    with contextlib.suppress(FPSKeyError):
        return table.get(f"{table.name}.{key}")
    return None


def _settings(table: ParameterTable) -> list[str]:
    """Return the lines that set up the window before the run process starts."""
    lines = []
    prefix = []
    cpu_set, cpus = _value(table, "procinfo.cset"), _value(table, "procinfo.taskset")
    if isinstance(cpu_set, str) and cpu_set not in _NO_SET:
        prefix.append(f"csetpmove {_word(table, '.procinfo.cset', cpu_set)};")
    if isinstance(cpus, str) and cpus not in _NO_SET:
        prefix.append(f'tsetpmove "{_word(table, ".procinfo.taskset", cpus)}";')
    if cpu_set is not None or cpus is not None:
        # Commands of the program, not of the shell: they stand in the quotes of its command line.
        lines.append(f"export TCSETCMDPREFIX='{' '.join(prefix)}'")
    threads = _value(table, "procinfo.NBthread")
    if isinstance(threads, int):
        lines.append(f"export OMP_NUM_THREADS={threads}")
    folder = _value(table, "conf.datadir")
    if isinstance(folder, str) and folder:
        write_field(table, "datadir", folder)
    lines.append(f"mkdir -p {shlex.quote(read_field(table, 'datadir'))}")
    return lines


def run_stop(table: ParameterTable, timeout: float | None) -> None:
    """Stop the run process and wait for it. One outside of tmux gets the signal that Ctrl-C would send."""
    session = TmuxSession(table.name)
    pid, since_ns = registered(table, "run")
    if session.is_running():
        _go_there(session, table, "ctrl")
        session.type("ctrl", "fpsrunstop")
        session.interrupt("run")
    elif pid not in (0, os.getpid()) and owner_state(pid, since_ns) == "running":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGINT)
    table.change_status(clear_bits=Status.CMDRUN)
    table.change_signal(set_bits=Signal.UPDATE)
    _wait(table, timeout, lambda: process_state(table, "run") != "running", "run", "did not stop")
