"""Layout of process-information files: fields and codes of ``proc.NAME.PID.shm`` and of the process list.

The offsets of `V1` were measured by compiling against the public headers of milk (2024-03-24) and agree with
files written by the real library. Those of `FW` were computed from the member order of the development branch
of 2026. A file carries no version: its size tells the layout.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = [
    "LAYOUTS",
    "LIST_FILE",
    "LIST_SLOTS",
    "SLOT_NBYTES",
    "TIMER_SLOTS",
    "V1",
    "Control",
    "Field",
    "Layout",
    "LoopState",
    "SlotState",
    "TriggerMode",
    "TriggerStatus",
]

#: Entries of the ring of start and end times.
TIMER_SLOTS = 100

#: File that lists the processes of a directory, and its number of slots. It had 10000 before 2023-09-22.
LIST_FILE = "processinfo.list.shm"
LIST_SLOTS = 50_000

#: Bytes of one slot over the four arrays of the list: PID, state, name, creation time.
SLOT_NBYTES = 4 + 4 + 80 + 8


class Control(enum.IntEnum):
    """What a controller wants from the process: the field ``CTRLval``."""

    RUN = 0
    PAUSE = 1
    STEP = 2
    EXIT = 3
    #: Iterate and count, but skip the computation.
    IDLE = 5


class LoopState(enum.IntEnum):
    """What the process says of its loop: the field ``loopstat``."""

    INIT = 0
    ACTIVE = 1
    PAUSE = 2
    STOP = 3
    ERROR = 4
    SPIN = 5
    CRASHED = 6


class TriggerMode(enum.IntEnum):
    """What starts an iteration: the field ``triggermode``."""

    IMMEDIATE = 0
    CNT0 = 1
    CNT1 = 2
    SEMAPHORE = 3
    DELAY = 4


class TriggerStatus(enum.IntEnum):
    """How the last wait for a trigger stands: the field ``triggerstatus``."""

    UNUSED = 0
    WAITING = 1
    RECEIVED = 2
    TIMEDOUT = 3


class SlotState(enum.IntEnum):
    """State of a slot of the process list. Slots are freed by a monitor, not by the process."""

    FREE = 0
    ACTIVE = 1
    PROCESS_GONE = 2
    MAP_FAILED = 3


class Field(NamedTuple):
    """Place of one field: offset and size in bytes, and its kind.

    ``kind`` is "int" (signed, little endian), "uint", "text" (NUL-terminated), "time" (two int64: seconds,
    nanoseconds) or "raw".
    """

    offset: int
    nbytes: int
    kind: str


class Layout(NamedTuple):
    """One version of the structure, told by the size of the file."""

    name: str
    nbytes: int
    fields: dict[str, Field]


#: Fields in the order of the file: name, kind, bytes. Alignment is natural: that of the first number in a
#: field.
_MEMBERS = (
    ("name", "text", 80),
    ("source_FUNCTION", "text", 200),
    ("source_FILE", "text", 200),
    ("source_LINE", "int", 4),
    ("PID", "int", 4),
    ("createtime", "time", 16),
    ("loopcnt", "int", 8),
    ("loopcntMax", "int", 8),
    ("CTRLval", "int", 4),
    ("tmuxname", "text", 100),
    ("loopstat", "int", 4),
    ("statusmsg", "text", 200),
    ("statuscode", "int", 4),
    ("triggermode", "int", 4),
    ("triggerstreamID", "int", 8),
    ("triggerstreaminode", "uint", 8),
    ("triggerstreamname", "text", 80),
    ("triggersem", "int", 4),
    ("triggerstreamcnt", "uint", 8),
    ("triggerdelay", "time", 16),
    ("triggertimeout", "time", 16),
    ("trigggertimeoutcnt", "uint", 8),  # spelled so in the original
    ("triggermissedframe", "int", 4),
    ("triggermissedframe_cumul", "uint", 8),
    ("triggerstatus", "int", 4),
    ("trigger_image", "raw", 8),  # a pointer of the owner; only in FW
    ("RT_priority", "int", 4),
    ("CPUmask", "raw", 128),
    ("MeasureTiming", "int", 4),
    ("timerindex", "int", 4),
    ("timingbuffercnt", "int", 4),
    ("texecstart", "raw", 16 * TIMER_SLOTS),
    ("texecend", "raw", 16 * TIMER_SLOTS),
    ("dtmedian_iter_ns", "int", 8),
    ("dtmedian_exec_ns", "int", 8),
    ("dtiter_limit_enable", "int", 4),
    ("dtiter_limit_value", "int", 8),
    ("dtiter_limit_cnt", "int", 8),
    ("dtexec_limit_enable", "int", 4),
    ("dtexec_limit_value", "int", 8),
    ("dtexec_limit_cnt", "int", 8),
    ("description", "text", 200),
)


def _lay_out(name: str, without: tuple[str, ...] = ()) -> Layout:
    """Compute the offsets as a C compiler does."""
    fields: dict[str, Field] = {}
    at = 0
    for member, kind, nbytes in _MEMBERS:
        if member in without:
            continue
        alignment = 1 if kind == "text" else 4 if nbytes == 4 else 8
        at += -at % alignment
        fields[member] = Field(at, nbytes, kind)
        at += nbytes
    return Layout(name, at + -at % 8, fields)


V1 = _lay_out("v1", without=("trigger_image",))
FW = _lay_out("fw")

#: Known layouts by the size of the file in bytes.
LAYOUTS = {layout.nbytes: layout for layout in (V1, FW)}
