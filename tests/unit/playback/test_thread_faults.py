"""Players whose threads fail where nobody foresaw it: waits end with the cause, and nothing is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import SHM, Player
from pymilk.errors import StreamStorageError
from pymilk.playback import player as players
from support.faults import (
    Failing,
    comes_from,
    each_fault,
    raised_within,
    threads_of_pymilk,
    threads_run_out,
    within,
)
from support.waiting import until

MakeSHM = Callable[..., SHM]

CUBE = np.arange(12 * 4, dtype=np.uint16).reshape(12, 2, 2)

#: What the two threads call: at their beginning, while they work, and at their end.
PLACES: dict[str, tuple[Any, str]] = {
    "scheduling": (players, "schedule_thread"),
    "handing over": (Player, "_hand_over"),
    "counting": (players.Timing, "add"),
    "letting go": (Player, "_let_go"),
    "reading": (players.Footage, "pieces"),
    "closing": (players.Footage, "close"),
}


def plays_again() -> None:
    """See that nothing of a player that failed is in the way of the next one."""
    until(lambda: not threads_of_pymilk())
    with Player(CUBE, "played", rate=0) as player:
        assert within(player.wait).published == len(CUBE)


@pytest.mark.parametrize("remove", [False, True])
@pytest.mark.parametrize("place", PLACES)
@each_fault
def test_the_cause_comes_to_who_waits(
    shm_dir: object, monkeypatch: pytest.MonkeyPatch, fault: BaseException, place: str, remove: bool
) -> None:
    player = Player(CUBE, "played", rate=0, remove=remove)
    if place in ("reading", "closing"):  # of this kind of footage
        where, name = type(player._footage), PLACES[place][1]
    else:
        where, name = PLACES[place]
    with monkeypatch.context() as patched:
        done = getattr(where, name) if place in ("letting go", "closing", "counting") else None
        patched.setattr(where, name, Failing(fault, done))
        within(player.start)
        assert comes_from(raised_within(player.wait), fault)
    assert not player.running
    assert player._stream.closed
    within(player.close)
    assert within(lambda: player.report).ended == "error"
    plays_again()


@pytest.mark.parametrize("after", [0, 1])
def test_without_a_thread(shm_dir: object, after: int) -> None:
    player = Player(CUBE, "played", rate=0, remove=True)
    with threads_run_out(after), pytest.raises(StreamStorageError, match="no thread"):
        within(player.start)
    assert isinstance(raised_within(player.wait), StreamStorageError)
    assert not player.running
    assert player.report.ended == "error"
    assert player._stream.closed
    within(player.close)
    plays_again()


def test_the_source_is_not_closed_under_the_thread_that_reads_it(
    shm_dir: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that publishes fails while the other one reads: it is waited for before the source goes."""
    fault = MemoryError()
    player = Player(CUBE, "played", rate=0)
    footage = player._footage
    order: list[str] = []
    close = footage.close

    def pieces(limit: int) -> Any:
        yield CUBE[:1], None
        player._stopping.wait(30)
        order.append("read")
        yield CUBE[1:2], None

    monkeypatch.setattr(footage, "pieces", pieces)
    monkeypatch.setattr(footage, "close", lambda: (order.append("closed"), close()))
    monkeypatch.setattr(players, "schedule_thread", Failing(fault))
    within(player.start)
    assert comes_from(raised_within(player.wait), fault)
    within(player.close)
    assert order == ["read", "closed"]
