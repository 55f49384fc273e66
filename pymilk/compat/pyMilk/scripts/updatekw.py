"""Installed as ``pyMilk.scripts.updatekw``: the command ``updatekw`` of pymilk."""

from pymilk.cli.start import updatekw as main

__all__ = ["main"]

if __name__ == "__main__":
    main()
