"""Types that annotations of all wings name."""

from typing import Any, TypeAlias

import numpy.typing as npt

__all__ = ["Array"]

#: An array of any shape and dtype.
Array: TypeAlias = npt.NDArray[Any]
