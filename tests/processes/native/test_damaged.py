"""Another process cuts the file of a stream while it is in use."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Capture, Relay, RingReader, errors, wait_any
from pymilk._core import FLAG_NEW_FILE, Stream
from pymilk.inspection import describe_stream, measure_stream, stream_details, survey
from support.children import Child
from support.damage import GEOMETRY, SHAPE, USES, made_in_place, temporal

CUTTER = """
import os, sys
for line in sys.stdin:
    path, nbytes = line.rsplit(" ", 1)
    os.truncate(path, int(nbytes))
    print("cut", flush=True)
"""


@pytest.fixture
def cut() -> Any:
    """Have a second process cut a file to so many bytes."""
    child = Child(CUTTER)

    def cut(stream: Stream, nbytes: int) -> None:
        child.tell(f"{stream.path} {nbytes}")
        child.expect("cut")

    yield cut
    child.process.stdin.close()
    child.process.wait()
    child.process.stdout.close()
    child.process.stderr.close()


def twice(use: Callable[[Stream], Any], stream: Stream) -> None:
    """Use a damaged stream; what is not found by the first use is found by the second."""
    for _ in range(2):
        use(stream)
        stream.replaced()  # looks at the file
        time.sleep(0.01)  # which it does every 4 ms at most


def checked(use: Callable[[Stream], Any], stream: Stream) -> None:
    """See that a stream is found damaged."""
    with pytest.raises(errors.StreamDamagedError, match="its file was cut, or its header rewritten"):
        twice(use, stream)
    assert stream.damaged


@pytest.mark.parametrize("nbytes", [0, 100, 4096])
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", ["plain", "ring", "temporal", "large"])
def test_each_use_of_a_cut_stream_raises(
    make_stream: Callable[..., Stream], cut: Any, kind: str, use: str, nbytes: int
) -> None:
    if kind == "temporal":
        stream = temporal(make_stream)
    elif kind == "large":  # copied without the GIL
        stream = make_stream("large", (512, 1024), np.uint16)
    else:
        stream = make_stream(kind, SHAPE, np.uint16, cb_size=4 if kind == "ring" else 0)
    stream.publish(np.full(stream.frame_shape, 7, np.uint16))
    cut(stream, nbytes)
    checked(USES[use], stream)
    assert "damaged" in repr(stream)
    assert stream.replaced()
    with pytest.raises(errors.StreamError):
        stream.successor()  # there is no whole stream there
    stream.close()


#: What the header tells, by name.
TOLD = ("counter", "cnt1", "cnt2", "write", "stored_name", "version", "shared", "cb_index", "cb_cycle",
        "inode", "creator_pid", "owner_pid", "status", "flag", "logflag", "creation_time_ns",
        "last_access_time_ns", "acquisition_time_ns", "write_time_ns", "cuda_handle")  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_the_first_look_at_a_cut_header_raises(
    make_stream: Callable[..., Stream], cut: Any, name: str
) -> None:
    """It finds the file cut, and must not come back with the zeros that stand there then."""
    stream = make_stream("cam", SHAPE, np.uint16)
    stream.publish(np.ones(SHAPE, np.uint16))
    cut(stream, 0)
    with pytest.raises(errors.StreamDamagedError):
        getattr(stream, name)


@pytest.mark.parametrize("use", [
    lambda s: s.read_keywords(),
    lambda s: s.write_keywords([("A", 1)]),
    lambda s: s.update_keyword("A", 2),
    lambda s: s.sem_value(0),
])  # fmt: skip
def test_the_first_look_behind_a_cut_raises(
    make_stream: Callable[..., Stream], cut: Any, use: Callable[[Stream], Any]
) -> None:
    stream = make_stream("cam", SHAPE, np.uint16)
    stream.write_keywords([("A", 1)])
    cut(stream, 8192)  # within the pixels: the header is whole
    with pytest.raises(errors.StreamDamagedError):
        use(stream)


@pytest.mark.parametrize("nbytes", [0, 12288])  # nothing, or all but the end of the keywords and what follows
@pytest.mark.parametrize("look", [describe_stream, stream_details, lambda s: measure_stream(s, 0.2)])
def test_looks_from_outside_at_a_cut_stream(
    make_stream: Callable[..., Stream], cut: Any, look: Callable[[Stream], Any], nbytes: int
) -> None:
    """None of them tells of zeros as if they were in the file."""
    make_stream("cam", SHAPE, np.uint16).publish(np.ones(SHAPE, np.uint16))
    stream = Stream.attach("cam", writable=False)
    cut(stream, nbytes)
    with pytest.raises(errors.StreamDamagedError):
        look(stream)
    [entry] = survey()
    assert set(entry) == {"name", "path", "error"}


#: Every way to read through the objects that people use: of a stream and of a ring reader.
READS: dict[str, Callable[[SHM, RingReader], Any]] = {
    "get_data": lambda shm, ring: shm.get_data(),
    "get_data(out=)": lambda shm, ring: shm.get_data(out=np.empty(SHAPE, np.uint16)),
    "get_data(check=True)": lambda shm, ring: shm.get_data(check=True, timeout=0.2),
    "multi_recv_data": lambda shm, ring: shm.multi_recv_data(2, timeout=0.2),
    "capture": lambda shm, ring: shm.capture(2, timeout=0.2),
    "get_counter": lambda shm, ring: shm.get_counter(),
    "mtdata": lambda shm, ring: shm.mtdata,
    "keywords": lambda shm, ring: dict(shm.keywords),
    "get_keywords": lambda shm, ring: shm.get_keywords(),
    "check_sem_value": lambda shm, ring: shm.check_sem_value(),
    "ring.read": lambda shm, ring: ring.read(2, timeout=0.2),
    "ring.read(out=)": lambda shm, ring: ring.read(2, np.empty((2, *SHAPE), np.uint16), 0.2),
    "ring.peek": lambda shm, ring: ring.peek(2),
    "ring.latest": lambda shm, ring: ring.latest(),
    "ring.latest(block=True)": lambda shm, ring: ring.latest(block=True),
    "ring.dump": lambda shm, ring: ring.dump(frames=2),
    "ring.blocks": lambda shm, ring: next(ring.blocks(2, 0.2)),
}


@pytest.mark.parametrize("use", READS)
def test_each_read_through_objects_raises(make: Callable[..., SHM], cut: Any, use: str) -> None:
    shm = make("cam", (SHAPE, np.uint16), ring=8)
    with shm.ring_reader(start="oldest") as ring:
        for value in range(1, 5):
            shm.set_data(np.full(SHAPE, value, np.uint16))
        assert (ring.read(2).frames[1] == 1).all()  # the first one is that of its making
        before = next(ring.blocks(2, 0.2))
        assert before.intact()
        cut(Stream.attach("cam"), 4096)
        time.sleep(0.01)  # the file is looked at every 4 ms at most
        with pytest.raises(errors.StreamError):
            READS[use](shm, ring)
        assert not before.intact()
        assert ring.lag == 0


def test_a_view_reads_zeros_from_then_on(make_stream: Callable[..., Stream], cut: Any) -> None:
    stream = make_stream("cam", SHAPE, np.uint16)
    stream.publish(np.full(SHAPE, 7, np.uint16))
    view, whole = stream.view(), stream.view(writable=True)
    cut(stream, 0)
    assert view.sum() == 0
    whole[:] = 3  # goes nowhere
    assert os.path.getsize(stream.path) == 0
    assert stream.damaged


def test_a_view_outlives_a_closed_stream_that_is_cut(make_stream: Callable[..., Stream], cut: Any) -> None:
    stream = make_stream("cam", SHAPE, np.uint16)
    stream.publish(np.full(SHAPE, 7, np.uint16))
    view = stream.view()
    stream.close()
    cut(stream, 0)
    assert view.sum() == 0


@pytest.mark.parametrize("damage", ["cut", "rewritten"])
def test_closing_does_not_hide_damage(make_stream: Callable[..., Stream], cut: Any, damage: str) -> None:
    stream = make_stream("cam", SHAPE, np.uint16, cb_size=4)
    ring = RingReader(stream, start="oldest")
    stream.publish(np.full(SHAPE, 7, np.uint16))
    block = ring.peek(1)
    assert block.intact()
    stream.close()
    assert block.intact()
    if damage == "cut":
        cut(stream, 0)
        assert block.frames.sum() == 0
    else:
        with open(stream.path, "r+b") as file:
            file.seek(116)  # the first size
            file.write(struct.pack("<I", 3))
    assert not block.intact()
    ring.close()


@pytest.mark.parametrize("offset", [0.25, 0.5, 0.9])
def test_a_stream_that_is_cut_at_its_tail(
    make_stream: Callable[..., Stream], cut: Any, offset: float
) -> None:
    """Its header is there still: the size of the file tells, or the page that is not."""
    stream = make_stream("cam", (128, 128), np.uint16, cb_size=16)
    stream.publish(np.full((128, 128), 7, np.uint16))
    cut(stream, int(stream.file_nbytes * offset))
    checked(lambda s: s.read(), stream)


@pytest.mark.parametrize("damage", ["cut", "sem", "size0"])
@pytest.mark.parametrize(
    "what", ["wait", "receive", "capture", "sem_wait", "ring", "collector", "any", "relay"]
)
def test_waits_of_another_thread_end(
    make_stream: Callable[..., Stream], cut: Any, what: str, damage: str
) -> None:
    stream = make_stream("cam", SHAPE, np.uint16, cb_size=16 if what == "ring" else 0)
    stream.publish(np.ones(SHAPE, np.uint16))
    stream.flush()
    found: list[BaseException | object] = []
    ready = threading.Event()

    def work() -> None:
        ready.set()
        try:
            if what == "wait":
                stream.wait(10.0)
            elif what == "receive":
                stream.receive(np.empty((3, *SHAPE), np.uint16), timeout=10.0)
            elif what == "capture":
                Capture(stream, 3, timeout=0.5).start().join()
            elif what == "sem_wait":
                stream.sem_wait(3, 10.0)
            elif what in ("ring", "collector"):
                with RingReader(stream, source="collector" if what == "collector" else "auto") as ring:
                    ring.read(3, timeout=0.5)
            elif what == "any":
                found.append(wait_any([stream.reader()], timeout=10.0))
                stream.read()
            else:
                with Relay(stream, "copy", depth=8) as relay:
                    while not relay.source.damaged:
                        time.sleep(0.01)
                        relay.tend()
                    found.append("ended")
        except errors.StreamError as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    time.sleep(0.03)  # it waits by now, most of the time; it has to end in either case
    if damage == "cut":
        cut(stream, 0)
    else:
        _, offset, form = next(each for each in GEOMETRY if each[0] == damage)
        with open(stream.path, "r+b") as file:
            file.seek(offset)
            file.write(struct.pack(form, 3))
    thread.join(8.0)
    assert not thread.is_alive()
    assert found, "it ended without a word"
    assert isinstance(found[-1], errors.StreamError) or found[-1] == "ended"


WRITER = """
import sys, numpy as np
from pymilk import SHM
shm = SHM(sys.argv[1], ((64, 64), np.uint16), ring=int(sys.argv[2]) or None)
print("ready", flush=True)
frames = np.arange(1, 257, dtype=np.uint16)[:, None, None] * np.ones((64, 64), np.uint16)
try:
    while True:
        shm.set_many(frames, rate=5000)
except Exception as error:
    print(type(error).__name__, flush=True)
"""


@pytest.mark.parametrize("ring", [0, 64])
def test_captures_under_load(cut: Any, ring: int) -> None:
    """The writer dies of nothing either, and every frame that was delivered before is whole."""
    writer = Child(WRITER, "cam", ring)
    writer.expect("ready")
    shm = SHM("cam")
    capture = shm.capture(100_000, background=True, timeout=5.0)
    while capture.received < 200:
        time.sleep(0.001)
    cut(Stream.attach("cam"), random.choice([0, 300, 4096, 9000]))
    with pytest.raises(errors.StreamError):
        capture.join()
    frames = capture.frames[: capture.received]
    assert (frames == frames[:, :1, :1]).all()
    assert (frames[:, 0, 0] > 0).all()
    assert (np.diff(capture.info["cnt0"][: capture.received].astype(np.int64)) > 0).all()
    writer.expect("StreamDamagedError")
    assert writer.finish()[0] == 0
    capture.close()
    shm.close()
    os.unlink(Path(os.environ["MILK_SHM_DIR"], "cam.im.shm"))


def test_a_capture_goes_on_in_a_stream_that_was_made_in_place(
    make: Callable[..., SHM], make_stream: Callable[..., Stream]
) -> None:
    old = make_stream("cam", SHAPE, np.uint16)
    new = make_stream("other", SHAPE, np.uint16)
    shm = make("cam")
    capture = shm.capture(4, background=True, timeout=5.0)
    for value in (1, 2):
        before = capture.received
        old.publish(np.full(SHAPE, value, np.uint16))
        while capture.received == before:
            time.sleep(0.001)
    with open(old.path, "r+b") as file:
        file.truncate(0)  # and every page of the old one is gone
    time.sleep(0.1)  # the capture looks every few milliseconds: some of its looks find nothing there
    made_in_place(old.path, new.path)
    again = Stream.attach("cam")
    while capture.received < 4 and not capture.done:
        again.publish(np.full(SHAPE, 7, np.uint16))
        time.sleep(0.01)
    capture.join()
    assert capture.frames[:, 0, 0].tolist() == [1, 2, 7, 7]
    assert capture.info["flags"][2] & FLAG_NEW_FILE
    again.close()


OTHERS = """
import ctypes, faulthandler, mmap, os, signal, sys, tempfile
import numpy as np
from pymilk import SHM
order = sys.argv[1]
if order == "before":
    faulthandler.enable()
shm = SHM("mine", ((8, 8), np.uint16))
if order == "after":
    faulthandler.enable()
    SHM("second", ((8, 8), np.uint16))
elif order == "disabled":
    faulthandler.enable()
    SHM("second", ((8, 8), np.uint16))
    faulthandler.disable()  # its handler does nothing from now on
with tempfile.TemporaryFile() as file:
    file.truncate(8192)
    memory = mmap.mmap(file.fileno(), 8192)
    file.truncate(0)
    print("now", flush=True)
    memory[0]
print("alive", flush=True)
"""


@pytest.mark.parametrize("order", ["alone", "before", "after", "disabled"])
def test_a_fault_elsewhere_ends_the_process_as_ever(spawn: Callable[..., Child], order: str) -> None:
    """The handler is for streams only; faulthandler still writes its stacks, once."""
    child = spawn(OTHERS, order)
    child.expect("now")
    code, out, err = child.finish()
    assert code == -signal.SIGBUS
    assert "alive" not in out
    assert err.count("Fatal Python error: Bus error") <= 1
    if order == "before":
        assert "Fatal Python error: Bus error" in err


def test_a_signal_from_a_process_ends_it(shm_dir: Path) -> None:
    child = Child("import sys, numpy, time; from pymilk import SHM; SHM('a', ((4,4), 'f4'))\n"
                  "print('up', flush=True); time.sleep(60)")
    child.expect("up")
    os.kill(child.pid, signal.SIGBUS)
    assert child.finish()[0] == -signal.SIGBUS


def test_a_signal_that_is_ignored_stays_so(spawn: Callable[..., Child]) -> None:
    child = spawn("import signal, sys, numpy; from pymilk import SHM\n"
                  "signal.signal(signal.SIGBUS, signal.SIG_IGN)\n"
                  "SHM('a', ((4,4), 'f4')); print('up', flush=True); sys.stdin.readline()")
    child.expect("up")
    os.kill(child.pid, signal.SIGBUS)
    assert child.finish()[0] == 0


def test_many_mappings_come_and_go(make_stream: Callable[..., Stream], cut: Any) -> None:
    """Entries of the guard are used again, and the right one is found among many."""
    for _ in range(3):
        streams = [make_stream(f"s{i}", (16, 16), np.uint16) for i in range(40)]
        for stream in streams:
            stream.publish(np.full((16, 16), 5, np.uint16))
        for stream in streams[::3]:
            cut(stream, 0)
        for i, stream in enumerate(streams):
            if i % 3 == 0:
                checked(lambda s: s.read(), stream)
            else:
                assert stream.read()[0].max() == 5
            stream.close()
            os.unlink(stream.path)


def test_the_guard_lasts_through_a_fork(make_stream: Callable[..., Stream]) -> None:
    stream = make_stream("cam", SHAPE, np.uint16)
    stream.publish(np.ones(SHAPE, np.uint16))
    code = """
import os, sys, numpy as np
from pymilk import errors
from pymilk._core import Stream
stream = Stream.attach("cam")
pid = os.fork()
if pid == 0:
    os.truncate(stream.path, 0)
    try:
        stream.read()
    except errors.StreamDamagedError:
        os._exit(7)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert said.stdout.strip() == "7"
