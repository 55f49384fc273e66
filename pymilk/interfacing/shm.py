"""`SHM` and its helpers under the path that existing scripts import them from."""

import datetime
import os
import time

import numpy as np

from .. import errors
from ..image import Image, Image_kw, Image_md
from ..names import stream_directory as MILK_SHM_DIR
from ..shm import SHM, check_SHM_name
from ..util import img_shapes

__all__ = [
    "MILK_SHM_DIR",
    "SHM",
    "Image",
    "Image_kw",
    "Image_md",
    "check_SHM_name",
    "datetime",
    "errors",
    "img_shapes",
    "np",
    "os",
    "time",
]
