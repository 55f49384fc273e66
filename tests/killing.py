"""Kill a process at each of its steps: a victim in single steps, by ptrace, and what it leaves behind.

The victim is a child after fork that does one thing to a stream. It is stopped after each instruction that
changed the bytes of the file, or at each system call, and killed there. Nothing has to be compiled for it. To
be imported by a process that has a single thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

TRACEME, SINGLESTEP, SYSCALL, SETOPTIONS = 0, 9, 24, 0x4200
EXITKILL, TRACESYSGOOD = 0x100000, 1
#: What a stop at a system call looks like.
AT_CALL = signal.SIGTRAP | 0x80

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request: int, pid: int, data: int = 0) -> None:
    if _libc.ptrace(request, pid, None, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


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


class Victim:
    """A child that prepares itself, and then does one thing, step by step.

    Parameters
    ----------
    prepare : callable
        Called first, at full speed; what it returns is given to `act`.
    act : callable
        Called step by step.
    """

    def __init__(self, prepare: Callable[[], Any], act: Callable[[Any], None]) -> None:
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
        ptrace(SETOPTIONS, self.pid, EXITKILL | TRACESYSGOOD)

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
    while True:
        victim = Victim(prepare, act)
        try:
            before, stores = contents(), 0
            while stores <= wanted and (stop := victim.go(SINGLESTEP)) == signal.SIGTRAP:
                after = contents()
                if after != before:
                    before, stores = after, stores + 1
            done = stores <= wanted and stop == signal.SIGSTOP
            assert done or victim.alive, f"the victim ended after {stores} stores"
        finally:
            victim.kill()
        if done:
            return
        yield stores
        wanted += every


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
