"""What a bug report asks for: versions, build options, the machine."""

from __future__ import annotations

import platform

import numpy as np

from .._core import build_info
from .._version import __version__

__all__ = ["version_lines"]


def version_lines() -> list[str]:
    """Return the lines that ``pymilk --version`` prints."""
    build = build_info()
    libc, libc_version = platform.libc_ver()
    return [
        f"pymilk {__version__}" + (" (debug build)" if build["debug"] else ""),
        f"stream structure {build['structure_version']} ({build['layout']} layout), reads 2.x",
        f"header {build['header']}",
        f"Cython {build['cython']}, NumPy {np.__version__}, Python {platform.python_version()}",
        f"{libc or 'libc'} {libc_version or '?'}, Linux {platform.release()} {platform.machine()}",
    ]
