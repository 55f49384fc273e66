# Types of waitany.pyx.
from .bell import Bell
from .reader import Reader
from .rings import PrivateRing

__all__ = ["sleep_on_futexes", "wait_for_any"]

def wait_for_any(
    sources: list[tuple[Reader | PrivateRing | Bell, int]], timeout: float | None = None
) -> list[int]: ...
def sleep_on_futexes(permit: bool) -> bool: ...
