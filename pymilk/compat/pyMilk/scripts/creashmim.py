"""Installed as ``pyMilk.scripts.creashmim``: the command ``creashmim`` of pymilk."""

from pymilk.cli.start import creashmim as main

__all__ = ["main"]

if __name__ == "__main__":
    main()
