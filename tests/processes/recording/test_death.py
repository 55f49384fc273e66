"""Recorders that are killed at some of the system calls that change files, whichever thread makes them.

What is checked after each death is in support/deaths.py, how the victim is led there in support/killing.py.
``PYMILK_EVERY_STEP=1 pytest -m stress tests/soak/test_death_recorders.py`` takes all steps.
"""

from __future__ import annotations

import pytest

from support.dying import EACH_PACKING, HURRIED, PACKED, RECORDING, SAVING, WRITING, die, least
from support.recordings import EACH_FORMAT, EACH_HELD


@EACH_PACKING
def test_writer_of_a_file_dies_at_some_changes(spawn, kind):
    deaths, furthest = die(spawn, "recordings", kind, "changes", 41, 20)
    assert deaths >= 2
    assert furthest >= least(WRITING, kind) - 41


@EACH_PACKING
def test_who_saves_a_capture_dies_at_some_changes(spawn, kind):
    deaths, furthest = die(spawn, "saves", kind, 17, 10)
    assert deaths >= 2
    assert furthest >= least(SAVING, kind) - 17


@pytest.mark.parametrize("how", ["ring", "series", "stopped"])
@EACH_FORMAT
def test_recorder_dies_at_some_changes(spawn, suffix, how):
    deaths, furthest = die(spawn, "recorders", suffix, how, 41, 30)
    assert deaths >= 2
    assert furthest >= RECORDING[suffix] - 41


@HURRIED
def test_writer_of_a_file_that_is_in_a_hurry_dies_at_some_changes(spawn, kind):
    deaths, furthest = die(spawn, "recordings", kind, "changes", 41, 20)
    assert deaths >= 2
    assert furthest >= least(WRITING, kind) - 41


@PACKED
def test_recorder_that_packs_dies_at_some_changes(spawn, kind):
    """Whichever thread makes them: its own, or one that packs."""
    deaths, furthest = die(spawn, "recorders", kind, "series", 41, 30)
    assert deaths >= 2
    assert furthest >= least(RECORDING, kind) - 41


@EACH_HELD
def test_recorder_that_syncs_dies_at_some_changes(spawn, suffix):
    deaths, furthest = die(spawn, "recorders", suffix, "direct and synced", 41, 30)
    assert deaths >= 2
    assert furthest >= RECORDING[suffix] - 41


def test_recorder_with_a_collector_dies_at_some_calls(spawn):
    """At calls of any kind, of all three threads."""
    deaths, furthest = die(spawn, "recorders", "npy", "collector", 150, 50)
    assert deaths >= 2
    assert furthest >= 200
