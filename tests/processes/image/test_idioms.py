"""Idioms of existing scripts with `Image`, beside a second process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pymilk.ImageStreamIOWrap as ISIO
from pymilk import Stream
from pymilk.errors import ImageNotInitializedError

Spawn = Callable[..., Any]


def test_idiom_open_in_a_loop(spawn: Spawn) -> None:
    child = spawn(
        """
import numpy as np
import pymilk.ImageStreamIOWrap as shmio
input()
img = shmio.Image()
img.create("late", np.zeros((3, 2)))
print("made", flush=True)
input()
img.destroy()
"""
    )
    img = ISIO.Image()
    assert img.open("late") == 40
    child.tell()
    while img.open("late") != 0:
        time.sleep(0)
    assert img.md.cnt0 <= 1
    child.expect("made")
    child.tell()
    assert child.finish() == (0, "", "")
    img.close()


def test_idiom_subclass(spawn: Spawn) -> None:
    """A stream class of a script, on top of Image."""
    child = spawn(
        """
import sys
import numpy as np
import pymilk.ImageStreamIOWrap as shmio
img = shmio.Image()
img.create("x", np.zeros((4, 3), np.float32))
print("made", flush=True)
for line in sys.stdin:
    img.write(np.full((4, 3), float(line), np.float32))
img.destroy()
"""
    )
    child.expect("made")
    with pytest.raises(OSError, match="nowhere"), ImageStream("nowhere"):
        pass
    with ImageStream("x") as stream:
        assert stream.semindex == 1
        stream.semflush(stream.semindex)
        for number in (5, 6):
            child.tell(number)
            assert (stream.wait() == number).all()
        stream.write(np.arange(12).reshape(3, 4))
        assert np.array_equal(stream.newest(), np.arange(12).reshape(3, 4))
        assert stream.md.cnt0 == 4
        child.process.stdin.close()
        assert child.process.wait(60) == 0
    with pytest.raises(ImageNotInitializedError):
        stream.semwait(1)
    with ImageStreamOfCube() as cube:
        assert cube.newest().tolist() == [[2.0]]


class ImageStream(ISIO.Image):  # type: ignore[misc]
    """A stream class of a script, with attributes of its own and methods that replace ours."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.semindex = -1
        self._write = super().write

    def __enter__(self) -> Any:
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def open(self) -> None:
        if super().open(self.name) != 0:
            raise OSError(self.name)
        self.buffer = np.array(self, copy=False).T
        self.naxis = self.md.naxis
        self.semindex = self.getsemwaitindex(1)

    def close(self) -> int:
        self.buffer = None
        return super().close()

    def newest(self) -> Any:
        return self.buffer if self.naxis < 3 else self.buffer[self.md.cnt1]

    def write(self, data: Any) -> None:
        self._write(np.asfortranarray(data.T, dtype=self.buffer.dtype))

    def wait(self) -> Any:
        self.semwait(self.semindex)
        return self.newest()


class ImageStreamOfCube(ISIO.Image):  # type: ignore[misc]
    """A cube whose writer tells in cnt1 which slice is the newest."""

    def __enter__(self) -> Any:
        with Stream.create("cube", (3, 1, 1), "f8") as stream:
            stream.view(writable=True)[:] = np.arange(3.0).reshape(3, 1, 1)
            stream.cnt1 = 2
        assert self.open("cube") == 0
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def newest(self) -> Any:
        return np.array(self, copy=False).T[self.md.cnt1]
