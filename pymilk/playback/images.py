"""Image files as footage."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._types import Array
from ..errors import StreamError, StreamFormatError
from ..foreign.contents import content_of
from ..recording.sinks import FITS_SUFFIXES, SUFFIXES
from ..system.extras import optional_library
from ..system.files import file_error
from .base import Sequence, damaged, stem
from .colours import COLOURS, TRANSPARENCY, brightness, turned
from .gif import check_gif
from .pnm import pnm_pictures
from .tiff import tiff_pictures
from .video import decoded_pictures

__all__ = ["IMAGE_KINDS", "IMAGE_SUFFIXES", "Images"]

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm", ".gif", ".webp")

#: Contents of files that are images; see `pymilk.foreign.contents`.
IMAGE_KINDS = ("png", "tiff", "bmp", "jpeg", "pnm", "gif", "webp")

#: Tag Orientation of Exif.
_ORIENTATION = 274

#: Modes of Pillow with one value for a pixel, as it is stored.
_VALUES = ("1", "L", "I;16", "I;16L", "I;16B", "I;16N", "I", "F")

#: Kind of a PNG without colours and transparency.
_GREY = 0


class Images(Sequence):
    """Image files, in the order of their names; those of several pages give several frames.

    Numbers in names count as numbers: ``f2.png`` is before ``f10.png``. Grey values are those that are
    stored. Colours become brightness, of the same dtype.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        self.stream_name = stem(path)
        self.keywords = []
        self.notes, self.choices = [], []
        self._imageio = optional_library("imageio.v3", "video", "images to play")
        if os.path.isdir(path):
            try:
                names = [each for each in os.listdir(path) if each.lower().endswith(IMAGE_SUFFIXES)]
            except OSError as error:
                raise file_error(error, path, "read", "source") from error
            shown = sorted((each for each in names if not each.startswith(".")), key=_natural)
            self._paths = [os.path.join(path, each) for each in shown]
            if not shown:
                raise _no_images(path)
        else:
            self._paths = [path]
        self.look()

    def pictures(self) -> Iterator[tuple[Array, int | None]]:
        """See `Sequence`."""
        for path in self._paths:
            try:
                for picture in self._of_file(path):
                    yield picture, None
            except StreamError:
                raise
            except Exception as error:  # libraries of many formats: anything can come
                raise damaged(error, path, "image") from error

    def _of_file(self, path: str) -> Iterator[Array]:
        """Go through the pictures of one file, read by what is in it."""
        content = content_of(path)
        if content.packed or content.kind not in IMAGE_KINDS:
            raise StreamFormatError(
                f"{path} is {content.words}, and no image to play",
                path=path,
                field="file",
                expected="an image",
                found=content.words,
            )
        if content.kind == "tiff":
            yield from tiff_pictures(path, self._note)
        elif content.kind == "pnm":
            for picture in pnm_pictures(path):
                yield self._grey(picture)
        else:
            yield from self._by_pillow(path, *(_depth_of_png(path) if content.kind == "png" else (8, 2)))
            if content.kind == "gif":
                check_gif(path)

    def _by_pillow(self, path: str, depth: int, kind: int) -> Iterator[Array]:
        """Go through the pictures of a file that Pillow reads; of a PNG with its depth and kind."""
        if depth == 16 and kind != _GREY:  # Pillow would drop the lower 8 bits
            orientation = _orientation(path)
            for picture in decoded_pictures(path):
                yield turned(self._grey(picture), orientation)
            return
        # Pillow warns of transparency in palettes, which is left out here.
        with warnings.catch_warnings(), self._imageio.imopen(path, "r", plugin="pillow") as file:
            warnings.filterwarnings("ignore", "Palette images with Transparency", UserWarning)
            count = file.properties(index=...).n_images or 1
            for number in range(count):
                try:
                    values = self._values(file, number)
                except (EOFError, IndexError) as error:
                    raise StreamFormatError(
                        f"{path}: it ends early; {number} of {count} frames are there",
                        path=path,
                        field="frames",
                        expected=count,
                        found=number,
                    ) from error
                if depth == 16:
                    values = values.astype(np.uint16)
                elif kind == _GREY and depth in (2, 4):  # Pillow spreads them over 0 to 255
                    values = values // (255 // (2**depth - 1))
                yield values

    def _values(self, file: Any, number: int) -> Array:
        """Return the pixels of a picture, the way up that Exif states: two axes."""
        mode = file.metadata(index=number, exclude_applied=False)["mode"]
        if mode in _VALUES:
            values: Array = np.asarray(file.read(index=number, rotate=True))
            if values.dtype == bool:
                return values.astype(np.uint8)
            return values.astype(values.dtype.newbyteorder("="), copy=False)
        if mode in ("LA", "La"):
            return self._grey(np.asarray(file.read(index=number, mode="LA", rotate=True)))
        if mode in ("PA", "RGBa"):
            mode = "RGBA"
        wanted = mode if mode == "RGBA" else "RGB"  # whose palette or inks become colours
        return self._grey(np.asarray(file.read(index=number, mode=wanted, rotate=True)))

    def _grey(self, picture: Array) -> Array:
        """Return a picture with one value for a pixel."""
        if picture.ndim == 2:
            return picture
        if picture.shape[-1] in (2, 4):
            self._note(TRANSPARENCY)
        if picture.shape[-1] == 2:
            return picture[..., 0]
        self._note(COLOURS)
        return brightness(picture)


def _no_images(path: str) -> StreamFormatError:
    """Return the error for a folder without images."""
    arrays = [each for each in os.listdir(path) if each.lower().endswith((*SUFFIXES, *FITS_SUFFIXES))]
    more = ""
    if arrays:
        several = "files" if len(arrays) > 1 else "file"
        more = f", but {len(arrays)} {several} of arrays, which are played one by one, or as a list in Python"
    return StreamFormatError(
        f"{path} has no frames: no image ({', '.join(IMAGE_SUFFIXES)}) is in it{more}",
        path=path,
        field="frames",
        expected="1 or more",
        found=0,
    )


def _natural(name: str) -> list[Any]:
    """Return what names are sorted by."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name)]


def _depth_of_png(path: str) -> tuple[int, int]:
    """Return bits of a value, and kind of colours, of a PNG file."""
    with open(path, "rb") as file:
        head = file.read(26)
    if len(head) < 26:
        raise ValueError("it ends within its header")
    return head[24], head[25]


def _orientation(path: str) -> int:
    """Return which way up a PNG file is to be shown, as its Exif block states."""
    with optional_library("PIL.Image", "video", "images to play").open(path) as image:
        return int(image.getexif().get(_ORIENTATION, 1))
