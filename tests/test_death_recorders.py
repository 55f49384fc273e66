"""Recorders that are killed at the system calls that change files, whichever of their threads makes them.

What is checked after each death is in deaths.py, how the victim is led there in killing.py. Here a few of
the steps are taken; `PYMILK_EVERY_STEP=1 pytest -m stress tests/test_death_recorders.py` takes all of them.
"""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from test_death import BY_HAND, die
from test_record import EACH_FORMAT, format_parameters

from deaths import FRAME, HEADER
from pymilk.recording.sinks import sink_of
from pymilk.system.files import hidden_name

#: Stops before and behind each such call: at least so many, where three frames fill a chunk.
WRITING = {"npy": 90, "fits": 100, "h5": 100, "zarr": 200, "h5+compress": 100, "zarr+compress": 200}
#: The same of a capture that is saved.
SAVING = {"npy": 40, "fits": 40, "h5": 40, "zarr": 60, "h5+compress": 40, "zarr+compress": 60}
#: The same for a recorder, which starts threads, and takes two frames at a time.
RECORDING = {"npy": 80, "fits": 80, "h5": 80, "zarr": 150}


EACH_PACKING = pytest.mark.parametrize(
    "kind", format_parameters("npy", "fits", "h5", "zarr", "h5+compress", "zarr+compress")
)

#: All stops, in two tests.
HALVES = pytest.mark.parametrize("half", [0, 1])


@EACH_PACKING
def test_writer_of_a_file_dies_at_some_changes(spawn, kind):
    deaths, furthest = die(spawn, "recordings", kind, "changes", 41, 20)
    assert deaths >= 2
    assert furthest >= WRITING[kind] - 41


@BY_HAND[0]
@BY_HAND[1]
@HALVES
@EACH_PACKING
def test_writer_of_a_file_dies_at_each_change(spawn, kind, half):
    deaths, furthest = die(spawn, "recordings", kind, "changes", 2, half)
    print(f"\n{kind}: {deaths} deaths, the last one at stop {furthest}")
    assert furthest == 2 * deaths - 1 + half >= WRITING[kind]


@EACH_PACKING
def test_who_saves_a_capture_dies_at_some_changes(spawn, kind):
    deaths, furthest = die(spawn, "saves", kind, 17, 10)
    assert deaths >= 2
    assert furthest >= SAVING[kind] - 17


@BY_HAND[0]
@BY_HAND[1]
@HALVES
@EACH_PACKING
def test_who_saves_a_capture_dies_at_each_change(spawn, kind, half):
    deaths, furthest = die(spawn, "saves", kind, 2, half)
    print(f"\n{kind}: {deaths} deaths, the last one at stop {furthest}")
    assert furthest == 2 * deaths - 1 + half >= SAVING[kind]


@pytest.mark.parametrize("how", ["ring", "series", "stopped"])
@EACH_FORMAT
def test_recorder_dies_at_some_changes(spawn, suffix, how):
    deaths, furthest = die(spawn, "recorders", suffix, how, 41, 30)
    assert deaths >= 2
    assert furthest >= RECORDING[suffix] - 41


@BY_HAND[0]
@BY_HAND[1]
@HALVES
@pytest.mark.parametrize("how", ["ring", "series", "stopped"])
@EACH_FORMAT
def test_recorder_dies_at_each_change(spawn, suffix, how, half):
    deaths, furthest = die(spawn, "recorders", suffix, how, 2, half)
    print(f"\n{suffix}, {how}: {deaths} deaths, the last one at stop {furthest}")
    assert furthest == 2 * deaths - 1 + half >= RECORDING[suffix]


def test_recorder_with_a_collector_dies_at_some_calls(spawn):
    """At calls of any kind, of all three threads."""
    deaths, furthest = die(spawn, "recorders", "npy", "collector", 150, 50)
    assert deaths >= 2
    assert furthest >= 200


@BY_HAND[0]
@BY_HAND[1]
@EACH_FORMAT
def test_recorder_with_a_collector_dies_at_many_calls(spawn, suffix):
    """How many calls there are, and which one comes next, differs from run to run: every fourth of them."""
    deaths, furthest = die(spawn, "recorders", suffix, "collector", 4, 1)
    print(f"\n{suffix}: {deaths} deaths, the last one at stop {furthest}")
    assert deaths >= 80
    assert furthest >= 320


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
