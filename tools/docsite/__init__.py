"""What the documentation has beyond its pages: every name, every command, and links to other files.

An extension of Sphinx, loaded by docs/conf.py. Nothing that it writes is kept in the repository.
"""

from __future__ import annotations

from typing import Any

from .extension import connect

__all__ = ["setup"]


def setup(app: Any) -> dict[str, Any]:
    """Register the extension; Sphinx calls it."""
    return connect(app)
