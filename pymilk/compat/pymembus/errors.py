"""The error model of pymembus: calls return False, -1 or nothing, and say why in `last_error`, per thread."""

from __future__ import annotations

import threading

from .enumeration import Enumeration

__all__ = ["errc", "failed", "last_error", "last_error_message", "set_error"]

_TEXTS = {
    "ok": "ok",
    "invalid_argument": "invalid argument",
    "open_failed": "open failed",
    "create_failed": "create failed",
    "map_failed": "map failed",
    "size_mismatch": "size mismatch",
    "invalid_layout": "invalid shared-memory layout",
    "not_open": "not open",
    "access_denied": "access denied",
    "message_too_large": "message too large",
    "lock_timeout": "lock timeout",
    "timeout": "timeout",
    "overrun": "overrun",
}


class errc(Enumeration, members={name: number for number, name in enumerate(_TEXTS)}):
    """Why a call failed."""

    ok: errc
    invalid_argument: errc
    open_failed: errc
    create_failed: errc
    map_failed: errc
    size_mismatch: errc
    invalid_layout: errc
    not_open: errc
    access_denied: errc
    message_too_large: errc
    lock_timeout: errc
    timeout: errc
    overrun: errc


class _Last(threading.local):
    error = errc.ok


_last = _Last()


def set_error(error: errc) -> None:
    """Store the error of this thread."""
    _last.error = error


def failed(error: errc) -> bool:
    """Store the error of this thread; returns False, for a call that returns that."""
    _last.error = error
    return False


def last_error() -> errc:
    """Return the last error of this thread. Calls that succeed need not reset it; making an object does."""
    return _last.error


def last_error_message(error: errc | None = None) -> str:
    """Return the text of an error.

    Parameters
    ----------
    error : errc, optional
        Default: `last_error`.
    """
    if error is None:
        error = _last.error
    if not isinstance(error, errc):
        raise TypeError(f"error is an errc, not {type(error).__name__}")
    return _TEXTS.get(error.name, "unknown error")
