"""Descriptors that are readable once something was told."""

from __future__ import annotations

import os

from ..errors import StreamStorageError
from .causes import cause_of

__all__ = ["new_eventfd"]


def new_eventfd(count: int, what: str) -> int:
    """Make an eventfd, readable from the beginning if `count` is not 0.

    Parameters
    ----------
    count : int
    what : str
        Whose descriptor it is, for the message: ``"stream 'cam'"``.

    Raises
    ------
    StreamStorageError
        This process or the machine has no descriptors left.
    """
    try:
        return os.eventfd(count, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    except OSError as error:
        text = f"{what}: no descriptor to wait on can be made: {cause_of(error)}"
        raise StreamStorageError(text) from error
