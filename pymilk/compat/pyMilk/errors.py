"""Installed as ``pyMilk.errors``: the very module `pymilk.errors`."""

import sys

from pymilk import errors

sys.modules[__name__] = errors
