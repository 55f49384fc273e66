"""`SHM`: the familiar object that users hold."""

from .making import check_SHM_name
from .shm import SHM

__all__ = ["SHM", "check_SHM_name"]
