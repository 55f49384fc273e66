"""Dark frames: from a file, or from a stream."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .._types import Array
from ..axes import Orientation
from ..errors import StreamArgumentError, StreamFormatError, StreamNameError, StreamNotFoundError
from ..foreign.hdus import split_hdu
from ..names import stream_path
from ..native.formats import dtype_name
from ..recording import Recording, load
from ..recording.sinks import FITS_SUFFIXES, SUFFIXES
from ..recording.sinks.base import batch_of
from .feed import Feed

__all__ = ["load_dark"]

#: Bytes of a recording that are averaged at a time.
_PIECE_NBYTES = 16 << 20


def load_dark(source: str) -> Array:
    """Return a dark frame from a file or a stream.

    Parameters
    ----------
    source : str
        A file that `pymilk.load` takes: a recording, an NPY array or a FITS image or cube, packed or not,
        with ``file.fits[DARK]`` one of several images. Or else the name of a stream.

    Returns
    -------
    ndarray, one or two axes
        As `pymilk.SHM` gives frames by default: ``[y, x]``. The mean of the frames if the file has several,
        the newest frame if it is a stream. Axes of length 1 are dropped.

    Raises
    ------
    StreamArgumentError
        The file does not hold an image, or several; or it is a recording of cubes.
    StreamError
        It cannot be read, or there is no such stream.
    LibraryMissingError
        The library of the format is not installed.
    """
    if not _is_file(source):
        with Feed(source) as feed:
            return feed.take()
    dark = _read_file(source)
    if not isinstance(dark, np.ndarray) or dark.dtype.kind not in "iufc" or dark.ndim > 3 or not dark.size:
        raise StreamArgumentError(
            f"{source} is no dark frame: it is not one image, or a cube of images, of numbers",
            argument="dark",
            found=source,
        )
    if dark.ndim == 3:
        dark = dark.mean(axis=0) if len(dark) > 1 else dark[0]
    image: Array = np.asarray(dark).squeeze()
    return image.reshape(1, 1) if image.ndim == 0 else image


def _is_file(source: str) -> bool:
    """Tell whether a file is meant: it is called like one, or there is one, and no stream of that name."""
    path = split_hdu(source)[0].rstrip("/").lower()
    if path.endswith((*FITS_SUFFIXES, *SUFFIXES)) or "/" in source:
        return True
    try:
        return os.path.exists(source) and not os.path.exists(stream_path(source))
    except StreamNameError:
        return True


def _read_file(path: str) -> Any:
    """Read what is in a file; of a recording, the mean frame."""
    try:
        with load(path) as found:
            if found.header:
                return _mean(found)
            frames = np.array(found.frames)
            found.check()
            return frames
    except StreamNotFoundError as error:
        raise StreamNotFoundError(f"there is no dark frame {path}", path=path) from error
    except StreamFormatError as error:
        raise StreamArgumentError(
            f"the dark frame {path} cannot be read: {error}", argument="dark", found=path
        ) from error


def _mean(found: Recording) -> Array | None:
    """Return the mean frame of a recording, in the default orientation of `SHM`; None without frames."""
    count, header = len(found), found.header
    if not count:
        return None
    shape, dtype = found.frames.shape[1:], found.frames.dtype
    if dtype.names:
        raise StreamArgumentError(
            f"{found.paths[0]} is no dark frame: it holds events ({dtype_name(dtype)})",
            argument="dark",
            found=dtype,
        )
    total = np.zeros(shape, np.complex128 if dtype.kind == "c" else np.float64)
    step = batch_of(shape, dtype, _PIECE_NBYTES)
    for first in range(0, count, step):
        total += np.asarray(found.frames[first : first + step]).sum(axis=0, dtype=total.dtype)
    found.check()
    stream_shape = tuple(header["stream_shape"])
    if sum(length > 1 for length in stream_shape) > 2:
        raise StreamArgumentError(
            f"{found.paths[0]} is no dark frame: its frames are cubes of shape {shape}",
            argument="dark",
            found=shape,
        )
    seen = Orientation(stream_shape, header["symcode"], header["tri_dim"], header["squeeze"])
    return Orientation(stream_shape, squeeze=True).view(seen.native(total / count))
