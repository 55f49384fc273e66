"""Streams between processes: exact accounts, foreign writers, dead writers, new files, signals, forks."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import inspect
import mmap
import os
import shutil
import signal
import subprocess
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isio_format
import pymilk
from pymilk import SHM
from pymilk._core import (
    FLAG_COUNTER_RESET,
    FLAG_NEW_FILE,
    FLAG_REPEATED_POST,
    FLAG_TORN,
    FLAG_VERIFIED,
    FRAME_ROW,
    Stream,
)
from pymilk.errors import (
    FrameTornWarning,
    StreamChangedError,
    StreamClosedError,
    StreamReplacedError,
    StreamTimeoutError,
    StreamTimeoutWarning,
)

SHAPE = (32, 32)

#: A reader that gets nothing for this long has failed; far above anything a loaded machine does.
PATIENCE = 30.0


class Foreign:
    """Another program that writes a stream: it knows the file format and sem_post, not pymilk."""

    def __init__(self, path: Any, shape: Any = (32, 32), nbkw: int = 50, nbsem: int = 10) -> None:
        handle = os.open(path, os.O_RDWR)
        self.file = mmap.mmap(handle, 0)
        os.close(handle)
        place = isio_format.OFFSETS["default"]
        code = self.file[place["datatype"]]
        table = isio_format.section_table(shape[::-1], code, nbkw=nbkw, nbsem=nbsem)
        dtype = isio_format.DATATYPES[code]

        def array(dtype: str, count: int, offset: int) -> Any:
            return np.frombuffer(self.file, dtype, count, offset)

        self.pixels = array(dtype, int(np.prod(shape)), table["array"].offset)
        self.cnt0 = array("<u8", 1, place["cnt0"])
        self.write = array("u1", 1, place["write"])
        self.lastaccess = array("<i8", 2, place["lastaccesstime"])
        first = self.pixels.ctypes.data - table["array"].offset + table["semfile"].offset
        self.semaphores = [ctypes.c_void_p(first + 32 * k) for k in range(nbsem)]
        self.libc = ctypes.CDLL(None)

    def open(self, number: int) -> None:
        self.write[0] = 1

    def fill(self, number: int) -> None:
        self.pixels[:] = number

    def half(self, number: int) -> None:
        self.pixels[: len(self.pixels) // 2] = number

    def post(self, number: int) -> None:
        value = ctypes.c_int()
        for semaphore in self.semaphores:
            self.libc.sem_getvalue(semaphore, ctypes.byref(value))
            if value.value < 10:
                self.libc.sem_post(semaphore)

    def stamp(self, number: int) -> None:
        self.lastaccess[:] = divmod(time.clock_gettime_ns(11), 1_000_000_000)

    def count(self, number: int) -> None:
        self.cnt0[0] = number

    def close(self, number: int) -> None:
        self.write[0] = 0

    def publish(self, number: int, steps: str) -> None:
        for step in steps.split():
            getattr(self, step)(number)


def create_foreign(path: Any, size: Any, code: int = 5) -> None:
    """Create a stream as another program does: delete what is there, then make the file."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    stream = isio_format.fresh(os.path.basename(path).split(".")[0], size, code)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    stream.inode = os.fstat(handle).st_ino
    data = isio_format.encode(stream)
    # The version comes last, and with it the stream is ready.
    os.ftruncate(handle, len(data))
    os.pwrite(handle, data[32:], 32)
    os.pwrite(handle, data[:32], 0)
    os.close(handle)


#: The library's own order; that of its Python wrapper; and what cameras do.
C_ORDER = "open fill count close post"
WRAPPER_ORDER = "open fill post stamp close count"

PRELUDE = """
from __future__ import annotations
import contextlib, ctypes, gc, mmap, os, signal, sys, threading, time
from typing import Any
import isio_format
import numpy as np
import pymilk
from pymilk import SHM
from pymilk._core import Stream

def say(*words):
    print(*words, flush=True)

""" + "\n".join(inspect.getsource(thing) for thing in (Foreign, create_foreign))


def until(condition: Callable[[], Any]) -> None:
    """Look until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.0005)


def owners(stream: Stream) -> list[int]:
    """Return the processes that hold a semaphore, by index."""
    return [int(pid) for pid in stream.section("sem_read_pid")]


def check_account(
    frames: np.ndarray, info: np.ndarray, start: int, *, torn: bool = False, late: int = 0
) -> None:
    """Check self-checking frames: whole, in order, once each, and none unaccounted for.

    Next to a writer that leaves no time for a copy there are torn ones, which say so. Some writers
    show a frame before they count it: a reader that is late at just that moment, and then misses
    the count too, has the next frame under a number that is `late` by 1.
    """
    numbers = info["cnt0"].astype(np.int64)
    assert (np.diff(numbers) > 0).all()
    np.testing.assert_array_equal(np.diff(numbers, prepend=start), info["lost"].astype(np.int64) + 1)
    verified = (info["flags"] & FLAG_VERIFIED) != 0
    np.testing.assert_array_equal(verified, (info["flags"] & FLAG_TORN) == 0)
    assert torn or verified.all()
    stamps = frames.reshape(len(frames), -1)[verified]
    assert (stamps == stamps[:, :1]).all()
    shown = stamps[:, 0].astype(np.int64)
    assert (np.diff(shown) > 0).all()
    assert set(np.unique(shown - numbers[verified])) <= set(range(late + 1))


# -- exact accounts -----------------------------------------------------------------------------------

STAMPED_WRITER = (
    PRELUDE
    + """
interval, total = int(sys.argv[1]), int(sys.argv[2])
frames = np.empty((total, 32, 32), np.uint32)
frames[:] = np.arange(1, total + 1)[:, None, None]
stream = Stream.attach("cam")
say("ready")
input()
say(stream.publish_many(frames, interval_ns=interval))
input()
"""
)


def accounted(spawn: Any, make_stream: Any, rate: int, total: int) -> pymilk.Capture:
    stream = make_stream("cam", SHAPE, np.uint32)
    writer = spawn(STAMPED_WRITER, 1_000_000_000 // rate if rate else 0, total)
    writer.expect("ready")
    with SHM("cam") as shm:
        capture = shm.capture(total, timeout=None, background=True)
        writer.tell()
        writer.expect(str(total))
        # The newest frame is always had, however many were lost before it.
        until(lambda: capture.received and capture.info["cnt0"][-1] == total)
        capture.stop()
        capture.join()
    writer.tell()
    assert writer.finish() == (0, "", "")
    check_account(capture.frames, capture.info, 0, torn=not rate)
    assert capture.report.received + capture.report.lost == total == stream.counter
    assert capture.report.repeated == 0
    return capture


@pytest.mark.parametrize("rate", [1000, 5000, 10000, 0])
def test_every_frame_is_received_or_counted_as_lost(spawn, make_stream, rate):
    accounted(spawn, make_stream, rate, 400 if rate else 4000)


@pytest.mark.stress
@pytest.mark.parametrize("rate", [1000, 5000, 10000, 0])
def test_every_frame_is_received_or_counted_as_lost_for_seconds(spawn, make_stream, rate):
    report = accounted(spawn, make_stream, rate, 3 * rate if rate else 100_000).report
    print(f"\n{rate or 'unthrottled'}: {report}")


def test_lost_is_exact_for_a_reader_that_is_too_slow(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    writer = spawn(
        PRELUDE
        + """
stream = Stream.attach("cam")
number = 0
for line in sys.stdin:
    for _ in range(int(line)):
        number += 1
        stream.publish(np.full((32, 32), number, np.uint32))
    say(number)
"""
    )
    frames, info = np.zeros((6, *SHAPE), np.uint32), np.zeros(6, FRAME_ROW)
    reader = stream.reader()
    after = reader.arm()
    for row, steps in enumerate([1, 2, 30, 1, 500, 11]):
        writer.tell(steps)
        writer.hear()
        reader.receive(frames[: row + 1], info, after=after, first=row, timeout=PATIENCE)
        after = reader.last
    assert info["lost"].tolist() == [0, 1, 29, 0, 499, 10]
    check_account(frames, info, 0)
    reader.close()


@pytest.mark.stress
def test_get_data_is_never_torn_unannounced_next_to_a_fast_writer(spawn, make_stream):
    """A machine that holds the writer up within a frame gives a warning; all else is whole."""
    make_stream("cam", SHAPE, np.uint32)
    total = 60_000
    writer = spawn(STAMPED_WRITER, 50_000, total)
    writer.expect("ready")
    writer.tell()
    last, whole, announced = 0, 0, set()
    with SHM("cam") as shm:
        while last < total:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                frame = shm.get_data()
            if not told:
                assert (frame == frame[0, 0]).all()
                assert frame[0, 0] >= last
                last = int(frame[0, 0])
                whole += 1
            for each in told:
                assert each.category is FrameTornWarning
                announced.add(str(each.message))
    writer.expect(str(total))
    writer.tell()
    assert writer.finish() == (0, "", "")
    # The writer was held up in each of them, or was making up for it without a pause.
    assert len(announced) <= whole / 100


# -- foreign writers ----------------------------------------------------------------------------------

FREE_WRITER = (
    PRELUDE
    + """
steps, total, interval = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
writer = Foreign(os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
say("ready")
input()
due, longest = time.monotonic(), 0.0
for number in range(1, total + 1):
    while (began := time.monotonic()) < due:
        pass
    due += interval
    writer.publish(number, steps)
    longest = max(longest, time.monotonic() - began)
say("done")
say(longest)
"""
)

#: Publishes one frame for each line that it is told: the number of the frame.
LED_WRITER = (
    PRELUDE
    + """
steps = sys.argv[1]
writer = Foreign(os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
say("ready")
for line in sys.stdin:
    writer.publish(int(line), steps)
"""
)


def captured_free(
    spawn: Any, shm: SHM, steps: str, total: int, interval: float
) -> tuple[pymilk.Capture, float]:
    """Capture what a writer publishes that waits for nobody; also returns its longest frame in seconds."""
    writer = spawn(FREE_WRITER, steps, total, interval)
    writer.expect("ready")
    capture = shm.capture(total, timeout=None, background=True)
    writer.tell()
    writer.expect("done")
    until(lambda: capture.received and capture.info["cnt0"][-1] == total)
    capture.stop()
    return capture.join(), float(writer.hear())


def captured_led(spawn: Any, shm: SHM, steps: str, numbers: list[int]) -> pymilk.Capture:
    """Capture from a writer that begins a frame when the one before has been received."""
    writer = spawn(LED_WRITER, steps)
    writer.expect("ready")
    capture = shm.capture(len(numbers), timeout=PATIENCE, background=True)
    for received, number in enumerate(numbers, 1):
        writer.tell(number)
        until(lambda received=received: capture.received >= received or capture.done)
    return capture.join()


@pytest.mark.parametrize(
    "steps",
    [C_ORDER, WRAPPER_ORDER, "open fill count post close", "open fill count close"],
    ids=["library", "wrapper", "post-before-release", "never-posts"],
)
def test_foreign_writer(spawn, make_stream, steps):
    make_stream("cam", SHAPE, np.uint32)
    with SHM("cam") as shm:
        capture, longest = captured_free(spawn, shm, steps, 400, 0.001)
    # A writer that the machine holds up for 50 ms within a frame is taken for dead in it.
    held_up = longest > 0.04
    check_account(capture.frames, capture.info, 0, torn=held_up, late=int(steps == WRAPPER_ORDER))
    # The wrapper's posts are ahead of their frames, which a late reader may take for repeated ones.
    assert capture.report.repeated <= (8 if steps == WRAPPER_ORDER else 0)


@pytest.mark.stress
@pytest.mark.parametrize("steps", [C_ORDER, WRAPPER_ORDER], ids=["library", "wrapper"])
def test_foreign_writer_at_full_speed(spawn, make_stream, steps):
    make_stream("cam", SHAPE, np.uint32)
    with SHM("cam") as shm:
        capture, _ = captured_free(spawn, shm, steps, 40_000, 0)
    check_account(capture.frames, capture.info, 0, torn=True, late=int(steps == WRAPPER_ORDER))
    assert capture.report.received + capture.report.lost == 40_000


def test_frame_that_is_seen_before_it_is_counted(spawn, make_stream):
    """The Python wrapper lowers `write` before it counts: what is read between belongs to the next."""
    make_stream("cam", SHAPE, np.uint32)
    reader = spawn(
        PRELUDE
        + """
shm = SHM("cam")
capture = shm.capture(5, timeout=30, background=True)
say("armed")
for received in range(1, 6):
    while capture.received < received:
        time.sleep(0.0005)
    say(received)
    if received == 4:
        while capture.info["cnt0"][3] == 4:
            time.sleep(0.0005)
        say("put right")
capture.join()
say(capture.frames[:, 0, 0].tolist())
say(capture.info["cnt0"].tolist())
# A reader that is late may take a post that is ahead of its frame for a repeated one.
say(capture.info["lost"].tolist(), capture.report.repeated <= 2)
shm.close()
"""
    )
    reader.expect("armed")
    writer = Foreign(Path(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
    for number in (1, 2, 3):
        writer.publish(number, WRAPPER_ORDER)
        reader.expect(str(number))
    # Stopped, the reader sees frame 4 only once frame 5 stands there, not counted yet.
    os.kill(reader.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, reader.pid, os.WSTOPPED | os.WNOWAIT)
    writer.publish(4, WRAPPER_ORDER)
    writer.publish(5, WRAPPER_ORDER.removesuffix(" count"))
    os.kill(reader.pid, signal.SIGCONT)
    reader.expect("4")
    writer.publish(5, "count")
    reader.expect("put right")
    writer.publish(6, WRAPPER_ORDER)
    reader.expect("5")
    reader.expect("[1, 2, 3, 5, 6]")
    reader.expect("[1, 2, 3, 5, 6]")
    reader.expect("[0, 0, 0, 1, 0] True")
    assert reader.finish() == (0, "", "")


def test_foreign_writer_that_never_raises_write(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    with SHM("cam") as shm:
        capture = captured_led(spawn, shm, "fill count post", list(range(1, 41)))
    check_account(capture.frames, capture.info, 0)
    assert capture.report.lost == 0


def test_foreign_writer_that_posts_twice(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    with SHM("cam") as shm:
        capture = captured_led(spawn, shm, "open fill count close post post", list(range(1, 41)))
    check_account(capture.frames, capture.info, 0)
    assert capture.report.lost == 0
    # Posts that are late, or ahead of their frame, make the number a lower bound.
    assert 1 <= capture.report.repeated <= 40
    assert 1 <= np.count_nonzero(capture.info["flags"] & FLAG_REPEATED_POST) <= 40


def test_post_without_a_frame_is_not_a_frame(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    writer = spawn(LED_WRITER, "post post post")
    writer.expect("ready")
    with SHM("cam") as shm:
        capture = shm.capture(1, timeout=0.3, background=True)
        writer.tell(7)
        with pytest.raises(StreamTimeoutError) as caught:
            capture.join()
        assert caught.value.capture.received == 0
        writer.tell(7)
        assert shm.get_data(check=True, timeout=0.2, return_none_on_timeout=True) is None
    assert stream.counter == 0


def test_counter_that_jumps_forward_counts_as_lost(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    with SHM("cam") as shm:
        capture = captured_led(spawn, shm, C_ORDER, [1, 2, 10, 11, 5000])
    assert capture.info["lost"].tolist() == [0, 0, 7, 0, 4988]
    check_account(capture.frames, capture.info, 0)


@pytest.mark.parametrize("back_to", [0, 3])
def test_counter_that_jumps_backward_is_flagged(spawn, make_stream, back_to):
    make_stream("cam", SHAPE, np.uint32)
    with SHM("cam") as shm:
        numbers = [1, 2, 50, back_to, back_to + 1]
        capture = captured_led(spawn, shm, C_ORDER, numbers)
    assert capture.info["cnt0"].tolist() == numbers
    assert capture.frames[:, 0, 0].tolist() == numbers
    assert capture.info["lost"].tolist() == [0, 0, 47, 0, 0]
    reset = (capture.info["flags"] & FLAG_COUNTER_RESET) != 0
    assert reset.tolist() == [False, False, False, True, False]


C_WRITER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ImageStruct.h"

static size_t up(size_t nbytes) { return (nbytes + 7) / 8 * 8; }

int main(int argc, char **argv)
{
    struct stat st;
    int fd = open(argv[1], O_RDWR);
    long total = atol(argv[2]), interval = atol(argv[3]), wrapper = atol(argv[4]);
    if (argc != 5 || fd < 0 || fstat(fd, &st) != 0) return 1;
    char *base = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) return 2;
    IMAGE_METADATA *md = (IMAGE_METADATA *)base;
    uint32_t *pixels = (uint32_t *)(base + sizeof(IMAGE_METADATA));
    SEMFILEDATA *semaphores = (SEMFILEDATA *)(base + sizeof(IMAGE_METADATA) + up(md->imdatamemsize)
                                              + md->NBkw * sizeof(IMAGE_KEYWORD));
    struct timespec due;
    puts("ready"), fflush(stdout);
    getchar();
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (long number = 1; number <= total; number++) {
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        due.tv_nsec += interval;
        if (due.tv_nsec >= 1000000000L) due.tv_sec++, due.tv_nsec -= 1000000000L;
        __atomic_store_n(&md->write, 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        for (uint64_t k = 0; k < md->nelement; k++) pixels[k] = (uint32_t)number;
        if (!wrapper) {
            clock_gettime(CLOCK_ISIO, &md->writetime);
            md->atime = md->writetime;
            __atomic_store_n(&md->cnt0, md->cnt0 + 1, __ATOMIC_RELEASE);
            __atomic_store_n(&md->write, 0, __ATOMIC_RELEASE);
        }
        for (int k = 0; k < md->sem; k++) {
            int value;
            sem_getvalue(&semaphores[k].semdata, &value);
            if (value < SEMAPHORE_MAXVAL) sem_post(&semaphores[k].semdata);
        }
        if (wrapper) {
            clock_gettime(CLOCK_ISIO, &md->lastaccesstime);
            __atomic_store_n(&md->write, 0, __ATOMIC_RELEASE);
            __atomic_store_n(&md->cnt0, md->cnt0 + 1, __ATOMIC_RELEASE);
        }
    }
    puts("done");
    return 0;
}
"""


@pytest.mark.parametrize("order", ["library", "wrapper"])
def test_writer_in_c_with_the_installed_header(make_stream, tmp_path, order):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, program = tmp_path / "writer.c", tmp_path / "writer"
    source.write_text(C_WRITER)
    subprocess.run(
        [compiler, "-O2", "-Wall", "-Werror", "-pthread", "-I", pymilk.get_include(), source, "-o", program],
        check=True,
    )
    stream = make_stream("cam", SHAPE, np.uint32)
    with (
        SHM("cam") as shm,
        subprocess.Popen(
            [str(program), stream.path, "2000", "100000", str(int(order == "wrapper"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as writer,
    ):
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        capture = shm.capture(2000, timeout=None, background=True)
        writer.stdin.write(b"\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == b"done\n"
        until(lambda: capture.received and capture.info["cnt0"][-1] == 2000)
        capture.stop()
        capture.join()
    check_account(capture.frames, capture.info, 0, late=int(order == "wrapper"))
    assert capture.report.received + capture.report.lost == 2000
    assert capture.report.repeated == 0
    if order == "library":
        assert (np.diff(capture.info["writetime_ns"]) > 0).all()
        assert capture.report.latency_us["p50"] >= 0
    else:
        assert capture.report.latency_us == {}  # the wrapper stamps no time that tells it


# -- writers that die ---------------------------------------------------------------------------------

DYING_WRITER = (
    PRELUDE
    + """
writer = Foreign(os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
say("ready")
input()
writer.publish(1, "open fill count close post")
say("published")
input()
writer.publish(2, sys.argv[1])
say("in it")
time.sleep(1000)
"""
)


def test_writer_killed_in_a_frame(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    writer = spawn(DYING_WRITER, "open half")
    writer.expect("ready")
    writer.tell()
    writer.expect("published")
    writer.tell()
    writer.expect("in it")
    writer.kill()
    with SHM("cam") as shm:
        assert shm.mtdata["write"] == 1
        began = time.monotonic()
        with pytest.warns(FrameTornWarning):
            frame = shm.get_data()
        took = time.monotonic() - began
        print(f"\nfirst get_data: {took * 1e3:.1f} ms")
        assert took < 2
        assert set(np.unique(frame)) == {1, 2}
        # Once found dead, it is not waited for again.
        times = []
        for _ in range(5):
            began = time.monotonic()
            with pytest.warns(FrameTornWarning):
                shm.get_data()
            times.append(time.monotonic() - began)
        assert min(times) < 0.02
        with pytest.raises(StreamTimeoutError) as caught:
            shm.capture(3, timeout=0.1)
        assert caught.value.capture.received == 0
        # A new writer takes over.
        shm.set_data(np.full(SHAPE, 9, np.uint32))
        assert (shm.get_data() == 9).all()
        assert shm.mtdata["write"] == 0


def test_writer_killed_in_a_frame_while_its_last_one_is_captured(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    writer = spawn(DYING_WRITER, "count open half post")
    writer.expect("ready")
    with SHM("cam") as shm:
        capture = shm.capture(3, timeout=0.5, background=True)
        writer.tell()
        writer.expect("published")
        until(lambda: capture.received == 1)
        # The second frame is counted, and with it the third one is begun.
        writer.tell()
        writer.expect("in it")
        writer.kill()
        with pytest.raises(StreamTimeoutError):
            capture.join()
        assert capture.info["cnt0"].tolist() == [1, 2]
        assert capture.report.torn <= 1
        if capture.report.torn:
            assert capture.info["flags"][1] & FLAG_TORN
        else:  # the capture was faster than the writer
            assert (capture.frames[1] == 1).all()


def test_writer_killed_at_any_moment(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    with SHM("cam") as shm:
        for _ in range(3):
            writer = spawn(FREE_WRITER, WRAPPER_ORDER, 10**9, 0)
            writer.expect("ready")
            writer.tell()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FrameTornWarning)
                shm.get_data(check=True, timeout=PATIENCE)
            writer.kill()
            with contextlib.suppress(StreamTimeoutError):
                shm.capture(2, timeout=0.1)
            began = time.monotonic()
            if shm.mtdata["write"]:
                with pytest.warns(FrameTornWarning):
                    shm.get_data()
            else:
                frame = shm.get_data()
                assert (frame == frame[0, 0]).all()
            assert time.monotonic() - began < 2


# -- streams that go away -----------------------------------------------------------------------------


def test_deleted_stream_stays_readable(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    with SHM("cam") as shm:
        shm.set_data(np.full(SHAPE, 5, np.uint32))
        other = spawn(PRELUDE + 'SHM("cam").destroy(); say("gone")')
        other.expect("gone")
        assert (shm.get_data() == 5).all()
        assert shm.get_counter() == 1
        with pytest.warns(StreamTimeoutWarning):
            frame = shm.get_data(check=True, timeout=0.1)
        assert (frame == 5).all()
        with pytest.raises(StreamTimeoutError, match="deleted") as caught:
            shm.capture(1, timeout=0.1)
        assert caught.value.stream == "cam"
        assert caught.value.timeout == pytest.approx(0.1)
    stream = Stream.create("cam2", SHAPE, np.uint32)
    os.unlink(stream.path)
    with pytest.raises(StreamTimeoutError, match="deleted"):
        stream.wait(0.1)
    stream.close()


RECREATORS = {
    "pymilk": """
def recreate(shape=(32, 32)):
    shm = SHM("cam", (shape, np.uint32))  # publishes its zeros as frame 1
    return lambda number: shm.set_data(np.full(shape, number, np.uint32)), 1
""",
    "foreign": """
def recreate(shape=(32, 32)):
    path = os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm")
    create_foreign(path, shape[::-1])
    writer = Foreign(path, shape)
    def publish(number):
        writer.publish(int(writer.cnt0[0]) + 1, "open")
        writer.fill(number)
        writer.publish(int(writer.cnt0[0]) + 1, "count close post")
    return publish, 0
""",
}

#: Told "recreate", "publish <pixel value>" or "publish_old <pixel value>".
RECREATOR = """
old = Stream.attach("cam")
publish = None
say("ready")
for line in sys.stdin:
    what, *args = line.split()
    if what == "recreate":
        publish, counter = recreate(tuple(int(arg) for arg in args) or (32, 32))
        say(counter)
    elif what == "publish":
        publish(int(args[0]))
    else:
        say(old.publish(np.full((32, 32), int(args[0]), np.uint32)))
"""


@pytest.fixture(params=sorted(RECREATORS))
def recreator(request, spawn, make_stream):
    """A second process that recreates the stream "cam", in its own way."""
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(PRELUDE + RECREATORS[request.param] + RECREATOR)
    child.expect("ready")
    return child


def test_get_data_follows_a_recreated_stream(recreator):
    with SHM("cam") as shm:
        inode = shm.mtdata["inode"]
        shm.set_data(np.full(SHAPE, 3, np.uint32))
        recreator.tell("recreate")
        counter = int(recreator.hear())
        # At once, or with another program's stream within the few milliseconds that are documented.
        until(lambda: (shm.get_data() == 0).all())
        assert shm.get_counter() == counter
        assert shm.mtdata["inode"] != inode
        recreator.tell("publish 8")
        until(lambda: (shm.get_data() == 8).all())


def test_get_data_that_waits_follows_a_recreated_stream(recreator):
    with SHM("cam") as shm:
        old = Stream.attach("cam")
        found: list[np.ndarray] = []
        waiter = threading.Thread(target=lambda: found.append(shm.get_data(check=True, timeout=PATIENCE)))
        waiter.start()
        until(lambda: os.getpid() in owners(old))
        recreator.tell("recreate")
        counter = int(recreator.hear())
        recreator.tell("publish 8")
        waiter.join(PATIENCE)
        assert not waiter.is_alive()
        # pymilk publishes a first frame with the stream, and that may be the one.
        assert (found[0] == 8).all() or (counter == 1 and (found[0] == 0).all())
        assert shm.get_counter() >= 1
        old.close()


def test_capture_follows_a_recreated_stream(recreator):
    with SHM("cam") as shm:
        capture = shm.capture(8, timeout=PATIENCE, background=True)
        for number in (1, 2, 3):
            recreator.tell(f"publish_old {number}")
            recreator.expect(str(number))
            until(lambda number=number: capture.received == number)
        recreator.tell("recreate")
        counter = int(recreator.hear())
        if counter:
            until(lambda: capture.received == 4)
        for number in range(capture.received + 1, 9):
            recreator.tell(f"publish {number}")
            until(lambda number=number: capture.received == number)
        capture.join()
    assert capture.info["cnt0"].tolist() == [1, 2, 3, 1, 2, 3, 4, 5]
    assert capture.info["lost"].tolist() == [0] * 8
    assert capture.frames[:, 0, 0].tolist() == [1, 2, 3, 0 if counter else 4, 5, 6, 7, 8]
    new = (capture.info["flags"] & FLAG_NEW_FILE) != 0
    assert new.tolist() == [False] * 3 + [True] + [False] * 4
    assert (capture.report.new_files, capture.report.lost) == (1, 0)


def test_capture_counts_what_the_old_file_still_had(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + RECREATORS["foreign"]
        + """
old = Stream.attach("cam")
say("ready")
for line in sys.stdin:
    # Frames that come too fast for any reader, and then a new file.
    last = old.publish_many(np.ones((1, 32, 32), np.uint32), 500)
    publish, _ = recreate()
    publish(8)
    say(last)
"""
    )
    child.expect("ready")
    with SHM("cam") as shm:
        capture = shm.capture(10_000, timeout=PATIENCE, background=True)
        child.tell()
        last = int(child.hear())
        until(lambda: capture.received and capture.frames[-1, 0, 0] == 8)
        capture.stop()
        capture.join()
    assert last == 500
    assert (capture.frames[-1] == 8).all()
    assert capture.report.new_files == 1
    assert capture.report.received + capture.report.lost == last + 1
    assert capture.info["cnt0"][-1] == 1


def test_capture_follows_after_the_counter_went_back(spawn, make_stream):
    # What the old file still had cannot be known then; it must not become a negative number.
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + RECREATORS["foreign"]
        + """
writer = Foreign(os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
say("ready")
input()
writer.publish(50, "open fill count close post")
input()
# The process that reads is stopped now, so that it sees all of this at once.
publish, _ = recreate()
writer.publish(3, "count")
publish(8)
say("done")
input()
"""
    )
    child.expect("ready")
    reader = spawn(
        PRELUDE
        + """
shm = SHM("cam")
capture = shm.capture(2, timeout=30, background=True)
say("armed")
while capture.received < 1:
    time.sleep(0.001)
say("one")
capture.join()
say(capture.info["cnt0"].tolist(), capture.info["lost"].tolist())
shm.close()
"""
    )
    reader.expect("armed")
    child.tell()
    reader.expect("one")
    os.kill(reader.pid, signal.SIGSTOP)
    child.tell()
    child.expect("done")
    os.kill(reader.pid, signal.SIGCONT)
    assert reader.hear() in (
        "[50, 1] [49, 0]",  # the new file at once
        "[50, 3] [49, 0]",  # the old file's counter first
    )
    assert reader.finish() == (0, "", "")


def test_recreated_with_another_shape_is_an_error_each_time(recreator):
    shm = SHM("cam")
    shm.set_keywords({"A": 1})
    frame = np.zeros(SHAPE, np.uint32)
    recreator.tell("recreate 8 4")
    recreator.hear()
    until(lambda: shm._stream.replaced())
    accesses: dict[str, Callable[[], Any]] = {
        "get_data": shm.get_data,
        "check": lambda: shm.get_data(check=True, timeout=0.1),
        "view": lambda: shm.get_data(copy=False),
        "multi": lambda: shm.multi_recv_data(2, timeout=0.1),
        "capture": lambda: shm.capture(2, timeout=0.1),
        "set_data": lambda: shm.set_data(frame),
        "follow": lambda: shm.set_data(frame, autorelink_if_need=True),
        "counter": shm.get_counter,
        "metadata": lambda: shm.mtdata,
        "semaphore": lambda: shm.semID,
        "keywords": shm.get_keywords,
        "keyword": lambda: shm.get_keyword("A"),
        "item": lambda: shm["A"],
        "set_keywords": lambda: shm.set_keywords({"A": 2}),
        "update_keyword": lambda: shm.update_keyword("A", 2),
        "reset_keywords": lambda: shm.reset_keywords({}),
        "mapping": lambda: dict(shm.keywords),
        "with": shm.__enter__,
    }
    for _ in range(3):
        for name, access in accesses.items():
            with contextlib.suppress(StreamChangedError):
                access()
                pytest.fail(f"{name} did not raise")
    with pytest.raises(StreamChangedError, match=r"shape.*\(32, 32\).*\(8, 4\)") as caught:
        shm.get_data()
    assert (caught.value.field, caught.value.expected, caught.value.found) == (
        "shape",
        (32, 32),
        (8, 4),
    )
    # The other one's stream is left alone.
    with pytest.raises(StreamReplacedError):
        shm.destroy()
    shm.close()
    with SHM("cam") as new:
        assert new.shape == (8, 4)


def test_waits_end_when_the_shape_changes(recreator):
    shm = SHM("cam")
    capture = shm.capture(2, timeout=PATIENCE, background=True)
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            shm.get_data(check=True, timeout=PATIENCE)
        except StreamChangedError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    watch = Stream.attach("cam", writable=False)
    until(lambda: owners(watch).count(os.getpid()) == 2)
    recreator.tell("recreate 8 4")
    recreator.hear()
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
    assert len(errors) == 1
    with pytest.raises(StreamChangedError):
        capture.join()
    watch.close()
    shm.close()


def test_background_capture_goes_on_when_its_object_follows_first(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(PRELUDE + RECREATORS["foreign"] + RECREATOR)
    child.expect("ready")
    with SHM("cam") as shm:
        inode = shm.mtdata["inode"]
        capture = shm.capture(2, timeout=PATIENCE, background=True)
        child.tell("publish_old 1")
        child.expect("1")
        until(lambda: capture.received == 1)
        child.tell("recreate")
        child.hear()
        until(lambda: shm.mtdata["inode"] != inode)
        child.tell("publish 2")
        capture.join()
        assert capture.frames[:, 0, 0].tolist() == [1, 2]


def test_account_of_a_new_file_is_complete_while_the_capture_runs(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(PRELUDE + RECREATORS["foreign"] + RECREATOR)
    child.expect("ready")
    with SHM("cam") as shm:
        capture = shm.capture(5, timeout=5, background=True)
        child.tell("recreate")
        child.hear()
        child.tell("publish 1")
        until(lambda: capture.received == 1)
        assert capture.info["flags"][0] & FLAG_NEW_FILE
        assert capture.report.new_files == 1
        capture.stop()
        capture.join()


def test_close_ends_a_capture_that_followed(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(PRELUDE + RECREATORS["foreign"] + RECREATOR)
    child.expect("ready")
    shm = SHM("cam")
    capture = shm.capture(5, timeout=5, background=True)
    child.tell("recreate")
    child.hear()
    child.tell("publish 1")
    until(lambda: capture.received == 1)
    shm.close()
    with pytest.raises(StreamClosedError):
        capture.join()


def test_wait_goes_on_while_the_new_file_is_still_being_made(spawn, make_stream):
    """Other programs make the file first, give it its size, and write the version last."""
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + """
path = os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm")
say("ready")
input()
os.rename(path, path + ".old")
os.unlink(path + ".old")
file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
say("empty")
input()
stream = isio_format.fresh("cam", (32, 32), 5)
stream.inode = os.fstat(file).st_ino
data = isio_format.encode(stream)
os.ftruncate(file, len(data))
say("sized")
input()
os.pwrite(file, data[32:], 32)
os.pwrite(file, data[:32], 0)
say("made")
writer = Foreign(path)
for number in range(1, 100000):
    writer.publish(number, "open fill count close post")
    time.sleep(0.001)
"""
    )
    child.expect("ready")
    with SHM("cam") as shm:
        old = Stream.attach("cam")
        found: list[Any] = []

        def wait() -> None:
            try:
                found.append(shm.get_data(check=True, timeout=PATIENCE))
            except Exception as error:
                found.append(error)

        waiter = threading.Thread(target=wait)
        capture = shm.capture(1, timeout=PATIENCE, background=True)
        waiter.start()
        until(lambda: owners(old).count(os.getpid()) == 2)
        for state in ("empty", "sized"):
            child.tell()
            child.expect(state)
            # Longer than one look at the file takes (50 ms), and than a file may take to become ready.
            waiter.join(0.25)
        child.tell()
        child.expect("made")
        waiter.join(PATIENCE)
        assert not waiter.is_alive()
        assert isinstance(found[0], np.ndarray), found
        capture.join()
        old.close()
    child.kill()


# -- semaphores ---------------------------------------------------------------------------------------

READING_CHILD = (
    PRELUDE
    + """
stream = Stream.attach("cam")
reader = stream.reader()
out = np.zeros((1, 32, 32), np.uint32)
after = reader.arm()
say(reader.sem_index)
for _ in range(int(sys.argv[1])):
    reader.receive(out, timeout=30, after=after)
    after = reader.last
    say(out[0, 0, 0], after, reader.repeated)
input()
"""
)


def test_eleven_readers_on_ten_semaphores(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    readers = [spawn(READING_CHILD, 20) for _ in range(11)]
    held = [reader.hear() for reader in readers]
    assert sorted(held) == sorted([str(index) for index in range(10)] + ["None"])
    for index, pid in enumerate(owners(stream)):
        assert readers[held.index(str(index))].pid == pid
    for number in range(1, 21):
        assert stream.publish(np.full(SHAPE, number, np.uint32)) == number
        for reader in readers:
            frame, counter, repeated = map(int, reader.hear().split())
            assert (frame, counter) == (number, number)
            # A post more than a millisecond after its frame, since we were held up, is one too many.
            assert repeated <= 2
    # Each took its own posts: at most the last one can still be there.
    assert max(stream.sem_values()) <= 1
    for reader in readers:
        reader.tell()
        assert reader.finish() == (0, "", "")
    assert set(owners(stream)) == {-1}


def test_reader_without_semaphore_gets_one_when_one_is_free(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32, nbsem=1)
    child = spawn(READING_CHILD, 0)
    child.expect("0")
    with SHM("cam") as shm:
        assert shm.semID is None
        assert shm.get_data(check=True, timeout=0.05, return_none_on_timeout=True) is None
        child.tell()
        assert child.finish() == (0, "", "")
        assert owners(stream) == [-1]
        until(lambda: shm.semID == 0)
        assert owners(stream) == [os.getpid()]


def test_two_readers_in_one_process_take_no_posts_from_each_other(make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    first, second = stream.reader(), stream.reader()
    for reader in (first, second):
        reader.arm()
    assert first.sem_index != second.sem_index
    for _ in range(5):
        stream.publish(np.zeros(SHAPE, np.uint32))
    assert (first.flush(), second.flush()) == (5, 5)
    first.close()
    second.close()


def test_account_of_posts_goes_on_from_one_receive_to_the_next(make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    reader = stream.reader()
    out = np.zeros((1, *SHAPE), np.uint32)
    after = reader.arm()
    repeated = 0
    for number in range(1, 31):
        # Now and then the reader is there first, and sleeps; else its post stays where it is.
        publisher = threading.Timer(0.02 if number % 7 == 0 else 0, stream.publish, out)
        publisher.start()
        if number % 7:
            publisher.join()
        reader.receive(out, timeout=PATIENCE, after=after)
        publisher.join()
        after = reader.last
        assert after == number
        repeated += reader.repeated
    assert repeated == 0
    reader.close()


def test_two_captures_in_one_process_get_all_frames(spawn, make_stream):
    make_stream("cam", SHAPE, np.uint32)
    writer = spawn(LED_WRITER, C_ORDER)
    writer.expect("ready")
    with SHM("cam") as one, SHM("cam") as two:
        captures = [one.capture(30, timeout=PATIENCE, background=True)]
        captures += [shm.capture(30, timeout=PATIENCE, background=True) for shm in (one, two)]
        assert len([pid for pid in owners(one._stream) if pid == os.getpid()]) == 3
        for number in range(1, 31):
            writer.tell(number)
            until(lambda number=number: all(c.received >= number for c in captures))
        for capture in captures:
            capture.join()
            check_account(capture.frames, capture.info, 0)
            assert (capture.report.lost, capture.report.repeated) == (0, 0)


def test_semaphore_is_given_back(make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    free = [-1] * 10
    with SHM("cam") as shm:
        assert owners(stream) == free  # taken when it is needed
        index = shm.semID
        assert owners(stream)[index] == os.getpid()
        with pytest.raises(StreamTimeoutError):
            shm.capture(1, timeout=0.01)
        assert owners(stream).count(os.getpid()) == 1
    assert owners(stream) == free
    other = Stream.attach("cam")
    assert other.sem_index == 0
    del other
    gc.collect()
    assert owners(stream) == free
    reader = stream.reader()
    reader.arm()
    assert owners(stream)[0] == os.getpid()
    del reader
    assert owners(stream) == free


def test_semaphores_of_dead_processes_are_taken_over(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32, nbsem=2)
    children = [spawn(READING_CHILD, 0) for _ in range(2)]
    for child in children:
        child.hear()
    with SHM("cam") as shm:
        assert shm.semID is None
    os.kill(children[0].pid, signal.SIGKILL)
    os.waitid(os.P_PID, children[0].pid, os.WEXITED | os.WNOWAIT)  # dead, and not reaped yet
    with SHM("cam") as shm:
        assert shm.semID is not None
        shm.set_data(np.ones(SHAPE, np.uint32))
        assert owners(stream)[shm.semID] == os.getpid()
        assert children[1].pid in owners(stream)
    children[1].tell()
    assert children[1].finish() == (0, "", "")


# -- fork ---------------------------------------------------------------------------------------------

FORKING = (
    PRELUDE
    + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads, from Python 3.12
shm = SHM("cam")
mine = shm.semID
capture = shm.capture(1, timeout=30, background=True) if sys.argv[1] == "capture" else None
ears, mouth = os.pipe()
pid = os.fork()
if pid == 0:
    try:
        os.write(mouth, f"{shm.semID}\\n".encode())
        frame = shm.get_data(check=True, timeout=30)
        os.write(mouth, f"{frame[0, 0]}\\n".encode())
        shm.close()
        del shm, capture
        gc.collect()
    except BaseException as error:
        os.write(mouth, f"{error!r}\\n".encode())
    os._exit(0)
os.close(mouth)
with os.fdopen(ears) as pipe:
    theirs = pipe.readline().strip()
    say(mine, theirs, os.getpid(), pid)
    input()
    say(pipe.readline().strip())
os.waitpid(pid, 0)
say(shm.semID)
if capture:
    say(capture.join().frames[0, 0, 0])
input()
"""
)


@pytest.mark.parametrize("mode", ["plain", "capture"])
def test_child_after_fork_takes_its_own_semaphore(spawn, make_stream, mode):
    stream = make_stream("cam", SHAPE, np.uint32)
    parent = spawn(FORKING, mode)
    mine, theirs, parent_pid, child_pid = parent.hear().split()
    assert mine != theirs
    assert owners(stream)[int(mine)] == int(parent_pid)
    assert owners(stream)[int(theirs)] == int(child_pid)
    published = threading.Event()

    def publish() -> None:
        # The child may not wait yet: frames come until it has seen one.
        while not published.wait(0.01):
            stream.publish(np.full(SHAPE, 7, np.uint32))

    writer = threading.Thread(target=publish)
    writer.start()
    parent.tell()
    parent.expect("7")
    published.set()
    writer.join()
    parent.expect(mine)
    if mode == "capture":
        parent.expect("7")
    assert owners(stream)[int(mine)] == int(parent_pid)
    assert owners(stream)[int(theirs)] == -1
    parent.tell()
    assert parent.finish() == (0, "", "")


# -- Ctrl-C -------------------------------------------------------------------------------------------

INTERRUPTED = (
    PRELUDE
    + """
call, how = sys.argv[1:]
shm = SHM("cam")
stream = Stream.attach("cam")
stopped = threading.Event()

def busy():
    while not stopped.is_set():
        sum(range(1000))

def interrupt_myself():
    input()
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    stopped.wait()

thread = threading.Thread(target={"busy": busy, "other": interrupt_myself}.get(how, lambda: None))
thread.start()
frame = np.full((1, 32, 32), 3, np.uint32)
calls = {
    "get_data": lambda: shm.get_data(check=True, timeout=None),
    "capture": lambda: shm.capture(1000, timeout=None),
    "capture-spin": lambda: shm.capture(1000, timeout=None, wait="spin"),
    "join": lambda: shm.capture(1000, timeout=None, background=True).join(),
    "publish_many": lambda: stream.publish_many(frame, 10**12),
    "publish_slowly": lambda: stream.publish_many(frame, 10**12, interval_ns=10**8),
    "publish_rarely": lambda: stream.publish_many(frame, 10**12, interval_ns=10**12),
    "sem_wait": lambda: stream.sem_wait(stream.sem_index, None),
}
try:
    say("ready")
    calls[call]()
except KeyboardInterrupt:
    say(time.monotonic())
stopped.set()
thread.join()
# The stream is as usable as before.
shm.set_data(frame[0])
none = shm.get_data(check=True, timeout=0.01, return_none_on_timeout=True)
say(int(shm.get_data()[0, 0]), stream.write, none)
shm.close()
stream.close()
"""
)


@pytest.mark.parametrize(
    ("call", "how"),
    [
        ("get_data", "quiet"),
        ("get_data", "busy"),
        ("get_data", "other"),
        ("capture", "quiet"),
        ("capture", "busy"),
        ("capture", "other"),
        ("capture-spin", "quiet"),
        ("join", "quiet"),
        ("publish_many", "quiet"),
        ("publish_many", "busy"),
        ("publish_many", "other"),
        ("publish_slowly", "quiet"),
        ("publish_rarely", "quiet"),
        ("sem_wait", "quiet"),
    ],
)
def test_interrupt(spawn, make_stream, call, how):
    stream = make_stream("cam", SHAPE, np.uint32)
    child = spawn(INTERRUPTED, call, how)
    child.expect("ready")
    if call.startswith("publish"):
        until(lambda: stream.counter > 0)
    else:
        until(lambda: child.pid in owners(stream))
    sent = time.monotonic()
    if how == "other":
        child.tell()
    else:
        os.kill(child.pid, signal.SIGINT)
    took = float(child.hear()) - sent  # the clock is the same in all processes
    print(f"\n{call}, {how}: interrupted after {took * 1e3:.1f} ms")
    assert took < 1
    child.expect("3 0 None")
    assert child.finish() == (0, "", "")
    assert set(owners(stream)) == {-1}


def test_signal_handler_that_returns_does_not_end_a_wait(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + """
count = 0
def handler(number, stack):
    global count
    count += 1
    say("handled")
signal.signal(signal.SIGUSR1, handler)
shm = SHM("cam")
began = time.monotonic()
none = shm.get_data(check=True, timeout=0.5, return_none_on_timeout=True)
say(none, time.monotonic() - began >= 0.5, count)
shm.close()
"""
    )
    until(lambda: child.pid in owners(stream))
    os.kill(child.pid, signal.SIGUSR1)
    child.expect("handled")
    child.expect("None True 1")
    assert child.finish() == (0, "", "")


# -- threads, and the end -----------------------------------------------------------------------------


class Ticker(threading.Thread):
    """Counts, as often as other threads let it."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks = 0
        self.ended = threading.Event()

    def __enter__(self) -> Ticker:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.ended.set()
        self.join()

    def run(self) -> None:
        while not self.ended.wait(0.005):
            self.ticks += 1


@pytest.mark.parametrize("call", ["wait", "capture", "spin", "busy capture"])
def test_other_threads_run_during_a_wait(spawn, make_stream, call):
    make_stream("cam", SHAPE, np.uint32)
    writer = None
    if call == "busy capture":
        writer = spawn(STAMPED_WRITER, 0, 100_000)
        writer.expect("ready")
    with SHM("cam") as shm, Ticker() as ticker:
        began, before = time.monotonic(), ticker.ticks
        if call == "wait":
            assert shm.get_data(check=True, timeout=1.0, return_none_on_timeout=True) is None
        elif writer is not None:
            capture = shm.capture(1, timeout=PATIENCE, background=True)  # it has begun
            writer.tell()
            capture.join()
            with contextlib.suppress(StreamTimeoutError):
                shm.capture(1_000_000_000 // 4096 // 8, timeout=0.2)
            writer.hear()
            writer.tell()
        else:
            with pytest.raises(StreamTimeoutError):
                shm.capture(1, timeout=1.0, wait="spin" if call == "spin" else "auto")
        took = time.monotonic() - began
        # 200 a second if nothing is in the way, fewer where others want the cores, and a wait that holds the
        # GIL leaves next to none.
        assert ticker.ticks - before >= 2 * took


@pytest.mark.parametrize("wait", ["auto", "spin", "sleep"])
def test_close_from_another_thread_ends_a_wait_and_a_capture(make_stream, wait):
    stream = make_stream("cam", SHAPE, np.uint32)
    shm = SHM("cam")
    capture = shm.capture(10, timeout=None, wait=wait, background=True)
    errors: list[BaseException] = []

    def wait_for_ever() -> None:
        try:
            shm.get_data(check=True, timeout=None)
        except StreamClosedError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait_for_ever)
    waiter.start()
    until(lambda: owners(stream).count(os.getpid()) == 2)
    stream.publish(np.ones(SHAPE, np.uint32))
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
    until(lambda: capture.received == 1)
    waiter = threading.Thread(target=wait_for_ever)
    waiter.start()
    shm.close()
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
    assert [error.stream for error in errors] == ["cam"]
    with pytest.raises(StreamClosedError):
        capture.join()
    assert (capture.frames == 1).all()
    assert capture.received == 1
    assert set(owners(stream)) == {-1}


@pytest.mark.parametrize("options", ["timeout=None", "timeout=None, wait='spin'"])
def test_exit_without_closing_anything_is_silent(spawn, make_stream, options):
    make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + f"""
shm = SHM("cam")
view = shm.get_data(copy=False)
capture = shm.capture(1000, {options}, background=True)
shm.semID
say("bye")
"""
    )
    child.expect("bye")
    assert child.finish() == (0, "", "")


def test_exit_while_frames_come_is_silent(spawn, make_stream):
    stream = make_stream("cam", SHAPE, np.uint32)
    child = spawn(
        PRELUDE
        + """
shm = SHM("cam")
capture = shm.capture(100000, timeout=None, background=True)
say("bye")
"""
    )
    child.expect("bye")
    while child.process.poll() is None:
        stream.publish_many(np.ones((1, *SHAPE), np.uint32), 100, interval_ns=20_000)
    assert child.finish() == (0, "", "")


def test_no_file_is_left_behind(spawn, shm_dir: Path):
    child = spawn(PRELUDE + 'shm = SHM("cam", ((32, 32), np.uint32)); say(1); input(); shm.destroy()')
    child.expect("1")
    assert [path.name for path in shm_dir.iterdir()] == ["cam.im.shm"]
    child.tell()
    assert child.finish() == (0, "", "")
    assert list(shm_dir.iterdir()) == []


FORKED = """
import os, sys, threading, warnings
import numpy as np
from pymilk import Stream
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons advise against fork beside threads
stream = Stream.attach(sys.argv[1])
reader = stream.reader()
with stream.claim():
    pid = os.fork()
    if pid == 0:
        # Neither the frame that the parent is in nor its waiting thread are in the child's way.
        stream.publish(np.full(stream.shape, 7, stream.dtype))
        os._exit(0 if stream.counter == 1 else 1)
    assert os.waitpid(pid, 0)[1] == 0
thread = threading.Thread(target=lambda: reader.wait(5, after=stream.counter), daemon=True)
thread.start()
while reader.sem_index is None:
    pass
pid = os.fork()
if pid == 0:
    try:
        reader.wait(0, after=stream.counter)
    except TimeoutError:
        os._exit(0)
    os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
stream.publish(np.zeros(stream.shape, stream.dtype))
thread.join()
print("done")
"""


def test_child_of_a_parent_that_writes_and_waits(make_stream, spawn):
    make_stream("forked", (2, 2), "f4")
    child = spawn(FORKED, "forked")
    code, out, err = child.finish(60)
    assert (code, out, err) == (0, "done\n", "")
