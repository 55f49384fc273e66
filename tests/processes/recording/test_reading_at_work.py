"""Recordings that another process writes, finishes, replaces or cuts at the same time: exact, or refused."""

from __future__ import annotations

import random
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, load
from pymilk._core import FRAME_ROW
from pymilk.errors import ForeignFileWarning, StreamFormatError, StreamNotFoundError
from pymilk.playback import open_footage
from pymilk.recording.details import recording_details
from support.children import Child
from support.recordings import EACH_FORMAT, recorded

#: Each pixel of a frame is its number.
SHAPE = (32, 32)

WRITER = """
import sys, threading, time
import numpy as np
from pymilk import SHM, Recorder
from pymilk.recording.sinks import Sink, sink_of
Sink.flush_seconds = 0.02
path, options = sys.argv[1], eval(sys.argv[2])
sink_of(path).check((32, 32), np.dtype(np.uint32), False)  # imports its library
over = threading.Event()
shm = SHM("numbers", ((32, 32), np.uint32), ring=4096)

def feed():
    frame = np.empty((32, 32), np.uint32)
    while not over.is_set():
        for _ in range(10):
            frame[:] = shm.IMAGE.md.cnt0 + 1
            shm.set_data(frame)
        time.sleep(0.002)

feeder = threading.Thread(target=feed)
feeder.start()
print("ready", flush=True)
threading.Thread(target=lambda: (sys.stdin.readline(), over.set())).start()
while not over.is_set():
    with Recorder(shm, path, force=True, seconds=0.15, **options) as recorder:
        recorder.wait()
feeder.join()
shm.close()
"""


def check(frames: np.ndarray, info: np.ndarray | None) -> None:
    """Compare each frame with its row."""
    assert info is not None
    assert len(frames) == len(info)
    assert (frames == frames[:, :1, :1]).all()
    np.testing.assert_array_equal(frames[:, 0, 0], info["cnt0"])
    np.testing.assert_array_equal(np.diff(info["cnt0"].astype(int)) - 1, info["lost"][1:].astype(int))


def read_once(path: Path, turn: int, series: bool) -> str:
    """Load, play or describe a recording; returns how it went."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ForeignFileWarning)
        if turn % 8 == 0:
            return "complete" if recording_details(path)["complete"] else "at work"
        if turn % 4 == 0:
            footage = open_footage(path)
            try:
                pieces = [piece.copy() for piece, _ in footage.pieces(100)]
            finally:
                footage.close()
            frames = np.concatenate(pieces)
            assert (frames == frames[:, :1, :1]).all()
            assert (np.diff(frames[:, 0, 0].astype(int)) > 0).all()
            return "played"
        with load(path) as found:
            frames = np.array(found.frames)
            found.check()
            check(frames, found.info)
            # Of the files of NPY the rows are replaced first: there are none for a moment. Of a series the
            # first file goes before the others.
            later = ["not there yet", "not where it should be"] if series else []
            words = ("being recorded", "there are 0 rows", *later)
            assert found.complete or any(each in found.missing for each in words), found.missing
            if found.complete:
                assert found.header["frames"] == len(found) > 0
            return "complete" if found.complete else "at work"


@EACH_FORMAT
@pytest.mark.parametrize("options", [{}, {"max_frames_per_file": 150}], ids=["one", "series"])
def test_recording_that_is_written_and_replaced(
    suffix: str, options: dict[str, int], spawn: Callable[..., Child], tmp_path: Path
) -> None:
    path = tmp_path / f"cam.{suffix}"
    writer = spawn(WRITER, path, options)
    writer.expect("ready")
    ways: Counter[str] = Counter()
    turn, began = 0, time.monotonic()
    while time.monotonic() < began + 2 or (ways["at work"] + ways["complete"] < 20):
        assert time.monotonic() < began + 30, ways
        turn += 1
        try:
            ways[read_once(path, turn, bool(options))] += 1
        except StreamNotFoundError:
            ways["not there"] += 1
        except StreamFormatError as error:
            assert options or "replaced" in str(error), error
            ways["refused"] += 1
        except ValueError as error:  # of play: nothing to play yet
            assert "no frames" in str(error) or "axes for a frame" in str(error), error
            ways["empty"] += 1
    writer.tell()
    assert writer.finish()[0] == 0
    assert ways["refused"] <= sum(ways.values()) / 10 or options, ways


CUTTER = """
import os, sys, time
for line in sys.stdin:
    path, length, pause = line.split()
    time.sleep(float(pause))
    os.truncate(path, int(length))
    print("cut", flush=True)
"""


@pytest.mark.filterwarnings("ignore::pymilk.errors.ForeignFileWarning")  # FITS whose rows were cut off
@EACH_FORMAT
def test_recording_that_is_cut_at_any_moment(
    suffix: str, make: Callable[..., SHM], spawn: Callable[..., Child], tmp_path: Path
) -> None:
    shm = make("numbers", (SHAPE, np.uint32), ring=512)
    frames = np.repeat(np.arange(2, 302, dtype=np.uint32), 32 * 32).reshape(300, *SHAPE)
    whole, folder = tmp_path / "whole", tmp_path / "folder"
    whole.mkdir()
    recorded(shm, whole / f"cam.{suffix}", frames)[0].close()
    files = [each.relative_to(whole) for each in sorted(whole.rglob("*")) if each.is_file()]
    cutter = spawn(CUTTER)
    rng, ways = random.Random(1), Counter[str]()
    for attempt in range(60):
        shutil.copytree(whole, folder)
        file = folder / rng.choice(files)
        length = rng.randrange(file.stat().st_size)
        cutter.tell(f"{file} {length} {rng.random() * 0.004}")
        before = attempt % 4 == 0  # on a busy machine, others may come when all was read
        if before:
            cutter.expect("cut")
        try:
            with load(folder / f"cam.{suffix}") as found:
                read = np.array(found.frames)
                found.check()
                rows = np.zeros(len(read), FRAME_ROW) if found.info is None else found.info
                if found.info is None:  # a plain cube
                    rows["cnt0"] = np.arange(2, 2 + len(read))
                check(read, rows)
            ways["complete" if found.complete else "not complete"] += 1
        except (StreamFormatError, StreamNotFoundError):
            ways["refused"] += 1
        if not before:
            cutter.expect("cut")
        shutil.rmtree(folder)
    assert ways["refused"] + ways["not complete"] > 0, ways
