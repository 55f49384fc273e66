"""Clocks that are set do not change a timeout; stamps become the right UTC."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, times
from support.children import Child
from support.marks import needs_compiler
from support.timed_calls import PRELUDE, TIMED

Spawn = Callable[..., Child]
Make = Callable[..., SHM]

#: Shifts the clocks that can be set, for one process: by three numbers of nanoseconds in a file, for
#: CLOCK_REALTIME, for CLOCK_TAI on top of that, and for CLOCK_BOOTTIME. CLOCK_MONOTONIC cannot be set.
SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift;

__attribute__((constructor)) static void begin(void)
{
    int fd = open(getenv("PYMILK_TEST_CLOCKS"), O_RDONLY);
    shift = mmap(0, 24, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int64_t by = 0, ns;
    clockid_t real = clock;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        by = shift[0];
    if (clock == CLOCK_TAI) {
        real = CLOCK_REALTIME;
        by = shift[0] + shift[1];
    }
    if (clock == CLOCK_BOOTTIME)
        by = shift[2];
    if (syscall(SYS_clock_gettime, real, now) != 0)
        return -1;
    ns = now->tv_nsec + by % 1000000000;
    now->tv_sec += by / 1000000000 + (ns >= 1000000000) - (ns < 0);
    now->tv_nsec = (ns + 1000000000) % 1000000000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *at, void *zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""

#: Begins a child whose clocks are shifted: it starts itself again with the library in front.
SHIFTED = """
import os, sys
if "LD_PRELOAD" not in os.environ:
    os.environ.update(LD_PRELOAD=sys.argv[1], PYMILK_TEST_CLOCKS=sys.argv[2])
    os.execv(sys.executable, sys.orig_argv)
import mmap, struct
with open(sys.argv[2], "r+b") as file:
    clocks = mmap.mmap(file.fileno(), 24)

def shift(real, tai=0, boot=0):
    clocks[:] = struct.pack("3q", *(round(seconds * 1e9) for seconds in (real, tai, boot)))
"""


def compiled(folder: Path, name: str, source: str, *flags: str) -> Path:
    (folder / f"{name}.c").write_text(source)
    said = subprocess.run(
        ["cc", "-O1", "-Wall", "-Wextra", "-Werror", *flags, "-o", folder / name, folder / f"{name}.c"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (said.returncode, said.stderr) == (0, "")
    return folder / name


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("shim"), "shim.so", SHIM, "-shared", "-fPIC")


@pytest.fixture
def shifted(spawn: Spawn, shim: Path, tmp_path: Path) -> Callable[[str], Child]:
    """Start a child whose clocks can be set, by itself with `shift`."""
    clocks = tmp_path / "clocks"
    clocks.write_bytes(bytes(24))
    return lambda code: spawn(SHIFTED + PRELUDE + code, shim, clocks)


# -- timeouts -----------------------------------------------------------------------------------------

#: What happens to the clocks, again and again. In a suspend all but CLOCK_MONOTONIC go on.
CHANGES = {
    "set": "shift(3600); time.sleep(0.02); shift(-3600)",
    "offset": "shift(0, 37); time.sleep(0.02); shift(0, 0)",
    "suspend": "asleep = asleep + 3600; shift(asleep, 0, asleep)",
}


@needs_compiler
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("what", TIMED)
def test_clock_that_is_set_does_not_change_a_timeout(
    cam: SHM, make: Make, shifted: Callable[[str], Child], what: str, change: str
) -> None:
    """By the time of day it would end at once, or an hour later."""
    make("ring", np.zeros((4, 6), np.uint32), ring=4)
    child = shifted(
        f"""
SECONDS = 0.2
def set_clocks():
    asleep = 0
    while not done.is_set():
        {CHANGES[change]}
        changed.set()
        time.sleep(0.02)
done, changed = threading.Event(), threading.Event()
thread = threading.Thread(target=set_clocks)
shm = SHM("cam")
thread.start()
changed.wait()
began = time.monotonic()
ended = {TIMED[what]}
took = time.monotonic() - began
done.set()
thread.join()
say(ended, took >= SECONDS)
"""
    )
    child.expect("True True")
    code, rest, _ = child.finish()
    assert (code, rest) == (0, "")


@needs_compiler
def test_frames_are_received_while_the_clock_is_set(cam: SHM, shifted: Callable[[str], Child]) -> None:
    child = shifted(
        """
shm = SHM("cam")
with shm.ring_reader(64) as ring:
    capture = shm.capture(50, timeout=60, background=True)
    for number in range(50):
        shift((-1) ** number * 3600)
        shm.set_data(frame(number))
        while ring.report.received + ring.lag <= number or capture.received <= number:
            time.sleep(0.0001)
    capture.join()
    info = capture.info
    say(capture.frames[:, 0, 0].tolist() == list(range(50)), info["lost"].sum(), (info["flags"] & 2).sum())
    say(ring.read(50).report.lost)
    # Each stamp is what its writer's clock said; they jump with it.
    say((np.abs(np.diff(info["writetime_ns"])) > 7000e9).all())
"""
    )
    child.expect("True 0 0")
    child.expect("0")
    child.expect("True")
    assert child.finish() == (0, "", "")


IN_NAMESPACE = """
import os, sys
if len(sys.argv) == 1:
    try:
        os.execvp("unshare", ["unshare", "--time", "--monotonic=1000000", "--boottime=2000000", "--fork",
                              "--kill-child", *sys.orig_argv, "inside"])
    except FileNotFoundError:
        sys.exit("no unshare")
"""


def test_processes_of_another_time_namespace(cam: SHM, spawn: Spawn) -> None:
    """Nothing in the file depends on CLOCK_MONOTONIC, which differs from one container to the next."""
    child = spawn(
        IN_NAMESPACE
        + PRELUDE
        + """
say("inside", time.monotonic())
shm = SHM("cam")
for wait in ("auto", "spin", "sleep"):
    capture = shm.capture(1, timeout=60, wait=wait, background=True)
    say("armed")
    say(capture.join().frames[0, 0, 0])
began = time.monotonic()
say(over(lambda: shm._stream.wait(0.1)), time.monotonic() - began >= 0.1)
shm.get_data()
with shm.ring_reader(4) as ring:
    say(over(lambda: pymilk.wait_any([ring, shm], 0.1)))
input()
shm.set_many(np.full((3, 4, 6), 9, np.uint32), rate=100)
say(shm._stream.write_time_ns)
"""
    )
    try:
        said = child.hear()
    except AssertionError as error:
        if "unshare" not in str(error):
            raise
        pytest.skip(f"no time namespace is available here: {str(error).strip()}")
    assert float(said.split()[1]) > time.monotonic() + 900_000
    for number in (1, 2, 3):
        child.expect("armed")
        cam.set_data(np.full((4, 6), number, np.uint32))
        child.expect(str(number))
    child.expect("True True")
    child.expect("True")
    with cam.ring_reader(8) as ring:
        child.tell()
        assert ring.read(3, timeout=60).frames[:, 0, 0].tolist() == [9, 9, 9]
    assert abs(int(child.hear()) - times.now_ns()) < 60e9
    assert child.finish() == (0, "", "")


# -- stamps -------------------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize("offset", [0, 37])
@pytest.mark.parametrize("ahead", [0, 86_400])
def test_stamps_become_the_right_utc(
    cam: SHM, shifted: Callable[[str], Child], offset: int, ahead: int
) -> None:
    child = shifted(
        f"""
from pymilk import times
from pymilk.inspection import stream_details
shift({ahead}, {offset})
shm = SHM("cam")
capture = shm.capture(1, timeout=60, background=True)
before = time.time_ns()
shm.set_data(frame(1))
after = time.time_ns()
info = capture.join().info[0]
stream = shm._stream
say(times.tai_offset())
for stamp in (stream.write_time_ns, stream.acquisition_time_ns, info["writetime_ns"], info["atime_ns"]):
    utc = int(times.to_utc(stamp).astype(np.int64))
    assert before <= utc <= after, (before, utc, after)
    assert utc == int(times.to_utc(stamp, {offset}).astype(np.int64))
    assert int(stamp) == utc + {offset} * 10**9
assert before <= int(times.to_utc(info["arrival_ns"]).astype(np.int64)) <= time.time_ns()
written = np.datetime64(stream_details(stream)["written_utc"].rstrip("Z"), "ns").astype(np.int64)
assert before <= written <= after
assert 0 <= stream_details(stream)["age"] < 60
say("done")
"""
    )
    child.expect(str(offset))
    child.expect("done")
    assert child.finish() == (0, "", "")
