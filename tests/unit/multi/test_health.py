"""What a watcher of streams says of each state."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pymilk._core import Stream
from pymilk.errors import StreamArgumentError
from pymilk.multi import Limits, Watcher, health


def states(watcher: Watcher) -> dict[str, str]:
    return {each.stream: each.state for each in watcher.look()}


def test_each_stream_is_told_once_and_when_it_changes(make_stream, shm_dir: Path) -> None:
    stream = make_stream("cam", (2, 2), "u2")
    with Watcher() as watcher:
        assert states(watcher) == {"cam": "ok"}
        assert states(watcher) == {}
        make_stream("other", (2, 2), "u2")
        assert states(watcher) == {"other": "ok"}
        stream.destroy()
        assert states(watcher) == {"cam": "gone"}
        make_stream("cam", (2, 2), "u2")
        assert states(watcher) == {"cam": "ok"}
        (shm_dir / "bad.im.shm").write_bytes(b"x" * 1000)
        assert states(watcher) == {"bad": "unusable"}


def test_names_have_to_be_there_and_patterns_not(make_stream) -> None:
    make_stream("wfs1", (2, 2), "u2")
    make_stream("dm", (2, 2), "u2")
    with Watcher(["wfs*", "guider*", "psf"]) as watcher:
        assert states(watcher) == {"wfs1": "ok", "psf": "gone"}


def test_frame_that_is_never_finished(make_stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_STUCK", 0.0)
    stream = make_stream("cam", (2, 2), "u2")
    stream.publish(np.zeros((2, 2), "u2"))
    with Watcher() as watcher, stream.claim():
        assert states(watcher) == {"cam": "stuck"}


def test_lost_and_torn_frames(make_stream) -> None:
    stream = make_stream("cam", (2, 2), "u2", cb_size=8)
    frames = np.zeros((20, 2, 2), "u2")
    with Watcher(limits=Limits(max_lost=5)) as watcher:
        assert states(watcher) == {"cam": "ok"}  # from now on it is read
        stream.publish_many(frames[:5])
        assert states(watcher) == {}
        assert watcher.streams[0]["lost"] == 0
        stream.publish_many(frames)
        assert states(watcher) == {"cam": "losing"}
        assert watcher.streams[0]["lost"] == 13
        with stream.claim(missed=6):
            pass
        watcher.look()
        assert watcher.streams[0]["lost"] == 6


def test_file_system(make_stream, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 50
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: SimpleNamespace(free=free, total=100))
    with Watcher(limits=Limits(max_full=80)) as watcher:
        assert states(watcher) == {}
        free = 10
        assert states(watcher) == {"": "full"}
        assert str(watcher.states[""]).endswith("Z file system: full, 90 % of 0 MB")
        free = 50
        assert states(watcher) == {"": "ok"}


@pytest.mark.parametrize("given", [{"min_rate": -1}, {"max_age": "a"}, {"max_lost": -1}, {"max_full": 101}])
def test_limits_that_are_none(given: dict) -> None:
    with pytest.raises(StreamArgumentError, match=next(iter(given))):
        Limits(**given)


def test_stream_without_frames_is_stalled(make_stream) -> None:
    make_stream("cam", (2, 2), "u2")
    with Watcher(limits=Limits(max_age=5)) as watcher:
        assert states(watcher) == {"cam": "stalled"}
        with Stream.attach("cam") as stream:
            stream.publish(np.zeros((2, 2), "u2"))
        assert states(watcher) == {"cam": "ok"}
