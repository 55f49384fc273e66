"""`creashmim` under the path that existing scripts import it from."""

import glob
import os

import numpy as np

from ..loading import creashmim
from ..names import stream_directory as _stream_directory
from ..shm import SHM, check_SHM_name
from ..util import img_shapes

__all__ = ["SHM", "check_SHM_name", "creashmim", "glob", "img_shapes", "np", "os"]


def __getattr__(name: str) -> str:
    if name == "MILK_SHM_DIR":  # read at each access, so that a changed variable takes effect
        return _stream_directory()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
