"""Installed as ``pyMilk.interfacing.pinfo``: the very module `pymilk.interfacing.pinfo`."""

import sys

from pymilk.interfacing import pinfo

sys.modules[__name__] = pinfo
