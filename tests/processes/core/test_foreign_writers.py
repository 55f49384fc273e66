"""Writers that are not pymilk: other orders of stores, repeated posts, counters that jump."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM
from pymilk._core import FLAG_COUNTER_RESET, FLAG_REPEATED_POST
from pymilk.errors import StreamTimeoutError
from support.foreign import C_ORDER, LED_WRITER, PRELUDE, SHAPE, WRAPPER_ORDER, captured_free, check_account
from support.foreign_writer import Foreign
from support.waiting import PATIENCE, until, wait_for_state


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
    wait_for_state(reader.pid, "T")
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


#: Counts, and posts some time later: a reader that spins has seen each frame before its post.
SLOW_TO_POST = (
    PRELUDE
    + """
writer = Foreign(os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm"))
say("ready")
for number in range(1, 10_000):
    writer.publish(number, "open fill stamp count close")
    time.sleep(0.0005)
    writer.post(number)
    time.sleep(0.003)
"""
)


def test_a_post_behind_its_count_keeps_no_waiting_reader_busy(spawn, make_stream):
    """A reader that only waits learns that its writer stores times, and watches nothing for its order."""
    stream = make_stream("cam", SHAPE, np.uint32)
    spawn(SLOW_TO_POST).expect("ready")
    shares = []
    reader = stream.reader()
    for _ in range(40):
        number = reader.wait(PATIENCE, spin_ns=-1)  # which sees the count, and leaves the post
        began, used = time.monotonic(), time.thread_time()
        reader.wait(PATIENCE, after=number)
        shares.append((time.thread_time() - used) / (time.monotonic() - began))
    # It would spin for 1 ms of each 3.5 ms.
    assert np.median(shares) < 0.15
