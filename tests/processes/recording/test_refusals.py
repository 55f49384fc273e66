"""Recorders without the library of their format."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk._core import Stream


@pytest.mark.parametrize(
    ("suffix", "library", "extra"),
    [("fits", "astropy", "fits"), ("h5", "h5py", "hdf5"), ("zarr", "zarr", "zarr")],
)
def test_missing_library_is_named_before_anything_is_made(
    suffix: str, library: str, extra: str, make_stream: Callable[..., Stream], tmp_path: Path
) -> None:
    make_stream("cam", (5, 7), np.uint16)
    code = f"""
import sys
sys.modules[{library!r}] = None
sys.modules['astropy.io.fits'] = None
import pymilk
try:
    pymilk.record("cam", {str(tmp_path / f"cam.{suffix}")!r}, frames=1)
except ImportError as error:
    print(type(error).__name__, error)
"""
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert said.stdout.startswith("LibraryMissingError"), said.stderr
    assert f"pip install {library}" in said.stdout
    assert list(tmp_path.iterdir()) == []
