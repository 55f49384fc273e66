"""Files opened for `load`: paths sorted out, each read by its format, arrays of others cut into frames."""

from __future__ import annotations

import os
import time
import warnings
from typing import Any, NamedTuple

import numpy as np

from ..arguments import bad_argument, check_items, whole_number
from ..errors import (
    ForeignFileWarning,
    StreamArgumentError,
    StreamError,
    StreamFormatError,
    StreamNotFoundError,
)
from ..foreign.hdus import Hdu, checked_hdu, split_hdu
from ..native.formats import EVENT
from ..system.causes import ended_resources
from ..system.files import checked_path, file_error, memory_error
from .headers import check_header
from .series import GOES_ON, parts_behind, parts_of, series_of
from .sinks import Stored, format_of
from .sinks.base import LASTING
from .sinks.outputs import identity_of

__all__ = ["check_frame_axes", "open_files", "warn_of"]

#: How often files are read that are changed at the same time, seconds from one time to the next, and age up
#: to which a change may not show in the times of a file.
_LOOKS = 6
_PAUSE = 0.002
_YOUNG_NS = 20_000_000

#: A path, and the HDU that is asked for with it.
Part = tuple[str, Hdu | None]


def check_frame_axes(found: Any) -> None:
    """Raise `StreamArgumentError` if a frame cannot have so many axes."""
    if found is not None and whole_number(found) not in (1, 2, 3):
        raise bad_argument("frame_axes", found, "the number of axes of a frame, 1 to 3, or None")


def files_of(path: Any, hdu: Any) -> tuple[list[Part], bool]:
    """Sort out what to open, and whether it is a series of files."""
    wanted = checked_hdu(hdu)
    if isinstance(path, (str, bytes, os.PathLike)):
        part = _divided(path, wanted)
        if os.path.exists(part[0]):
            return [part], False
        parts = [(each, part[1]) for each in parts_of(part[0])]
        if not parts:
            raise StreamNotFoundError(
                f"there is no recording {part[0]}, nor a series of that name", path=part[0]
            )
        return parts, True
    asked = "the path of a recording, or a list of them"
    parts = [_divided(each, wanted) for each in check_items("path", path, asked)]
    if not parts:
        raise bad_argument("path", path, asked)
    return parts, False


def _divided(given: Any, wanted: Hdu | None) -> Part:
    """Divide a path from the HDU in it."""
    path, named = split_hdu(checked_path(given, "a recording"))
    if named is not None and wanted is not None and named != wanted:
        raise StreamArgumentError(
            f"hdu is {wanted!r}, and the path {given!r} names another one", argument="hdu", found=wanted
        )
    return path, wanted if named is None else named


def open_files(path: Any, hdu: Any, frame_axes: int | None, stored: list[Stored]) -> tuple[list[Part], bool]:
    """Open all files; those of a series also while a recorder begins further ones.

    Parameters
    ----------
    path, hdu, frame_axes
        See `load`.
    stored : list of Stored
        Gets the files. They are open also after an error.

    Returns
    -------
    what was opened, and whether it is a series
    """
    parts, series = files_of(path, hdu)
    begun = False
    while True:
        for part in parts[len(stored) :]:
            stored.append(open_file(part, frame_axes))
        begun = begun or (not series and len(parts) == 1 and _begins_series(parts[0][0], stored[0]))
        if begun:
            series, later = True, [parts[0], *((each, parts[0][1]) for each in parts_behind(parts[0][0]))]
        else:
            later = files_of(path, hdu)[0] if series else parts
        if later[: len(parts)] != parts or len(later) == len(parts):
            return parts, series
        if stored[-1].header.get("ended") != GOES_ON:
            stored.pop().close()  # the last one was finished meanwhile
        parts = later


def _begins_series(path: str, stored: Stored) -> bool:
    """Return whether a file without a number in its name is the first one of a series, which had to go on."""
    begins = stored.header.get("ended") == GOES_ON and not stored.header.get("part")
    return begins and series_of(path) is None


def open_file(part: Part, frame_axes: int | None) -> Stored:
    """Open one file, which may be written, finished or replaced meanwhile.

    Raises
    ------
    StreamError
        As for `load`.
    """
    path, hdu = part
    looks = 0
    while True:
        looks += 1
        before = _state_of(path)
        try:
            stored = _translated(path, hdu)
        except StreamError:
            if looks == _LOOKS or not _may_have_changed(before, _state_of(path)):
                raise
            time.sleep(_PAUSE)
            continue
        after = _state_of(path)
        same = [each.identity for each in before] == [each.identity for each in after]
        if same and not (_disagrees(stored) and looks < _LOOKS and _may_have_changed(before, after)):
            break
        stored.close()  # parts of two recordings, or of one that was finished just now
        if same:
            time.sleep(_PAUSE)
        elif looks == _LOOKS:
            raise StreamFormatError(
                f"{path} is replaced again and again by another program; load it once that is over",
                path=path,
                field="file",
            )
    try:
        _check(stored, path)
        return _framed(stored, path, frame_axes)
    except BaseException:
        stored.close()
        raise


def _disagrees(stored: Stored) -> bool:
    """Return whether a file contradicts itself, as while it is replaced, or when it was finished just now."""
    frames, header = sum(stored.frames.shape[:1]), stored.header
    differ = stored.rows not in (None, frames) or header.get("frames") != frames
    return bool(stored.remark or (header.get("complete") and differ))


class _State(NamedTuple):
    """What tells whether a file was changed: all zeros where there is none."""

    identity: tuple[int, int] = (0, 0)
    size: int = 0
    changed_ns: int = 0


def _state_of(path: str) -> list[_State]:
    """Look at all files of a recording."""
    try:
        files = format_of(path).files(path)
    except (OSError, StreamError):
        files = [path]
    states = []
    for each in files:
        try:
            found = os.stat(each)
        except OSError:
            states.append(_State())
        else:
            states.append(_State(identity_of(found), found.st_size, found.st_mtime_ns))
    return states


def _may_have_changed(before: list[_State], after: list[_State]) -> bool:
    """Return whether files were changed between two looks; their clock has steps of some milliseconds."""
    newest = max(each.changed_ns for each in after)
    return before != after or abs(time.time_ns() - newest) < _YOUNG_NS


def _translated(path: str, hdu: Hdu | None) -> Stored:
    """Read a file; errors of the system and of libraries become errors of pymilk."""
    try:
        return _read(path, hdu)
    except StreamError:
        raise
    except OSError as error:
        raise file_error(error, str(error.filename or path), "read") from error
    except KeyError as error:
        raise StreamFormatError(
            f"{path}: the header of the recording is damaged, it has no {error}",
            path=path,
            field="header",
            expected=str(error),
        ) from error
    except MemoryError as error:
        raise memory_error(path, "opened", os.path.getsize(path)) from error
    except Exception as error:  # of libraries that meet something damaged: anything can come
        ended = ended_resources(error)
        if ended is not None:
            raise file_error(ended, path, "read") from error
        raise StreamFormatError(
            f"{path} is no recording, or it is damaged: {error!r}",
            path=path,
            field="file",
            found=repr(error),
        ) from error


def _read(path: str, hdu: Hdu | None) -> Stored:
    """Read a file with the format that its content has."""
    kind = format_of(path)
    if hdu is None:
        return kind.read(path)._replace(times_in=kind.times_in)
    if not kind.has_hdus:
        raise StreamArgumentError(
            f"hdu chooses an image of a FITS file, and {path} is none", argument="hdu", found=hdu
        )
    return kind.read(path, hdu)._replace(times_in=kind.times_in)


def _check(stored: Stored, path: str) -> None:
    """Raise if these cannot be frames of a stream, or have a header that no recorder writes."""
    check_header(stored.header, path)
    if len(stored.frames.shape) == 0:
        raise StreamFormatError(
            f"{path} has a single number, and no frames",
            path=path,
            field="shape",
            expected="(n, ...)",
            found=(),
        )
    if (stored.dtype.kind not in "biufc" and stored.dtype != EVENT) or stored.dtype.char in "gG":
        what = f"{stored.dtype}, which no stream has" if stored.dtype.char in "gG" else str(stored.dtype)
        raise StreamFormatError(
            f"{path} has no frames of numbers, but {what}",
            path=path,
            field="dtype",
            expected="numbers",
            found=stored.dtype,
        )


def _framed(stored: Stored, path: str, frame_axes: int | None) -> Stored:
    """Give an array of others, or of a reduced copy, its axis of time, if it is a single frame."""
    stored = _as_reduced(stored)
    if not stored.plain:
        if frame_axes is None:
            return stored
        raise StreamArgumentError(
            f"frame_axes: {path} is a recording, which says itself what a frame is",
            argument="frame_axes",
            found=frame_axes,
        )
    frames, given, file_axes = stored.frames, frame_axes or stored.axes, stored.frames.ndim
    axes = frames.ndim - 1 if given is None else given
    if frames.ndim == axes:
        frames = frames[None]
    elif frames.ndim != axes + 1:
        raise StreamArgumentError(
            f"{path} has the shape {frames.shape}, and no frames of {axes} axes; frame_axes is "
            f"{frames.ndim - 1} or {frames.ndim} here",
            argument="frame_axes",
            found=frame_axes,
        )
    header = stored.header and {**stored.header, "stream_shape": list(frames.shape[1:])}
    return stored._replace(frames=frames, header=header, axes=file_axes)


def _as_reduced(stored: Stored) -> Stored:
    """Take a recording whose frames have other axes than its header says for a reduced copy, cut or averaged.

    FITS says in its cards what the recorder wrote, see `sinks.fits_read`.
    """
    recorded, frames = stored.header.get("stream_shape"), stored.frames
    if stored.plain or not isinstance(recorded, list) or recorded == list(frames.shape[1:]):
        return stored
    axes = len(recorded)
    if frames.ndim != axes + 1 and not (frames.ndim == axes and isinstance(frames, np.ndarray)):
        return stored
    if not all(
        isinstance(most, int) and found <= most < 2**32  # what a stream can have; frames do not grow by that
        for found, most in zip(frames.shape[-axes:], recorded, strict=True)
    ):
        return stored  # the header is damaged
    reason = f"the recorder wrote frames {tuple(recorded)}, and the file has the shape {tuple(frames.shape)}"
    header = {key: stored.header.get(key) for key in LASTING}
    return stored._replace(
        info=None, header=header, complete=False, plain=True, axes=axes, remark=reason, missing="", rows=None
    )


def warn_of(parts: list[Part], stored: list[Stored]) -> None:
    """Warn, once for all files, of what was decided about them."""
    for (path, _), each in zip(parts, stored, strict=True):
        text = ""
        if each.remark:
            text = (
                f"{path} carries the header of a recording that it is not any more: {each.remark}; it is "
                "read as a plain array in the orientation of that header, without rows"
            )
        elif each.others:
            others = ", ".join(each.others)
            text = (
                f"{path} has several images: {each.hdu} is taken, others are in {others}; choose with hdu=, "
                f"or as {path}{each.others[0]}"
            )
        elif each.behind and each.plain:
            text = (
                f"{path} has {each.behind} bytes behind its array, which are left out: another array, which "
                "numpy.load reads from the open file, or rubbish"
            )
        if text:
            warnings.warn(text, ForeignFileWarning, stacklevel=4)
            return
