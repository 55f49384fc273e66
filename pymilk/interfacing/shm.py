"""`SHM` under the path that existing scripts import it from."""

from ..shm import SHM

__all__ = ["SHM"]
