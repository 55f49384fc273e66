"""Installed as ``pyMilk.interfacing.fits_lib``: the very module `pymilk.interfacing.fits_lib`."""

import sys

from pymilk.interfacing import fits_lib

sys.modules[__name__] = fits_lib
