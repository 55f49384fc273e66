"""The ``pymilk`` command, and two that existing scripts call. Their libraries are the extra ``cli``."""

from __future__ import annotations

import importlib
import sys

__all__ = ["creashmim", "main", "updatekw"]


def main() -> None:
    """Run the command line; the console script ``pymilk``."""
    _run(".app", "app", "pymilk")


def creashmim() -> None:
    """Run the console script ``creashmim``."""
    _run(".familiar", "creashmim", "creashmim")


def updatekw() -> None:
    """Run the console script ``updatekw``."""
    _run(".familiar", "updatekw", "updatekw")


def _run(module: str, command: str, name: str) -> None:
    try:
        found = getattr(importlib.import_module(module, __name__), command)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in ("click", "rich"):
            raise
        sys.exit(
            f"pymilk's commands need {library}, which is not installed: pip install 'pymilk[cli]'"
        )
    except KeyboardInterrupt:  # importing takes a while; afterwards each command sees to it
        print("pymilk: interrupted", file=sys.stderr)
        sys.exit(130)
    found(prog_name=name)
