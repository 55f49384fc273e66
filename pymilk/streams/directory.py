"""The stream directory: list its streams, find and remove abandoned temporary files. Maps no pixels."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .._core import read_header
from ..errors import StreamError, StreamNotFoundError, StreamPermissionError
from ..names import SUFFIX, stream_directory
from ..system.causes import ended_resources
from ..system.files import checked_path, file_error
from ..system.temporary import abandoned, remove_abandoned

__all__ = ["find_stale", "list_streams", "remove_stale"]


def list_streams(directory: str | None = None) -> list[dict[str, Any]]:
    """Describe the streams of a directory without attaching them.

    Parameters
    ----------
    directory : str, optional
        Default `stream_directory`.

    Returns
    -------
    list of dict
        Sorted by name, those that begin with a dot left out. As `pymilk._core.read_header` gives them; a file
        that is not a usable stream has ``name``, ``path`` and ``error`` only.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        There is no such directory, or it cannot be listed.
    StreamStorageError
        This process has no file descriptors left.
    """
    folder = _folder(directory)
    streams: list[dict[str, Any]] = []
    for entry in sorted(_names(os.listdir, folder)):
        if entry.startswith(".") or not entry.endswith(SUFFIX):
            continue
        path = os.path.join(folder, entry)
        try:
            streams.append(read_header(path))
        except StreamError as error:
            if ended_resources(error) is not None:
                raise  # it would say the same of every file
            text = str(error)
            if os.path.islink(path) and not os.path.exists(path):
                text = f"{path}: not a stream: a link to {os.readlink(path)}, where nothing is"
            streams.append({"name": entry.removesuffix(SUFFIX), "path": path, "error": text})
    return streams


def _folder(directory: object) -> str:
    """Return the directory that was given, or the stream directory."""
    return stream_directory() if directory is None else checked_path(directory, "a directory", "directory")


def _names(find: Callable[[str], list[str]], folder: str) -> list[str]:
    """Call `find`; turn errors about the directory into errors of pymilk."""
    try:
        return find(folder)
    except PermissionError as error:
        raise StreamPermissionError(
            f"{folder}: no permission to list it; ask its owner for it, or set MILK_SHM_DIR to another one",
            path=folder,
        ) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StreamNotFoundError(
            f"{folder}: there is no such directory; create it, or name another one", path=folder
        ) from error
    except OSError as error:
        raise file_error(error, folder, "listed") from error


def find_stale(directory: str | None = None) -> list[str]:
    """Find temporary files of creators that died before their stream was ready.

    Returns
    -------
    list of str
        Paths. A file of a living process is locked and never among them, also if that process is in
        another container.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError
        There is no such directory, or it cannot be listed.

    Notes
    -----
    `pymilk.Stream.create` removes those of its directory before it makes a stream, so that they stay until
    the next one at most.
    """
    return _names(abandoned, _folder(directory))


def remove_stale(directory: str | None = None) -> list[str]:
    """Remove what `find_stale` finds; returns the paths. Files that this user may not remove stay."""
    return _names(remove_abandoned, _folder(directory))
