"""Files of other programs: what is in them, and which image of a FITS file is meant."""

from .contents import Content, content_of
from .hdus import Hdu, split_hdu

__all__ = ["Content", "Hdu", "content_of", "split_hdu"]
