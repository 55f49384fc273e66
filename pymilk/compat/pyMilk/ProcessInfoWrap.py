"""Installed as ``pyMilk.ProcessInfoWrap``: the very module `pymilk.ProcessInfoWrap`."""

import sys

from pymilk import ProcessInfoWrap

sys.modules[__name__] = ProcessInfoWrap
