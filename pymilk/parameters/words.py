"""Words of parameter files: types, flags, states and requests, as milk stores them; and `Timespec`.

The numbers were measured by compiling against milk's public headers (2024), those of
the flags, types and states marked "later" read from headers of its development branch (2026).
"""

from __future__ import annotations

import enum
import math
import operator
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "DEFAULT_TEXT",
    "FIXED_TYPES",
    "NUMBER_TYPES",
    "PAIR_TYPES",
    "TEXT_TYPES",
    "MessageCode",
    "ParameterFlag",
    "ParameterType",
    "Signal",
    "Status",
    "Timespec",
]

_SECOND = 1_000_000_000


class ParameterType(enum.IntEnum):
    """What a parameter holds."""

    AUTO = 0
    UNDEF = 1
    INT32 = 2
    UINT32 = 4
    INT64 = 8
    UINT64 = 16
    FLOAT32 = 32
    FLOAT64 = 64
    PID = 128
    TIMESPEC = 256
    FILENAME = 512
    FITSFILENAME = 1024
    EXECFILENAME = 2048
    DIRNAME = 4096
    STREAMNAME = 8192
    STRING = 16384
    ONOFF = 32768
    PROCESS = 65536
    FPSNAME = 131072
    #: Later.
    STRING_NOT_STREAM = 262144


#: Types with a value, two limits and the value that their process read last.
NUMBER_TYPES = frozenset(
    getattr(ParameterType, name) for name in ("INT32", "UINT32", "INT64", "UINT64", "FLOAT32", "FLOAT64")
)

#: What a text parameter holds before it is set.
DEFAULT_TEXT = {
    ParameterType.FILENAME: "NULLFNAME",
    ParameterType.FITSFILENAME: "NULLFITS",
    ParameterType.EXECFILENAME: "NULLEXEC",
    ParameterType.DIRNAME: "NULLDIR",
    ParameterType.STREAMNAME: "NULLSTREAM",
    ParameterType.STRING: "NULLSTRING",
    ParameterType.FPSNAME: "NULL",
    ParameterType.STRING_NOT_STREAM: "NULLSTRING",
}

#: Types whose value is a text of up to 63 bytes.
TEXT_TYPES = frozenset(DEFAULT_TEXT)

#: Types with a value and a current value.
PAIR_TYPES = TEXT_TYPES | {ParameterType.PID, ParameterType.TIMESPEC}

#: Types without a value that can be set.
FIXED_TYPES = frozenset((ParameterType.AUTO, ParameterType.UNDEF, ParameterType.PROCESS))


class ParameterFlag(enum.IntFlag):
    """Properties of a parameter. Bits that have no name here are kept as they are."""

    ACTIVE = 0x1
    USED = 0x2
    VISIBLE = 0x4
    WRITE = 0x10
    WRITECONF = 0x20
    WRITERUN = 0x40
    WRITESTATUS = 0x80
    LOG = 0x100
    SAVEONCHANGE = 0x200
    SAVEONCLOSE = 0x400
    IMPORTED = 0x1000
    FEEDBACK = 0x2000
    ONOFF = 0x4000
    CHECKINIT = 0x10000
    MINLIMIT = 0x20000
    MAXLIMIT = 0x40000
    ERROR = 0x80000
    STREAM_LOAD_FORCE_LOCALMEM = 1 << 20
    STREAM_LOAD_FORCE_SHAREMEM = 1 << 21
    STREAM_LOAD_FORCE_CONFFITS = 1 << 22
    STREAM_LOAD_FORCE_CONFNAME = 1 << 23
    STREAM_LOAD_SKIPSEARCH_LOCALMEM = 1 << 24
    STREAM_LOAD_SKIPSEARCH_SHAREMEM = 1 << 25
    STREAM_LOAD_SKIPSEARCH_CONFFITS = 1 << 26
    STREAM_LOAD_SKIPSEARCH_CONFNAME = 1 << 27
    STREAM_LOAD_UPDATE_SHAREMEM = 1 << 28
    STREAM_LOAD_UPDATE_CONFFITS = 1 << 29
    FILE_CONF_REQUIRED = 1 << 30
    FILE_RUN_REQUIRED = 1 << 31
    FPS_CONF_REQUIRED = 1 << 30
    FPS_RUN_REQUIRED = 1 << 31
    STREAM_CONF_REQUIRED = 1 << 30
    STREAM_RUN_REQUIRED = 1 << 31
    STREAM_ENFORCE_DATATYPE = 1 << 32
    STREAM_TEST_DATATYPE_UINT8 = 1 << 33
    STREAM_TEST_DATATYPE_INT8 = 1 << 34
    STREAM_TEST_DATATYPE_UINT16 = 1 << 35
    STREAM_TEST_DATATYPE_INT16 = 1 << 36
    STREAM_TEST_DATATYPE_UINT32 = 1 << 37
    STREAM_TEST_DATATYPE_INT32 = 1 << 38
    STREAM_TEST_DATATYPE_UINT64 = 1 << 39
    STREAM_TEST_DATATYPE_INT64 = 1 << 40
    STREAM_TEST_DATATYPE_HALF = 1 << 41
    STREAM_TEST_DATATYPE_FLOAT = 1 << 42
    STREAM_TEST_DATATYPE_DOUBLE = 1 << 43
    STREAM_ENFORCE_1D = 1 << 44
    STREAM_ENFORCE_2D = 1 << 45
    STREAM_ENFORCE_3D = 1 << 46
    STREAM_ENFORCE_XSIZE = 1 << 51
    STREAM_ENFORCE_YSIZE = 1 << 52
    STREAM_ENFORCE_ZSIZE = 1 << 53
    CHECKSTREAM = 1 << 54
    STREAM_MEMLOADREPORT = 1 << 55

    DEFAULT_OUTPUT = 7
    DEFAULT_STATUS = 7
    DEFAULT_INPUT = 8887
    DEFAULT_INPUT_STREAM = 18014400656974519
    DEFAULT_OUTPUT_STREAM = 18014398509490871


class Status(enum.IntFlag):
    """What the processes of an FPS are doing, as their file says."""

    CONF = 0x1
    RUN = 0x2
    CMDCONF = 0x10
    CMDRUN = 0x20
    RUNLOOP = 0x100
    CHECKOK = 0x200
    #: Later.
    CHECKERR = 0x400
    #: Later.
    SAVE = 0x800
    TMUXCONF = 0x1000
    TMUXRUN = 0x2000
    TMUXCTRL = 0x4000


class Signal(enum.IntFlag):
    """Requests to the processes of an FPS."""

    #: The conf loop may go on.
    CONFRUN = 0x1
    #: Check the parameters again.
    UPDATE = 0x4
    #: A check is pending; cleared when it is done.
    CHECKED = 0x8


class MessageCode(enum.IntFlag):
    """Kind of a message that a check left."""

    NOTINITIALIZED = 0x1
    BELOWMIN = 0x2
    ABOVEMAX = 0x4
    ERROR = 0x8
    INFO = 0x10


#: What a value of type TIMESPEC can be given as.
_TIME_WORDS = "a time is seconds, or a tuple of seconds and nanoseconds"


def _pair(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(value) != 2:
        raise TypeError(_TIME_WORDS)
    return value


class Timespec(NamedTuple):
    """A time as a file stores it, exactly: seconds and nanoseconds.

    ``float(t)`` is seconds, rounded to what a float can hold.
    """

    seconds: int
    nanoseconds: int

    @classmethod
    def of(cls, value: Any) -> Timespec:
        """Return a time that is given as seconds, or as a pair of seconds and nanoseconds.

        Raises
        ------
        TypeError
            It is neither.
        OverflowError
            The format cannot store it: its message says which values it can.
        """
        if isinstance(value, tuple):
            seconds, nanoseconds = (operator.index(part) for part in _pair(value))
            if not 0 <= nanoseconds < _SECOND:
                raise OverflowError(f"nanoseconds are 0 to {_SECOND - 1}")
        elif isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise OverflowError("a time is a finite number of seconds")
            seconds = math.floor(value)
            nanoseconds = round((value - seconds) * 1e9)
            seconds, nanoseconds = (seconds + 1, 0) if nanoseconds == _SECOND else (seconds, nanoseconds)
        else:
            raise TypeError(_TIME_WORDS)
        if not -(2**63) <= seconds < 2**63:
            raise OverflowError("seconds have to fit 64 bits")
        return cls(seconds, nanoseconds)

    def __float__(self) -> float:
        return self.seconds + self.nanoseconds / 1e9

    @property
    def ns(self) -> int:
        """All of it in nanoseconds."""
        return self.seconds * 1_000_000_000 + self.nanoseconds
