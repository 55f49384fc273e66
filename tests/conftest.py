"""What every test has: a stream directory of its own, a watchdog, and a look at what is left behind."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pymilk import SHM
from pymilk._core import Stream

#: A test that takes longer hangs: its stacks are printed and the run ends.
WATCHDOG_SECONDS = 120

#: Where there is one, the memory file system, as in real use.
SHM_ROOT = "/dev/shm" if os.path.isdir("/dev/shm") else None


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    faulthandler.dump_traceback_later(WATCHDOG_SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def shm_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A private stream directory, gone afterwards; threads and processes must be gone by then."""
    folder = Path(tempfile.mkdtemp(prefix="pymilk-test-", dir=SHM_ROOT))
    monkeypatch.setenv("MILK_SHM_DIR", str(folder))
    monkeypatch.setenv("MILK_PROC_DIR", str(folder))
    threads = set(threading.enumerate())
    yield folder
    hidden = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    shutil.rmtree(folder)
    # Threads that Python did not start (pytest-xdist has some) show up once they run Python code.
    foreign = threading._DummyThread
    left = [each for each in threading.enumerate() if each not in threads and not isinstance(each, foreign)]
    if "zarr" in sys.modules:  # which keeps an event loop for the rest of the process
        left = [each for each in left if not each.name.startswith(("zarr_io", "asyncio_"))]
    for thread in left:
        thread.join(timeout=5)
    assert not [thread for thread in left if thread.is_alive()]
    assert not hidden, f"temporary files left behind: {hidden}"


@pytest.fixture
def make_stream() -> Iterator[Callable[..., Stream]]:
    """Create streams that are closed and removed after the test."""
    made: list[Stream] = []

    def make(name: object, *args: object, **kwargs: object) -> Stream:
        stream = Stream.create(name, *args, **kwargs)
        made.append(stream)
        return stream

    yield make
    for stream in made:
        stream.close()


@pytest.fixture
def make() -> Iterator[Callable[..., SHM]]:
    """Make SHM objects that are closed after the test."""
    made: list[SHM] = []

    def make(*args: Any, **kwargs: Any) -> SHM:
        made.append(SHM(*args, **kwargs))
        return made[-1]

    yield make
    for shm in made:
        shm.close()


def heed_interrupts() -> None:
    """Undo what shells and nohup do to processes: they ignore some signals, and hand that down."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end of a command; returns its exit code, and what it said on stdout and stderr."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture
def start_command(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start pymilk's commands, as users do, in the directory of the test; ended after it."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        usual = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": heed_interrupts}
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "pymilk", *map(str, arguments)],
                text=True,
                env={**os.environ, "PYTHONSAFEPATH": "1", "COLUMNS": "120"},
                cwd=tmp_path,
                **{**usual, **options},
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


class Child:
    """A second Python process that runs `code`, and talks through a pipe, a line at a time."""

    def __init__(self, code: str, *args: object) -> None:
        # Safe path: the child must find the installed package, wherever pytest was started.
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        environment["PYTHONPATH"] = os.path.dirname(__file__)
        environment.pop("PYTHONDEVMODE", None)  # it shows warnings that users do not see by default
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *[str(arg) for arg in args]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environment,
            preexec_fn=heed_interrupts,
        )
        self.pid = self.process.pid
        self._heard = ""

    def tell(self, line: object = "") -> None:
        """Send one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self, timeout: float = 60) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        # Past the buffer of the pipe object: select knows nothing of lines that wait in there.
        pipe = self.process.stdout.fileno()
        while "\n" not in self._heard:
            ready, _, _ = select.select([pipe], [], [], timeout)
            piece = os.read(pipe, 65536).decode() if ready else ""
            if not piece:
                self.process.kill()
                raise AssertionError(f"child said nothing; its stderr: {self.process.stderr.read()}")
            self._heard += piece
        line, _, self._heard = self._heard.partition("\n")
        return line

    def expect(self, line: str, timeout: float = 60) -> None:
        """Wait for exactly this line."""
        assert self.hear(timeout) == line

    def finish(self, timeout: float = 60) -> tuple[int, str, str]:
        """Wait for its end; returns exit code, the rest of stdout, and stderr."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, self._heard + out, err

    def kill(self) -> None:
        """Kill it at once, and reap it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def spawn() -> Iterator[Callable[..., Child]]:
    """Start second processes; whatever is still running after the test is killed."""
    children: list[Child] = []

    def start(code: str, *args: object) -> Child:
        child = Child(code, *args)
        children.append(child)
        return child

    yield start
    for child in children:
        if child.process.poll() is None:
            child.kill()
        for pipe in (child.process.stdin, child.process.stdout, child.process.stderr):
            if pipe is not None:
                pipe.close()
