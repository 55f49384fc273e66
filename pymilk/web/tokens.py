"""Tokens of the page: a new one for each server, or one that a file keeps."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat

from ..errors import StreamArgumentError, StreamPermissionError
from ..system.files import checked_path, delete, file_error, put_in_place

__all__ = ["TOKEN", "WANTED", "kept_token", "new_token"]

#: What a token is made of: it stands in addresses and in headers.
TOKEN = re.compile(r"[!-~]{16,1024}")
WANTED = "at least 16 letters, digits and signs of ASCII, at most 1024, without blanks"


def new_token() -> str:
    """Return 128 random bits."""
    return secrets.token_hex(16)


def kept_token(path: str | os.PathLike[str]) -> str:
    """Return the token that a file keeps; a file that is not there is made, with a new one.

    Servers that are started one after the other so have the same address, and open pages find their way back.

    Parameters
    ----------
    path : str or PathLike
        A file with one line. Others than its user, and its group, may not read it.

    Raises
    ------
    StreamPermissionError
        All users of this machine may read it, or this one may not.
    StreamArgumentError
        There is no token in it.
    StreamStorageError
        It cannot be read, or made.
    """
    where = checked_path(path, "a token", "token_file")
    try:
        if not os.path.lexists(where):
            _make(where)
        with open(where, encoding="ascii", errors="replace") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(4096)
    except OSError as error:
        raise file_error(error, where, "read", "token_file") from error
    if stat.S_ISREG(mode) and mode & 0o007:
        raise StreamPermissionError(
            f"{where} may be read or written by all users of this machine, and who knows the token may look: "
            f"chmod 600 {where}",
            path=where,
        )
    token = content.strip()
    if not TOKEN.fullmatch(token):
        raise StreamArgumentError(
            f"there is no token in {where}: {WANTED}, in one line; a file that is not there is made",
            argument="token_file", found=None,
        )  # fmt: skip
    return token


def _make(path: str) -> None:
    """Make the file; the one of another process that does the same stays."""
    hidden = f"{path}.{secrets.token_hex(4)}"
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(f"{new_token()}\n")
        with contextlib.suppress(FileExistsError):
            put_in_place(hidden, path)
    finally:
        delete(hidden)
