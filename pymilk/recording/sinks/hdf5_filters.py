"""Filters of HDF5 data sets: those that pack frames here, and whether the library has those of a file."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...errors import LibraryMissingError
from ...system.extras import optional_library
from .packing import WORDS, Encode, blosc_encoder, shuffled_gzip

__all__ = ["Packing", "blosc_filter", "check_filters", "packing_of"]

#: Numbers from here on are of filters that come with plugins.
_FIRST_PLUGIN = 256


class Packing(NamedTuple):
    """How frames are packed.

    Attributes
    ----------
    encode : callable or None
        Packs a chunk as the filters would; None: there are no filters.
    options : dict
        Of ``h5py.Group.create_dataset``: what the library needs to unpack it.
    filters : int
        How many there are.
    """

    encode: Encode | None
    options: dict[str, Any]
    filters: int


def blosc_filter() -> Any:
    """Have the HDF5 library know the filters of hdf5plugin; returns that of Blosc."""
    purpose = 'HDF5 recordings with compress="fast" or "small"'
    return optional_library("hdf5plugin", "hdf5", purpose).Blosc


def packing_of(compress: bool | str) -> Packing:
    """Return what packs frames: see `checked_compress`."""
    if not compress:
        return Packing(None, {}, 0)
    if compress is True:
        return Packing(shuffled_gzip, {"compression": "gzip", "compression_opts": 1, "shuffle": True}, 2)
    settings = WORDS[compress]
    blosc = blosc_filter()
    orders = {"shuffle": blosc.SHUFFLE, "bitshuffle": blosc.BITSHUFFLE}
    options = dict(blosc(settings.cname, settings.clevel, orders[settings.shuffle]))
    return Packing(blosc_encoder(settings), options, 1)


def check_filters(h5py: Any, dataset: Any, path: str) -> None:
    """Raise `LibraryMissingError` if the library cannot unpack a data set."""
    stored = dataset.id.get_create_plist()
    for at in range(stored.get_nfilters()):
        number, _, _, name = stored.get_filter(at)
        if h5py.h5z.filter_avail(number):
            continue
        if number >= _FIRST_PLUGIN:
            optional_library("hdf5plugin", "hdf5", f"{path}: HDF5 files with filters")
        if not h5py.h5z.filter_avail(number):
            raise LibraryMissingError(
                f"{path}: {dataset.name} is packed with filter {number} ({name.decode(errors='replace')}), "
                "which neither HDF5 nor hdf5plugin has",
                library="hdf5plugin",
                extra="hdf5",
            )
