"""Installed as ``pyMilk.interfacing.shm``: the very module `pymilk.interfacing.shm`."""

import sys

from pymilk.interfacing import shm

sys.modules[__name__] = shm
