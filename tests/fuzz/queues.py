"""The fuzz target for command queues: whatever bytes a file has, it is used within its limits.

python -m fuzz.queues --count 20000 --seed 1      # in the directory tests
"""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

from fuzz.driving import LIMIT, run
from pymilk.channels import CommandQueue
from pymilk.channels.file import HEADER_NBYTES
from pymilk.errors import ChannelError

__all__ = ["damaged", "drive"]

#: Where the numbers of the header are.
_WORDS = (8, 12, 16, 40, 48, 56, 128, 256, 260, 320)


def _seed(choice: random.Random) -> bytes:
    """Return a file that is well, with commands in several states."""
    slots = choice.choice((1, 2, 5))
    with CommandQueue.create("seed", slots, choice.choice((8, 64)), replace=True) as queue:
        tickets, commands = [], []
        for number in range(choice.randrange(slots + 1)):
            tickets.append(queue.send(b"%d" % number))
            if choice.randrange(2):
                commands.append(queue.take(0))
                if choice.randrange(2):
                    commands[-1].reply(b"r")
        return Path(queue.path).read_bytes()


def damaged(choice: random.Random) -> bytes:
    """Return a file with some damage in it."""
    data = bytearray(_seed(choice))
    for _ in range(choice.randint(0, 8)):
        at = choice.choice((choice.choice(_WORDS), HEADER_NBYTES + 8 * choice.randrange(8 * 2)))
        number = choice.choice((0, 1, 2, 7, 15, 2**31 - 1, 2**32 - 1, 2**64 - 1, choice.randrange(2**64)))
        data[at : at + 8] = number.to_bytes(8, "little")
        if choice.randrange(40) == 0:
            return bytes(data[: choice.randrange(len(data))])
    return bytes(data)


def drive(path: Path, data: bytes) -> None:
    """Do with a file what users do; every error has to be a `ChannelError`, in time."""
    path.write_bytes(data)
    began = time.monotonic()
    with contextlib.suppress(ChannelError), CommandQueue.attach(path) as queue:
        with contextlib.suppress(ChannelError):
            for _ in range(queue.slots + 1):
                with queue.take(0) as command:
                    command.reply(b"y")
        with contextlib.suppress(ChannelError):
            queue._sweep()
        with contextlib.suppress(ChannelError):
            ticket = queue.send(b"x")
            queue.take(0).reply(b"y")
            ticket.wait(0)
        queue.call(b"x", timeout=0)
    seconds = time.monotonic() - began
    assert seconds < LIMIT, f"{seconds:.1f} s"


if __name__ == "__main__":
    run("fuzz.cmd.shm", damaged, drive, __doc__)
