"""Code as users write it; type-checked, not run."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import pymilk
from pymilk.errors import MultiCaptureError, StreamTimeoutError
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


def several(shm: pymilk.SHM) -> npt.NDArray[Any]:
    """Capture several streams, and look up the frames that belong together."""
    try:
        many = pymilk.capture_many({"wfs": 1000, "psf": shm, "dm": None}, {"psf": 100, "dm": 5})
        many = pymilk.capture_many(["wfs", shm], seconds=10.0, background=True).join()
    except MultiCaptureError as error:
        print({label: str(reason) for label, reason in error.errors.items()})
        many = error.captures
    lost: int = many.report.streams["wfs"].lost
    rows: pymilk.Alignment = many.aligned("time", key={"wfs": "atime_ns", "psf": "arrival_ns"}).complete()
    index: npt.NDArray[np.int64] = rows["psf"]
    print(lost, rows.lost["psf"].sum(), [capture.received for capture in many.values()])
    return many["psf"].frames[index]


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


def to_disk() -> tuple[int, npt.NDArray[Any]]:
    """Record, and read back."""
    with pymilk.Recorder("typed", "typed.npy", frames=100) as recorder:
        report: pymilk.RecordReport = recorder.wait()
    lost: int = pymilk.record({"wfs": "wfs.npy"}, seconds=1.0).streams["wfs"].lost
    with pymilk.load("typed.npy") as recording:
        gaps: npt.NDArray[Any] = recording.gaps
    return report.lost + lost, gaps
