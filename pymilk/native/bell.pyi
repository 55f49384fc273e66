# Types of bell.pyx.
from typing import final

__all__ = ["Bell"]

@final
class Bell:
    @property
    def counted(self) -> int: ...
    def ring(self) -> None: ...
