"""Frames that a recorder writes where they lie in the ring: whole, counted once, or copied after all."""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import FRAME_ROW, SHM, Recorder, load, record
from pymilk.native.bigendian import to_big_endian
from pymilk.recording.headers import first_time
from pymilk.recording.job import Job
from pymilk.recording.sinks import Sink, npy, sink_of
from support.recordings import EACH_FORMAT, images

#: Of images(): chunks of HDF5 and Zarr have this many frames here.
ROWS = 16


@pytest.fixture
def small_chunks(suffix: str, monkeypatch: pytest.MonkeyPatch) -> type[Sink]:
    """Make chunks and pieces of 16 frames of 5 x 7 uint16; returns the class of the format."""
    sink = sink_of(f"cam.{suffix}")
    module = importlib.import_module(sink.__module__)
    for name in ("WRITE_NBYTES", "_CHUNK_NBYTES"):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, ROWS * 70)
    return sink


def spied(sink: type[Sink], monkeypatch: pytest.MonkeyPatch, act: Callable[[Any, Any], None]) -> list[int]:
    """Call `act(sink, frames)` behind each write in place; returns how many frames each of them had."""
    seen: list[int] = []
    plain = sink.write

    def write(self: Any, frames: np.ndarray) -> None:
        plain(self, frames)
        seen.append(len(frames))
        act(self, frames)

    monkeypatch.setattr(sink, "write", write)
    return seen


@EACH_FORMAT
def test_frames_of_a_full_ring_are_written_from_there(
    suffix: str, small_chunks: type[Sink], cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = images(3 * ROWS + 5)
    cam.set_many(frames)
    seen = spied(small_chunks, monkeypatch, lambda sink, frames: None)
    record(cam, tmp_path / f"cam.{suffix}", frames=len(frames) + 1, start="oldest")
    assert seen[:3] == [ROWS] * 3
    with load(tmp_path / f"cam.{suffix}") as loaded:
        assert loaded.complete
        np.testing.assert_array_equal(np.asarray(loaded.frames)[1:], frames)
        assert loaded.info is not None
        assert loaded.info["cnt0"].tolist() == list(range(1, len(frames) + 2))
        assert set(loaded.info["flags"].tolist()) == {9}  # verified, from a ring


@EACH_FORMAT
def test_frames_that_are_overwritten_meanwhile_are_not_counted(
    suffix: str, small_chunks: type[Sink], make: Callable[..., SHM], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shm = make("cam", ((5, 7), np.uint16), ring=4 * ROWS)
    cycle = np.repeat(np.arange(1, 200, dtype=np.uint16), 35).reshape(-1, 5, 7)  # frame n + 1 is all n
    shm.set_many(cycle[:40])
    over = False

    def overtake(sink: Any, frames: np.ndarray) -> None:
        nonlocal over
        if not over:
            over = True
            shm.set_many(cycle[40:])  # more than a lap

    seen = spied(small_chunks, monkeypatch, overtake)
    report = record(shm, tmp_path / f"cam.{suffix}", frames=40, start="oldest")
    assert seen
    with load(tmp_path / f"cam.{suffix}") as loaded:
        info = loaded.info
        assert loaded.complete
        assert info is not None
        assert (np.asarray(loaded.frames) == (info["cnt0"] - 1)[:, None, None]).all()
        assert len(info) == 40
        assert info["cnt0"][0] > 40  # what was written first is gone
        assert report.torn == 0
        assert report.lost == info["lost"].sum() == info["cnt0"][0] - 1


@EACH_FORMAT
def test_nothing_stays_of_frames_that_did_not_count(
    suffix: str, small_chunks: type[Sink], tmp_path: Path
) -> None:
    """Written, and then forgotten: at the end, and before others take their place."""
    path = str(tmp_path / f"cam.{suffix}")
    frames = images(2 * ROWS)
    info = np.zeros(len(frames), FRAME_ROW)
    info["cnt0"] = info["arrival_ns"] = np.arange(1, len(frames) + 1)
    header: dict[str, Any] = dict.fromkeys(("frames", "lost", "tri_dim", "tai_offset"), 0)
    header |= {
        "stream": "cam", "first_ns": first_time(info), "dtype": "uint16",
        "shape": [5, 7], "stream_shape": [5, 7], "symcode": 4, "axes": "frames[k, y, x]",
        "squeeze": True, "clock": "", "pymilk": "1", "started_ns": 1,
        "ended": "complete", "part": None, "keywords": [], "complete": True,
    }  # fmt: skip
    sink = small_chunks(path, (5, 7), np.dtype(np.uint16), header)
    assert sink.in_place(10 * ROWS) == ROWS
    sink.write(frames[ROWS:])
    sink.room(3)[:] = frames[:3]
    sink.commit(info[:3])
    sink.room(ROWS - 3)[:] = frames[3:ROWS]
    sink.commit(info[3:ROWS])
    assert sink.in_place(ROWS) == ROWS
    sink.write(frames[ROWS:])
    sink.flush()
    assert sink.written == ROWS
    sink.finish({**header, "frames": ROWS})
    with load(path) as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames[:ROWS])
        assert loaded.complete
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if name.startswith(".")]


@EACH_FORMAT
def test_sink_that_fails_in_place_gets_copies(
    suffix: str, small_chunks: type[Sink], cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = images(2 * ROWS)
    cam.set_many(frames)

    def fail(sink: Any, frames: np.ndarray) -> None:
        raise OSError(errno.ENOSPC, "no room for so many")

    seen = spied(small_chunks, monkeypatch, fail)
    report = record(cam, tmp_path / f"cam.{suffix}", frames=len(frames) + 1, start="oldest")
    assert seen
    assert (report.recorded, report.unwritten, report.lost) == (len(frames) + 1, 0, 0)
    with load(tmp_path / f"cam.{suffix}") as loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames)[1:], frames)


def test_rows_that_find_no_room_are_no_file_that_was_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, content: Any, offset: int) -> None:
        os.pwrite(descriptor, bytes(10), offset)
        raise OSError(errno.ENOSPC, "no room for all rows")

    rows = npy.GrowingNpy(str(tmp_path / "rows.npy"), (), FRAME_ROW)
    rows.append(np.zeros(3, FRAME_ROW))
    with monkeypatch.context() as patch:
        patch.setattr(npy, "write_all", full)
        with pytest.raises(OSError, match="no room for all rows"):
            rows.append(np.zeros(3, FRAME_ROW))
    rows.verify()
    rows.append(np.zeros(2, FRAME_ROW))
    rows.close()
    assert len(np.load(tmp_path / "rows.npy")) == 5


def test_overtaken_recorder_copies_until_the_ring_is_half_empty(cam: SHM, tmp_path: Path) -> None:
    with Recorder(cam, tmp_path / "cam.npy", frames=1) as recorder:
        job: Job = next(iter(recorder._jobs.values()))
        job._overtaken = True
        job._watch_ring(0.9)
        assert job._overtaken
        job._watch_ring(0.4)
        assert not job._overtaken
        cam.set_data(images(1)[0])
        recorder.wait(60)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_numbers_are_turned_to_big_endian(kind: str) -> None:
    numbers = images(3, (11,), np.dtype(kind)).ravel()
    size = numbers.itemsize
    made = np.zeros(numbers.nbytes, np.uint8)
    to_big_endian(numbers.view(np.uint8), made, size, 0)
    assert made.tobytes() == numbers.astype(f">{kind}").tobytes()
    to_big_endian(numbers.view(np.uint8), made, size, 1 << 8 * size - 1)
    flipped = numbers.view(f"u{size}") ^ np.array(1 << 8 * size - 1, f"u{size}")
    assert made.tobytes() == flipped.astype(f">u{size}").tobytes()


@pytest.mark.parametrize(("nbytes", "room", "size"), [(8, 7, 1), (7, 7, 2), (6, 6, 3), (4, 4, 8), (8, 8, 0)])
def test_lengths_that_do_not_fit_are_refused(nbytes: int, room: int, size: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        to_big_endian(bytes(nbytes), bytearray(room), size, 0)
