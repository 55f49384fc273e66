# Types of file.pyx.
from typing import Any, final

import numpy as np

from .memory import Mapping

__all__ = ["live_objects"]

@final
class StreamFile:
    @property
    def mapping(self) -> Mapping | None: ...
    @property
    def path(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def note(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def frame_shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...

def live_objects() -> dict[str, int] | None: ...
