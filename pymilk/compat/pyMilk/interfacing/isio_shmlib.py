"""Installed as ``pyMilk.interfacing.isio_shmlib``: the very module `pymilk.interfacing.isio_shmlib`."""

import sys

from pymilk.interfacing import isio_shmlib

sys.modules[__name__] = isio_shmlib
