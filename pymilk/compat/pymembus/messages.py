"""`memmsg`: messages of those who write for those who read."""

from __future__ import annotations

from .errors import errc
from .logs import Log

__all__ = ["memmsg"]


class memmsg(Log):
    """Messages that each reader gets, at its own pace; a handle reads, or writes as well."""

    kind = 0
    closed = errc.access_denied

    def open(self, sName: str, size: int, bWrite: bool, bCreate: bool) -> bool:
        """Attach a share, or make it.

        Parameters
        ----------
        sName : str
        size : int
            Bytes for messages; that of a share which exists has to be the same.
        bWrite : bool
            This handle writes.
        bCreate : bool
            Make it if it is not there.

        Returns
        -------
        bool
            False: invalid_argument, open_failed, create_failed, access_denied, size_mismatch (a smaller size
            than that of the share), invalid_layout (a larger one, or another file).
        """
        return self._open(sName, size, bool(bWrite), bool(bCreate))
