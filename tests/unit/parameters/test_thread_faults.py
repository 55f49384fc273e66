"""The thread of a process behind an FPS fails: the block ends, and gets the cause."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from pymilk.errors import FPSArgumentError, StreamStorageError
from pymilk.parameters import FPS, running
from support.faults import Failing, comes_from, each_fault, raised_within, threads_of_pymilk, threads_run_out
from support.waiting import until


@pytest.fixture
def loop(shm_dir: object) -> Iterator[FPS]:
    with FPS.create("loop", directories=False) as made:
        made.add_param("gain", "FLOAT32", 0.5)
        yield made


@pytest.mark.parametrize("place", ["conf_step", "check_all"])
@each_fault
def test_the_block_ends(
    loop: FPS, monkeypatch: pytest.MonkeyPatch, fault: BaseException, place: str
) -> None:
    def work() -> None:
        with loop.running() as process:
            monkeypatch.setattr(running, place, Failing(fault))
            loop.table.change_signal(set_bits=running.Signal.UPDATE)
            process.wait()
            assert not process.going

    assert comes_from(raised_within(work), fault)
    assert not threads_of_pymilk()
    monkeypatch.undo()
    assert (loop.conf_state, loop.run_state) == ("stopped", "stopped")


def test_without_a_thread(loop: FPS) -> None:
    with threads_run_out(), pytest.raises(StreamStorageError, match="no thread"):
        loop.running().__enter__()
    assert (loop.conf_state, loop.run_state) == ("stopped", "stopped")
    with loop.running() as process:
        assert process.going
    until(lambda: not threads_of_pymilk())


@pytest.mark.parametrize("timeout", [-1, float("nan"), "long"])
def test_no_time(loop: FPS, timeout: Any) -> None:
    with loop.running() as process, pytest.raises(FPSArgumentError, match="timeout"):
        process.wait(timeout)


def test_a_task_without_a_thread(loop: FPS) -> None:
    async def first(watch: Any) -> Any:
        async for change in watch:
            return change.value
        return "the end"

    watch = loop.watch("gain", timeout=30)
    with threads_run_out(), pytest.raises(StreamStorageError, match="no thread"):
        asyncio.run(first(watch))
    loop["gain"] = 0.25
    assert asyncio.run(first(watch)) == 0.25
    watch.close()
    assert asyncio.run(first(watch)) == "the end"
    until(lambda: not threads_of_pymilk())
