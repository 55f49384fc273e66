"""Recordings as videos, with the time and number of each frame, and marks where frames are missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from .._types import Array
from ..arguments import check_count, check_number
from ..errors import StreamArgumentError, StreamFormatError, StreamStorageError
from ..system.extras import optional_library
from ..system.files import checked_path, moved_into_place
from .caption import write_line
from .colours import colour_table, paint
from .levels import check_levels, fractions, real_values, zscale
from .picture import fit, resample

__all__ = ["write_video"]

#: Rows and columns that frames are enlarged to, or reduced to, and rows below them for the text.
_ROOM = (480, 640)
_TEXT_ROWS = 20

#: Colours of the text, and of the text and the bar above the first frame after a gap.
_WHITE = (230, 230, 230)
_RED = (255, 70, 70)
_BAR_ROWS = 6

#: Frames that levels are taken from.
_LOOKED_AT = 16

#: Codecs, best first: which of them there is depends on how the library was built.
_CODECS = ("libx264", "mpeg4")


def write_video(
    recording: Any,
    path: str | os.PathLike[str],
    *,
    rate: float = 25.0,
    step: int = 1,
    levels: tuple[float, float] | None = None,
    cmap: str = "gray",
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Write a video of a recording or a capture.

    Parameters
    ----------
    recording : Recording or Capture
        Of frames with one or two axes; of a frame with one axis, a strip.
    path : str or PathLike
        ``.mp4``, ``.mkv`` or whatever the library knows. A file of that name is replaced.
    rate : float, default 25
        Pictures per second of the video, 1 to 240. The times of the frames are written below them.
    step : int, default 1
        Take each frame of so many; gaps between them are marked all the same.
    levels : (float, float), optional
        Which values are black and white, in the whole video. Default: zscale of some frames.
    cmap : str, default "gray"
        Colours: see `pymilk.view.colours.colour_table`.
    progress : callable, optional
        ``progress(done, pictures)`` after each picture.

    Returns
    -------
    int
        Pictures written.

    Raises
    ------
    StreamFormatError
        There are no frames, or they have more than two axes.
    StreamArgumentError
        An argument is out of range, or the suffix is not known.
    StreamStorageError
        The file cannot be written.
    LibraryMissingError
        An ImportError: PyAV or Pillow is not installed.

    Notes
    -----
    Row 0 is at the bottom. Text: UTC, the number of the frame, and how many are missing before it, in red
    with a bar above. The file is complete when it gets its name. One frame is in memory at a time.
    """
    av = optional_library("av", "video", "videos")
    optional_library("PIL.ImageDraw", "video", "videos")
    check_count("step", step)
    check_number("rate", rate, "pictures per second, 1 to 240", 1.0, 240.0)
    check_levels(levels)
    where = checked_path(path, "a video")
    if not len(recording) or len(recording.shape) not in (2, 3):
        raise StreamFormatError(
            f"frames of shape {tuple(recording.shape)} make no video; it takes (n, y, x) or (n, x), n 1 or "
            "more",
            field="shape",
            expected="(n, y, x)",
            found=tuple(recording.shape),
        )
    chosen = range(0, len(recording), step)
    table = colour_table(cmap)
    limits = levels or _common_levels(recording)
    done = 0
    try:
        with moved_into_place(where) as hidden, _container(av, hidden, where) as container:
            stream: Any = None
            for picture in _pictures(recording, chosen, limits, table):
                stream = stream or _video_stream(av, container, picture, rate, where)
                for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                    container.mux(packet)
                done += 1
                if progress is not None:
                    progress(done, len(chosen))
            for packet in stream.encode():
                container.mux(packet)
    except (OSError, av.error.FFmpegError) as error:
        raise StreamStorageError(
            f"the video cannot be written as {os.fspath(path)}: {error}", path=os.fspath(path)
        ) from error
    return done


def _container(av: Any, hidden: str, path: str | os.PathLike[str]) -> Any:
    """Open the file under its hidden name, in the format of its suffix."""
    suffix = os.path.splitext(os.fspath(path))[1].lower().lstrip(".")
    try:
        return av.open(hidden, "w", format={"mkv": "matroska", "m4v": "mp4"}.get(suffix, suffix))
    except ValueError as error:
        raise _bad_suffix(os.fspath(path), error) from error


def _bad_suffix(path: str, error: ValueError) -> StreamArgumentError:
    return StreamArgumentError(
        f"{path!r}: the suffix chooses the format of a video, such as .mp4 or .mkv: {error}",
        argument="path",
        found=path,
    )


def _video_stream(av: Any, container: Any, picture: Array, rate: float, path: str) -> Any:
    """Add the stream of a video of pictures like this one."""
    codec = next(name for name in _CODECS if name in av.codecs_available)
    try:
        stream = container.add_stream(codec, rate=Fraction(rate).limit_denominator(1000))
    except ValueError as error:  # a format of other codecs, as GIF is
        raise _bad_suffix(path, error) from error
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt = "yuv420p"
    return stream


def _common_levels(recording: Any) -> tuple[float, float]:
    """Return levels for the whole video, from some of its frames."""
    rows = np.unique(np.linspace(0, len(recording) - 1, _LOOKED_AT).astype(int))
    found = [levels for row in rows if (levels := zscale(real_values(np.asarray(recording[int(row)]))))]
    if not found:
        return 0.0, 1.0
    return min(low for low, _ in found), max(high for _, high in found)


def _pictures(recording: Any, chosen: range, limits: tuple[float, float], table: Array) -> Iterator[Array]:
    """Make each picture: uint8, shape (height, width, 3), both even."""
    times = recording.utc() if recording.info is not None else None
    before = -1
    for row in chosen:
        image = real_values(np.atleast_2d(np.asarray(recording[row])))
        window = fit((image.shape[0], image.shape[1]), _ROOM)
        drawn = resample(image, max(window.height, _TEXT_ROWS), window.width, "nearest")
        rgb = paint(fractions(drawn, limits), table)[::-1]
        width = max(rgb.shape[1], _ROOM[1] // 2)
        canvas = np.zeros((_even(rgb.shape[0] + _TEXT_ROWS), _even(width), 3), np.uint8)
        canvas[: rgb.shape[0], : rgb.shape[1]] = rgb
        lost = 0
        text = f"frame {row}"
        if times is not None:
            lost = int(recording.info["lost"][before + 1 : row + 1].sum())
            text = f"{str(times[row])[:-3]} UTC  #{int(recording.info['cnt0'][row])}"
        if lost:
            canvas[:_BAR_ROWS] = _RED
            text += f"  {lost} lost"
        before = row
        yield write_line(canvas, rgb.shape[0] + 4, text, colour=_RED if lost else _WHITE)


def _even(length: int) -> int:
    return length + length % 2
