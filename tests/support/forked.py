"""Second processes that begin at once: forked from an interpreter that has libraries, and nothing of pymilk.

Each runs code of its own as its main program, with its own arguments, environment, directory and pipes, and
ends as an interpreter does. Tests begin more than a thousand; a new interpreter with NumPy takes 0.1 s of
processor time.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from types import CodeType
from typing import IO, Any

from support.paths import TESTS

#: What an interpreter reads from its environment when it begins, and libraries with it.
READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC", "OPENBLAS", "OMP_", "ASAN", "UBSAN", "TSAN")

#: Runs without a name of its own in the namespace of what it runs.
PROGRAM = "exec(__import__('support.forked').forked.serve())"

#: What tests replace where a second process has to begin in another way.
INTERPRETER = sys.executable

LARGEST = 1 << 17


def heed_interrupts() -> None:
    """Undo what shells and nohup do to processes: they ignore some signals, and hand that down."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def serve() -> CodeType:
    """Fork a process for each order, until nobody is there to give any; returns in each, with its code."""
    for library in sys.argv[2:]:
        __import__(library)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        while True:
            data, pipes, _, _ = socket.recv_fds(orders, LARGEST, 3)
            if not data:
                os._exit(0)
            order = json.loads(data)
            if isinstance(order, int):
                orders.send(json.dumps(os.waitpid(order, 0)[1]).encode())
                continue
            pid = os.fork()
            if pid == 0:
                break
            for pipe in pipes:
                os.close(pipe)
            orders.send(json.dumps(pid).encode())
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    heed_interrupts()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["-c", *order["arguments"]]
    sys.orig_argv = [sys.executable, "-c", order["code"], *order["arguments"]]
    return compile(order["code"], "<string>", "exec", dont_inherit=True)


class Process:
    """A forked process, as `subprocess.Popen` shows one: ended, it is a zombie until somebody asks."""

    stdin: IO[str]
    stdout: IO[str]
    stderr: IO[str]

    def __init__(
        self,
        parent: Parent,
        code: str,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        directory: str | None = None,
    ) -> None:
        self._parent = parent
        self.returncode: int | None = None
        pipes = [os.pipe() for _ in range(3)]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        try:
            self.pid = parent.fork(code, arguments, environment, directory or os.getcwd(), theirs)
        finally:
            for pipe in theirs:
                os.close(pipe)
        self._ended = os.pidfd_open(self.pid)
        self.stdin = open(pipes[0][1], "w", buffering=1)  # noqa: SIM115  (closed by those who wait)
        self.stdout, self.stderr = open(pipes[1][0]), open(pipes[2][0])  # noqa: SIM115

    def poll(self) -> int | None:
        """Return the exit code if it has ended, as `Popen.poll`."""
        return self._wait(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code, as `Popen.wait`."""
        if (code := self._wait(timeout)) is None:
            raise subprocess.TimeoutExpired(PROGRAM, timeout or 0.0)
        return code

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            watch = select.poll()
            watch.register(self._ended, select.POLLIN)
            if watch.poll(None if timeout is None else max(timeout, 0.0) * 1e3):
                self.returncode = os.waitstatus_to_exitcode(self._parent.reap(self.pid))
                os.close(self._ended)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Close its stdin, wait for its end, and return what it says until then."""
        deadline = None if timeout is None else time.monotonic() + timeout

        def left() -> float | None:
            return None if deadline is None else max(deadline - time.monotonic(), 0.0)

        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        said = [bytearray(), bytearray()]
        with selectors.DefaultSelector() as pipes:
            for pipe, into in zip((self.stdout, self.stderr), said, strict=True):
                if not pipe.closed:
                    pipes.register(pipe, selectors.EVENT_READ, into)
            while pipes.get_map():
                ready = pipes.select(left())
                if not ready:
                    raise subprocess.TimeoutExpired(PROGRAM, timeout or 0.0)
                for key, _ in ready:
                    piece = os.read(key.fd, 65536)
                    key.data.extend(piece)
                    if not piece:
                        pipes.unregister(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]
        self.wait(left())
        return said[0].decode(), said[1].decode()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it was found to have ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Parent:
    """The interpreter that is forked, with some libraries; it ends with this process."""

    def __init__(self, libraries: tuple[str, ...]) -> None:
        self._environment = at_start(os.environ)
        self._lock = threading.Lock()
        self._owner = os.getpid()
        os.close(os.pidfd_open(os.getpid()))  # where this is not allowed, nothing is forked
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [INTERPRETER, "-c", PROGRAM, str(theirs.fileno()), *libraries],
                stdin=subprocess.PIPE,  # what sys.stdin and the others are made for
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env={**given(os.environ), "OPENBLAS_NUM_THREADS": "1"},
            )

    def serves(self, environment: dict[str, str]) -> bool:
        """Tell whether a new interpreter would not differ in what it reads when it begins."""
        same = sys.executable == INTERPRETER and at_start(environment) == self._environment
        return same and self._process.poll() is None

    def fork(
        self,
        code: str,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        directory: str,
        pipes: list[int],
    ) -> int:
        """Begin a process that has these as stdin, stdout and stderr; returns its PID."""
        order = {"code": code, "arguments": arguments, "environment": environment, "directory": directory}
        return self._ask(order, pipes)

    def reap(self, pid: int) -> int:
        """Wait for one of its processes; returns the status."""
        return self._ask(pid, [])

    def close(self) -> None:
        """End it; a fork of the process that began it only closes what it has of it."""
        owned = os.getpid() == self._owner
        if owned:
            self._orders.shutdown(socket.SHUT_RDWR)  # others may have a copy
        self._orders.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        if owned:
            self._process.wait()

    def _ask(self, order: Any, pipes: list[int]) -> int:
        data = json.dumps(order).encode()
        assert len(data) < LARGEST
        with self._lock:
            socket.send_fds(self._orders, [data], pipes)
            answer = json.loads(self._orders.recv(64))
        assert isinstance(answer, int)
        return answer


def given(environment: Any) -> dict[str, str]:
    """Return the environment that second processes of tests get.

    Safe path: they must find the installed package, wherever pytest was started. Without warnings that users
    do not see by default.
    """
    found = {**environment, "PYTHONSAFEPATH": "1", "PYTHONPATH": str(TESTS)}
    found.pop("PYTHONDEVMODE", None)
    return found


def at_start(environment: Any) -> dict[str, str]:
    """Return the part of an environment that matters when an interpreter begins."""
    return {name: value for name, value in given(environment).items() if name.startswith(READ_AT_START)}


_parents: dict[tuple[int, tuple[str, ...]], Parent | None] = {}


def parent(*libraries: str) -> Parent | None:
    """Return what this process forks from, begun when it is asked for first; None where that cannot be."""
    key = os.getpid(), ("numpy", *libraries)
    if key not in _parents:
        try:
            begun = Parent(key[1])
        except OSError:
            _parents[key] = None
        else:
            atexit.register(begun.close)
            _parents[key] = begun
    return _parents[key]
