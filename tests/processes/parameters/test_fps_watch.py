"""Changes that other processes make: waited for, followed, in asyncio, and beside other threads."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pymilk.errors import FPSClosedError, FPSReplacedError
from pymilk.parameters import FPS

#: Writes n = 1, 2, 3, ... when it is told to, and says so.
WRITER = """
import sys
from pymilk.parameters import FPS
fps = FPS("loop")
print("ready", flush=True)
for line in sys.stdin:
    key, value = line.split()
    fps[key] = type(fps[key])(value)
    print("done", flush=True)
"""

#: Waits for a change, and is interrupted.
WAITER = """
from pymilk.parameters import FPS
fps = FPS("loop")
print("ready", flush=True)
fps.wait_for_change("n")
"""

#: Writes as fast as it can.
STORM = """
from pymilk.parameters import FPS
fps = FPS("loop")
print("ready", flush=True)
number = 0
while True:
    number += 1
    fps["n"] = number
"""


@pytest.fixture
def fps() -> Iterator[FPS]:
    with FPS.create("loop", directories=False) as made:
        made.add_param("n", default=0)
        made.add_param("text", default="start")
        yield made


@pytest.fixture
def writer(fps: FPS, spawn: Callable[..., Any]) -> Any:
    child = spawn(WRITER)
    child.expect("ready")
    return child


def test_waiting_for_another_process(fps: FPS, writer: Any) -> None:
    since = {each.key: each.cnt0 for each in fps.params()}
    writer.tell("text hello")
    assert fps.wait_for_change(timeout=60, since=since) == {"text": "hello"}
    writer.expect("done")
    writer.tell("n 5")
    assert fps.wait_for_change("n", 60, since=since) == {"n": 5}


def test_following_another_process(fps: FPS, writer: Any) -> None:
    with fps.watch("n") as watch:
        for number in range(1, 20):
            writer.tell(f"n {number}")
            assert tuple(next(watch)) == ("n", number, number + 1, 0)
            writer.expect("done")


def test_nothing_is_lost_without_being_counted(fps: FPS, spawn: Callable[..., Any]) -> None:
    watch = fps.watch("n")
    first = fps.param("n").cnt0
    child = spawn(STORM)
    child.expect("ready")
    counted, value = first, 0
    for _, change in zip(range(200), watch, strict=False):
        counted += change.missed + 1
        assert change.counter == counted
        assert change.value >= counted - first > 0
        assert change.value >= value  # the value is written before it is counted
        value = change.value
    child.kill()


def test_in_asyncio(fps: FPS, writer: Any) -> None:
    fps.add_param("other", default=0)

    async def follow(*keys: str) -> list[tuple[str, Any]]:
        found = []
        async for change in fps.watch(*keys):
            found.append((change.key, change.value))
            if change.value in (3, 30):
                break
        return found

    async def everything() -> list[list[tuple[str, Any]]]:
        tasks = [asyncio.create_task(follow("n")), asyncio.create_task(follow("other"))]
        await asyncio.sleep(0)
        for key, number in (("n", 1), ("other", 10), ("n", 2), ("n", 3), ("other", 30)):
            writer.tell(f"{key} {number}")
            await asyncio.to_thread(writer.expect, "done")
            await asyncio.sleep(0.05)
        return await asyncio.gather(*tasks)

    mine, others = asyncio.run(everything())
    assert mine[-1] == ("n", 3)
    assert others[-1] == ("other", 30)


def test_a_task_that_is_cancelled(fps: FPS) -> None:
    async def cancelled() -> None:
        watch = fps.watch("n")
        task = asyncio.ensure_future(watch.__anext__())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


def test_other_threads_run_meanwhile(fps: FPS) -> None:
    thread = threading.Timer(0.2, lambda: fps.set("n", 7))
    thread.start()
    assert fps.wait_for_change("n", 60) == {"n": 7}
    thread.join()


@pytest.mark.parametrize("end", ["close", "replace", "watch"])
def test_a_wait_that_is_ended_from_another_thread(fps: FPS, end: str) -> None:
    watch = fps.watch("n")

    def act() -> None:
        if end == "close":
            fps.close()
        elif end == "replace":
            FPS.create("loop", replace=True, directories=False).close()
        else:
            watch.close()

    thread = threading.Timer(0.1, act)
    thread.start()
    if end == "watch":
        assert list(watch) == []
    else:
        with pytest.raises(FPSClosedError if end == "close" else FPSReplacedError):
            next(watch)
    thread.join()


def test_ctrl_c_ends_a_wait(fps: FPS, spawn: Callable[..., Any]) -> None:
    child = spawn(WAITER)
    child.expect("ready")
    time.sleep(0.05)
    os.kill(child.pid, signal.SIGINT)
    code, _, err = child.finish()
    assert code != 0
    assert "KeyboardInterrupt" in err


def test_two_processes_add_entries_at_once(spawn: Callable[..., Any]) -> None:
    code = """
import sys
from pymilk.parameters import FPS
fps = FPS("many")
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    fps.add_param(f"{sys.argv[1]}.p{number}", default=number)
    fps.add_param(f"both.p{number}", default=number)
"""
    with FPS.create("many", directories=False) as fps:
        children = [spawn(code, name) for name in ("a", "b")]
        for child in children:
            child.expect("ready")
        for child in children:
            child.tell()
        for child in children:
            assert child.finish()[::2] == (0, "")
        wanted = {f"{name}.p{number}": number for name in ("a", "b", "both") for number in range(60)}
        assert fps.as_dict() == wanted
