"""Installed as ``pyMilk.visual.shmImshow``: the command ``shmImshow`` of pymilk."""

from pymilk.cli.start import shmImshow as main

__all__ = ["main"]

if __name__ == "__main__":
    main()
