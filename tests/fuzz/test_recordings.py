"""Damaged recordings, a small number of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.inputs import Random
from fuzz.recordings import drive, make_seeds, mutate, restore

for library in ("astropy", "h5py", "zarr"):
    pytest.importorskip(library)


def test_damaged_recordings(tmp_path: Path, shm_dir: Path) -> None:
    seeds = make_seeds(tmp_path)
    assert all(drive(seed.path) for seed in seeds)
    for number in range(300):
        rng = Random(f"few/{number}")
        seed = rng.choice(seeds)
        mutate(rng, seed)
        drive(seed.path)
        restore(seed)
