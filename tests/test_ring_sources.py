"""Rings of other programs: golden files, writers in C, slow readers, broken, killed and restarted writers."""

from __future__ import annotations

import contextlib
import inspect
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import golden
import isio_format
import pymilk
from pymilk import SHM, RingReader
from pymilk._core import (
    FLAG_COUNTER_RESET,
    FLAG_FROM_RING,
    FLAG_NEW_FILE,
    FLAG_TORN,
    FLAG_VERIFIED,
    FRAME_ROW,
    Stream,
)
from pymilk.errors import FrameLostError, StreamChangedError, StreamTimeoutError

SHAPE = (16, 16)

#: A reader that gets nothing for this long has failed; far above anything a loaded machine does.
PATIENCE = 30.0

#: The same for a frame that is published already, so that a failure does not take long.
WAIT = 10.0

#: Long enough to be sure that nothing comes, where nothing must come.
MOMENT = 0.05


# -- the writers --------------------------------------------------------------------------------------


def create_foreign(
    path: Any, shape: Any = (16, 16), ring: int = 0, kind: str = "fast", code: int = 7
) -> None:
    """Create a stream as another program does: delete what is there, then make the file."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    options: dict[str, Any] = {}
    if kind == "temporal":
        shape = (ring, *shape)
        options["imagetype"] = isio_format.TEMPORAL_RING
    else:
        options["cbsize"] = ring
    name = os.path.basename(path).split(".")[0]
    stream = isio_format.fresh(name, shape[::-1], code, **options)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    stream.inode = os.fstat(handle).st_ino
    data = isio_format.encode(stream)
    # The version comes last, and with it the stream is ready.
    os.ftruncate(handle, len(data))
    os.pwrite(handle, data[32:], 32)
    os.pwrite(handle, data[:32], 0)
    os.close(handle)


# Each pixel of a frame is its serial number, with the tag of its writer in the upper half. The serial
# goes on from the counter that the writer found, so it is the number of the frame unless the counter is
# moved. The options are letters: w sets write, p leaves the ring out, s fills the counts and times of
# slices, b stores the counter before its increment there.
C_WRITER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ImageStruct.h"

static IMAGE_METADATA *md;
static const char *options, *halt_step = "";
static uint64_t *array, *slots, *cnts, nelement, tag, serial, slot, cycle;
static struct timespec *atimes, *writetimes;
static SEMFILEDATA *semaphores;
static long halt_in;
static int temporal;

static size_t up(size_t nbytes) { return (nbytes + 7) / 8 * 8; }
static int has(int letter) { return strchr(options, letter) != NULL; }
static void fill(uint64_t *frame, uint64_t count)
{
    for (uint64_t k = 0; k < count; k++) frame[k] = tag << 32 | serial;
}

/* Plain stores, as the library has them; on x86 they come out in order, elsewhere the fences see to it. */
static void step(const char *what)
{
    uint64_t *frame = slots + slot * nelement;
    if (!strcmp(what, "open")) {
        serial++;
        if (has('w')) __atomic_store_n(&md->write, 1, __ATOMIC_RELAXED);
        slot = temporal ? (md->cnt1 + 1) % md->size[2] : md->CBindex + 1;
        cycle = md->CBcycle;
        if (!temporal && slot >= md->CBsize) slot = 0, cycle++;
        __atomic_thread_fence(__ATOMIC_RELEASE);
    } else if (!strcmp(what, "fill")) {
        fill(temporal ? frame : array, nelement);
    } else if (!strcmp(what, "half")) {
        fill(frame, nelement / 2);
    } else if (!strcmp(what, "copy")) {
        memcpy(frame, array, nelement * sizeof(uint64_t));
    } else if (!strcmp(what, "record")) {
        if (!has('s') && !has('b')) return;
        clock_gettime(CLOCK_ISIO, &atimes[slot]);
        writetimes[slot] = atimes[slot];
        cnts[slot] = md->cnt0 + !has('b');
    } else if (!strcmp(what, "cycle")) {
        __atomic_store_n(&md->CBcycle, cycle, __ATOMIC_RELEASE);
    } else if (!strcmp(what, "index")) {
        if (temporal) __atomic_store_n(&md->cnt1, slot, __ATOMIC_RELEASE);
        else __atomic_store_n(&md->CBindex, slot, __ATOMIC_RELEASE);
    } else if (!strcmp(what, "stamp")) {
        clock_gettime(CLOCK_ISIO, &md->writetime);
        md->atime = md->writetime;
    } else if (!strcmp(what, "count")) {
        __atomic_store_n(&md->cnt0, md->cnt0 + 1, __ATOMIC_RELEASE);
    } else if (!strcmp(what, "close")) {
        __atomic_store_n(&md->write, 0, __ATOMIC_RELEASE);
    } else if (!strcmp(what, "post")) {
        for (int k = 0; k < md->sem; k++) {
            int value;
            sem_getvalue(&semaphores[k].semdata, &value);
            if (value < SEMAPHORE_MAXVAL) sem_post(&semaphores[k].semdata);
        }
    }
    if (halt_in == 1 && !strcmp(what, halt_step)) raise(SIGSTOP);
}

static const char *PLAIN[] = {"open", "fill", "stamp", "count", "close", "post", NULL};
static const char *FAST[] = {
    "open", "fill", "copy", "cycle", "index", "stamp", "count", "close", "post", NULL};
static const char *TEMPORAL[] = {"open", "fill", "record", "index", "stamp", "count", "close", "post", NULL};

static void publish(void)
{
    const char **steps = temporal ? TEMPORAL : md->CBsize && !has('p') ? FAST : PLAIN;
    while (*steps) step(*steps++);
    if (halt_in > 0) halt_in--;
}

int main(int argc, char **argv)
{
    struct stat st;
    char line[100], what[20], word[20];
    if (argc != 4) return 1;
    int fd = open(argv[1], O_RDWR);
    if (fd < 0 || fstat(fd, &st) != 0) return 2;
    char *base = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *at = base;
    if (base == MAP_FAILED) return 3;
    options = argv[2];
    tag = strtoull(argv[3], NULL, 10);
    md = (IMAGE_METADATA *)at;
    temporal = (md->imagetype & 0xF000F) == (CIRCULAR_BUFFER | ZAXIS_TEMPORAL);
    serial = md->cnt0;
    nelement = temporal ? md->nelement / md->size[2] : md->nelement;
    at += sizeof(IMAGE_METADATA);
    array = slots = (uint64_t *)at;
    at += up(md->imdatamemsize) + md->NBkw * sizeof(IMAGE_KEYWORD);
    semaphores = (SEMFILEDATA *)at;
    at += (md->sem + 1) * sizeof(SEMFILEDATA) + 4 * up(md->sem * 4);
    at += md->NBproctrace * sizeof(STREAM_PROC_TRACE);
    if (temporal) {
        atimes = (struct timespec *)at;
        writetimes = atimes + md->size[2];
        cnts = (uint64_t *)(writetimes + md->size[2]);
    } else {
        slots = (uint64_t *)(at + md->CBsize * sizeof(CBFRAMEMD));
    }
    puts("ready"), fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        long long first = 0, second = 0;
        if (sscanf(line, "run %lld %lld", &first, &second) == 2) {
            struct timespec due;
            clock_gettime(CLOCK_MONOTONIC, &due);
            for (long long k = 0; k < first; k++) {
                if (second) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
                due.tv_nsec += second;
                if (due.tv_nsec >= 1000000000L) due.tv_sec++, due.tv_nsec -= 1000000000L;
                publish();
            }
            printf("ran %llu\n", (unsigned long long)md->cnt0);
        } else if (sscanf(line, "step %19s", what) == 1) {
            step(what), puts("stepped");
        } else if (sscanf(line, "halt %19s %lld", word, &first) == 2) {
            halt_step = strdup(word), halt_in = first, puts("halting");
        } else if (sscanf(line, "set %19s %lld", what, &first) == 2) {
            if (!strcmp(what, "cnt0")) __atomic_store_n(&md->cnt0, first, __ATOMIC_RELEASE);
            if (!strcmp(what, "CBindex")) __atomic_store_n(&md->CBindex, first, __ATOMIC_RELEASE);
            if (!strcmp(what, "CBcycle")) __atomic_store_n(&md->CBcycle, first, __ATOMIC_RELEASE);
            if (!strcmp(what, "cnt1")) __atomic_store_n(&md->cnt1, first, __ATOMIC_RELEASE);
            puts("set");
        } else {
            return 4;
        }
        fflush(stdout);
    }
    return 0;
}
"""

FAST_STEPS = ["open", "fill", "half", "copy", "cycle", "index", "stamp", "count", "close", "post"]
TEMPORAL_STEPS = ["open", "half", "fill", "record", "index", "stamp", "count", "close", "post"]

#: Kind of ring and options of the writer, by name.
MODES = {
    "fast": ("fast", "w"),
    "fast-no-write": ("fast", "-"),
    "temporal": ("temporal", "ws"),
    "temporal-before": ("temporal", "wb"),
    "temporal-bare": ("temporal", "w"),
    "temporal-bare-no-write": ("temporal", "-"),
}

#: Those whose slots or counts tell each state from each other.
CLEAR_MODES = ["fast", "temporal", "temporal-before"]


class Writer:
    """The C program, told what to do."""

    def __init__(self, child: Any) -> None:
        self.child = child
        self.pid = child.pid
        child.expect("ready")

    def run(self, count: int, interval_us: float = 0) -> None:
        """Publish frames, without waiting for the end."""
        self.child.tell(f"run {count} {int(interval_us * 1000)}")

    def ran(self) -> int:
        """Wait for the end; returns the counter."""
        word, counter = self.child.hear().split()
        assert word == "ran"
        return int(counter)

    def publish(self, count: int = 1) -> int:
        self.run(count)
        return self.ran()

    def step(self, *steps: str) -> None:
        for step in steps:
            self.child.tell(f"step {step}")
            self.child.expect("stepped")

    def set(self, field: str, value: int) -> None:
        self.child.tell(f"set {field} {value}")
        self.child.expect("set")

    def halt(self, step: str, frames: int) -> None:
        """Stop itself behind that step, in so many frames."""
        self.child.tell(f"halt {step} {frames}")
        self.child.expect("halting")

    def wait_stopped(self) -> None:
        found = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)
        assert found is not None
        assert found.si_status == signal.SIGSTOP

    def kill(self) -> None:
        self.child.kill()


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("ring_writer")
    source, made = folder / "writer.c", folder / "writer"
    source.write_text(C_WRITER)
    subprocess.run(
        [compiler, "-O2", "-Wall", "-Werror", "-pthread", "-I", pymilk.get_include(), source, "-o", made],
        check=True,
    )
    return made


@pytest.fixture
def start_writer(spawn, program, shm_dir) -> Callable[..., Writer]:
    def start(options: str = "w", tag: int = 0, name: str = "cam") -> Writer:
        code = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
        return Writer(spawn(code, program, shm_dir / f"{name}.im.shm", options, tag))

    return start


@pytest.fixture
def make_ring(shm_dir, start_writer) -> Callable[..., Writer]:
    """Make the stream "cam" with a ring, as another program does, and start its writer."""

    def make(mode: str, depth: int, shape: Any = SHAPE) -> Writer:
        kind, options = MODES[mode]
        create_foreign(shm_dir / "cam.im.shm", shape, depth, kind)
        return start_writer(options)

    return make


@contextlib.contextmanager
def watching(name: str = "cam") -> Any:
    stream = Stream.attach(name, writable=False)
    try:
        yield stream
    finally:
        stream.close()


def until(condition: Callable[[], Any]) -> None:
    """Look until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.0005)


# -- checks -------------------------------------------------------------------------------------------


def check_block(block: Any, tag: int | None = 0) -> int:
    """Use the frames of a block in place; those that are intact afterwards must have been right.

    Returns how many were. Without a tag any writer's frames are right.
    """
    numbers = block.info["cnt0"]
    if len(block) == 0:
        return 0
    pixels = block.frames.reshape(len(block), -1)
    wanted = numbers + np.uint64((tag or 0) << 32)
    shown = pixels & np.uint64(0xFFFFFFFF) if tag is None else pixels
    right = (shown == wanted[:, None]).all(axis=1)
    whole = (pixels == pixels[:, :1]).all(axis=1)
    seen = pixels[:, 0].copy()
    gone = block.overwritten
    assert 0 <= gone <= len(block)
    assert whole[gone:].all(), f"torn: {numbers[gone:]}"
    assert right[gone:].all(), f"numbers {numbers[gone:]}, pixels {seen[gone:]}"
    return len(block) - gone


def check_rows(info: np.ndarray, base: int) -> None:
    """Check an account without jumps: numbers go up, and what is missing is counted."""
    numbers = info["cnt0"].astype(np.int64)
    assert (np.diff(numbers, prepend=base) > 0).all()
    np.testing.assert_array_equal(np.diff(numbers, prepend=base) - 1, info["lost"].astype(np.int64))


def read_blocks(reader: RingReader, last: int, tag: int | None = 0, limit: int = 512) -> np.ndarray:
    """Read until frame number `last`, with all checks; returns the rows."""
    rows = []
    for block in reader.blocks(limit, timeout=PATIENCE):
        check_block(block, tag)
        rows.append(block.info)
        if block.info["cnt0"][-1] >= last:
            break
    return np.concatenate(rows)


def read_copies(reader: RingReader, base: int, last: int, n: int = 8) -> np.ndarray:
    """The same with `read`, whose frames are all whole."""
    rows = []
    deadline = time.monotonic() + PATIENCE
    while base < last:
        assert time.monotonic() < deadline, f"stayed at {base} of {last}"
        try:
            capture = reader.read(n, timeout=0.3)
        except StreamTimeoutError as error:
            capture = error.capture  # fewer than n frames were left
        pixels = capture.frames.reshape(len(capture.frames), -1)
        assert (pixels == capture.info["cnt0"][:, None]).all()
        flags = capture.info["flags"]
        assert ((flags & FLAG_TORN) == 0).all()
        if reader.source != "collector":
            assert ((flags & FLAG_VERIFIED) != 0).all()
            assert ((flags & FLAG_FROM_RING) != 0).all()
        rows.append(capture.info.copy())
        if len(capture.info):
            base = int(capture.info["cnt0"][-1])
    return np.concatenate(rows)


#: What a row says of the frame, and not when it was looked at.
MEANING = [name for name in FRAME_ROW.names if name != "arrival_ns"]


def drain(reader: RingReader) -> tuple[np.ndarray, np.ndarray]:
    """Take what is there now: rows, and the value of a frame's pixels, which are all the same."""
    rows, values = [np.empty(0, FRAME_ROW)], [np.empty(0, np.uint64)]
    while len(block := reader.peek(512)):
        pixels = block.frames.reshape(len(block), -1).copy()
        assert block.intact()  # nobody is writing now
        assert (pixels == pixels[:, :1]).all()
        rows.append(block.info)
        values.append(pixels[:, 0])
        block = next(reader.blocks(512, timeout=0))
        assert block.info[MEANING].tolist() == rows[-1][MEANING].tolist()
    return np.concatenate(rows), np.concatenate(values)


def next_rows(reader: RingReader, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Wait for so many frames; like `drain`."""
    try:
        capture = reader.read(count, timeout=WAIT)
    except StreamTimeoutError as error:
        pytest.fail(f"{error.capture.info['cnt0'].tolist()} and no more: {reader!r}, {reader.report}")
    pixels = capture.frames.reshape(count, -1)
    assert (pixels == pixels[:, :1]).all()
    return capture.info, pixels[:, 0].copy()


# -- golden files -------------------------------------------------------------------------------------

#: Golden files with a ring of two or more slots, and where their frames come from.
GOLDEN_RINGS = {
    "ga_f32_cb5": "fast",
    "ga_cb_odd": "fast",
    "ga_py_cb5": "fast",
    "ga_temporal": "temporal",
    "ga_temporal_cb": "temporal",
}


def in_ring(stream: isio_format.StreamFile) -> list[tuple[int, np.ndarray]]:
    """Return number and pixels of the frames that can be had, as the codec reads them from the file."""
    if stream.imagetype & isio_format.KIND_AND_AXIS_MASK == isio_format.TEMPORAL_RING:
        slots: Any = list(stream.array())
        newest, published = stream.cnt1, stream.cnt0
    else:
        slots = [stream.slot_array(k) for k in range(stream.CBsize)]
        newest, published = stream.CBindex, stream.CBcycle * stream.CBsize + stream.CBindex
    held = min(published, len(slots) - 1)
    return [(stream.cnt0 - k, slots[(newest - k) % len(slots)]) for k in reversed(range(held))]


def test_all_golden_rings_are_tested():
    found = set()
    for entry in golden.entries():
        if entry["array"] is None:
            continue
        stream = isio_format.decode(golden.path(entry["name"]).read_bytes())
        temporal = stream.imagetype & isio_format.KIND_AND_AXIS_MASK == isio_format.TEMPORAL_RING
        if stream.CBsize > 1 or (temporal and stream.size[2] > 1):
            found.add(entry["name"])
    assert found == set(GOLDEN_RINGS)


@pytest.mark.parametrize("name", GOLDEN_RINGS)
def test_golden_ring(shm_dir, name):
    shutil.copy(golden.path(name), shm_dir)
    frames = in_ring(isio_format.decode(golden.path(name).read_bytes()))
    numbers = [number for number, _ in frames]
    pixels = np.stack([frame for _, frame in frames])
    with RingReader(name, start="oldest") as reader:
        assert reader.source == GOLDEN_RINGS[name]
        assert reader.lag == len(frames)
        found, rows = [], []
        while len(found) < len(frames):
            block = next(reader.blocks(timeout=0))
            found += list(block.frames)
            rows += block.info.tolist()
            assert block.intact()
        np.testing.assert_array_equal(np.stack(found), pixels)
        info = np.array(rows, FRAME_ROW)
        assert info["cnt0"].tolist() == numbers
        assert info["lost"].tolist() == [0] * len(frames)
        with pytest.raises(StreamTimeoutError):
            next(reader.blocks(timeout=0))
        dump = reader.dump()
        np.testing.assert_array_equal(dump.frames, pixels)
        assert dump.info["cnt0"].tolist() == numbers
        np.testing.assert_array_equal(reader.latest(), pixels[-1])
    with RingReader(name, start="newest") as reader:
        capture = reader.read(1, timeout=0)
        assert capture.info["cnt0"].tolist() == numbers[-1:]
        np.testing.assert_array_equal(capture.frames[0], pixels[-1])
    with RingReader(name) as reader, pytest.raises(StreamTimeoutError):
        next(reader.blocks(timeout=0))


@pytest.mark.parametrize("name", ["ga_cb1", "ga_circ_noaxis", "ga_u16_sem3"])
def test_golden_stream_without_history_goes_through_the_collector(shm_dir, name):
    shutil.copy(golden.path(name), shm_dir)
    stream = isio_format.decode(golden.path(name).read_bytes())
    with RingReader(name, depth=3, start="oldest") as reader:
        assert reader.source == "collector"
        assert reader.depth == 3
        capture = reader.read(1, timeout=PATIENCE)
        assert capture.info["cnt0"].tolist() == [stream.cnt0]
        # All of a cube that is no ring, its third axis last as the user sees it.
        frame = stream.array()
        frame = np.moveaxis(frame, 0, -1) if frame.ndim == 3 else frame
        np.testing.assert_array_equal(capture.frames[0], frame)
        if name == "ga_cb1":
            np.testing.assert_array_equal(capture.frames[0], stream.slot_array(0))


# -- each phase and each step -------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
def test_each_phase_of_the_wrap(make_ring, mode, depth):
    """Readers that began at any frame, seen after any number of further ones."""
    writer = make_ring(mode, depth)
    with contextlib.ExitStack() as stack:
        writer.publish()  # a ring that was never filled is not read
        follower = stack.enter_context(RingReader("cam"))
        readers: list[tuple[int, RingReader]] = []
        for number in range(2, 3 * depth + 2):
            readers.append((number, stack.enter_context(RingReader("cam"))))
            assert writer.publish() == number
            rows, values = drain(follower)
            assert (rows["cnt0"].tolist(), rows["lost"].tolist()) == ([number], [0])
            assert values.tolist() == [number]
            oldest = max(1, number + 2 - depth)
            for first, reader in readers:
                begin = max(first, oldest)
                assert reader.lag == number + 1 - begin
                block = reader.peek(512)
                assert check_block(block) == len(block) >= 1
                assert block.info["cnt0"].tolist() == list(range(begin, begin + len(block)))
                assert block.info["lost"].tolist() == [begin - first] + [0] * (len(block) - 1)
            if mode == "temporal-before" and oldest == 1:
                oldest = 2  # the first frame has count 0 stored, as if its slice were not filled
            for start, begin in (("oldest", oldest), ("newest", number), ("next", number + 1)):
                with RingReader("cam", start=start) as reader:
                    rows, values = drain(reader)
                    assert rows["cnt0"].tolist() == values.tolist() == list(range(begin, number + 1))
                    assert rows["lost"].tolist() == [0] * len(rows)


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
def test_each_step_of_the_writer(make_ring, mode, depth):
    """Whatever the writer is in the middle of: what is called intact is right, and comes once."""
    writer = make_ring(mode, depth)
    steps = TEMPORAL_STEPS if mode.startswith("temporal") else FAST_STEPS
    with contextlib.ExitStack() as stack:
        writer.publish()
        follower = stack.enter_context(RingReader("cam"))
        slow = stack.enter_context(RingReader("cam", start="oldest"))
        held = [next(slow.blocks(1, timeout=0))]
        taken: list[int] = [1]
        for number in range(2, 2 * depth + 3):
            for step in steps:
                writer.step(step)
                for block in held:
                    # Untouched until the writer begins to fill the same slot.
                    gone = number - int(block.info["cnt0"][0]) >= depth
                    touched = step not in (["open"] if steps is TEMPORAL_STEPS else ["open", "fill"])
                    if gone and touched:
                        assert not block.intact()
                    check_block(block)
                try:
                    check_block(slow.latest(block=True))
                except StreamTimeoutError:
                    # The one frame that two slots keep is not counted yet.
                    assert depth == 2
                    assert step in ("index", "stamp")
                check_block(slow.peek(512))
                rows, values = drain(follower)
                assert rows["cnt0"].tolist() == values.tolist()
                assert rows["lost"].tolist() == [0] * len(rows)
                taken += values.tolist()
            assert taken == list(range(1, number + 1))
            held.append(next(slow.blocks(1, timeout=0)))
        # A frame is called whole for as long as it is certain, not less.
        assert [block.intact() for block in held[-(depth - 1) :]] == [True] * (depth - 1)


# With the count before its increment, the newest slice looks between index and count as if it were counted.
@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("mode", ["fast", "temporal"])
def test_attached_at_each_step_of_the_writer(make_ring, mode, depth):
    writer = make_ring(mode, depth)
    steps = TEMPORAL_STEPS if mode.startswith("temporal") else FAST_STEPS
    writer.publish()
    for number in range(2, 2 * depth + 2):
        late: list[RingReader] = []
        for step in steps:
            writer.step(step)
            counted = number if step in ("count", "close", "post") else number - 1
            with RingReader("cam", start="oldest") as reader:
                if reader.source == "collector":
                    # No other ring than one that began this very lap looks unused.
                    assert mode == "fast"
                    assert number <= depth
                    continue
                rows, values = drain(reader)
                assert rows["cnt0"].tolist() == values.tolist()
                assert rows["lost"].tolist() == [0] * len(rows)
                assert len(values) == 0 or values[-1] in (counted, number)
            late.append(RingReader("cam"))
        for reader in late:
            rows, values = drain(reader)
            assert rows["cnt0"].tolist() == values.tolist()
            assert values.tolist() in ([], [number])
            reader.close()


# -- a writer that runs -------------------------------------------------------------------------------

TOTAL = 1200


@pytest.mark.parametrize("depth", [2, 3, 4, 16, 256])
@pytest.mark.parametrize("mode", MODES)
def test_next_to_a_running_writer(make_ring, mode, depth):
    writer = make_ring(mode, depth, (40, 40))
    writer.publish()
    with RingReader("cam") as reader:
        assert (reader.source, reader.depth) == (MODES[mode][0], depth)
        writer.run(TOTAL, 250)
        rows = read_blocks(reader, TOTAL + 1)
        assert writer.ran() == TOTAL + 1
        check_rows(rows, 1)
        writer.run(TOTAL, 200)
        copied = read_copies(reader, TOTAL + 1, 2 * TOTAL + 1)
        assert writer.ran() == 2 * TOTAL + 1
        check_rows(copied, TOTAL + 1)
        report = reader.report
        assert report.received == len(rows) + len(copied)
        assert report.lost == rows["lost"].sum() + copied["lost"].sum()
        assert report.received + report.lost == 2 * TOTAL


@pytest.mark.parametrize("mode", MODES)
def test_next_to_a_writer_at_full_speed(make_ring, mode):
    writer = make_ring(mode, 4, (40, 40))
    writer.publish()
    with RingReader("cam") as reader:
        writer.run(50_000)
        rows = read_blocks(reader, 50_001)
        assert writer.ran() == 50_001
        check_rows(rows, 1)
        assert reader.report.received + reader.report.lost == 50_000


@pytest.mark.parametrize("source", [*MODES, "collector"])
def test_slow_reader(make_ring, shm_dir, start_writer, source):
    """Ten frames are published for each that is read: everything is either right or counted as lost."""
    total, shape = 6000, (64, 64)
    if source == "collector":
        create_foreign(shm_dir / "cam.im.shm", shape)
        writer = start_writer()
    else:
        writer = make_ring(source, 4, shape)
    writer.publish()
    rows, intact, overwritten = [], 0, 0
    with watching() as stream, RingReader("cam", depth=4) as reader:
        assert reader.source == ("collector" if source == "collector" else MODES[source][0])
        assert reader.depth == 4
        writer.run(total, 40)
        for block in reader.blocks(2, timeout=PATIENCE):
            last = int(block.info["cnt0"][-1])
            intact += check_block(block)
            rows.append(block.info)
            if last == total + 1:
                break
            until(lambda last=last: stream.counter >= min(total + 1, last + 10))
            check_block(block)
            if last + 10 <= total and source != "collector":
                assert block.overwritten == len(block)
            overwritten += block.overwritten
        assert writer.ran() == total + 1
        info = np.concatenate(rows)
        check_rows(info, 1)
        assert info["lost"].sum() + len(info) == total
        report = reader.report
        assert (report.received, report.lost) == (len(info), info["lost"].sum())
    assert intact > 0
    assert overwritten > 0
    assert report.lost > total // 2


@pytest.mark.parametrize("mode", MODES)
def test_slow_reader_that_copies(make_ring, mode):
    writer = make_ring(mode, 4, (64, 64))
    writer.publish()
    with watching() as stream, RingReader("cam") as reader:
        writer.run(3000, 40)
        rows, last = [], 1
        while last < 3001:
            until(lambda last=last: stream.counter >= min(3001, last + 10))
            rows.append(read_copies(reader, last, last + 1, 1))
            last = int(rows[-1]["cnt0"][-1])
        assert writer.ran() == 3001
        check_rows(np.concatenate(rows), 1)
        assert reader.report.received + reader.report.lost == 3000
        assert reader.lost > 0


@pytest.mark.parametrize("source", [*MODES, "collector"])
def test_lost_frames_are_raised_once(make_ring, shm_dir, start_writer, source):
    if source == "collector":
        create_foreign(shm_dir / "cam.im.shm")
        writer = start_writer()
    else:
        writer = make_ring(source, 4)
    kept = 4 if source == "collector" else 3
    writer.publish()
    with RingReader("cam", depth=4, on_lost="raise") as reader:
        base = 1
        for call in ("blocks", "read", "blocks", "read"):
            for number in range(base + 1, base + 11):
                assert writer.publish() == number
                # The collector has it.
                until(lambda number=number: reader.lag and newest_number(reader) == number)
            wanted = (base + 1, base + 11 - kept, base + 10, 10 - kept)
            with pytest.raises(FrameLostError) as caught:
                next(reader.blocks(timeout=0)) if call == "blocks" else reader.read(1, timeout=0)
            error = caught.value
            assert (error.seq, error.oldest, error.newest, error.lost) == wanted
            assert error.stream == "cam"
            base += 10
            if call == "blocks":
                rows = read_blocks(reader, base)
            else:
                rows = read_copies(reader, base - kept, base, kept)
            assert rows["cnt0"].tolist() == list(range(base + 1 - kept, base + 1))
            assert rows["lost"].tolist() == [10 - kept] + [0] * (kept - 1)
        assert (reader.report.received, reader.lost) == (4 * kept, 4 * (10 - kept))


def newest_number(reader: RingReader) -> int:
    return int(reader.latest(block=True).info["cnt0"][0])


@pytest.mark.parametrize("mode", CLEAR_MODES)
def test_lost_frames_are_raised_next_to_a_running_writer(make_ring, mode):
    writer = make_ring(mode, 4)
    writer.publish()
    rows: list[np.ndarray] = []
    raised, last = 0, 1
    with RingReader("cam", on_lost="raise") as reader:
        writer.run(20_000, 15)
        while last < 20_001:
            try:
                block = next(reader.blocks(timeout=PATIENCE))
            except FrameLostError as error:
                assert error.seq == last + 1
                assert error.lost >= 1
                assert error.oldest == error.seq + error.lost
                assert error.newest >= error.oldest
                raised += 1
                continue
            check_block(block)
            rows.append(block.info)
            last = int(block.info["cnt0"][-1])
        assert writer.ran() == 20_001
        info = np.concatenate(rows)
        check_rows(info, 1)
        assert raised >= np.count_nonzero(info["lost"])
        assert reader.report.received + reader.report.lost == 20_000


# -- counters and indices that others move ------------------------------------------------------------


@pytest.mark.parametrize("depth", [2, 4])
@pytest.mark.parametrize("mode", CLEAR_MODES)
def test_counter_that_jumps_forward(make_ring, mode, depth):
    writer = make_ring(mode, depth)
    broken_at = [4, depth + 3, 2 * depth + 4]
    number = writer.publish(2)  # of the first one alone a count before the increment would be 0
    with RingReader("cam") as reader:
        moved = 0
        for step in range(3, 3 * depth + 6):
            if step in broken_at:
                writer.set("cnt0", number + 1000)
                number += 1000
                moved += 1
                if moved > 1:  # the first time, the frame and the jump are seen at once
                    assert reader.lag == 0
            number = writer.publish()
            rows, values = drain(reader)
            assert rows["cnt0"].tolist() == [number]
            assert values.tolist() == [step]
            assert rows["lost"].tolist() == [1000 if step in broken_at else 0]
        assert moved == 3
        assert reader.lost == 3000


@pytest.mark.parametrize("mode", MODES)
def test_counter_that_is_set_back(make_ring, mode):
    writer = make_ring(mode, 4)
    writer.publish()
    with RingReader("cam") as reader:
        writer.publish(6)
        drain(reader)
        lost = reader.lost
        writer.set("cnt0", 0)
        assert writer.publish() == 1
        rows, values = drain(reader)
        assert values[-1] == 8
        assert rows["cnt0"][-1] == 1
        assert rows["flags"][0] & FLAG_COUNTER_RESET
        assert rows["lost"].tolist() == [0] * len(rows)
        for number in range(2, 12):
            assert writer.publish() == number
            rows, values = drain(reader)
            assert rows["cnt0"].tolist() == [number]
            assert values.tolist() == [number + 7]
            assert rows["lost"].tolist() == [0]
            assert not rows["flags"][0] & FLAG_COUNTER_RESET
        assert reader.lost == lost


@pytest.mark.parametrize("mode", MODES)
def test_counter_that_others_move_all_the_time(make_ring, start_writer, mode):
    """Numbers are what they are then; frames are whole all the same, in order, and come to no end."""
    writer = make_ring(mode, 4, (40, 40))
    writer.publish()
    broken = start_writer()
    with RingReader("cam") as reader:
        writer.run(4000, 100)
        shown, moves, enough = [], 0, 3500
        while not shown or shown[-1] < enough:
            block = next(reader.blocks(timeout=PATIENCE))
            pixels = block.frames.reshape(len(block), -1)
            whole = (pixels == pixels[:, :1]).all(axis=1)
            values = pixels[:, 0].copy()
            gone = block.overwritten
            assert whole[gone:].all()
            shown += values[gone:].tolist()
            if moves == 0 and shown and shown[-1] >= enough:
                # We were held up for nearly all of it, and saw too little.
                writer.ran()
                writer.run(4000, 100)
                enough += 4000
            if len(shown) // 100 > moves:
                moves += 1
                broken.set("cnt0", 0 if moves % 3 == 0 else int(block.info["cnt0"][-1]) + 1000)
        writer.ran()
        assert moves > 0
        if mode in CLEAR_MODES:
            assert (np.diff(shown) > 0).all()
        # It has recovered: the next frames come one by one.
        drain(reader)
        for _ in range(6):
            number = writer.publish()
            rows, _ = drain(reader)
            assert rows["cnt0"].tolist()[-1] == number


NONSENSE = {
    "index-out": [("CBindex", 1000)],
    "index-at-end": [("CBindex", 4)],
    "index-huge": [("CBindex", 2**32 - 1)],
    "index-0": [("CBindex", 0)],
    "index-3": [("CBindex", 3)],
    "cycle-0": [("CBcycle", 0)],
    "cycle-huge": [("CBcycle", 2**63 - 1)],
    "both-0": [("CBcycle", 0), ("CBindex", 0)],
    "all-0": [("CBcycle", 0), ("CBindex", 0), ("cnt0", 0)],
}


@pytest.mark.parametrize("lead", [1, 5, 6, 7, 8, 9, 10])
@pytest.mark.parametrize("what", NONSENSE)
def test_index_that_is_nonsense(make_ring, what, lead):
    writer = make_ring("fast", 4)
    writer.publish(lead)
    with RingReader("cam") as reader:
        writer.publish()
        drain(reader)
        for field, value in NONSENSE[what]:
            writer.set(field, value)
        # No frame was published: whatever came out now would have been there before.
        with pytest.raises(StreamTimeoutError):
            next(reader.blocks(timeout=MOMENT))
        reset = "cnt0" in dict(NONSENSE[what])
        base = 0 if reset else lead + 1
        for number in range(base + 1, base + 12):
            assert writer.publish() == number
            rows, values = drain(reader)
            # The new frame, and nothing that only looks new. Where the writer itself is led astray by the
            # index, a frame or two may be lost, until two steps of it agree.
            assert rows["cnt0"].tolist() in ([number], [])
            assert len(rows) == 1 or number < base + 7
            assert values.tolist() == [n + (lead + 1 if reset else 0) for n in rows["cnt0"].tolist()]


@pytest.mark.parametrize("what", NONSENSE)
def test_index_that_is_nonsense_all_the_time(make_ring, start_writer, what):
    writer = make_ring("fast", 4, (40, 40))
    writer.publish()
    broken = start_writer()
    with RingReader("cam") as reader:
        writer.run(3000, 100)
        seen, sets = 0, 0
        deadline = time.monotonic() + PATIENCE
        while reader.report.received < 1500 and (seen < 2900 or "cnt0" in dict(NONSENSE[what])):
            assert time.monotonic() < deadline
            try:
                block = next(reader.blocks(timeout=1))
            except StreamTimeoutError:
                break  # the writer is at its end
            pixels = block.frames.reshape(len(block), -1)
            whole = (pixels == pixels[:, :1]).all(axis=1)
            last = int(pixels[-1, 0])
            gone = block.overwritten
            assert whole[gone:].all()
            seen = last if gone < len(block) else seen
            if reader.report.received // 20 > sets:
                sets += 1
                for field, value in NONSENSE[what]:
                    broken.set(field, value)
        writer.ran()
        assert sets > 0
        drain(reader)
        for _ in range(10):
            number = writer.publish()
            rows, _ = drain(reader)
            assert rows["cnt0"].tolist() == [number]


# -- writers that die ---------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [5, 6, 7, 8])
@pytest.mark.parametrize(
    ("mode", "step"),
    [
        *[("fast", step) for step in ["open", "fill", "copy", "cycle", "index", "stamp", "count", "close"]],
        *[("fast-no-write", step) for step in ["copy", "cycle", "index", "stamp", "count"]],
        *[("temporal", step) for step in ["open", "fill", "record", "index", "stamp", "count", "close"]],
        *[("temporal-bare", step) for step in ["fill", "index", "stamp", "count"]],
    ],
)
def test_writer_killed_at_a_step(make_ring, start_writer, mode, step, lead):
    """The next writer goes on in the same file; its frames are found at once, under their numbers."""
    writer = make_ring(mode, 4)
    writer.publish(lead)
    with RingReader("cam") as reader:
        writer.publish()
        rows, values = drain(reader)
        assert values.tolist() == [lead + 1]
        writer.halt(step, 1)
        writer.run(1)
        writer.wait_stopped()
        before, _ = drain(reader)
        assert before["cnt0"].tolist() in ([], [lead + 2])
        writer.kill()
        # Time enough to see that the frame is not in the making any more.
        with contextlib.suppress(StreamTimeoutError):
            block = next(reader.blocks(timeout=MOMENT))
            assert len(before) == 0
            assert block.info["cnt0"].tolist() == [lead + 2]
            assert check_block(block) == 1
            before = block.info
        successor = start_writer(MODES[mode][1], tag=9)
        for _ in range(9):
            number = successor.publish()
            rows, values = drain(reader)
            assert values.size, f"frame {number} is not found"
            assert int(values[-1]) == 9 << 32 | number
            assert rows["cnt0"][-1] == number
            # The frame that the dead one left may have been seen; no other.
            dead = values[:-1].tolist()
            assert dead in ([], [lead + 2])
            assert len(before) + len(dead) <= 1
        with RingReader("cam", start="oldest") as late:
            rows, values = drain(late)
            assert (values & 0xFFFFFFFF).tolist() == rows["cnt0"].tolist() == [number - 2, number - 1, number]
        assert reader.lost == 0


@pytest.mark.parametrize("mode", MODES)
def test_writers_killed_at_any_moment(make_ring, start_writer, mode):
    writer = make_ring(mode, 4, (64, 64))
    writer.publish()
    dice = random.Random()
    with watching() as stream, RingReader("cam") as reader:
        for tag in range(1, 7):
            writer.run(10**9, dice.choice([0, 20, 200]))
            many = stream.counter + dice.randrange(50, 300)
            while stream.counter < many:
                check_block(next(reader.blocks(timeout=PATIENCE)), tag=None)
            writer.kill()
            # A look while nobody writes: of writers that never raise `write`, a slot that stays uncounted
            # for a while is the only sign that one died before it counted.
            assert reader.lag >= 0
            time.sleep(0.03)
            writer = start_writer(MODES[mode][1], tag)
        last = writer.publish(5)
        rows = read_blocks(reader, last, tag=None)
        assert rows["cnt0"][-1] == last
        assert reader.lag == 0


def test_dead_writer_is_a_timeout(make_ring):
    writer = make_ring("fast", 4)
    writer.publish(2)
    with RingReader("cam") as reader:
        writer.publish()
        writer.kill()
        assert len(next(reader.blocks(timeout=0))) == 1
        began = time.monotonic()
        with pytest.raises(StreamTimeoutError) as caught:
            next(reader.blocks(timeout=MOMENT))
        assert time.monotonic() - began >= MOMENT
        assert caught.value.stream == "cam"
        with pytest.raises(StreamTimeoutError) as caught:
            reader.read(2, timeout=MOMENT)
        assert caught.value.capture.received == 0


# -- new files ----------------------------------------------------------------------------------------

MAKERS = {
    "foreign": inspect.getsource(create_foreign)
    + """
def make(kind, depth, shape):
    create_foreign(path, shape, depth, kind)
""",
    "pymilk": """
def make(kind, depth, shape):
    options = {"ring": depth, "ring_kind": kind} if depth else {}
    SHM("cam", (shape, np.uint64), **options).close()
""",
}

#: Told "make <kind> <depth> <rows> <columns>" or "unlink".
MAKER = """
from __future__ import annotations
import contextlib, os, sys
from typing import Any
import numpy as np
import isio_format
from pymilk import SHM
path = os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm")
{make}
print("ready", flush=True)
for line in sys.stdin:
    what, *args = line.split()
    if what == "make":
        make(args[0], int(args[1]), (int(args[2]), int(args[3])))
    else:
        os.unlink(path)
    print("done", flush=True)
"""


class Maker:
    def __init__(self, child: Any) -> None:
        self.child = child
        child.expect("ready")

    def make(self, kind: str, depth: int, shape: Any = SHAPE) -> None:
        self.child.tell(f"make {kind} {depth} {shape[0]} {shape[1]}")
        self.child.expect("done")

    def unlink(self) -> None:
        self.child.tell("unlink")
        self.child.expect("done")


@pytest.fixture(params=sorted(MAKERS))
def maker(request, spawn) -> Maker:
    """A second process that makes the stream "cam" anew, in its own way."""
    return Maker(spawn(MAKER.format(make=MAKERS[request.param])))


def published(writer: Writer) -> int:
    """Bring a new stream to 1 frame, which pymilk has from the beginning."""
    with watching() as stream:
        counter = stream.counter
    return counter or writer.publish()


CHANGES = [
    ("fast 4", "fast 4"),
    ("fast 4", "fast 9"),
    ("fast 9", "fast 2"),
    ("fast 4", "temporal 4"),
    ("temporal 4", "fast 4"),
    ("temporal 4", "temporal 4"),
    ("temporal 4", "temporal 9"),
    ("fast 4", "plain 0"),
    ("temporal 4", "plain 0"),
    ("plain 0", "fast 4"),
    ("plain 0", "temporal 4"),
    ("plain 0", "plain 0"),
]


def options_of(kind: str) -> str:
    return "ws" if kind == "temporal" else "w"


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_writer_that_restarts_with_a_new_file(maker, start_writer, old, new):
    kind, depth = old.split()
    maker.make(kind, int(depth))
    writer = start_writer(options_of(kind))
    published(writer)
    with RingReader("cam", depth=8) as reader:
        assert reader.source == ("collector" if kind == "plain" else kind)
        for number in (2, 3):
            assert writer.publish() == number
            rows, values = next_rows(reader, 1)
            assert rows["cnt0"].tolist() == values.tolist() == [number]
        # One more, which is read after the file was replaced: it is still there.
        assert writer.publish() == 4
        if kind == "plain":
            until(lambda: reader.lag == 1)
        kind, depth = new.split()
        maker.make(kind, int(depth))
        successor = start_writer(options_of(kind), tag=5)
        first = published(successor)
        assert first == 1
        rows, values = next_rows(reader, 1)
        assert rows["cnt0"].tolist() == values.tolist() == [4]
        assert rows["flags"][0] & FLAG_NEW_FILE == 0
        rows, values = next_rows(reader, 1)
        assert rows["cnt0"].tolist() == [1]
        assert rows["lost"].tolist() == [0]
        assert rows["flags"][0] & FLAG_NEW_FILE
        for number in range(2, 12):
            assert successor.publish() == number
            rows, values = next_rows(reader, 1)
            assert rows["cnt0"].tolist() == [number]
            assert values.tolist() == [5 << 32 | number]
            assert rows["lost"].tolist() == [0]
            assert rows["flags"][0] & FLAG_NEW_FILE == 0
        if old != "plain 0":  # a collector follows by itself, and stays
            assert reader.source == ("collector" if kind == "plain" else kind)
        report = reader.report
        assert (report.received, report.lost, report.new_files) == (14, 0, 1)


@pytest.mark.parametrize(
    ("old", "new", "had"),
    [
        ("fast 4", "fast 4", 3),
        ("fast 4", "fast 9", 6),
        ("temporal 4", "temporal 6", 5),
        ("fast 4", "temporal 4", 3),
        ("temporal 4", "fast 2", 1),
        ("fast 4", "plain 0", 1),
        ("temporal 4", "plain 0", 1),
    ],
)
def test_gap_between_two_files_is_counted(maker, start_writer, old, new, had):
    """What the old file counted and its ring does not show, and what the new ring has no room for."""
    kind, depth = old.split()
    maker.make(kind, int(depth))
    writer = start_writer(options_of(kind))
    published(writer)
    with RingReader("cam", depth=8) as reader:
        assert writer.publish() == 2
        rows, _ = next_rows(reader, 1)
        assert rows["cnt0"].tolist() == [2]
        writer.set("cnt0", 7)  # five frames that never came
        kind, depth = new.split()
        maker.make(kind, int(depth))
        successor = start_writer(options_of(kind))
        published(successor)
        assert successor.publish(5) == 6
        rows, values = next_rows(reader, had)
        assert rows["cnt0"].tolist() == list(range(7 - had, 7))
        assert values[1:].tolist() == rows["cnt0"][1:].tolist()
        assert rows["lost"].tolist() == [5 + 6 - had] + [0] * (had - 1)
        assert [bool(flag & FLAG_NEW_FILE) for flag in rows["flags"]] == [True] + [False] * (had - 1)
        assert reader.report.new_files == 1
        assert reader.lost == 5 + 6 - had


@pytest.mark.parametrize("kind", ["fast", "temporal", "plain"])
def test_account_over_many_new_files(maker, start_writer, kind):
    maker.make(kind, 0 if kind == "plain" else 4)
    writer = start_writer(options_of(kind))
    published(writer)
    rows = []
    with RingReader("cam", depth=4) as reader:
        for tag in range(1, 5):
            writer.run(300, 30)
            while True:
                block = next(reader.blocks(timeout=PATIENCE))
                numbers = block.info["cnt0"] + np.uint64((tag - 1) << 32)
                pixels = block.frames.reshape(len(block), -1)
                right = (pixels == numbers[:, None]).all(axis=1) | (numbers & 0xFFFFFFFF == 1)
                # A writer that leaves no time for a copy gets its frame collected as torn, and said so.
                right |= (block.info["flags"] & FLAG_TORN) != 0
                gone = block.overwritten
                assert right[gone:].all()
                rows.append(block.info)
                if block.info["cnt0"][-1] == 301:
                    break
            assert writer.ran() == 301
            if tag < 4:
                writer.kill()
                maker.make(kind, 0 if kind == "plain" else 4)
                writer = start_writer(options_of(kind), tag)
                published(writer)
        info = np.concatenate(rows)
        assert len(info) + info["lost"].sum() == 4 * 301 - 1
        assert np.count_nonzero(info["flags"] & FLAG_NEW_FILE) == 3
        report = reader.report
        assert (report.received, report.lost, report.new_files) == (len(info), info["lost"].sum(), 3)


@pytest.mark.parametrize("call", ["blocks", "read"])
@pytest.mark.parametrize("kind", ["fast", "temporal", "plain"])
def test_new_file_with_another_shape(maker, start_writer, kind, call):
    maker.make(kind, 0 if kind == "plain" else 4)
    writer = start_writer(options_of(kind))
    published(writer)
    with RingReader("cam", depth=4) as reader:
        writer.publish()
        rows, _ = next_rows(reader, 1)
        assert rows["cnt0"].tolist() == [2]
        maker.make("fast", 4, (8, 4))
        for _ in range(2):
            with pytest.raises(StreamChangedError) as caught:
                next(reader.blocks(timeout=5)) if call == "blocks" else reader.read(1, timeout=5)
            assert caught.value.stream == "cam"
        assert (reader.report.received, reader.report.new_files) == (1, 0)


@pytest.mark.parametrize("kind", ["fast", "temporal", "plain"])
def test_deleted_stream_is_a_timeout(maker, start_writer, kind):
    maker.make(kind, 0 if kind == "plain" else 4)
    writer = start_writer(options_of(kind))
    published(writer)
    with RingReader("cam", depth=4) as reader:
        writer.publish()
        if kind == "plain":
            until(lambda: reader.lag == 1)
        maker.unlink()
        rows, values = next_rows(reader, 1)
        assert rows["cnt0"].tolist() == values.tolist() == [2]
        for _ in range(2):
            with pytest.raises(StreamTimeoutError):
                next(reader.blocks(timeout=MOMENT))
        # It comes back later.
        maker.make("fast", 5)
        successor = start_writer(tag=1)
        published(successor)
        assert successor.publish() == 2
        rows, values = next_rows(reader, 2)
        assert rows["cnt0"].tolist() == [1, 2]
        assert values[1] == 1 << 32 | 2
        assert rows["flags"][0] & FLAG_NEW_FILE


# -- several readers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", CLEAR_MODES)
def test_two_readers_in_one_process(make_ring, mode):
    writer = make_ring(mode, 32)
    writer.publish()
    with RingReader("cam") as one, RingReader("cam") as two:
        rows_one, rows_two = [], []
        for last in range(26, 252, 25):
            writer.run(25, 100)
            rows_one.append(read_blocks(one, last))
            assert writer.ran() == last
            rows_two.append(read_copies(two, last - 25, last, 25))
        for rows in (rows_one, rows_two):
            info = np.concatenate(rows)
            assert info["cnt0"].tolist() == list(range(2, 252))
            assert info["lost"].sum() == 0
        assert one.lost == two.lost == 0


#: Told the number up to which it is to read; "end" ends it.
READING_CHILD = """
import sys
import numpy as np
from pymilk import RingReader
with RingReader("cam") as reader:
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "end\\n":
            break
        first, lost, count, right = 0, 0, 0, True
        for block in reader.blocks(timeout=30):
            numbers = block.info["cnt0"]
            whole = (block.frames == numbers[:, None, None]).all(axis=(1, 2))
            gone = block.overwritten
            right = right and bool(whole[gone:].all())
            first = first or int(numbers[0])
            count += len(block)
            lost += int(block.info["lost"].sum())
            if numbers[-1] >= int(line):
                break
        print(first, int(numbers[-1]), count, lost, right, flush=True)
"""


@pytest.mark.parametrize("mode", CLEAR_MODES)
def test_readers_in_four_processes(spawn, make_ring, mode):
    writer = make_ring(mode, 128)
    writer.publish()
    readers = [spawn(READING_CHILD) for _ in range(4)]
    for reader in readers:
        reader.expect("ready")
    for last in range(101, 1002, 100):
        for reader in readers:
            reader.tell(last)
        writer.run(100, 100)
        for reader in readers:
            reader.expect(f"{last - 99} {last} 100 0 True")
        assert writer.ran() == last
    for reader in readers:
        reader.tell("end")
    for reader in readers:
        assert reader.finish() == (0, "", "")


@pytest.mark.parametrize("mode", CLEAR_MODES)
def test_stopped_reader_holds_nobody_up(spawn, make_ring, mode):
    writer = make_ring(mode, 128)
    writer.publish()
    stopped, other = spawn(READING_CHILD), spawn(READING_CHILD)
    stopped.expect("ready")
    other.expect("ready")
    # Once while it waits for a frame, and once while it waits for its turn.
    stopped.tell(901)
    os.kill(stopped.pid, signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
        for last in range(101, 902, 100):
            other.tell(last)
            writer.run(100, 50)
            other.expect(f"{last - 99} {last} 100 0 True")
            assert writer.ran() == last
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    first, last, count, lost, right = stopped.hear().split()
    assert (last, right) == ("901", "True")
    assert int(count) + int(lost) == 900
    assert int(first) >= 775
    for reader in (stopped, other):
        reader.tell("end")
        assert reader.finish() == (0, "", "")


# -- writers that leave the ring out, and readers that may not write ----------------------------------


def test_receive_and_capture_of_a_writer_that_leaves_the_ring_out(shm_dir, start_writer):
    create_foreign(shm_dir / "cam.im.shm", SHAPE, 5)
    writer = start_writer("wp")
    with SHM("cam") as shm:
        capture = shm.capture(8, timeout=PATIENCE, background=True)
        for number in range(1, 9):
            assert writer.publish() == number
            until(lambda number=number: capture.received == number)
        capture.join()
        assert capture.info["cnt0"].tolist() == list(range(1, 9))
        assert capture.frames[:, 0, 0].tolist() == list(range(1, 9))
        assert capture.report.lost == 0
    stream = Stream.attach("cam")
    out, info = np.empty((1, *SHAPE), np.uint64), np.zeros(1, FRAME_ROW)
    for number in range(9, 17):
        assert writer.publish() == number
        assert stream.receive(out, info, timeout=PATIENCE, after=number - 1) == 1
        assert info["cnt0"].tolist() == [number]
        assert (out == number).all()
    stream.close()


def test_receive_of_a_writer_that_fills_the_ring_now_and_then(shm_dir, start_writer):
    create_foreign(shm_dir / "cam.im.shm", SHAPE, 5)
    filling, leaving = start_writer("w"), start_writer("wp")
    turns = [filling, leaving, leaving, filling, filling, filling, filling, filling, filling, leaving] * 2
    with SHM("cam") as shm:
        capture = shm.capture(len(turns), timeout=PATIENCE, background=True)
        counts = {filling: 0, leaving: 0}
        shown = []
        for number, writer in enumerate(turns, 1):
            assert writer.publish() == number
            counts[writer] += 1
            shown.append(counts[writer])
            until(lambda number=number: capture.received == number)
        capture.join()
        assert capture.info["cnt0"].tolist() == list(range(1, len(turns) + 1))
        assert capture.frames[:, 0, 0].tolist() == shown
        assert (capture.frames == capture.frames[:, :1, :1]).all()
        assert capture.report.lost == 0


@pytest.mark.parametrize("begun", [False, True])
def test_ring_reader_of_a_writer_that_leaves_the_ring_out(shm_dir, start_writer, begun):
    """With frames before the reader comes it is seen at once, otherwise from the frames."""
    create_foreign(shm_dir / "cam.im.shm", SHAPE, 5)
    writer = start_writer("wp")
    last = writer.publish(3) if begun else 0
    with RingReader("cam", depth=16) as reader:
        assert reader.source == ("collector" if begun else "fast")
        infos = []
        for _ in range(12):
            last = writer.publish()
            with contextlib.suppress(StreamTimeoutError):
                block = next(reader.blocks(timeout=1 if infos else MOMENT))
                check_block(block)
                infos.append(block.info)
        assert reader.source == "collector"
        info = np.concatenate(infos)
        check_rows(info, 3 if begun else int(info["cnt0"][0]) - 1 - int(info["lost"][0]))
        assert info["cnt0"][-1] == last
        assert reader.report.received + reader.report.lost == 12
        if begun:
            assert reader.lost == 0


def test_ring_reader_of_a_writer_that_runs_and_leaves_the_ring_out(shm_dir, start_writer):
    create_foreign(shm_dir / "cam.im.shm", SHAPE, 5)
    writer = start_writer("wp")
    with RingReader("cam", depth=64) as reader:
        writer.run(1000, 300)
        rows = read_blocks(reader, 1000)
        assert writer.ran() == 1000
        assert reader.source == "collector"
        assert reader.report.received == len(rows)
        assert reader.report.received + reader.report.lost == 1000


@pytest.mark.parametrize("mode", MODES)
def test_read_only_stream(shm_dir, make_ring, mode):
    """No semaphore can be taken then; the counter is watched."""
    writer = make_ring(mode, 64)
    writer.publish()
    path = shm_dir / "cam.im.shm"
    path.chmod(0o444)
    stream = Stream.attach("cam", writable=False)
    assert not stream.writable
    semaphores = semaphore_owners(path)
    with RingReader(stream) as reader:
        assert reader.source == MODES[mode][0]
        for last in range(31, 332, 30):
            writer.run(30, 200)
            rows = read_blocks(reader, last)
            assert rows["lost"].sum() == 0
            assert writer.ran() == last
            assert rows["cnt0"].tolist() == list(range(last - 29, last + 1))
        with pytest.raises(StreamTimeoutError):
            next(reader.blocks(timeout=MOMENT))
        assert semaphore_owners(path) == semaphores
    stream.close()


def semaphore_owners(path: Path) -> list[int]:
    return isio_format.decode(path.read_bytes(), check_padding=False).semReadPID
