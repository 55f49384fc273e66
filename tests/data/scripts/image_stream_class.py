"""A class of its own on the wrapper, as control software has it."""

import ImageStreamIOWrap as shmio
import numpy as np


class ImageStream(shmio.Image):
    """A stream with context manager and own attributes."""

    def __init__(self, name):
        super().__init__()
        self.name = name
        self.semindex = None
        self._write = super().write

    def open(self):
        if super().open(self.name) != 0:
            raise RuntimeError(f"cannot open {self.name}")
        self.semindex = self.getsemwaitindex(1)
        return self

    def __enter__(self):
        return self.open()

    def __exit__(self, *exc):
        self.close()

    @property
    def buffer(self):
        return np.array(self, copy=False).T

    def newest(self):
        return self.buffer if self.md.naxis < 3 else self.buffer[self.md.cnt1]

    def write(self, array):
        self._write(np.asfortranarray(array.T, dtype=self.buffer.dtype))


def timed_out(stream, seconds):
    return stream.semtimedwait(stream.semindex, seconds) != 0


with ImageStream("camera") as camera:
    assert camera.semindex >= 0
    camera.semflush(camera.semindex)
    assert not timed_out(camera, 5.0)
    assert camera.newest().shape == (120, 160)
    assert tuple(camera.md.size[: camera.md.naxis]) == (160, 120) == camera.shape
    camera.semflush(camera.semindex)
    count = camera.md.cnt0
    for _ in range(3):
        assert camera.semtimedwait(camera.semindex, 5) == 0
    assert camera.md.cnt0 > count
try:
    print(camera.md)
except RuntimeError as error:
    assert str(error) == "image not initialized"
else:
    raise AssertionError("a closed image answers")

maker = shmio.Image()
maker.create("command", np.zeros((11, 11)), -1, True, 8, 1, shmio.ImageStreamIODataType.FLOAT, 1)
with ImageStream("command") as command:
    command.write(np.ones((11, 11)))
    assert command.md.cnt0 == 2
    assert (np.array(maker) == 1).all()
    assert command.md.datatype == shmio.ImageStreamIODataType.DOUBLE
    assert command.md.sem == 8
maker.destroy()
print("done")
