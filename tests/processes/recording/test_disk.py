"""What is on the disk when a recorder is killed in the middle, or the disk is full."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Recorder, load, record
from pymilk._core import Stream
from pymilk.errors import StreamStorageError
from pymilk.times import frame_times
from support.children import Child
from support.recordings import EACH_FORMAT, format_parameters

SHAPE = (64, 64)

RECORD = """
import sys
from pymilk import Recorder
from pymilk.recording.sinks import Sink
Sink.flush_seconds = 0.05  # a second takes so long
path, enough, packed = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["fast"]
with Recorder("cam", path, force=True, compress=packed) as recorder:
    print("ready", flush=True)
    while recorder.report.recorded < enough:
        pass
    print(recorder.report.recorded, flush=True)
    sys.stdin.readline()
"""


def cycle() -> np.ndarray:
    """256 frames; frame number n of a stream that publishes them again and again is the (n - 1) % 256th."""
    return np.repeat(np.arange(256, dtype=np.uint16), 64 * 64).reshape(256, *SHAPE)


def check(path: Path, least: int) -> int:
    """Verify each frame of a recording that is not complete; returns how many there are."""
    with load(path) as loaded:
        assert not loaded.complete
        frames, info = np.asarray(loaded.frames), loaded.info
        assert info is not None
        assert len(frames) == len(info) >= least
        assert (frames == frames[:, :1, :1]).all()
        assert np.array_equal(frames[:, 0, 0], (info["cnt0"] - 2) % 256)  # one was there before
        assert np.array_equal(np.diff(info["cnt0"].astype(int)) - 1, info["lost"][1:].astype(int))
        return len(frames)


@pytest.mark.parametrize("kind", format_parameters("npy", "fits", "h5", "zarr", "fits+fast"))
def test_killed_in_the_middle(
    kind: str, make_stream: Callable[..., Stream], spawn: Callable[..., Child], tmp_path: Path
) -> None:
    suffix, *packed = kind.split("+")
    stream = make_stream("cam", SHAPE, np.uint16, cb_size=4096)
    path = tmp_path / f"cam.{suffix}"
    stream.publish(np.ones(SHAPE, np.uint16))
    record("cam", path, frames=1, start="oldest")  # an old one, to be replaced
    recorder = spawn(RECORD, path, 1500, *packed)
    recorder.expect("ready")
    # The camera goes on while the recorder is killed, so that it dies at its work.
    camera = threading.Thread(
        target=stream.publish_many, args=(cycle(), 4000), kwargs={"interval_ns": 100_000}
    )
    camera.start()
    recorded = int(recorder.hear())
    if packed or suffix in ("h5", "zarr"):  # they keep frames in memory for a while: what can be read counts
        recorded = 0
        while recorded < 1000:
            with load(path) as growing:
                recorded = len(growing)
    recorder.kill()
    camera.join()
    found = check(path, recorded)
    # Others can read it as well.
    if suffix == "npy":
        assert len(np.load(path, mmap_mode="r")) >= found
    elif packed:
        from astropy.io import fits

        with fits.open(path) as hdus:
            pixels = hdus["FRAMES"].section[: found - 1]
        assert np.array_equal(pixels, np.asarray(load(path).frames)[: found - 1])
    elif suffix == "fits":
        from astropy.io import fits

        assert np.array_equal(fits.getdata(path)[:found, 0, 0], np.asarray(load(path).frames)[:, 0, 0])
    elif suffix == "h5":
        import h5py

        with h5py.File(path, "r", swmr=True) as h5:
            rows = h5["info"][:]
            assert len(rows) >= found
            assert np.array_equal(h5["time"][: len(rows)], frame_times(rows))
            assert np.array_equal(h5["cnt0"][: len(rows)], rows["cnt0"])
    else:
        import zarr

        group = zarr.open_group(path, mode="r")
        assert group["frames"].shape[0] >= found
        assert "time" not in group  # its length would be another one


EACH_WAY = pytest.mark.parametrize(
    "way", format_parameters("npy", "fits", "h5", "zarr", "npy+second", "fits+second", "zarr+second")
)


@EACH_WAY
def test_full_disk(way: str, make: Callable[..., SHM], small_disk: Path) -> None:
    suffix, _, sync = way.partition("+")
    shm = make("cam", (SHAPE, np.uint16), ring=4096)
    shm.set_many(np.roll(np.concatenate([cycle()] * 12), -1, axis=0))  # 25 MB
    path = small_disk / f"cam.{suffix}"
    with pytest.raises(StreamStorageError, match="No space left") as caught:
        Recorder(shm, path, start="oldest", sync=sync or None).start().wait(60)
    error = caught.value
    assert isinstance(error, OSError)
    report = error.report.streams["cam"]
    assert report.ended == "error"
    assert report.unwritten > 0
    with load(path) as loaded:
        frames, info = np.asarray(loaded.frames), loaded.info
        assert info is not None
        # At least half of the disk was used, and everything on it is right.
        assert len(frames) == len(info) > 700
        assert (frames == frames[:, :1, :1]).all()
        assert np.array_equal(frames[:, 0, 0], (info["cnt0"] - 1) % 256)
        assert info["lost"].sum() == 0
        # Each frame is either in the file, or told to be in none.
        assert report.recorded == len(frames) == loaded.header["frames"]
        assert report.recorded + report.unwritten == 3073
        assert (loaded.complete, loaded.header["ended"]) == (False, "error")


@pytest.mark.parametrize("kind", format_parameters("fits+fast", "h5+fast", "zarr+fast"))
def test_full_disk_of_packed_frames(kind: str, make: Callable[..., SHM], small_disk: Path) -> None:
    """Frames that do not get smaller: what is in the file are the first ones, each as it was."""
    shm = make("cam", (SHAPE, np.uint16), ring=4096)
    frames = np.random.default_rng(1).integers(0, 65536, (3072, *SHAPE), np.uint16)  # 25 MB
    shm.set_many(frames)
    path = small_disk / f"cam.{kind.partition('+')[0]}"
    with pytest.raises(StreamStorageError, match="No space left") as caught:
        Recorder(shm, path, start="oldest", compress="fast").start().wait(60)
    report = caught.value.report.streams["cam"]
    with load(path) as loaded:
        assert len(loaded.frames) > 700
        np.testing.assert_array_equal(np.asarray(loaded.frames)[1:], frames[: len(loaded.frames) - 1])
        assert report.recorded == len(loaded.frames) == loaded.header["frames"]
        assert report.recorded + report.unwritten == 3073
        assert (loaded.complete, loaded.header["ended"]) == (False, "error")


LIMITED = """
import resource, signal, sys
import numpy as np
from pymilk import Recorder, errors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (12_000_000, 12_000_000))
try:
    Recorder("cam", sys.argv[1], start="oldest", frames=3000).start().wait()
except errors.StreamStorageError as error:
    print(error.report.recorded, error)
"""


@pytest.mark.parametrize("suffix", format_parameters("npy", "fits", "h5"))
def test_file_that_may_not_grow(
    suffix: str, make: Callable[..., SHM], spawn: Callable[..., Child], tmp_path: Path
) -> None:
    shm = make("cam", (SHAPE, np.uint16), ring=4096)
    shm.set_many(np.roll(np.concatenate([cycle()] * 12), -1, axis=0))
    path = tmp_path / f"cam.{suffix}"
    status, out, err = spawn(LIMITED, path).finish()
    assert (status, err) == (0, "")
    assert "File too large" in out
    with load(path) as loaded:
        frames, info = np.asarray(loaded.frames), loaded.info
        assert info is not None
        assert len(frames) == len(info) > 700
        assert (frames == frames[:, :1, :1]).all()
        assert np.array_equal(frames[:, 0, 0], (info["cnt0"] - 1) % 256)


FORGETFUL = """
import sys
import pymilk
recorder = pymilk.Recorder("cam", sys.argv[1]).start()
print("ready", flush=True)
sys.stdin.readline()
"""


@EACH_FORMAT
def test_script_that_forgets_its_recorder(
    suffix: str, make: Callable[..., SHM], spawn: Callable[..., Child], tmp_path: Path
) -> None:
    shm = make("cam", (SHAPE, np.uint16), ring=64)
    script = spawn(FORGETFUL, tmp_path / f"cam.{suffix}")
    script.expect("ready")
    shm.set_many(cycle()[:20])
    script.tell()
    status, _, err = script.finish()
    assert (status, err) == (0, "")
    with load(tmp_path / f"cam.{suffix}") as loaded:
        assert (len(loaded), loaded.complete) == (20, True)


READS = """
import sys
import pymilk
with pymilk.load(sys.argv[1]) as growing:
    print(len(growing), growing.complete, flush=True)
    sys.stdin.readline()
    print(growing.frames[0, 0, 0])
"""


@EACH_FORMAT
def test_one_who_reads_is_not_in_the_way(
    suffix: str,
    make: Callable[..., SHM],
    spawn: Callable[..., Child],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another process has the file open from its growth until after its end."""
    monkeypatch.setattr("pymilk.recording.sinks.Sink.flush_seconds", 0.01)
    shm = make("cam", (SHAPE, np.uint16), ring=64)
    path = tmp_path / f"cam.{suffix}"
    with Recorder(shm, path, frames=6) as recorder:
        shm.set_many(cycle()[3:8])
        while not path.exists() or recorder.report.recorded < 5:
            pass
        while True:
            with load(path) as here:
                if len(here) == 5:
                    break
        reader = spawn(READS, path)
        reader.expect("5 False")
        shm.set_many(cycle()[8:9])
        report = recorder.wait(60)
    assert report.complete
    reader.tell()
    assert reader.finish() == (0, "3\n", "")
    with load(path) as loaded:
        assert (len(loaded), loaded.complete, loaded.header["frames"]) == (6, True, 6)


FORKED = """
import os, sys
import numpy as np
import pymilk
from pymilk.errors import StreamForkedError
recorder = pymilk.Recorder("cam", sys.argv[1]).start()
player = pymilk.Player(np.zeros((2, 3, 3), np.uint8), "played", rate=1, loop=True, remove=True).start()
pid = os.fork()
if pid == 0:
    for each in (recorder, player):
        try:
            each.wait()
        except StreamForkedError as error:
            print(error, flush=True)
    print(recorder.running, recorder.stop().recorded, player.running, player.close(), flush=True)
    sys.exit(0)
print(os.waitpid(pid, 0)[1], player.running, recorder.running, flush=True)
sys.stdin.readline()
player.close()
print(recorder.stop().recorded)
"""


def test_a_child_after_fork_does_not_wait(
    make: Callable[..., SHM], spawn: Callable[..., Child], tmp_path: Path
) -> None:
    shm = make("cam", (SHAPE, np.uint16), ring=64)
    script = spawn(FORKED, tmp_path / "cam.npy")
    for what in ("recorder", "player"):
        assert f"this {what} goes on in process {script.pid}" in script.hear()
    script.expect("False 0 False None")
    script.expect("0 True True")
    shm.set_many(cycle()[:3])
    script.tell()
    status, out, _ = script.finish()
    assert (status, out) == (0, "3\n")
    assert load(tmp_path / "cam.npy").complete


INTERRUPTED = """
import sys
import pymilk
print("ready", flush=True)
try:
    pymilk.record("cam", sys.argv[1], frames=10**9)
except KeyboardInterrupt:
    print("interrupted", pymilk.load(sys.argv[1]).complete)
"""


def test_ctrl_c_finishes_the_file(
    make: Callable[..., SHM], spawn: Callable[..., Child], tmp_path: Path
) -> None:
    shm = make("cam", (SHAPE, np.uint16), ring=64)
    script = spawn(INTERRUPTED, tmp_path / "cam.npy")
    script.expect("ready")
    while not (tmp_path / "cam.npy").exists() or len(load(tmp_path / "cam.npy")) == 0:
        shm.set_data(cycle()[0])
    script.process.send_signal(2)
    status, out, err = script.finish()
    assert (status, out, err) == (0, "interrupted True\n", "")
