"""Recordings in each format."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import FRAME_ROW, SHM, Recorder, Recording, load

LIBRARIES = {
    "fits": "astropy", "h5": "h5py", "hdf5": "h5py", "zarr": "zarr",
    "h5+fast": "hdf5plugin", "h5+small": "hdf5plugin", "h5+hurried": "hdf5plugin",
}  # fmt: skip


def format_parameters(*names: str) -> list[Any]:
    """Parameters of tests, left out where the library is missing; behind a plus is what else they say."""
    import importlib.util

    parameters = []
    for name in names:
        library = LIBRARIES.get(name, LIBRARIES.get(name.partition("+")[0]))
        missing = library is not None and importlib.util.find_spec(library) is None
        parameters.append(pytest.param(name, marks=pytest.mark.skipif(missing, reason=f"needs {library}")))
    return parameters


EACH_FORMAT = pytest.mark.parametrize("suffix", format_parameters("npy", "fits", "h5", "zarr"))

#: Formats that bring frames to the disk once a second.
EACH_HELD = pytest.mark.parametrize("suffix", format_parameters("npy", "fits", "zarr"))

#: Formats of one growing file of frames, as they are.
EACH_CUBE = pytest.mark.parametrize("suffix", format_parameters("npy", "fits"))


#: A header for a sink without a recorder.
SINK_HEADER: dict[str, Any] = {
    "stream": "cam", "first_ns": 1, "dtype": "uint16", "shape": [5, 7], "stream_shape": [5, 7], "symcode": 4,
    "axes": "frames[k, y, x]", "squeeze": True, "clock": "", "pymilk": "1", "started_ns": 1, "part": None,
    "ended": "running", "keywords": [], "frames": 0, "lost": 0, "tri_dim": 0, "tai_offset": 0,
    "complete": False,
}  # fmt: skip


def sink_rows(first: int, last: int) -> np.ndarray:
    """Rows of frames of these places, from 0; frame k has the number k + 1."""
    info = np.zeros(last - first, FRAME_ROW)
    info["cnt0"] = info["arrival_ns"] = np.arange(first + 1, last + 1)
    return info


def images(count: int, shape: tuple[int, ...] = (5, 7), dtype: Any = np.uint16) -> np.ndarray:
    """Frames that differ in each pixel, over the whole range of an integer type."""
    random = np.random.default_rng(count)
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return random.integers(limits.min, limits.max, (count, *shape), kind, endpoint=True)
    made = random.standard_normal((count, *shape))
    return (made + 1j * made[::-1] if kind.kind == "c" else made).astype(kind)


def recorded(shm: SHM, path: Path, frames: np.ndarray, **options: Any) -> tuple[Recording, Any]:
    """Record these frames, and load them."""
    with Recorder(shm, path, frames=len(frames), **options) as recorder:
        shm.set_many(frames)
        report = recorder.wait(60)
    return load(path), report


def stall_first_commit(recorder: Recorder, stalled: threading.Event, go: threading.Event) -> None:
    """Make the disk of the first stream stand still with the first frames, until it may go on."""
    job = next(iter(recorder._jobs.values()))
    kind = job._format

    class SlowSink(kind):  # type: ignore[misc, valid-type]
        def commit(self, info: np.ndarray) -> None:
            stalled.set()
            assert go.wait(30)
            super().commit(info)

    job._format = SlowSink
