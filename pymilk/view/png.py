"""PNG files of RGB pictures. The format is a header and rows that zlib has packed; no library is needed."""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import StreamStorageError

__all__ = ["save_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: 8 bits for each of red, green and blue.
_DEPTH, _RGB = 8, 2


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

    Notes
    -----
    The file is complete when it appears under its name.
    """
    height, width, _ = rgb.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = rgb.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, _DEPTH, _RGB, 0, 0, 0)
    content = (
        _SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + _chunk(b"IEND", b"")
    )
    folder, name = os.path.split(os.fspath(path))
    hidden = os.path.join(folder, f".{name[:100]}.{os.getpid()}.{os.urandom(4).hex()}.new")
    try:
        try:
            with open(hidden, "xb") as file:
                file.write(content)
            os.replace(hidden, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(hidden)
            raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise StreamStorageError(
            f"the picture cannot be saved as {os.fspath(path)}: {reason}", path=os.fspath(path)
        ) from error


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
