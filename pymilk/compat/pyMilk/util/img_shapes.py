"""Installed as ``pyMilk.util.img_shapes``: the very module `pymilk.util.img_shapes`."""

import sys

from pymilk.util import img_shapes

sys.modules[__name__] = img_shapes
