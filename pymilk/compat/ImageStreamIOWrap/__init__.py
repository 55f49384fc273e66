"""Installed as ``ImageStreamIOWrap``: the very module `pymilk.ImageStreamIOWrap`."""

import sys

from pymilk import ImageStreamIOWrap

sys.modules[__name__] = ImageStreamIOWrap
