"""The rhythm that a reader learns (protocol/pace.pxd), with frames and sleeps whose times are given."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import pytest

from support.compiling import compiled, needs_compiler

pytestmark = needs_compiler

MODULE = """
from libc.stdint cimport int64_t, uint64_t
from pymilk.protocol.pace cimport (
    PACE_HOLE_NS, PACE_HOLES, PACE_KNOWN, PACE_REST, PACE_SHARE, PACE_SHORT_NS, Pace, pace_behind, pace_note,
    pace_note_late, pace_note_spin, pace_plan,
)

HOLE, HOLES, KNOWN, REST, SHARE, SHORT = (
    PACE_HOLE_NS, PACE_HOLES, PACE_KNOWN, PACE_REST, PACE_SHARE, PACE_SHORT_NS)

cdef class Rhythm:
    cdef Pace pace
    def note(self, int64_t now, uint64_t count):
        pace_note(&self.pace, now, count)
    def late(self, int64_t late):
        pace_note_late(&self.pace, late)
    def spun(self, int64_t unseen):
        pace_note_spin(&self.pace, unseen)
    def behind(self, int64_t written):
        return pace_behind(&self.pace, written)
    def plan(self, int64_t now, uint64_t count):
        cdef int64_t doze, alert
        pace_plan(&self.pace, now, count, &doze, &alert)
        return doze, alert
"""

US, MS = 1_000, 1_000_000


@pytest.fixture(scope="module")
def pace(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return compiled(tmp_path_factory.mktemp("pace"), "rhythm", MODULE)


def learned(pace: ModuleType, interval: int = MS, jitter: int = 0, frames: int = 200) -> tuple[Any, int]:
    """A rhythm, and when its last frame came; every other frame is later by the jitter."""
    rhythm, now = pace.Rhythm(), 10**9
    for count in range(1, frames + 1):
        now = 10**9 + count * interval + jitter * (count % 2)
        rhythm.note(now, count)
    return rhythm, now


def test_nothing_is_planned_before_it_is_known(pace: ModuleType) -> None:
    rhythm, now = learned(pace, frames=pace.KNOWN)
    assert rhythm.plan(now, pace.KNOWN) == (0, 0)
    rhythm, now = learned(pace, frames=5 * pace.KNOWN)
    assert rhythm.plan(now, 5 * pace.KNOWN) != (0, 0)


@pytest.mark.parametrize("late", [5 * US, 45 * US, 150 * US])
def test_a_steady_camera_is_awaited_at_the_last_moment(pace: ModuleType, late: int) -> None:
    """Sleeps that end late in the same way begin earlier, and cost nothing: only what varies is spun away."""
    rhythm, now = learned(pace)
    for _ in range(100):
        rhythm.late(late)
    doze, alert = rhythm.plan(now, 200)
    awake, due = doze + late, now + MS
    assert awake <= due <= alert
    assert due - awake <= MS // pace.SHARE
    assert alert - due <= MS // pace.SHARE


def test_sleeps_that_vary_open_the_window(pace: ModuleType) -> None:
    rhythm, now = learned(pace)
    for turn in range(100):
        rhythm.late(40 * US + 10 * US * (turn % 2))
    doze, alert = rhythm.plan(now, 200)
    assert doze + 50 * US < now + MS < alert
    for turn in range(100):
        rhythm.late(40 * US + 120 * US * (turn % 2))
    assert rhythm.plan(now, 200) == (0, 0)  # more than a tenth of the time would be spun away


@pytest.mark.parametrize(
    ("interval", "sleeps"),
    [(MS, (40 * US, 160 * US)), (MS // 4, (200 * US, 200 * US))],
    ids=["vary", "late"],
)
def test_sleeps_that_were_bad_for_a_while_are_tried_again(
    pace: ModuleType, interval: int, sleeps: tuple[int, int]
) -> None:
    """What a busy moment has taught does not keep a reader asleep for ever."""
    rhythm, now = learned(pace, interval=interval)
    for turn in range(100):
        rhythm.late(sleeps[turn % 2])
    plans = [rhythm.plan(now, 200) for _ in range(500)]
    assert plans[0] == (0, 0)
    assert any(plan != (0, 0) for plan in plans)


def test_irregular_frames_are_slept_for(pace: ModuleType) -> None:
    rhythm, now = learned(pace, jitter=20 * US)
    assert rhythm.plan(now, 200) != (0, 0)
    rhythm, now = learned(pace, jitter=200 * US)
    assert rhythm.plan(now, 200) == (0, 0)


def test_one_hold_up_changes_little(pace: ModuleType) -> None:
    """Neither when the next frame is expected, nor for how long it is watched for."""
    rhythm, now = learned(pace)
    before = rhythm.plan(now, 200)
    rhythm.note(now + 30 * MS, 201)
    after = [at - 30 * MS for at in rhythm.plan(now + 30 * MS, 201)]
    assert all(abs(b - a) < MS // 20 for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("interval", [MS // 4, 4 * MS])
def test_another_rate_is_learned(pace: ModuleType, interval: int) -> None:
    rhythm, now = learned(pace)
    for count in range(201, 401):
        now += interval
        rhythm.note(now, count)
    doze, alert = rhythm.plan(now, 400)
    assert doze < now + interval < alert
    assert alert - doze < interval


def test_frames_that_came_meanwhile_are_counted(pace: ModuleType) -> None:
    rhythm, now = learned(pace)
    one, three = rhythm.plan(now, 200), rhythm.plan(now, 202)
    assert [b - a for a, b in zip(one, three, strict=True)] == [2 * MS, 2 * MS]


def test_short_intervals_are_spun_away(pace: ModuleType) -> None:
    rhythm, now = learned(pace, interval=pace.SHORT // 2)
    doze, alert = rhythm.plan(now, 200)
    assert doze == now < alert
    for _ in range(10 * pace.HOLES):
        rhythm.spun(10 * pace.HOLE)  # a sleep would lose frames
    assert rhythm.plan(now, 200) == (doze, alert)


def test_a_spin_that_keeps_the_writer_from_its_core_rests(pace: ModuleType) -> None:
    rhythm, now = learned(pace)
    wanted = rhythm.plan(now, 200)
    assert wanted != (0, 0)
    for _ in range(pace.HOLES - 1):
        rhythm.spun(2 * pace.HOLE)
    rhythm.spun(pace.HOLE // 4)
    assert rhythm.plan(now, 200) == wanted  # not in a row
    for _ in range(pace.HOLES):
        rhythm.spun(2 * pace.HOLE)
    assert [rhythm.plan(now, 200) for _ in range(pace.REST)] == [(0, 0)] * pace.REST
    assert rhythm.plan(now, 200) == wanted
    rhythm.spun(2 * pace.HOLE)  # it is still so
    assert rhythm.plan(now, 200) == (0, 0)


@pytest.mark.parametrize("clock", [time.CLOCK_TAI, time.CLOCK_REALTIME])
def test_how_long_ago_a_frame_was_written(pace: ModuleType, clock: int) -> None:
    rhythm, _ = learned(pace, interval=1000 * MS)
    before = time.clock_gettime_ns(clock)
    behind = rhythm.behind(before - 50 * MS)
    assert 50 * MS <= behind < 250 * MS
    for wrong in (0, -1, before + 3600 * 10**9, before - 3600 * 10**9, 2**63 - 1, -(2**63)):
        assert rhythm.behind(wrong) == 0
