"""TIFF files: values as they are stored, of any type, sign and layout. Needs tifffile (extra ``video``)."""

from __future__ import annotations

import json
import logging
import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .._types import Array
from ..errors import LibraryMissingError
from ..recording.sinks.mapped import MappedFile
from ..system.extras import optional_library
from .colours import COLOURS, FURTHER, TRANSPARENCY, brightness, turned

__all__ = ["tiff_pictures"]

#: Tag Orientation.
_ORIENTATION = 274

#: Kinds of a further value of a pixel that are its transparency: multiplied into the others, or not.
_ALPHA = (1, 2)

#: Photometric interpretations that are one value for a pixel: white is 0, black is 0, mosaic of a camera.
_VALUES = (0, 1, 32803)
_RGB, _PALETTE = 2, 3

#: What tifffile says of damaged files is an error here, or does not matter.
_UNSAID = logging.NullHandler()


def tiff_pictures(path: str, note: Callable[[str], None]) -> Iterator[Array]:
    """Go through the pictures of a file, page by page: shape (height, width).

    Parameters
    ----------
    path : str
    note : callable
        Told what is done to pixels.

    Raises
    ------
    OSError, ValueError, LibraryMissingError
        And what tifffile raises for damaged files.
    """
    tifffile = optional_library("tifffile", "video", "TIFF images")
    logging.getLogger("tifffile").addHandler(_UNSAID)
    # Of the pages of this file alone: OME may name other files.
    with tifffile.TiffFile(path, is_ome=False) as tiff:
        page = None
        for number, page in enumerate(tiff.pages):
            volume = _contiguous(tiff, page, path)
            if volume is not None:
                yield from volume
            elif not page.is_reduced:
                yield from _pictures(page, number, path, note)
        if page is not None:
            _check_end(tiff, page)


def _contiguous(tiff: Any, page: Any, path: str) -> Iterator[Array] | None:
    """Return the images of a page that stands for all of them, as ImageJ and tifffile write large ones."""
    if page.photometric not in _VALUES or page.samplesperpixel > 1 or page.dtype is None:
        return None
    shape, place = _truncated_shape(page), page.dataoffsets[0]
    if shape is None and len(tiff.pages) == 1:
        series = tiff.series[0]
        shape, place = series.shape, series.dataoffset
        _check_stated(tiff, series.size // page.size)
    if shape is None or place is None or math.prod(shape) == page.size:
        return None
    mapped = MappedFile(path)
    dtype = np.dtype(tiff.byteorder + page.dtype.char)
    flat = mapped.array(dtype, shape, place).reshape(-1, *page.shape[-2:])
    return _copied(flat, _orientation(page), mapped)


def _check_stated(tiff: Any, count: int) -> None:
    """Raise if a file of one page says, in the words of ImageJ, that it has more images than are there."""
    stated = (tiff.imagej_metadata or {}).get("images", 1) if tiff.is_imagej else 1
    if isinstance(stated, int) and stated > count:
        raise ValueError(f"it ends early: {count} of {stated} images are there")


def _truncated_shape(page: Any) -> tuple[int, ...] | None:
    """Return the shape of all images for which a page stands that tifffile wrote with ``truncate``.

    Only of values that are stored as they are. Packed ones have a page each, although it says that too.
    """
    if not page.is_shaped or page.compression != 1 or page.bitspersample != 8 * page.dtype.itemsize:
        return None
    try:
        stated = json.loads(page.description)
        return tuple(map(int, stated["shape"])) if stated.get("truncated") else None
    except (ValueError, TypeError, KeyError, AttributeError):  # it is text of any kind
        return None


def _copied(frames: Array, orientation: int, mapped: MappedFile) -> Iterator[Array]:
    """Copy images out of a map one by one; `StreamFormatError` if the file was cut."""
    for each in frames:
        picture = np.array(each, each.dtype.newbyteorder("="))
        mapped.check()
        yield turned(picture, orientation)


def _pictures(page: Any, number: int, path: str, note: Callable[[str], None]) -> Iterator[Array]:
    """Read the pictures of a page: one, but of volumes."""
    values = _values(page, number, path)
    if page.axes.endswith("S"):
        samples: Array | None = values
    elif page.axes.startswith("S"):  # one plane for each colour
        samples = np.moveaxis(values, 0, -1)
    else:
        samples = None
    if page.photometric == _RGB and samples is not None and samples.shape[-1] >= 3:
        if samples.dtype.kind == "c":
            raise ValueError("its colours are complex numbers")
        note(COLOURS)
        for extra in page.extrasamples:
            note(TRANSPARENCY if extra in _ALPHA else FURTHER)
        values = brightness(samples)
    elif page.photometric == _PALETTE and samples is None:
        note(COLOURS)
        values = brightness(_palette(page.colormap)[values])
    elif page.photometric not in _VALUES:
        raise ValueError(f"its colours are of a kind that is not read here: {_name(page.photometric)}")
    elif samples is not None:
        if samples.shape[-1] != 2 or page.extrasamples[:1] not in {(each,) for each in _ALPHA}:
            raise ValueError(f"it has {samples.shape[-1]} values for each pixel, and no colours")
        note(TRANSPARENCY)
        values = samples[..., 0]
    if values.dtype == bool:
        values = values.astype(np.uint8)
    for picture in values.reshape(-1, *values.shape[-2:]):
        yield turned(picture, _orientation(page))


def _palette(colours: Array) -> Array:
    """Return the colours of a palette in 8 bits: it has 16, the upper 8 of which are used.

    Some programs write them in the lower 8, against the rule.
    """
    values = np.moveaxis(colours, 0, -1)
    return (values >> (8 if values.max(initial=0) > 255 else 0)).astype(np.uint8)


def _name(photometric: Any) -> str:
    return str(getattr(photometric, "name", photometric))


def _orientation(page: Any) -> int:
    tag = page.tags.get(_ORIENTATION)
    return int(tag.value) if tag is not None else 1


def _values(page: Any, number: int, path: str) -> Array:
    """Return what a page stores; Pillow unpacks what tifffile needs a further library for."""
    if page.dtype is None:
        raise ValueError(f"it has pixels of {page.bitspersample} bits, of a kind that is not read here")
    try:
        return np.asarray(page.asarray())
    except Exception as error:  # of tifffile, whose kind changes from version to version
        if "imagecodecs" not in str(error):
            raise
        values = _by_pillow(page, number, path)
        if values is None:
            name = _name(page.compression)
            raise LibraryMissingError(
                f"{path}: TIFF images of {page.bitspersample} bits with compression {name} need imagecodecs, "
                "which is not installed: pip install imagecodecs",
                library="imagecodecs",
                extra="video",
            ) from error
        return values


def _by_pillow(page: Any, number: int, path: str) -> Array | None:
    """Read a page with Pillow, where that gives the values that are stored; None elsewhere."""
    if page.photometric not in (1, _RGB) or page.bitspersample not in (8, 16, 32) or page.axes[0] == "S":
        return None
    library = optional_library("PIL.Image", "video", "TIFF images")
    try:
        with library.open(path) as image:
            image.seek(number)
            stored = image.mode in ("L", "I;16", "I;16B", "I;16L", "F", "RGB", "RGBA", "LA")
            if not stored or image.getexif().get(_ORIENTATION, 1) != 1:  # Pillow would turn it
                return None
            values = np.asarray(image)
    except OSError:
        return None
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return values if (values.shape, values.dtype) == (page.shape, page.dtype) else None


def _check_end(tiff: Any, page: Any) -> None:
    """Raise if the last page that was found says that another one follows behind the end of the file."""
    layout, file = tiff.tiff, tiff.filehandle
    file.seek(page.offset)
    (count,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    file.seek(page.offset + layout.tagnosize + count * layout.tagsize)
    (following,) = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))
    if following >= file.size:
        raise ValueError(f"it ends early: behind its {len(tiff.pages)} pages another one should follow")
