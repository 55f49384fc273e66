"""Formats of recordings: one module each, chosen by the suffix of the file name."""

from __future__ import annotations

import importlib
import os

from ...errors import StreamArgumentError
from .base import Sink

__all__ = ["SUFFIXES", "sink_of"]

#: Module of each suffix.
SUFFIXES = {".npy": "npy", ".fits": "fits", ".h5": "hdf5", ".hdf5": "hdf5", ".zarr": "zarr"}


def sink_of(path: str) -> type[Sink]:
    """Return the class that writes and reads files of this suffix.

    Raises
    ------
    StreamArgumentError
        There is no such format.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise StreamArgumentError(
            f"{path!r}: the suffix chooses the format of a recording, and is one of {', '.join(SUFFIXES)}",
            argument="path",
            found=path,
        )
    found: type[Sink] = importlib.import_module(f".{SUFFIXES[suffix]}", __package__).FORMAT
    return found
