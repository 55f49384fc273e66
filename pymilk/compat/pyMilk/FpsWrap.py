"""Installed as ``pyMilk.FpsWrap``: the very module `pymilk.FpsWrap`."""

import sys

from pymilk import FpsWrap

sys.modules[__name__] = FpsWrap
