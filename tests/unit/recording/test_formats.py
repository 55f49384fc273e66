"""Recordings: what was published comes back from each format, with every frame accounted for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pymilk
from pymilk import FRAME_ROW, SHM, Recorder, load
from pymilk.errors import StreamUnsupportedError
from pymilk.recording.sinks import sink_of
from support.recordings import EACH_FORMAT, images, recorded, stall_first_commit

TYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8", "c8", "c16"]


@EACH_FORMAT
@pytest.mark.parametrize("dtype", TYPES)
def test_round_trip_of_each_type(suffix: str, dtype: str, make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("cam", ((5, 7), np.dtype(dtype)), ring=64)
    frames = images(40, dtype=dtype)
    path = tmp_path / f"cam.{suffix}"
    if suffix == "fits" and dtype in ("c8", "c16"):
        with pytest.raises(StreamUnsupportedError, match=r"FITS has no pixels of complex.*\.real"):
            Recorder(shm, path, frames=1)
        assert list(tmp_path.iterdir()) == []
        return
    loaded, report = recorded(shm, path, frames)
    with loaded:
        assert loaded.frames.dtype == np.dtype(dtype)
        assert loaded.frames.dtype.isnative
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
        assert (report.recorded, report.lost, report.complete, loaded.complete) == (40, 0, True, True)


@EACH_FORMAT
def test_rows_come_back_bit_for_bit(suffix: str, cam: SHM, tmp_path: Path) -> None:
    frames = images(300)
    with cam.ring_reader() as ring, Recorder(cam, tmp_path / f"cam.{suffix}", frames=300) as recorder:
        cam.set_many(frames)
        recorder.wait(60)
        info = ring.read(300).info
    with load(tmp_path / f"cam.{suffix}") as loaded:
        assert loaded.info is not None
        assert loaded.info.dtype == FRAME_ROW
        for field in ("cnt0", "cnt1", "atime_ns", "writetime_ns", "lost", "flags"):
            np.testing.assert_array_equal(loaded.info[field], info[field])
        assert (loaded.info["arrival_ns"] > loaded.info["writetime_ns"]).all()


@EACH_FORMAT
def test_sink_keeps_any_row(suffix: str, tmp_path: Path) -> None:
    """Rows of all bits: the highest and lowest numbers that fields hold, and everything between."""
    path = str(tmp_path / f"any.{suffix}")
    random = np.random.default_rng(5)
    info = np.zeros(50, FRAME_ROW)
    for field in FRAME_ROW.names:
        kind = FRAME_ROW[field]
        limits = np.iinfo(kind)
        info[field] = random.integers(limits.min, limits.max, 50, kind, endpoint=True)
        info[field][:2] = limits.min, limits.max
    info["arrival_ns"][:2] = -1, 2**63 - 1  # 0 is no time of arrival
    header = {"pymilk": "0", "stream": "any", "dtype": "float32", "shape": [4], "stream_shape": [4]}
    header |= {"axes": "", "symcode": 4, "tri_dim": 0, "squeeze": False, "clock": "", "tai_offset": 0}
    header |= {"started_ns": 1, "first_ns": 1, "frames": 0, "lost": 0, "ended": "", "part": None}
    header |= {"keywords": [], "complete": False}
    sink = sink_of(path)(path, (4,), np.dtype(np.float32), header)
    for first in range(0, 50, 7):
        part = info[first : first + 7]
        sink.room(len(part))[:] = first
        sink.commit(part)
    sink.finish({**header, "complete": True})
    with load(path) as loaded:
        assert loaded.info is not None
        for field in FRAME_ROW.names:
            np.testing.assert_array_equal(loaded.info[field], info[field])
        np.testing.assert_array_equal(np.asarray(loaded.frames)[:, 0], np.arange(50) // 7 * 7)


@EACH_FORMAT
@pytest.mark.parametrize("symcode", [0, 1, 4, 6])
def test_frames_come_back_as_they_were_seen(
    suffix: str, symcode: int, make: Callable[..., SHM], tmp_path: Path
) -> None:
    shm = make("cam", ((5, 7), np.int16), ring=64, symcode=symcode)
    frames = images(10, dtype=np.int16)
    loaded, _ = recorded(shm, tmp_path / f"cam.{suffix}", frames)
    with loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
        assert loaded.header["symcode"] == symcode
        assert loaded.header["shape"] == [5, 7]
        indices = {0: "[k, x, y]", 1: "[k, -x, y]", 4: "[k, y, x]", 6: "[k, -y, x]"}[symcode]
        assert indices in loaded.header["axes"]


@EACH_FORMAT
@pytest.mark.parametrize("shape", [(9,), (3, 4, 5), (1, 6)])
@pytest.mark.parametrize("tri_dim", [0, 2])
def test_other_shapes(
    suffix: str, shape: tuple[int, ...], tri_dim: int, make: Callable[..., SHM], tmp_path: Path
) -> None:
    make("cam", (shape, np.uint32), ring=64, triDim=tri_dim)
    seen = make("cam", triDim=tri_dim)  # as attached: without axes of length 1
    frames = images(12, seen.shape, np.uint32)
    loaded, _ = recorded(seen, tmp_path / f"cam.{suffix}", frames)
    with loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)


def test_temporal_ring_is_recorded_as_frames(make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("cam", ((5, 7), np.uint16), ring=64, ring_kind="temporal")
    frames = images(30)
    loaded, report = recorded(shm, tmp_path / "cam.npy", frames)
    np.testing.assert_array_equal(loaded.frames, frames)
    assert report.streams["cam"].source == "temporal"


@EACH_FORMAT
def test_header(suffix: str, cam: SHM, tmp_path: Path) -> None:
    cam.set_keywords({"GAIN": (2.5, "as set"), "NAME": ("Jove", ""), "N": (7, "count")})
    loaded, _ = recorded(cam, tmp_path / f"cam.{suffix}", images(3))
    with loaded:
        header = loaded.header
        assert [list(each) for each in header["keywords"]] == [
            ["GAIN", 2.5, "as set"],
            ["NAME", "Jove", ""],
            ["N", 7, "count"],
        ]
        assert (header["stream"], header["dtype"], header["frames"]) == ("cam", "uint16", 3)
        assert "CLOCK_TAI" in header["clock"]
        assert (header["lost"], header["ended"], header["pymilk"]) == (0, "complete", pymilk.__version__)
        assert loaded.info is not None
        assert header["first_ns"] == loaded.info["atime_ns"][0]
        assert header["started_ns"] < header["first_ns"]
        assert "3 frames (5, 7) of uint16" in repr(loaded)


@EACH_FORMAT
def test_gaps_are_marked(suffix: str, make: Callable[..., SHM], tmp_path: Path) -> None:
    shm = make("cam", ((5, 7), np.uint16), ring=8)
    path = tmp_path / f"cam.{suffix}"
    recorder = Recorder(shm, path)
    stall, go = threading.Event(), threading.Event()
    stall_first_commit(recorder, stall, go)
    with recorder:
        shm.set_many(images(5))
        assert stall.wait(30)
        shm.set_many(images(40))  # the ring keeps the last 7
        go.set()
        report = recorder.stop()
    with load(path) as loaded:
        assert loaded.info is not None
        numbers = loaded.info["cnt0"].astype(int)
        missing = np.diff(numbers) - 1
        assert report.lost == missing.sum() > 0
        assert loaded.header["lost"] == report.lost
        rows = np.flatnonzero(missing) + 1
        assert loaded.gaps["row"].tolist() == rows.tolist()
        assert loaded.gaps["lost"].tolist() == missing[rows - 1].tolist()
        assert loaded.gaps["before"].tolist() == numbers[rows - 1].tolist()
        assert loaded.gaps["after"].tolist() == numbers[rows].tolist()


@EACH_FORMAT
def test_stalling_disk_costs_nothing_until_the_ring_is_full(
    suffix: str, cam: SHM, tmp_path: Path
) -> None:
    frames = images(4000)
    recorder = Recorder(cam, tmp_path / f"cam.{suffix}", frames=4000)
    stalled, go = threading.Event(), threading.Event()
    stall_first_commit(recorder, stalled, go)
    with recorder:
        cam.set_many(frames[:100])
        assert stalled.wait(30)
        cam.set_many(frames[100:])
        go.set()
        report = recorder.wait(60)
    assert (report.recorded, report.lost) == (4000, 0)
    assert report.streams["cam"].ring_peak > 0.9
    with load(tmp_path / f"cam.{suffix}") as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)
