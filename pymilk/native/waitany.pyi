# Types of waitany.pyx.
from .reader import Reader
from .rings import PrivateRing

def wait_for_any(
    sources: list[tuple[Reader | PrivateRing, int]], timeout: float | None = None
) -> list[int]: ...
