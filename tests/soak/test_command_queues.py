"""A command queue whose slots are used again at once, by callers that wait, leave, and throw tickets away."""

from __future__ import annotations

import os
import time

import pytest

from pymilk.channels import CommandQueue
from support.waiting import until

SECONDS = float(os.environ.get("PYMILK_STORM_SECONDS", "5"))

RACES = "from support import queue_races; queue_races.main()"

#: Does each command at most once, and says at the end which. Answers at once, or after the caller has left.
TAKER = """
import random, sys, time
from pymilk import errors
from pymilk.channels import CommandQueue
queue = CommandQueue.attach("queue", spin=float(sys.argv[1]))
print("ready", flush=True)
choice, done = random.Random(sys.argv[2]), []
try:
    while True:
        command = queue.take(60)
        data = command.data
        if choice.randrange(4) == 0:
            time.sleep(choice.random() * 3e-4)
        done.append(data)
        command.reply(data[::-1] * (1 + data[-1] % 3))
except errors.ChannelRemovedError:
    print(len(done), *(data.hex() for data in done))
"""

#: Sends commands no two of which are the same, and says at the end what became of them.
CALLER = """
import random, struct, sys, time
from pymilk import errors
from pymilk.channels import CommandQueue
name, seconds = int(sys.argv[2]), float(sys.argv[3])
queue = CommandQueue.attach("queue", spin=float(sys.argv[1]))
choice, fates = random.Random(name), {"done": [], "not started": [], "started, unknown": [], "thrown": []}
tickets = []
end = time.monotonic() + seconds
number = 0

def check(data, reply):
    fates[reply.state].append(data)
    wanted = data[::-1] * (1 + data[-1] % 3) if reply.state == "done" else None
    assert reply.data == wanted and not reply.error, (data, reply)

while time.monotonic() < end:
    number += 1
    data = struct.pack("<BI", name, number)
    try:
        ticket = queue.send(data, 0.001)
    except errors.ChannelFullError:
        number -= 1
    else:
        how = choice.randrange(5)
        if how == 0:
            tickets.append((data, ticket))  # its reply is read later
        elif how == 1:
            fates["thrown"].append(data)
            if choice.randrange(2):
                time.sleep(choice.random() * 1e-4)
        elif how == 2:
            if choice.randrange(2):
                time.sleep(choice.random() * 1e-4)
            check(data, ticket.leave())
        else:
            try:
                check(data, ticket.wait(choice.random() * 2e-4))
            except errors.ChannelTimeoutError:
                check(data, ticket.leave())
        del ticket  # here, thrown away while it may be read
    while tickets and (len(tickets) > 1 or choice.randrange(3) == 0):
        data, ticket = tickets.pop(0)
        check(data, ticket.wait(60))
for data, ticket in tickets:
    check(data, ticket.wait(60))
print(number)
for fate in fates:
    print(*(data.hex() for data in fates[fate]))
"""


def test_slots_that_are_used_again_at_once(spawn):
    """Every reply is that of its command; what was not started was not done, and all else once."""
    for slots, spin in ((1, 0.0), (3, 2e-6), (4, 1e-4)):
        with CommandQueue.create("queue", slots=slots, size=16, replace=True) as queue:
            takers = [spawn(TAKER, spin, number) for number in range(2)]
            for taker in takers:
                taker.expect("ready")
            callers = [spawn(CALLER, spin, name, SECONDS) for name in range(3)]
            fates: list[set[str]] = [set(), set(), set(), set()]
            sent = 0
            for caller in callers:
                code, out, err = caller.finish(timeout=SECONDS + 100)
                assert (code, err) == (0, "")
                lines = out.split("\n")
                sent += int(lines[0])
                for fate, line in zip(fates, lines[1:], strict=False):
                    fate.update(line.split())
            until(lambda queue=queue: queue.waiting == queue.started == 0)
            assert queue.count == sent
            assert sum(map(len, fates)) == sent
            time.sleep(0.01)
            assert not queue._in_use(), "replies that nobody waits for hold no slot"
            queue.remove()
        found: list[str] = []
        for taker in takers:
            code, out, err = taker.finish(timeout=100)
            assert (code, err) == (0, "")
            found += out.split()[1:]
        done, not_started, unknown, thrown = fates
        assert len(found) == len(set(found)), "a command was taken twice"
        assert set(found) == done | unknown | thrown
        assert not not_started & set(found)
        assert min(map(len, fates)) > 10, "each of the fates has to be seen"


def test_leaving_between_the_steps_of_others(spawn):
    """The slot is used again between any two instructions of a caller that leaves."""
    code, out, err = spawn(RACES, 30).finish(timeout=110)
    assert (code, err) == (0, ""), err
    if out.strip() == "not permitted":
        pytest.skip("processes may not be traced here")
    assert out.strip() == "60"
