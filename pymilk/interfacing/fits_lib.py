"""The names of `pymilk.interfacing.fits` under the path that older scripts import them from."""

from .fits import *  # noqa: F403
from .fits import __all__ as __all__
from .fits import __getattr__ as __getattr__
