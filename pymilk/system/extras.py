"""Optional libraries: imported where they are first needed, with an error that says how to get them."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import LibraryMissingError

__all__ = ["optional_library"]

#: Packages that are not called what Python imports.
_PACKAGES = {"PIL": "Pillow"}


def optional_library(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an optional library.

    Parameters
    ----------
    module : str
        Full name, for example ``"astropy.io.fits"``.
    extra : str
        The extra of pymilk that installs it.
    purpose : str
        What needs it, in the plural, to begin the message with: ``"FITS files"``.

    Returns
    -------
    module

    Raises
    ------
    LibraryMissingError
        An ImportError: the library, or one that it needs, is not installed. Any other failure of its import
        is passed on as it is.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = (error.name or module).partition(".")[0]
        package = _PACKAGES.get(library, library)
        raise LibraryMissingError(
            f"{purpose} need {package}, which is not installed: pip install 'pymilk[{extra}]'",
            library=library,
            extra=extra,
        ) from error
