"""The stream directory as a whole."""

from __future__ import annotations

import os

import numpy as np
import pytest

import pymilk
from pymilk.errors import StreamArgumentError, StreamNotFoundError, StreamPermissionError
from pymilk.names import stream_directory
from pymilk.streams.directory import find_stale, list_streams, remove_stale


def test_empty_directory(shm_dir):
    assert list_streams() == find_stale() == remove_stale() == []
    assert stream_directory() == str(shm_dir)


def test_streams_are_described_without_attaching(make_stream, shm_dir):
    make_stream("b", (3, 5), np.uint16, nbkw=7).publish(np.zeros((3, 5), np.uint16))
    make_stream("a", (2, 3, 4), np.float32, nbsem=2, cb_size=3)
    found = list_streams()
    assert [entry["name"] for entry in found] == ["a", "b"]
    assert "error" not in found[0]
    assert (found[0]["shape"], found[0]["dtype"]) == ((2, 3, 4), np.float32)
    assert (found[0]["nbsem"], found[0]["cb_size"], found[0]["counter"]) == (2, 3, 0)
    assert (found[1]["shape"], found[1]["nbkw"], found[1]["counter"]) == ((3, 5), 7, 1)
    assert found[1]["path"] == str(shm_dir / "b.im.shm")
    assert found[1]["creator_pid"] == os.getpid()
    assert found[1]["nbytes"] == os.path.getsize(found[1]["path"])
    assert found[1]["inode"] == os.stat(found[1]["path"]).st_ino
    assert pymilk.list_streams() == found


def test_files_that_are_no_streams(make_stream, shm_dir):
    make_stream("good", (2, 2), np.uint8)
    (shm_dir / "empty.im.shm").touch()
    (shm_dir / "text.im.shm").write_text("hello" * 1000)
    (shm_dir / "folder.im.shm").mkdir()
    (shm_dir / "dangling.im.shm").symlink_to(shm_dir / "nowhere")
    os.mkfifo(shm_dir / "pipe.im.shm")
    (shm_dir / "notes.txt").touch()
    (shm_dir / ".hidden.im.shm").touch()
    (shm_dir / "link.im.shm").symlink_to(shm_dir / "good.im.shm")
    found = {entry["name"]: entry for entry in list_streams()}
    assert sorted(found) == ["dangling", "empty", "folder", "good", "link", "pipe", "text"]
    for name in ("dangling", "empty", "folder", "pipe", "text"):
        assert set(found[name]) == {"name", "path", "error"}
        assert found[name]["error"]
    for name in ("good", "link"):
        assert found[name]["shape"] == (2, 2)
    for path in shm_dir.iterdir():
        if path.name.startswith("."):
            path.unlink()


def test_another_directory(make_stream, shm_dir):
    make_stream("here", (2, 2), np.uint8)
    other = shm_dir / "other"
    other.mkdir()
    assert list_streams(str(other)) == []
    make_stream(str(other / "there.im.shm"), (2, 2), np.uint8)
    assert [entry["name"] for entry in list_streams(str(other))] == ["there"]
    assert [entry["name"] for entry in list_streams()] == ["here"]
    with pytest.raises(FileNotFoundError):
        list_streams(str(shm_dir / "missing"))


def test_directory_that_is_missing(monkeypatch, shm_dir):
    monkeypatch.setenv("MILK_SHM_DIR", str(shm_dir / "missing"))
    for call in (list_streams, find_stale, remove_stale, stream_directory):
        with pytest.raises(StreamNotFoundError):
            call()


@pytest.mark.parametrize("look", [list_streams, find_stale, remove_stale, pymilk.survey])
def test_directory_that_cannot_be_listed(look, tmp_path, monkeypatch):
    with pytest.raises(StreamNotFoundError, match="there is no such directory"):
        look(str(tmp_path / "nothing"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(StreamNotFoundError, match="there is no such directory"):
        look(str(tmp_path / "file"))

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        with pytest.raises(StreamPermissionError, match="no permission to list it"):
            look(str(tmp_path))


@pytest.mark.parametrize("directory", [5, 0, [], "", "\0", b"\0"])
@pytest.mark.parametrize("call", [pymilk.survey, pymilk.list_streams, pymilk.find_stale, pymilk.remove_stale])
def test_what_is_no_directory(call, directory):
    with pytest.raises(StreamArgumentError, match="path of a directory"):
        call(directory)
