"""The names of `pymilk.interfacing.shm` under the path that older scripts import them from."""

from .shm import *  # noqa: F403
from .shm import __all__ as __all__
