"""Hidden files of recordings: names that are taken, and files that were not finished."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from pymilk.recording.sinks import sink_of
from pymilk.system.hidden import hidden_name
from support.deaths import FRAME, HEADER
from support.recordings import EACH_FORMAT


@EACH_FORMAT
@pytest.mark.parametrize("made", ["file", "folder"])
def test_name_that_somebody_else_takes_first(tmp_path, suffix, made):
    """What is there stays, and nothing else is left."""
    path = tmp_path / f"cam.{suffix}"
    if made == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"precious")
    sink = sink_of(str(path))
    with pytest.raises(FileExistsError) as caught:
        sink(str(path), FRAME, np.dtype(np.uint16), HEADER)
    assert caught.value.errno == errno.EEXIST
    assert path.is_dir() if made == "folder" else path.read_bytes() == b"precious"
    assert [each for each in os.listdir(tmp_path) if each.startswith(".")] == []


@EACH_FORMAT
def test_what_was_not_finished_is_removed_later(tmp_path, suffix, monkeypatch):
    """Files and directories of processes that have ended, and no others."""
    path = str(tmp_path / f"cam.{suffix}")
    own = hidden_name(path)
    dead = own.replace(f".{os.getpid()}.", ".999999999.")
    link = f"{dead[:-12]}00000000.new"
    os.mkdir(own)
    os.makedirs(f"{dead}/frames")
    os.symlink(tmp_path, link)
    sink = sink_of(path)
    for old, left in ((False, {own, dead, link}), (True, {own, link})):
        if old:
            os.utime(dead, (0, 0))
        sink(path, FRAME, np.dtype(np.uint16), HEADER).close()
        sink.remove(path)
        assert {each for each in map(str, tmp_path.iterdir())} == left
    assert os.path.isdir(tmp_path)
