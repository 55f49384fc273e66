"""ImageStreamIOWrap, where it is installed: not the package of this name that pymilk brings."""

from __future__ import annotations

import numpy as np

from ..peer import DTYPE, Array, Peer, Reader, Writer, not_installed
from .pymilk_reference import own
from .pymilk_stream import StreamWriter


class WrapWriter(Writer):
    """`Image.write`. Arrays are column-major there."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        from ImageStreamIOWrap import Image

        self._image = Image()
        self._image.create(channel, np.zeros(shape[::-1], DTYPE, order="F"))

    def write(self, frame: Array) -> None:
        self._image.write(frame.T)

    def close(self) -> None:
        self._image.destroy()


class WrapReader(Reader):
    """`Image.copy`, its buffer, and its semaphores."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        from ImageStreamIOWrap import Image

        self._image = Image()
        if self._image.open(channel) != 0:
            raise RuntimeError(f"ImageStreamIOWrap cannot open stream {channel!r}")
        self._index = self._image.getsemwaitindex(0)
        self._image.semflush(self._index)

    def copy(self) -> Array:
        return self._image.copy().T

    def view(self) -> Array:
        return np.array(self._image, copy=False).T

    def next(self, timeout: float) -> Array | None:
        if self._image.semtimedwait(self._index, timeout) != 0:
            return None
        return np.array(self._image, copy=False).T

    def prepare(self, out: Array) -> None:
        self._out = out
        self._image.semflush(self._index)

    def close(self) -> None:
        self._image.close()


class Wrap(Peer):
    """Its own writer for single writes; streams of other tasks are written as for all ISIO peers."""

    key = "imagestreamiowrap"
    title = "ImageStreamIOWrap"
    package = "ImageStreamIOWrap"
    writer_class = StreamWriter
    single_class = WrapWriter
    reader_class = WrapReader

    def missing(self) -> str:
        return not_installed("ImageStreamIOWrap", "build it from its sources") or own("ImageStreamIOWrap")


PEER = Wrap()
