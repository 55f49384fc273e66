"""Dark frames: from a file, or from a stream."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from ..axes import Which3DState
from ..errors import StreamArgumentError, StreamNotFoundError
from ..fits import multi_read
from .feed import Feed

__all__ = ["load_dark"]

Array = npt.NDArray[Any]

_FITS = (".fits", ".fit", ".fts", ".fits.gz")
_NPY = ".npy"


def load_dark(source: str) -> Array:
    """Read a dark frame.

    Parameters
    ----------
    source : str
        A file that ends in ``.npy``, ``.fits``, ``.fit``, ``.fts`` or ``.fits.gz``, or else the name of a
        stream.

    Returns
    -------
    ndarray, one or two axes
        As `pymilk.SHM` gives frames by default. The mean of the frames if the file has several, the newest
        frame if it is a stream. Axes of length 1 are dropped.

    Raises
    ------
    StreamArgumentError
        The file does not hold an image, or several.
    StreamError
        It cannot be read, or there is no such stream.
    LibraryMissingError
        A FITS file, and astropy is not installed.
    """
    lower = source.lower()
    if lower.endswith(_FITS):
        dark = multi_read(source, tri_dim=Which3DState.FRONT2LAST)
    elif lower.endswith(_NPY):
        dark = _load_npy(source)
    else:
        with Feed(source) as feed:
            return feed.take()
    if not isinstance(dark, np.ndarray) or dark.dtype.kind not in "iufc" or dark.ndim > 3 or not dark.size:
        raise StreamArgumentError(
            f"{source} is no dark frame: it is not one image, or a cube of images, of numbers",
            argument="dark",
            found=source,
        )
    if dark.ndim == 3:
        dark = dark.mean(axis=0)
    image: Array = np.asarray(dark).squeeze()
    return image.reshape(1, 1) if image.ndim == 0 else image


def _load_npy(path: str) -> Any:
    try:
        return np.load(os.path.expanduser(path), allow_pickle=False)
    except FileNotFoundError as error:
        raise StreamNotFoundError(f"there is no dark frame {path}", path=path) from error
    except (OSError, ValueError, EOFError) as error:
        raise StreamArgumentError(
            f"the dark frame {path} cannot be read: {error}", argument="dark", found=path
        ) from error
