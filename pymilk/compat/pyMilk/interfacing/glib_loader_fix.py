"""Installed as ``pyMilk.interfacing.glib_loader_fix``: the very module of `pymilk.interfacing`."""

import sys

from pymilk.interfacing import glib_loader_fix

sys.modules[__name__] = glib_loader_fix
