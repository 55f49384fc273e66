"""Events of 5 bytes, and float16: recorded, loaded and played, or refused before a file is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Recorder
from pymilk.errors import StreamArgumentError, StreamUnsupportedError
from pymilk.native.formats import EVENT
from pymilk.recording.details import recording_details
from pymilk.view.dark import load_dark
from support.recordings import recorded


def events(count: int = 6) -> np.ndarray:
    frames = np.zeros((count, 5, 7), EVENT)
    for at, name in enumerate(EVENT.names or ()):
        frames[name] = np.arange(frames.size).reshape(frames.shape) + at
    return frames


@pytest.fixture
def camera(make: Callable[..., SHM]) -> SHM:
    return make("events", ((5, 7), EVENT), ring=64)


@pytest.mark.parametrize(
    ("suffix", "compress"), [("npy", False), ("h5", False), ("h5", True), ("h5", "fast"), ("h5", "small")]
)
def test_events_come_back(suffix: str, compress: bool | str, camera: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"events.{suffix}"
    loaded, report = recorded(camera, path, events(), compress=compress)
    with loaded:
        assert (report.recorded, loaded.complete, loaded.dtype) == (6, True, EVENT)
        assert (np.asarray(loaded.frames) == events()).all()
        assert loaded.header["dtype"] == "u1,u1,u2,u1"
    assert recording_details(path)["dtype"] == "u1,u1,u2,u1"
    with pytest.raises(StreamArgumentError, match="no dark frame: it holds events"):
        load_dark(str(path))


@pytest.mark.parametrize("suffix", ["fits", "zarr"])
def test_formats_of_plain_numbers_refuse_events(suffix: str, camera: SHM, tmp_path: Path) -> None:
    camera.set_data(events()[0])
    with camera.ring_reader(start="oldest") as ring:
        capture = ring.read(1)
    for refused in (
        lambda path: Recorder(camera, path, frames=1),
        lambda path: pymilk.save(capture, path),
    ):
        with pytest.raises(StreamUnsupportedError, match="has no pixels of u1,u1,u2,u1"):
            refused(tmp_path / f"events.{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", ["array", "file"])
def test_events_are_played(given: str, shm_dir: Path, tmp_path: Path) -> None:
    source: object = events(3)
    if given == "file":
        source = tmp_path / "plain.npy"
        np.save(source, events(3))
    with pymilk.Player(source, "played", rate=0, ring=8) as player:
        assert player.wait(60).ended == "complete"
    with SHM("played") as played, played.ring_reader(start="oldest") as ring:
        assert (ring.read(3).frames == events(3)).all()


@pytest.mark.parametrize("suffix", ["npy", "h5", "zarr"])
def test_float16_comes_back(suffix: str, make: Callable[..., SHM], tmp_path: Path) -> None:
    frames = np.arange(4 * 35, dtype=np.float16).reshape(4, 5, 7) / 8
    loaded, _ = recorded(make("half", ((5, 7), np.float16), ring=64), tmp_path / f"half.{suffix}", frames)
    with loaded:
        assert (loaded.dtype, loaded.complete) == (np.float16, True)
        assert (np.asarray(loaded.frames) == frames).all()
