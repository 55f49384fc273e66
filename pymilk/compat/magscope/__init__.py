"""The shared buffers of `magscope.datatypes`, with its names, segments and layout: part 6 of docs/compat.md.

A process that has the original attaches to these segments, and the other way round.
"""

from .beads import BeadRoiBuffer
from .installing import install
from .matrix import LiveProfileBuffer, MatrixBuffer
from .sweep import ZLUTSweepDataset
from .video import VideoBuffer
from .words import (
    BufferOverflow,
    BufferUnderflow,
    DatasetNotReadyError,
    bit_to_dtype,
    int_to_uint_dtype,
    logger,
)

__all__ = [
    "BeadRoiBuffer",
    "BufferOverflow",
    "BufferUnderflow",
    "DatasetNotReadyError",
    "LiveProfileBuffer",
    "MatrixBuffer",
    "VideoBuffer",
    "ZLUTSweepDataset",
    "bit_to_dtype",
    "install",
    "int_to_uint_dtype",
    "logger",
]
