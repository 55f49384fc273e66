"""When the server looks for the next frame."""

from __future__ import annotations

import pytest

pytest.importorskip("starlette")

from pymilk.web.sources import pause_before


def looks(rate: float | None, comes: float) -> tuple[int, float]:
    """Return the number of looks until a frame is seen, and how late that is."""
    now, count = 0.0, 0
    while now < comes:
        now += pause_before(0.0, rate, now)
        count += 1
    return count, now - comes


@pytest.mark.parametrize("rate", [7.3, 30, 59, 97, 240])
def test_even_frames_are_seen_soon_without_more_looks(rate: float) -> None:
    for early in (-0.001, 0.0, 0.001):  # they jitter
        count, late = looks(rate, 1 / rate + early)
        assert late <= 0.001 + (0.0 if early >= 0 else 0.001)
        assert count <= 1 / rate / 0.004 + 5


@pytest.mark.parametrize("rate", [None, 0.0, -3.0, 100.0])
def test_others_are_looked_for_all_the_time(rate: float | None) -> None:
    """Where the rate is unknown, or no longer holds, frames are seen within a usual pause."""
    for comes in (0.5, 0.5017, 0.5033):
        count, late = looks(rate, comes)
        assert late <= 0.004
        assert count <= comes / 0.004 + 10
