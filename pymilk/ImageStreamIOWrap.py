"""The names of ImageStreamIO's Python wrapper, on pymilk streams: see `pymilk.image`."""

from .image import Image, Image_kw, Image_md, ImageStreamIODataType, ImageStreamIOType, Proc_trace

__all__ = [
    "Image",
    "ImageStreamIODataType",
    "ImageStreamIOType",
    "Image_kw",
    "Image_md",
    "Proc_trace",
]
