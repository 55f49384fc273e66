"""Installed as ``pyMilk.interfacing.transport``: the very module `pymilk.interfacing.transport`."""

import sys

from pymilk.interfacing import transport

sys.modules[__name__] = transport
