"""Installed as ``pyMilk.scripts.zmq_send``, which sends a stream over a network: refused here, in words."""

from pymilk.interfacing.no_pickles import refuse as main

__all__ = ["main"]

if __name__ == "__main__":
    main()
