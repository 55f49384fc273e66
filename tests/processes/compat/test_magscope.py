"""The facade of magscope.datatypes between processes: layout, locks, overruns, lifetime of the names."""

from __future__ import annotations

import importlib.util
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk.compat.magscope import (
    BeadRoiBuffer,
    BufferOverflow,
    LiveProfileBuffer,
    MatrixBuffer,
    VideoBuffer,
    ZLUTSweepDataset,
)
from support.children import Child
from support.magscope_writers import work
from support.segments import MEMORY, FileLock, new_name, put_words, segments, video_buffer, words
from support.waiting import until

SIZES = {"n_stacks": 4, "width": 6, "height": 4, "n_images": 5}

#: Begins a second process: its lock is that of the test.
BEGIN = """
import sys
import numpy as np
from multiprocessing.shared_memory import SharedMemory
from pymilk.compat.magscope import *
from support.segments import FileLock, video_buffer
name, locks = sys.argv[1], {sys.argv[1]: FileLock(sys.argv[2])}
"""

#: Makes a buffer, and ends when it is told to.
CREATOR = """
video = video_buffer(name)(create=True, locks=locks, n_stacks=4, width=6, height=4, n_images=5, bits=16)
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def name() -> Iterator[str]:
    with new_name() as name:
        yield name


@pytest.fixture
def locks(name: str, tmp_path: Path) -> dict[str, FileLock]:
    return {name: FileLock(tmp_path / "lock")}


@pytest.fixture
def child(name: str, tmp_path: Path, spawn: Callable[..., Child]) -> Callable[[str], Child]:
    return lambda code: spawn(BEGIN + code, name, tmp_path / "lock")


def quiet_end(child: Child) -> None:
    """Let a process end, which says nothing."""
    child.tell()
    assert child.finish() == (0, "", "")


# -- what the bytes are, as a program without this facade finds them


def test_another_program_reads_what_is_written(
    name: str, locks: dict[str, Any], child: Callable[[str], Child]
) -> None:
    video = video_buffer(name)(create=True, locks=locks, bits=16, **SIZES)
    pixels = np.arange(24, dtype=np.uint16).reshape(4, 6)
    video.write_image_and_timestamp(pixels.tobytes(), 1.25)
    other = child(
        """
def words(suffix):
    shm = SharedMemory(name=name + suffix)
    found = np.frombuffer(bytes(shm.buf), ">u8").tolist()
    shm.close()
    return found
shm, times = SharedMemory(name=name), SharedMemory(name=name + " Timestamps")
print(words(" Info"), words(" Index"), np.frombuffer(bytes(times.buf))[0],
      np.frombuffer(bytes(shm.buf), "u2")[:24].tolist() == list(range(24)), shm.size, times.size, flush=True)
# What such a program does at its end, with its own resource tracker: it removes what it attached to.
from multiprocessing import resource_tracker
for suffix in ("", " Timestamps", " Info", " Index"):
    resource_tracker.unregister("/" + name + suffix, "shared_memory")
"""
    )
    assert other.hear() == "[4, 6, 4, 5, 16] [0, 1, 1] 1.25 True 960 160"
    assert other.finish() == (0, "", "")


def test_what_another_program_made_is_attached(
    name: str, locks: dict[str, Any], child: Callable[[str], Child]
) -> None:
    other = child(
        """
made = []
def make(suffix, content):
    shm = SharedMemory(name=name + suffix, create=True, size=len(content))
    shm.buf[:] = content
    made.append(shm)
def words(*numbers):
    return np.array(numbers, ">u8").tobytes()
make(" Info", words(3, 2))
make("", np.arange(6.0).tobytes())
make(" Index", words(16, 0, 32))
print("ready", flush=True)
sys.stdin.readline()
rows, indices = np.frombuffer(bytes(made[1].buf)), np.frombuffer(bytes(made[2].buf), ">u8")
print(rows.tolist(), indices.tolist(), flush=True)
for shm in made:
    shm.unlink()
"""
    )
    other.expect("ready")
    matrix = MatrixBuffer(create=False, locks=locks, name=name)
    assert matrix.read().tolist() == [[2, 3], [4, 5]]
    matrix.write(np.array([[7, 8], [9, 10]]))
    other.tell()
    other.expect("[7.0, 8.0, 9.0, 10.0, 4.0, 5.0] [0, 32, 32]")
    assert other.finish()[0] == 0
    assert matrix.read().tolist() == [[7, 8], [9, 10]]  # the memory stays


@pytest.mark.skipif(bool(list(MEMORY.glob("VideoBuffer*"))), reason="somebody uses MagScope here")
def test_the_names_are_those_of_magscope(tmp_path: Path) -> None:
    # Of all tests that may run at once on this machine one has these names.
    with FileLock("/dev/shm/.pymilk-test-magscope-names"):
        lock = FileLock(tmp_path / "lock")
        kinds = (VideoBuffer.name, "BeadRoiBuffer", "LiveProfileBuffer", "ZLUTSweepDataset")
        locks = dict.fromkeys(kinds, lock)
        made = (
            VideoBuffer(create=True, locks=locks, bits=8, **SIZES),
            BeadRoiBuffer(create=True, locks=locks, capacity=3),
            LiveProfileBuffer(create=True, locks=locks, profile_capacity=3),
            ZLUTSweepDataset.create(
                locks=locks, capacity=2, profile_length=2, n_steps=1, n_beads=1, profiles_per_bead=1
            ),
        )
        try:
            for found in (
                "VideoBuffer", "VideoBuffer Info", "VideoBuffer Timestamps", "VideoBuffer Index",
                "BeadRoiBuffer Info", "BeadRoiBuffer Data", "BeadRoiBuffer Occupancy",
                "LiveProfileBuffer", "LiveProfileBuffer Info", "LiveProfileBuffer Index",
                "ZLUTSweepDataset Info", "ZLUTSweepDataset BeadIds", "ZLUTSweepDataset StepIndices",
                "ZLUTSweepDataset Timestamps", "ZLUTSweepDataset MotorZ", "ZLUTSweepDataset Valid",
                "ZLUTSweepDataset Profiles",
            ):  # fmt: skip
                SharedMemory(name=found).close()
        finally:
            video, beads, live, sweep = made
            for segment in (
                video._shm, video._ts_shm, video._idx_shm, video._shm_info, beads._shm_info, beads._shm_data,
                beads._shm_occupancy, live._buffer._shm, live._buffer._shm_info, live._buffer._idx_shm,
            ):  # fmt: skip
                segment.close()
                segment.unlink()
            sweep.destroy()
        assert not [path for kind in kinds for path in MEMORY.glob(f"{kind}*")]
    Path("/dev/shm/.pymilk-test-magscope-names").unlink(missing_ok=True)


# -- two processes at work


def test_images_go_from_one_process_to_another(
    name: str, locks: dict[str, Any], child: Callable[[str], Child]
) -> None:
    """A producer that fills the ring as fast as it can, and a consumer: none twice, none lost."""
    video = video_buffer(name)(create=True, locks=locks, bits=32, **SIZES)
    other = child(
        """
import time
video = video_buffer(name)(create=False, locks=locks)
number = 0
while number < 2000:
    try:
        video.write_image_and_timestamp(np.full(24, number, np.uint32).tobytes(), float(number))
        number += 1
    except BufferOverflow:
        time.sleep(0.0002)
print("done", flush=True)
"""
    )
    number = 0
    while number < 2000:
        if not video.check_read_stack():
            continue
        stack, times = video.peak_stack()
        assert times.tolist() == [float(each) for each in range(number, number + 5)]
        assert (stack == np.arange(number, number + 5)).all()
        video.read_stack_no_return()
        number += 5
    other.expect("done")
    assert other.finish() == (0, "", "")


def test_rows_of_several_writers_are_all_counted(
    name: str, locks: dict[str, Any], child: Callable[[str], Child]
) -> None:
    matrix = MatrixBuffer(create=True, locks=locks, name=name, shape=(5000, 2))
    writers = [
        child(
            f"""
matrix = MatrixBuffer(create=False, locks=locks, name=name)
for number in range(500):
    matrix.write(np.array([[{writer}, number], [{writer}, number]]))
"""
        )
        for writer in range(3)
    ]
    for each in writers:
        assert each.finish() == (0, "", "")
    rows = matrix.read()
    assert rows.shape == (3000, 2)
    for writer in range(3):
        assert rows[rows[:, 0] == writer, 1].tolist() == [n for n in range(500) for _ in range(2)]


def test_beads_change_as_a_whole(name: str, locks: dict[str, Any], child: Callable[[str], Child]) -> None:
    beads = BeadRoiBuffer(create=True, locks=locks, name=name, capacity=50)
    other = child(
        """
beads = BeadRoiBuffer(create=False, locks=locks, name=name)
for number in range(1, 600):
    beads.replace_beads({bead: (number,) * 4 for bead in range(number % 50 + 1)})
print("done", flush=True)
"""
    )
    last = 0
    while last < 599:
        _, rois = beads.get_beads()
        if len(rois):
            last = int(rois[0, 0])
            assert (rois == last).all()
            assert len(rois) == last % 50 + 1
    other.expect("done")
    assert other.finish() == (0, "", "")
    assert beads.version == 599


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_locks_of_multiprocessing(name: str, method: str) -> None:
    """The resource tracker is shared with the children: that one of them ends removes nothing."""
    context = multiprocessing.get_context(method)
    locks = {name: context.Lock()}
    matrix = MatrixBuffer(create=True, locks=locks, name=name, shape=(1000, 2))
    results = context.Queue()
    children = [context.Process(target=work, args=(name, locks, results)) for _ in range(2)]
    for each in children:
        each.start()
    counts = sorted(results.get(timeout=60) for _ in children)
    for each in children:
        each.join(60)
        assert each.exitcode == 0
    assert counts[-1] == 600 * 16
    assert matrix.read()[:, 0].sum() == 2 * sum(range(300))
    assert segments(name) == {"": 16000, " Info": 16, " Index": 24}


# -- how long names live


def test_a_process_that_attached_removes_nothing(
    name: str, locks: dict[str, Any], child: Callable[[str], Child]
) -> None:
    video = video_buffer(name)(create=True, locks=locks, bits=16, **SIZES)
    before = segments(name)
    for end in ("", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"):
        other = child(f"video_buffer(name)(create=False, locks=locks).write_timestamp(1.5)\n{end}")
        code, out, err = other.finish()
        assert (code, out, err) == (-signal.SIGKILL if end else 0, "", "")
    assert segments(name) == before
    assert video.get_level() == 2 / 20


def test_names_end_with_the_process_that_made_them(
    name: str, locks: dict[str, Any], child: Callable[[str], Child]
) -> None:
    creator = child(CREATOR)
    creator.expect("ready")
    video = video_buffer(name)(create=False, locks=locks)
    video.write_timestamp(2.5)
    quiet_end(creator)
    assert segments(name) == {}
    assert video.read_image()[1] == 2.5  # those who are attached go on
    video_buffer(name)(create=True, locks=locks, bits=8, **SIZES)


def test_names_of_a_process_that_was_killed_are_removed(name: str, child: Callable[[str], Child]) -> None:
    creator = child(CREATOR)
    creator.expect("ready")
    assert len(segments(name)) == 4
    creator.kill()
    until(lambda: segments(name) == {})


def test_what_another_process_made_under_the_name_stays(
    name: str, locks: dict[str, Any], child: Callable[[str], Child]
) -> None:
    creator = child(CREATOR)
    creator.expect("ready")
    kind = video_buffer(name)
    old = kind(create=False, locks=locks)
    for segment in (old._shm, old._ts_shm, old._idx_shm, old._shm_info):
        segment.unlink()
    new = kind(create=True, locks=locks, bits=8, **SIZES)
    before = segments(name)
    quiet_end(creator)
    assert segments(name) == before
    new.write_timestamp(1.0)
    assert kind(create=False, locks=locks).get_level() == 0.05
    assert words(f"{name} Index") == [0, 1, 1]


def test_a_child_of_fork_leaves_the_names_of_its_parent(name: str, child: Callable[[str], Child]) -> None:
    fork = "import os\npid = os.fork()\nif pid == 0:\n    sys.exit()\nos.waitpid(pid, 0)\nprint("
    creator = child(CREATOR.replace("print(", fork))
    creator.expect("ready")
    assert len(segments(name)) == 4
    quiet_end(creator)
    assert segments(name) == {}


def test_views_at_the_end_of_a_process_are_no_trouble(name: str, child: Callable[[str], Child]) -> None:
    other = child(
        """
video = video_buffer(name)(create=True, locks=locks, n_stacks=4, width=6, height=4, n_images=5, bits=16)
for _ in range(5):
    video.write_timestamp(1.0)
views = [video.peak_stack(), video.peak_image(), video.read_image()]
numbers = dict(capacity=2, profile_length=2, n_steps=1, n_beads=1, profiles_per_bead=1)
sweep = ZLUTSweepDataset.create(locks={name + "Z": locks[name]}, name=name + "Z", **numbers)
other = SharedMemory(name=name + " Info")
other.unlink()      # by another object: its own is not there any more at the end
"""
    )
    assert other.finish() == (0, "", "")
    assert segments(name) == {}


def test_a_ring_that_is_damaged_meanwhile(name: str, locks: dict[str, Any]) -> None:
    video = video_buffer(name)(create=True, locks=locks, bits=8, **SIZES)
    put_words(f"{name} Index", 0, 0, 2**63)
    with pytest.raises(BufferOverflow):
        video.write_timestamp(1.0)
    assert video.get_unread_stack_count() > 0


def test_a_script_of_magscope_runs_after_install(name: str, child: Callable[[str], Child]) -> None:
    other = child(
        """
import pymilk.compat.magscope
pymilk.compat.magscope.install()
from multiprocessing import Lock
from magscope.datatypes import MatrixBuffer
import magscope.datatypes as datatypes
tracks = MatrixBuffer(create=True, locks={name: Lock()}, name=name, shape=(10, 7))
tracks.write(np.ones((2, 7)))
print(tracks.read().shape, datatypes.int_to_uint_dtype(16).__name__, flush=True)
"""
    )
    other.expect("(2, 7) uint16")
    assert other.finish() == (0, "", "")
    assert "magscope" not in sys.modules
    # Nothing of it is left on the disk: whoever asks finds the original, or nothing.
    there = importlib.util.find_spec("magscope")
    assert there is None or "pymilk" not in str(there.origin)
