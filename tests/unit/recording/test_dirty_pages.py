"""Frames do not pile up in the page cache if they are to get to the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Recorder
from pymilk.recording.sinks import sink_of
from support.dirty import dirty_nbytes, dirty_or_skip
from support.recordings import EACH_FORMAT, SINK_HEADER, sink_rows


@pytest.fixture
def tmp_path(disk_path: Path) -> Path:
    return disk_path


SHAPE = (512, 1024)
FRAME_NBYTES = 1 << 20
COUNT = 32


def write(path: Path, early: bool) -> int:
    """Write 32 MB; returns how many of them were dirty at most."""
    header = {**SINK_HEADER, "shape": list(SHAPE), "stream_shape": list(SHAPE)}
    sink = sink_of(str(path))(str(path), SHAPE, np.dtype(np.uint16), header)
    if early:
        sink.begin_early()
    frames = np.ones((8, *SHAPE), np.uint16)
    done = most = 0
    while done < COUNT:
        part = min(sink.in_place(8), COUNT - done)
        sink.write(frames[:part])
        sink.commit(sink_rows(done, done + part))
        done += part
        most = max(most, dirty_nbytes(path))
    sink.close()
    return most


@EACH_FORMAT
def test_dirty_pages_are_bounded(suffix: str, tmp_path: Path) -> None:
    """A piece or two at most, however long it goes on."""
    dirty_or_skip(tmp_path)
    assert write(tmp_path / f"cam.{suffix}", early=True) <= 8 * FRAME_NBYTES


@pytest.mark.parametrize("sync", ["end", None])
@EACH_FORMAT
def test_recorder_asks_for_it(
    suffix: str, sync: str | None, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = sink_of(f"cam.{suffix}")
    asked: list[int] = []
    begin = kind.begin_early
    monkeypatch.setattr(kind, "begin_early", lambda self: (asked.append(1), begin(self))[1])
    cam.set_many(np.ones((3, *cam.shape), np.uint16))
    Recorder(cam, tmp_path / f"cam.{suffix}", frames=3, start="oldest", sync=sync).start().wait(60)
    assert len(asked) == (sync is not None)
