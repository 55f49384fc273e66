"""Installed as ``pyMilk.scripts.zmq_recv``, which receives streams from a network: refused in words."""

from pymilk.interfacing.no_pickles import refuse as main

__all__ = ["main"]

if __name__ == "__main__":
    main()
