# Types of bins.pyx.
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["bin_complex", "bin_image"]

_Image = np.ndarray[Any, Any] | npt.NDArray[Any]

def bin_image(
    image: _Image, out: _Image, down: int, across: int, how: Literal["mean", "max", "first"]
) -> None: ...
def bin_complex(
    image: _Image, out: _Image, down: int, across: int, how: Literal["mean", "max", "first"]
) -> None: ...
