"""Processes that are killed at each of their steps; all of them with ``PYMILK_EVERY_STEP=1``.

What is checked after each death is in support/deaths.py, how the victim is led there in support/killing.py.
"""

from __future__ import annotations

import pytest

from support.dying import BY_HAND, CALLS, die


@BY_HAND[0]
@BY_HAND[1]
@pytest.mark.parametrize("how", ["publish", "claim", "publish_many"])
@pytest.mark.parametrize("kind", ["plain", "fast", "temporal"])
def test_writer_dies_behind_each_store(spawn, kind, how):
    deaths, furthest = die(spawn, "writes", kind, how, 1, 0)
    print(f"\n{kind}, {how}: {deaths} deaths")
    assert furthest == deaths >= 10


@BY_HAND[0]
@BY_HAND[1]
def test_writer_dies_in_keywords(spawn):
    """Some of the stores: what Python does between them is single steps, too, and takes seconds."""
    deaths, furthest = die(spawn, "keywords", 4, 1)
    assert deaths >= 3
    assert furthest >= 10


@BY_HAND[0]
@BY_HAND[1]
def test_recorder_dies_at_each_system_call(spawn):
    deaths, furthest = die(spawn, "recordings", "npy", "calls", 1, 0)
    print(f"\nnpy: {deaths} deaths")
    assert furthest == deaths >= 60


@BY_HAND[0]
@BY_HAND[1]
@pytest.mark.parametrize("how", CALLS)
def test_death_at_each_system_call(spawn, how):
    deaths, furthest = die(spawn, "calls", how, 1, 0)
    print(f"\n{how}: {deaths} deaths")
    assert furthest == deaths >= 2 * CALLS[how]
