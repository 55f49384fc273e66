"""Ring writers in C, and what readers must see of them."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import numpy as np

from pymilk import RingReader
from pymilk._core import FLAG_FROM_RING, FLAG_TORN, FLAG_VERIFIED, FRAME_ROW, Stream
from pymilk.errors import StreamTimeoutError
from support.waiting import PATIENCE, wait_for_state

SHAPE = (16, 16)

#: Long enough to be sure that nothing comes, where nothing must come.
MOMENT = 0.05


# -- the writers --------------------------------------------------------------------------------------


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
        wait_for_state(self.pid, "T")

    def kill(self) -> None:
        self.child.kill()


@contextlib.contextmanager
def watching(name: str = "cam") -> Any:
    stream = Stream.attach(name, writable=False)
    try:
        yield stream
    finally:
        stream.close()


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


# -- new files ----------------------------------------------------------------------------------------


def published(writer: Writer) -> int:
    """Bring a new stream to 1 frame, which pymilk has from the beginning."""
    with watching() as stream:
        counter = stream.counter
    return counter or writer.publish()
