"""Optional libraries: imported where they are first needed, with an error that says how to get them."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import sys
from typing import Any

from ..errors import LibraryMissingError, StreamArgumentError
from .causes import ended_resources
from .files import checked_path, file_error

__all__ = ["optional_library", "toml_of"]

#: Packages that are not called what Python imports.
_PACKAGES = {"PIL": "Pillow", "zenoh": "eclipse-zenoh"}

#: Bytes that a TOML file of a user has at most: a device gives bytes without end.
_LONGEST_TOML = 1 << 20

#: Milliseconds between two looks whether a signal has ended the wait for a pipe.
_LOOK_MS = 100


def optional_library(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an optional library.

    Parameters
    ----------
    module : str
        Full name, for example ``"astropy.io.fits"``.
    extra : str
        The extra of pymilk that it belongs to.
    purpose : str
        What needs it, in the plural, to begin the message with: ``"FITS files"``.

    Returns
    -------
    module

    Raises
    ------
    LibraryMissingError
        An ImportError: the library, or one that it needs, is not installed, or cannot be loaded.
    StreamStorageError
        There are no file descriptors or no memory for it. Any other failure of its import is passed on as it
        is.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = (error.name or module).partition(".")[0]
        package = _PACKAGES.get(library, library)
        raise LibraryMissingError(
            f"{purpose} need {package}, which is not installed: pip install {package}",
            library=library,
            extra=extra,
        ) from error
    except ImportError as error:
        raise LibraryMissingError(
            f"{purpose} need {module}, which is installed and cannot be imported: {error}",
            library=module.partition(".")[0],
            extra=extra,
        ) from error
    except OSError as error:
        ended = ended_resources(error)
        if ended is None:
            raise
        raise file_error(ended, f"{module}, which {purpose} need,", "imported") from error


def _content_of(path: str) -> bytes:
    """Read a file, or a pipe, into which another program may write secrets; a signal ends the wait for it."""
    content = b""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        ready = select.poll()  # select.select takes no descriptors from 1024 on
        ready.register(descriptor, select.POLLIN)
        while len(content) <= _LONGEST_TOML:
            # Handlers of signals run between the looks; a signal just before a read that blocks is not seen.
            if ready.poll(_LOOK_MS):
                with contextlib.suppress(BlockingIOError):
                    part = os.read(descriptor, _LONGEST_TOML)
                    if not part:
                        return content
                    content += part
    finally:
        os.close(descriptor)
    raise ValueError(f"it is longer than {_LONGEST_TOML} bytes")


def toml_of(path: str, extra: str, purpose: str, argument: str) -> dict[str, Any]:
    """Return what is in a TOML file.

    Parameters
    ----------
    path : str
    extra, purpose : str
        As for `optional_library`: Python 3.10 has no module for it.
    argument : str
        Name of the argument that the path came from.

    Raises
    ------
    LibraryMissingError
    StreamError
        It cannot be read (as `file_error`), or is no TOML, or longer than a megabyte (`StreamArgumentError`).
    """
    toml = optional_library("tomllib" if sys.version_info >= (3, 11) else "tomli", extra, purpose)
    path = checked_path(path, "a TOML file", argument)
    try:
        return dict(toml.loads(_content_of(path).decode()))
    except OSError as error:
        raise file_error(error, path, "read", argument) from error
    except ValueError as error:
        raise StreamArgumentError(
            f"{path} is no TOML file: {error}", argument=argument, found=path
        ) from error
