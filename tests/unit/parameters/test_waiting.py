"""Waiting for changes: what it leaves behind in the thread that waited, and new parameters."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pymilk.errors import FPSArgumentError, FPSTimeoutError, StreamBusyError
from pymilk.parameters import FPS
from support.waiting import until

#: Timer slack that the thread has by itself, in ns.
OWN = 70_000


@pytest.fixture
def fps() -> Iterator[FPS]:
    with FPS.create("loop", 4, directories=False) as made:
        made.add_param("n", default=0)
        yield made


def slack(thread: int) -> int:
    return int(Path(f"/proc/{thread}/timerslack_ns").read_text())


def test_sleeps_of_a_wait_end_on_time_and_the_slack_of_the_thread_comes_back(fps: FPS) -> None:
    seen: list[int] = []
    ready, change = threading.Event(), threading.Event()

    def wait() -> None:
        me = threading.get_native_id()
        Path(f"/proc/{me}/timerslack_ns").write_text(str(OWN))
        seen.append(me)
        since = {"n": fps.param("n").cnt0}
        ready.set()
        fps.wait_for_change("n", 60, since=since)
        seen.append(slack(me))
        with pytest.raises(FPSTimeoutError):
            fps.wait_for_change("n", 0)
        seen.append(slack(me))

    thread = threading.Thread(target=wait)
    thread.start()
    assert ready.wait(60)
    while slack(seen[0]) == OWN and thread.is_alive():
        change.wait(0.001)
    lowered = slack(seen[0])
    fps["n"] = 1
    thread.join(60)
    assert lowered < 10_000
    assert seen[1:] == [OWN, OWN]


def test_a_new_parameter_is_found_while_others_change_all_the_time(fps: FPS) -> None:
    with fps.watch() as watch:
        fps.add_param("late", default=1.5)
        give_up = time.monotonic() + 30
        keys: set[str] = set()
        while "late" not in keys and time.monotonic() < give_up:
            fps["n"] += 1
            keys.add(next(watch).key)
    assert keys == {"n", "late"}


def test_a_second_thread_that_takes_changes_is_told(fps: FPS) -> None:
    with fps.watch("n", timeout=60) as watch, ThreadPoolExecutor(1) as pool:
        takes = pool.submit(next, watch)
        until(watch._alone.locked)
        with pytest.raises(StreamBusyError, match="the watch of fps 'loop': another thread is reading"):
            next(watch)
        fps["n"] = 1
        assert takes.result(60).value == 1
        fps["n"] = 2
        assert next(watch).value == 2


def test_a_second_task_that_takes_changes_is_told(fps: FPS) -> None:
    async def both() -> None:
        with fps.watch("n", timeout=60) as watch:
            takes = asyncio.ensure_future(watch.__anext__())
            await asyncio.sleep(0)
            with pytest.raises(StreamBusyError):
                await watch.__anext__()
            fps["n"] = 1
            assert (await takes).value == 1

    asyncio.run(both())


def test_a_counter_below_all_is_that_of_no_value(fps: FPS) -> None:
    assert fps.wait_for_change("n", 0, since={"n": -1}) is not None


@pytest.mark.parametrize("known", ["1", 1.5, -(2**64), 2**64, [1]])
def test_counters_that_are_none_are_refused_in_words(fps: FPS, known: object) -> None:
    with pytest.raises(FPSArgumentError, match=r"since has counters, .* for 'n'") as caught:
        fps.wait_for_change("n", 0, since={"n": known})
    assert (caught.value.argument, caught.value.found) == ("since", known)
