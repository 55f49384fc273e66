"""`SHM` under the path that older scripts import it from."""

from ..shm import SHM

__all__ = ["SHM"]
