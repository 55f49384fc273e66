"""Damaged recordings, a small number of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fuzz.inputs import Random
from fuzz.recordings import damage, drive, make_seeds

for library in ("astropy", "h5py", "zarr"):
    pytest.importorskip(library)


def test_damaged_recordings(tmp_path: Path, shm_dir: Path) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    paths = make_seeds(seeds)
    assert all(drive(path) for path in paths)
    for number in range(150):
        rng = Random(f"few/{number}")
        path = rng.choice(paths)
        work = tmp_path / "work"
        shutil.copytree(path.parent, work)
        damage(rng, work)
        drive(work / path.name)
        shutil.rmtree(work)
