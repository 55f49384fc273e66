"""Versions, and the import name."""

from __future__ import annotations

import sys

from ..installing import give_import_name

__all__ = ["INFORMATION", "__build__", "__version__", "build", "install", "version"]

#: Version of pymembus whose interface this is.
__version__ = "2.2.0"
__build__ = "pymilk"

#: What `info` prints.
INFORMATION = {
    "name": "pymembus",
    "description": "the interface of pymembus, by pymilk",
    "version": __version__,
    "build": __build__,
}


def version() -> str:
    """Return `__version__`."""
    return __version__


def build() -> str:
    """Return `__build__`."""
    return __build__


def install() -> None:
    """Make ``import pymembus`` and ``import pymembus.pymembus`` find this package.

    Scripts call this explicitly, in each process. A second call does nothing.

    Raises
    ------
    StreamArgumentError
        The real pymembus is imported already. If it is installed only, it is hidden.
    """
    package = sys.modules[__package__ or ""]
    give_import_name(
        "pymembus", {"pymembus": package}, whole=package, instead="from pymilk.compat import pymembus"
    )
