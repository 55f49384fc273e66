"""Formats of recordings: one module each, chosen by the suffix for writing, and by content for reading."""

from __future__ import annotations

import importlib
import os

from ...arguments import check_choice
from ...errors import StreamArgumentError, StreamFormatError
from ...foreign.contents import Content, content_of
from .base import Sink

__all__ = ["FITS_SUFFIXES", "SUFFIXES", "format_of", "sink_of", "suffix_of", "with_suffix"]

#: Module of each suffix. Its `FORMAT` is the class; `PACKED`, where there is one, that of packed frames.
SUFFIXES = {".npy": "npy", ".fits": "fits", ".h5": "hdf5", ".hdf5": "hdf5", ".zarr": "zarr"}

#: Further names of FITS files that others write.
FITS_SUFFIXES = (".fit", ".fts", ".fz", ".fits.gz", ".fit.gz", ".fts.gz", ".fits.bz2", ".fits.xz")

#: Module of each content.
_CONTENTS = {"npy": "npy", "fits": "fits", "hdf5": "hdf5"}

#: What `pymilk.play` takes, and no recording is.
_PICTURES = (
    *("tiff", "png", "jpeg", "gif", "webp", "bmp", "pnm"),
    *("avi", "mkv", "mp4", "y4m", "mpeg", "ts", "wmv"),
)


def sink_of(path: str, compress: bool | str = False) -> type[Sink]:
    """Return the class that writes and reads files of this suffix, packed or not.

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
    return _format(SUFFIXES[suffix], bool(compress))


def suffix_of(kind: str | None) -> str | None:
    """Return the suffix of a format by its name: npy, fits, hdf5 or zarr; None for None."""
    if kind is None:
        return None
    check_choice("format", kind, tuple(dict.fromkeys(SUFFIXES.values())))
    return next(suffix for suffix, module in SUFFIXES.items() if module == kind)


def with_suffix(path: str, suffix: str | None) -> str:
    """Return a path with the suffix of a format behind it, if it has none of a recording.

    Raises
    ------
    StreamArgumentError
        It has the suffix of another format.
    """
    found = SUFFIXES.get(os.path.splitext(path)[1].lower())
    if suffix is None or found == SUFFIXES[suffix]:
        return path
    if found is not None:
        raise StreamArgumentError(
            f"{path!r} has the suffix of the format {found}, and the format asked for is {SUFFIXES[suffix]}; "
            "give one of them",
            argument="format",
            found=SUFFIXES[suffix],
        )
    return path + suffix


def _format(module: str, packed: bool = False) -> type[Sink]:
    loaded = importlib.import_module(f".{module}", __package__)
    found: type[Sink] = getattr(loaded, "PACKED", loaded.FORMAT) if packed else loaded.FORMAT
    return found


def format_of(path: str) -> type[Sink]:
    """Return the class that reads a file, by what is in it, whatever it is called.

    Raises
    ------
    OSError
        It is not there, or cannot be read.
    StreamFormatError, StreamArgumentError
        It is something else, which the message names.
    """
    content = content_of(path)
    suffix = os.path.splitext(path)[1].lower()
    module = _CONTENTS.get(content.kind)
    if module == "fits" or (module and not content.packed):
        return _format(module)
    if content.kind == "folder" and (suffix == ".zarr" or os.path.exists(os.path.join(path, "zarr.json"))):
        return _format("zarr")
    if content.kind == "unknown" and SUFFIXES.get(suffix) == "hdf5":
        return _format("hdf5")  # its mark may come later in the file
    raise _refusal(path, suffix, content)


def _refusal(path: str, suffix: str, content: Content) -> StreamFormatError | StreamArgumentError:
    """Return the error for a file that is nothing to read frames from."""
    text = f"{path} is {content.words}, and no recording, NPY array or FITS file"
    if content.packed and content.kind in _CONTENTS:
        text = f"{path} is {content.words}; unpack it first: of packed files only FITS is read"
    elif content.kind in _PICTURES:
        text += "; pymilk.play and `pymilk play` take images and videos"
    known = suffix in SUFFIXES or path.lower().endswith(FITS_SUFFIXES)
    if known or content.kind not in ("folder", "text", "unknown"):
        return StreamFormatError(text, path=path, field="file", expected="a recording", found=content.words)
    suffixes = ", ".join(SUFFIXES)
    return StreamArgumentError(f"{text} ({suffixes})", argument="path", found=path)
