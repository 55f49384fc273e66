# Types of formats.pyx.
import numpy as np

__all__ = [
    "DTYPES",
    "EVENT",
    "FLAG_COUNTER_RESET",
    "FLAG_COUNTER_SET",
    "FLAG_FROM_RING",
    "FLAG_NEW_FILE",
    "FLAG_REPEATED_POST",
    "FLAG_TORN",
    "FLAG_UNCERTAIN",
    "FLAG_VERIFIED",
    "FRAME_ROW",
    "IMAGETYPES",
    "MATH_DATA",
    "NELEMENT_MAX",
    "SECTION_DTYPES",
    "TIMESPEC",
    "counter_was_set",
    "dtype_name",
]

FLAG_VERIFIED: int
FLAG_TORN: int
FLAG_REPEATED_POST: int
FLAG_FROM_RING: int
FLAG_NEW_FILE: int
FLAG_COUNTER_RESET: int
FLAG_COUNTER_SET: int
FLAG_UNCERTAIN: int
FRAME_ROW: np.dtype[np.void]
IMAGETYPES: dict[str, int]
MATH_DATA: int
NELEMENT_MAX: int
EVENT: np.dtype[np.void]
DTYPES: dict[int, np.dtype[np.generic]]
TIMESPEC: np.dtype[np.void]
SECTION_DTYPES: dict[str, np.dtype[np.generic]]

def counter_was_set(frames: int, nanoseconds: int) -> bool: ...
def dtype_name(dtype: np.dtype[np.generic]) -> str: ...
