"""Tables of the stream format: element types, flags of frames, and the dtype of each section."""

from .._isio cimport FRAMEWRITEMD, IMAGE_KEYWORD, _DATATYPE_UINT8
from ..protocol.frame cimport (
    _COUNTER_RESET, _COUNTER_SET, _FROM_RING, _NEW_FILE, _REPEATED_POST, _TORN, _UNCERTAIN, _VERIFIED, is_set,
)

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

#: `write` was 0 and counter and stamps stood still around the copy: the frame is whole.
FLAG_VERIFIED = _VERIFIED
#: The frame may hold pixels of two frames: the writer never left enough time, or died in it.
FLAG_TORN = _TORN
#: Semaphore posts arrived before this frame that announced nothing new; they were ignored.
FLAG_REPEATED_POST = _REPEATED_POST
#: The frame was read from a ring slot.
FLAG_FROM_RING = _FROM_RING
#: First frame of a new file, which replaced the one before.
FLAG_NEW_FILE = _NEW_FILE
#: The counter went backwards before this frame; what was lost cannot be known.
FLAG_COUNTER_RESET = _COUNTER_RESET
#: Another program set the counter forward before this frame, by more than frames can come; what was lost there cannot
#: be known, and `lost` does not count it.
FLAG_COUNTER_SET = _COUNTER_SET
#: It is not certain which frame it is. With FLAG_TORN: whole, but perhaps the frame with the next number.
FLAG_UNCERTAIN = _UNCERTAIN

#: Bits of `imagetype` by name.
IMAGETYPES = {
    "CIRCULAR_BUFFER": 0x1,
    "MATH_DATA": 0x2,
    "IMG_RECV": 0x4,
    "IMG_SENT": 0x8,
    "ZAXIS_SPACIAL": 0x10000,
    "ZAXIS_TEMPORAL": 0x20000,
    "ZAXIS_WAVELENGTH": 0x30000,
    "ZAXIS_MAPPING": 0x40000,
}
#: The usual kind of stream.
MATH_DATA = IMAGETYPES["MATH_DATA"]

#: The element types, by the code that is stored.
DTYPES = {
    code: np.dtype(text)
    for code, text in enumerate(
        "<u1 <i1 <u2 <i2 <u4 <i4 <u8 <i8 <f4 <f8 <c8 <c16 <f2".split(), start=_DATATYPE_UINT8
    )
}
#: An event of 5 bytes, without padding, in newer programs. Older headers have no name for its code.
EVENT = DTYPES[20] = np.dtype("<u1,<u1,<u2,<u1")

#: ImageStreamIO opens no stream with more elements.
NELEMENT_MAX = 10_000_000_000

#: One row for each frame, 56 bytes (struct Row of protocol/frame.pxd). Times are nanoseconds of CLOCK_TAI; 0 means that
#: the writer stores none.
FRAME_ROW = np.dtype(
    [
        ("cnt0", "<u8"),
        ("cnt1", "<u8"),
        ("atime_ns", "<i8"),
        ("writetime_ns", "<i8"),
        ("arrival_ns", "<i8"),
        ("lost", "<u8"),
        ("flags", "<u4"),
    ],
    align=True,
)

#: A struct timespec.
TIMESPEC = np.dtype([("sec", "<i8"), ("nsec", "<i8")])

#: The dtype of one item of each section that callers may read as an array.
SECTION_DTYPES = {
    "keywords": np.dtype(
        {
            "names": ["name", "type", "value", "cnt", "comment"],
            "formats": ["S16", "S1", "V16", "<u8", "S80"],
            "offsets": [0, 16, 24, 40, 48],
            "itemsize": sizeof(IMAGE_KEYWORD),
        }
    ),
    "sem_read_pid": np.dtype("<i4"),
    "sem_write_pid": np.dtype("<i4"),
    "semctrl": np.dtype("<u4"),
    "semstatus": np.dtype("<u4"),
    "trace": np.dtype(
        [
            ("triggermode", "<i4"),
            ("procwrite_PID", "<i4"),
            ("trigger_inode", "<u8"),
            ("ts_procstart", TIMESPEC),
            ("ts_streamupdate", TIMESPEC),
            ("trigsemindex", "<i4"),
            ("triggerstatus", "<i4"),
            ("cnt0", "<u8"),
        ]
    ),
    "slice_atime": TIMESPEC,
    "slice_writetime": TIMESPEC,
    "slice_cnt0": np.dtype("<u8"),
    "ring_records": np.dtype(
        [("cnt0", "<u8"), ("cnt1", "<u8"), ("atime", TIMESPEC), ("writetime", TIMESPEC)]
    ),
    "history": np.dtype(
        {
            "names": ["cnt0", "wpid", "writetime"],
            "formats": ["<u8", "<i4", TIMESPEC],
            "offsets": [0, 8, 16],
            "itemsize": sizeof(FRAMEWRITEMD),
        }
    ),
}


def dtype_name(dtype):
    """Return a name of an element type that `numpy.dtype` takes.

    Parameters
    ----------
    dtype : dtype

    Returns
    -------
    str
        ``"uint16"``; of events, which NumPy calls ``"void40"``, ``"u1,u1,u2,u1"``.
    """
    return "u1,u1,u2,u1" if dtype == EVENT else dtype.name


def counter_was_set(frames, nanoseconds):
    """Tell whether a counter was set by another program: so many frames cannot have come in that time.

    Parameters
    ----------
    frames : int
        By which the counter moved, 0 or more.
    nanoseconds : int
        Below 0: as 0.
    """
    return is_set(min(frames, 2**64 - 1), max(-2**63, min(nanoseconds, 2**63 - 1)))
