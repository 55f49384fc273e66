"""Recorders and players that nobody started say so, and let go of what they hold."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM, Player, Recorder, record
from pymilk.errors import NotStartedError, StreamArgumentError, StreamError


def test_recorder(cam: SHM, tmp_path: Path) -> None:
    recorder = Recorder("cam", tmp_path / "cam.npy")
    for end in (recorder.wait, lambda: recorder.wait(0.001), recorder.stop, recorder.stop, recorder.wait):
        with pytest.raises(NotStartedError, match=r"recorder of cam was never started.*start\(\)") as caught:
            end()
        assert isinstance(caught.value, RuntimeError)
        assert caught.value.stream == "cam"
    with pytest.raises(StreamArgumentError, match="starts once"):
        recorder.start()
    assert list(tmp_path.iterdir()) == []
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_recorder_that_is_waited_for_can_still_be_started(cam: SHM, tmp_path: Path) -> None:
    recorder = Recorder("cam", tmp_path / "cam.npy", frames=2)
    with pytest.raises(NotStartedError):
        recorder.wait()
    with recorder:
        cam.set_many(np.zeros((2, *cam.shape), cam.nptype))
    assert recorder.report.recorded == recorder.stop().recorded == 2


def test_recorder_that_could_not_start_ends_quietly(cam: SHM, tmp_path: Path) -> None:
    recorder = Recorder("cam", tmp_path / "cam.npy")
    (tmp_path / "cam.npy").touch()
    with pytest.raises(StreamError):
        recorder.start()
    assert recorder.stop().recorded == 0  # as in `finally`


def test_record_hands_on_what_came_before_its_start(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(recorder: Recorder) -> Recorder:
        raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        record("cam", tmp_path / "cam.npy", frames=1)


def test_player(shm_dir: Path) -> None:
    player = Player(np.zeros((3, 2, 2), np.uint8), "replay", rate=0)
    for timeout in (None, 0.001):
        with pytest.raises(NotStartedError, match=r"player .* was never started") as caught:
            player.wait(timeout)
        assert caught.value.stream == "replay"
    player.stop()
    assert player.wait().ended == "stopped"
    with pytest.raises(StreamArgumentError, match="starts once"):
        player.start()
    unused = Player(np.zeros((3, 2, 2), np.uint8), "unused", rate=0, remove=True)
    unused.close()
    assert [path.name for path in shm_dir.iterdir()] == ["replay.im.shm"]
