"""Two processes that would record into one output, and commands about files that are not whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Recorder, load, save
from pymilk.errors import RecordingInUseError, StreamFormatError
from pymilk.system.output_lock import check_outputs
from support.recordings import EACH_FORMAT, images
from support.waiting import until


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pymilk", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def is_locked(path: Path) -> bool:
    """Tell whether a recorder holds the lock of its output, which it takes just behind making that."""
    try:
        check_outputs([str(path)])
    except RecordingInUseError:
        return True
    return False


@pytest.fixture
def cam(make: Callable[..., SHM]) -> SHM:
    return make("cam", ((5, 7), np.uint16), ring=4096)


@EACH_FORMAT
def test_the_second_recorder_is_refused_by_name_and_pid(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    command = [sys.executable, "-m", "pymilk", "record", "cam", "-o", str(path), "--until-stopped"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: is_locked(path))
        with pytest.raises(RecordingInUseError, match=rf"process {first.pid} \(\S+\)") as caught:
            Recorder(cam, path, force=True)
        assert caught.value.pids == [first.pid]
        said = run("record", "cam", "-o", path, "--frames", 1, "--force")
        assert said.returncode == 1
        assert str(first.pid) in said.stderr
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    # The kernel has freed the lock.
    with Recorder(cam, path, force=True, frames=3) as recorder:
        cam.set_many(images(3))
        recorder.wait(60)
    with load(path) as found:
        assert (len(found), found.complete) == (3, True)


def record_parts(cam: SHM, path: Path) -> subprocess.Popen[bytes]:
    """Begin to record a series, of which the first file is finished."""
    command = [sys.executable, "-m", "pymilk", "record", "cam", "-o", str(path), "--until-stopped"]
    first = subprocess.Popen(
        [*command, "--max-frames-per-file", "3"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def is_at_the_second() -> bool:
        cam.set_many(images(1))
        parts = [path.with_name(f"s_{number:06d}{path.suffix}") for number in range(1, 40)]
        return any(map(is_locked, parts))

    until(is_at_the_second)
    return first


@EACH_FORMAT
def test_names_of_a_living_series_are_taken(suffix: str, cam: SHM, tmp_path: Path) -> None:
    first = record_parts(cam, tmp_path / f"s.{suffix}")
    try:
        for number in (0, 1, 900000):  # finished, at work or finished, not there yet
            part = tmp_path / f"s_{number:06d}.{suffix}"
            with pytest.raises(RecordingInUseError, match=f"is being recorded by process {first.pid}"):
                Recorder(cam, part, force=True)
            with cam.capture(1, background=True) as capture:
                cam.set_many(images(1))
                capture.join(60)
            with pytest.raises(RecordingInUseError):
                save(capture, part, force=True)
        Recorder(cam, tmp_path / f"s_0007.{suffix}")
        Recorder(cam, tmp_path / f"t_000007.{suffix}")
    finally:
        first.send_signal(signal.SIGINT)
        assert first.wait(60) == 0
    with load(tmp_path / f"s.{suffix}") as found:
        assert found.complete, found.missing


def test_files_of_one_day_each_are_no_series(cam: SHM, tmp_path: Path) -> None:
    with Recorder(cam, tmp_path / "s_20261129.npy") as recorder:
        cam.set_many(images(2))
        until(lambda: recorder.report.streams["cam"].recorded == 2)
        Recorder(cam, tmp_path / "s_20261130.npy")


def test_record_ends_with_exit_code_1_if_its_file_goes(cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / "cam.npy"
    command = [sys.executable, "-m", "pymilk", "record", "cam", "-o", str(path), "--until-stopped", "--json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: is_locked(path))
    path.unlink()
    deadline = time.monotonic() + 60
    while child.poll() is None:
        assert time.monotonic() < deadline
        cam.set_many(images(1))
        time.sleep(0.02)
    out, err = child.communicate()
    assert child.returncode == 1
    assert "deleted or renamed by another program" in err
    assert json.loads(out)["complete"] is False


def test_info_of_a_recording(cam: SHM, tmp_path: Path) -> None:
    with Recorder(cam, tmp_path / "q.npy", frames=30, max_frames_per_file=10) as recorder:
        cam.set_many(images(30))
        recorder.wait(60)
    said = run("info", tmp_path / "q.npy")
    assert said.returncode == 0, said.stderr
    assert "complete    yes" in said.stdout
    for each in tmp_path.glob("q_000001*"):
        each.unlink()
    told = json.loads(run("info", tmp_path / "q.npy", "--json").stdout)
    assert (told["complete"], told["frames"], told["gaps"]) == (False, 20, [[10, 10, 11, 22]])
    assert "complete    no: " in run("info", tmp_path / "q.npy").stdout


@pytest.mark.parametrize("suffix", ["npy", "fits"])
def test_file_that_is_cut_while_it_is_read(suffix: str, make: Callable[..., SHM], tmp_path: Path) -> None:
    """No Bus error: an error in words, or zeros in a plain view."""
    shm = make("big", ((256, 256), np.uint16), ring=64)
    path = tmp_path / f"big.{suffix}"
    with Recorder(shm, path, frames=40) as recorder:
        shm.set_many(images(40, (256, 256)))
        recorder.wait(60)
    code = (
        "import os, sys, pymilk\n"
        "found = pymilk.load(sys.argv[1])\n"
        "os.truncate(sys.argv[1], 300_000)\n"
        "try:\n"
        "    found.frames[30].sum(); found.check()\n"
        "except pymilk.errors.StreamFormatError as error:\n"
        "    print('refused:', error)\n"
        "try:\n"
        "    pymilk.play(found, 'again', rate=0)\n"
        "except pymilk.errors.StreamFormatError as error:\n"
        "    print('refused:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.count("refused:")) == (0, 2), done.stderr
    assert "was cut by another program" in done.stdout


def test_series_that_is_cut_while_it_is_read(cam: SHM, tmp_path: Path) -> None:
    """Frames of a series are copied before they are checked: they stay as they were read."""
    with Recorder(cam, tmp_path / "q.npy", frames=400, max_frames_per_file=200) as recorder:
        cam.set_many(images(400))
        recorder.wait(60)
    with load(tmp_path / "q.npy") as found:
        read = found.frames[:200]
        os.truncate(tmp_path / "q_000000.npy", 0)
        np.testing.assert_array_equal(read, images(400)[:200])
        with pytest.raises(StreamFormatError, match="cut by another program"):
            found.frames[3]
