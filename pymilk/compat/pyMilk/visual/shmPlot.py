"""Installed as ``pyMilk.visual.shmPlot``: the command ``shmPlot`` of pymilk."""

from pymilk.cli.start import shmPlot as main

__all__ = ["main"]

if __name__ == "__main__":
    main()
