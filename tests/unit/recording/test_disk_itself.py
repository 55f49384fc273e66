"""Frames that are on the disk itself: in order, once a second, past the page cache."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import FRAME_ROW, SHM, load, record
from pymilk.errors import StreamArgumentError, StreamStorageError
from pymilk.recording.job import Job
from pymilk.recording.sinks import Sink, fits_packed, npy, sink_of
from pymilk.system import durable
from pymilk.system.durable import DirectFile, sync_files
from support.disks import direct_or_skip
from support.recordings import (
    EACH_CUBE,
    EACH_FORMAT,
    EACH_HELD,
    SINK_HEADER,
    format_parameters,
    images,
    recorded,
    sink_rows,
)


@pytest.fixture
def tmp_path(disk_path: Path) -> Path:
    return disk_path


FRAMES = images(40)


def begin_of_fits(content: bytes) -> int:
    """Return where the frames of a FITS file begin, or the table that says where they are."""
    at = 0
    while not at or content[at : at + 8] == b"XTENSION":
        at = -(-(content.index(b"END".ljust(80), at) + 80) // 2880) * 2880
    return at


class Disk:
    """What files have on the disk: the content of each at its last sync.

    Of what was written since, a power failure may leave anything: here the headers.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._contents: dict[int, bytes] = {}  # of an inode
        self._open: list[Any] = []  # so that no number is used again
        self._folder = folder
        self.failures = 0
        self.before: Callable[[], None] = lambda: None  # each sync
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._sync)

    def _sync(self, descriptor: int) -> None:
        self.before()
        path = Path(f"/proc/self/fd/{descriptor}")
        if path.is_file():
            self._contents[path.stat().st_ino] = path.read_bytes()
            self._open.append(path.open())

    def fail(self) -> Path:
        """Make the files that a power failure leaves now; returns their folder."""
        self.failures += 1
        folder = self._folder / f"left{self.failures}"
        folder.mkdir()
        for path in filter(Path.is_file, self._folder.iterdir()):
            old, new = self._contents.get(path.stat().st_ino, b""), path.read_bytes()
            if path.suffix == ".json":  # these are made anew, and renamed
                new = old
            head = 10 + int.from_bytes(new[8:10], "little")
            if path.suffix == ".fits":
                head = begin_of_fits(new)
            (folder / path.name).write_bytes(new[:head] + old[head:].ljust(len(new) - head, b"\0"))
        return folder

    def close(self) -> None:
        while self._open:
            self._open.pop().close()


@pytest.mark.parametrize("how", format_parameters("npy", "fits", "fits+fast"))
def test_frames_count_once_they_are_on_the_disk(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix, _, word = how.partition("+")
    monkeypatch.setattr(npy, "_PIECE_NBYTES", 4096)  # to be reserved
    monkeypatch.setattr(fits_packed, "_ROWS", 1 << 10)  # to be set aside
    disk = Disk(monkeypatch, tmp_path)
    kind = sink_of(f"cam.{suffix}", word)
    path = str(tmp_path / f"cam.{suffix}")
    sink = kind(path, (5, 7), np.dtype(np.uint16), SINK_HEADER)
    sink.hold()
    sync_files(kind.files(path))

    def left() -> int:
        folder = disk.fail()
        with load(folder / f"cam.{suffix}") as found:
            assert found.info is not None
            if suffix == "npy":  # no frame without a row
                assert len(np.load(folder / "cam.npy", mmap_mode="r")) == len(found)
            np.testing.assert_array_equal(np.asarray(found.frames), FRAMES[: len(found)])
            assert found.info["cnt0"].tolist() == list(range(1, len(found) + 1))
            return len(found)

    disk.before = left  # type: ignore[assignment]
    for first in range(0, 40, 8):
        sink.write(FRAMES[first : first + 4])
        sink.commit(sink_rows(first, first + 4))
        sink.room(4)[:] = FRAMES[first + 4 : first + 8]
        sink.commit(sink_rows(first + 4, first + 8))
        assert left() == first
        sink.flush()
        sink.sync()
        assert left() == first + 8
    if word:  # of rows of the table that change before the header does
        sink._close_gap()
        assert left() == 40
    sink.finish({**SINK_HEADER, "frames": 40, "ended": "complete", "complete": True})
    assert left() == 40
    disk.before = lambda: None
    disk.close()
    with load(path) as found:
        np.testing.assert_array_equal(np.asarray(found.frames), FRAMES)
    assert disk.failures > 20


@EACH_CUBE
def test_frames_that_were_held_count_in_a_file_that_is_closed(suffix: str, tmp_path: Path) -> None:
    path = str(tmp_path / f"cam.{suffix}")
    sink = sink_of(path)(path, (5, 7), np.dtype(np.uint16), SINK_HEADER)
    sink.hold()
    sink.room(4)[:] = FRAMES[:4]
    sink.commit(sink_rows(0, 4))
    with load(path) as found:
        assert len(found) == 0
    sink.close()
    with load(path) as found:
        np.testing.assert_array_equal(np.asarray(found.frames), FRAMES[:4])


@pytest.mark.parametrize("how", ["end", "second"])
@EACH_FORMAT
def test_finished_file_is_on_the_disk(
    suffix: str, how: str, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "second" and suffix == "h5":
        with pytest.raises(StreamArgumentError, match="sync='end'"):
            record(cam, tmp_path / f"cam.{suffix}", frames=1, sync=how)
        assert not os.listdir(tmp_path)
        return
    synced: dict[str, bytes | None] = {}

    def noted(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        synced[path] = Path(path).read_bytes() if os.path.isfile(path) else None

    monkeypatch.setattr(os, "fsync", noted)
    loaded, report = recorded(cam, tmp_path / f"cam.{suffix}", FRAMES, sync=how)
    loaded.close()
    assert report.complete
    for folder, _, names in os.walk(tmp_path):
        assert folder in synced
        for name in names:
            path = Path(folder, name)
            assert synced[str(path)] == path.read_bytes()


def test_each_file_of_a_series_is_on_the_disk(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr("pymilk.recording.job.sync_files", lambda paths: synced.extend(paths))
    cam.set_many(FRAMES[:6])
    record(cam, tmp_path / "cam.npy", frames=6, start="oldest", max_frames_per_file=2, sync="end")
    assert [os.path.basename(each) for each in synced[::6]] == [f"cam_00000{k}.npy" for k in range(3)]


def test_disk_that_fails_at_the_sync_is_an_error(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(paths: Any) -> None:
        raise OSError(errno.ENOSPC, "no room on the disk after all")

    monkeypatch.setattr("pymilk.recording.job.sync_files", fail)
    cam.set_many(FRAMES)
    with pytest.raises(StreamStorageError):
        record(cam, tmp_path / "cam.npy", frames=5, start="oldest", sync="end")
    with load(tmp_path / "cam.npy") as found:
        assert not found.complete
        assert found.header["ended"] == "error"


def test_unknown_way_is_refused(cam: SHM, tmp_path: Path) -> None:
    with pytest.raises(StreamArgumentError, match="'end', 'second'"):
        record(cam, tmp_path / "cam.npy", frames=1, sync="minute")
    pytest.importorskip("h5py")
    with pytest.raises(StreamArgumentError, match="page cache"):
        record(cam, tmp_path / "cam.h5", frames=1, direct=True)


@pytest.mark.parametrize("shape", [(5, 7), (60, 70)])
@EACH_CUBE
def test_direct_writes_give_the_same_file(
    suffix: str, shape: tuple[int, int], make: Callable[..., SHM], tmp_path: Path
) -> None:
    """Frames that lie across blocks, from the ring and as copies; those that do not count are overwritten."""
    direct_or_skip(tmp_path)
    shm = make("cam", (shape, np.uint16), ring=64)
    frames = images(40, shape)
    kind = sink_of(f"cam.{suffix}")
    made = []
    for direct in (False, True):
        path = str(tmp_path / f"cam{direct:d}.{suffix}")
        described = {**SINK_HEADER, "shape": list(shape), "stream_shape": list(shape)}
        sink: Sink = kind(path, shape, np.dtype(np.uint16), described)
        if direct:
            assert sink.begin_direct()
        for first in range(0, 40, 8):
            sink.write(frames[::-1][:6].copy())  # does not count
            sink.write(frames[first : first + 5])
            sink.commit(sink_rows(first, first + 5))
            sink.room(3)[:] = frames[first + 5 : first + 8]
            sink.commit(sink_rows(first + 5, first + 8))
            with load(path) as found:
                np.testing.assert_array_equal(np.asarray(found.frames), frames[: first + 8])
        sink.finish(described)
        made.append(Path(path).read_bytes())
    assert made[0] == made[1]
    loaded, report = recorded(shm, tmp_path / f"whole.{suffix}", frames, direct=True)
    assert not report.streams["cam"].cached
    with loaded:
        assert loaded.complete
        np.testing.assert_array_equal(np.asarray(loaded.frames), frames)


@EACH_CUBE
def test_file_system_without_direct_writes_is_said(
    suffix: str, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any, descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(DirectFile, "__init__", refuse)
    loaded, report = recorded(cam, tmp_path / f"cam.{suffix}", FRAMES, direct=True)
    with loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), FRAMES)
    assert report.streams["cam"].cached
    assert "this file system writes through the page cache only" in str(report)


def test_direct_writes_reach_any_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    direct_or_skip(tmp_path)
    monkeypatch.setattr(durable, "_PIECE_NBYTES", 16384)
    random = np.random.default_rng(7)
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    file = DirectFile(descriptor)
    expected = b""
    for nbytes in (0, 1, 100, 4095, 4096, 4097, 50_000, 3):
        content = random.bytes(nbytes)
        file.write(content, len(expected))
        expected += content
        os.pwrite(descriptor, b"head", 0)  # through the page cache
        expected = (b"head" + expected[4:])[: max(4, len(expected))]
        assert os.pread(descriptor, len(expected), 0) == expected
    file.close()
    os.close(descriptor)


def test_full_disk_ends_direct_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    direct_or_skip(tmp_path)
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    file = DirectFile(descriptor)
    monkeypatch.setattr(os, "pwrite", lambda *args: 512)
    with pytest.raises(OSError, match="No space left"):
        file.write(bytes(8192), 0)
    file.close()
    os.close(descriptor)


@EACH_HELD
def test_recorder_syncs_once_a_second(
    suffix: str, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"cam.{suffix}"
    kind = sink_of(path.name)
    calls: list[int] = []
    synced: list[str] = []

    def noted(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    def sync(self: Sink, plain: Callable[[Sink], None] = kind.sync) -> None:
        calls.append(self.written)
        synced.clear()
        plain(self)
        if calls.count(self.written) == 1:  # the last call has nothing new
            assert all(name.startswith(str(tmp_path)) for name in synced)
            assert len(synced) >= 2
            with load(path) as found:
                assert len(found) == self.written

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "fdatasync", noted)
    monkeypatch.setattr(kind, "sync", sync)
    monkeypatch.setattr(kind, "flush_seconds", 0.0)
    monkeypatch.setattr("pymilk.recording.job._BATCH_NBYTES", 70)
    monkeypatch.setattr(Job, "_write_in_place", lambda *args: np.zeros(0, FRAME_ROW))
    cam.set_many(FRAMES[:5])
    record(cam, path, frames=5, start="oldest", sync="second")
    assert calls[:6] == [1, 2, 3, 4, 5, 5]
