"""`Image`: a stream through the interface of ImageStreamIO's own Python wrapper."""

from .image import Image, image_over
from .metadata import Image_md, Proc_trace
from .types import Image_kw, ImageStreamIODataType, ImageStreamIOType

__all__ = [
    "Image",
    "ImageStreamIODataType",
    "ImageStreamIOType",
    "Image_kw",
    "Image_md",
    "Proc_trace",
    "image_over",
]
