"""``python -m pymilk.compat.pymembus help|files|info VARIABLE``."""

from __future__ import annotations

import sys
from pathlib import Path

from .about import INFORMATION

HELP = """usage: python -m pymilk.compat.pymembus COMMAND
  help            this text
  files           the files of this package, one a line
  info VARIABLE   {variables}
"""


def main(arguments: list[str]) -> int:
    """Run a command; returns its exit code."""
    command, *rest = arguments or ["help"]
    if command == "help" and not rest:
        print(HELP.format(variables=", ".join(INFORMATION)), end="")
    elif command == "files" and not rest:
        print(*sorted(str(path) for path in Path(__file__).parent.glob("*.py")), sep="\n")
    elif command == "info" and len(rest) == 1 and rest[0] in INFORMATION:
        print(INFORMATION[rest[0]])
    else:
        print(HELP.format(variables=", ".join(INFORMATION)), end="", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
