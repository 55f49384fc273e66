"""``python -m pymilk.simulate NAME``: what `SimulatedCamera` runs in a process of its own."""

from .program import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
