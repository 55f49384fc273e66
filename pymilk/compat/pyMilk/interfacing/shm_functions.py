"""Installed as ``pyMilk.interfacing.shm_functions``: the very module `pymilk.interfacing.shm_functions`."""

import sys

from pymilk.interfacing import shm_functions

sys.modules[__name__] = shm_functions
