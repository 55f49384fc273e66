"""`Aside`: what a new recording replaces, until the new one has frames."""

from __future__ import annotations

import contextlib
import os
import stat

from ..system.files import NO_LINKS, delete
from ..system.hidden import hidden_name
from .sinks import Sink

__all__ = ["Aside"]


class Aside:
    """The old files of a recording that is replaced: they come back if nothing takes their place.

    Each gets a second, hidden name, so that the old or the new one has the name at any moment. Sinks of
    folders keep the old one themselves (`take`). Further files of a series are hidden (`hide`). File systems
    without links have no second names: there the old files are gone with the new ones.

    Parameters
    ----------
    paths : iterable of str
        Those of the new recording; they need not exist.

    Raises
    ------
    OSError
        A second name cannot be made. Nothing was changed.
    """

    def __init__(self, paths: list[str]) -> None:
        self._kept: list[tuple[str, str]] = []
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISREG(os.lstat(path).st_mode):
                    self._keep(path)

    def __bool__(self) -> bool:
        """Whether there is something to put back."""
        return bool(self._kept)

    def _keep(self, path: str) -> None:
        hidden = hidden_name(path)
        try:
            os.link(path, hidden)
        except OSError as error:
            if error.errno not in NO_LINKS:
                self.forget()
                raise
        else:
            self._kept.append((path, hidden))

    def hide(self, paths: list[str]) -> None:
        """Take files and folders out of sight: those of a series, which a new first file would seem to begin.

        Raises
        ------
        OSError
            One of them cannot be renamed.
        """
        for path in paths:
            hidden = hidden_name(path)
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, hidden)
                self._kept.append((path, hidden))

    def take(self, sink: Sink) -> None:
        """Also keep what a sink has put aside itself."""
        self._kept += sink.replaced

    def put_back(self) -> None:
        """Give the old files their names; new ones are deleted."""
        kept, self._kept = self._kept, []
        for path, hidden in kept:
            with contextlib.suppress(OSError):  # what can be saved is saved
                if os.path.isdir(hidden):
                    _put_folder_back(path, hidden)
                    continue
                os.rename(hidden, path)
                os.unlink(hidden)  # of one that was not replaced: rename leaves two names of one file alone

    def forget(self) -> None:
        """Delete the old files: there are new ones."""
        kept, self._kept = self._kept, []
        for _, hidden in kept:
            with contextlib.suppress(OSError):
                delete(hidden)


def _put_folder_back(path: str, hidden: str) -> None:
    """Give an old folder its name. The new one is renamed first: to delete it may take file descriptors."""
    new = hidden_name(path)
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, new)
    os.rename(hidden, path)
    delete(new)
