"""Pictures and sound in the forms that other libraries take."""

from __future__ import annotations

import numpy as np

from .._types import Array
from ..arguments import check_choice
from ..system.extras import optional_library
from .formats import VideoFormat

__all__ = ["pack_24", "rgb_of", "unpack_24"]

#: What libswscale calls a matrix.
_MATRICES = {"bt601": "itu601", "bt709": "itu709", "bt2020": "BT2020"}


def rgb_of(frame: Array, form: VideoFormat, matrix: str = "bt601", full_range: bool = False) -> Array:
    """Return a picture as red, green and blue.

    Parameters
    ----------
    frame : ndarray of uint8
        As `VideoFormat.frame_shape` says.
    form : VideoFormat
    matrix : {"bt601", "bt709", "bt2020"}
        Of formats with luma and chroma.
    full_range : bool, default False
        Their luma goes from 0 to 255, not from 16 to 235.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        A view of colours that are there already; a copy of gray, and of luma and chroma, which PyAV converts.

    Raises
    ------
    LibraryMissingError
        PyAV is missing.
    StreamArgumentError
        No such matrix.
    """
    check_choice("matrix", matrix, tuple(_MATRICES))
    if form is VideoFormat.GRAY8:
        return np.repeat(frame[:, :, np.newaxis], 3, axis=2)
    if form in (VideoFormat.RGB24, VideoFormat.RGBA32):
        return frame[:, :, :3]
    if form in (VideoFormat.BGR24, VideoFormat.BGRA32):
        return frame[:, :, 2::-1]
    av = optional_library("av", "video", "pictures of luma and chroma")
    height, width = frame.shape[:2]
    picture = av.VideoFrame(width, height, form.value)
    plane = picture.planes[0]
    lines = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)
    lines[:, : width * 2] = frame.reshape(height, width * 2)
    turned: Array = picture.reformat(
        format="rgb24",
        src_colorspace=_MATRICES[matrix],
        src_color_range="JPEG" if full_range else "MPEG",
        dst_color_range="JPEG",
    ).to_ndarray()
    return turned


def unpack_24(packed: Array) -> Array:
    """Return samples of three bytes, shape (..., 3), as int32 of shape (...): a copy."""
    words = np.zeros((*packed.shape[:-1], 4), np.uint8)
    words[..., 1:] = packed
    # Shifted down again, so that the sign comes along.
    samples: Array = words.view("<i4")[..., 0] >> 8
    return samples


def pack_24(samples: Array) -> Array:
    """Return int32 of shape (...), within 24 bits, as three bytes each, shape (..., 3): a copy."""
    words = np.ascontiguousarray(samples, "<i4")
    return words.view(np.uint8).reshape(*samples.shape, 4)[..., :3]
