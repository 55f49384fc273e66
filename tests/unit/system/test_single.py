"""Objects of which there is one: copies are refused in words, and the original goes on."""

from __future__ import annotations

import contextlib
import copy
import inspect
import os
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM
from pymilk.channels import AudioStream, CommandQueue, MessageLog, SharedState, Table, VideoStream
from pymilk.parameters import FPS, FPSManager, ProcessInfo
from pymilk.playback import open_footage
from pymilk.recording.frames import LazyFrames
from pymilk.simulate import SimulatedCamera
from pymilk.system.single import Single
from pymilk.view import Feed
from support.recordings import EACH_FORMAT, images, recorded

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda each: pickle.loads(pickle.dumps(each)),
}

each_copy = pytest.mark.parametrize("again", COPIES.values(), ids=COPIES)


def refused(again: Callable[[Any], Any], made: Any, words: str) -> None:
    name = type(made).__name__
    with pytest.raises(TypeError, match=f"^{name} objects cannot be copied or pickled: .*{words}"):
        again(made)


def subclasses(cls: type) -> Iterator[type]:
    for each in cls.__subclasses__():
        yield each
        yield from subclasses(each)


def test_each_class_says_what_to_do() -> None:
    ours = [each for each in subclasses(Single) if each.__module__.startswith("pymilk.")]
    told = [each for each in ours if not inspect.isabstract(each)]
    assert len(told) > 20
    for each in told:
        assert each.__mro__.index(Single) < each.__mro__.index(object)
        assert each._single != Single._single, each


RINGS: dict[Any, Callable[[], Any]] = {
    Table: lambda: Table.create("x", [("a", "i4")]),
    VideoStream: lambda: VideoStream.create("x", 4, 4),
    AudioStream: lambda: AudioStream.create("x", 4),
}


@each_copy
@pytest.mark.parametrize("kind", RINGS)
def test_channels_of_rings(shm_dir: object, kind: Any, again: Callable[[Any], Any]) -> None:
    with RINGS[kind]() as made, kind.attach("x") as reader:
        for each in (made, reader):
            refused(again, each, "pass the name, and attach it there")
        if kind is Table:
            made.append([(7,)])
            assert reader.read(1)["a"].tolist() == [7]
        assert not reader.closed


@each_copy
def test_logs_states_and_queues(shm_dir: object, again: Callable[[Any], Any]) -> None:
    state = SharedState.create("s", {"a": 1})
    with MessageLog.create("l") as log, state, CommandQueue.create("q") as queue:
        for each in (log, state, queue):
            refused(again, each, "pass the name, and attach it there")
        ticket = queue.send("act")
        refused(again, ticket, "wait for the reply")
        command = queue.take(1)
        refused(again, command, "pass its data")
        assert command.reply("done")
        assert ticket.wait(1).data == "done"


@each_copy
def test_parameters_and_processes(shm_dir: object, again: Callable[[Any], Any]) -> None:
    fps = FPS.create("loop", directories=False)
    with fps, ProcessInfo.create("loop") as process, FPSManager() as manager:
        fps.add_param("gain", "FLOAT32", 0.5)
        with fps.watch("gain", timeout=1) as watch, fps.running(conf=False, run=False) as running:
            for each in (process, manager, watch, running):
                refused(again, each, "")
            fps["gain"] = 0.25
            assert next(watch).value == 0.25
        assert process.state == "running"
        assert manager["loop"]["gain"] == 0.25
        assert again(fps)["gain"] == 0.25  # attached again


@each_copy
def test_work(make: Callable[..., SHM], tmp_path: Any, again: Callable[[Any], Any]) -> None:
    cam = make("cam", ((4, 6), np.uint16), ring=16)
    recorder = pymilk.Recorder("cam", tmp_path / "cam.npy", frames=2)
    player = pymilk.Player(np.zeros((2, 4, 6)), "played", rate=100, loop=True)
    with recorder, player, Feed("cam") as feed, cam.ring_reader(4) as ring:
        for each in (recorder, player, feed):
            refused(again, each, "make another one")
        cam.set_many(np.zeros((2, 4, 6), np.uint16))
        block = next(ring.blocks(1))
        refused(again, block, "numpy.array copies them")
        assert recorder.wait(10).recorded == 2
        assert player.running
        assert feed.take().shape == (4, 6)
    refused(again, SimulatedCamera("sim"), "make another one")


@EACH_FORMAT
@each_copy
def test_recordings(
    make: Callable[..., SHM], tmp_path: Any, suffix: str, again: Callable[[Any], Any]
) -> None:
    path = tmp_path / f"cam.{suffix}"
    loaded, _ = recorded(make("cam", ((5, 7), np.uint16), ring=64), path, images(5))
    with loaded, contextlib.closing(open_footage(path)) as footage:
        refused(again, loaded, "pymilk.load")
        refused(again, footage, "open_footage")
        if isinstance(loaded.frames, LazyFrames):
            refused(again, loaded.frames, "numpy.array")
        np.testing.assert_array_equal(loaded.frames[2], images(5)[2])
        assert len(next(footage.pieces(3))[0]) == 3


def test_servers(shm_dir: object) -> None:
    for library in ("starlette", "uvicorn", "websockets"):
        pytest.importorskip(library)
    with pymilk.web.WebServer(pymilk.web.Settings(port=0)) as server:
        for again in COPIES.values():
            refused(again, server, "make another one")
        assert server.running


def test_nothing_is_left_of_a_refused_copy(make: Callable[..., SHM]) -> None:
    make("cam", ((4, 6), np.uint16))
    with Feed("cam") as feed:
        before = len(os.listdir("/proc/self/fd"))
        for again in COPIES.values():
            refused(again, feed, "make another one")
        assert len(os.listdir("/proc/self/fd")) == before
