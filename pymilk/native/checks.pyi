# Types of checks.pyx.

__all__ = ["checked_timeout"]

def checked_timeout(timeout: float | None, name: str = "") -> float | None: ...
