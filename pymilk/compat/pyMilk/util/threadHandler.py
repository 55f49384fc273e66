"""Installed as ``pyMilk.util.threadHandler``: the very module `pymilk.util.threadHandler`."""

import sys

from pymilk.util import threadHandler

sys.modules[__name__] = threadHandler
