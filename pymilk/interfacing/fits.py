"""Streams and FITS files under the path that existing scripts import them from."""

import typing as typ

import numpy as np

from ..fits import multi_read, multi_write
from ..loading import read_fits_load_shm, shm_to_fits
from ..shm import SHM
from ..system.extras import optional_library as _optional_library
from ..util import img_shapes

__all__ = [
    "SHM",
    "img_shapes",
    "multi_read",
    "multi_write",
    "np",
    "read_fits_load_shm",
    "shm_to_fits",
    "typ",
]


def __getattr__(name: str) -> typ.Any:
    if name == "fits":  # astropy's; asked for only where it is used, since it is optional
        return _optional_library("astropy.io.fits", "fits", "FITS files")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
