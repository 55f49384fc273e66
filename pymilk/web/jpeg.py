"""Images in 8 bits with loss, for slow links: a JPEG, and the levels between which its grey lies."""

from __future__ import annotations

import io

import numpy as np

from .._types import Array
from ..system.extras import optional_library
from ..view.levels import fractions, real_values, span, zscale

__all__ = ["RULES", "check_library", "jpeg_of"]

#: Rules for the levels, as the page knows them: least and largest, so many percent of the pixels, zscale.
RULES = ("minmax", "99.5", "99", "95", "zscale")

#: Of 95 at most: above it, files grow and errors do not shrink.
_QUALITY = 90


def check_library() -> None:
    """Raise `LibraryMissingError` if there is no Pillow."""
    optional_library("PIL.Image", "web", "JPEG pictures")


def jpeg_of(image: Array, rule: str) -> tuple[bytes, tuple[float, float]]:
    """Return an image as a grey JPEG.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Of complex pixels, the amplitude.
    rule : str
        One of `RULES`: where the levels are.

    Returns
    -------
    content : bytes
        The first line of the JPEG is row 0.
    levels : (float, float)
        Values of grey 0 and 255, in the units of the image; what lies beyond is cut, and pixels that are not
        finite are 0. (0, 1) if none is finite.
    """
    values = real_values(image)
    percentile = None if rule in ("minmax", "zscale") else float(rule)
    levels = zscale(values) if rule == "zscale" else span(values, percentile)
    parts = np.nan_to_num(fractions(values, levels), nan=0.0)
    low, high = levels or (0.0, 1.0)
    if low == high:
        parts[:] = 0.0
    grey = np.rint(parts * 255).astype(np.uint8)
    content = io.BytesIO()
    picture = optional_library("PIL.Image", "web", "JPEG pictures").fromarray(grey)
    picture.save(content, format="JPEG", quality=_QUALITY)
    return content.getvalue(), (low, high)
