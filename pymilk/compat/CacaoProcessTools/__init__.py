"""Installed as ``CacaoProcessTools``: the very module `pymilk.CacaoProcessTools`."""

import sys

from pymilk import CacaoProcessTools

sys.modules[__name__] = CacaoProcessTools
