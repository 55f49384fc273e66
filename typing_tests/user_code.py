"""Code as users write it; type-checked, not run."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import pymilk
from pymilk.errors import StreamTimeoutError
from pymilk.interfacing.isio_shmlib import SHM as OldPathSHM


def write(frame: npt.NDArray[np.uint16]) -> int:
    """Create a stream and publish."""
    with pymilk.SHM("typed", frame, symcode=4, triDim=pymilk.Which3DState.LAST2LAST) as shm:
        shm.set_data(frame)
        shm["EXPTIME"] = 0.001
        counter: int = shm.get_counter()
        shape: tuple[int, ...] = shm.shape
        return counter + len(shape)


def read() -> npt.NDArray[Any] | None:
    """Wait for a frame and capture some."""
    shm = OldPathSHM("typed")
    frame = shm.get_data(check=True, timeout=1.0)
    frames: list[npt.NDArray[Any]] = shm.multi_recv_data(10)
    try:
        capture = shm.capture(100, wait="spin", background=True).join()
    except StreamTimeoutError as error:
        return error.capture.frames if error.capture else None
    lost: int = capture.report.lost
    rows = capture.info["cnt0"]
    print(lost, rows, len(frames), frame)
    return capture.frames


def low_level() -> int:
    """Use the compiled layer."""
    with pymilk.Stream.create("typed", (4, 4), np.float32, nbkw=5, layout="default") as stream:
        with stream.claim() as pixels:
            pixels[:] = 1
        reader = stream.reader()
        out = np.empty((10, *stream.shape), stream.dtype)
        info = np.zeros(10, pymilk.FRAME_ROW)
        received: int = reader.receive(out, info, timeout=None)
        stream.write_keywords([pymilk.Keyword("A", 1, "comment"), ("B", 2.5)])
        return received
