# Types of waitany.pyx.
from .reader import Reader
from .rings import PrivateRing

__all__ = ["wait_for_any"]

def wait_for_any(
    sources: list[tuple[Reader | PrivateRing, int]], timeout: float | None = None
) -> list[int]: ...
