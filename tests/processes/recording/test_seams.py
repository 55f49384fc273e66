"""Recordings in many files that end where one file ends and the next one begins: each file has one frame."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Recorder, load
from pymilk.errors import StreamStorageError
from pymilk.recording import parts_of
from support.children import Child
from support.recordings import EACH_FORMAT, format_parameters

SHAPE = (64, 64)

#: Pixels of a frame hold its number.
CAMERA = """
import sys, threading
import numpy as np
from pymilk import SHM
with SHM("cam", ((8, 8), np.uint32), ring=4096) as shm:
    print("ready", flush=True)
    end = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), end.set()), daemon=True).start()
    number = 1
    while not end.is_set():
        frames = np.arange(number + 1, number + 21, dtype=np.uint32).repeat(64).reshape(20, 8, 8)
        shm.set_many(frames, rate=1000)
        number += 20
"""


@EACH_FORMAT
def test_disk_that_is_full_where_a_file_begins(
    suffix: str, make: Callable[..., SHM], small_disk: Path
) -> None:
    """Each frame is in one file, or told to be in none."""
    shm = make("cam", (SHAPE, np.uint16), ring=4096)
    cycle = np.repeat(np.arange(256, dtype=np.uint16), 64 * 64).reshape(256, *SHAPE)
    shm.set_many(np.roll(np.concatenate([cycle] * 12), -1, axis=0))  # 25 MB
    path = small_disk / f"cam.{suffix}"
    with pytest.raises(StreamStorageError, match="No space left") as caught:
        Recorder(shm, path, start="oldest", max_bytes_per_file=1_500_000).start().wait(60)
    report = caught.value.report.streams["cam"]
    assert report.recorded + report.unwritten == 3073
    frames = 0
    last = 0
    for each in parts_of(str(path)):
        with load(each) as loaded:
            assert loaded.info is not None
            found = np.asarray(loaded.frames)[:, 0, 0]
            assert np.array_equal(found, (loaded.info["cnt0"] - 1) % 256)
            assert loaded.info["lost"].sum() == 0
            if len(found):
                assert int(loaded.info["cnt0"][0]) == last + 1
                last = int(loaded.info["cnt0"][-1])
            frames += len(found)
    assert frames == report.recorded >= 183  # one whole file at least


def record_each_alone(tmp_path: Path, suffix: str) -> subprocess.Popen[str]:
    options = ["--max-size-per-file", "1", "--until-stopped", "--json"]
    wanted = [sys.executable, "-m", "pymilk", "record", "cam", "-o", f"cam.{suffix}", *options]
    return subprocess.Popen(
        wanted, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until_files(tmp_path: Path, suffix: str, count: int) -> None:
    end = time.monotonic() + 60
    while len(list(tmp_path.glob(f"cam_??????.{suffix}"))) < count:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("suffix", format_parameters("npy", "h5"))
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_ended_at_a_seam(
    how: signal.Signals, suffix: str, spawn: Callable[..., Child], tmp_path: Path
) -> None:
    spawn(CAMERA).expect("ready")
    with record_each_alone(tmp_path, suffix) as command:
        until_files(tmp_path, suffix, 12)
        command.send_signal(how)
        out, err = command.communicate(timeout=60)
    if how == signal.SIGINT:
        assert (command.returncode, err) == (0, "")
        report = json.loads(out)["streams"]["cam"]
        assert len(report["paths"]) == report["recorded"] >= 12
        assert report["complete"]
    with load(tmp_path / f"cam.{suffix}") as whole:
        assert whole.info is not None
        frames = np.asarray(whole.frames)
        assert (frames[:, 0, 0] == whole.info["cnt0"]).all()
        assert np.array_equal(np.diff(whole.info["cnt0"].astype(int)) - 1, whole.info["lost"][1:])
        if how == signal.SIGINT:
            assert whole.complete, whole.missing
            assert len(frames) == report["recorded"]
            assert report["lost"] == int(whole.info["lost"].sum())
        else:
            assert not whole.complete
            assert len(frames) >= 11
