"""Processes without file descriptors: errors of pymilk that name the reason, and nothing done by halves."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Recorder, load, web
from pymilk._core import Stream
from pymilk.channels import CommandQueue, MessageLog, SharedState, Table, VideoStream
from pymilk.errors import ChannelArgumentError, ProcessInfoStorageError, StreamError, StreamStorageError
from pymilk.fits import multi_read, multi_write
from pymilk.inspection import remove_stream, survey
from pymilk.inspection.doctor import examine
from pymilk.inspection.users import processes_using
from pymilk.parameters import FPS, ProcessInfo, list_processes
from pymilk.parameters.manager import list_fps
from pymilk.playback import open_footage
from pymilk.recording.details import recording_details
from pymilk.streams.directory import find_stale, list_streams, remove_stale
from pymilk.system.causes import cause_of, ended_resources
from pymilk.system.files import file_error
from support.descriptors import descriptors_left
from support.recordings import EACH_FORMAT, images, recorded

for library in ("astropy", "h5py", "zarr"):
    pytest.importorskip(library)


@pytest.fixture
def cam(make: Callable[..., SHM]) -> SHM:
    return make("cam", ((5, 7), np.uint16), ring=64)


CALLS: dict[str, Callable[[str, Path], Any]] = {
    "survey": lambda name, _: survey(),
    "list_streams": lambda name, _: list_streams(),
    "find_stale": lambda name, _: find_stale(),
    "remove_stale": lambda name, _: remove_stale(),
    "examine": lambda name, _: examine(),
    "attach": lambda name, _: Stream.attach(name).close(),
    "SHM": lambda name, _: SHM(name).close(),
    "create": lambda name, _: Stream.create(f"new_{name}", (3, 3), np.uint8).close(),
    "replace": lambda name, _: Stream.create(name, (5, 7), np.uint16).close(),
    "remove": lambda name, _: remove_stream(name),
    "multi_read": lambda name, folder: multi_read(folder / "image.fits"),
    "packed": lambda name, folder: multi_read(folder / "image.fits.gz"),
    "multi_write": lambda name, folder: multi_write(folder / "new.fits", np.zeros((3, 3))),
    "processes": lambda name, _: list_processes(),
    "list_fps": lambda name, _: list_fps(),
    "fps": lambda name, _: FPS(name),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("left", [0, 1])
def test_no_descriptors(name: str, left: int, make_stream: Callable[..., Stream], tmp_path: Path) -> None:
    multi_write(tmp_path / "image.fits", np.zeros((3, 3)))
    multi_write(tmp_path / "image.fits.gz", np.zeros((3, 3)))
    cam, _ = (make_stream(each, (5, 7), np.uint16) for each in ("cam", "other"))
    with contextlib.suppress(StreamError):
        CALLS[name]("other", tmp_path)  # imports what it needs
    cam.publish(np.full((5, 7), 3, np.uint16))
    before = os.stat(cam.path).st_ino
    try:
        with descriptors_left(left):
            CALLS[name]("cam", tmp_path)
    except StreamError as error:
        assert left or "no file descriptors left" in str(error), error
        assert os.stat(cam.path).st_ino == before  # nothing was replaced or deleted
    else:
        assert left, "it did without"


#: What makes a file.
MAKERS: dict[str, Callable[[str], Any]] = {
    "log": MessageLog.create,
    "queue": CommandQueue.create,
    "state": SharedState.create,
    "table": lambda name: Table.create(name, [("a", "f8")]),
    "video": lambda name: VideoStream.create(name, 8, 8),
    "fps": lambda name: FPS.create(name, directories=False),
    "process": ProcessInfo.create,
}


@pytest.mark.parametrize("left", range(4))
@pytest.mark.parametrize("kind", MAKERS)
def test_nothing_is_left_of_what_cannot_be_made(kind: str, left: int, shm_dir: Path) -> None:
    MAKERS[kind]("first").close()  # imports what it needs
    before = sorted(os.listdir(shm_dir))
    with contextlib.ExitStack() as stack:
        try:
            with descriptors_left(left):
                stack.callback(MAKERS[kind]("new").close)
        except StreamError as error:
            assert isinstance(error, OSError)
            assert "no file descriptors left" in str(error)
            assert sorted(os.listdir(shm_dir)) == before
        else:
            assert left, "it did without"


@pytest.mark.parametrize("left", range(3))
def test_a_queue_that_cannot_be_replaced_stays(left: int, shm_dir: Path) -> None:
    with CommandQueue.create("queue") as old:
        ticket = old.send("act")
        try:
            with descriptors_left(left), contextlib.closing(CommandQueue.create("queue", replace=True)):
                pass
        except StreamError:
            assert old.take(0).data == "act"
            assert ticket.state == "started"
            with CommandQueue.attach("queue") as again:
                assert again.count == old.count == 1


def test_a_queue_that_could_not_be_attached_is_not_made(shm_dir: Path) -> None:
    for spin in (2, -1, float("nan"), "1", None):
        with pytest.raises(ChannelArgumentError, match="spin is a time from 0 to 1 s"):
            CommandQueue.create("queue", spin=spin)  # type: ignore[arg-type]
    assert not os.listdir(shm_dir)


def test_no_room_for_process_information(shm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ProcessInfoStorageError, match=r"cannot be made: No space left on device$"):
        ProcessInfo.create("loop")
    assert not os.listdir(shm_dir)


#: Objects that are there, and what they need a descriptor for.
LATER: dict[str, Callable[[SHM], tuple[Any, Callable[[], Any]]]] = {
    "log": lambda cam: (made := MessageLog.create("log", 8192), made.fileno),
    "state": lambda cam: (made := SharedState.create("state", {"a": 1}), lambda: made.update(b="x" * 9000)),
    "collector": lambda cam: (made := cam.ring_reader(4, source="collector"), made.fileno),
    "server": lambda cam: (made := web.WebServer(web.Settings(port=0)), made.start),
}


@pytest.mark.parametrize("name", LATER)
def test_objects_that_need_a_descriptor_later(name: str, cam: SHM) -> None:
    if name == "server":
        for library in ("starlette", "uvicorn", "websockets"):
            pytest.importorskip(library)
    made, call = LATER[name](cam)
    with contextlib.closing(made):
        with descriptors_left(0), pytest.raises(StreamError, match="no file descriptors left") as caught:
            call()
        assert isinstance(caught.value, OSError)
        call()  # it can be tried again
        assert name != "server" or made.running


@EACH_FORMAT
def test_recordings_without_descriptors(suffix: str, cam: SHM, tmp_path: Path) -> None:
    path = tmp_path / f"cam.{suffix}"
    loaded, _ = recorded(cam, path, images(5))
    for call in (load, recording_details, open_footage):
        with descriptors_left(0), pytest.raises(StreamStorageError, match="no file descriptors left"):
            call(path)
    with descriptors_left(0), pytest.raises(StreamStorageError, match="no file descriptors left"):
        Recorder(cam, tmp_path / f"new.{suffix}").start()
    capture = cam.capture(3, background=True)
    cam.set_many(images(3))
    capture.join()
    with descriptors_left(0), pytest.raises(StreamStorageError, match="no file descriptors left"):
        pymilk.save(capture, tmp_path / f"new.{suffix}")
    assert not list(tmp_path.glob("new*"))
    if suffix == "zarr":
        with descriptors_left(0), pytest.raises(StreamStorageError, match="no file descriptors left"):
            loaded.frames[2]
    np.testing.assert_array_equal(loaded.frames[2], images(5)[2])
    loaded.close()


def test_users_of_a_stream_are_not_taken_for_gone(cam: SHM) -> None:
    with (
        Stream.attach("cam") as stream,
        descriptors_left(0),
        pytest.raises(StreamStorageError, match="no file descriptors left"),
    ):
        processes_using(stream)


def test_what_an_error_comes_from(tmp_path: Path) -> None:
    error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    wrapped = RuntimeError("of a library")
    wrapped.__context__ = error
    assert ended_resources(wrapped) is error
    assert ended_resources(OSError(errno.EIO, "no")) is None
    assert "ulimit -v" in cause_of(OSError(errno.ENOMEM, "no"))
    assert cause_of(OSError(errno.EIO, "bad disk")) == "bad disk"
    assert "inodes" not in cause_of(OSError(errno.ENOSPC, "no room"), str(tmp_path / "file"))
    assert isinstance(file_error(error, "x", "read"), StreamStorageError)
