"""The fuzz target for message logs: whatever bytes a file has, it is read and written within its limits.

python -m fuzz.logs --count 20000 --seed 1      # in the directory tests
"""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

from fuzz.driving import LIMIT, run
from pymilk.channels import MessageLog
from pymilk.channels.log import HEADER_NBYTES
from pymilk.errors import ChannelError

__all__ = ["damaged", "drive"]

#: Where the numbers are that readers and writers go by.
_WORDS = (8, 12, 16, 40, 128, 136, 144, 192, 256, 260)


def _seed(choice: random.Random) -> bytes:
    """Return a file that is well, with some laps behind it."""
    size = HEADER_NBYTES + choice.choice((1024, 2000, 4096))
    with MessageLog.create("seed", size, replace=True) as log:
        for _ in range(choice.randrange(60)):
            log.append(choice.randbytes(choice.randrange(200)))
        return Path(log.path).read_bytes()


def damaged(choice: random.Random) -> bytes:
    """Return a file with some damage in it."""
    data = bytearray(_seed(choice))
    for _ in range(choice.randint(0, 8)):
        at = choice.choice((choice.choice(_WORDS), choice.randrange(HEADER_NBYTES, len(data)) & ~7))
        number = choice.choice((0, 1, 7, 8, 2**32 - 1, 2**63, 2**64 - 1, choice.randrange(2**16), len(data)))
        kind = choice.randrange(4)
        if kind == 0:
            data[at : at + 8] = number.to_bytes(8, "little")
        elif kind == 1:
            old = int.from_bytes(data[at : at + 8], "little")
            data[at : at + 8] = ((old + choice.choice((-8, -1, 1, 8, 1024))) % 2**64).to_bytes(8, "little")
        elif kind == 2:
            data[at : at + 4] = choice.randbytes(4)
        elif choice.randrange(8) == 0:
            return bytes(data[: choice.randrange(len(data))])
    return bytes(data)


def drive(path: Path, data: bytes) -> None:
    """Do with a file what users do; every error has to be a `ChannelError`, in time."""
    path.write_bytes(data)
    began = time.monotonic()
    for start in ("now", "oldest"):
        with contextlib.suppress(ChannelError), MessageLog.attach(path, start=start) as log:
            for _ in range(100):
                log.read(timeout=0)
        with contextlib.suppress(ChannelError), MessageLog.attach(path, start=start) as log:
            while len(log.read_many(7)):
                pass
    with contextlib.suppress(ChannelError), MessageLog.attach(path, start="oldest") as reader:
        for writers in ("one", "many"):
            with MessageLog.attach(path, write=True, writers=writers) as log:
                for _ in range(5):
                    log.append(b"x" * 100)
            reader.read_many()
    seconds = time.monotonic() - began
    assert seconds < LIMIT, f"{seconds:.1f} s"


if __name__ == "__main__":
    run("fuzz.msg.shm", damaged, drive, __doc__)
