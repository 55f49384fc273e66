"""Recorders that are killed at the system calls that change files, whichever of their threads makes them.

What is checked after each death is in deaths.py, how the victim is led there in killing.py. Here a few of
the steps are taken; `PYMILK_EVERY_STEP=1 pytest -m stress tests/test_death_recorders.py` takes all of them.
"""

from __future__ import annotations

import pytest
from test_death import BY_HAND, die
from test_record import EACH_FORMAT

#: Stops before and behind each such call: at least so many, where three frames fill a chunk.
WRITING = {"npy": 90, "fits": 100, "h5": 100, "zarr": 200}
#: The same for a recorder, which starts threads, and takes two frames at a time.
RECORDING = {"npy": 80, "fits": 80, "h5": 80, "zarr": 150}


@EACH_FORMAT
def test_writer_of_a_file_dies_at_some_changes(spawn, suffix):
    deaths, furthest = die(spawn, "recordings", suffix, "changes", 41, 20)
    assert deaths >= 2
    assert furthest >= WRITING[suffix] - 41


@BY_HAND[0]
@BY_HAND[1]
@EACH_FORMAT
def test_writer_of_a_file_dies_at_each_change(spawn, suffix):
    deaths, furthest = die(spawn, "recordings", suffix, "changes", 1, 0)
    print(f"\n{suffix}: {deaths} deaths")
    assert furthest == deaths >= WRITING[suffix]


@pytest.mark.parametrize("how", ["ring", "series", "stopped"])
@EACH_FORMAT
def test_recorder_dies_at_some_changes(spawn, suffix, how):
    deaths, furthest = die(spawn, "recorders", suffix, how, 41, 30)
    assert deaths >= 2
    assert furthest >= RECORDING[suffix] - 41


@BY_HAND[0]
@BY_HAND[1]
@pytest.mark.parametrize("how", ["ring", "series", "stopped"])
@EACH_FORMAT
def test_recorder_dies_at_each_change(spawn, suffix, how):
    deaths, furthest = die(spawn, "recorders", suffix, how, 1, 0)
    print(f"\n{suffix}, {how}: {deaths} deaths")
    assert furthest == deaths >= RECORDING[suffix]


def test_recorder_with_a_collector_dies_at_some_calls(spawn):
    """At calls of any kind, of all three threads."""
    deaths, furthest = die(spawn, "recorders", "npy", "collector", 500, 333)
    assert deaths >= 2
    assert furthest >= 800


@BY_HAND[0]
@BY_HAND[1]
@EACH_FORMAT
def test_recorder_with_a_collector_dies_at_many_calls(spawn, suffix):
    """How many calls there are, and which one comes next, differs from run to run: every tenth of them."""
    deaths, furthest = die(spawn, "recorders", suffix, "collector", 10, 0)
    print(f"\n{suffix}: {deaths} deaths")
    assert deaths >= 80
    assert furthest >= 800
