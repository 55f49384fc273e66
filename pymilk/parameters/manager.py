"""`FPSManager`: all FPS of the directory, attached when they are asked for."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Mapping

from ..errors import FPSError, FPSKeyError, FPSNotFoundError, FPSPermissionError, FPSStorageError
from ..system.causes import cause_of, ended_resources
from ..system.files import checked_path
from ..system.single import Single
from .fps import FPS
from .naming import SUFFIX, fps_directory

__all__ = ["FPSManager", "list_fps"]


def list_fps(directory: str | None = None) -> list[str]:
    """Return the names of all FPS of a directory, sorted, whether they can be attached or not.

    Raises
    ------
    FPSNotFoundError, FPSPermissionError
        There is no such directory, or it cannot be listed.
    """
    folder = fps_directory() if directory is None else checked_path(directory, "a directory", "directory")
    try:
        entries = os.listdir(folder)
    except PermissionError as error:
        raise FPSPermissionError(f"{folder} cannot be listed: {error.strerror}", path=folder) from error
    except OSError as error:
        if ended_resources(error) is not None:
            raise FPSStorageError(f"{folder} cannot be listed: {cause_of(error)}", path=folder) from error
        raise FPSNotFoundError(f"{folder} is no directory: {error.strerror}", path=folder) from error
    return sorted(name.removesuffix(SUFFIX) for name in entries if name.endswith(SUFFIX) and name[0] != ".")


class FPSManager(Single, Mapping[str, FPS]):
    """All FPS of the stream directory whose names, and labels, match a pattern: a mapping of names to `FPS`.

    Parameters
    ----------
    pattern : str, default "*"
        For names, as shells have it: ``*``, ``?``, ``[...]``.
    label : str, default "*"
        For labels. ``*`` includes those that have none.

    Attributes
    ----------
    unusable : dict
        Files that could not be attached: name and error.

    Notes
    -----
    The directory is looked through when the manager is made, and by `rescan`; each FPS stays attached.
    """

    _single = "it has its parameters open in this process; make another one with the same pattern"

    def __init__(self, pattern: str = "*", label: str = "*") -> None:
        self.pattern = pattern
        self.label = label
        self.unusable: dict[str, FPSError] = {}
        self._attached: dict[str, FPS] = {}
        self.rescan()

    def rescan(self) -> list[str]:
        """Look through the directory again; returns all names.

        Those that are attached stay so, unless their file is gone or was made anew.
        """
        self.unusable = {}
        names = [name for name in list_fps() if fnmatch.fnmatchcase(name, self.pattern)]
        kept: dict[str, FPS] = {}
        for name in names:
            fps = self._attached.pop(name, None)
            if fps is not None and not fps.closed and fps.is_current():
                kept[name] = fps
                continue
            try:
                fps = self.attach(name)
            except FPSError as error:
                self.unusable[name] = error
                continue
            if self.label == "*" or any(fnmatch.fnmatchcase(each, self.label) for each in fps.labels):
                kept[name] = fps
            else:
                fps.close()
        for fps in self._attached.values():
            fps.close()
        self._attached = kept
        return list(kept)

    def attach(self, name: str) -> FPS:
        """Attach one FPS; for subclasses that have another class of them."""
        return FPS(name)

    def __getitem__(self, name: str) -> FPS:
        if name in self._attached:
            return self._attached[name]
        if name in self.unusable:
            raise self.unusable[name]
        raise FPSKeyError(
            f"there is no fps {name!r} among those found; rescan() looks again",
            fps=name,
            key=name,
            similar=[],
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._attached)

    def __len__(self) -> int:
        return len(self._attached)

    def close(self) -> None:
        """Close all FPS that were attached."""
        for fps in self._attached.values():
            fps.close()
        self._attached = {}

    def __enter__(self) -> FPSManager:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
