"""Another program that makes and writes streams, in Python; second processes import it too."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import time
from typing import Any

import numpy as np

from support import isio_format


def create_foreign(
    path: Any, shape: Any = (16, 16), ring: int = 0, kind: str = "fast", code: int = 7
) -> None:
    """Create a stream as another program does: delete what is there, then make the file."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    options: dict[str, Any] = {}
    if kind == "temporal":
        shape = (ring, *shape)
        options["imagetype"] = isio_format.TEMPORAL_RING
    else:
        options["cbsize"] = ring
    name = os.path.basename(path).split(".")[0]
    stream = isio_format.fresh(name, shape[::-1], code, **options)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    stream.inode = os.fstat(handle).st_ino
    data = isio_format.encode(stream)
    # The version comes last, and with it the stream is ready.
    os.ftruncate(handle, len(data))
    os.pwrite(handle, data[32:], 32)
    os.pwrite(handle, data[:32], 0)
    os.close(handle)


class Foreign:
    """Another program that writes a stream: it knows the file format and sem_post, not pymilk."""

    def __init__(self, path: Any, shape: Any = (32, 32), nbkw: int = 50, nbsem: int = 10) -> None:
        handle = os.open(path, os.O_RDWR)
        self.file = mmap.mmap(handle, 0)
        os.close(handle)
        place = isio_format.OFFSETS["default"]
        code = self.file[place["datatype"]]
        table = isio_format.section_table(shape[::-1], code, nbkw=nbkw, nbsem=nbsem)
        dtype = isio_format.DATATYPES[code]

        def array(dtype: str, count: int, offset: int) -> Any:
            return np.frombuffer(self.file, dtype, count, offset)

        self.pixels = array(dtype, int(np.prod(shape)), table["array"].offset)
        self.cnt0 = array("<u8", 1, place["cnt0"])
        self.write = array("u1", 1, place["write"])
        self.lastaccess = array("<i8", 2, place["lastaccesstime"])
        first = self.pixels.ctypes.data - table["array"].offset + table["semfile"].offset
        self.semaphores = [ctypes.c_void_p(first + 32 * k) for k in range(nbsem)]
        self.libc = ctypes.CDLL(None)

    def open(self, number: int) -> None:
        self.write[0] = 1

    def fill(self, number: int) -> None:
        self.pixels[:] = number

    def half(self, number: int) -> None:
        self.pixels[: len(self.pixels) // 2] = number

    def post(self, number: int) -> None:
        value = ctypes.c_int()
        for semaphore in self.semaphores:
            self.libc.sem_getvalue(semaphore, ctypes.byref(value))
            if value.value < 10:
                self.libc.sem_post(semaphore)

    def stamp(self, number: int) -> None:
        self.lastaccess[:] = divmod(time.clock_gettime_ns(11), 1_000_000_000)

    def count(self, number: int) -> None:
        self.cnt0[0] = number

    def close(self, number: int) -> None:
        self.write[0] = 0

    def publish(self, number: int, steps: str) -> None:
        for step in steps.split():
            getattr(self, step)(number)
