"""Maps of recordings under the guard of streams: a file that is cut is an error, and no Bus error."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from ..._core import map_shared
from ..._types import Array
from ...errors import StreamFormatError
from ...system.regular import open_regular
from .outputs import identity_of

__all__ = ["MappedFile", "too_short"]


def too_short(path: str, nbytes: int, wanted: int) -> StreamFormatError:
    """Return the error for a file that does not hold what its header says."""
    return StreamFormatError(
        f"{path} is shorter than its header says: {nbytes} bytes of {wanted}",
        path=path,
        field="file size",
        expected=wanted,
        found=nbytes,
    )


class MappedFile:
    """A file that is mapped for reading.

    Parameters
    ----------
    path : str

    Raises
    ------
    OSError
    StreamFormatError
        It is no regular file, or empty.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        descriptor = open_regular(path)
        try:
            found = os.fstat(descriptor)
            self._identity = identity_of(found)
            self.nbytes = found.st_size
            if not self.nbytes:
                raise self._short(1)
            self._needed = 0  # bytes up to the end of the arrays that were given out
            self._mapping, self._memory = map_shared(descriptor, 0, self.nbytes, False, path)
        finally:
            os.close(descriptor)

    def _short(self, wanted: int) -> StreamFormatError:
        return too_short(self._path, self.nbytes, wanted)

    def array(self, dtype: np.dtype[Any], shape: tuple[int, ...], place: int) -> Array:
        """Return numbers as they are stored, read-only; `StreamFormatError` if the file is too short."""
        count = math.prod(shape)
        wanted = place + count * dtype.itemsize
        if place < 0 or min(shape, default=0) < 0 or wanted > self.nbytes:
            raise self._short(wanted)
        self._needed = max(self._needed, wanted)
        flat: Array = np.frombuffer(self._memory, np.uint8, count * dtype.itemsize, place)
        made: Any = flat.view(dtype).reshape(shape).view(np.memmap)
        # What NumPy sets in its own maps: slices stay maps by it, and users read it.
        made.filename, made.offset, made.mode, made._mmap = self._path, place, "r", self._memory
        found: Array = made
        return found

    @property
    def behind(self) -> int:
        """How many bytes follow the last array that was given out."""
        return self.nbytes - self._needed

    def check(self) -> None:
        """Raise `StreamFormatError` if the file was cut since: what was read may be zeros then."""
        cut = self._mapping.damaged
        if not cut:
            try:
                found = os.stat(self._path)
            except OSError:
                return  # deleted or renamed: the map keeps the file
            # A recorder that ends cuts off what it had reserved behind the last frame.
            cut = identity_of(found) == self._identity and found.st_size < self._needed
        if cut:
            raise StreamFormatError(
                f"{self._path} was cut by another program after it was opened; its frames cannot be read",
                path=self._path,
                field="file size",
                expected=self._needed,
            )
