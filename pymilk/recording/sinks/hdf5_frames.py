"""Items of HDF5 data sets, with a look whether they are in the file.

The library makes zeros of what is not there: of a chunk that was never written, and of everything behind the
end of a file that was cut.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..._types import Array
from ...errors import StreamFormatError

__all__ = ["StoredItems", "check_stored"]


class StoredItems:
    """A data set that is indexed by slices of its first axis.

    Parameters
    ----------
    h5py : module
    dataset : h5py.Dataset
    path : str
        Of the file.
    """

    def __init__(self, h5py: Any, dataset: Any, path: str) -> None:
        self.shape, self.dtype, self.ndim = dataset.shape, dataset.dtype, dataset.ndim
        self._h5py, self._dataset, self._path = h5py, dataset, path

    def __getitem__(self, which: slice) -> Array:
        chosen = range(*which.indices(self.shape[0]))
        made = np.asarray(self._dataset[which])
        if made.nbytes:
            check_stored(self._h5py, self._dataset, self._path, min(chosen), max(chosen))
        return made


def check_stored(h5py: Any, dataset: Any, path: str, first: int = 0, last: int = 0) -> None:
    """Raise `StreamFormatError` unless these items of a data set, and those between, are in the file."""
    nbytes = os.fstat(dataset.file.id.get_vfd_handle()).st_size
    for start, length in _places(h5py, dataset, first, last):
        if start is None or start + length > nbytes:
            raise StreamFormatError(
                f"{path}: a part of {dataset.name} is not in the file: it was cut by another program, or was "
                "never written",
                path=path,
                field="file size",
                expected=None if start is None else start + length,
                found=nbytes,
            )


def _places(h5py: Any, dataset: Any, first: int, last: int) -> Iterator[tuple[int | None, int]]:
    """Go through the places of items in the file, and their lengths; None for what is not there."""
    stored = dataset.id
    layout = stored.get_create_plist().get_layout()
    if layout == h5py.h5d.COMPACT:  # beside what describes the data set
        return
    if layout != h5py.h5d.CHUNKED:
        yield stored.get_offset(), stored.get_storage_size()
        return
    rows, *others = dataset.chunks
    grid = (range(0, length, step) for length, step in zip(dataset.shape[1:], others, strict=True))
    for place in itertools.product(range(first // rows * rows, last + 1, rows), *grid):
        found = stored.get_chunk_info_by_coord(place)
        yield found.byte_offset, found.size
