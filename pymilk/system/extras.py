"""Optional libraries: imported where they are first needed, with an error that says how to get them."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ..errors import LibraryMissingError, StreamArgumentError, StreamFormatError
from .causes import ended_resources
from .files import checked_path, file_error
from .regular import open_regular

__all__ = ["optional_library", "toml_of"]

#: Packages that are not called what Python imports.
_PACKAGES = {"PIL": "Pillow", "zenoh": "eclipse-zenoh"}


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
        It cannot be read (as `file_error`), is no regular file (`StreamFormatError`), or is no TOML
        (`StreamArgumentError`).
    """
    toml = optional_library("tomllib" if sys.version_info >= (3, 11) else "tomli", extra, purpose)
    path = checked_path(path, "a TOML file", argument)
    try:
        with open(open_regular(path), "rb") as file:
            return dict(toml.load(file))
    except OSError as error:
        raise file_error(error, path, "read", argument) from error
    except StreamFormatError:  # no regular file
        raise
    except ValueError as error:
        raise StreamArgumentError(
            f"{path} is no TOML file: {error}", argument=argument, found=path
        ) from error
