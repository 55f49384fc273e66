"""Save captures as recordings, in any format that a recorder writes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..capture import Capture
from ..errors import OutputChangedError, StreamArgumentError, StreamError
from ..shm import SHM
from ..system.files import check_room_for, checked_path, file_error, memory_error
from ..system.output_lock import check_outputs
from .aside import Aside
from .headers import FileAccount, first_time, header_of
from .living_series import check_no_living_series
from .replacing import check_replaceable
from .series import others_of, taken_by
from .sinks import Header, Sink, sink_of
from .sinks.packing import checked_compress

__all__ = ["check_save", "save"]


def check_save(
    path: str | os.PathLike[str],
    shm: SHM,
    *,
    force: bool = False,
    compress: bool | str | None = False,
) -> None:
    """Raise any error that saving captures of a stream would raise, before anything is captured.

    Parameters
    ----------
    path : str or PathLike
    shm : SHM
    force, compress : bool, default False
        See `save`.

    Raises
    ------
    StreamError
        As for `save`, except errors of the writing itself.
    """
    stream = shm.live_source()[0]
    _checked(path, stream.name, stream.frame_shape, stream.dtype, force, checked_compress(compress))


def _checked(
    path: Any, stream: str, shape: tuple[int, ...], dtype: np.dtype[Any], force: bool, compress: bool | str
) -> str:
    """Return the path, if frames of this kind can be saved there."""
    where = checked_path(path, "a recording")
    kind = sink_of(where, compress)
    kind.check(shape, dtype, compress)
    # A series of this name would be hidden behind the file.
    check_outputs(taken_by(where))
    check_no_living_series(where)
    check_room_for(where, [] if force else taken_by(where), stream)
    if force:
        check_replaceable(where)
    return where


def save(
    capture: Capture,
    path: str | os.PathLike[str],
    *,
    keywords: Iterable[Iterable[Any]] = (),
    force: bool = False,
    compress: bool | str | None = False,
    progress: Callable[[int], object] | None = None,
) -> str:
    """Save a capture as a recording, which `pymilk.load` reads and `pymilk.play` plays.

    Parameters
    ----------
    capture : Capture
        The frames received so far are saved.
    path : str or PathLike
        ``.npy``, ``.fits``, ``.h5``, ``.hdf5`` or ``.zarr``: the suffix chooses the format, as for
        `pymilk.record`.
    keywords : iterable of (name, value, comment), optional
        Keywords of the stream to store with the frames, as from `Stream.read_keywords`.
    force : bool, default False
        Replace an existing recording, and an existing series of that name. What is no recording stays.
    compress : bool, "fast" or "small", default False
        FITS, HDF5 and Zarr: see `Recorder`.
    progress : callable, optional
        Called with the number of frames that are written, after each piece.

    Returns
    -------
    str
        The path.

    Raises
    ------
    StreamArgumentError
        There is no frame to save, the suffix is no format, or the format has no compression.
    StreamExistsError
        The file exists, or is no recording.
    StreamNotFoundError, StreamPermissionError, StreamStorageError
        There is no such directory, it is not writable, or the disk is full. Frames that fitted can be
        loaded.
    StreamUnsupportedError
        The format cannot hold such pixels.
    LibraryMissingError
        An ImportError: the library of the format is not installed.

    Notes
    -----
    Frames are copied to the file in pieces, in the order of the stream, which needs memory for one piece.
    What `force` replaces is deleted once the new file is finished: after an interrupt it is there as before.

    Examples
    --------
    >>> capture = shm.capture(1000)                                     # doctest: +SKIP
    >>> pymilk.save(capture, "out.fits")                                # doctest: +SKIP
    """
    if not isinstance(capture, Capture):
        raise StreamArgumentError(
            f"save takes a Capture, as SHM.capture gives it, not {type(capture).__name__}",
            argument="capture",
            found=capture,
        )
    turn, count = capture.orientation, capture.received
    frames, info = capture.frames[:count], capture.info[:count]
    packing = checked_compress(compress)
    where = _checked(path, capture.name, turn.stream_shape, frames.dtype, force, packing)
    if not count:
        raise StreamArgumentError(
            f"stream {capture.name!r}: the capture has no frame to save", argument="capture", found=capture
        )
    stored = [list(each)[:3] for each in keywords]
    sink_of(where).check_keywords([tuple(each) for each in stored])

    def header(written: int, ended: str) -> Header:
        account = FileAccount(
            started_ns=capture.started_ns,
            first_ns=first_time(info),
            frames=written,
            lost=int(info["lost"][:written].sum()),
            ended=ended,
        )
        return header_of(capture.name, frames.dtype, turn, keywords=stored, account=account)

    kind = sink_of(where, packing)
    aside = Aside([])
    try:
        aside = Aside(kind.files(where) if force else [])
        sink = kind(
            where,
            turn.stream_shape,
            frames.dtype,
            header(0, "running"),
            compress=packing,
            frames=count,
            replace=force,
        )
        if force:
            _take_place(sink, where, aside)
        written, ended = 0, _how_it_ended(capture, count)
        try:
            _write(sink, turn.native(frames), info, progress)
            written = count
        except BaseException as error:
            written, ended = _kept_of_failed(error, sink, where, aside), "error"
            raise
        finally:
            _end(sink, aside, header(written, ended) if written else None)
    except (OSError, MemoryError) as error:
        if isinstance(error, StreamError):
            raise
        raise _told(error, where) from error
    finally:
        aside.put_back()  # nothing, if there are new files
    return where


def _how_it_ended(capture: Capture, count: int) -> str:
    if count == capture.requested:
        return "complete"
    return "error" if capture.error else "stopped"


def _kept_of_failed(error: BaseException, sink: Sink, path: str, aside: Aside) -> int:
    """Return how many frames are kept of a file that could not be written; without any it is deleted.

    After an interrupt none are, if there is something that it would have replaced. Otherwise the file stays
    as it is, unfinished.
    """
    if isinstance(error, (OSError, MemoryError)) and sink.written:
        return sink.written
    if (aside or not sink.written) and not isinstance(error, OutputChangedError):
        with contextlib.suppress(OSError):
            type(sink).remove(path)
    return 0


def _take_place(sink: Sink, path: str, aside: Aside) -> None:
    """Put aside what a new file replaces; without one nothing is replaced."""
    aside.take(sink)
    try:
        aside.hide(others_of(path, path))
    except BaseException:
        sink.close()
        type(sink).remove(path)
        raise


def _end(sink: Sink, aside: Aside, header: Header | None) -> None:
    """Finish a file, unless it has no frames; it takes the place of the old ones then."""
    try:
        if header is not None:
            sink.finish(header)
    finally:
        sink.close()
        if header is not None:
            aside.forget()


def _told(error: OSError | MemoryError, path: str) -> StreamError:
    if isinstance(error, MemoryError):
        return memory_error(path, "written")
    return file_error(error, path, "written")


def _write(sink: Sink, frames: Any, info: Any, progress: Callable[[int], object] | None) -> None:
    done = 0
    while done < len(frames):
        room = sink.room(len(frames) - done)
        np.copyto(room, frames[done : done + len(room)])
        sink.commit(info[done : done + len(room)])
        done += len(room)
        if progress is not None:
            progress(done)
    sink.flush()
