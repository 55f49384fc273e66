"""Waiting for channels at once: Ctrl-C, forks, the end of the interpreter, killed writers."""

from __future__ import annotations

import asyncio
import signal
import time
from textwrap import indent

import pytest

import pymilk
from pymilk.channels import CommandQueue, MessageLog, Table

PRELUDE = """
import asyncio, os, select, sys, threading, time
import pymilk
from pymilk import errors
from pymilk.channels import MessageLog, Table
logs = [MessageLog.attach(f"log{k}") for k in range(3)]
table = Table.attach("table")
"""

WAITS = {
    "wait_any": "pymilk.wait_any([*logs, table])",
    "asyncio": "asyncio.run(logs[0].read_async())",
    "async for": """
async def main():
    async for _ in table:
        pass
asyncio.run(main())""",
    "select": "select.select([*logs, table], [], [])",
}


@pytest.fixture
def channels():
    logs = [MessageLog.create(f"log{k}") for k in range(3)]
    with Table.create("table", [("x", "f8")]) as table:
        yield logs, table
    for log in logs:
        log.close()


@pytest.mark.parametrize("what", WAITS)
def test_interrupted_at_once(channels, spawn, what):
    child = spawn(PRELUDE + f"""
try:
    print("ready", flush=True)
{indent(WAITS[what], "    ")}
except KeyboardInterrupt:
    print("interrupted", flush=True)
""")
    child.expect("ready")
    time.sleep(0.3)
    began = time.monotonic()
    child.process.send_signal(signal.SIGINT)
    child.expect("interrupted")
    assert time.monotonic() - began < 5
    assert child.finish() == (0, "", "")


@pytest.mark.parametrize("what", WAITS)
def test_the_interpreter_ends_with_a_thread_that_waits(channels, spawn, what):
    child = spawn(PRELUDE + f"""
code = {WAITS[what]!r}
threading.Thread(target=exec, args=[code, globals()], daemon=True).start()
time.sleep(0.3)
print("ready", flush=True)
""")
    child.expect("ready")
    began = time.monotonic()
    assert child.finish() == (0, "", "")
    assert time.monotonic() - began < 5


def test_no_time_of_the_processor_is_used(channels, spawn):
    child = spawn(PRELUDE + """
for each in (*logs, table):
    each.fileno()
before = time.process_time()
select.select([*logs, table], [], [], 2)
try:
    pymilk.wait_any([*logs, table], timeout=2)
except errors.StreamTimeoutError:
    pass
print(time.process_time() - before)
""")
    assert float(child.hear()) < 0.4  # of 4 s
    assert child.finish() == (0, "", "")


def test_child_after_fork_waits_for_itself(channels, spawn):
    logs, _ = channels
    child = spawn(PRELUDE + """
before = logs[0].fileno()
async def main():
    return (await logs[1].read_async(30)).data
print("ready", flush=True)
sys.stdin.readline()
pid = os.fork()
assert select.select([logs[0]], [], [], 30)[0]
assert logs[0].read(0).data == b"0"
assert asyncio.run(main()) == b"1"
if pid == 0:
    os._exit(0)
print(os.waitpid(pid, 0)[1], flush=True)
""")
    child.expect("ready")
    child.tell()
    time.sleep(0.3)
    for k in (0, 1):
        logs[k].append(b"%d" % k)
    child.expect("0")
    assert child.finish() == (0, "", "")


def test_no_wake_up_is_lost_beside_fast_writers(channels, spawn):
    """Each of many messages is waited for; none is missed, whatever the timing."""
    logs, _ = channels
    child = spawn(PRELUDE + """
echo = MessageLog.create("echo")
print("ready", flush=True)
for _ in range(3000):
    for k in pymilk.wait_any(logs, timeout=30):
        for data in logs[k].read_many():
            echo.append(data)
""")
    child.expect("ready")
    with MessageLog.attach("echo") as echo:
        for number in range(3000):
            logs[number % 3].append(b"%d" % number)
            assert pymilk.wait_any([echo], timeout=30) == [0]
            assert echo.read(0).data == b"%d" % number
    assert child.finish() == (0, "", "")


TAKING = """
import asyncio, sys
from pymilk.channels import CommandQueue
queue = CommandQueue.attach("queue")
async def main():
    async for command in queue:
        if command.data == b"die":
            print("taken", flush=True)
            sys.stdin.readline()
        command.reply(command.data + b" done")
print("ready", flush=True)
asyncio.run(main())
"""


def test_commands_of_tasks_of_another_process_that_dies(spawn):
    async def call(queue: CommandQueue, child) -> None:
        for number in range(200):
            assert (await queue.send(b"%d" % number)).data == b"%d done" % number
        ticket = queue.send(b"die")
        child.expect("taken")
        child.kill()
        began = time.monotonic()
        assert (await asyncio.wait_for(ticket.wait_async(), 30)).state == "started, unknown"
        assert time.monotonic() - began < 1

    with CommandQueue.create("queue", slots=2, size=32) as queue:
        child = spawn(TAKING)
        child.expect("ready")
        asyncio.run(call(queue, child))
