"""The names of ImageStreamIO's Python wrapper, on pymilk streams: see `pymilk.image`."""

from .image import Image, Image_md, Proc_trace
from .imagetypes import Image_kw, ImageStreamIODataType, ImageStreamIOType

__all__ = [
    "Image",
    "ImageStreamIODataType",
    "ImageStreamIOType",
    "Image_kw",
    "Image_md",
    "Proc_trace",
]
