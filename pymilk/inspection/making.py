"""Create and remove streams."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from .._core import Stream
from ..arguments import Replace
from ..axes import Which3DState, encode
from ..errors import StreamExistsError, StreamInUseError
from ..streams.rings import ring_layout
from ..system.processes import named_processes
from .users import check_unwritten, processes_using

__all__ = ["create_stream", "new_stream", "remove_stream"]


def remove_stream(name_or_path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Delete a stream that no other process uses.

    Parameters
    ----------
    name_or_path : str or PathLike
    force : bool, default False
        Delete it although living processes use it. They keep their memory and see that it is deleted.

    Raises
    ------
    StreamInUseError
        Living processes other than this one have it mapped, or one that is not visible from here (in another
        container) writes it, and `force` is false.
    StreamNotFoundError, StreamFormatError, StreamPermissionError, StreamNameError
        As `pymilk.Stream.attach`: what is not a stream is not deleted.
    """
    with Stream.attach(name_or_path, prefault=False) as stream:
        users = [] if force else processes_using(stream)
        if users:
            raise StreamInUseError(
                f"stream {stream.name!r} is in use by {named_processes(users)}; end "
                f"{'it' if len(users) == 1 else 'them'} first, or force the removal",
                stream=stream.name,
                path=stream.path,
                pids=users,
            )
        if not force:
            check_unwritten(stream, "end it first, or force the removal")
        stream.destroy()


def create_stream(
    name: str,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    *,
    ring: int = 0,
    ring_kind: str = "fast",
    nbkw: int = 50,
    mode: int | None = None,
    force: bool = False,
) -> None:
    """Create a stream of zeros, which stays when this process ends.

    Parameters
    ----------
    name : str
    shape : tuple of int
        Of a frame, as `SHM` gives it by default.
    dtype : dtype
    ring : int, default 0
        Slots of a ring.
    ring_kind : {"fast", "temporal"}
        See `pymilk.SHM`.
    nbkw : int, default 50
        Room for keywords.
    mode : int, optional
        Permissions, like ``0o600``. Default: 0666 less the umask.
    force : bool, default False
        Replace a stream of that name, with a `StreamInUseWarning` if a living process writes it. Its readers
        follow if shape and dtype are the same.

    Raises
    ------
    StreamExistsError
        There is a file of that name, and `force` is false.
    StreamArgumentError, StreamStorageError, StreamNameError, StreamPermissionError
        See `pymilk.Stream.create`.

    Notes
    -----
    Its counter is 0: no frame has been published.
    """
    axes: tuple[int, ...] = shape
    if len(shape) == 3:
        axes = encode(np.broadcast_to(np.uint8(0), shape), 4, Which3DState.LAST2LAST).shape[::-1]
    try:
        new_stream(
            name, axes, dtype, ring=ring, ring_kind=ring_kind, nbkw=nbkw, mode=mode, replace=force
        ).close()
    except StreamExistsError as error:
        raise StreamExistsError(
            f"stream {error.stream!r} exists at {error.path}; choose another name, or force it",
            stream=error.stream,
            path=error.path,
            argument="force",
        ) from None


def new_stream(
    name: str,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    *,
    ring: int = 0,
    ring_kind: str = "fast",
    nbkw: int = 50,
    mode: int | None = None,
    replace: Replace = False,
) -> Stream:
    """Create a stream for frames of a shape, with or without a ring.

    Parameters
    ----------
    name : str
    shape : tuple of int
        Of a frame, in C order of the stream.
    dtype : dtype
    ring, ring_kind, nbkw, mode
        As for `create_stream`.
    replace : bool or "if-free", default False
        See `pymilk.Stream.create`.

    Returns
    -------
    Stream

    Raises
    ------
    StreamArgumentError
        A temporal ring needs a number of slots, and frames of 2 axes.
    StreamError
        See `pymilk.Stream.create`.
    """
    lead, layout = ring_layout(name, shape, ring, ring_kind)
    return Stream.create(
        name, (*lead, *shape), dtype, nbkw=nbkw, mode=mode, replace=replace, **layout
    )
