"""The ``pymilk`` command. Its libraries are the extra ``cli``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; the console script ``pymilk``."""
    try:
        from .app import app
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit(
            f"pymilk's commands need {error.name}, which is not installed: pip install 'pymilk[cli]'"
        )
    app(prog_name="pymilk")
