"""The thread that waits for all who wait beside other work: what it cannot do ends no wait of others."""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Iterator

import pytest

from pymilk.channels import MessageLog
from pymilk.errors import StreamStorageError
from pymilk.streams import watching
from support.faults import Failing, each_fault, threads_run_out, within


@pytest.fixture
def log(shm_dir: object) -> Iterator[MessageLog]:
    with MessageLog.create("app", 8192) as made:
        yield made


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[watching.Watcher]:
    """One of its own, so that others are not disturbed."""
    made = watching.Watcher()
    monkeypatch.setattr(watching, "_watcher", made)
    monkeypatch.setattr(watching, "_LINGER", 0.005)
    yield made
    within(made.close)


def readable(number: int, seconds: float = 30.0) -> bool:
    return bool(select.select([number], [], [], seconds)[0])


@pytest.mark.parametrize("place", ["wait_for_any", "_wait"])
@each_fault
def test_who_waits_looks_for_itself(
    log: MessageLog,
    watcher: watching.Watcher,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: BaseException,
    place: str,
) -> None:
    """A descriptor becomes readable, and the next wait is begun by a new thread."""
    if isinstance(fault, watching.StreamError) and place == "wait_for_any":
        pytest.skip("it says that a source has ended")
    caplog.set_level(logging.WARNING, "pymilk")
    failing = Failing(fault)
    with MessageLog.attach("app") as reader:
        with monkeypatch.context() as patched:
            patched.setattr(watching if place == "wait_for_any" else watching.Watcher, place, failing)
            number = reader.fileno()
            assert readable(number)
            assert failing.called.is_set()
        assert "all who wait look for themselves" in caplog.text
        while reader.read_many(1):
            pass
        log.append("news")
        assert readable(number)
        assert reader.read(30).data == "news"


def test_who_cannot_be_told_is_nothing_to_others(
    log: MessageLog, watcher: watching.Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MessageLog.attach("app") as one, MessageLog.attach("app") as other:
        failing = Failing(ZeroDivisionError("unforeseen"), watching._rung, 1)
        monkeypatch.setattr(watching, "_rung", failing)
        numbers = [each.fileno() for each in (one, other)]
        log.append("news")
        assert select.select(numbers, [], [], 30)[0]
        assert failing.called.wait(30)
        assert all(readable(number) for number in numbers)


def test_without_a_thread(log: MessageLog, watcher: watching.Watcher) -> None:
    async def read() -> object:
        with MessageLog.attach("app") as reader:
            return await reader.read_async(30)

    with threads_run_out(), pytest.raises(StreamStorageError, match="no thread"):
        asyncio.run(read())
    assert watcher._watches == []

    async def both() -> object:
        with MessageLog.attach("app") as reader:
            task = asyncio.create_task(reader.read_async(30))
            await asyncio.sleep(0)
            log.append("news")
            return await task

    assert asyncio.run(both())
