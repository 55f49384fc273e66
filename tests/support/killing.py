"""Kill a process at each of its steps: a victim in single steps, by ptrace, and what it leaves behind.

The victim is a child after fork that does one thing to a stream. It is stopped after each instruction that
changed the bytes of the file, or at each system call of any of its threads, and killed there. Nothing has to
be compiled for it. To be imported by a process that has a single thread.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

TRACEME, SINGLESTEP, SYSCALL, SETOPTIONS, GET_CALL = 0, 9, 24, 0x4200, 0x420E
EXITKILL, TRACESYSGOOD, TRACECLONE = 0x100000, 1, 8
#: What a stop at a system call looks like.
AT_CALL = signal.SIGTRAP | 0x80
#: Have waitpid tell of threads as well (__WALL).
ALL_THREADS = 0x40000000

#: Numbers of system calls that change files, or what is known of them: of these machines.
CHANGING = {
    "x86_64": {
        "write": 1, "open": 2, "close": 3, "mmap": 9, "munmap": 11, "pwrite64": 18, "writev": 20, "msync": 26,
        "flock": 73, "fsync": 74, "fdatasync": 75, "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83,
        "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "openat": 257, "mkdirat": 258, "unlinkat": 263,
        "renameat": 264, "linkat": 265, "fallocate": 285, "pwritev": 296, "renameat2": 316,
    },
    "aarch64": {
        "flock": 32, "mkdirat": 34, "unlinkat": 35, "linkat": 37, "renameat": 38, "truncate": 45,
        "ftruncate": 46, "fallocate": 47, "openat": 56, "close": 57, "write": 64, "writev": 66,
        "pwrite64": 68, "pwritev": 70, "fsync": 82, "fdatasync": 83, "munmap": 215, "mmap": 222, "msync": 227,
        "renameat2": 276,
    },
}.get(os.uname().machine, {})  # fmt: skip
_NAMES = {number: name for name, number in CHANGING.items()}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request: int, pid: int, data: int = 0) -> None:
    if _libc.ptrace(request, pid, None, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class _CallInfo(ctypes.Structure):
    """What the kernel tells of a stop: struct ptrace_syscall_info, as far as an entry goes."""

    _fields_ = [
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("args", ctypes.c_uint64 * 6),
    ]


class Stop(NamedTuple):
    """A thread that is about to make a system call, or has just made one."""

    call: str
    entering: bool
    main: bool


def permitted() -> bool:
    """Tell whether a child may be traced: containers can forbid it."""
    pid = os.fork()
    if pid == 0:
        try:
            ptrace(TRACEME, 0)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def share_a_processor() -> None:
    """Stay on one processor, with all that this process starts from here on.

    A step of a victim is a turn of two processes. Where the other one has to be woken up on a processor that
    sleeps, it takes four times as long.
    """
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[os.getpid() % len(allowed)]})


class Victim:
    """A child that prepares itself, and then does one thing, step by step.

    Parameters
    ----------
    prepare : callable
        Called first, at full speed; what it returns is given to `act`.
    act : callable
        Called step by step.
    options : int
        Of ptrace, besides those that are always set.
    """

    #: It has one thread, which does a step at a time.
    steps = True

    def __init__(self, prepare: Callable[[], Any], act: Callable[[Any], None], options: int = 0) -> None:
        if self.steps:
            share_a_processor()
        self.alive = True
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                ptrace(TRACEME, 0)
                given = prepare()
                os.kill(os.getpid(), signal.SIGSTOP)
                act(given)
                os.kill(os.getpid(), signal.SIGSTOP)
                code = 0
            finally:
                os._exit(code)
        assert self._wait() == signal.SIGSTOP, "the victim failed to prepare itself"
        ptrace(SETOPTIONS, self.pid, EXITKILL | TRACESYSGOOD | options)

    def _wait(self) -> int:
        """Wait until it stops; returns the signal, or -1 once it has ended."""
        _, status = os.waitpid(self.pid, 0)
        self.alive = os.WIFSTOPPED(status)
        return os.WSTOPSIG(status) if self.alive else -1

    def go(self, how: int) -> int:
        """Let it do a step, or go on to the next system call; returns the signal that it stopped with."""
        ptrace(how, self.pid)
        return self._wait()

    def kill(self) -> None:
        """Kill it where it stands, and reap it."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
            while self._wait() >= 0:
                pass


class Threads(Victim):
    """A victim all of whose threads are stopped at the system calls that change files.

    Parameters
    ----------
    prepare, act
        See `Victim`.
    any_call : bool, default False
        At all others as well.
    """

    steps = False

    def __init__(
        self, prepare: Callable[[], Any], act: Callable[[Any], None], any_call: bool = False
    ) -> None:
        super().__init__(prepare, act, TRACECLONE)
        self._any_call = any_call
        self._threads = {self.pid}
        self._within: dict[int, str] = {}  # the call that each thread is in, if it is one of those
        self._stopped: tuple[int, int] = (self.pid, 0)

    def next_call(self) -> Stop | None:
        """Let all threads go on to the next such call, or the end of it; None once the victim is done."""
        while True:
            thread, number = self._stopped
            ptrace(SYSCALL, thread, number)
            stop = self._event()
            if stop is not None or not self._threads:
                return stop

    def _event(self) -> Stop | None:
        """Wait for a thread to stop; returns the call if it is at one of those."""
        while True:
            thread, status = os.waitpid(-1, ALL_THREADS)
            if os.WIFSTOPPED(status):
                break
            self._threads.discard(thread)
            self._within.pop(thread, None)
            self.alive = thread != self.pid
            assert self.alive, f"the victim ended: {status:#x}"
        new = thread not in self._threads
        self._threads.add(thread)
        self._stopped = (thread, 0)
        number = os.WSTOPSIG(status)
        if number == AT_CALL:
            return self._call(thread)
        if number == signal.SIGSTOP and not new:  # it has done all it had to do
            self._threads.clear()
        elif number != signal.SIGTRAP and not new:
            self._stopped = (thread, number)
        return None

    def _call(self, thread: int) -> Stop | None:
        if thread in self._within:
            name = self._within.pop(thread)
            return Stop(name, False, thread == self.pid) if name else None
        info = _CallInfo()
        if _libc.ptrace(GET_CALL, thread, ctypes.sizeof(info), ctypes.addressof(info)) < 0:
            raise OSError(ctypes.get_errno(), "the kernel does not tell which call it is")
        name = _NAMES.get(info.number, "") if CHANGING else str(info.number)
        if self._any_call:
            name = name or str(info.number)
        elif (
            (name == "mmap" and info.args[4] & 0xFFFFFFFF == 0xFFFFFFFF)  # memory
            or (name == "openat" and not info.args[2] & os.O_CREAT)
            or (name == "open" and not info.args[1] & os.O_CREAT)
            or (name in ("write", "writev") and info.args[0] <= 2)
        ):
            name = ""
        self._within[thread] = name
        return Stop(name, True, thread == self.pid) if name else None

    def kill(self) -> None:
        """Kill it where it stands, and reap all of its threads."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        while self.alive:
            thread, status = os.waitpid(-1, ALL_THREADS)
            self.alive = thread != self.pid or os.WIFSTOPPED(status)


def kill_at_each_store(
    prepare: Callable[[], Any],
    act: Callable[[Any], None],
    contents: Callable[[], bytes],
    every: int = 1,
    first: int = 0,
) -> Iterator[int]:
    """Kill a victim behind each instruction that changed the file; yields how many there were.

    Parameters
    ----------
    prepare, act
        Of a new `Victim` each time.
    contents : callable
        The bytes of the file. Before each victim the caller has put it back to where it was.
    every, first : int
        Only each so many-th store, from this one on.
    """
    wanted = first
    while kill_behind_store(prepare, act, contents, wanted):
        yield wanted + 1
        wanted += every


def kill_behind_store(
    prepare: Callable[[], Any], act: Callable[[Any], None], contents: Callable[[], bytes], number: int
) -> bool:
    """Kill a victim behind the store of this number, from 0 on; False if it made fewer."""
    victim = Victim(prepare, act)
    try:
        stores = 0
        for stores, _ in enumerate(_stores(victim, contents), start=1):
            if stores > number:
                return True
        assert victim.alive, f"the victim ended after {stores} stores"
        return False
    finally:
        victim.kill()


def leave_each_store(
    prepare: Callable[[], Any], act: Callable[[Any], None], content: mmap.mmap, again: int = 12
) -> Iterator[int]:
    """Leave behind, one after the other, what a victim had stored when it died: as `kill_at_each_store`.

    One victim does everything, and is killed: then the file is made what it was behind each store. So a death
    behind each costs no walk of its own to there. Behind each `again`-th one a new victim is killed all the
    same.
    """
    before = content[:]
    victim = Victim(prepare, act)
    try:
        left = list(_stores(victim, lambda: content[:]))
        assert victim.alive, f"the victim ended after {len(left)} stores"
    finally:
        victim.kill()
    for number, stored in enumerate(left):
        content[:] = before
        if number % again:
            content[:] = stored
        else:
            assert kill_behind_store(prepare, act, lambda: content[:], number)
        yield number + 1


def _stores(victim: Victim, contents: Callable[[], bytes]) -> Iterator[bytes]:
    """Let a victim go on to its end, if nobody kills it; yields the bytes of the file behind each store."""
    before = contents()
    while (stop := victim.go(SINGLESTEP)) == signal.SIGTRAP:
        after = contents()
        if after != before:
            before = after
            yield after
    assert not victim.alive or stop == signal.SIGSTOP


def kill_at_each_call(
    prepare: Callable[[], Any], act: Callable[[Any], None], every: int = 1, first: int = 0
) -> Iterator[int]:
    """Kill a victim before and behind each system call; yields the number of such stops before its death."""
    wanted = first
    while True:
        victim = Victim(prepare, act)
        try:
            stops = 0
            while stops <= wanted and (stop := victim.go(SYSCALL)) == AT_CALL:
                stops += 1
            done = stops <= wanted
            assert not done or stop == signal.SIGSTOP, f"the victim ended after {stops} stops"
        finally:
            victim.kill()
        if done:
            return
        yield stops
        wanted += every


def kill_at_each_change(
    prepare: Callable[[], Any],
    act: Callable[[Any], None],
    every: int = 1,
    first: int = 0,
    any_call: bool = False,
) -> Iterator[tuple[int, Stop]]:
    """Kill a victim before and behind each call, of whatever thread, that changes a file, or at any call.

    Yields the number of such stops before its death, and the last one. Which thread comes first differs from
    one victim to the next.
    """
    wanted = first
    while True:
        victim = Threads(prepare, act, any_call)
        try:
            stops, stop = 0, None
            while stops <= wanted:
                stop = victim.next_call()
                if stop is None:
                    break
                stops += 1
        finally:
            victim.kill()
        if stop is None:
            return
        yield stops, stop
        wanted += every


def content_of(path: str) -> mmap.mmap:
    """Map a file, to see what the dead leave in it and to put it back."""
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def count_deaths(kill: Callable[[], Iterator[int]]) -> None:
    """Print how many deaths there were, and how much the last one had done; or why there can be none."""
    if not permitted():
        print("not permitted")
        return
    deaths = list(kill())
    print(len(deaths), deaths[-1] if deaths else 0)
