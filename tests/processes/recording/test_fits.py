"""FITS files of a writer that is killed, and Python without astropy."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pymilk.fits import multi_read, multi_write
from support.fits_files import LETTER_F


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path: Path, spawn: Callable[..., Any]) -> None:
    path = tmp_path / "f.fits"
    multi_write(path, LETTER_F)
    child = spawn(
        """
import sys
import numpy as np
from astropy.io.fits.file import _File
from pymilk.fits import multi_write

def stuck(self, array):
    self.write(array.tobytes()[:1000])
    self.flush()
    print("half", flush=True)
    sys.stdin.readline()

_File.writearray = stuck
multi_write(sys.argv[1], np.ones((100, 100)))
""",
        path,
    )
    child.expect("half")
    child.kill()
    assert np.array_equal(multi_read(path), LETTER_F)
    assert len([name for name in os.listdir(tmp_path) if not name.startswith(".")]) == 1


def test_without_astropy(spawn: Callable[..., Any]) -> None:
    """Importing works; calls and `fits` say what to install."""
    code, out, err = spawn(
        """
import sys
sys.modules["astropy"] = None
import pymilk.interfacing.fits as module
import pymilk.interfacing.fits_lib
from pymilk.errors import LibraryMissingError
from pymilk.fits import multi_read, multi_write, stream_header
for call in (lambda: multi_read("f"), lambda: multi_write("f", [[1]]), stream_header, lambda: module.fits):
    try:
        call()
    except ImportError as error:
        print(type(error) is LibraryMissingError, error.library, error.extra, error)
"""
    ).finish()
    message = "FITS files need astropy, which is not installed: pip install astropy"
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"True astropy fits {message}"] * 4
