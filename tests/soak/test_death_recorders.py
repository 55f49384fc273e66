"""Recorders that are killed at each system call that changes a file; all with ``PYMILK_EVERY_STEP=1``.

What is checked after each death is in support/deaths.py, how the victim is led there in support/killing.py.
"""

from __future__ import annotations

import pytest

from support.dying import BY_HAND, EACH_PACKING, HURRIED, PACKED, RECORDING, SAVING, WRITING, die, least
from support.recordings import EACH_FORMAT, EACH_HELD

#: All stops, in two tests.
HALVES = pytest.mark.parametrize("half", [0, 1])


@BY_HAND[0]
@BY_HAND[1]
@HALVES
@EACH_PACKING
def test_writer_of_a_file_dies_at_each_change(spawn, kind, half):
    deaths, furthest = die(spawn, "recordings", kind, "changes", 2, half)
    print(f"\n{kind}: {deaths} deaths, the last one at stop {furthest}")
    assert furthest == 2 * deaths - 1 + half >= least(WRITING, kind)


@BY_HAND[0]
@BY_HAND[1]
@HALVES
@EACH_PACKING
def test_who_saves_a_capture_dies_at_each_change(spawn, kind, half):
    deaths, furthest = die(spawn, "saves", kind, 2, half)
    print(f"\n{kind}: {deaths} deaths, the last one at stop {furthest}")
    assert furthest == 2 * deaths - 1 + half >= least(SAVING, kind)


@BY_HAND[0]
@BY_HAND[1]
@HALVES
@pytest.mark.parametrize("how", ["ring", "series", "stopped"])
@EACH_FORMAT
def test_recorder_dies_at_each_change(spawn, suffix, how, half):
    deaths, furthest = die(spawn, "recorders", suffix, how, 2, half)
    print(f"\n{suffix}, {how}: {deaths} deaths, the last one at stop {furthest}")
    assert furthest == 2 * deaths - 1 + half >= RECORDING[suffix]


@BY_HAND[0]
@BY_HAND[1]
@HALVES
@HURRIED
def test_writer_of_a_file_that_is_in_a_hurry_dies_at_each_change(spawn, kind, half):
    deaths, furthest = die(spawn, "recordings", kind, "changes", 2, half)
    assert furthest == 2 * deaths - 1 + half >= least(WRITING, kind)


@BY_HAND[0]
@BY_HAND[1]
@HALVES
@pytest.mark.parametrize("how", ["ring", "series", "stopped"])
@PACKED
def test_recorder_that_packs_dies_at_each_change(spawn, kind, how, half):
    deaths, furthest = die(spawn, "recorders", kind, how, 2, half)
    assert furthest == 2 * deaths - 1 + half >= least(RECORDING, kind)


@BY_HAND[0]
@BY_HAND[1]
@EACH_FORMAT
def test_recorder_with_a_collector_dies_at_many_calls(spawn, suffix):
    """How many calls there are, and which one comes next, differs from run to run: every fourth of them."""
    deaths, furthest = die(spawn, "recorders", suffix, "collector", 4, 1)
    print(f"\n{suffix}: {deaths} deaths, the last one at stop {furthest}")
    assert deaths >= 80
    assert furthest >= 320


@BY_HAND[0]
@BY_HAND[1]
@HALVES
@EACH_HELD
def test_recorder_that_syncs_dies_at_each_change(spawn, suffix, half):
    deaths, furthest = die(spawn, "recorders", suffix, "direct and synced", 2, half)
    print(f"\n{suffix}: {deaths} deaths, the last one at stop {furthest}")
    assert furthest == 2 * deaths - 1 + half >= RECORDING[suffix]
