"""Recorders by hand that pymilk is compared with: each file has the frames, and a wrong one is found.

Run with the other benchmarks, ``pytest benchmarks``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.recorders import PEERS, pieces_of_array, pieces_of_stream, verify
from benchmarks.recording import stock

MODULES = {"StreamingHDU": "astropy", "h5py": "h5py", "zarr": "zarr"}


@pytest.mark.parametrize("name", PEERS)
def test_each_recorder_by_hand_keeps_the_frames(name: str, tmp_path: Path) -> None:
    pytest.importorskip(MODULES.get(name, "numpy"))
    suffix, write = PEERS[name]
    with stock(50) as (shm, frames):
        for label, pieces in (("stream", pieces_of_stream(shm, 50)), ("array", pieces_of_array(frames))):
            path = tmp_path / f"{label}{suffix}"
            write(path, pieces, 50, frames[0])
            assert verify(path, frames)
            wrong = frames.copy()
            wrong[[3, 4]] = frames[[4, 3]]
            assert not verify(path, np.ascontiguousarray(wrong))
