"""Files as other libraries write them: images, videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pymilk.playback import open_footage


def played(path: Any, **options: Any) -> np.ndarray:
    """Return the frames that are played, in the order of the stream."""
    footage = open_footage(path, **options)
    try:
        return np.concatenate([frames for frames, _ in footage.pieces(7)])
    finally:
        footage.close()


def values(dtype: str, shape: tuple[int, ...] = (3, 5, 7)) -> np.ndarray:
    """Return pixels of any value, the least and the largest among them."""
    random = np.random.default_rng(len(dtype))
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        made = random.integers(limits.min, limits.max, shape, kind, endpoint=True)
        made.flat[:2] = limits.min, limits.max
        return made
    if kind.kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    made = random.standard_normal(shape)
    return (made + 1j * made[::-1] if kind.kind == "c" else made).astype(kind)


def brightness(colours: np.ndarray) -> np.ndarray:
    """Return what colours become."""
    bright = colours[..., :3].astype(float) @ np.array([0.299, 0.587, 0.114])
    return np.rint(bright).astype(colours.dtype)


def write_video(
    path: Path,
    planes: list[np.ndarray],
    pixels: str,
    codec: str = "ffv1",
    settings: dict[str, str] | None = None,
    **options: Any,
) -> None:
    """Write frames whose first plane has these bytes; further planes have a middle value.

    The codec gets `settings`, the file `options`.
    """
    import av

    height, width = planes[0].shape[:2]
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream(codec, rate=50, options=settings or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        for number, plane in enumerate(planes):
            frame = av.VideoFrame(width, height, pixels)
            content = np.ascontiguousarray(plane).view(np.uint8).reshape(height, -1)
            rows = np.zeros((height, frame.planes[0].line_size), np.uint8)
            rows[:, : content.shape[1]] = content
            frame.planes[0].update(rows.tobytes())
            for other in frame.planes[1:]:
                other.update(bytes([128]) * other.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 50)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def cut(path: Path, share: float = 0.6) -> Path:
    """Make a copy of a file that has so much of it."""
    short = path.with_name(f"cut_{path.name}")
    content = path.read_bytes()
    short.write_bytes(content[: int(len(content) * share)])
    return short
