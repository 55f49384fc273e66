"""Chunks of Zarr after a power failure, at each moment that something reaches the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, load
from pymilk.errors import OutputChangedError, StreamFormatError
from pymilk.recording.sinks import sink_of, zarr
from pymilk.system.durable import DirectFile, sync_files
from support.disks import FailingDisk, direct_or_skip
from support.recordings import SINK_HEADER, format_parameters, images, recorded, sink_rows

FRAMES = images(18)
SHAPE = FRAMES.shape[1:]

EACH_KIND = pytest.mark.parametrize("kind", format_parameters("zarr", "zarr+fast"))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingDisk]:
    with FailingDisk(tmp_path / "disk", monkeypatch) as made:
        yield made


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of seven frames."""
    monkeypatch.setattr(zarr, "_CHUNK_NBYTES", 7 * FRAMES[0].nbytes)


def sink_at(path: Path, kind: str = "zarr") -> Any:
    compress: Any = kind.partition("+")[2] or False
    return sink_of(str(path))(str(path), SHAPE, FRAMES.dtype, SINK_HEADER, compress=compress)


def counted(path: Path) -> int:
    """Return how many rows the metadata count; never more than frames."""
    shapes = [json.loads((path / name / "zarr.json").read_text())["shape"] for name in ("frames", "info")]
    assert shapes[1][0] <= shapes[0][0]
    return int(shapes[1][0])


def fill(sink: Any, counts: list[int], synced: Callable[[int], None] = lambda count: None) -> int:
    """Add frames in pieces, from the ring where the sink takes them; `flush` and `sync` after each piece."""
    done = 0
    for count in counts:
        last = done + count
        while done < last:
            part = sink.in_place(last - done)
            if part:
                sink.write(FRAMES[done : done + part].copy())
            else:
                room = sink.room(last - done)
                part = len(room)
                room[:] = FRAMES[done : done + part]
            sink.commit(sink_rows(done, done + part))
            done += part
        sink.flush()
        sink.sync()
        synced(done)
    return done


@EACH_KIND
def test_what_counts_is_whole_whenever_the_power_fails(kind: str, disk: FailingDisk) -> None:
    """New names without content, contents without names, metadata alone: of all that no sync waited for."""
    path = disk.folder / "cam.zarr"
    sink = sink_at(path, kind)
    sink.hold()
    sync_files([str(path)])
    promised = 0

    def check(done: int | None = None) -> None:
        nonlocal promised
        promised = promised if done is None else done
        for left in disk.left():
            with load(left / "cam.zarr") as found:
                assert found.info is not None
                assert promised <= len(found) == len(found.info) == counted(left / "cam.zarr")
                assert (
                    found.complete
                    == json.loads((left / "cam.zarr/zarr.json").read_text())["attributes"]["complete"]
                )
                np.testing.assert_array_equal(np.asarray(found.frames), FRAMES[: len(found)])
                assert found.info["cnt0"].tolist() == list(range(1, len(found) + 1))

    disk.before = check
    done = fill(sink, [3, 2, 9, 4], check)
    sink.finish({**SINK_HEADER, "frames": done, "ended": "complete", "complete": True})
    check()
    sync_files([str(path)])
    for left in disk.left():
        with load(left / "cam.zarr") as found:
            assert found.complete
            np.testing.assert_array_equal(np.asarray(found.frames), FRAMES)
    assert disk.failures > 60


def test_model_of_the_disk_finds_a_wrong_order(disk: FailingDisk) -> None:
    """Metadata that count chunks of which no sync knows are seen."""
    path = disk.folder / "cam.zarr"
    sink = sink_at(path)
    sync_files([str(path)])
    room = sink.room(7)
    room[:] = FRAMES[:7]
    sink.commit(sink_rows(0, 7))
    sink.flush()  # it was not asked to hold anything

    def whole(left: Path) -> bool:
        try:
            found = load(left / "cam.zarr")
        except StreamFormatError:
            return False
        with found:
            right = np.array_equal(np.asarray(found.frames), FRAMES[: len(found)])
            return right and len(found) == counted(left / "cam.zarr")

    assert not all(map(whole, disk.left()))
    sink.close()


@EACH_KIND
def test_held_frames_count_in_a_group_that_is_closed(kind: str, tmp_path: Path) -> None:
    sink = sink_at(tmp_path / "cam.zarr", kind)
    sink.hold()
    sink.room(4)[:] = FRAMES[:4]
    sink.commit(sink_rows(0, 4))
    sink.flush()
    with load(tmp_path / "cam.zarr") as found:
        assert len(found) == 0
    assert sink.written == 4
    sink.close()
    with load(tmp_path / "cam.zarr") as found:
        np.testing.assert_array_equal(np.asarray(found.frames), FRAMES[:4])


def test_group_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    sink = sink_at(tmp_path / "cam.zarr")
    sink.hold()
    sink.room(4)[:] = FRAMES[:4]
    sink.commit(sink_rows(0, 4))
    sink.flush()
    os.rename(tmp_path / "cam.zarr", tmp_path / "moved.zarr")
    with pytest.raises(OutputChangedError):
        sink.sync()
    sink.close()
    assert sorted(os.listdir(tmp_path)) == ["moved.zarr"]


@EACH_KIND
def test_direct_writes_give_the_same_chunks(kind: str, tmp_path: Path) -> None:
    direct_or_skip(tmp_path)
    made = []
    for direct in (False, True):
        path = tmp_path / f"cam{direct:d}.zarr"
        sink = sink_at(path, kind)
        if direct:
            assert sink.begin_direct()
        fill(sink, [3, 11, 4])
        sink.finish(SINK_HEADER)
        assert not [name for name in os.listdir(path / "frames") if name.startswith(".")]
        made.append({each.name: each.read_bytes() for each in (path / "frames").iterdir()})
        with load(path) as found:
            np.testing.assert_array_equal(np.asarray(found.frames), FRAMES)
    assert made[0] == made[1]


def test_chunks_go_past_the_page_cache(cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    direct_or_skip(tmp_path)
    nbytes: list[int] = []
    plain = DirectFile.write
    monkeypatch.setattr(
        DirectFile, "write", lambda self, part, at: (nbytes.append(len(part)), plain(self, part, at))[1]
    )
    loaded, report = recorded(cam, tmp_path / "cam.zarr", FRAMES, direct=True)
    with loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), FRAMES)
    assert not report.streams["cam"].cached
    assert sum(nbytes) >= FRAMES.nbytes


def test_file_system_without_direct_writes_is_said_for_zarr(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DirectFile, "open", classmethod(lambda cls, descriptor: None))
    loaded, report = recorded(cam, tmp_path / "cam.zarr", FRAMES, direct=True)
    with loaded:
        np.testing.assert_array_equal(np.asarray(loaded.frames), FRAMES)
    assert report.streams["cam"].cached
    assert sorted(os.listdir(tmp_path / "cam.zarr" / "frames"))[0] == "c.0.0.0"
