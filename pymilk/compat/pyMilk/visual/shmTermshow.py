"""Installed as ``pyMilk.visual.shmTermshow``: the command ``shmTermshow`` of pymilk."""

from pymilk.cli.start import shmTermshow as main

__all__ = ["main"]

if __name__ == "__main__":
    main()
