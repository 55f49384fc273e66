"""Installed as ``pyMilk.interfacing.fits``: the very module `pymilk.interfacing.fits`."""

import sys

from pymilk.interfacing import fits

sys.modules[__name__] = fits
