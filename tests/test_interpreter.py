"""Corner cases of the interpreter: fork, pickles, exit, exceptions, garbage, signals, tracing."""

from __future__ import annotations

import gc
import importlib.util
import os
import pickle
import subprocess
import sys
import sysconfig
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from conftest import Child
from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import StreamChangedError, StreamForkedError
from timed_calls import PRELUDE, TIMED

Spawn = Callable[..., Child]
Make = Callable[..., SHM]

#: Runs something in a forked process.
FORK = """
def in_child(work):
    pid = os.fork()
    if not pid:
        code = 9
        try:
            work()
            code = 0
        except BaseException as error:
            os.write(2, f"{error!r}".encode())
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def refused(call, what):
    try:
        call()
    except StreamForkedError as error:
        assert error.pid == os.getppid() and error.stream == "cam", vars(error)
        assert f"this {what} goes on in process {os.getppid()}" in str(error), str(error)
        return error
    raise AssertionError("nothing was raised")
"""


@pytest.fixture
def cam(make: Make) -> SHM:
    return make("cam", ((4, 6), np.uint32))


def mapped(path: str) -> int:
    """Tell how often this process has a file mapped."""
    with open("/proc/self/maps") as lines:
        return sum(line.rstrip().endswith(path) for line in lines)


# -- fork ---------------------------------------------------------------------------------------------

FORKED = {
    "capture": """
capture = shm.capture(3, timeout=None, background=True)
shm.set_data(frame(1))
while capture.received < 1:
    time.sleep(0.001)
def work():
    assert capture.done and capture.received == 1 and capture.frames[0, 0, 0] == 1
    refused(capture.join, "capture")
    assert isinstance(capture.error, StreamForkedError)
    assert capture.report.received == 1
    capture.stop()
    with SHM("cam") as other:
        own = other.capture(1, timeout=30, background=True)
        shm.set_data(frame(2))  # the child may write, too
        assert own.join().frames[0, 0, 0] == 2
    shm.close()
in_child(work)
while capture.received < 2:
    time.sleep(0.001)
shm.set_data(frame(3))
say(capture.join().frames[:, 0, 0].tolist(), capture.report.lost)
""",
    "turned capture": """
shm = SHM("cam", symcode=1)
out = np.zeros((2, *shm.shape), np.uint32)
capture = shm.capture(2, out, timeout=None, background=True)
shm.set_data(np.full(shm.shape, 1, np.uint32))
while capture.received < 1:
    time.sleep(0.001)
in_child(lambda: np.testing.assert_array_equal(capture.frames, np.full((1, *shm.shape), 1)))
shm.set_data(np.full(shm.shape, 2, np.uint32))
say(capture.join().frames[:, 0, 0].tolist(), capture.report.lost, (out[1] == 2).all())
""",
    "finished capture": """
capture = shm.capture(1, timeout=None, background=True)
shm.set_data(frame(1))
capture.join()
in_child(lambda: capture.join().frames[0, 0, 0] == 1 or 1 / 0)
say(capture.received)
""",
    "capture not begun": """
capture = pymilk.Capture(shm._stream, 1, timeout=30, held=True)
def work():
    capture.begin()
    capture.armed()
    shm.set_data(frame(1))
    assert capture.join().frames[0, 0, 0] == 1
in_child(work)
work()
say("both")
""",
    "captures of several": """
second = SHM("second", ((2,), np.uint8))
many = pymilk.capture_many({"cam": 2, "second": 1}, timeout=None, background=True)
second.set_data(np.array([7], np.uint8).repeat(2))
while not many["second"].done:
    time.sleep(0.001)
def work():
    assert many.done and many["second"].join().frames[0, 0] == 7
    try:
        many.join()
    except pymilk.errors.MultiCaptureError as error:
        assert list(error.errors) == ["cam"]
        assert isinstance(error.errors["cam"], StreamForkedError)
    else:
        1 / 0
in_child(work)
for number in (1, 2):
    shm.set_data(frame(number))
    while many["cam"].received < number:
        time.sleep(0.001)
say(len(many.join()), many.errors)
""",
    "collector": """
ring = shm.ring_reader(8)
for number in (1, 2):
    shm.set_data(frame(number))
    while ring.lag < number:
        time.sleep(0.001)
bell = ring.fileno()
def work():
    # What was collected can be had; nothing comes any more.
    assert ring.latest()[0, 0] == 2
    assert ring.read(2).frames[:, 0, 0].tolist() == [1, 2]
    for timeout in (None, 0, 5):
        refused(lambda: ring.read(1, timeout=timeout), "collector")
        refused(lambda: next(ring.blocks(timeout=timeout)), "collector")
        refused(lambda: pymilk.wait_any([ring], timeout), "collector")
    import select
    assert select.select([ring], [], [], 30)[0]  # readable: the error is to be had
    refused(lambda: ring.read(1), "collector")
    ring.close()
in_child(work)
import select
assert select.select([bell], [], [], 30)[0]
say(ring.read(2).frames[:, 0, 0].tolist(), ring.lost)
""",
    "reader in another thread": """
ring = shm.ring_reader(8)
got = []
thread = threading.Thread(target=lambda: got.append(ring.read(1, timeout=None).frames[0, 0, 0]))
thread.start()
while not ring._turn.locked():
    time.sleep(0.001)
def work():
    refused(lambda: ring.read(1, timeout=None), "collector")  # and not: another thread is reading
    ring.close()
in_child(work)
shm.set_data(frame(5))
thread.join()
say(got)
""",
    "asyncio": """
import asyncio
async def main():
    ring = shm.ring_reader(8)
    task = asyncio.ensure_future(anext(ring.ablocks(timeout=None)))
    while ring._executor is None:
        await asyncio.sleep(0.001)
    in_child(lambda: refused(lambda: ring.read(1), "collector"))
    shm.set_data(frame(4))
    say((await task).frames[0, 0, 0])
    ring.close()
asyncio.run(main())
""",
    "relay": """
relay = pymilk.Relay("cam", "cam_ring", 8)
with SHM("cam_ring") as target:
    def work():
        refused(relay.tend, "relay")
        with relay:
            pass
        assert os.path.exists(target.FILEPATH)
    in_child(work)
    shm.set_data(frame(6))
    while target.get_counter() < shm.get_counter():
        time.sleep(0.001)
    relay.tend()
    say(target.get_data()[0, 0])
relay.close()
""",
    "follower": """
# Another thread is just going over to a new file.
shm._lock.acquire()
SHM("cam", frame(8)).close()
in_child(lambda: shm.get_data()[0, 0] == 8 or 1 / 0)
shm._lock.release()
say(shm.get_data()[0, 0])
""",
    "camera": """
from pymilk.simulate import SimulatedCamera
with SimulatedCamera("sim") as camera:
    in_child(lambda: camera.__exit__())
    with SHM("sim") as sim:
        sim.get_data(check=True, timeout=30)
    say("alive")
""",
    "keywords, views and semaphores": """
view = shm.get_data(copy=False)
index = shm.semID
def work():
    shm.set_data(frame(9))
    shm.keywords["A"] = 1
    assert shm.semID != index
    assert view[0, 0] == 9
in_child(work)
say(view[0, 0], dict(shm.keywords), shm.semID == index)
""",
}

ANSWERS = {
    "capture": "[1, 2, 3] 0",
    "turned capture": "[1, 2] 0 True",
    "captures of several": "2 {}",
    "capture not begun": "both",
    "collector": "[1, 2] 0",
    "reader in another thread": "[5]",
    "asyncio": "4",
    "relay": "6",
    "follower": "8",
    "camera": "alive",
    "keywords, views and semaphores": "9 {'A': 1} True",
}


@pytest.mark.parametrize("what", FORKED)
def test_fork(cam: SHM, spawn: Spawn, what: str) -> None:
    child = spawn(PRELUDE + FORK + 'shm = SHM("cam")\n' + FORKED[what])
    said = child.hear().replace("np.uint32(5)", "5")
    assert said == ANSWERS.get(what, said)
    code, rest, errors = child.finish()
    assert (code, rest, errors) == (0, "", "")


def test_forked_error_is_one_of_a_closed_handle() -> None:
    error = StreamForkedError("message", stream="cam", pid=7)
    assert isinstance(error, pymilk.errors.StreamClosedError)
    assert pickle.loads(pickle.dumps(error)).pid == 7


def test_wait_any_tells_what_ended_a_collector(cam: SHM, make: Make) -> None:
    """It looked at the ring again and again, as fast as it could, and never returned."""
    import select

    with cam.ring_reader(8) as ring:
        bell = ring.fileno()
        make("cam", ((2, 2), np.float32))
        assert select.select([bell], [], [], 30)[0]
        for call in (lambda: pymilk.wait_any([ring]), lambda: ring.read(1, timeout=None)):
            with pytest.raises(StreamChangedError):
                call()
        assert select.select([bell], [], [], 30)[0]


# -- multiprocessing, pickles -------------------------------------------------------------------------

PROCESSES = """
import multiprocessing, sys
import numpy as np
from pymilk import SHM

def work(shm, pipe):
    with shm:
        pipe.send((shm.FNAME, shm.shape, shm.symcode, shm.get_data().tolist(), shm.semID))
        shm.set_data(shm.get_data() + 1)
        capture = shm.capture(1, timeout=60, background=True)
        capture.armed()
        pipe.send("armed")
        pipe.send(capture.join())

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with SHM("cam", symcode=1) as shm:
        first = shm.get_data()
        mine = shm.semID
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(shm, theirs))
        process.start()
        name, shape, symcode, pixels, index = ours.recv()
        assert (name, shape, symcode, pixels) == ("cam", shm.shape, 1, first.tolist())
        assert index != mine
        assert ours.recv() == "armed"
        assert (shm.get_data() == first + 1).all()
        shm.set_data(first + 2)
        capture = ours.recv()
        assert (capture.frames[0] == first + 2).all() and capture.report.lost == 0
        process.join()
        assert process.exitcode == 0
        print("done", flush=True)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_multiprocessing(cam: SHM, tmp_path: Path, method: str) -> None:
    """An SHM goes to another process as its name and options, and comes back in a capture."""
    cam.set_data(np.arange(24, dtype=np.uint32).reshape(4, 6))
    script = tmp_path / "processes.py"
    script.write_text(PROCESSES)
    said = subprocess.run(
        [sys.executable, script, method],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "done\n", "")


def test_what_is_not_pickled_says_so(cam: SHM) -> None:
    with cam.ring_reader(4) as ring:
        cam.set_data(np.ones((4, 6), np.uint32))
        with pytest.raises(TypeError, match="ring reader of stream 'cam' cannot be pickled"):
            pickle.dumps(ring)
    with (
        pymilk.Relay("cam", "cam_ring", 4) as relay,
        pytest.raises(TypeError, match="relay of stream 'cam' cannot be pickled"),
    ):
        pickle.dumps(relay)
    with pytest.raises(TypeError, match="a Stream cannot be pickled; pass its name"):
        pickle.dumps(Stream.attach("cam"))


# -- exit ---------------------------------------------------------------------------------------------

EXITS = {
    "relay": 'relay = pymilk.Relay("cam", "cam_ring", 8)',
    "claim": "claim = shm.claim(); claim.__enter__()[:] = 1",
    "claim in a thread": """
def work():
    with shm.claim():
        held.set()
        threading.Event().wait()
held = threading.Event()
threading.Thread(target=work, daemon=True).start()
held.wait()
""",
    "many": 'many = pymilk.capture_many(["cam"], 100, timeout=None, background=True)',
    "collector": "ring = shm.ring_reader(8, wait='spin')",
    "block": "ring = shm.ring_reader(8); shm.set_data(frame(1)); block = next(ring.blocks())",
    "cycle": "shm.itself = shm; ring = shm.ring_reader(8); ring.itself = (ring, shm)",
    "os._exit": "capture = shm.capture(9, timeout=None, background=True); shm.ring_reader(8); os._exit(0)",
    "sys.exit in a claim": "with shm.claim(): sys.exit(0)",
}

#: Calls that a daemon thread is in when the interpreter ends.
WAITS = {
    "get_data": "shm.get_data(check=True, timeout=None)",
    "wait": "pymilk.Stream.attach('cam').wait()",
    "sem_wait": "pymilk.Stream.attach('cam').sem_wait(9)",
    "capture": "shm.capture(9, timeout=None)",
    "capture_many": "pymilk.capture_many(['cam'], 9, timeout=None)",
    "ring": "shm.ring_reader(8).read(1, timeout=None)",
    "wait_any": "pymilk.wait_any([shm, pymilk.Stream.attach('cam'), shm.ring_reader(8)])",
    "set_many": "shm.set_many(np.zeros((1, 4, 6), np.uint32), rate=0.01)",
    "publish_many": "shm._stream.publish_many(np.zeros((1, 4, 6), np.uint32), 10**9, interval_ns=1000)",
}


@pytest.mark.parametrize("what", EXITS)
def test_exit_without_close(cam: SHM, spawn: Spawn, what: str) -> None:
    child = spawn(PRELUDE + 'shm = SHM("cam")\nsay("here")\n' + EXITS[what])
    child.expect("here")
    assert child.finish() == (0, "", "")
    # Whatever it held can be had again: the next writer publishes, and all semaphores are free.
    before = cam.get_counter()
    cam.set_data(np.full((4, 6), 3, np.uint32))
    assert (cam.get_counter(), cam.get_data()[0, 0]) == (before + 1, 3)
    assert cam._stream.write == 0
    readers = [cam._stream.reader() for _ in range(cam._stream.nbsem)]
    for reader in readers:
        reader.arm()
    assert sorted(reader.sem_index for reader in readers) == list(range(cam._stream.nbsem))
    for reader in readers:
        reader.close()


@pytest.mark.parametrize("what", WAITS)
def test_exit_with_a_daemon_thread_that_waits(cam: SHM, spawn: Spawn, what: str) -> None:
    code = f"""
def work():
    began.set()
    {WAITS[what]}
shm = SHM("cam")
began = threading.Event()
threading.Thread(target=work, daemon=True).start()
began.wait()
say("here")
sys.stdin.readline()
"""
    child = spawn(PRELUDE + code)
    child.expect("here")
    child.tell()
    assert child.finish() == (0, "", "")


# -- exceptions in a claim ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("ring_kind", [None, "fast", "temporal"])
def test_frame_of_a_claim_that_failed_is_not_published(
    make: Make, error: type[BaseException], ring_kind: str | None
) -> None:
    options = {} if ring_kind is None else {"ring": 4, "ring_kind": ring_kind}
    shm = make("claimed", np.ones((4, 6), np.uint32), **options)
    stream = shm._stream
    before = shm.get_counter(), stream.cnt1, stream.cb_index, stream.write_time_ns, stream.sem_values()
    with pytest.raises(error), shm.claim() as frame:  # noqa: PT012
        frame[0] = 5
        raise error
    after = shm.get_counter(), stream.cnt1, stream.cb_index, stream.write_time_ns, stream.sem_values()
    assert after == before
    assert stream.write == 0
    with shm.claim() as frame:
        frame[:] = 2
    assert shm.get_counter() == before[0] + 1
    assert (shm.get_data() == 2).all()


def test_generator_that_is_dropped_leaves_its_claim(cam: SHM) -> None:
    def fill() -> Any:
        with cam.claim() as frame:
            frame[:] = 1
            yield

    generator = fill()
    next(generator)
    assert cam._stream.write == 1
    before = cam.get_counter()
    del generator
    gc.collect()
    assert (cam._stream.write, cam.get_counter()) == (0, before)
    cam.set_data(np.full((4, 6), 2, np.uint32))


# -- garbage ------------------------------------------------------------------------------------------


def test_memory_goes_with_the_last_view(shm_dir: Path) -> None:
    path = str(shm_dir / "cam.im.shm")
    shm = SHM("cam", np.full((4, 6), 7, np.uint32))
    view = shm.get_data(copy=False)[1:, ::2]
    reader = shm._stream.reader()
    assert mapped(path) == 1
    shm.close()
    reader.close()
    del shm, reader
    gc.collect()
    assert mapped(path) == 1
    assert (view == 7).all()
    del view
    assert mapped(path) == 0


@pytest.mark.parametrize("what", ["shm", "ring", "capture", "stream"])
def test_cycle_is_collected_and_its_memory_unmapped(shm_dir: Path, what: str) -> None:
    path = str(shm_dir / "cam.im.shm")
    shm = SHM("cam", np.ones((4, 6), np.uint32))
    item: Any = shm
    if what == "ring":
        item = shm.ring_reader(4)
    elif what == "stream":
        item = Stream.attach("cam")
    elif what == "capture":
        item = shm.capture(1, timeout=30, background=True)
        shm.set_data(np.ones((4, 6), np.uint32))
        item.join()
    if what == "stream":
        cycle: list[Any] = [item]
        cycle.append(cycle)
        del cycle
    else:
        item.itself = item
    dead = weakref.ref(item)
    if what != "shm":
        shm.close()
    else:
        shm._image = object()  # ends without a ResourceWarning, as one whose image is in use does
    del shm, item
    gc.collect()
    assert dead() is None
    assert mapped(path) == 0
    assert threading.active_count() == 1 + sum(thread.daemon for thread in threading.enumerate())


# -- sub-interpreters, free threads -------------------------------------------------------------------

#: Run `code` in a sub-interpreter of each kind.
IN_EACH_KIND = """
try:
    import _interpreters
    for kind in ("legacy", "isolated"):
        number = _interpreters.create(kind)
        assert _interpreters.exec(number, code) is None
        _interpreters.destroy(number)
except ImportError:
    import _xxsubinterpreters
    for isolated in (False, True):
        number = _xxsubinterpreters.create(isolated=isolated)
        _xxsubinterpreters.run_string(number, code)
        _xxsubinterpreters.destroy(number)
"""

#: The compiled core alone, without the look of the package at the interpreter.
CORE = """
import pymilk._core
code = f'''
import importlib.machinery, importlib.util
path = {pymilk._core.__file__!r}
loader = importlib.machinery.ExtensionFileLoader("pymilk._core", path)
try:
    spec = importlib.util.spec_from_file_location("pymilk._core", path, loader=loader)
    importlib.util.module_from_spec(spec)
except ImportError as error:
    print("refused:", error, flush=True)
else:
    print("loaded", flush=True)
'''
""" + IN_EACH_KIND

SUB = """
import sys
if sys.argv[1] == "loaded":
    import pymilk
code = '''
try:
    import pymilk
except ImportError as error:
    print(str(error).split(",")[0], flush=True)
'''
""" + IN_EACH_KIND + """
import pymilk  # the main one has it all the same
with pymilk.SHM("cam") as shm:
    print(shm.get_data().shape)
"""


def has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


needs_sub_interpreters = pytest.mark.skipif(
    not (has("_interpreters") or has("_xxsubinterpreters")), reason="a Python without sub-interpreters"
)


@needs_sub_interpreters
def test_core_refuses_sub_interpreters(cam: SHM, spawn: Spawn) -> None:
    child = spawn(CORE)
    for _ in range(2):
        assert child.hear().startswith("refused:")
    assert child.finish()[::2] == (0, "")


@needs_sub_interpreters
@pytest.mark.parametrize("when", ["loaded", "not loaded"])
def test_sub_interpreters_are_refused(cam: SHM, spawn: Spawn, when: str) -> None:
    child = spawn(SUB, when)
    for _ in range(2):
        child.expect("pymilk works in the main interpreter of a process only")
    child.expect("(4, 6)")
    assert child.finish()[::2] == (0, "")


free_threaded = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python is not a free-threaded build"
)

#: What a user sees who imports pymilk and uses it.
USE = """
import sys, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    try:
        import pymilk
    except ImportError as error:
        print(str(error).partition(":")[0])
        sys.exit()
print([each.category.__name__ for each in said if "pymilk._core" in str(each.message)], sys._is_gil_enabled())
with pymilk.SHM("cam") as shm:
    print(shm.get_data().shape)
"""

REFUSED = "pymilk works with the GIL only, and this free-threaded Python was told to leave it off"


@free_threaded
@pytest.mark.parametrize(
    ("variable", "options", "said"),
    [
        (None, [], "['RuntimeWarning'] True\n(4, 6)\n"),
        ("1", [], "[] True\n(4, 6)\n"),
        (None, ["-Xgil=1"], "[] True\n(4, 6)\n"),
        ("0", [], REFUSED),
        (None, ["-Xgil=0"], REFUSED),
    ],
)
def test_free_threaded_python(cam: SHM, variable: str | None, options: list[str], said: str) -> None:
    """It turns its GIL on for pymilk, and says so; where it was told not to, pymilk says what to do."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    environment["PYTHONSAFEPATH"] = "1"
    if variable is not None:
        environment["PYTHON_GIL"] = variable
    command = [sys.executable, *options, "-c", USE]
    child = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout.startswith(said)


def test_without_the_gil_is_refused(spawn: Spawn) -> None:
    """The same on any Python, which is made to say that it has no GIL."""
    child = spawn("import sys; sys._is_gil_enabled = lambda: False\n" + USE)
    assert child.hear().startswith(REFUSED)
    assert child.finish() == (0, "", "")


# -- signals ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("what", TIMED)
def test_storm_of_signals_neither_shortens_nor_lengthens_a_wait(
    cam: SHM, make: Make, spawn: Spawn, what: str
) -> None:
    """A wait that begins its time anew with each signal would never end."""
    make("ring", np.zeros((4, 6), np.uint32), ring=4)
    child = spawn(
        PRELUDE
        + f"""
SECONDS = 0.25
count = 0
def handler(number, stack):
    global count
    count += 1
shm = SHM("cam")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
began = time.monotonic()
ended = {TIMED[what]}
took = time.monotonic() - began
signal.setitimer(signal.ITIMER_REAL, 0)
say(ended, took >= SECONDS, count >= 3)  # `set_many` looks at signals every 50 ms
os._exit(0)
"""
    )
    child.expect("True True True")
    assert child.finish() == (0, "", "")


@pytest.mark.parametrize("what", TIMED)
def test_handler_that_raises_ends_a_wait(cam: SHM, make: Make, spawn: Spawn, what: str) -> None:
    make("ring", np.zeros((4, 6), np.uint32), ring=4)
    call = TIMED[what].replace("over(lambda: ", "(").replace("SECONDS", "100")
    child = spawn(
        PRELUDE
        + f"""
class Enough(Exception):
    pass
def handler(number, stack):
    raise Enough
shm = SHM("cam")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    {call}
except Enough:
    say("enough")
shm.set_data(frame(4))
say(shm.get_data()[0, 0], shm._stream.write)
try:
    shm._stream.wait(0)
except StreamTimeoutError:
    say("usable")
"""
    )
    child.expect("enough")
    child.expect("4 0")
    child.expect("usable")
    code, rest, _ = child.finish()
    assert (code, rest) == (0, "")


def test_handler_that_uses_the_stream_it_interrupts(cam: SHM, spawn: Spawn) -> None:
    child = spawn(
        PRELUDE
        + """
shm = SHM("cam")
def handler(number, stack):
    shm.set_data(frame(shm.get_data()[0, 0] + 1))
    say("handled", shm.get_data(check=True, timeout=0.01, return_none_on_timeout=True))
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
say(shm.get_data(check=True, timeout=60)[0, 0])
"""
    )
    child.expect("handled None")
    child.expect("1")
    assert child.finish() == (0, "", "")


# -- tracing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["settrace", "setprofile"])
def test_threads_under_a_tracer(cam: SHM, spawn: Spawn, how: str) -> None:
    child = spawn(
        PRELUDE
        + """
seen = set()
def tracer(frame, event, arg):
    seen.add(threading.current_thread().name)
    return tracer
how = sys.argv[1]
getattr(threading, how)(tracer)
getattr(sys, how)(tracer)
shm = SHM("cam")
with shm.ring_reader(64) as ring:
    capture = shm.capture(2, timeout=60, background=True)
    for number in range(2):
        shm.set_data(frame(number))
        while capture.received <= number or ring.lag <= number:
            time.sleep(0.001)
    say(capture.join().report.lost, ring.read(2, timeout=60).report.received)
getattr(sys, how)(None)
say({"pymilk-capture-cam", "pymilk-receiver-cam"} <= seen)
os._exit(0)  # Python 3.13.0 complains of its own threads at exit, under a tracer
""",
        how,
    )
    child.expect("0 2")
    child.expect("True")
    assert child.finish() == (0, "", "")
