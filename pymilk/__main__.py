"""``python -m pymilk``: ``--version`` with nothing but the core, everything else as ``pymilk``."""

from __future__ import annotations

import sys

from .cli import main
from .inspection.about import version_lines

if __name__ == "__main__":
    if sys.argv[1:] == ["--version"]:
        print("\n".join(version_lines()))
    else:
        main()
