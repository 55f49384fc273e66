"""PNG of RGB pictures."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy.typing as npt

from ..errors import StreamStorageError
from ..system.extras import optional_library
from ..system.files import moved_into_place

__all__ = ["png_bytes", "save_png"]


def png_bytes(rgb: npt.NDArray[Any]) -> bytes:
    """Return a picture as PNG.

    Parameters
    ----------
    rgb : ndarray, uint8, shape (height, width, 3)
        The first row is at the top.

    Raises
    ------
    LibraryMissingError
        Pillow is not installed (``pip install Pillow``; it comes with matplotlib).
    """
    content = io.BytesIO()
    optional_library("PIL.Image", "plot", "PNG pictures").fromarray(rgb).save(content, format="PNG")
    return content.getvalue()


def save_png(path: str | os.PathLike[str], rgb: npt.NDArray[Any]) -> None:
    """Write a picture; a file of that name is replaced.

    Parameters
    ----------
    path : str or PathLike
    rgb : ndarray, uint8, shape (height, width, 3)
        The first row is at the top.

    Raises
    ------
    StreamStorageError
        The file cannot be written.
    LibraryMissingError
        Pillow is not installed (``pip install Pillow``; it comes with matplotlib).

    Notes
    -----
    The file is complete when it gets its name.
    """
    content = png_bytes(rgb)
    try:
        with moved_into_place(os.fspath(path)) as hidden, open(hidden, "xb") as file:
            file.write(content)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise StreamStorageError(
            f"the picture cannot be saved as {os.fspath(path)}: {reason}", path=os.fspath(path)
        ) from error

