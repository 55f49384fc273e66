"""The fuzz target for shared states: whatever bytes a file has, it is read and set within its limits.

python -m fuzz.states --count 20000 --seed 1      # in the directory tests
"""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

import numpy as np

from fuzz.driving import LIMIT, run
from pymilk.channels import SharedState
from pymilk.channels.file import HEADER_NBYTES
from pymilk.errors import ChannelError

__all__ = ["damaged", "drive"]

#: Where the numbers of the header are.
_WORDS = (8, 12, 16, 40, 48, 56, 128, 192, 256, 260)

#: Texts that are types and axes of arrays, or nearly.
_TYPES = (b"<f8 9", b"<f8 3,3", b"|O", b"|V8", b"<U999999", b"<f8 0,999999999,0",
          b"<f8 " + b"1," * 30 + b"1", b"\xff")  # fmt: skip


def _seed(choice: random.Random) -> bytes:
    """Return a file that is well, with some steps behind it."""
    values = (1, 0.5, True, "text", b"\0" * 20, np.arange(9.0), np.zeros((2, 2), "u1"))
    keys = [f"key{number}" for number in range(6)]
    first = {key: choice.choice(values) for key in keys[:2]}
    size = HEADER_NBYTES + choice.choice((1024, 2000, 4096))
    with SharedState.create("seed", first, size, fixed=choice.randrange(3) == 0, replace=True) as state:
        for _ in range(choice.randrange(6)):
            with contextlib.suppress(ChannelError):
                state.update({key: choice.choice(values) for key in choice.sample(keys, 2)})
            if choice.randrange(4) == 0:
                with contextlib.suppress(ChannelError):
                    del state[choice.choice(keys)]
        return Path(state.path).read_bytes()


def damaged(choice: random.Random) -> bytes:
    """Return a file with some damage in it."""
    data = bytearray(_seed(choice))
    image = (len(data) - HEADER_NBYTES) // 16 * 8
    used = HEADER_NBYTES + image * choice.randrange(2)
    for _ in range(choice.randint(0, 8)):
        places = (choice.choice(_WORDS), used + 8 * choice.randrange(4), used + choice.randrange(300))
        at = choice.choice(places)
        kind = choice.randrange(4)
        if kind == 0:
            number = choice.choice((0, 1, 7, 8, image, 2**32 - 1, 2**63, 2**64 - 1, choice.randrange(2**16)))
            data[at : at + 8] = number.to_bytes(8, "little")
        elif kind == 1:
            data[at] = choice.randrange(256)
        elif kind == 2:
            found = data.find(b"<f8 9")
            if found > 0:
                text = choice.choice(_TYPES)
                data[found : found + len(text)] = text
        elif choice.randrange(8) == 0:
            return bytes(data[: choice.randrange(len(data))])
    return bytes(data)


def drive(path: Path, data: bytes) -> None:
    """Do with a file what users do; every error has to be a `ChannelError`, in time."""
    path.write_bytes(data)
    began = time.monotonic()
    with contextlib.suppress(ChannelError), SharedState.attach(path) as state:
        for call in (
            state.as_dict,
            lambda: list(state),
            lambda: state.read(0),
            lambda: state.changed_since(2),
            lambda: state.entry("key1"),
            lambda: state.update(key1=1, other="x" * 50),
            lambda: state.update(key0="y"),
            lambda: state.__delitem__("key0"),
            state.as_dict,
            lambda: state.wait_for_change(state.epoch, 0),
        ):
            with contextlib.suppress(ChannelError):
                call()
    seconds = time.monotonic() - began
    assert seconds < LIMIT, f"{seconds:.1f} s"


if __name__ == "__main__":
    run("fuzz.state.shm", damaged, drive, __doc__)
