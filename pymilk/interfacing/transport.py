"""Names of the transport engine of other builds under the path that existing scripts import them from."""

from ..image import Image_md
from .no_transport import ComputeUnit, CopybackComputeUnit

__all__ = ["ComputeUnit", "CopybackComputeUnit", "Image_md"]
