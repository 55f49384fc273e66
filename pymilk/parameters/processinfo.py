"""Process information: what a loop tells of itself, and how it is paused, stepped and stopped.

A loop of milk has a file ``proc.NAME.PID.shm``, which milk-procCTRL and `pymilk ps` show.
`ProcessInfo.attach` reads the file of any loop, `ProcessInfo.create` makes one for this process, and
`list_processes` reads all of them.
"""

from __future__ import annotations

import contextlib
import os
import signal as signals
import subprocess
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ..arguments import shown
from ..errors import (
    ProcessGoneError,
    ProcessInfoArgumentError,
    ProcessInfoClosedError,
    ProcessInfoError,
    ProcessInfoExistsError,
    ProcessInfoFormatError,
    ProcessInfoNotFoundError,
    ProcessInfoPermissionError,
    ProcessTimeoutError,
    StreamStorageError,
)
from ..native.checks import checked_timeout
from ..system.processes import owner_state, process_alive
from ..system.signals import held_signals, unbroken
from ..system.single import Single
from ..times import now_ns
from .loop import Loop
from .process_fields import decode, encode, known, nanoseconds
from .process_file import LoopRecord, MappedFile
from .process_folders import (
    ProcessList,
    check_process_name,
    find_files,
    new_file,
    not_made,
    process_directories,
    process_directory,
    process_path,
)
from .process_layout import LAYOUTS, V1, Control, Layout, LoopState, TriggerMode, TriggerStatus
from .status import ProcessStatus, State
from .timing import Timing, read_timing

__all__ = ["ProcessInfo"]

#: How often `stop` looks whether the process has ended, in seconds.
_STOP_LOOK = 0.005

#: Seconds that tmux has to tell the name of its session.
_TMUX_SECONDS = 1.0

#: What the format has instead of "none" in texts.
_NONE = " "


class ProcessInfo(Single):
    """The process information of one process.

    Made by `attach` or `create`; a context manager.

    Parameters
    ----------
    path : str
        A file ``proc.NAME.PID.shm``.
    writable : bool, optional
        Whether the process can be controlled. Default: if this user may.

    Raises
    ------
    ProcessInfoNotFoundError, ProcessInfoPermissionError, ProcessInfoFormatError

    Notes
    -----
    Every access reads or writes shared memory; there is no lock in the format. After `attach` only `control`
    is written, which is all that a controller may do. A file that is cut while it is in use raises
    `ProcessInfoDamagedError`.
    """

    _single = "it is of one process; attach it again by its path"

    def __init__(self, path: str, *, writable: bool | None = None) -> None:
        self._owner = False
        self._maker = os.getpid()
        if writable is None:
            try:
                self._file = MappedFile(path, True)
            except ProcessInfoPermissionError:
                self._file = MappedFile(path, False)
        else:
            self._file = MappedFile(path, writable)
        layout = LAYOUTS.get(self._file.nbytes)
        if layout is None:
            raise self._unknown_size()
        self._layout: Layout = layout
        self._fields = layout.fields
        self._list: tuple[ProcessList, int] | None = None

    def _unknown_size(self) -> ProcessInfoFormatError:
        found = self._file.nbytes
        path = self._file.path
        self._file.close()
        known = ", ".join(f"{nbytes} ({each.name})" for nbytes, each in LAYOUTS.items())
        return ProcessInfoFormatError(
            f"{path}: {found} bytes is the size of no known layout of process information; known are "
            f"{known}. Its program was built with another version of milk, or with a log file name in it",
            path=path,
            field="file size",
            expected=sorted(LAYOUTS),
            found=found,
        )

    # -- making and finding --------------------------------------------------------------------

    @classmethod
    def attach(
        cls,
        process: int | str | os.PathLike[str],
        *,
        directory: str | None = None,
        writable: bool | None = None,
    ) -> ProcessInfo:
        """Open the file of a process.

        Parameters
        ----------
        process : int, str or PathLike
            PID, name, or the path of the file (a str with "/" in it).
        directory : str, optional
            Where to look. Default: everywhere that programs of milk use.
        writable : bool, optional
            Default: if this user may write the file.

        Raises
        ------
        ProcessInfoNotFoundError
            There is none. A name whose process has ended is found if no living one has it.
        ProcessInfoArgumentError
            Several living processes have that name.
        ProcessInfoPermissionError, ProcessInfoFormatError
        """
        if isinstance(process, os.PathLike) or (isinstance(process, str) and "/" in process):
            return cls(os.fspath(process), writable=writable)
        if isinstance(process, bool) or not isinstance(process, (int, str)):
            raise ProcessInfoArgumentError(
                f"a process is a PID, a name or a path, not {shown(process)}",
                argument="process",
                found=process,
            )
        folders = process_directories() if directory is None else [directory]
        matches = [
            (pid, path)
            for folder in folders
            for name, path, pid in find_files(folder)
            if process in (name, pid)
        ]
        if not matches:
            raise ProcessInfoNotFoundError(
                f"no process information of {process!r} in {', '.join(folders)}; 'pymilk ps' lists all",
                process=process if isinstance(process, str) else None,
                pid=process if isinstance(process, int) else None,
                path=folders[0],
            )
        living = [path for pid, path in matches if _runs(pid, path)] if len(matches) > 1 else []
        if len(living) > 1:
            raise ProcessInfoArgumentError(
                f"{len(living)} processes have information of {process!r}: {', '.join(living)}; "
                "give the path of one",
                argument="process",
                found=process,
            )
        return cls(living[0] if living else matches[0][1], writable=writable)

    @classmethod
    def create(
        cls,
        name: str,
        *,
        description: str = "",
        message: str = "",
        limit: int | None = None,
        measure: bool = True,
        directory: str | None = None,
    ) -> ProcessInfo:
        """Make the process information of this process, so that milk-procCTRL and `pymilk ps` show it.

        Parameters
        ----------
        name : str
            1 to 79 bytes. The file is ``proc.NAME.PID.shm``, so several processes may have the same name.
        description : str, optional
            At most 199 bytes.
        message : str, optional
            First message; a longer one is cut to 199 bytes.
        limit : int, optional
            Iterations after which `loop` ends. Default: none.
        measure : bool, default True
            Store start and end of each iteration, which gives rate and jitter.
        directory : str, optional
            Default `pymilk.parameters.process_folders`.

        Returns
        -------
        ProcessInfo
            To be closed by its context or by `close`, which removes the file.

        Raises
        ------
        ProcessInfoNameError, ProcessInfoArgumentError
            The name or description does not fit; nothing was written.
        ProcessInfoExistsError
            This process has one of that name.
        ProcessListFullError
            No slot of the process list is free; nothing is left behind.
        ProcessInfoStorageError
            There is no room for the file, or no file descriptors are left; nothing is left behind.
        ProcessInfoPermissionError
            This user may not write in the directory.
        """
        check_process_name(name)
        whole = isinstance(limit, int) and not isinstance(limit, bool)
        if limit is not None and not (whole and 0 <= limit < 2**63):
            raise ProcessInfoArgumentError(
                f"process {name!r}: limit is a number of iterations or None, not {shown(limit)}",
                process=name, argument="limit", found=limit,
            )  # fmt: skip
        values = {
            "name": name,
            **_source_of(sys._getframe(1)),
            "PID": os.getpid(),
            "createtime": now_ns(),
            "loopcntMax": -1 if limit is None else limit,
            "tmuxname": _tmux_session(),
            "statusmsg": message,
            "triggerstreamID": -1,
            "triggerstreamname": _NONE,
            "RT_priority": -1,
            "MeasureTiming": int(bool(measure)),
            "description": description,
        }
        return cls._make(process_directory() if directory is None else directory, values)

    @classmethod
    def _make(cls, folder: str, values: dict[str, Any]) -> ProcessInfo:
        """Put the file in place, then take a slot of the list; leave nothing behind if one of them fails."""
        name, pid = values["name"], values["PID"]
        content = bytearray(V1.nbytes)
        for member, value in values.items():
            field = V1.fields[member]
            stored = encode(field, member, value, cut=member != "description")
            content[field.offset : field.offset + field.nbytes] = stored
        path = process_path(folder, name, pid)
        slots = ProcessList.open_or_make(folder)
        with contextlib.ExitStack() as undo:
            with held_signals():  # until it is sure to be undone
                undo.callback(slots.close)
                _place(path, bytes(content), name)
                undo.callback(os.unlink, path)
            index = slots.take(pid, name, values["createtime"])
            self = cls(path, writable=True)
            self._file.close()
            self._file = self._record = LoopRecord(path, self._fields)
            self._owner = True
            self._list = slots, index
            undo.pop_all()
            return self

    # -- fields --------------------------------------------------------------------------------

    def _get(self, name: str) -> Any:
        """Read a field of the structure by its name in C."""
        self._check_open()
        field = self._fields[name]
        return decode(field, self._file.get(field.offset, field.nbytes))

    def _check_open(self) -> None:
        if self._file.closed:
            raise ProcessInfoClosedError(f"{self.path}: this object is closed; attach again", path=self.path)

    def _put(self, name: str, value: Any) -> None:
        """Write a field; a text that is too long is cut."""
        self._check_open()
        if not self._file.writable:
            raise ProcessInfoPermissionError(
                f"{self.path} is open for reading only: this user may not write it, or it was attached with "
                "writable=False",
                path=self.path,
            )
        self._file.put(self._fields[name].offset, encode(self._fields[name], name, value, cut=True))

    def field(self, name: str) -> Any:
        """Read any field by its name in the C structure, for example ``"dtexec_limit_cnt"``.

        Parameters
        ----------
        name : str

        Returns
        -------
        int, str or bytes
            Times are nanoseconds. Arrays are bytes.

        Raises
        ------
        KeyError
            The layout has no such field.
        """
        return self._get(name)

    def store(self, name: str, value: Any) -> None:
        """Write any field by its name in the C structure.

        Only the owner should write fields other than ``CTRLval``. A text that is too long is cut.

        Parameters
        ----------
        name : str
        value : int, str or bytes
            As `field` returns it.

        Raises
        ------
        KeyError
            The layout has no such field.
        ProcessInfoArgumentError, ProcessInfoPermissionError
        """
        self._put(name, value)

    def fields(self) -> dict[str, Any]:
        """Read all fields, by their names in the C structure; the ring of times is left out."""
        return {name: self._get(name) for name in self._fields if name not in ("texecstart", "texecend")}

    @property
    def path(self) -> str:
        """Path of the file."""
        return self._file.path

    @property
    def layout(self) -> str:
        """Layout of the file: "v1", or "fw" for the development branch of 2026."""
        return self._layout.name

    @property
    def name(self) -> str:
        """Name of the process."""
        return str(self._get("name"))

    @property
    def pid(self) -> int:
        """Its PID."""
        return int(self._get("PID"))

    @property
    def created_ns(self) -> int:
        """When the information was made, nanoseconds of CLOCK_TAI."""
        return int(self._get("createtime"))

    @property
    def state(self) -> State:
        """Whether the process runs: "running", "gone", or "reused" if another process has its PID."""
        return owner_state(self.pid, self.created_ns)

    @property
    def control(self) -> Control | int:
        """What the process is told to do."""
        control: Control | int = known(Control, self._get("CTRLval"))
        return control

    @property
    def loop_state(self) -> LoopState | int:
        """What the process says of its loop."""
        state: LoopState | int = known(LoopState, self._get("loopstat"))
        return state

    @property
    def loop_count(self) -> int:
        """Finished iterations."""
        return int(self._get("loopcnt"))

    @property
    def loop_limit(self) -> int | None:
        """Iterations after which the loop ends; None without limit."""
        limit = int(self._get("loopcntMax"))
        return limit if limit >= 0 else None

    @property
    def message(self) -> str:
        """Last message. The owner sets it; a longer one is cut to 199 bytes."""
        return str(self._get("statusmsg"))

    @message.setter
    def message(self, text: str) -> None:
        self._own()
        self._put("statusmsg", text)

    @property
    def description(self) -> str:
        """What the process is for."""
        return str(self._get("description"))

    @property
    def trigger_name(self) -> str | None:
        """Stream that starts an iteration; None without."""
        return str(self._get("triggerstreamname")).strip() or None

    @property
    def cpus(self) -> list[int]:
        """Cores of the process, as its file tells them; empty if it tells none."""
        mask = int.from_bytes(self._get("CPUmask"), "little")
        return [core for core in range(8 * 128) if mask >> core & 1]

    @property
    def timing(self) -> Timing:
        """Start and end times of the last iterations; see `Timing`."""
        if self._file.closed:
            self._get("name")  # raises
        return read_timing(self._file, self._fields)

    def status(self) -> ProcessStatus:
        """Read what a list shows of the process."""
        get = self._get
        timing = self.timing
        mode, trigger = get("triggermode"), get("triggerstatus")
        return ProcessStatus(
            name=self.name,
            pid=self.pid,
            path=self.path,
            state=self.state,
            created_ns=self.created_ns,
            loop_count=self.loop_count,
            loop_limit=get("loopcntMax"),
            control=self.control,
            loop_state=self.loop_state,
            message=self.message,
            status_code=get("statuscode"),
            description=self.description,
            tmux=str(get("tmuxname")).strip(),
            source=f"{get('source_FILE')}:{get('source_LINE')} {get('source_FUNCTION')}",
            trigger=self.trigger_name,
            trigger_inode=get("triggerstreaminode"),
            trigger_mode=known(TriggerMode, mode),
            trigger_status=known(TriggerStatus, trigger),
            trigger_counter=get("triggerstreamcnt"),
            missed=get("triggermissedframe_cumul"),
            timeouts=get("trigggertimeoutcnt"),
            rate=timing.rate,
            jitter=timing.jitter,
            duration=timing.duration,
            last_start_ns=timing.last_start_ns,
        )

    # -- control -------------------------------------------------------------------------------

    def pause(self) -> None:
        """Have the loop wait before its next iteration."""
        self._tell(Control.PAUSE)

    def step(self) -> None:
        """Have a paused loop do one iteration."""
        self._tell(Control.STEP)

    def resume(self) -> None:
        """Have a paused loop go on."""
        self._tell(Control.RUN)

    def stop(self, timeout: float | None = None) -> None:
        """Have the loop end.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for that. Default: do not wait.

        Raises
        ------
        ProcessTimeoutError
            It did not end in time.
        ProcessGoneError, ProcessInfoPermissionError
        """
        limit = checked_timeout(timeout)
        self._tell(Control.EXIT)
        if limit is None:
            return
        deadline = time.monotonic() + limit
        while os.path.lexists(self.path) and self.state == "running" and self.loop_state != LoopState.STOP:
            if time.monotonic() >= deadline:
                raise ProcessTimeoutError(
                    f"process {self.name!r} ({self.pid}) has not ended {timeout} s after it was told; send "
                    "it a signal: signal(SIGTERM)",
                    process=self.name,
                    pid=self.pid,
                    path=self.path,
                    timeout=timeout,
                )
            time.sleep(_STOP_LOOK)

    def signal(self, number: int = signals.SIGTERM) -> None:
        """Send the process a signal.

        Parameters
        ----------
        number : int, default SIGTERM

        Raises
        ------
        ProcessGoneError
            It has ended; a process that has its PID now gets no signal.
        ProcessInfoPermissionError
            It belongs to another user.
        """
        self._need_running()
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            raise self._gone() from None
        except PermissionError as error:
            raise ProcessInfoPermissionError(
                f"process {self.name!r} ({self.pid}) belongs to another user; only that user may send it "
                "signals",
                process=self.name, pid=self.pid, path=self.path,
            ) from error  # fmt: skip

    def _tell(self, control: Control) -> None:
        self._need_running()
        self._put("CTRLval", control)

    def _need_running(self) -> None:
        if self.state != "running":
            raise self._gone()

    def _gone(self) -> ProcessGoneError:
        reused = " (another process has its PID now)" if self.state == "reused" else ""
        return ProcessGoneError(
            f"process {self.name!r} ({self.pid}) has ended{reused}; nothing was written. Remove its entry "
            "with 'pymilk ps --remove-stale'",
            process=self.name,
            pid=self.pid,
            path=self.path,
        )

    # -- the owner -----------------------------------------------------------------------------

    def _own(self) -> LoopRecord:
        """Return the record of the loop, which the process itself has."""
        if not self._owner:
            raise ProcessInfoPermissionError(
                f"{self.path} belongs to process {self.pid}, and only that process may do this; use pause, "
                "step, stop",
                pid=self.pid,
                path=self.path,
            )
        if self._file.closed or self._maker != os.getpid():
            raise ProcessInfoClosedError(
                f"{self.path}: this object is closed, or belongs to the parent process; make a new one",
                path=self.path,
            )
        return self._record

    def set_limits(
        self, *, period: float | None = None, duration: float | None = None, pause: bool = False
    ) -> None:
        """Set limits whose violations are counted and told in the message.

        Parameters
        ----------
        period, duration : float, optional
            Seconds from start to start, and from start to end of an iteration. None switches a limit off.
        pause : bool, default False
            Pause the loop at a violation.
        """
        self._own()
        for field, value in (("dtiter", period), ("dtexec", duration)):
            limit = 0 if value is None else nanoseconds("duration" if field == "dtexec" else "period", value)
            self._put(f"{field}_limit_value", limit)
            self._put(f"{field}_limit_enable", 0 if value is None else 2 if pause else 1)

    def exec_start(self) -> None:
        """Note the start of a computation, in a loop of your own instead of `loop`."""
        if late := self._own().begin():
            self._exceeded("dtiter", late)

    def exec_end(self) -> None:
        """Note its end, and count the iteration."""
        if late := self._own().end():
            self._exceeded("dtexec", late)

    def _exceeded(self, field: str, found_ns: int) -> None:
        """Count a violation of a limit, tell it, and pause if that is asked for."""
        limit = self._get(f"{field}_limit_value")
        self._put(f"{field}_limit_cnt", self._get(f"{field}_limit_cnt") + 1)
        found, permitted = f"{found_ns / 1000:.1f} us", f"{limit / 1000:.1f} us"
        self._put("statusmsg", f"{field} {found} is above the limit of {permitted}")
        if self._get(f"{field}_limit_enable") == 2:
            self._put("CTRLval", Control.PAUSE)

    def loop(
        self,
        source: Any = None,
        *,
        output: Any = None,
        timeout: float | None = None,
        period: float | None = None,
        copy: bool = True,
    ) -> Iterator[Any]:
        """Iterate as a loop of milk does: under control, counted and timed.

        Parameters
        ----------
        source : SHM, Stream or iterable, optional
            What starts an iteration. With a stream each iteration gets its newest frame, once; frames that
            came during an iteration are counted as missed. With an iterable each iteration gets its next
            item. Without, the iterations follow each other, and get their number.
        output : SHM, Stream or sequence of them, optional
            Streams that other threads or programs publish for the loop: their process trace is written after
            the iteration. What this thread publishes in the loop gets its trace by itself, see Notes.
        timeout : float, optional
            Longest wait for a frame, in seconds. Default: no limit.
        period : float, optional
            Without `source`: seconds from start to start.
        copy : bool, default True
            False gives a view of the frame in shared memory, valid until it is overwritten.

        Yields
        ------
        ndarray, item or int

        Raises
        ------
        StreamTimeoutError
            No frame came in time.
        ProcessInfoArgumentError
            `source` is nothing that can be waited for, or `period` is given with it.

        Notes
        -----
        Pause, step, resume and exit are obeyed before each iteration, and within 0.1 s while a frame is
        awaited; with an iterable, when its next item is there. Told to exit, the loop ends before the next
        iteration; C programs of milk do one more. With the control word 5 the source is read and counted, and
        nothing is yielded.

        With a stream as source, each other stream that this thread publishes in the loop gets a process
        trace, just before the frame is counted: readers of the frame find there from which frame of which
        stream it was made, and `pymilk graph` draws it.

        An iteration costs about 1.5 us beside what reading the frame costs, and a frame that is published
        with its trace 0.4 us more: see docs/processes.md.
        """
        return Loop(self, self._own(), source, output, timeout, period, copy).run()

    def publish(self, output: Any, frame: Any) -> None:
        """Publish a frame with its process trace, from any thread; in that of the loop ``set_data`` does it.

        Parameters
        ----------
        output : SHM or Stream
        frame : ndarray

        Raises
        ------
        ProcessInfoArgumentError
            The process is not within a `loop` over a stream.
        """
        self._own()
        if self._running is None:
            raise ProcessInfoArgumentError(
                f"process {self.name!r}: publish works within 'for frame in process.loop(stream)' only",
                argument="output", found=output,
            )  # fmt: skip
        self._running.publish(output, frame)

    _running: Loop | None = None
    _record: LoopRecord

    def _begin_loop(self, loop: Loop) -> None:
        """Note that a loop begins."""
        if self._running is not None:
            raise ProcessInfoArgumentError(
                f"process {self.name!r}: its loop is running already; a process has one loop at a time",
                argument="loop", found=loop,
            )  # fmt: skip
        self._check_slot()
        self._record.restart()
        self._put("loopcnt", 0)
        self._put("loopstat", LoopState.ACTIVE)
        self._running = loop

    def _end_loop(self) -> None:
        """Note that the loop has ended, unless the object was closed in it."""
        self._running = None
        if not self._file.closed and self._maker == os.getpid():
            with contextlib.suppress(ProcessInfoError):
                self._say_end()

    def _check_slot(self) -> None:
        """Take another slot of the process list if another program has overwritten ours."""
        if self._list is None:
            return
        slots, index = self._list
        with contextlib.suppress(ProcessInfoError):  # a list that was removed or damaged does not end a loop
            if not slots.holds(index, self.pid, self.name):
                self._list = slots, slots.take(self.pid, self.name, self.created_ns)

    # -- end -----------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the file. The owner says so in it first, and removes it.

        The slot of the process list stays for the monitor, which frees slots whose file is gone.
        """
        if self._file.closed:
            return
        if self._owner and self._maker == os.getpid():
            with contextlib.suppress(ProcessInfoError):
                self._say_end()
            with contextlib.suppress(FileNotFoundError, PermissionError):
                if os.stat(self.path, follow_symlinks=False).st_ino == self._file.inode:
                    os.unlink(self.path)
        if self._list is not None:
            self._list[0].close()
        self._file.close()

    def _say_end(self) -> None:
        """Store the last state and message, as C programs do."""
        clock = time.time()
        stamp = time.strftime("%H:%M:%S", time.localtime(clock)) + f".{int(clock * 1000) % 1000:03d}"
        if self.control == Control.EXIT:
            self._put("statusmsg", f"CTRLexit {stamp}")
        elif self.loop_state in (LoopState.ACTIVE, LoopState.PAUSE):
            self._put("statusmsg", f"Loop exit {stamp}")
        if self.loop_state not in (LoopState.ERROR, LoopState.CRASHED):
            self._put("loopstat", LoopState.STOP)

    def __enter__(self) -> ProcessInfo:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        mine = self._owner and self._maker == os.getpid()  # not that of a parent
        if mine and isinstance(error, Exception) and not self._file.closed:
            with contextlib.suppress(ProcessInfoError):
                self._put("loopstat", LoopState.ERROR)
                self._put("statusmsg", f"{type(error).__name__}: {error}")
        unbroken(self.close)

    def __del__(self) -> None:
        # Memory only. A file that is left is told by its PID; modules that removing it needs may be gone.
        if getattr(self, "_list", None) is not None:
            self._list = None

    def __repr__(self) -> str:
        if self._file.closed:
            return f"<ProcessInfo {self.path} closed>"
        return f"<ProcessInfo {self.name!r} pid={self.pid} loop={self.loop_count}>"


def _runs(pid: int, path: str) -> bool:
    """Tell whether the process of a file runs; by its PID alone if the file cannot be read."""
    try:
        with ProcessInfo(path, writable=False) as other:
            return other.state == "running"
    except (ProcessInfoError, StreamStorageError):
        return process_alive(pid)


def _source_of(frame: FrameType) -> dict[str, Any]:
    """Tell where a process information is made: the fields of the source."""
    code = frame.f_code
    return {"source_FUNCTION": code.co_name, "source_FILE": code.co_filename, "source_LINE": frame.f_lineno}


def _tmux_session() -> str:
    """Return the name of the tmux session of this process; a blank outside of one, as C programs store."""
    pane = os.environ.get("TMUX_PANE")
    if not os.environ.get("TMUX") or not pane:
        return _NONE
    command = ["tmux", "display-message", "-p", "-t", pane, "#S"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_TMUX_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return _NONE
    return told.stdout.strip() or _NONE


def _place(path: str, content: bytes, name: str) -> None:
    """Put the file of this process in place; one that an ended process with this PID left is replaced."""
    for _ in range(2):
        try:
            new_file(path, content)
            return
        except FileExistsError:
            with contextlib.suppress(ProcessInfoError):
                with ProcessInfo(path, writable=False) as other:
                    if other.state == "running":
                        break
                os.unlink(path)
        except OSError as error:
            raise not_made(path, error, name) from error
    raise ProcessInfoExistsError(
        f"{path} exists: this process has information of that name; choose another name, or close that one",
        process=name,
        pid=os.getpid(),
        path=path,
    )
