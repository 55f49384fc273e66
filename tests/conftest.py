"""What every test has: a stream directory of its own, a watchdog, and a look at what is left behind."""

from __future__ import annotations

import contextlib
import faulthandler
import fnmatch
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream

# Before the first import of it: a failed assertion of a helper shows its values too.
pytest.register_assert_rewrite("support")

from support.children import Child, begin_command  # noqa: E402
from support.paths import SHM_ROOT  # noqa: E402

# Shells have their background jobs ignore Ctrl-C, and all that these start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: A test that takes longer, or up to a tenth less, hangs: its stacks are printed and the run ends.
WATCHDOG_SECONDS = 120


def pytest_collection() -> None:
    """Collect tests without collecting garbage: what is imported and found stays."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Keep thousands of collected tests out of garbage collections, which many tests ask for."""
    gc.freeze()
    gc.enable()


#: How many modules more make it worth while to keep them out of garbage collections too.
MANY_MODULES = 50

_modules_before = 0


def pytest_runtest_logstart() -> None:
    """Keep large libraries that tests import out of garbage collections."""
    global _modules_before
    if len(sys.modules) >= _modules_before + MANY_MODULES:
        _modules_before = len(sys.modules)
        gc.collect()
        gc.freeze()


#: Libraries that keep threads, and how those are called.
LIBRARIES = ("zarr", "distributed", "fsspec")
KEPT_THREADS = ("zarr_io", "asyncio_", "Dask-Offload", "fsspecIO")


#: The standard error of the run. What is written to that of a test is lost if its process ends.
_REAL_STDERR = os.dup(2)


#: Tests write their files into memory if so much is free there: some file systems take 3 ms to remove a file.
MEMORY_NBYTES = 4 << 30


def pytest_configure() -> None:
    """Keep the standard error, which is not captured at this time; choose where `tmp_path` is."""
    os.dup2(2, _REAL_STDERR, inheritable=False)
    # In each process that imports NumPy, threads for linear algebra, which is not used here, spin for 25 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if SHM_ROOT is not None and shutil.disk_usage(SHM_ROOT).free >= MEMORY_NBYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", SHM_ROOT)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Leave no folder of pytest's in memory, unless a test failed or another run goes on."""
    if SHM_ROOT is not None and os.environ.get("PYTEST_DEBUG_TEMPROOT") == SHM_ROOT:
        for folder in Path(SHM_ROOT).glob("pytest-of-*"):
            with contextlib.suppress(OSError):
                folder.rmdir()


@pytest.fixture
def disk_path() -> Iterator[Path]:
    """A directory as `tmp_path`, on a disk where the machine has one: for what goes through to it."""
    with tempfile.TemporaryDirectory(prefix="pymilk-test-") as folder:
        yield Path(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Say how a process that runs tests ended too early: -15 is SIGTERM, 1 perhaps the watchdog."""
    if error:
        said = f"\n{node.gateway.id} ended with status {node.gateway._io.wait()}: {error}\n"
        os.write(_REAL_STDERR, said.encode())


#: When the watchdog was set: it is a thread, and a new one for each test costs more than what most do.
_watched_since: float | None = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(nextitem: pytest.Item | None) -> Iterator[None]:
    """Have the watchdog look at each test, until none follows."""
    global _watched_since
    now = time.monotonic()
    if _watched_since is None or now - _watched_since > WATCHDOG_SECONDS / 10:
        faulthandler.dump_traceback_later(WATCHDOG_SECONDS, exit=True, file=_REAL_STDERR)
        _watched_since = now
    try:
        return (yield)
    finally:
        if nextitem is None:
            faulthandler.cancel_dump_traceback_later()
            _watched_since = None


#: Signals that tests send to their own process.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)

Handlers = tuple[list[Any], Any]


def _handlers() -> Handlers:
    return [signal.getsignal(number) for number in SIGNALS], sys.unraisablehook


_handlers_before: Handlers = _handlers()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Note which handlers there are before a test."""
    global _handlers_before
    _handlers_before = _handlers()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """No timer is left, which would end the process in another test, and no handler but those from before."""
    try:
        return (yield)
    finally:
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        before, after = _handlers_before, _handlers()
        if after != before:
            for number, handler in zip(SIGNALS, before[0], strict=True):
                signal.signal(number, handler)
            sys.unraisablehook = before[1]
        assert (left, after) == (0.0, before)


def beside(here: str = os.getcwd()) -> set[str]:
    """Return the directories of parameters where the tests run: they belong elsewhere."""
    return set(fnmatch.filter(os.listdir(here), "fps.*.*dir"))


@pytest.fixture(autouse=True)
def shm_dir() -> Iterator[Path]:
    """A private stream directory, gone afterwards; threads and processes must be gone by then."""
    folder = tempfile.mkdtemp(prefix="pymilk-test-", dir=SHM_ROOT)
    variables = {name: os.environ.get(name) for name in ("MILK_SHM_DIR", "MILK_PROC_DIR")}
    os.environ.update(dict.fromkeys(variables, folder))
    threads, before = set(threading.enumerate()), beside()
    yield Path(folder)
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    left_here = os.listdir(folder)
    hidden = [name for name in left_here if name.startswith(".")]
    if left_here:
        shutil.rmtree(folder)
    else:
        os.rmdir(folder)
    # Threads that Python did not start (pytest-xdist has some) show up once they run Python code.
    foreign = threading._DummyThread
    left = [each for each in threading.enumerate() if each not in threads and not isinstance(each, foreign)]
    if left and any(name in sys.modules for name in LIBRARIES):  # which keep event loops in the process
        left = [each for each in left if not each.name.startswith(KEPT_THREADS)]
    for thread in left:
        thread.join(timeout=5)
    assert not [thread for thread in left if thread.is_alive()]
    assert not hidden, f"temporary files left behind: {hidden}"
    assert beside() <= before, "directories of parameters left behind"


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


@pytest.fixture
def cam(make: Callable[..., SHM]) -> SHM:
    """The stream "cam", of 4 x 6 pixels."""
    return make("cam", ((4, 6), np.uint32))


@pytest.fixture
def start_command(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start pymilk's commands, as users do, in the directory of the test; ended after it."""
    started: list[Any] = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        environment = {**os.environ, "COLUMNS": "120"}
        started.append(begin_command(arguments, environment, tmp_path, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


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
