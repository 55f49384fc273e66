"""Installed as ``pyMilk.interfacing.fps``: the very module `pymilk.interfacing.fps`."""

import sys

from pymilk.interfacing import fps

sys.modules[__name__] = fps
