"""Waiting for channels and streams at once, by tasks of asyncio, and by descriptors."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

import pymilk
from pymilk import errors
from pymilk._core import Stream
from pymilk.channels import AudioStream, MessageLog, Table, VideoStream
from pymilk.native.waitany import sleep_on_futexes
from pymilk.streams.watching import _watcher
from support.waiting import PATIENCE, until

KINDS = ("log", "table", "video", "audio")


def write(channel: object) -> None:
    """Write something to a channel of any kind."""
    if isinstance(channel, VideoStream):
        channel.write(np.zeros((2, 2, 3), np.uint8))
    elif isinstance(channel, AudioStream):
        channel.write(np.zeros((4, 2), np.int16))
    else:
        channel.append(b"x" if isinstance(channel, MessageLog) else (1.0,))


def read(channel: object) -> object:
    return channel.read(timeout=0)


@pytest.fixture
def channels() -> Iterator[tuple[dict[str, object], dict[str, object]]]:
    """Writers and readers of all kinds."""
    writers = {
        "log": MessageLog.create("log"),
        "table": Table.create("table", [("x", "f8")]),
        "video": VideoStream.create("video", 2, 2),
        "audio": AudioStream.create("audio", 4),
    }
    readers = {name: type(each).attach(name) for name, each in writers.items()}
    yield writers, readers
    for each in (*readers.values(), *writers.values()):
        each.close()


@pytest.fixture(params=[True, False], ids=["futexes", "short sleeps"])
def futexes(request: pytest.FixtureRequest) -> Iterator[bool]:
    """With and without a kernel that sleeps on several futexes."""
    before = sleep_on_futexes(request.param)
    yield request.param
    sleep_on_futexes(before)


@pytest.mark.usefixtures("futexes")
def test_wait_any_is_woken_by_each_of_all_kinds(channels):
    writers, readers = channels
    with Stream.create("cam", (2,), np.uint8) as stream, pymilk.SHM("cam") as shm:
        items = [shm, *readers.values()]
        calls = [lambda: stream.publish(np.zeros(2, np.uint8))]
        calls += [lambda each=each: write(each) for each in writers.values()]
        takes = [lambda: shm.get_data(check=False)]
        takes += [lambda each=each: read(each) for each in readers.values()]
        for k in [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 1]:
            timer = threading.Timer(0.01, calls[k])
            timer.start()
            assert pymilk.wait_any(items, timeout=PATIENCE) == [k]
            timer.join()
            takes[k]()
        with pytest.raises(errors.StreamTimeoutError, match="none of 5 streams and channels"):
            pymilk.wait_any(items, timeout=0.002)
        for k in (4, 1):
            calls[k]()
        assert pymilk.wait_any(items) == [1, 4]


@pytest.mark.usefixtures("futexes")
def test_more_than_the_kernel_waits_for_at_once():
    logs = [MessageLog.create(f"log{k}", 8192) for k in range(130)]
    readers = [MessageLog.attach(f"log{k}") for k in range(130)]
    for k in (0, 129, 127, 128):
        timer = threading.Timer(0.005, logs[k].append, ["x"])
        timer.start()
        assert pymilk.wait_any(readers, timeout=PATIENCE) == [k]
        timer.join()
        readers[k].read(0)
    for each in (*logs, *readers):
        each.close()


def test_the_kernel_here_sleeps_on_futexes():
    """Else the tests above test short sleeps twice."""
    if tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) < (5, 16):
        pytest.skip("Linux older than 5.16")
    with (
        MessageLog.create("log"),
        MessageLog.attach("log") as reader,
        pytest.raises(errors.StreamTimeoutError),
    ):
        pymilk.wait_any([reader], timeout=0.001)
    assert sleep_on_futexes(True)


@pytest.mark.usefixtures("futexes")
@pytest.mark.parametrize("how", ["removed", "deleted", "closed"])
def test_a_log_that_is_gone_ends_the_wait(channels, how):
    writers, readers = channels
    calls = {
        "removed": writers["log"].remove,
        "deleted": lambda: os.unlink(writers["log"].path),
        "closed": readers["log"].close,
    }
    timer = threading.Timer(0.01, calls[how])
    timer.start()
    with pytest.raises((errors.ChannelRemovedError, errors.ChannelClosedError)):
        pymilk.wait_any(list(readers.values()), timeout=PATIENCE)
    timer.join()


def test_readers_that_may_not_write_look(channels):
    writers, _ = channels
    path = writers["log"].path
    os.chmod(path, 0o444)
    with MessageLog.attach("log") as reader:
        timer = threading.Timer(0.01, write, [writers["log"]])
        timer.start()
        assert pymilk.wait_any([reader], timeout=PATIENCE) == [0]
        timer.join()


# -- asyncio


@pytest.mark.parametrize("kind", KINDS)
def test_task_is_woken(channels, kind):
    writers, readers = channels
    reader, writer = readers[kind], writers[kind]

    async def main() -> None:
        task = asyncio.create_task(reader.read_async())
        await asyncio.sleep(0.002)
        assert not task.done()
        write(writer)
        await asyncio.wait_for(task, PATIENCE)
        write(writer)
        await reader.read_async(timeout=0)
        with pytest.raises(errors.ChannelTimeoutError, match=r"within 0\.002 s"):
            await reader.read_async(timeout=0.002)
        write(writer)
        write(writer)
        found = 0
        async for each in reader:
            found += len(each) if kind == "table" else 1
            if found == 2:
                break

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_task_loses_nothing(channels, kind):
    writers, readers = channels
    reader, writer = readers[kind], writers[kind]

    async def main() -> None:
        for _ in range(20):
            task = asyncio.create_task(reader.read_async())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - began < 0.2
        write(writer)
        await reader.read_async(timeout=PATIENCE)

    asyncio.run(main())
    assert reader.lost == 0


def test_many_tasks_and_loops_beside_each_other(channels):
    writers, _ = channels
    others = [MessageLog.attach("log") for _ in range(20)]
    woken = []

    async def one(log: MessageLog) -> None:
        woken.append((await log.read_async(PATIENCE)).data)

    async def main(logs: list[MessageLog]) -> None:
        await asyncio.gather(*[one(log) for log in logs])

    loops = [threading.Thread(target=asyncio.run, args=[main(others[k::2])]) for k in (0, 1)]
    for each in loops:
        each.start()
    until(lambda: len(_watcher._watches) >= 20)
    writers["log"].append(b"all")
    for each in loops:
        each.join(PATIENCE)
    assert woken == [b"all"] * 20
    for each in others:
        each.close()


def test_task_learns_that_its_channel_is_gone(channels):
    writers, readers = channels

    async def main() -> None:
        for kind, error in (
            ("log", errors.ChannelRemovedError),
            ("table", errors.ChannelRemovedError),
        ):
            task = asyncio.create_task(readers[kind].read_async())
            await asyncio.sleep(0.002)
            writers[kind].remove()
            with pytest.raises(error):
                await asyncio.wait_for(task, PATIENCE)
        task = asyncio.create_task(readers["video"].read_async())
        await asyncio.sleep(0.002)
        readers["video"].close()
        with pytest.raises(errors.StreamClosedError):
            await asyncio.wait_for(task, PATIENCE)

    asyncio.run(main())


# -- descriptors


def readable(channel: object, seconds: float = 0.0) -> bool:
    return bool(select.select([channel], [], [], seconds)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_descriptor_is_readable_while_there_is_something(channels, kind):
    writers, readers = channels
    reader, writer = readers[kind], writers[kind]
    number = reader.fileno()
    assert number == reader.fileno() >= 0
    for _ in range(5):
        assert not readable(reader)
        write(writer)
        assert readable(reader, PATIENCE)
        write(writer)
        read(reader)
        if kind != "table":  # whose read takes all
            assert readable(reader)
            read(reader)
        # It may be readable for once: what is read then is a timeout, and lowers it.
        if readable(reader):
            with pytest.raises(errors.ChannelTimeoutError):
                read(reader)
    assert not readable(reader)
    reader.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


def test_descriptor_in_an_event_loop(channels):
    writers, readers = channels
    log = readers["log"]

    async def main() -> list[bytes]:
        found, loop, all_of_it = [], asyncio.get_running_loop(), asyncio.Event()

        def ready() -> None:
            found.extend(log.read_many())
            if len(found) == 30:
                all_of_it.set()

        loop.add_reader(log.fileno(), ready)
        for number in range(30):
            writers["log"].append(b"%d" % number)
            await asyncio.sleep(0.001)
        await asyncio.wait_for(all_of_it.wait(), PATIENCE)
        loop.remove_reader(log.fileno())
        return found

    assert asyncio.run(main()) == [b"%d" % number for number in range(30)]


def test_descriptor_tells_of_the_end(channels):
    writers, readers = channels
    readers["log"].fileno()
    writers["log"].remove()
    assert readable(readers["log"], PATIENCE)
    with pytest.raises(errors.ChannelRemovedError):
        read(readers["log"])
    assert readable(readers["log"])
    readers["table"].close()
    with pytest.raises(errors.StreamClosedError):
        readers["table"].fileno()
    readers["log"].close()
    with pytest.raises(errors.ChannelClosedError):
        readers["log"].fileno()


def test_reader_that_nobody_has_any_more_is_collected(channels):
    with MessageLog.create("other"):
        reader = MessageLog.attach("other")
        number = reader.fileno()
        os.fstat(number)
        del reader
        gc.collect()
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(number)


def test_thread_ends_when_nobody_waits(channels, monkeypatch):
    monkeypatch.setattr("pymilk.streams.watching._LINGER", 0.01)
    writers, readers = channels

    async def main() -> None:
        task = asyncio.create_task(readers["log"].read_async())
        await asyncio.sleep(0.002)
        assert _watcher._thread is not None
        write(writers["log"])
        await task

    for _ in range(3):
        asyncio.run(main())
        until(lambda: _watcher._thread is None)
