"""The compiled core: memory, streams and readers. Mechanism only.

`Mapping` owns memory, `Stream` is one attached stream file, `Reader` waits for its frames. Nothing in
here knows orientation codes, prints, or decides how long to wait.

How a frame is published
------------------------
The order below is what `Stream.publish`, `Stream.claim` and `Stream.publish_many` do (open_frame and
close_frame). A reader that sees the new counter sees the pixels.

    write = 1            then a release fence: no pixel store moves in front of it
    pixels
    ring slot            if the stream has a fast circular buffer; its record is marked 0 first,
                         filled last; then CBcycle, CBindex
    per-slice record     if one slice of a temporal cube was written; then cnt1
    writetime, atime
    cnt0 += 1            release: everything above is visible before it
    write = 0            release
    post                 every semaphore below its cap of 10, then the log semaphore

A claim that is abandoned stamps lastaccesstime before write = 0, behind a release fence: its pixels changed
under an old counter.

Others in the field are weaker, and readers have to be right with all of them:

    the C library        no fences (harmless on x86), same order
    its Python wrapper   posts, stamps lastaccesstime, write = 0, and only then cnt0 += 1: a wake-up
                         comes too early, and for an instant write is 0 under the old counter
    some cameras         never set write; post before they count; post twice; or do not post
    a killed writer      leaves write = 1 for ever

How a frame is received
-----------------------
The counter is the truth, a semaphore is a doorbell. `run_receive` is the one loop behind every wait and
every capture, and runs without the GIL:

    until cnt0 differs from the last counter: spin, then sleep on the semaphore in slices
    look at write, cnt0 and the stamps -> acquire fence -> copy -> acquire fence -> look again
    the same and write = 0 both times: the frame is whole. Otherwise try again, a bounded number of times
    a frame that never came out whole is delivered with FLAG_TORN

The stamps (writetime and lastaccesstime) are looked at besides the counter because of that instant
between write = 0 and cnt0 += 1 of the Python wrapper, which the counter alone cannot show. A reader that
begins and ends its copy within the instant gets a whole frame under a number that is 1 too low; the next
number comes with the same stamps, and the row is put right (is_known).

What cannot be seen: a tear by a writer that sets neither `write` nor a stamp before it touches pixels; and
that wrong number, if further frames were written before the reader looked again.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_IsContiguous,
    PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EFAULT, EINTR, EINVAL, errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, INT64_MAX
from libc.string cimport memcpy, memmove, memset, strchr

from ._frame cimport *
from ._guard cimport *
from ._isio cimport *
from ._layout cimport *
from ._pace cimport *
from ._ring cimport *
from ._turn cimport *

import errno as _errno
import math
import operator
import os
import stat as _stat
import threading
import time as _time
from collections import namedtuple

import numpy as np

from .errors import (
    CaptureMemoryError,
    FrameLostError,
    FrameMismatchError,
    KeywordError,
    KeywordNotFoundError,
    KeywordTableFullError,
    StreamArgumentError,
    StreamBusyError,
    StreamChangedError,
    StreamClosedError,
    StreamDamagedError,
    StreamError,
    StreamExistsError,
    StreamFormatError,
    StreamNameError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamPermissionError,
    StreamReadOnlyError,
    StreamReplacedError,
    StreamShapeChangedError,
    StreamStorageError,
    StreamTimeoutError,
    StreamTypeChangedError,
    StreamUnsupportedError,
)
from .names import check_name, stream_name, stream_path
from .notices import warn_of_tear as _warn_of_tear
from .processes import process_alive
from .spellings import FRAME_OPTIONS, positional_too
from .temporary import aside_path, mark_busy, mark_idle, remove_abandoned, temporary_path
from .writerlock import check_free, check_stream, lock_stream, lock_writer

__all__ = [
    "FLAG_COUNTER_RESET",
    "FLAG_FROM_RING",
    "FLAG_NEW_FILE",
    "FLAG_REPEATED_POST",
    "FLAG_TORN",
    "FLAG_VERIFIED",
    "FRAME_ROW",
    "IMAGETYPES",
    "ArrayExporter",
    "Claim",
    "FrameAccess",
    "FrameFeed",
    "Keyword",
    "Mapping",
    "PrivateRing",
    "Reader",
    "RingCursor",
    "Stream",
    "allocate",
    "build_info",
    "checked_timeout",
    "free_memory",
    "prefault",
    "read_header",
    "turn_copy",
    "wait_for_any",
]

# --------------------------------------------------------------------------------------------------
# Constants
# --------------------------------------------------------------------------------------------------

cdef enum:
    # A sleeping wait is cut into slices of this length; between them it looks at signals, the closed
    # flag and the file. Bounds the delay of Ctrl-C, close() and following a replaced stream.
    SLICE_NS = 20_000_000
    # Handles ask the file system whether their file was replaced this often; the coarse clock that tells the
    # time ticks every 1 to 4 ms.
    LOOK_NS = 3_000_000
    # A busy receive looks at the same things this often.
    CHECK_NS = 50_000_000
    # A wake-up that found nothing new, from a writer that posts before it counts: first spin, then
    # look often, then trust the semaphore again.
    EARLY_POST_SPIN_NS = 50_000
    EARLY_POST_LOOK_NS = 5_000_000
    # Waiting for a counter without a semaphore: look this often while frames come, later less often.
    POLL_NS = 50_000
    POLL_IDLE_NS = 1_000_000
    POLL_IDLE_AFTER_NS = 200_000_000
    # Steady publishing watches the clock for the last part of each interval instead of sleeping.
    PACING_SPIN_NS = 60_000
    # A publisher that waits for frames to be handed over looks this often.
    STARVED_NS = 50_000
    # Copies of one frame that are tried before it is delivered as torn.
    COPY_TRIES = 8
    # How long a reader lets a writer finish the frame it is in. Longer means it died there, or that
    # `write` was left up by a dead one; then the next frames are given less.
    WRITE_GRACE_NS = 50_000_000
    STUCK_GRACE_NS = 100_000
    # A file that is no stream is being made, by a program that makes it in place, unless it stays like that.
    HALF_MADE_NS = 100_000_000
    # Posts of frames that were counted have arrived after this time without one.
    SETTLED_NS = 1_000_000
    # Reads that hold the GIL try this often before they release it and wait for the writer.
    EAGER_TRIES = 3
    # A reader that lost a frame of a stream this fast watches for so many of the next ones for so long, whatever
    # its policy: a wake-up can take longer than a frame lasts, and who sleeps again is late again.
    LATE_INTERVAL_NS = 40_000
    LATE_FRAMES = 32
    LATE_SPIN_NS = 50_000
    # Looks at the counter between two looks at the clock while spinning.
    SPINS_PER_LOOK = 64
    # An attach that meets an empty version waits this long for the creator to finish.
    READY_WAIT_MS = 100
    # From this frame size on a copy releases the GIL. Below, taking it back next to a busy Python
    # thread (up to 5 ms) costs more than other threads gain. 512 KiB are about 50 us of copying.
    GIL_RELEASE_NBYTES = 524_288
    # Ring slots from this size on are filled past the caches, which they would empty of everything else.
    STREAMING_NBYTES = 1_048_576
    # Readers of keywords compare two copies, this often at most.
    KEYWORD_TRIES = 4
    # Frames that go to memory beyond the caches are copied with streaming stores: what is never read back
    # need not be fetched first. From this size of a frame on, into destinations of this size.
    STREAMING_FRAME_NBYTES = 4096
    STREAMING_CUBE_NBYTES = 33_554_432
    # The same for single frames that are read: larger than what caches hold on to.
    STREAMING_READ_NBYTES = 4_194_304
    # Arrays for single frames of this size on come from memory that is kept, pre-faulted, for the next one.
    KEPT_NBYTES = 131_072
    # How many such blocks are kept while nobody has them, and how many bytes altogether.
    KEPT_BLOCKS = 8
    KEPT_TOTAL_NBYTES = 268_435_456
    # Streams up to this size have all their pages mapped when they are attached or created.
    MAPPED_NBYTES = 268_435_456
    HUGE_PAGE = 2_097_152
    PAGE = 4096
    FOREVER = -1
    # Spin as the rhythm of the stream suggests.
    LEARNED = -2
    # Sleeps end when they should, and not up to 50 us later as is usual.
    SLACK_NS = 1_000

# What a run of the receive loop ended with.
cdef enum:
    EV_DONE
    EV_CHECK        # take the GIL and look at signals, then go on
    EV_TIMEOUT
    EV_CLOSED
    EV_STOPPED
    EV_REPLACED
    EV_DAMAGED      # its file was cut, or its header rewritten

# What the path of a stream leads to.
cdef enum:
    FILE_SAME
    FILE_OTHER
    FILE_GONE
    FILE_CUT        # the same, with another size

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

# The 13 element types, by the code that is stored.
_DTYPES = {
    code: np.dtype(text)
    for code, text in enumerate(
        "<u1 <i1 <u2 <i2 <u4 <i4 <u8 <i8 <f4 <f8 <c8 <c16 <f2".split(), start=_DATATYPE_UINT8
    )
}
cdef uint64_t[14] ITEM_NBYTES = [0, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 8, 16, 2]

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
_MATH_DATA = IMAGETYPES["MATH_DATA"]

# Elements of the largest stream that ImageStreamIO opens.
_NELEMENT_MAX = 10_000_000_000

#: One row a frame, 56 bytes (struct Row of _frame.pxd). Times are nanoseconds of CLOCK_TAI; 0 means that the writer stores none.
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

_TIMESPEC = np.dtype([("sec", "<i8"), ("nsec", "<i8")])

# Sections that callers can have as arrays: dtype of one item.
_SECTION_DTYPES = {
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
            ("ts_procstart", _TIMESPEC),
            ("ts_streamupdate", _TIMESPEC),
            ("trigsemindex", "<i4"),
            ("triggerstatus", "<i4"),
            ("cnt0", "<u8"),
        ]
    ),
    "slice_atime": _TIMESPEC,
    "slice_writetime": _TIMESPEC,
    "slice_cnt0": np.dtype("<u8"),
    "ring_records": np.dtype(
        [("cnt0", "<u8"), ("cnt1", "<u8"), ("atime", _TIMESPEC), ("writetime", _TIMESPEC)]
    ),
    "history": np.dtype(
        {
            "names": ["cnt0", "wpid", "writetime"],
            "formats": ["<u8", "<i4", _TIMESPEC],
            "offsets": [0, 8, 16],
            "itemsize": sizeof(FRAMEWRITEMD),
        }
    ),
}

# What is asked of numpy on hot paths, looked up once.
cdef object _ndarray = np.ndarray
cdef object _empty = np.empty
cdef object _asarray = np.asarray
cdef object _copyto = np.copyto

Keyword = namedtuple("Keyword", "name value comment cnt", defaults=("", None), module=__name__)
Keyword.__doc__ = """One keyword of a stream.

Parameters
----------
name : str
    1 to 16 bytes of UTF-8.
value : int, float or str
    Stored as int64 (L), double (D), or up to 16 bytes of text (S).
comment : str, default ""
    Up to 80 bytes.
cnt : int or None
    Times the keyword was written. None when writing: one more than in the stream.
"""

# The process, asked for once and after each fork: a system call for each frame would cost more than
# all ten semaphore posts together.
cdef pid_t own_pid = getpid()

cdef void _note_fork() noexcept nogil:
    global own_pid
    own_pid = getpid()

pthread_atfork(NULL, NULL, _note_fork)


def build_info():
    """Tell how the core was built.

    Returns
    -------
    dict
        ``header`` ("bundled" or a path), ``cython``, ``structure_version``, ``layout`` (of streams
        created by default) and ``debug``.
    """
    return {
        "header": PYMILK_HEADER.decode(),
        "cython": PYMILK_CYTHON.decode(),
        "structure_version": IMAGESTRUCT_VERSION.decode(),
        "layout": _layout_name(Layout(history=PYMILK_HEADER_HISTORY, dao=PYMILK_HEADER_DAO)),
        "debug": bool(PYMILK_DEBUG_BUILD),
    }


# --------------------------------------------------------------------------------------------------
# Clocks
# --------------------------------------------------------------------------------------------------

cdef inline void sleep_until(int64_t monotonic_ns) noexcept nogil:
    """Sleep to a CLOCK_MONOTONIC time; a signal ends it early."""
    cdef timespec t = to_timespec(monotonic_ns)
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL)


cdef int64_t timeout_ns(object timeout, str name) except? -2:
    """Turn seconds into nanoseconds; None is FOREVER."""
    if timeout is None:
        return FOREVER
    try:
        seconds = float(timeout)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if math.isnan(seconds) or seconds < 0:
        whose = f"stream {name!r}: " if name else ""
        raise StreamArgumentError(
            f"{whose}timeout is seconds (0 or more) or None for ever, not {timeout!r}",
            stream=name, argument="timeout", found=timeout,
        )
    return FOREVER if seconds > 9e9 else <int64_t>(seconds * 1e9)


def checked_timeout(timeout, name=""):
    """Return a timeout in seconds as float, or None; anything else raises `StreamArgumentError`."""
    cdef int64_t limit = timeout_ns(timeout, name)
    return None if limit == FOREVER else float(timeout)


cdef int64_t _time_argument(str name, object value) except? -1:
    """Return a time given in nanoseconds."""
    if not (hasattr(value, "__index__") and -2**63 <= value < 2**63):
        raise _bad_argument(name, "atime_ns", value, "nanoseconds of CLOCK_TAI as an int")
    return value.__index__()


cdef object _index(str name, str argument, object value, object below):
    """Return an int argument of 0 to below - 1, or say what is wrong with it."""
    if not (hasattr(value, "__index__") and 0 <= value < below):
        raise _bad_argument(name, argument, value, f"an int of 0 to {below - 1}")
    return value.__index__()


cdef object _bad_argument(str name, str argument, object found, str wanted):
    return StreamArgumentError(
        f"stream {name!r}: {argument} is {wanted}, not {found!r}",
        stream=name, argument=argument, found=found)


# --------------------------------------------------------------------------------------------------
# Memory
# --------------------------------------------------------------------------------------------------

@cython.final
@cython.auto_pickle(False)
cdef class Mapping:
    """Mapped memory, unmapped when the last view of it is gone and not before.

    A `Stream` drops its reference when it is closed. Views (`Region`) keep theirs, so no NumPy array
    can ever point to memory that is gone.
    """

    cdef char *base
    cdef readonly size_t nbytes
    cdef readonly bint writable
    cdef bint guarded       # a mapped file, which others may cut (_guard.h)
    # Bits: PYMILK_CLOSED after close(); PYMILK_LOST once the file was found cut, or its header rewritten.
    # Waits in other threads look at it between slices, and who used the memory looks at it afterwards.
    cdef int closed

    def __cinit__(self):
        self.base = NULL

    def __init__(self):
        raise TypeError("a Mapping is made by Stream.create, Stream.attach or allocate")

    def __dealloc__(self):
        if self.base != NULL:
            if self.guarded:
                pymilk_guard_remove(self.base)
            pymilk_unfence(self.base, self.nbytes)
            munmap(self.base, self.nbytes)

    cdef object region(self, uint64_t offset, uint64_t nbytes, bint writable):
        """Export part of the memory; the caller has checked that it lies inside."""
        cdef Region region = Region.__new__(Region)
        PYMILK_ASSERT(offset <= self.nbytes and nbytes <= self.nbytes - offset)
        region.owner = self
        region.start = self.base + offset
        region.nbytes = <Py_ssize_t>nbytes
        region.writable = writable and self.writable
        return region


@cython.final
@cython.auto_pickle(False)
cdef class Region:
    """Bytes of a `Mapping` for the buffer protocol; every array view has one as its base."""

    cdef Mapping owner
    cdef char *start
    cdef Py_ssize_t nbytes
    cdef bint writable

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.start, self.nbytes, not self.writable, flags)


@cython.auto_pickle(False)
cdef class ArrayExporter:
    """Base of classes that give an array through the buffer protocol: the one `_exported` returns."""

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyObject_GetBuffer(self._exported(), view, flags)


cdef Mapping map_file(int fd, size_t nbytes, bint writable, str path):
    cdef Mapping mapping = Mapping.__new__(Mapping)
    cdef int error, prot = PROT_READ | (PROT_WRITE if writable else 0)
    cdef void *base = mmap(NULL, nbytes, prot, MAP_SHARED, fd, 0)
    if base == MAP_FAILED:
        raise StreamStorageError(
            f"{path}: mapping {nbytes} bytes failed: {os.strerror(errno)}",
            path=path, needed=nbytes, available=free_memory(),
        )
    mapping.base = <char *>base
    mapping.nbytes = nbytes
    mapping.writable = writable
    error = pymilk_guard_add(base, nbytes, prot, &mapping.closed)
    if error:
        raise StreamError(f"{path}: the guard against files that are cut failed: {os.strerror(error)}")
    mapping.guarded = True
    pymilk_fence(mapping.base, nbytes)
    return mapping


cdef void map_pages(Mapping mapping, int fd):
    """Have the pages of a file mapped now, and not one by one in the first lap of a ring.

    Only pages that exist: those of a sparse file would be made by it. Advice; nothing depends on it.
    """
    cdef stat st
    if mapping.nbytes <= MAPPED_NBYTES and fstat(fd, &st) == 0 and st.st_blocks * 512 >= <long long>mapping.nbytes:
        with nogil:
            madvise(mapping.base, mapping.nbytes, MADV_POPULATE_READ)


def free_memory():
    """Tell how many bytes this process could be given now.

    Returns
    -------
    int
        MemAvailable of the kernel, or what the limits of the control groups (containers, services, batch
        jobs) leave, if that is less.
    """
    with open("/proc/meminfo", "rb") as table:
        for line in table:
            if line.startswith(b"MemAvailable:"):
                return min(int(line.split()[1]) * 1024, _group_memory())
    raise StreamError("/proc/meminfo has no MemAvailable; Linux 3.14 or later is needed")


cdef object _group_memory():
    """Tell how many bytes the limits of our control group and of those around it leave."""
    left = 2**63
    try:
        with open("/proc/self/cgroup") as table:
            group = next((line.strip()[3:] for line in table if line.startswith("0::")), None)
        while group is not None:
            folder = f"/sys/fs/cgroup{group if group != '/' else ''}"
            try:
                with open(f"{folder}/memory.max") as file:
                    limit = file.read().strip()
                with open(f"{folder}/memory.current") as file:
                    used = int(file.read())
                with open(f"{folder}/memory.stat") as file:
                    # Pages of files that nobody uses are dropped when memory is wanted.
                    used -= sum(int(line.split()[1]) for line in file if line.startswith("inactive_file "))
                if limit != "max":
                    left = min(left, max(0, int(limit) - used))
            except FileNotFoundError:
                pass  # the root has no limit
            group = None if group in ("", "/") else os.path.dirname(group)
    except (OSError, ValueError):
        pass  # no control groups of version 2, or they cannot be read: nothing is known
    return left


def turn_copy(out, source):
    """Copy an array into another of the same shape, whatever the order and direction of their axes.

    Parameters
    ----------
    out : ndarray
        Writable, with the shape and dtype of `source`. Only its items are written, not what lies between.
    source : ndarray

    Raises
    ------
    FrameMismatchError
        One of them is no array, shape or dtype differ, or `out` is read-only; nothing was written.

    Notes
    -----
    What ``numpy.copyto`` does, with two differences: images that are transposed or flipped are copied in blocks,
    at about the speed of memory instead of item by item, and from 512 KiB on other Python threads run meanwhile.
    Copies of 16 MiB and more go past the caches. Arrays that share memory, have more than 8 axes once those of
    length 1 are counted, or hold something other than numbers of 1 to 16 bytes are left to NumPy.
    """
    cdef Py_buffer to, origin
    cdef pymilk_turn turn
    cdef bint able
    for name, array in (("out", out), ("source", source)):
        if not isinstance(array, _ndarray):
            raise FrameMismatchError(
                f"{name} has to be an array, not {type(array).__name__}",
                field="dtype", expected="ndarray", found=type(array).__name__)
    for field, expected, found in (
        ("shape", source.shape, out.shape),
        ("dtype", source.dtype, out.dtype),
        ("writeable", True, out.flags.writeable),
    ):
        if expected != found:
            raise FrameMismatchError(
                f"out has {field} {found}, needed is {expected}", field=field, expected=expected, found=found)
    if out.dtype.kind not in "biufc":
        _copyto(out, source)
        return
    PyObject_GetBuffer(out, &to, PyBUF_STRIDES | PyBUF_WRITABLE)
    try:
        PyObject_GetBuffer(source, &origin, PyBUF_STRIDES)
        try:
            able = describe_turn(&turn, <char *>to.buf, to.strides, <const char *>origin.buf, origin.strides,
                                 to.shape, to.ndim, to.itemsize)
            if not able:
                _copyto(out, source)
            elif to.len < GIL_RELEASE_NBYTES:
                pymilk_turn_copy(&turn)
            else:
                with nogil:
                    pymilk_turn_copy(&turn)
        finally:
            PyBuffer_Release(&origin)
    finally:
        PyBuffer_Release(&to)


def allocate(shape, dtype):
    """Make an array whose memory is there: page-aligned, zeroed, pre-faulted.

    An array from ``np.empty`` gets its pages one by one while it is filled, which costs a camera
    stream its frames. Here they are taken now, as huge pages where the kernel gives them.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    ndarray
        C-contiguous and writable. Freed with the last view of it.

    Raises
    ------
    CaptureMemoryError
        More was asked for than the machine has free.
    """
    cdef Mapping mapping
    dtype = np.dtype(dtype)
    if dtype.hasobject:
        raise StreamArgumentError(
            f"an array of {dtype} cannot be made from plain memory", argument="dtype", found=dtype)
    if not all([axis >= 0 for axis in shape]):
        raise StreamArgumentError(
            f"the axes of an array are 0 or more, not {shape}", argument="shape", found=shape)
    count = math.prod(shape) * dtype.itemsize
    mapping = anonymous(
        count, f"an array of shape {tuple(shape)}, {dtype}", "take fewer frames at a time")
    return _ndarray(shape, dtype, mapping.region(0, count, True))


cdef Mapping anonymous(object count, str what, str advice):
    """Map memory of this process: zeroed, pre-faulted, in huge pages where the kernel has them."""
    cdef Mapping mapping = Mapping.__new__(Mapping)
    mapping.base = take_pages(count, &mapping.nbytes, what, advice)
    mapping.writable = True
    return mapping


cdef size_t whole_pages(size_t wanted) noexcept nogil:
    """Return the bytes of pages to hold so many: whole huge pages, unless that would waste more than an eighth."""
    cdef size_t huge = (wanted + HUGE_PAGE - 1) // HUGE_PAGE * HUGE_PAGE
    return huge if huge - wanted <= huge // 8 else (wanted + PAGE - 1) // PAGE * PAGE


cdef char *take_pages(object count, size_t *nbytes, str what, str advice) except NULL:
    cdef size_t wanted, span
    cdef void *base
    cdef int error
    available = free_memory()
    if count > available:
        raise CaptureMemoryError(
            f"{what} needs {count} bytes, but only {available} are free; {advice}",
            needed=count, available=available)
    wanted = max(count, 1)
    span = whole_pages(wanted)
    base = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if base == MAP_FAILED:
        raise CaptureMemoryError(
            f"{what}: mapping {span} bytes failed: {os.strerror(errno)}; {advice}",
            needed=span, available=available)
    with nogil:
        if span >= HUGE_PAGE:
            madvise(base, span, MADV_HUGEPAGE)  # advice: a kernel without huge pages says no
        error = populate(<char *>base, span)
    if error:
        munmap(base, span)
        raise CaptureMemoryError(
            f"{what} needs {count} bytes, and the kernel did not give them: {os.strerror(error)}; {advice}",
            needed=count, available=free_memory())
    nbytes[0] = span
    return <char *>base


cdef int populate(char *start, size_t nbytes) noexcept nogil:
    """Have the kernel provide writable pages for this memory; what it holds stays. 0, or an errno value."""
    cdef size_t offset = 0
    cdef char *first = <char *>(<size_t>start // PAGE * PAGE)
    cdef size_t span = (<size_t>start + nbytes + PAGE - 1) // PAGE * PAGE - <size_t>first
    cdef int error
    if nbytes == 0:
        return 0
    error = pymilk_populate(first, span, HUGE_PAGE if span >= HUGE_PAGE else PAGE)
    if error != EINVAL:
        return error
    # Linux before 5.14: write each page once, with the byte that it holds. Atomic, because another
    # thread may be writing to the page.
    while offset < nbytes:
        atomic_touch(<uint8_t *>start + offset)
        offset += PAGE
    atomic_touch(<uint8_t *>start + nbytes - 1)
    return 0


cdef extern from * nogil:
    """
    /* Adding nothing writes the page and changes no byte of it. */
    static inline void pymilk_touch(uint8_t *byte) { __atomic_fetch_add(byte, 0, __ATOMIC_RELAXED); }
    """
    void atomic_touch "pymilk_touch"(uint8_t *byte)


def prefault(target):
    """Have the kernel provide the pages of a writable buffer now; its content stays.

    Parameters
    ----------
    target : buffer
        C-contiguous and writable.

    Raises
    ------
    CaptureMemoryError
        The kernel cannot give them: no memory, or the file behind the buffer is too short.
    """
    cdef Py_buffer view
    cdef int error
    PyObject_GetBuffer(target, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    nbytes = view.len
    try:
        with nogil:
            error = populate(<char *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    if error:
        raise CaptureMemoryError(
            f"the {nbytes} bytes of the destination cannot be had: {os.strerror(error)}"
            + ("; is the file behind it too short?" if error == EFAULT else ""),
            needed=nbytes, available=free_memory())


# Memory of frames that nobody has any more, kept for the next ones: a fresh page costs as much as the
# copy into it. Only touched with the GIL.
cdef struct Spare:
    char *base
    size_t nbytes

cdef Spare[KEPT_BLOCKS] spares
cdef int spare_count = 0
cdef size_t spare_nbytes = 0
# Blocks that arrays have. Who holds more frames than can be kept gets ordinary memory for the others.
cdef int blocks_out = 0


cdef void drop_oldest() noexcept:
    global spare_count, spare_nbytes
    munmap(spares[0].base, spares[0].nbytes)
    spare_nbytes -= spares[0].nbytes
    spare_count -= 1
    memmove(&spares[0], &spares[1], spare_count * sizeof(Spare))


@cython.final
@cython.auto_pickle(False)
@cython.no_gc
cdef class Block:
    """Memory of one frame, which goes back to the spares with the last array over it."""

    cdef char *base
    cdef size_t nbytes

    def __cinit__(self):
        self.base = NULL

    def __dealloc__(self):
        global spare_count, spare_nbytes, blocks_out
        if self.base == NULL:
            return
        blocks_out -= 1
        if self.nbytes > KEPT_TOTAL_NBYTES:
            munmap(self.base, self.nbytes)
            return
        # What was not wanted for the longest time makes room.
        while spare_count == KEPT_BLOCKS or spare_nbytes + self.nbytes > KEPT_TOTAL_NBYTES:
            drop_oldest()
        spares[spare_count] = Spare(self.base, self.nbytes)
        spare_count += 1
        spare_nbytes += self.nbytes

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.base, self.nbytes, 0, flags)


cdef Block take_block(size_t nbytes):
    """Return memory for a frame, from the spares if one fits; what it holds is arbitrary. None: take other memory."""
    global spare_count, spare_nbytes, blocks_out
    cdef Block block
    cdef void *base
    cdef size_t span
    cdef int i
    if blocks_out >= KEPT_BLOCKS:
        return None
    block = Block.__new__(Block)
    for i in range(spare_count - 1, -1, -1):  # the newest first: it may still be in the caches
        if nbytes <= spares[i].nbytes < nbytes + HUGE_PAGE:
            block.base, block.nbytes = spares[i].base, spares[i].nbytes
            spare_nbytes -= block.nbytes
            spare_count -= 1
            memmove(&spares[i], &spares[i + 1], (spare_count - i) * sizeof(Spare))
            blocks_out += 1
            return block
    span = whole_pages(nbytes)
    base = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if base == MAP_FAILED:
        return None
    if span >= HUGE_PAGE:
        madvise(base, span, MADV_HUGEPAGE)
    populate(<char *>base, span)  # to save time later; where it fails, the copy has the pages provided
    block.base, block.nbytes = <char *>base, span
    blocks_out += 1
    return block


# --------------------------------------------------------------------------------------------------
# The header
# --------------------------------------------------------------------------------------------------

# Everything that addresses are computed from: validated once, never read again from the file, which
# any process may change under us.
cdef struct Header:
    uint64_t nelement
    uint64_t item_nbytes
    uint32_t size[3]
    uint8_t naxis
    uint8_t datatype
    uint64_t inode           # as stored in the metadata
    bint temporal            # slices are frames of their own
    uint64_t unit_nbytes     # of one frame: a slice of a temporal cube, all of any other stream
    Layout layout
    Counts n
    Sections at


cdef inline void note_unit(Header *h) noexcept nogil:
    """Work out what one frame of the stream is."""
    h.temporal = h.naxis == 3 and is_temporal(h.n.imagetype)
    h.unit_nbytes = h.n.frame_nbytes // (h.size[2] if h.temporal else 1)


cdef str _layout_name(Layout layout):
    if layout.dao:
        return "dao+writehistory" if layout.history else "dao"
    return "writehistory" if layout.history else "default"


cdef Layout _layout_of(object name) except *:
    cdef Layout layout = Layout(history=PYMILK_HEADER_HISTORY, dao=PYMILK_HEADER_DAO)
    if name is not None:
        if name not in ("default", "dao", "writehistory", "dao+writehistory"):
            raise StreamArgumentError(
                f"layout is 'default', 'dao', 'writehistory' or 'dao+writehistory', not {name!r}",
                argument="layout", found=name,
            )
        layout.dao = "dao" in name
        layout.history = "writehistory" in name
    return layout


cdef str _text(const char *start, size_t limit):
    """Decode a text field: up to its first NUL, or all of it; bytes that are not UTF-8 survive."""
    return bytes(start[:limit]).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


cdef object _format_error(str path, str field, object expected, object found, str advice="",
                          object kind=StreamFormatError):
    return kind(
        f"{path}: not a usable stream: {field} is {found}, expected {expected}"
        + (f"; {advice}" if advice else ""),
        stream=stream_name(path), path=path, field=field, expected=expected, found=found,
    )


cdef int parse_header(const char *raw, uint64_t file_nbytes, str path, Header *h) except -1:
    """Check one snapshot of a header, and work out where everything is.

    raw holds METADATA_MAX bytes, zero behind the end of a shorter file.
    """
    cdef const IMAGE_METADATA *md = <const IMAGE_METADATA *>raw
    cdef uint64_t product = 1, nbytes = 0, stored = 0
    cdef Layout layout
    cdef int i
    version = _text(md.version, 32)
    if not version:
        raise _format_error(
            path, "version", "'2.x'", "empty",
            "the stream is still being created, or its creator died; create it again",
            StreamNotReadyError)
    if not version.startswith("2."):
        shown = repr(version) if version.isprintable() else "not text"
        raise _format_error(path, "version", "'2.x'", shown, _foreign(raw, file_nbytes))
    if not 1 <= md.naxis <= 3:
        raise _format_error(path, "naxis", "1 to 3", md.naxis)
    if not md.name[0]:
        raise _format_error(path, "name", "a name", "empty")
    if md.shared != 1:
        raise _format_error(path, "shared", 1, md.shared)
    if md.imagetype & KIND_AND_AXIS == CIRCULAR_BUFFER and md.naxis != 3:
        raise _format_error(path, "naxis", "3 for a circular buffer", md.naxis)
    if md.location < -1:
        raise _format_error(path, "location", "-1 or a GPU number", md.location)
    if not _DATATYPE_UINT8 <= md.datatype <= _DATATYPE_HALF:
        raise _format_error(path, "datatype", "1 to 13", md.datatype)
    for i in range(md.naxis):
        if md.size[i] == 0:
            raise _format_error(path, f"size[{i}]", "1 or more", 0)
        if mul_overflows(product, md.size[i], &product):
            raise _format_error(
                path, "size", "a product below 2**64", [md.size[k] for k in range(md.naxis)])
    if md.nelement != product:
        raise _format_error(path, "nelement", f"{product} (product of the axes)", md.nelement)
    if mul_overflows(product, ITEM_NBYTES[md.datatype], &nbytes) or nbytes >> 62:
        raise _format_error(path, "nelement", "a frame below 2**62 bytes", md.nelement)
    if md.CBsize and md.CBindex >= md.CBsize:
        raise _format_error(path, "CBindex", f"below CBsize {md.CBsize}", md.CBindex)

    h.nelement = product
    h.item_nbytes = ITEM_NBYTES[md.datatype]
    h.naxis = md.naxis
    h.datatype = md.datatype
    h.inode = md.inode
    for i in range(3):
        h.size[i] = md.size[i]
    h.n = Counts(
        imagetype=md.imagetype, frame_nbytes=nbytes, slices=md.size[2], cbsize=md.CBsize,
        sem=md.sem, nbkw=md.NBkw, nbtrace=md.NBproctrace, location=md.location)
    note_unit(h)

    computed = {}
    for layout.dao in range(2):
        for layout.history in range(2):
            memcpy(&stored, raw + at_imdatamemsize(layout), 8)
            if stored != nbytes:
                continue
            if not plan_sections(layout, &h.n, &h.at):
                raise _format_error(path, "file size", "below 2**64", "more")
            if h.at.total == file_nbytes:
                h.layout = layout
                return 0
            computed[_layout_name(layout)] = h.at.total
    if not computed:
        memcpy(&stored, raw + AT_IMDATAMEMSIZE, 8)
        raise _format_error(
            path, "imdatamemsize", f"{nbytes} ({product} elements of {h.item_nbytes} bytes)", stored)
    raise _format_error(
        path, "file size",
        " or ".join(f"{size} ({name} layout)" for name, size in computed.items()), file_nbytes,
        f"the file was {'cut' if file_nbytes < min(computed.values()) else 'extended'}, or its counts were "
        "overwritten")


cdef str _foreign(const char *raw, uint64_t file_nbytes):
    """Name the other programs that also call their files .im.shm, where the header gives them away."""
    cdef uint32_t axes[3]
    cdef uint64_t nelement, product = 1
    cdef uint16_t nbkw
    cdef uint8_t naxis = <uint8_t>raw[80], datatype = <uint8_t>raw[104]
    cdef int i
    version = _text(raw, 32)
    if version.startswith("1."):
        return (f"this is a stream of ImageStreamIO {version}, whose semaphores are separate files; "
                "recreate it with ImageStreamIO 2")
    if version.startswith("0.0."):
        return (f"this is a stream of ImageStreamIO {version}, with an older header (336 or 368 bytes); "
                "recreate it with ImageStreamIO 2")
    if version[:1] in "3456789" and version[1:2] == ".":
        return f"structure version {version} is newer than this pymilk; look for a newer one"
    if version.startswith("xaosim"):
        return "this file was written by xaosim's own code, with a 336-byte header; recreate it"
    # The oldest headers have no version and begin with the name: naxis at 80, size at 84, nelement
    # at 96, type at 104, NBkw at 178.
    memcpy(axes, raw + 84, 12)
    memcpy(&nelement, raw + 96, 8)
    memcpy(&nbkw, raw + 178, 2)
    if not (1 <= naxis <= 3 and _DATATYPE_UINT8 <= datatype < _DATATYPE_HALF):
        return "the file was not written by ImageStreamIO 2"
    for i in range(naxis):
        product *= axes[i]
    if product != nelement:
        return "the file was not written by ImageStreamIO 2"
    # Durham's DAO appends packet counters to that header; its files have nothing behind the keywords.
    rest = file_nbytes - nelement * ITEM_NBYTES[datatype] - 120 * nbkw
    if rest in (4296, 5344, 16400, 16448):
        return "this file was written by Durham's DAO library, whose header differs; use its own reader"
    return "this file has the header of early CACAO or DAO software, without a version; recreate it"


@cython.final
@cython.auto_pickle(False)
cdef class _Snapshot:
    """The header of a stream file, read once and checked, and the file that it was read from."""

    cdef Header h
    cdef uint64_t raw[564]  # METADATA_MAX bytes, aligned for IMAGE_METADATA
    cdef dev_t device
    cdef ino_t inode


cdef int _open(str path, bint writable, bint follow=True) except -1:
    """Open a stream file, through a symbolic link if `follow`; errors of the system become ours."""
    cdef int flags = os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # a FIFO must not make us wait
    if not follow:
        flags |= os.O_NOFOLLOW
    name = stream_name(path)
    try:
        return os.open(path, flags | (os.O_RDWR if writable else os.O_RDONLY))
    except (FileNotFoundError, NotADirectoryError):
        raise StreamNotFoundError(
            f"no stream {name!r}: {path} does not exist; start its writer, or check MILK_SHM_DIR",
            stream=name, path=path) from None
    except IsADirectoryError:
        raise _format_error(path, "file", "a regular file", "a directory") from None
    except OSError as error:
        if error.errno in (_errno.EACCES, _errno.EPERM, _errno.EROFS):
            raise StreamPermissionError(
                f"{path}: no permission to open it for {'writing' if writable else 'reading'}",
                stream=name, path=path) from None
        if error.errno == _errno.ENXIO:  # what is no file at all
            raise _format_error(path, "file", "a regular file", _kind_of_file(os.stat(path).st_mode)) from None
        raise StreamError(f"{path}: cannot be opened: {error.strerror}", stream=name) from error


cdef str _kind_of_file(unsigned int mode):
    """Say what a file is that is no regular one."""
    kinds = (("a directory", _stat.S_ISDIR), ("a FIFO", _stat.S_ISFIFO), ("a socket", _stat.S_ISSOCK),
             ("a device", _stat.S_ISCHR), ("a device", _stat.S_ISBLK))
    return next((kind for kind, fits in kinds if fits(mode)), _stat.filemode(mode))


cdef _Snapshot _take_snapshot(int fd, str path, int ready_wait_ms):
    cdef _Snapshot shot = _Snapshot.__new__(_Snapshot)
    cdef stat st
    cdef char *raw = <char *>shot.raw
    cdef ssize_t got
    while True:
        if fstat(fd, &st) != 0:
            raise StreamError(f"{path}: {os.strerror(errno)}", stream=stream_name(path))
        if not S_ISREG(st.st_mode):
            raise _format_error(path, "file", "a regular file", _kind_of_file(st.st_mode))
        memset(raw, 0, sizeof(shot.raw))
        got = pread(fd, raw, METADATA_MAX, 0)
        # The C library makes the file, then gives it its size, and its version last.
        if (got >= METADATA_MIN and raw[0]) or ready_wait_ms <= 0:
            break
        _time.sleep(0.002)
        ready_wait_ms -= 2
    if st.st_size <= METADATA_MIN or got < METADATA_MIN:
        raise _format_error(
            path, "file size", f"more than {METADATA_MIN}", min(st.st_size, got), "",
            StreamFormatError if st.st_size else StreamNotReadyError)
    parse_header(raw, st.st_size, path, &shot.h)
    shot.device = st.st_dev
    shot.inode = st.st_ino
    return shot


def read_header(name_or_path):
    """Read and check the header of a stream without mapping it.

    Parameters
    ----------
    name_or_path : str or PathLike

    Returns
    -------
    dict
        ``name``, ``path``, ``version``, ``layout``, ``shape`` (C order), ``dtype``, ``imagetype``,
        ``location``, ``counter``, ``cnt1``, ``write``, ``nbsem``, ``nbkw``, ``cb_size``,
        ``creator_pid``, ``write_time_ns``, ``creation_time_ns``, ``nbytes`` (of the file), ``inode``.

    Raises
    ------
    StreamNotFoundError, StreamPermissionError, StreamFormatError
        As `Stream.attach`.
    """
    path = stream_path(name_or_path)
    cdef int fd = _open(path, False)
    cdef _Snapshot shot
    try:
        shot = _take_snapshot(fd, path, 0)
    finally:
        c_close(fd)
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>shot.raw
    return {
        "name": stream_name(path),
        "path": path,
        "version": _text(md.version, 32),
        "layout": _layout_name(shot.h.layout),
        "shape": tuple([shot.h.size[i] for i in range(shot.h.naxis)][::-1]),
        "dtype": _DTYPES[shot.h.datatype],
        "imagetype": md.imagetype,
        "location": md.location,
        "counter": md.cnt0,
        "cnt1": md.cnt1,
        "write": md.write,
        "nbsem": md.sem,
        "nbkw": md.NBkw,
        "cb_size": md.CBsize,
        "creator_pid": md.creatorPID,
        "write_time_ns": stamp_ns(&md.writetime),
        "creation_time_ns": stamp_ns(&md.creationtime),
        "nbytes": shot.h.at.total,
        "inode": shot.inode,
    }


# --------------------------------------------------------------------------------------------------
# Publishing, without the GIL
# --------------------------------------------------------------------------------------------------

cdef inline sem_t *semaphore(char *base, const Header *h, int index) noexcept nogil:
    # Index -1 and others that do not exist must never reach a semaphore call.
    PYMILK_ASSERT(0 <= index and index < h.n.sem)
    return &(<SEMFILEDATA *>(base + h.at.semfile))[index].semdata


cdef inline void ring_bell(sem_t *sem) noexcept nogil:
    """Post below the cap. Check and post are not one step, as everywhere in the field: a second
    writer can push the value to 11, which harms nobody."""
    cdef int value = 0
    if sem_getvalue(sem, &value) == 0 and value < SEMAPHORE_MAXVAL:
        sem_post(sem)


cdef void post_one(char *base, const Header *h, int index) noexcept nogil:
    cdef sem_t *sem = semaphore(base, h, index)
    cdef int value = 0
    if sem_getvalue(sem, &value) == 0 and value < SEMAPHORE_MAXVAL:
        sem_post(sem)
        (<int32_t *>(base + h.at.sem_write_pid))[index] = own_pid


cdef void post_all(char *base, const Header *h) noexcept nogil:
    cdef int i
    # A full fence: the counter is out before the values are looked at. Pairs with the reader that
    # empties its semaphore and then looks at the counter (sleep_for_frame): one of the two sees the
    # other, so that no post is left out for a reader that goes to sleep.
    atomic_fence(__ATOMIC_SEQ_CST)
    for i in range(h.n.sem):
        post_one(base, h, i)
    ring_bell(<sem_t *>(base + h.at.semlog))


cdef inline void open_frame(char *base) noexcept nogil:
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    atomic_store_u8(<uint8_t *>&md.write, 1, __ATOMIC_RELAXED)
    # No pixel store moves in front of write = 1. Pairs with the acquire fence behind the copy in
    # copy_frame: a reader that copied one new pixel sees write = 1, or what came after it.
    atomic_fence(__ATOMIC_RELEASE)


cdef inline void abandon_frame(char *base) noexcept nogil:
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    # The pixels before the stamp. Pairs with the fence in look.
    atomic_fence(__ATOMIC_RELEASE)
    # The counter stays, so the stamp has to show that pixels changed: readers compare it.
    clock_gettime(CLOCK_TAI, &md.lastaccesstime)
    atomic_store_u8(<uint8_t *>&md.write, 0, __ATOMIC_RELEASE)


cdef inline void fill_slot(char *slot, const char *frame, uint64_t nbytes) noexcept nogil:
    if nbytes < STREAMING_NBYTES:
        memcpy(slot, frame, nbytes)
    else:
        pymilk_stream_copy(slot, frame, nbytes)


cdef void fill_ring_slot(
    char *base, const Header *h, uint64_t counter, const timespec *atime, const timespec *writetime,
) noexcept nogil:
    """Copy the frame into the next slot of the fast circular buffer, and tell its number and times."""
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    cdef uint32_t slot = atomic_load_u32(&md.CBindex, __ATOMIC_RELAXED) + 1
    cdef uint64_t cycle = atomic_load_u64(&md.CBcycle, __ATOMIC_RELAXED)
    cdef CBFRAMEMD *record
    if slot >= h.n.cbsize:  # also where a broken process left an index outside
        slot = 0
        cycle += 1
    record = &(<CBFRAMEMD *>(base + h.at.ring_records))[slot]
    # Counter 0 says that the slot is being changed. The fence keeps the pixels behind it; a reader of
    # the slot looks at the record before and after its copy.
    atomic_store_u64(&record.cnt0, 0, __ATOMIC_RELAXED)
    atomic_fence(__ATOMIC_RELEASE)
    fill_slot(base + h.at.ring_slots + slot * h.n.frame_nbytes, base + h.at.array, h.n.frame_nbytes)
    record.cnt1 = slot
    record.atime = atime[0]
    record.writetime = writetime[0]
    atomic_store_u64(&record.cnt0, counter, __ATOMIC_RELEASE)
    # Relaxed: the fence above keeps it behind the index of the frame before, and the index keeps it in front.
    atomic_store_u64(&md.CBcycle, cycle, __ATOMIC_RELAXED)
    atomic_store_u32(&md.CBindex, slot, __ATOMIC_RELEASE)


cdef void note_history(char *base, const Header *h, uint64_t counter, const timespec *now) noexcept nogil:
    cdef uint32_t *index = <uint32_t *>(base + AT_HISTORY_INDEX)
    cdef uint64_t *cycle = <uint64_t *>(base + AT_HISTORY_CYCLE)
    cdef uint32_t entry = atomic_load_u32(index, __ATOMIC_RELAXED) + 1
    cdef FRAMEWRITEMD *record
    if entry >= IMAGESTRUCT_FRAMEWRITEMDSIZE:
        entry = 0
        atomic_store_u64(cycle, atomic_load_u64(cycle, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED)
    record = &(<FRAMEWRITEMD *>(base + h.at.history))[entry]
    record.writetime = now[0]
    record.wpid = own_pid
    record.cnt0 = counter
    atomic_store_u32(index, entry, __ATOMIC_RELEASE)


cdef inline int64_t next_slice(char *base, const Header *h) noexcept nogil:
    """The slice of a temporal cube that is written next; -1 for other streams."""
    if not h.temporal:
        return -1
    return <int64_t>((atomic_load_u64(&(<IMAGE_METADATA *>base).cnt1, __ATOMIC_RELAXED) + 1) % h.size[2])


cdef inline char *frame_at(char *base, const Header *h, int64_t slice) noexcept nogil:
    return base + h.at.array + (slice * h.unit_nbytes if slice >= 0 else 0)


cdef uint64_t close_frame(char *base, const Header *h, bint has_atime, int64_t atime_ns,
                          int64_t slice, uint64_t advance=1) noexcept nogil:
    """Publish what stands in the pixels; returns its counter. slice is -1, or the one written.

    advance is more than 1 where frames that a relay did not receive leave a gap in the numbers.
    """
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    cdef timespec now, atime
    cdef uint64_t counter = atomic_load_u64(&md.cnt0, __ATOMIC_RELAXED) + advance
    clock_gettime(CLOCK_TAI, &now)
    atime = to_timespec(atime_ns) if has_atime else now
    if slice >= 0:
        (<timespec *>(base + h.at.atimes))[slice] = atime
        (<timespec *>(base + h.at.writetimes))[slice] = now
        atomic_store_u64(&(<uint64_t *>(base + h.at.cnts))[slice], counter, __ATOMIC_RELAXED)
        atomic_store_u64(&md.cnt1, slice, __ATOMIC_RELEASE)
    if h.n.cbsize:
        fill_ring_slot(base, h, counter, &atime, &now)
    md.writetime = now
    md.atime = atime
    # Release: pixels, slot and times are visible before the counter that announces them. Pairs with the
    # fence in look and the acquire loads of cnt0 in read_fast and read_temporal. An addition, so that two
    # writers lose no counts (they may still mix their pixels).
    counter = atomic_add_u64(&md.cnt0, advance, __ATOMIC_RELEASE)
    atomic_store_u8(<uint8_t *>&md.write, 0, __ATOMIC_RELEASE)
    if h.layout.history:
        note_history(base, h, counter, &now)
    post_all(base, h)
    return counter


cdef bint find_ring(Ring *r, char *base, const Header *h) noexcept nogil:
    """Fill in where the ring of a stream is; False if there is none that holds any history."""
    memset(r, 0, sizeof(Ring))
    if h.n.location != -1:
        return False
    r.md = <IMAGE_METADATA *>base
    r.nbytes = h.unit_nbytes
    if h.temporal and h.size[2] > 1:
        r.kind = RING_TEMPORAL
        r.depth = h.size[2]
        r.slots = base + h.at.array
        r.atimes = <const timespec *>(base + h.at.atimes)
        r.writetimes = <const timespec *>(base + h.at.writetimes)
        r.cnts = <uint64_t *>(base + h.at.cnts)
    elif not h.temporal and h.n.cbsize > 1:
        r.kind = RING_FAST
        r.depth = h.n.cbsize
        r.slots = base + h.at.ring_slots
        r.records = <const CBFRAMEMD *>(base + h.at.ring_records)
    return r.kind != 0


# --------------------------------------------------------------------------------------------------
# Receiving, without the GIL
# --------------------------------------------------------------------------------------------------

cdef inline int atomic_load_int(const int *flag) noexcept nogil:
    # Relaxed: a flag that another thread raises; nothing else is read on the strength of it.
    return atomic_load_i32(<int32_t *>flag, __ATOMIC_RELAXED)


cdef inline void raise_flag(int *flag, int bits) noexcept nogil:
    # The other bits stay: two threads, or a thread and the handler for SIGBUS, may raise one at once.
    atomic_or_i32(<int32_t *>flag, bits, __ATOMIC_RELAXED)


# One run of the receive loop. Everything in it is private to the call; the pointers lead into a
# Mapping and a Reader that the caller holds.
cdef struct Job:
    char *base
    const Header *h
    const char *path
    dev_t device
    ino_t inode
    int *closed             # the stream was closed, or found damaged
    const int *shut         # the reader was closed
    const int *stop
    sem_t *sem              # NULL: no semaphore, watch the counter
    const int32_t *sem_owner  # stays own_pid as long as the semaphore is ours
    char *dst               # NULL: wait only
    uint64_t nbytes         # of one frame
    uint64_t slots          # frames that dst holds: frame k goes to slot k % slots
    Row *rows
    Total *totals           # beside the rows of a private ring
    Total total
    sem_t *bell             # rung for each frame, for those who read the private ring
    const int *bell_fd      # the same as an eventfd, if it is not -1
    Cursor *cursor          # the stream has a ring: frames are taken from there
    char *sink              # instead of dst: publish each frame in this stream
    const Header *sink_header
    int *sink_closed
    uint64_t n
    uint64_t at             # frames delivered so far
    uint64_t *done          # the same, for others to see
    uint64_t *reached       # the number of the last one, for a relay
    uint64_t last           # counter of the last frame delivered
    bint new_file           # the next frame is the first of a file that replaced another
    uint64_t missed         # frames of the other that were not received
    timespec last_write     # its stamps
    timespec last_access
    bint accesses           # this writer stamps each access
    int64_t grace           # for a writer that is in a frame
    int64_t timeout         # ns for each frame, FOREVER for no limit
    int64_t spin            # ns to spin before sleeping, FOREVER to spin only
    bint check_signals      # stop with EV_CHECK now and then
    int64_t deadline        # of the present wait; 0: not waiting
    int64_t began           # when it began
    int64_t next_check
    # The account of posts. A post that is taken belongs to a frame that was counted before (owed),
    # or it is ahead of its frame, or it announces nothing.
    uint64_t owed
    uint64_t ahead
    uint64_t repeated       # posts that announced nothing
    uint64_t torn           # frames that a relay left out
    bint silent             # frames come without posts: watch the counter, until there is a post
    bint streaming          # dst is beyond the caches
    Pace *pace              # the rhythm to learn and to spin by; NULL: spin for `spin`
    int64_t doze            # of the present wait: when the frame is due, less what a sleep is late,
    int64_t alert           # and when it is no longer expected
    int64_t arrived         # when the last frame was copied, CLOCK_TAI
    uint32_t late           # frames that are watched for because one was lost
    bint sharp              # it was seen to that sleeps of this thread end in time
    int slack               # what its timer slack was before
    uint64_t excess         # those of them before the last frame
    uint64_t carry          # lost frames that the next row is to tell of
    uint64_t jump           # numbers that the sink leaves out, for its first frame to have that of its source


cdef struct Look:
    uint8_t write
    uint64_t cnt0
    timespec writetime
    timespec lastaccess


cdef inline void look(const IMAGE_METADATA *md, Look *seen) noexcept nogil:
    """Note the state of a stream: write first, so that a finished write brings its counter along."""
    # Acquire: pairs with the release store of write in close_frame.
    seen.write = atomic_load_u8(<uint8_t *>&md.write, __ATOMIC_ACQUIRE)
    seen.cnt0 = atomic_load_u64(<uint64_t *>&md.cnt0, __ATOMIC_RELAXED)
    seen.writetime = md.writetime
    seen.lastaccess = md.lastaccesstime
    # What is read next is as new as counter and stamps. Pairs with the release of cnt0 in close_frame, and with
    # the fence in abandon_frame.
    atomic_fence(__ATOMIC_ACQUIRE)


cdef inline bint same_look(const Look *a, const Look *b) noexcept nogil:
    return (a.cnt0 == b.cnt0 and a.write == b.write
            and a.writetime.tv_nsec == b.writetime.tv_nsec
            and a.writetime.tv_sec == b.writetime.tv_sec
            and a.lastaccess.tv_nsec == b.lastaccess.tv_nsec
            and a.lastaccess.tv_sec == b.lastaccess.tv_sec)


cdef int64_t steady_stamp_ns(const IMAGE_METADATA *md, const timespec *stamp) noexcept nogil:
    """Read a stamp, and not the seconds of one frame with the nanoseconds of the next.

    That of a writer that stays in its frame is taken as it is.
    """
    cdef Look before, after
    cdef int64_t ns = 0
    cdef int _
    for _ in range(LOOK_TRIES):
        look(md, &before)
        ns = stamp_ns(stamp)
        # Pairs with the fence in open_frame.
        atomic_fence(__ATOMIC_ACQUIRE)
        look(md, &after)
        if before.write == 0 and same_look(&before, &after):
            break
        pymilk_pause()
    return ns


cdef inline int file_state(const char *path, dev_t device, ino_t inode, uint64_t nbytes) noexcept nogil:
    """Ask the file system what the path leads to now (about 1 us). A stream without a path stays."""
    cdef stat st
    if path[0] == 0:
        return FILE_SAME
    if c_stat(path, &st) != 0:
        return FILE_GONE
    if st.st_ino != inode or st.st_dev != device:
        return FILE_OTHER
    return FILE_SAME if <uint64_t>st.st_size == nbytes else FILE_CUT


cdef inline bint reshaped(const char *base, const Header *h) noexcept nogil:
    """Tell whether what a stream consists of is not what the header said when it was attached.

    Addresses come from what was checked then, and stay inside the mapping; but another program that made its
    stream in this file, or a broken one, has given the bytes there another meaning.
    """
    cdef const IMAGE_METADATA *md = <const IMAGE_METADATA *>base
    return (md.naxis != h.naxis or md.datatype != h.datatype or md.nelement != h.nelement
            or md.size[0] != h.size[0] or md.size[1] != h.size[1] or md.size[2] != h.size[2]
            or md.sem != h.n.sem or md.NBkw != h.n.nbkw or md.CBsize != h.n.cbsize)


cdef inline bint damaged(const char *base, const Header *h, int *closed) noexcept nogil:
    """Tell, after the memory was used, whether the file was cut or its header rewritten until then."""
    # What was read before is read before the flag. Pairs with pymilk_guard_replace: zeros come behind it.
    atomic_fence(__ATOMIC_ACQUIRE)
    if reshaped(base, h):
        raise_flag(closed, PYMILK_LOST)
    return atomic_load_int(closed) & PYMILK_LOST != 0


cdef inline bint retired(const char *base, const Header *h) noexcept nogil:
    """Tell whether a pymilk process that replaced or destroyed this stream has marked it so.

    It clears the inode in the file that nobody can open any more (Stream._retire): a load instead of
    a system call. Other programs compare the inode with that of the path, and see a difference in
    either case.
    """
    return (<const IMAGE_METADATA *>base).inode != h.inode


cdef inline void note_frame(const IMAGE_METADATA *md, Row *row) noexcept nogil:
    row.cnt1 = atomic_load_u64(<uint64_t *>&md.cnt1, __ATOMIC_RELAXED)
    row.atime_ns = stamp_ns(&md.atime)
    row.writetime_ns = stamp_ns(&md.writetime)


cdef inline bint streams(uint64_t frame_nbytes, uint64_t nbytes) noexcept nogil:
    """Tell whether frames of that size are copied past the caches into a destination of that size."""
    return frame_nbytes >= STREAMING_FRAME_NBYTES and nbytes >= STREAMING_CUBE_NBYTES


cdef uint64_t try_copy(const IMAGE_METADATA *md, const char *src, char *dst, uint64_t nbytes,
                       bint streaming, int tries, Look *seen, Row *row) noexcept nogil:
    """Copy the newest frame; returns FLAG_VERIFIED, or 0 if the writer was in it each time."""
    cdef Look after
    while tries > 0:
        look(md, seen)
        if seen.write == 0:
            copy_bytes(dst, src, nbytes, streaming)
            if row != NULL:
                note_frame(md, row)
            # The copy is finished before the second look. Pairs with the fence in open_frame.
            atomic_fence(__ATOMIC_ACQUIRE)
            look(md, &after)
            if same_look(seen, &after):
                return _VERIFIED
        else:
            pymilk_pause()
        tries -= 1
    return 0


cdef uint64_t copy_frame(char *base, const Header *h, char *dst, bint streaming, Row *row,
                         const int *closed, const int *stop, int64_t *grace, Look *seen) noexcept nogil:
    """Copy the newest frame whole, waiting for a writer that is in it; returns its flags.

    A writer that stays in one frame for longer than grace, or that leaves no time for a copy in
    COPY_TRIES tries, gets its frame delivered as torn. grace is set for the next frame.
    """
    cdef const IMAGE_METADATA *md = <const IMAGE_METADATA *>base
    cdef const char *src = base + h.at.array
    cdef uint64_t flags = 0, entered = 0
    cdef int tries = 0, met = 0
    cdef int64_t now, began = 0
    while tries < COPY_TRIES:
        flags = try_copy(md, src, dst, h.n.frame_nbytes, streaming, 1, seen, row)
        if flags or atomic_load_int(closed) or atomic_load_int(stop):
            break
        if seen.write == 0:
            tries += 1  # the frame changed during the copy
            continue
        # The writer is in the next frame. Let it finish: a few microseconds if it is alive.
        now = clock_ns(CLOCK_MONOTONIC)
        if began == 0:
            began = now
            entered = seen.cnt0
        if seen.cnt0 != entered:
            # Frames go by while write stays up: this writer never lowers it, or we only ever see it
            # raised. Either way the flag will not help us.
            met += 1
            entered = seen.cnt0
        if met >= COPY_TRIES or now - began > grace[0]:
            break
        if now - began > EARLY_POST_SPIN_NS:
            sleep_until(now + POLL_NS)
    if flags:
        grace[0] = WRITE_GRACE_NS
        return flags
    # Bounded tries are over: take what is there, and say so.
    look(md, seen)
    copy_bytes(dst, src, h.n.frame_nbytes, False)
    if row != NULL:
        note_frame(md, row)
    if tries < COPY_TRIES:
        grace[0] = STUCK_GRACE_NS
    return _TORN


cdef uint64_t copy_newest_slice(char *base, const Header *h, char *dst, bint streaming,
                                uint64_t *number) noexcept nogil:
    """Copy the newest slice of a temporal cube; returns its flags. Its writer works on another one."""
    cdef Cursor c
    cdef int _
    memset(&c, 0, sizeof(Cursor))
    find_ring(&c.ring, base, h)
    ring_anchor(&c.ring)
    for _ in range(COPY_TRIES):
        ring_look(&c.ring)
        number[0] = c.ring.counter
        copy_bytes(dst, c.ring.slots + ring_slot(&c.ring, c.ring.head) * h.unit_nbytes, h.unit_nbytes,
                   streaming)
        if ring_whole(&c.ring, c.ring.head):
            return _VERIFIED | _FROM_RING
    return _TORN | _FROM_RING


cdef inline int ended(const Job *job) noexcept nogil:
    """Tell whether another thread has closed the stream or the reader, or stopped the receive."""
    cdef int closed = atomic_load_int(job.closed)
    if closed & PYMILK_LOST:
        return EV_DAMAGED
    if closed or atomic_load_int(job.shut):
        return EV_CLOSED
    return EV_STOPPED if atomic_load_int(job.stop) else EV_DONE


cdef int housekeeping(Job *job, int64_t now) noexcept nogil:
    """What is looked at between slices. Returns EV_DONE to go on."""
    cdef int event = ended(job)
    if event != EV_DONE:
        return event
    if now < job.next_check and not retired(job.base, job.h):
        return EV_DONE
    job.next_check = now + CHECK_NS
    # A file that is gone may come back as another one: that is found at one of the next looks.
    event = file_state(job.path, job.device, job.inode, job.h.at.total)
    if event == FILE_OTHER:
        return EV_REPLACED
    if event == FILE_CUT:
        raise_flag(job.closed, PYMILK_LOST)
    if damaged(job.base, job.h, job.closed):
        return EV_DAMAGED
    if job.sem != NULL and atomic_load_i32(<int32_t *>job.sem_owner, __ATOMIC_RELAXED) != own_pid:
        job.sem = NULL  # another reader took our semaphore: leave its posts alone
    return EV_CHECK if job.check_signals else EV_DONE


cdef inline bint has_moved(const Job *job) noexcept nogil:
    # Relaxed: nothing is read on the strength of it. `look` and `ring_look` load the counter again.
    return atomic_load_u64(&(<IMAGE_METADATA *>job.base).cnt0, __ATOMIC_RELAXED) != job.last


cdef bint spin_for(Job *job, int64_t until) noexcept nogil:
    """Watch the counter without sleeping; returns whether it moved."""
    cdef int _
    while True:
        for _ in range(SPINS_PER_LOOK):
            if has_moved(job):
                return True
            pymilk_pause()
        if clock_ns(CLOCK_MONOTONIC) >= until:
            return False


cdef inline void note_post(Job *job) noexcept nogil:
    if job.owed:
        job.owed -= 1
    else:
        job.ahead += 1


cdef int take_posts(Job *job) noexcept nogil:
    """Empty the semaphore, so that the next sleep ends with a new post; returns how many there were."""
    cdef int taken = 0
    # Bounded: another process may post all the time.
    while taken < 4 * SEMAPHORE_MAXVAL and sem_trywait(job.sem) == 0:
        taken += 1
        note_post(job)
    # One post may still be on its way: of the frame whose counter was seen first.
    if job.owed > 1:
        job.owed = 1
    return taken


cdef inline void sharpen(Job *job) noexcept nogil:
    """Make sleeps of this thread end when they should; undone when the run ends."""
    if not job.sharp:
        job.sharp = True
        job.slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0)
        if job.slack > SLACK_NS:
            prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0)


cdef void sleep_for_frame(Job *job, int64_t now) noexcept nogil:
    """Sleep until the semaphore is posted, at most one slice."""
    cdef int64_t until = min(later(now, SLICE_NS), job.deadline)
    cdef int64_t began = now
    cdef bint dozing = now < job.doze < until
    cdef int taken
    sharpen(job)
    if dozing:
        until = job.doze
    if job.silent and take_posts(job) > 0:
        job.silent = False
    if job.sem == NULL or job.silent:
        sleep_until(min(until, now + (POLL_NS if now - job.began < POLL_IDLE_AFTER_NS else POLL_IDLE_NS)))
        return
    taken = take_posts(job)
    # Pairs with the fence in post_all: a writer that leaves out its post has seen ours taken, or we see its frame.
    pymilk_fence_behind_take()
    if has_moved(job):
        return
    if taken == 0 or job.ahead == 0:
        taken = pymilk_sem_wait_until(job.sem, until) == 0
        now = clock_ns(CLOCK_MONOTONIC)
        if now - began > SETTLED_NS:
            job.owed = 0
        if not taken:
            if dozing and now >= until:  # else a signal ended it
                pace_note_late(job.pace, now - until)
            elif dozing:
                pass
            else:
                job.silent = has_moved(job)
            return
        note_post(job)
    # Woken. The counter moves at once, unless the writer posts before it counts, or the post was owed.
    if spin_for(job, now + EARLY_POST_SPIN_NS) or job.ahead == 0:
        return
    until = min(now + EARLY_POST_LOOK_NS, job.deadline)
    while not has_moved(job) and now < until and not atomic_load_int(job.stop):
        sleep_until(now + POLL_NS)
        now = clock_ns(CLOCK_MONOTONIC)


cdef int arrived(Job *job) noexcept nogil:
    """A frame that was waited for has just come."""
    job.deadline = 0
    if job.pace != NULL:
        pace_note(job.pace, clock_ns(CLOCK_MONOTONIC),
                  atomic_load_u64(&(<IMAGE_METADATA *>job.base).cnt0, __ATOMIC_RELAXED))
    return EV_DONE


cdef int wait_for_frame(Job *job) noexcept nogil:
    """Wait until the counter differs from job.last. EV_CHECK: call again."""
    cdef int64_t now
    cdef int event
    if has_moved(job):
        job.deadline = 0
        if job.pace != NULL:
            pace_miss(job.pace)
        return EV_DONE
    now = clock_ns(CLOCK_MONOTONIC)
    if job.deadline == 0:
        job.deadline = later(now, job.timeout)
        job.began = now
        if job.pace != NULL:
            pace_plan(job.pace, now, job.last, &job.doze, &job.alert)
        else:
            job.alert = later(now, job.spin)
        if job.late:
            job.late -= 1
            if spin_for(job, min(now + LATE_SPIN_NS, job.deadline)):
                return arrived(job)
            now = clock_ns(CLOCK_MONOTONIC)
    while True:
        if job.doze <= now < job.alert and now < job.deadline:
            if spin_for(job, min(min(job.alert, job.deadline), now + SLICE_NS)):
                break
        elif now < job.deadline:
            sleep_for_frame(job, now)
        if has_moved(job):
            break
        now = clock_ns(CLOCK_MONOTONIC)
        if now >= job.deadline:
            # The last look at the file: a writer that restarted is the likeliest cause.
            job.next_check = 0
        event = housekeeping(job, now)
        if event != EV_DONE and event != EV_CHECK:
            return event
        if now >= job.deadline:
            return EV_TIMEOUT
        if event == EV_CHECK:
            return EV_CHECK
    return arrived(job)


cdef int run_receive(Job *job) noexcept nogil:
    """Deliver frames until job.n are there; the one loop that serves every caller."""
    cdef int event
    cdef int64_t now
    while job.at < job.n:
        event = receive_frame(job) if job.cursor == NULL else receive_from_ring(job)
        if event != EV_DONE:
            return event
        # The coarse clock costs a quarter and is late by 4 ms at most: enough to know when to check.
        now = clock_ns(CLOCK_MONOTONIC_COARSE)
        if job.at < job.n and now >= job.next_check:
            event = housekeeping(job, now)
            # What a ring still holds can be had after its file was replaced.
            if event != EV_DONE and not (
                    event == EV_REPLACED and job.cursor != NULL and cursor_unread(job.cursor)):
                return event
    return EV_DONE


cdef int receive_frame(Job *job) noexcept nogil:
    """Wait for the next frame of a stream, and copy it to where it is wanted."""
    cdef Look seen
    cdef Row scratch
    cdef Row *row = &scratch
    cdef char *dst
    cdef uint64_t flags, slot
    cdef int64_t slice = -1
    cdef bint fresh
    cdef int event = wait_for_frame(job)
    if event != EV_DONE:
        return event
    if job.sink != NULL:
        slot = 0
        open_frame(job.sink)
        slice = next_slice(job.sink, job.sink_header)
        dst = frame_at(job.sink, job.sink_header, slice)
    elif job.dst != NULL:
        slot = job.at % job.slots
        dst = job.dst + slot * job.nbytes
        if job.rows != NULL:
            row = &job.rows[slot]
        # Those who read a private ring see `done` of the frame before, if they see one of these pixels.
        # Pairs with the fence in ring_whole.
        atomic_fence(__ATOMIC_RELEASE)
    else:
        job.at = job.n
        return EV_DONE
    flags = copy_frame(job.base, job.h, dst, job.streaming, row, job.closed, job.stop, &job.grace, &seen)
    event = EV_DAMAGED if damaged(job.base, job.h, job.closed) else EV_DONE
    if flags & _TORN and event == EV_DONE:
        event = ended(job)  # the copy may have been cut short
    fresh = event == EV_DONE and seen.cnt0 != job.last and not is_known(job, &seen)
    if fresh:
        account(job, row, flags, &seen)
    if job.sink != NULL:
        pass_on(job, row, slice, fresh)
        if damaged(job.sink, job.sink_header, job.sink_closed):
            event = EV_DAMAGED
    elif fresh:
        hand_over(job, row, slot)
    return event


cdef void hand_over(Job *job, const Row *row, uint64_t slot) noexcept nogil:
    """Let others see that a frame and its row are there."""
    cdef uint64_t one = 1
    cdef int value = 0, fd
    if job.totals != NULL:
        job.total.lost += row.lost
        job.total.files += (row.flags & _NEW_FILE) != 0
        job.totals[slot] = job.total
    job.at += 1
    # Release: the frame and its row are complete before others see that it is there.
    atomic_store_u64(job.done, job.at, __ATOMIC_RELEASE)
    if job.bell == NULL:
        return
    # Full fence: `done` is out before the value is looked at. Pairs with the reader that takes the post
    # and then looks at `done` (PrivateRing.wait).
    atomic_fence(__ATOMIC_SEQ_CST)
    if sem_getvalue(job.bell, &value) == 0 and value < 1:
        sem_post(job.bell)
    fd = atomic_load_int(job.bell_fd)
    if fd >= 0:
        c_write(fd, &one, 8)  # never blocks: the counter of an eventfd holds 2**64 - 2


cdef void pass_on(Job *job, const Row *row, int64_t slice, bint fresh) noexcept nogil:
    """Publish in the sink what was copied there, under a number that shows what was lost."""
    cdef int64_t acquired = row.atime_ns or row.writetime_ns
    if not fresh or row.flags & _TORN:
        abandon_frame(job.sink)
        if fresh:
            job.carry += row.lost + 1  # a torn frame must not look whole in the ring
            job.torn += 1
        return
    close_frame(job.sink, job.sink_header, acquired != 0, acquired, slice, row.lost + 1 + job.jump)
    job.jump = 0
    job.at += 1
    atomic_store_u64(job.reached, job.last, __ATOMIC_RELAXED)
    atomic_store_u64(job.done, job.at, __ATOMIC_RELEASE)


cdef int receive_from_ring(Job *job) noexcept nogil:
    """Take the next frames out of the ring of a stream, waiting for one if there is none."""
    cdef Cursor *c = job.cursor
    cdef Row scratch
    cdef uint64_t i, slot, room, got, before
    cdef int64_t now, deadline
    cdef bint losing
    cdef int event
    ring_look(&c.ring)
    if cursor_unread(c) == 0:
        job.last = c.ring.counter
        if job.deadline == 0:
            now = clock_ns(CLOCK_MONOTONIC)
            job.deadline = later(now, job.timeout)
            job.began = now
        deadline = job.deadline
        # A counter ahead of the last frame, and nothing in the ring: it is in the stream, to be had now.
        if c.ring.kind != RING_FAST or c.ring.counter == c.last:
            event = wait_for_frame(job)
            if event != EV_DONE:
                return event
            ring_look(&c.ring)
        if cursor_unread(c) == 0:
            job.deadline = deadline
            return receive_beside_ring(job)
    slot = job.at % job.slots
    # One at a time into a private ring, whose readers rely on it, and where there are no rows to fill.
    room = 1
    if job.rows != NULL and job.totals == NULL:
        room = min(job.n - job.at, max(<uint64_t>1, RING_CHUNK_NBYTES // job.nbytes))
    before = c.last
    atomic_fence(__ATOMIC_RELEASE)  # as in receive_frame
    got = cursor_copy(c, job.dst + slot * job.nbytes, &job.rows[slot] if job.rows != NULL else &scratch,
                      room, job.streaming, False, &losing)
    if damaged(job.base, job.h, job.closed):
        return EV_DAMAGED
    if c.last > before:
        settle_posts(job, c.last - before)
    for i in range(got):
        hand_over(job, &job.rows[slot + i] if job.rows != NULL else &scratch, slot + i)
    if got:
        job.last = c.last
        job.new_file = False
        job.deadline = 0
    return EV_DONE


cdef int receive_beside_ring(Job *job) noexcept nogil:
    """The counter moved and no slot was filled: its writer leaves the ring out, as the wrapper does."""
    cdef Cursor *c = job.cursor
    cdef Look seen
    cdef Row scratch
    cdef uint64_t flags, slot = job.at % job.slots
    cdef Row *row = &job.rows[slot] if job.rows != NULL else &scratch
    cdef int event
    if c.ring.kind != RING_FAST:
        return EV_TIMEOUT if clock_ns(CLOCK_MONOTONIC) >= job.deadline else EV_DONE
    atomic_fence(__ATOMIC_RELEASE)  # as in receive_frame
    flags = copy_frame(job.base, job.h, job.dst + slot * job.nbytes, job.streaming, row, job.closed,
                       job.stop, &job.grace, &seen)
    event = EV_DAMAGED if damaged(job.base, job.h, job.closed) else EV_DONE
    if flags & _TORN and event == EV_DONE:
        event = ended(job)
    ring_look(&c.ring)
    if event != EV_DONE or cursor_unread(c) or seen.cnt0 == c.last:
        return event  # the newest frame is in the ring after all
    job.last = c.last
    if not is_known(job, &seen):
        account(job, row, flags, &seen)
        c.new_file = False
        hand_over(job, row, slot)
    c.last = job.last
    job.deadline = 0
    return EV_DONE


cdef bint is_known(Job *job, const Look *seen) noexcept nogil:
    """Tell whether the frame that was copied is the last one delivered, under its right number now.

    A writer that clears write before it counts (the Python wrapper) shows for an instant the new frame
    under the old number. If a reader that is late meets exactly that instant, it delivers the frame
    with a number that is 1 too low; the unchanged stamps of the next number give it away, and the row
    is put right. Only for writers that are seen to stamp each access: others leave stamps alone.
    """
    cdef bint moved = (seen.lastaccess.tv_nsec != job.last_access.tv_nsec
                       or seen.lastaccess.tv_sec != job.last_access.tv_sec)
    cdef bint known = (job.accesses and not moved and job.at > 0 and seen.cnt0 == job.last + 1
                       and seen.writetime.tv_nsec == job.last_write.tv_nsec
                       and seen.writetime.tv_sec == job.last_write.tv_sec)
    if known:
        # A post that seemed to announce nothing was that of the number left out.
        if job.excess:
            job.excess -= 1
            job.repeated -= 1
        else:
            job.owed += 1
        if job.totals != NULL or job.sink != NULL:
            job.carry += 1  # that row may have been read already
        elif job.rows != NULL:
            job.rows[job.at - 1].cnt0 = seen.cnt0
            job.rows[job.at - 1].lost += 1
            if job.excess == 0:
                job.rows[job.at - 1].flags &= ~<uint32_t>_REPEATED_POST
        job.last = seen.cnt0
    else:
        job.accesses = job.accesses or moved
        job.last_access = seen.lastaccess
        job.last_write = seen.writetime
    return known


cdef void settle_posts(Job *job, uint64_t advance) noexcept nogil:
    """Tell the posts of frames that were counted from those that announced nothing."""
    cdef uint64_t settled = min(advance, job.ahead)
    job.ahead -= settled
    job.owed += advance - settled
    job.excess = job.ahead
    job.repeated += job.ahead
    job.ahead = 0


cdef void account(Job *job, Row *row, uint64_t flags, const Look *seen) noexcept nogil:
    """Number a frame, and settle what was lost before it and which posts belong to it."""
    cdef uint64_t advance = seen.cnt0 - job.last
    if <int64_t>advance < 0:
        # The counter went backwards: a new count begins, and nothing is known of the time between.
        flags |= _COUNTER_RESET
        advance = 1
        job.ahead = 0
    settle_posts(job, advance)
    if job.excess:
        flags |= _REPEATED_POST
    advance += job.carry
    job.carry = 0
    if job.new_file:
        job.new_file = False
        flags |= _NEW_FILE
        advance += job.missed
    row.cnt0 = seen.cnt0
    row.lost = advance - 1
    row.flags = <uint32_t>flags
    row.arrival_ns = clock_ns(CLOCK_TAI)
    if advance > 1 and row.arrival_ns - job.arrived < <int64_t>min(advance, <uint64_t>64) * LATE_INTERVAL_NS:
        job.late = LATE_FRAMES
    job.arrived = row.arrival_ns
    job.last = seen.cnt0


# --------------------------------------------------------------------------------------------------
# Readers
# --------------------------------------------------------------------------------------------------

@cython.final
@cython.auto_pickle(False)
@cython.no_gc
cdef class Reader:
    """One reader of a stream: its own semaphore, and the account of the frames it received.

    Made by `Stream.reader`. Two readers never share a semaphore, be they in two processes, two threads
    or one: a shared one would lose each of them half of the wake-ups. A reader that finds no free
    semaphore, or whose stream is read-only or has none, watches the counter instead.

    The semaphore is taken at the first wait, given back by `close` or when the reader is collected,
    and taken over by others once the process has ended. After a fork the child takes a new one.

    Attributes
    ----------
    name : str
        Of the stream.
    received : int
        Frames delivered by the present or last `receive`; grows while it runs.
    repeated : int
        Semaphore posts since `arm` that were ignored because they announced nothing new.
    last : int
        Counter of the frame delivered last.
    torn : int
        Frames that `relay` left out because they never came out whole.
    cpu_ns : int
        Processor time spent in `receive`, in nanoseconds.
    """

    cdef Mapping mapping
    cdef Header h
    cdef dev_t device
    cdef ino_t file_inode
    cdef bytes path
    cdef readonly str name
    cdef int slot
    cdef int preferred      # semaphore to take if it is free; -1: any
    cdef pid_t pid
    cdef int64_t next_claim
    cdef int shut
    cdef int stopped
    cdef pid_t running      # the process that waits; 0: none
    cdef uint64_t done
    cdef uint64_t owed      # the account of posts, from one receive to the next (see Job)
    cdef uint64_t ahead
    cdef bint silent
    cdef Pace pace
    cdef Cursor cursor      # where it is in the ring of the stream; ring.kind is 0 if there is none
    cdef readonly uint64_t repeated
    cdef readonly uint64_t last
    cdef uint64_t reached   # job.last, for others to see while it runs
    cdef readonly uint64_t torn
    cdef readonly int64_t cpu_ns

    def __init__(self):
        raise TypeError("a Reader is made by Stream.reader()")

    def __dealloc__(self):
        # The class takes no part in garbage collection (no_gc), so the mapping is still there; it
        # cannot be part of a cycle itself.
        if self.mapping is not None:
            self._give_back(self.mapping)

    @property
    def received(self):
        return atomic_load_u64(&self.done, __ATOMIC_ACQUIRE)

    @property
    def progress(self):
        """Number of the frame that a `relay` published last; grows while it runs."""
        return atomic_load_u64(&self.reached, __ATOMIC_RELAXED)

    @property
    def interval_ns(self):
        """Time between frames as learned by waits with ``spin_ns=-2``, in nanoseconds; None: not known yet."""
        return self.pace.interval if self.pace.known >= PACE_KNOWN else None

    @property
    def sem_index(self):
        """Index of the semaphore that this reader holds, or None."""
        return self.slot if self.slot >= 0 and self.pid == own_pid else None

    @property
    def closed(self):
        """Whether the reader or its stream was closed."""
        return self.mapping is None or self.mapping.closed & PYMILK_CLOSED != 0

    cdef Mapping _hold(self):
        """Return the mapping, to be kept for as long as pointers into it are used.

        Any Python code may let another thread close the reader: no method uses self.mapping twice.
        """
        cdef Mapping mapping = self.mapping
        if mapping is None or mapping.closed & PYMILK_CLOSED:
            raise _closed(self.name)
        if mapping.closed:
            raise _damaged(self.name)
        return mapping

    cdef int32_t *_owners(self, Mapping mapping) noexcept:
        return <int32_t *>(mapping.base + self.h.at.sem_read_pid)

    cdef void _give_back(self, Mapping mapping) noexcept:
        """Free the semaphore, if it is still ours and not our parent's."""
        cdef int32_t expected = self.pid
        if self.slot >= 0 and self.pid == own_pid:
            # Only our own entry is cleared: by now it may belong to another process.
            atomic_swap_if_i32(&self._owners(mapping)[self.slot], &expected, -1, False,
                               __ATOMIC_RELEASE, __ATOMIC_RELAXED)
        self.slot = -1

    cdef sem_t *_bell(self, Mapping mapping) except? NULL:
        """Return the semaphore of this reader, taking one if it has none; NULL if none is to be had."""
        cdef int32_t *owners
        if not mapping.writable or self.h.n.sem == 0:
            return NULL
        owners = self._owners(mapping)
        if self.pid != own_pid or (
                self.slot >= 0 and atomic_load_i32(&owners[self.slot], __ATOMIC_RELAXED) != own_pid):
            # A child after fork leaves its parent's alone; a stolen one belongs to the thief.
            self.slot = -1
            self.next_claim = 0
        if self.slot < 0 and clock_ns(CLOCK_MONOTONIC) >= self.next_claim:
            self._claim(mapping)
            self.next_claim = clock_ns(CLOCK_MONOTONIC) + 1_000_000_000
            if self.slot >= 0:
                drain(semaphore(mapping.base, &self.h, self.slot))  # posts for who had it before
        return NULL if self.slot < 0 else semaphore(mapping.base, &self.h, self.slot)

    cdef int _claim(self, Mapping mapping) except -1:
        cdef int i
        self.pid = own_pid
        if 0 <= self.preferred < self.h.n.sem and self._take(mapping, self.preferred, True):
            return 0
        # Entries that say "free" come first. An entry of a process that cannot be seen may belong to
        # one in another PID namespace, so it is taken only if there is no other.
        for take_dead in (False, True):
            for i in range(self.h.n.sem):
                if self._take(mapping, i, take_dead):
                    return 0
        return 0

    cdef bint _take(self, Mapping mapping, int i, bint take_dead) except -1:
        """Take semaphore i if it is free, or its owner dead and that is allowed; never one that is overwritten."""
        cdef int32_t *owners = self._owners(mapping)
        cdef int32_t owner = atomic_load_i32(&owners[i], __ATOMIC_RELAXED)
        if not pymilk_sem_usable(semaphore(mapping.base, &self.h, i)):
            return False
        if owner > 0 and (not take_dead or process_alive(owner)):
            return False
        # Acquire: pairs with the release in _give_back. Of all that try, one succeeds.
        if atomic_swap_if_i32(&owners[i], &owner, own_pid, False, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED):
            self.slot = i
            return True
        return False

    cdef int _begin(self) except -1:
        """Keep a second thread out of this reader."""
        if self.running == own_pid:
            raise StreamBusyError(
                f"stream {self.name!r}: this reader is waiting in another thread; "
                "give each thread a reader of its own", stream=self.name)
        self.running = own_pid
        return 0

    cdef int _prepare(self, Job *job, Mapping mapping, int64_t timeout, object spin_ns) except -1:
        cdef Look seen
        if spin_ns < LEARNED:
            raise _bad_argument(
                self.name, "spin_ns", spin_ns, "nanoseconds, -1 to spin for ever, or -2 to learn")
        memset(job, 0, sizeof(Job))
        job.spin = min(spin_ns, INT64_MAX)
        if job.spin == LEARNED:
            job.spin = 0
            # With one core a reader that spins keeps the writer from it.
            if pymilk_may_spin():
                job.pace = &self.pace
        job.timeout = timeout
        job.check_signals = threading.current_thread() is threading.main_thread()
        job.base = mapping.base
        job.h = &self.h
        job.path = self.path
        job.device = self.device
        job.inode = self.file_inode
        job.closed = &mapping.closed
        job.shut = &self.shut
        job.stop = &self.stopped
        job.done = &self.done
        job.grace = WRITE_GRACE_NS
        look(<IMAGE_METADATA *>mapping.base, &seen)
        job.last_access = seen.lastaccess
        job.last_write = seen.writetime
        job.sem = self._bell(mapping)
        if job.sem != NULL:
            job.sem_owner = &self._owners(mapping)[self.slot]
        return 0

    cdef int _run(self, Job *job) except -1:
        """Run the loop to its end, looking at signals between its runs. The caller holds the mapping."""
        cdef int event = EV_CHECK
        try:
            while event == EV_CHECK:
                with nogil:
                    event = run_receive(job)
                if event == EV_CHECK:
                    PyErr_CheckSignals()
        finally:
            if job.slack > SLACK_NS:
                prctl(PR_SET_TIMERSLACK, job.slack, 0, 0, 0)
        if event == EV_CLOSED:
            raise _closed(self.name)
        if event == EV_DAMAGED:
            raise _damaged(self.name)
        if event == EV_REPLACED:
            raise StreamReplacedError(
                f"stream {self.name!r} was replaced by a new file; attach it again",
                stream=self.name, field="inode", expected=self.file_inode, found=None)
        if event == EV_TIMEOUT:
            self._raise_timeout(job)
        if event == EV_STOPPED:
            # A stop ends one receive, be it called before or during it.
            atomic_store_i32(<int32_t *>&self.stopped, 0, __ATOMIC_RELAXED)
        return event

    cdef int _raise_timeout(self, Job *job) except -1:
        cdef IMAGE_METADATA *md = <IMAGE_METADATA *>job.base
        seconds = job.timeout / 1e9
        counter = atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE)
        written = stamp_ns(&md.writetime)
        if file_state(job.path, job.device, job.inode, job.h.at.total) == FILE_GONE:
            why = "its file was deleted"
        elif written:
            age = (clock_ns(CLOCK_TAI) - written) / 1e9
            why = f"last written {age:.3g} s ago; is its writer running?"
        else:
            why = "its writer stores no times; is it running?"
        raise StreamTimeoutError(
            f"stream {self.name!r}: no frame after number {job.last} within {seconds:g} s; "
            f"its counter is {counter}, {why}",
            stream=self.name, timeout=seconds, counter=counter)

    def wait(self, timeout=None, *, after=None, spin_ns=0):
        """Wait for a new frame, without the GIL and without copying anything.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits for ever, 0 only looks.
        after : int, optional
            Wait until the counter differs from this one. Default: the counter at the call, so that
            the next frame to be published ends the wait.
        spin_ns : int, default 0
            Nanoseconds to watch the counter before sleeping on the semaphore; -1 never sleeps; -2 sleeps
            until the frame is due, as this reader has learned the rhythm of the stream, and spins then.

        Returns
        -------
        int
            The counter of the newest frame. After `stop` it may not have moved.

        Raises
        ------
        StreamTimeoutError
            No new frame in time.
        StreamReplacedError
            The stream has a new file (found within 50 ms).
        StreamClosedError
            Closed before or during the wait.
        """
        cdef Job job
        cdef uint64_t none = 0
        cdef int64_t limit = timeout_ns(timeout, self.name)
        cdef Mapping mapping = self._hold()
        cdef IMAGE_METADATA *md = <IMAGE_METADATA *>mapping.base
        cdef uint64_t last = (
            atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE) if after is None
            else <uint64_t>_index(self.name, "after", after, 2**64))
        self._begin()
        try:
            self._prepare(&job, mapping, limit, spin_ns)
            job.done = &none
            job.n = 1
            job.last = last
            # What was posted before belongs to frames that are not waited for.
            job.owed = 1
            job.silent = self.silent
            if job.sem != NULL and drain(job.sem) > 0:
                job.silent = False
            try:
                self._run(&job)
            finally:
                self.silent = job.silent
        finally:
            self.running = 0
        counter = atomic_load_u64(&md.cnt0, __ATOMIC_ACQUIRE)
        if damaged(mapping.base, &self.h, &mapping.closed):
            raise _damaged(self.name)
        return counter

    def arm(self):
        """Begin a new account: forget old posts and an old `stop`, and set `received` to 0.

        Returns
        -------
        int
            The counter now, to be given to `receive` as `after`.
        """
        cdef Mapping mapping = self._hold()
        cdef uint64_t counter
        self._begin()
        try:
            atomic_store_i32(<int32_t *>&self.stopped, 0, __ATOMIC_RELAXED)
            counter = self._start(mapping, self._bell(mapping))
        finally:
            self.running = 0
        return counter

    cdef uint64_t _start(self, Mapping mapping, sem_t *sem) noexcept:
        self.done = 0
        self.repeated = 0
        self.owed = 1  # the post of the newest frame may still be on its way
        self.ahead = 0
        # Old posts first, then the counter: a post that comes between is one of a frame that is not
        # waited for, and the account allows for one.
        if sem != NULL:
            drain(sem)
        if self.cursor.ring.kind:
            ring_anchor(&self.cursor.ring)
            cursor_begin(&self.cursor, self.cursor.ring.head + 1)
            return self.cursor.last
        return atomic_load_u64(&(<IMAGE_METADATA *>mapping.base).cnt0, __ATOMIC_ACQUIRE)

    def try_wait(self, after):
        """Tell whether a frame newer than number `after` is there: its counter, or None. Never waits."""
        cdef uint64_t number = _index(self.name, "after", after, 2**64)
        cdef Mapping mapping = self._hold()
        cdef uint64_t counter = atomic_load_u64(
            &(<IMAGE_METADATA *>mapping.base).cnt0, __ATOMIC_ACQUIRE)
        if damaged(mapping.base, &self.h, &mapping.closed):
            raise _damaged(self.name)
        return None if counter == number else counter

    def flush(self):
        """Take all posts off the semaphore of this reader. Returns how many there were."""
        cdef Mapping mapping = self._hold()
        cdef sem_t *sem
        self._begin()
        try:
            sem = self._bell(mapping)
            return 0 if sem == NULL else drain(sem)
        finally:
            self.running = 0

    def receive(self, out, info=None, *, timeout=5.0, after=None, first=0, spin_ns=0, missed=None):
        """Receive the next frames into memory of the caller: wait, copy, verify and account.

        One block without the GIL: no Python, no allocation. Each frame is delivered once, in order and
        whole; one that never came out whole is flagged. From a stream with a ring of 2 slots or more,
        frames are taken out of the ring, so that none is lost for as long as the ring lasts.

        Parameters
        ----------
        out : buffer, shape (n, *frame_shape), stream dtype, C-contiguous, writable
            Must not overlap the stream.
        info : ndarray of FRAME_ROW, shape (n,) or longer, optional
            One row a frame.
        timeout : float or None, default 5.0
            Longest wait for one frame, in seconds.
        after : int, optional
            Deliver frames newer than this number, going on with the account that `arm` began. Default:
            `arm` now, so that the first frame is the next one published.
        first : int, default 0
            Start at this row of `out` and `info`.
        spin_ns : int, default 0
            As for `wait`.
        missed : int, optional
            The stream replaced another one, of which so many frames were not received: they count as
            lost before the first frame delivered, which gets `FLAG_NEW_FILE`.

        Returns
        -------
        int
            Rows of `out` that are filled. Less than n only after `stop`, which lasts until `arm`.

        Raises
        ------
        StreamTimeoutError, StreamReplacedError, StreamClosedError
            As for `wait`. What was received until then is in `out`; `received` tells how many rows.
        FrameMismatchError
            `out` or `info` do not fit.

        Notes
        -----
        In the main thread the GIL is taken every 50 ms to look at signals. In other threads it is
        never taken.
        """
        cdef Job job
        cdef Py_buffer frames, rows
        cdef int64_t limit = timeout_ns(timeout, self.name)
        cdef Mapping mapping = self._hold()
        cdef uint64_t last = 0 if after is None else <uint64_t>_index(self.name, "after", after, 2**64)
        if self.h.n.location != -1:
            raise _on_gpu(self.name, self.h.n.location)
        _take_buffer(out, &frames, True, self.name, "out")
        try:
            count = _count_frames(out, &frames, &self.h, _frame_shape_of(&self.h), self.name, "out")
            row = _index(self.name, "first", first, count + 1)
            if info is not None:
                self._take_rows(info, count, &rows)
            try:
                self._begin()
                try:
                    self._prepare(&job, mapping, limit, spin_ns)
                    job.dst = <char *>frames.buf
                    job.rows = <Row *>rows.buf if info is not None else NULL
                    job.n = job.slots = count
                    job.streaming = streams(self.h.unit_nbytes, frames.len)
                    job.at = row
                    self.done = row
                    self._deliver(&job, mapping, after is not None, last, missed)
                finally:
                    self.running = 0
            finally:
                if info is not None:
                    PyBuffer_Release(&rows)
        finally:
            PyBuffer_Release(&frames)
        return job.at

    cdef int _deliver(self, Job *job, Mapping mapping, bint going_on, uint64_t after,
                      object missed) except -1:
        """Run a job that has its destination, with the account of the receives before it."""
        cdef int64_t began
        job.nbytes = self.h.unit_nbytes
        if missed is not None:
            job.new_file = True
            job.missed = _index(self.name, "missed", missed, 2**64)
        if not going_on:
            after = self._start(mapping, job.sem)
        elif self.cursor.ring.kind and (self.cursor.ring.edge == 0 or self.cursor.last != after):
            # Not where the last receive ended: find the frame behind that number.
            ring_anchor(&self.cursor.ring)
            cursor_seek(&self.cursor, after)
        if self.cursor.ring.kind and job.sink == NULL:
            job.cursor = &self.cursor
            job.pace = NULL  # a ring loses nothing while its reader wakes up
            self.cursor.new_file = job.new_file
            self.cursor.missed = job.missed
        job.last = after
        job.owed = self.owed
        job.ahead = self.ahead
        job.silent = self.silent
        self.last = after
        began = clock_ns(CLOCK_THREAD_CPUTIME_ID)
        try:
            self._run(job)
        finally:
            self.cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - began
            self.repeated += job.repeated
            self.torn += job.torn
            self.owed = job.owed
            self.ahead = job.ahead
            self.silent = job.silent
            self.last = self.cursor.last if job.cursor != NULL else job.last
        return 0

    def collect(self, PrivateRing ring not None, *, after=None, timeout=None, spin_ns=0, missed=None):
        """Receive frames into a ring of this process until `stop`, as `receive` does into a cube.

        Parameters
        ----------
        ring : PrivateRing
            Of the stream's frame shape and dtype. One collector at a time.
        after, timeout, spin_ns, missed
            As for `receive`.

        Returns
        -------
        int
            Frames in the ring so far, those of earlier calls included.

        Raises
        ------
        StreamTimeoutError, StreamReplacedError, StreamClosedError, FrameMismatchError
            As for `receive`.
        """
        cdef Job job
        cdef int64_t limit = timeout_ns(timeout, self.name)
        cdef Mapping mapping = self._hold()
        cdef uint64_t last = 0 if after is None else <uint64_t>_index(self.name, "after", after, 2**64)
        if self.h.n.location != -1:
            raise _on_gpu(self.name, self.h.n.location)
        if ring.slots.shape[1:] != _frame_shape_of(&self.h) or ring.slots.dtype != _DTYPES[self.h.datatype]:
            raise FrameMismatchError(
                f"stream {self.name!r}: the ring is for frames {ring.slots.shape[1:]} of {ring.slots.dtype}",
                stream=self.name, field="shape", expected=_frame_shape_of(&self.h),
                found=ring.slots.shape[1:])
        self._begin()
        try:
            self._prepare(&job, mapping, limit, spin_ns)
            job.dst = ring.start
            job.streaming = self.h.unit_nbytes >= STREAMING_NBYTES
            job.rows = ring.rows
            job.totals = ring.totals
            job.total = ring.total
            job.slots = ring.count
            job.bell = &ring.bell
            job.bell_fd = &ring.fd
            job.n = <uint64_t>-1
            job.at = ring.written
            job.done = &ring.written
            try:
                self._deliver(&job, mapping, after is not None, last, missed)
            finally:
                ring.total = job.total
        finally:
            self.running = 0
        return job.at

    def relay(self, Stream target not None, *, after=None, timeout=None, spin_ns=0, missed=None):
        """Publish the frames of this stream in another one until `stop`, without the GIL.

        Each keeps its acquisition time. The first frame of a target without frames gets the number that it
        has in this stream, if `after` is given. Frames that were lost or torn leave a gap in the numbers of the
        target, so that its readers count them as lost.

        Parameters
        ----------
        target : Stream
            Of the same frame shape and dtype; nobody else may write to it.
        after, timeout, spin_ns, missed
            As for `receive`.

        Returns
        -------
        int
            Frames published by all calls of this reader since `arm`.

        Raises
        ------
        StreamTimeoutError, StreamReplacedError, StreamClosedError, StreamReadOnlyError, StreamBusyError
        FrameMismatchError
            The frames of the two streams differ.
        StreamFormatError
            This stream is a temporal circular cube, or its pixels are on a GPU.
        """
        cdef Job job
        cdef int64_t limit = timeout_ns(timeout, self.name)
        cdef Mapping mapping = self._hold()
        cdef uint64_t last = 0 if after is None else <uint64_t>_index(self.name, "after", after, 2**64)
        cdef char *base = target._pixels(True)
        # Held, so that closing the target meanwhile cannot take its memory away.
        cdef Mapping held = target._hold()
        if self.h.n.location != -1:
            raise _on_gpu(self.name, self.h.n.location)
        if self.h.temporal:
            raise StreamFormatError(
                f"stream {self.name!r} is a ring already (temporal circular cube); read it directly",
                stream=self.name, field="imagetype", expected="a plain stream", found="temporal cube")
        for field, expected, found in (
            ("shape", _frame_shape_of(&self.h), target.frame_shape),
            ("dtype", _DTYPES[self.h.datatype], target.dtype),
        ):
            if expected != found:
                raise FrameMismatchError(
                    f"stream {target.name!r} has {field} {found}, but {self.name!r} has {expected}",
                    stream=target.name, field=field, expected=expected, found=found)
        self._begin()
        try:
            target._take_turn()
            try:
                self._prepare(&job, mapping, limit, spin_ns)
                job.sink = base
                job.sink_header = &target.h
                job.sink_closed = &held.closed
                job.n = <uint64_t>-1
                if after is None:
                    self.done = 0
                elif target.counter == 0:
                    job.jump = last
                job.at = self.done
                job.reached = &self.reached
                self._deliver(&job, mapping, after is not None, last, missed)
            except StreamDamagedError:
                target._check_whole(held)  # says whose file it is
                raise
            finally:
                target.busy = 0
        finally:
            self.running = 0
        return job.at

    cdef int _take_rows(self, object info, object count, Py_buffer *rows) except -1:
        if getattr(info, "dtype", None) != FRAME_ROW or info.ndim != 1 or info.shape[0] < count:
            raise FrameMismatchError(
                f"stream {self.name!r}: info needs {count} rows of FRAME_ROW, "
                f"not {getattr(info, 'shape', None)} of {getattr(info, 'dtype', type(info))}",
                stream=self.name, field="shape", expected=count, found=getattr(info, "shape", None))
        return _take_buffer(info, rows, True, self.name, "info")

    def stop(self):
        """End a `receive`, `collect`, `relay` or `wait` of another thread, within 50 ms.

        It returns what it has. A stop that comes before it ends it at once. `arm` forgets it.
        """
        raise_flag(&self.stopped, 1)

    def close(self):
        """Give the semaphore back. A wait in another thread ends with `StreamClosedError`."""
        cdef Mapping mapping = self.mapping
        raise_flag(&self.shut, 1)
        self.mapping = None
        if mapping is not None:
            self._give_back(mapping)


cdef inline int drain(sem_t *sem) noexcept nogil:
    """Take what posts there are; bounded, because another process may post all the time."""
    cdef int count = 0
    while count < 4 * SEMAPHORE_MAXVAL and sem_trywait(sem) == 0:
        count += 1
    return count


cdef object _closed(str name):
    return StreamClosedError(
        f"stream {name!r}: the handle is closed; attach the stream again", stream=name)


cdef object _damaged(str name):
    return StreamDamagedError(
        f"stream {name!r}: its file was cut, or its header rewritten, while it was attached: another program "
        "made a stream in the same file, or damaged it; attach it again once it is whole",
        stream=name, field="file", expected="as attached", found="cut or rewritten")


cdef object _on_gpu(str name, int location):
    return StreamFormatError(
        f"stream {name!r}: its pixels are on GPU {location}, not in the file; "
        "this build reaches metadata, keywords and semaphores only",
        stream=name, field="location", expected=-1, found=location)


cdef tuple _shape_of(const Header *h):
    return tuple([h.size[i] for i in range(h.naxis)][::-1])


cdef tuple _frame_shape_of(const Header *h):
    return _shape_of(h)[1:] if h.temporal else _shape_of(h)


cdef int _take_buffer(object array, Py_buffer *view, bint writable, str name, str what) except -1:
    """Take the memory of an array, or say why it will not do."""
    if not PyObject_CheckBuffer(array):
        raise FrameMismatchError(
            f"stream {name!r}: {what} has to be an array, not {type(array).__name__}",
            stream=name, field="dtype", expected="array", found=type(array).__name__)
    try:
        PyObject_GetBuffer(
            array, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (PyBUF_WRITABLE if writable else 0))
    except (BufferError, ValueError):
        readonly = writable and memoryview(array).readonly
        raise FrameMismatchError(
            f"stream {name!r}: {what} has to be C-contiguous"
            f"{' and writable' if writable else ''}; it is "
            f"{'read-only' if readonly else 'not contiguous'}",
            stream=name, field="writeable" if readonly else "order", expected="C-contiguous",
            found="read-only" if readonly else "not contiguous") from None
    if view.format != NULL and strchr(view.format, c"O") != NULL:
        PyBuffer_Release(view)
        raise FrameMismatchError(
            f"stream {name!r}: {what} holds Python objects, which pixels must not overwrite",
            stream=name, field="dtype", expected="numbers", found="object")
    return 0


cdef object _count_frames(object out, Py_buffer *view, const Header *h, tuple shape, str name, str what):
    """Tell how many frames an array holds; it must be (n, *shape), shape that of a frame."""
    dtype = _DTYPES[h.datatype]
    if isinstance(out, np.ndarray):
        if out.dtype != dtype:
            raise FrameMismatchError(
                f"stream {name!r}: {what} is {out.dtype}, the stream is {dtype}",
                stream=name, field="dtype", expected=dtype, found=out.dtype)
        if out.shape[1:] != shape:
            raise FrameMismatchError(
                f"stream {name!r}: {what} has shape {out.shape}, needed is (n, {str(shape)[1:-1]})",
                stream=name, field="shape", expected=shape, found=out.shape)
    elif view.len % <Py_ssize_t>h.unit_nbytes:
        raise FrameMismatchError(
            f"stream {name!r}: {what} has {view.len} bytes, not a multiple of {h.unit_nbytes}",
            stream=name, field="nbytes", expected=h.unit_nbytes, found=view.len)
    return view.len // <Py_ssize_t>h.unit_nbytes


# --------------------------------------------------------------------------------------------------
# Rings
# --------------------------------------------------------------------------------------------------

@cython.final
@cython.auto_pickle(False)
cdef class PrivateRing:
    """A ring in memory of this process, filled by `Reader.collect`.

    Parameters
    ----------
    depth : int
        Frames that can be had at any time, 1 or more. One slot more is made: that being filled.
    shape : tuple of int
        Of a frame.
    dtype : dtype

    Attributes
    ----------
    slots : ndarray, shape (depth + 1, *shape)
        Page-aligned and pre-faulted; read-only.
    fd : int
        An eventfd to be written to for each frame, or -1. It must stay open while the ring is filled.

    Raises
    ------
    StreamArgumentError
        The depth, the shape or the dtype cannot be.
    CaptureMemoryError
        The frames need more memory than is free.
    """

    cdef readonly object slots
    cdef Mapping _frames
    cdef Mapping _rows
    cdef Mapping _totals
    cdef char *start
    cdef Row *rows
    cdef Total *totals
    cdef Total total
    cdef uint64_t count
    cdef uint64_t nbytes
    cdef uint64_t written
    cdef sem_t bell
    cdef public int fd
    cdef int over

    def __cinit__(self, depth, shape, dtype):
        sem_init(&self.bell, 0, 0)
        self.fd = -1
        if not (hasattr(depth, "__index__") and 1 <= depth < 2**62):
            raise StreamArgumentError(
                f"depth is a number of frames, 1 or more, not {depth!r}", argument="depth", found=depth)
        kind = np.dtype(dtype)
        nbytes = max(math.prod(shape) * kind.itemsize, 1)
        count = depth.__index__() + 1
        what = f"a ring of {depth} frames {tuple(shape)} of {kind}"
        advice = "take a smaller depth"
        self._frames = anonymous(count * nbytes, what, advice)
        self._rows = anonymous(count * sizeof(Row), what, advice)
        self._totals = anonymous(count * sizeof(Total), what, advice)
        self.count = count
        self.nbytes = nbytes
        self.start = self._frames.base
        self.rows = <Row *>self._rows.base
        self.totals = <Total *>self._totals.base
        # Not even numpy can make views of a read-only region writable.
        self.slots = _ndarray(
            (count, *shape), kind, self._frames.region(0, count * nbytes, False))

    @property
    def written(self):
        """Frames that were put into the ring so far."""
        return atomic_load_u64(&self.written, __ATOMIC_ACQUIRE)

    def cursor(self, name=""):
        """Make a `RingCursor` of this ring."""
        cdef RingCursor cursor = RingCursor.__new__(RingCursor)
        cdef Ring *r = &cursor.c.ring
        r.kind = RING_PRIVATE
        r.depth = self.count
        r.nbytes = self.nbytes
        r.slots = self.start
        r.written = &self.written
        r.rows = self.rows
        r.totals = self.totals
        cursor._dress(self, self.slots, name, "collector")
        return cursor

    def wait(self, seen, timeout=None):
        """Wait, without the GIL, until more than `seen` frames were written.

        Returns
        -------
        bool
            False if they did not come in time, or the ring was ended.
        """
        cdef uint64_t number = seen
        cdef int64_t limit = timeout_ns(timeout, "")
        cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
        cdef int64_t deadline = later(now, limit)
        while True:
            # Pairs with the fence in hand_over: behind the last post that was taken.
            pymilk_fence_behind_take()
            if atomic_load_u64(&self.written, __ATOMIC_RELAXED) > number:
                return True
            if self.over or now >= deadline:
                return False
            with nogil:
                pymilk_sem_wait_until(&self.bell, min(deadline, later(now, SLICE_NS)))
                now = clock_ns(CLOCK_MONOTONIC)
            PyErr_CheckSignals()

    def nudge(self):
        """End a wait early; it looks again."""
        sem_post(&self.bell)

    def end(self):
        """Say that no frame comes any more: waits return, and the eventfd is readable."""
        cdef uint64_t one = 1
        raise_flag(&self.over, 1)  # behind `written`, by the post
        sem_post(&self.bell)
        if self.fd >= 0:
            c_write(self.fd, &one, 8)


cdef uint64_t _nothing_written = 0


@cython.final
@cython.auto_pickle(False)
cdef class RingCursor:
    """Where one reader is in a ring: takes frames in order, in place or as copies, and keeps account.

    Made by `Stream.ring_cursor` and `PrivateRing.cursor`. Never waits. It numbers the frames of the
    ring itself (`seq`); their own numbers are in the rows. `_ring.pxd` states the protocol. Not for use
    by two threads at once, except for `overwritten`.

    Attributes
    ----------
    name : str
        Of the stream.
    source : {"temporal", "fast", "collector"}
    slots : ndarray, shape (depth, *shape)
        The ring as a read-only view.
    """

    cdef Cursor c
    cdef object keeper
    cdef Mapping mapping    # of the stream; None: the ring is memory of this process
    cdef Header h
    cdef readonly object slots
    cdef readonly str name
    cdef readonly str source

    def __cinit__(self):
        # An object that was made by no one reads an empty ring.
        self.c.ring.kind = RING_PRIVATE
        self.c.ring.depth = self.c.ring.nbytes = 1
        self.c.ring.written = &_nothing_written

    def __init__(self):
        raise TypeError("a RingCursor is made by Stream.ring_cursor or PrivateRing.cursor")

    cdef int _dress(self, object keeper, object slots, str name, str source) except -1:
        self.keeper = keeper
        self.slots = slots
        self.name = name
        self.source = source
        ring_anchor(&self.c.ring)
        cursor_begin(&self.c, self.c.ring.head + 1)
        return 0

    cdef bint _gone(self) noexcept:
        """Tell whether the memory holds frames no more: its file was cut, or its header rewritten."""
        return self.mapping is not None and damaged(self.mapping.base, &self.h, &self.mapping.closed)

    def begin(self, start):
        """Go to "next" (the next frame to come), "newest" or "oldest" of what is there, and count anew."""
        ring_look(&self.c.ring)
        head = self.c.ring.head
        oldest = ring_oldest(&self.c.ring)
        seq = {"next": head + 1, "newest": max(oldest, head), "oldest": oldest}[start]
        cursor_begin(&self.c, min(seq, head + 1))
        self.c.received = self.c.lost = self.c.skipped = 0

    def after_file(self, missed):
        """Say that the ring belongs to a new file of the stream, all of whose frames are wanted.

        `missed` frames of the old one were not received: they are lost before the first of this one.
        """
        if self.c.ring.kind == RING_PRIVATE:
            raise StreamUnsupportedError(
                f"stream {self.name!r}: a private ring goes on from file to file by itself", stream=self.name)
        cursor_seek(&self.c, 0)
        self.c.new_file = True
        self.c.missed = missed

    @property
    def capacity(self):
        """Frames that can be had at most: all slots but the one that may be changing."""
        return self.c.ring.depth - 1

    @property
    def received(self):
        """Frames taken or copied, each counted once."""
        return self.c.received

    @property
    def lost(self):
        """Frames published since the begin that could not be had."""
        return self.c.lost

    @property
    def skipped(self):
        """Frames left out on request."""
        return self.c.skipped

    @property
    def last(self):
        """Number of the frame before the next one (of shared rings)."""
        return self.c.last

    @property
    def counter(self):
        """Counter of the stream at the last look; of a private ring, the frames written."""
        return self.c.ring.head if self.c.ring.kind == RING_PRIVATE else self.c.ring.counter

    @property
    def missing(self):
        """Frames that the stream published behind the last one taken, as its counter tells; 0 if it is damaged."""
        cdef uint64_t counter
        if self.c.ring.kind == RING_PRIVATE:
            return self.c.ring.head - self.c.seen
        if self._gone():
            return 0
        counter = atomic_load_u64(&self.c.ring.md.cnt0, __ATOMIC_ACQUIRE)
        return counter - self.c.last if counter > self.c.last else 0

    def unread(self):
        """Look at the writer; returns how many frames are there to be taken. None of a damaged stream."""
        cdef uint64_t oldest
        ring_look(&self.c.ring)
        if self._gone():
            return 0
        oldest = max(self.c.next, ring_oldest(&self.c.ring))
        return self.c.ring.head + 1 - oldest if self.c.ring.head >= oldest else 0

    def idle(self):
        """Look at the writer; returns the counter to wait behind, or None if there are unread frames.

        In one step: a counter of another look would let a frame pass that came between.
        """
        ring_look(&self.c.ring)
        return None if cursor_unread(&self.c) and not self._gone() else self.counter

    def take(self, limit, *, consume=True, newest=False, strict=False):
        """Take the next run of frames that lie side by side, in place.

        Parameters
        ----------
        limit : int
            Frames wanted at most, 1 or more.
        consume : bool, default True
            False leaves the cursor where it is.
        newest : bool, default False
            Skip all but the newest one.
        strict : bool, default False
            Raise in front of a frame that follows lost ones; the next call goes on with it.

        Returns
        -------
        (int, int, ndarray of FRAME_ROW) or None
            seq, slot and rows of the first frame and those that follow it; None if there is none, or none any
            more because the stream was damaged.

        Raises
        ------
        FrameLostError
            Only if strict.
        """
        cdef Cursor *c = &self.c
        cdef Ring *r = &c.ring
        cdef uint64_t count, losing, seq, slot, wanted = limit
        cdef Py_buffer view
        cdef Row *rows
        cdef int64_t arrival
        cdef int tries = 0
        while True:
            ring_look(r)
            if newest and cursor_unread(c) > 1:
                cursor_skip_to(c, r.head)
            c.next = max(c.next, ring_oldest(r))
            if tries > SPOILED_TRIES and cursor_unread(c) > 1:
                c.next = r.head  # rows take longer to fill than the ring lasts
            count = min(cursor_unread(c), wanted)
            if count == 0:
                return None
            seq = c.next
            slot = ring_slot(r, seq)
            count = min(count, r.depth - slot)
            info = _empty(count, FRAME_ROW)
            PyObject_GetBuffer(info, &view, PyBUF_C_CONTIGUOUS)
            rows = <Row *>view.buf
            arrival = clock_ns(CLOCK_TAI)
            losing = cursor_rows(c, count, rows, 0, arrival)
            if strict and losing > 1:
                count = losing - 1
                cursor_rows(c, count, rows, 0, arrival)
            tries += 1
            if ring_whole(r, seq) or tries > 4 * SPOILED_TRIES:
                break  # the rows are those of these frames
            PyBuffer_Release(&view)
        try:
            if self._gone():
                return None
            if strict and losing == 1:
                c.excused = seq
                raise self._lost(rows)
            if strict and losing:
                info = info[:count]
            if consume:
                cursor_pass(c, count, rows)
        finally:
            PyBuffer_Release(&view)
        return seq, slot, info

    def copy(self, out, info, first, *, strict=False):
        """Copy unread frames into memory of the caller, each verified to be whole.

        Parameters
        ----------
        out : ndarray, shape (n, *shape), dtype of the ring, C-contiguous, writable
        info : ndarray of FRAME_ROW, shape (n,)
        first : int
            Row to begin at.
        strict : bool, default False
            As for `take`; frames in front of the lost ones are delivered first.

        Returns
        -------
        int
            Rows that are filled now: `first`, and as many as there were and found room.

        Notes
        -----
        512 KiB and more are copied without the GIL.
        """
        cdef Cursor c = self.c
        cdef Py_buffer frames, rows
        cdef uint64_t room, at = first, got
        cdef bint losing = False, hold = strict
        cdef bint streaming
        _take_buffer(out, &frames, True, self.name, "out")
        try:
            _take_buffer(info, &rows, True, self.name, "info")
            try:
                room = min(frames.len // c.ring.nbytes, rows.len // sizeof(Row))
                room = room - at if room > at else 0
                streaming = streams(c.ring.nbytes, frames.len)
                ring_look(&c.ring)
                if min(room, cursor_unread(&c)) * c.ring.nbytes < GIL_RELEASE_NBYTES:
                    got = cursor_copy(&c, <char *>frames.buf + at * c.ring.nbytes, <Row *>rows.buf + at,
                                      room, streaming, hold, &losing)
                else:
                    with nogil:
                        got = cursor_copy(&c, <char *>frames.buf + at * c.ring.nbytes,
                                          <Row *>rows.buf + at, room, streaming, hold, &losing)
                if self._gone():
                    return at
                self.c = c
                if losing and got == 0:
                    raise self._lost(<Row *>rows.buf + at)
                if losing:
                    self.c.excused = 0  # raised by the next call
            finally:
                PyBuffer_Release(&rows)
        finally:
            PyBuffer_Release(&frames)
        return at + got

    cdef object _lost(self, const Row *row):
        number, lost = row.cnt0, row.lost
        newest = self.c.ring.counter
        if self.c.ring.kind == RING_PRIVATE:
            newest = self.c.ring.rows[ring_slot(&self.c.ring, self.c.ring.head)].cnt0
        return FrameLostError(
            f"stream {self.name!r}: frame {number - lost} was lost before it was read (the ring keeps "
            f"{self.c.ring.depth - 1} frames, oldest kept {number}, newest {newest}, {lost} lost); "
            "read faster, or take a deeper ring",
            stream=self.name, seq=number - lost, oldest=number, newest=newest, lost=lost)

    def skip(self, count):
        """Leave out unread frames; returns how many there were to leave out."""
        cdef uint64_t seq, wanted = min(count, 2**62)
        ring_look(&self.c.ring)
        self.c.next = max(self.c.next, ring_oldest(&self.c.ring))
        seq = min(self.c.next + wanted, self.c.ring.head + 1)
        done = seq - self.c.next if seq > self.c.next else 0
        cursor_skip_to(&self.c, seq)
        return done

    def rewind(self, count):
        """Go back to frames that are still whole; returns by how many. They are not counted again."""
        cdef uint64_t oldest, wanted = min(count, 2**62)
        ring_look(&self.c.ring)
        oldest = ring_oldest(&self.c.ring)
        if oldest >= self.c.next:
            return 0
        done = min(self.c.next - oldest, wanted)
        cursor_go(&self.c, self.c.next - done)
        return done

    def overwritten(self, seq, count):
        """Tell how many of these frames, from the first on, may have been overwritten by now."""
        cdef Ring now = self.c.ring
        cdef uint64_t first = seq, oldest
        # Everything that was read before is read. Pairs with the fence of the writer (_ring.pxd).
        atomic_fence(__ATOMIC_ACQUIRE)
        ring_look(&now)
        oldest = ring_oldest(&now)
        if self._gone():
            return count
        return min(oldest - first, <uint64_t>count) if oldest > first else 0

    def fork(self):
        """Make a second cursor at the same place, with an account of its own."""
        cdef RingCursor other = RingCursor.__new__(RingCursor)
        other.c.ring = self.c.ring
        other.keeper = self.keeper
        other.mapping = self.mapping
        other.h = self.h
        other.slots = self.slots
        other.name = self.name
        other.source = self.source
        cursor_begin(&other.c, self.c.next)
        return other


# --------------------------------------------------------------------------------------------------
# Waiting for any of several
# --------------------------------------------------------------------------------------------------

# What one thread of `wait_for_any` watches: a stream (job), or a private ring (written).
cdef struct Watch:
    Job job
    uint64_t *written
    uint64_t seen
    sem_t *bell
    const int *over
    const int *stop
    sem_t *common           # posted at the end
    int event


cdef void *watch(void *argument) noexcept nogil:
    cdef Watch *w = <Watch *>argument
    cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
    cdef int64_t deadline
    w.event = EV_CHECK
    if w.written == NULL:
        while w.event == EV_CHECK:
            w.event = wait_for_frame(&w.job)
    else:
        deadline = later(now, w.job.timeout)
        pymilk_fence_behind_take()  # as in PrivateRing.wait
        while atomic_load_u64(w.written, __ATOMIC_RELAXED) <= w.seen and not atomic_load_int(w.over):
            if atomic_load_int(w.stop) or now >= deadline:
                w.event = EV_STOPPED
                break
            pymilk_sem_wait_until(w.bell, min(deadline, later(now, SLICE_NS)))
            pymilk_fence_behind_take()
            now = clock_ns(CLOCK_MONOTONIC)
    sem_post(w.common)
    return NULL


cdef bint is_ready(const Watch *w) noexcept nogil:
    if w.written == NULL:
        return has_moved(&w.job)
    return atomic_load_u64(w.written, __ATOMIC_RELAXED) > w.seen or atomic_load_int(w.over)


def wait_for_any(sources, timeout=None):
    """Wait until one of several readers or private ring has something new.

    Parameters
    ----------
    sources : list of (Reader, int) or (PrivateRing, int)
        With the counter of the last frame known, or the number of frames written. Each reader only once.
    timeout : float or None, default None
        Seconds; None waits for ever, 0 only looks.

    Returns
    -------
    list of int
        Indices of those that have something new or were replaced; empty after the timeout.

    Raises
    ------
    StreamClosedError
        One of them was closed.

    Notes
    -----
    Each source is waited for by a thread of the operating system that lives for this call and never
    needs the GIL, on the semaphore of its reader; about 20 us a source where nothing is ready yet.
    """
    cdef size_t count = len(sources), i, started = 0
    cdef int64_t limit = timeout_ns(timeout, "")
    cdef int64_t deadline = later(clock_ns(CLOCK_MONOTONIC), limit)
    cdef int64_t now
    cdef bint found = False
    cdef Reader reader
    cdef PrivateRing ring
    cdef Mapping mapping
    cdef pthread_t *threads
    cdef Watch *watches
    cdef Watch *w
    cdef sem_t *common
    cdef int *stop
    held = []
    begun = []
    # Nothing of it is on this stack: at the exit of the interpreter a daemon thread ends within this call, and
    # those that it started go on for a moment.
    memory = bytearray(sizeof(sem_t) + sizeof(int64_t) + (sizeof(Watch) + sizeof(pthread_t)) * count)
    common = <sem_t *><char *>memory
    stop = <int *>(common + 1)
    watches = <Watch *>(<char *>stop + sizeof(int64_t))
    threads = <pthread_t *>(watches + count)
    sem_init(common, 0, 0)
    try:
        for i in range(count):
            source, number = sources[i]
            w = &watches[i]
            w.stop = stop
            w.common = common
            w.job.timeout = limit
            if isinstance(source, PrivateRing):
                ring = source
                w.written = &ring.written
                w.seen = number
                w.bell = &ring.bell
                w.over = &ring.over
                continue
            reader = source
            mapping = reader._hold()
            held.append(mapping)
            reader._begin()
            begun.append(reader)
            reader._prepare(&w.job, mapping, limit, 0)
            w.job.check_signals = False
            w.job.stop = stop
            w.job.last = number
            w.job.owed = 1
            w.job.silent = reader.silent
            if w.job.sem != NULL and drain(w.job.sem) > 0:
                w.job.silent = False
        # A frame is rarely far away: look a little before threads are started.
        with nogil:
            now = clock_ns(CLOCK_MONOTONIC)
            while not found:
                for i in range(count):
                    found = found or is_ready(&watches[i])
                pymilk_pause()
                if clock_ns(CLOCK_MONOTONIC) > min(now + EARLY_POST_SPIN_NS, deadline):
                    break
        if not found and limit != 0:
            try:
                for i in range(count):
                    if pthread_create(&threads[i], NULL, watch, &watches[i]) != 0:
                        raise StreamError("no thread can be started to wait for several streams")
                    started += 1
                while not found and now < deadline:
                    with nogil:
                        found = pymilk_sem_wait_until(common, min(deadline, later(now, SLICE_NS))) == 0
                        now = clock_ns(CLOCK_MONOTONIC)
                    PyErr_CheckSignals()
            finally:
                with nogil:
                    raise_flag(stop, 1)
                    for i in range(started):
                        # Ours to post: nobody else waits for it.
                        if watches[i].written != NULL:
                            sem_post(watches[i].bell)
                        elif watches[i].job.sem != NULL:
                            sem_post(watches[i].job.sem)
                    for i in range(started):
                        pthread_join(threads[i], NULL)
        for i in range(started):
            if watches[i].event == EV_CLOSED:
                raise _closed((<Reader>sources[i][0]).name)
        return [index for index in range(count)
                if is_ready(&watches[index])
                or (started and watches[index].event in (EV_REPLACED, EV_DAMAGED))]
    finally:
        for source in begun:
            reader = source
            reader.running = False


# --------------------------------------------------------------------------------------------------
# Streams
# --------------------------------------------------------------------------------------------------

@cython.final
@cython.auto_pickle(False)
cdef class Stream:
    """One attached stream file: frames, counters, keywords, semaphores, ring slots.

    Made by `Stream.create` or `Stream.attach`; a context manager that closes. Shapes are in C order,
    slowest axis first: ``shape == size[::-1]``, where ``size`` is the order of the file.

    Views keep the memory alive: they stay valid after `close`, and after the stream was deleted.

    Attributes
    ----------
    name, path : str
        Of the file.
    shape : tuple of int
        Of the pixels in the file.
    frame_shape : tuple of int
        Of one frame: `shape`, or that of a slice where the stream is a temporal circular cube.
    dtype : numpy.dtype
    nbytes : int
        Bytes of the pixels in the file.
    writable : bool
        False if attached read-only. Then waiting watches the counter, since semaphores cannot be
        touched.
    note : str
        Why it is read-only, or empty.
    frame_counter : int
        Counter of the frame that `copy_frame` or `read` copied last.
    frame_flags : int
        Its flags: `FLAG_VERIFIED`, or `FLAG_TORN` if the writer left no time or died in the frame.
    """

    cdef Mapping mapping
    cdef Header h
    cdef readonly str name
    cdef readonly str path
    cdef bytes path_bytes
    cdef readonly tuple shape
    cdef readonly tuple frame_shape
    cdef readonly object dtype
    cdef readonly str note
    cdef dev_t device
    cdef ino_t file_inode
    cdef pid_t busy         # the process that is in a frame; 0: none
    cdef pid_t admitted     # the process that was seen to be allowed to write; 0: none yet
    cdef bint alone         # nobody else may write: the lock is needed
    cdef object lock        # WriterLock, or None
    cdef int64_t next_look
    cdef bint was_replaced
    cdef readonly uint64_t frame_counter
    cdef readonly uint64_t frame_flags
    cdef int64_t grace      # for a writer that is in a frame; STUCK_GRACE_NS after one that died
    cdef uint64_t stuck_at  # counter of the frame that it died in
    cdef Reader own_reader
    cdef object __weakref__

    def __init__(self):
        raise TypeError("use Stream.create or Stream.attach")

    # -- making --------------------------------------------------------------------------------

    @staticmethod
    def attach(name_or_path, *, writable=True, exclusive=False, prefault=True):
        """Attach an existing stream.

        Parameters
        ----------
        name_or_path : str or PathLike
            A name in the stream directory, or the path of a ``.im.shm`` file.
        writable : bool, default True
            False maps the file read-only. If True and the file permits reading only, it is attached
            read-only; `note` and ``repr`` say so.
        exclusive : bool, default False
            Have the stream for writing to this handle alone, until it is closed or the process ends: frames,
            exclusive attaches and replacements by other handles of pymilk, in this process or another one, are
            refused. Programs that do not know of it are not kept out, and neither is a handle that has
            published before.
        prefault : bool, default True
            Have all pages of a file up to 256 MiB mapped now, which takes up to 20 ms for 200 MB. False leaves
            each page to its first use: for a look at the metadata.

        Returns
        -------
        Stream

        Raises
        ------
        StreamNotFoundError
            No such file.
        StreamPermissionError
            It cannot even be read.
        StreamFormatError
            It is not a stream, is not ready, or its header contradicts itself or the file size.
        StreamNameError
            Not a name or path of a stream.
        StreamLockedError
            With `exclusive`: another handle has it to itself.
        StreamReadOnlyError, StreamUnsupportedError
            With `exclusive`: it cannot be written, or its file system knows no locks.

        Notes
        -----
        Everything is checked on one snapshot of the header before a pixel is mapped. A file whose
        version is still empty is given 0.1 s to become ready.
        """
        return _attach(
            os.path.abspath(stream_path(name_or_path)), writable, READY_WAIT_MS, prefault, exclusive)

    @staticmethod
    def create(name_or_path, shape, dtype, *, nbkw=50, nbsem=10, imagetype=_MATH_DATA, cb_size=0,
               mode=None, exist_ok=True, location=-1, version="2.00", layout=None, exclusive=False):
        """Create a stream, replacing one of the same name.

        Nobody ever sees it half made: the file is filled under a temporary name, with its memory
        reserved, and renamed into place. Readers of a replaced stream keep their memory and are told.

        Parameters
        ----------
        name_or_path : str or PathLike
        shape : tuple of int
            0 to 3 axes in C order, slowest first. No axes is stored as one element.
        dtype : dtype
            uint8 to uint64, int8 to int64, float16, float32, float64, complex64, complex128, or bool,
            which is stored as uint8. Stored little endian.
        nbkw : int, default 50
            Room for keywords, 0 to 65535.
        nbsem : int, default 10
            Semaphores, 0 to 65535: one for each reader that sleeps.
        imagetype : int, default MATH_DATA
            Bits of `IMAGETYPES`.
        cb_size : int, default 0
            Slots of the fast circular buffer.
        mode : int, optional
            Permissions of the file, 0 to 0o777, whatever the umask: 0o600 keeps other users out, 0o644 lets
            them read. Default 0o666 less the umask, which is never touched.
        exist_ok : bool, default True
            False raises `StreamExistsError` instead of replacing.
        location : int, default -1
            A GPU number makes a stream without pixels in the file; whoever owns the device memory
            stores its handle in `cuda_handle`.
        version : str, default "2.00"
            Structure version to store: "2." and more.
        layout : {"default", "dao", "writehistory", "dao+writehistory"}, optional
            Build options of the programs that are to read it. Default: those of the header that
            pymilk was compiled with.
        exclusive : bool, default False
            As for `attach`.

        Returns
        -------
        Stream
            Attached, all zero, counter 0: what ImageStreamIO's own create leaves.

        Raises
        ------
        StreamArgumentError, StreamNameError
            An argument is out of range; nothing was created.
        StreamNotFoundError, StreamPermissionError
            The directory does not exist or is not writable.
        StreamStorageError
            The file system is full.
        StreamExistsError
            It exists, and `exist_ok` is false.
        StreamLockedError
            It exists, and another handle has it to itself for writing.
        StreamUnsupportedError
            With `exclusive`: the file system knows no locks.

        Notes
        -----
        A process that is killed here leaves a temporary file at most, never half a stream. The next `create` in
        the same directory removes it.
        """
        cdef Header h
        path = os.path.abspath(stream_path(name_or_path))
        name = stream_name(path)
        if len(os.fsencode(path)) >= 200:
            raise StreamNameError(
                f"{path}: ImageStreamIO opens paths of less than 200 bytes only", stream=name, name=name)
        _plan(&h, name, shape, dtype, nbkw, nbsem, imagetype, cb_size, location, layout)
        if mode is not None:
            mode = _index(name, "mode", mode, 0o1000)
        if not (isinstance(version, str) and version.startswith("2.") and version.isascii()
                and version.isprintable() and len(version) < 32):
            raise StreamArgumentError(
                f"stream {name!r}: version is '2.' and at most 29 more letters, not {version!r}",
                stream=name, argument="version", found=version)
        return _create(&h, path, name, version.encode(), mode, exist_ok, exclusive)

    @staticmethod
    def local(name, shape, dtype, *, nbkw=50, nbsem=10, imagetype=_MATH_DATA, cb_size=0):
        """Make a stream of this process alone: no file, invisible to others, otherwise the same.

        Parameters
        ----------
        name : str
            What it is called in messages; any number of local streams may share one.
        shape, dtype, nbkw, nbsem, imagetype, cb_size
            As for `create`.

        Returns
        -------
        Stream
            With `shared` 0 and an empty `path`. Its memory is freed with the last view of it;
            `destroy` closes it. A child after fork has a copy of its own.

        Raises
        ------
        StreamArgumentError, StreamNameError
        CaptureMemoryError
            The memory cannot be had.
        """
        cdef Header h
        cdef Stream stream = Stream.__new__(Stream)
        _plan(&h, check_name(name), shape, dtype, nbkw, nbsem, imagetype, cb_size, -1, None)
        stream.mapping = anonymous(h.at.total, f"stream {name!r}", "make it smaller")
        _fill_new(stream.mapping.base, &h, os.fsencode(name), b"2.00", False)
        _dress(stream, &h, "", "local to this process")
        stream.name = name
        return stream

    # -- life ----------------------------------------------------------------------------------

    cdef char *_base(self) except NULL:
        if self.mapping is None or self.mapping.closed:
            raise self._unusable()
        return self.mapping.base

    cdef object _unusable(self):
        return _closed(self.name) if self.mapping is None else _damaged(self.name)

    cdef int _check_whole(self, Mapping mapping) except -1:
        """Raise if the file was cut or its header rewritten, before the memory is used or afterwards."""
        if damaged(mapping.base, &self.h, &mapping.closed):
            raise _damaged(self.name)
        return 0

    cdef object _whole(self, object value):
        """Return what was read, unless the file was cut or its header rewritten by then: it may be zeros."""
        self._check_whole(self._hold())
        return value

    def check_whole(self):
        """Raise if the file was cut, or its header rewritten, since the stream was attached.

        To be called when something was copied from a view or a section: it may be zeros if the file was cut
        before. The file system is asked (about 1 us).

        Raises
        ------
        StreamDamagedError, StreamClosedError
        """
        cdef Mapping mapping = self._hold()
        if self._file_state() == FILE_CUT:
            raise_flag(&mapping.closed, PYMILK_LOST)
        self._check_whole(mapping)

    cdef IMAGE_METADATA *_md(self) except NULL:
        return <IMAGE_METADATA *>self._base()

    cdef char *_writable_base(self) except NULL:
        cdef char *base = self._base()
        if not self.mapping.writable:
            raise StreamReadOnlyError(
                f"stream {self.name!r} is attached read-only ({self.note}); "
                "attach it writable, or ask its owner for permission", stream=self.name)
        self._check_whole(self.mapping)  # what is written elsewhere must not land in somebody else's pixels
        return base

    cdef char *_pixels(self, bint to_write) except NULL:
        """Return the base for work on pixels."""
        cdef char *base = self._writable_base() if to_write else self._base()
        if self.h.n.location != -1:
            raise _on_gpu(self.name, self.h.n.location)
        return base

    cdef int _take_turn(self) except -1:
        """Begin to write; the caller sets busy to 0 when it is done. A thread of our parent is not in our way."""
        if self.busy == own_pid:
            raise StreamBusyError(
                f"stream {self.name!r}: a frame is being written through this handle already; "
                "leave its claim first", stream=self.name)
        self.busy = own_pid
        if self.admitted != own_pid:
            self._admit()
        return 0

    cdef int _admit(self) except -1:
        """Before the first frame of this process: take the lock, or see that nobody else has it."""
        try:
            if self.alone:
                self.lock = lock_stream(self.path, self.device, self.file_inode, self.name)
            elif self.path:  # a local one is nobody else's
                check_stream(self.path, self.device, self.file_inode, self.name)
        except BaseException:
            self.busy = 0
            raise
        self.admitted = own_pid
        return 0

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.mapping is None

    @property
    def writable(self):
        return self.mapping is not None and bool(self.mapping.writable)

    @property
    def exclusive(self):
        """Whether this handle has the stream to itself for writing. False in a child after fork."""
        return self.mapping is not None and self.lock is not None and self.lock.held

    def close(self):
        """Let go of the stream. Waits of other threads end with `StreamClosedError`; views stay."""
        if self.mapping is not None:
            raise_flag(&self.mapping.closed, PYMILK_CLOSED)
            if self.own_reader is not None:
                self.own_reader.close()
                self.own_reader = None
            self.mapping = None
            if self.lock is not None:
                self.lock.release()

    def __enter__(self):
        self._base()
        return self

    def __exit__(self, *exc):
        self.close()

    def destroy(self):
        """Delete the stream: remove its file, tell its readers, close.

        Raises
        ------
        StreamReplacedError
            The path leads to a stream that another process made meanwhile. It is left alone, and this
            handle stays open.
        StreamNotFoundError
            The file is gone already.
        """
        cdef Mapping mapping = self._held()
        cdef int fd
        if not self.path:  # a local one has no file
            self.close()
            return
        state = self._file_state()
        if state == FILE_GONE:
            raise self._gone()
        if state == FILE_OTHER:
            raise self._not_ours()
        # Another process may put its stream there this very moment: the file is taken aside, looked at
        # once more, and put back if it is not ours.
        aside = aside_path(self.path, self.file_inode)
        try:
            fd = _open(self.path, False)
        except StreamNotFoundError:
            raise self._gone() from None
        try:
            mark_busy(fd)
            try:
                os.rename(self.path, aside)
            except FileNotFoundError:
                raise self._gone() from None
            except PermissionError:
                raise StreamPermissionError(
                    f"{self.path}: no permission to delete it", stream=self.name, path=self.path) from None
            if file_state(os.fsencode(aside), self.device, self.file_inode, self.h.at.total) == FILE_OTHER:
                try:
                    os.link(aside, self.path, follow_symlinks=False)
                except FileExistsError:
                    pass  # there is a newer one already
                os.unlink(aside)
                raise self._not_ours()
            os.unlink(aside)
            retire(fd, mapping, &self.h)
        finally:
            c_close(fd)
        self.close()

    def _gone(self):
        return StreamNotFoundError(
            f"stream {self.name!r}: {self.path} was deleted already", stream=self.name, path=self.path)

    def _not_ours(self):
        try:
            found = os.stat(self.path).st_ino
        except OSError:
            found = None
        return StreamReplacedError(
            f"stream {self.name!r}: {self.path} is another stream now (not inode {self.file_inode}); "
            "it was not deleted", stream=self.name, field="inode", expected=self.file_inode, found=found)

    cdef Mapping _hold(self):
        """Return the mapping, to be kept for as long as pointers into it are used (see Reader)."""
        cdef Mapping mapping = self._held()
        if mapping.closed:
            raise self._unusable()
        return mapping

    cdef Mapping _held(self):
        """Return the mapping, be it damaged."""
        cdef Mapping mapping = self.mapping
        if mapping is None:
            raise _closed(self.name)
        return mapping

    @property
    def damaged(self):
        """Whether the file was cut, or its header rewritten, since the stream was attached.

        Found by whatever uses the stream, which raises `StreamDamagedError`. Views read zeros from then on if
        the file was cut.
        """
        cdef Mapping mapping = self.mapping
        return mapping is not None and damaged(mapping.base, &self.h, &mapping.closed)

    def replaced(self):
        """Tell whether the path leads to another stream than the one that is attached.

        Costs a few nanoseconds: a stream replaced by pymilk is marked in memory. For other programs
        the file system is asked, at most every 4 ms.

        Returns
        -------
        bool
            True also if the file is the same and was cut, or its header rewritten (`damaged`). False also if the
            path leads nowhere: `deleted` tells that.
        """
        return self._is_replaced()

    cdef bint _is_replaced(self) except -1:
        cdef Mapping mapping = self._held()
        cdef int64_t tick = clock_ns(CLOCK_MONOTONIC_COARSE)
        cdef int state
        if mapping.closed:
            return True
        if tick < self.next_look and not self.was_replaced and not retired(mapping.base, &self.h):
            return mapping.closed != 0
        self.next_look = tick + LOOK_NS
        state = self._file_state()
        if state == FILE_CUT:
            raise_flag(&mapping.closed, PYMILK_LOST)
        # Remembered: what raises once has to raise each time, not once a look.
        self.was_replaced = state == FILE_OTHER or damaged(mapping.base, &self.h, &mapping.closed)
        return self.was_replaced

    cdef int _look_at_file(self) except -1:
        """Raise if the file was cut, behind a copy: what is left of a page reads zeros and fails no access.

        Asks the file system no more often than `replaced`.
        """
        self._is_replaced()
        self._check_whole(self._hold())
        return 0

    cdef int _file_state(self) except -1:
        return file_state(self.path_bytes, self.device, self.file_inode, self.h.at.total)

    def successor(self, timeout=0.0):
        """Attach the stream that took the place of this one.

        Parameters
        ----------
        timeout : float, default 0
            Seconds to wait for it. Other programs delete the old file before they make the new one, and
            show it before it is complete.

        Returns
        -------
        Stream
            Under the same path, with frames of the same shape and dtype. This handle stays as it is. If it is
            exclusive, so is the new one from its first frame on.

        Raises
        ------
        StreamShapeChangedError, StreamTypeChangedError, StreamChangedError
            Shape, dtype or location differ.
        StreamNotFoundError, StreamNotReadyError
            As `attach`.
        StreamFormatError
            As `attach`, once the file has been like that for 0.1 s: a program may be writing it.
        """
        cdef Stream new
        cdef bint writable = self._held().writable
        cdef int64_t deadline = later(clock_ns(CLOCK_MONOTONIC), timeout_ns(timeout, self.name))
        cdef int64_t odd_since = 0
        while True:
            try:
                new = _attach(self.path, writable, 0, True, False)
                break
            except (StreamNotFoundError, StreamNotReadyError):
                odd_since = 0
                if clock_ns(CLOCK_MONOTONIC) >= deadline:
                    raise
            except StreamFormatError:
                odd_since = odd_since or clock_ns(CLOCK_MONOTONIC)
                if clock_ns(CLOCK_MONOTONIC) - odd_since >= HALF_MADE_NS:
                    raise
            _time.sleep(0.002)
        for field, expected, found in (
            ("shape", self.frame_shape, new.frame_shape),
            ("dtype", self.dtype, new.dtype),
            ("location", self.location, new.location),
        ):
            if expected != found:
                new.close()
                kinds = {"shape": StreamShapeChangedError, "dtype": StreamTypeChangedError}
                raise kinds.get(field, StreamChangedError)(
                    f"stream {self.name!r} was recreated with another {field}: it was {expected}, "
                    f"now it is {found}; attach it again",
                    stream=self.name, field=field, expected=expected, found=found)
        new.alone = self.alone
        return new

    @property
    def deleted(self):
        """Whether the path of the stream leads nowhere (asks the file system)."""
        self._held()
        return self._file_state() == FILE_GONE

    def __repr__(self):
        if self.mapping is None:
            return f"<Stream {self.name!r} closed>"
        if self.damaged:
            return f"<Stream {self.name!r} damaged: its file was cut or rewritten>"
        note = f", {self.note}" if self.note else ""
        return (f"<Stream {self.name!r} shape={self.shape} dtype={self.dtype} "
                f"counter={self.counter}{note}>")

    def __reduce__(self):
        raise TypeError("a Stream cannot be pickled; pass its name and attach it on the other side")

    # -- frames --------------------------------------------------------------------------------

    def view(self, *, writable=False):
        """Return the pixels without copying.

        Parameters
        ----------
        writable : bool, default False
            Writing to the view is seen by readers at once and is not counted; `claim` is the right
            way to fill a frame.

        Returns
        -------
        ndarray, shape `shape`
            Memory that stays valid for ever. It holds the newest frame only until the writer begins
            the next one.
        """
        cdef Mapping mapping = self._hold()
        if self.h.n.location != -1:
            raise _on_gpu(self.name, self.h.n.location)
        if writable:
            self._writable_base()
        return _ndarray(
            self.shape, self.dtype, mapping.region(self.h.at.array, self.h.n.frame_nbytes, writable))

    def copy_frame(self, out):
        """Copy the newest frame into `out`, whole: retried while a writer is in it.

        Parameters
        ----------
        out : buffer, C-contiguous, writable
            Of the bytes of one frame. On a temporal circular cube that is its newest slice; of `nbytes`
            bytes, the whole cube.

        Returns
        -------
        int
            `FLAG_VERIFIED`, or `FLAG_TORN` if the writer left no time or died in the frame (a writer
            is waited for up to 50 ms).

        Notes
        -----
        Frames of 512 KiB and more are copied without the GIL.
        """
        cdef Py_buffer view
        cdef char *base = self._pixels(False)
        cdef Mapping mapping = self.mapping
        _take_buffer(out, &view, True, self.name, "out")
        try:
            if <uint64_t>view.len != self.h.unit_nbytes and <uint64_t>view.len != self.h.n.frame_nbytes:
                raise FrameMismatchError(
                    f"stream {self.name!r}: out has {view.len} bytes, a frame has "
                    f"{self.h.unit_nbytes}", stream=self.name, field="nbytes",
                    expected=self.h.unit_nbytes, found=view.len)
            self._copy_newest(base, mapping, <char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        self._look_at_file()
        return self.frame_flags

    def read(self):
        """Return the newest frame in a new array: `copy_frame` into memory of its own.

        Returns
        -------
        frame : ndarray, shape `frame_shape`, C-contiguous
            Larger ones use memory that was used for frames before, so that it need not be provided anew.
        flags : int
            What `copy_frame` would return.
        number : int
            Its counter.
        """
        frame = self._read()
        self._look_at_file()
        return frame, self.frame_flags, self.frame_counter

    cdef object _read(self):
        cdef Py_buffer view
        cdef Block block
        cdef char *base = self._pixels(False)
        cdef Mapping mapping = self.mapping
        block = take_block(self.h.unit_nbytes) if self.h.unit_nbytes >= KEPT_NBYTES else None
        if block is not None:
            frame = _ndarray(self.frame_shape, self.dtype, block)
            self._copy_newest(base, mapping, block.base, self.h.unit_nbytes)
            return frame
        frame = _empty(self.frame_shape, self.dtype)
        PyObject_GetBuffer(frame, &view, PyBUF_WRITABLE)
        try:
            self._copy_newest(base, mapping, <char *>view.buf, self.h.unit_nbytes)
        finally:
            PyBuffer_Release(&view)
        return frame

    cdef bint _read_into(self, object out) except -1:
        """Copy the newest frame into an array if it is C-contiguous, and of its shape and dtype."""
        cdef Py_buffer view
        cdef char *base = self._pixels(False)
        cdef Mapping mapping = self.mapping
        cdef int axis
        cdef bint fits
        if out.dtype is not self.dtype:
            return False
        try:
            PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        except (BufferError, ValueError):
            return False
        try:
            fits = view.ndim == self.h.naxis - self.h.temporal
            for axis in range(view.ndim if fits else 0):
                fits = fits and view.shape[view.ndim - 1 - axis] == self.h.size[axis]
            if fits:
                self._copy_newest(base, mapping, <char *>view.buf, self.h.unit_nbytes)
        finally:
            PyBuffer_Release(&view)
        return fits

    cdef int _copy_newest(self, char *base, Mapping mapping, char *dst, uint64_t nbytes) except -1:
        """Copy the newest frame, or all of a temporal cube, and note its flags. mapping is held."""
        cdef Look seen
        cdef uint64_t flags = 0
        cdef int64_t grace
        cdef int never = 0
        cdef bint streaming = nbytes >= STREAMING_READ_NBYTES
        cdef uint64_t number = 0
        if self.h.temporal and self.h.size[2] > 1 and nbytes == self.h.unit_nbytes:
            if nbytes < GIL_RELEASE_NBYTES:
                flags = copy_newest_slice(base, &self.h, dst, False, &number)
            else:
                with nogil:
                    flags = copy_newest_slice(base, &self.h, dst, streaming, &number)
            self._check_whole(mapping)
            self.frame_counter = number
            self.frame_flags = flags
            return 0
        if nbytes < GIL_RELEASE_NBYTES:
            flags = try_copy(<IMAGE_METADATA *>base, base + self.h.at.array, dst, nbytes, False,
                             EAGER_TRIES, &seen, NULL)
        if flags:
            self.grace = WRITE_GRACE_NS
        else:
            # A writer that was found dead in this very frame is not waited for again.
            grace = self.grace
            if grace == STUCK_GRACE_NS and self.stuck_at == atomic_load_u64(
                    &(<IMAGE_METADATA *>base).cnt0, __ATOMIC_RELAXED):
                grace = 0
            with nogil:
                flags = copy_frame(base, &self.h, dst, streaming, NULL, &mapping.closed, &never,
                                   &grace, &seen)
            self.grace = grace
            self.stuck_at = seen.cnt0
        self._check_whole(mapping)
        self.frame_counter = seen.cnt0
        self.frame_flags = flags
        return 0

    def publish(self, frame, *, atime_ns=None):
        """Copy a frame into the stream and announce it.

        Parameters
        ----------
        frame : array_like, shape `shape`, stream dtype
            Any memory order; C-contiguous is fastest, transposed and flipped images are turned in blocks.
            On a temporal circular cube an array of shape
            ``shape[1:]`` fills the next slice. bool is accepted where the stream is uint8.
        atime_ns : int, optional
            Acquisition time, nanoseconds of CLOCK_TAI. Default: now.

        Returns
        -------
        int
            The counter of the frame.

        Raises
        ------
        FrameMismatchError
            Shape or dtype differ; nothing was written.
        StreamReadOnlyError, StreamClosedError, StreamBusyError

        Notes
        -----
        The order of the steps is at the top of this module. Frames of 512 KiB and more are copied
        without the GIL. Two writers of one stream lose no counts but may mix their pixels.
        """
        if atime_ns is None:
            return self._publish(frame, False, 0)
        return self._publish(frame, True, _time_argument(self.name, atime_ns))

    cdef object _publish(self, object frame, bint has_atime, int64_t acquired):
        cdef Py_buffer view
        cdef char *base = self._pixels(True)
        cdef char *target = base + self.h.at.array
        cdef uint64_t nbytes = self.h.n.frame_nbytes, counter
        cdef int64_t slice = -1
        cdef bint contiguous, turned = False
        cdef pymilk_turn turn
        cdef Mapping mapping = self.mapping
        if type(frame) is not _ndarray:
            frame = _asarray(frame)
        dtype = frame.dtype
        if dtype is not self.dtype and dtype != self.dtype:
            frame = self._fitting(frame)
        shape = frame.shape
        if shape != self.shape:
            if not shape and self.h.nelement == 1:
                shape = self.shape
                frame = frame.reshape(shape)
            elif not (self.h.temporal and shape == self.frame_shape):
                raise FrameMismatchError(
                    f"stream {self.name!r}: the frame has shape {shape}, the stream {self.shape}",
                    stream=self.name, field="shape", expected=self.shape, found=shape)
            else:
                slice = next_slice(base, &self.h)
                nbytes = self.h.unit_nbytes
                target = frame_at(base, &self.h, slice)
        PyObject_GetBuffer(frame, &view, PyBUF_STRIDES)
        contiguous = PyBuffer_IsContiguous(&view, b"C")
        if not contiguous:
            # Not where the frame is a view of this very stream, in another order: NumPy copies it first.
            turned = describe_turn(&turn, target, NULL, <const char *>view.buf, view.strides, view.shape,
                                   view.ndim, view.itemsize)
        try:
            self._take_turn()
        except BaseException:
            PyBuffer_Release(&view)
            raise
        try:
            if turned and nbytes < GIL_RELEASE_NBYTES:
                counter = self._publish_turned(base, &turn, has_atime, acquired, slice)
            elif turned:
                with nogil:
                    counter = self._publish_turned(base, &turn, has_atime, acquired, slice)
            elif not contiguous:
                pixels = _ndarray(shape, self.dtype, mapping.region(target - base, nbytes, True))
                open_frame(base)
                try:
                    _copyto(pixels, frame)
                except BaseException:
                    abandon_frame(base)
                    raise
                counter = close_frame(base, &self.h, has_atime, acquired, slice)
            elif nbytes < GIL_RELEASE_NBYTES:
                counter = self._publish_bytes(base, target, <char *>view.buf, nbytes, has_atime,
                                              acquired, slice)
            else:
                with nogil:
                    counter = self._publish_bytes(base, target, <char *>view.buf, nbytes, has_atime,
                                                  acquired, slice)
        finally:
            self.busy = 0
            PyBuffer_Release(&view)
        self._check_whole(mapping)
        return counter

    cdef uint64_t _publish_turned(self, char *base, pymilk_turn *turn, bint has_atime, int64_t atime_ns,
                                  int64_t slice) noexcept nogil:
        open_frame(base)
        pymilk_turn_copy(turn)
        return close_frame(base, &self.h, has_atime, atime_ns, slice)

    cdef uint64_t _publish_bytes(self, char *base, char *target, const char *source, uint64_t nbytes,
                                 bint has_atime, int64_t atime_ns, int64_t slice) noexcept nogil:
        open_frame(base)
        if slice >= 0 and (source + nbytes <= target or target + nbytes <= source):
            fill_slot(target, source, nbytes)
        else:
            memmove(target, source, nbytes)  # the frame may be a view of this very stream
        return close_frame(base, &self.h, has_atime, atime_ns, slice)

    cdef object _fitting(self, object frame):
        """Accept bool where the stream is uint8, as it is stored."""
        dtype = frame.dtype
        if self.h.datatype == _DATATYPE_UINT8 and dtype == np.bool_:
            return frame.view(np.uint8)
        raise FrameMismatchError(
            f"stream {self.name!r}: the frame is {dtype}, the stream {self.dtype}; convert it first",
            stream=self.name, field="dtype", expected=self.dtype, found=dtype)

    def announce(self, *, atime_ns=None):
        """Publish what stands in the pixels: count, times, semaphores, and the next slot of a ring.

        Parameters
        ----------
        atime_ns : int, optional
            As for `publish`.

        Returns
        -------
        int
            The counter of the frame. `cnt1` of a temporal circular cube stays: its writer has set it.

        Raises
        ------
        StreamReadOnlyError, StreamClosedError, StreamBusyError
        """
        self._pixels(True)
        cdef bint has_atime = atime_ns is not None
        cdef int64_t acquired = _time_argument(self.name, atime_ns) if has_atime else 0
        cdef Mapping mapping = self._hold()
        self._take_turn()
        try:
            open_frame(mapping.base)
            counter = close_frame(mapping.base, &self.h, has_atime, acquired, -1)
        finally:
            self.busy = 0
        self._check_whole(mapping)
        return counter

    def claim(self, *, atime_ns=None):
        """Take the next frame to fill in place.

        Parameters
        ----------
        atime_ns : int, optional
            As for `publish`.

        Returns
        -------
        Claim
            A context manager. Entering gives a writable view of the pixels, which still hold the
            newest frame (on a temporal circular cube: of the next slice, which holds its oldest);
            leaving publishes it; an exception abandons it: nothing is announced, but what was changed
            stays changed.
        """
        self._pixels(True)
        cdef Claim claim = Claim.__new__(Claim)
        claim.stream = self
        claim.has_atime = atime_ns is not None
        claim.atime_ns = 0 if atime_ns is None else _time_argument(self.name, atime_ns)
        return claim

    def publish_many(self, frames, count=None, *, interval_ns=0, atimes_ns=None):
        """Publish many frames one by one, without the GIL, optionally at a steady rate.

        Parameters
        ----------
        frames : ndarray, shape (k, *frame_shape), stream dtype, C-contiguous
            On a temporal circular cube each one fills the next slice.
        count : int, optional
            How many to publish, going round `frames`. Default k.
        interval_ns : int, default 0
            Nanoseconds from one frame to the next; 0 is as fast as possible. A frame that is late by
            more than one interval shifts those behind it, as a camera would; there are no bursts.
        atimes_ns : ndarray of int64, shape (k,), optional
            Acquisition times of `frames`, nanoseconds of CLOCK_TAI. Default: as each is published.

        Returns
        -------
        int
            The counter of the last frame.

        Raises
        ------
        FrameMismatchError, StreamArgumentError, StreamReadOnlyError, StreamClosedError
        """
        cdef Py_buffer view
        cdef char *base = self._pixels(True)
        cdef Mapping mapping = self.mapping
        cdef uint64_t total, held, done = 0, counter = 0
        cdef int64_t interval = interval_ns, due = 0
        cdef bint check = threading.current_thread() is threading.main_thread()
        cdef const int64_t[::1] times = None
        cdef const int64_t *atimes = NULL
        _take_buffer(frames, &view, False, self.name, "frames")
        try:
            held = _count_frames(frames, &view, &self.h, self.frame_shape, self.name, "frames")
            if atimes_ns is not None:
                if not (isinstance(atimes_ns, np.ndarray) and atimes_ns.dtype == np.int64
                        and atimes_ns.shape == (held,)):
                    raise _bad_argument(
                        self.name, "atimes_ns", atimes_ns, f"an int64 array of {held} nanoseconds")
                if held:
                    times = np.ascontiguousarray(atimes_ns)
                    atimes = &times[0]
            if held < 1 or interval < 0 or (count is not None and count < 0):
                raise StreamArgumentError(
                    f"stream {self.name!r}: publish_many got {held} frames, count {count}, "
                    f"interval {interval} ns; it needs at least one frame and no negative numbers",
                    stream=self.name, argument="count", found=count)
            total = held if count is None else count
            counter = (<IMAGE_METADATA *>base).cnt0
            self._take_turn()
            try:
                while done < total:
                    with nogil:
                        done = _publish_series(base, &self.h, <char *>view.buf, atimes, held, done, total,
                                               interval, &due, check, &mapping.closed, &counter)
                    PyErr_CheckSignals()
                    self._check_whole(mapping)
                    if mapping.closed:
                        raise _closed(self.name)
            finally:
                self.busy = 0
        finally:
            PyBuffer_Release(&view)
        return counter

    def publish_feed(self, FrameFeed feed not None):
        """Publish the frames that another thread hands over, each at its time, until there are no more.

        Parameters
        ----------
        feed : FrameFeed
            With frames of `frame_shape` and `dtype`. Only one stream can publish from it.

        Raises
        ------
        FrameMismatchError, StreamReadOnlyError, StreamClosedError, StreamBusyError

        Notes
        -----
        In any thread but the main one the GIL is not taken once in all that time; in the main one every 50 ms,
        for signals.
        """
        cdef char *base = self._pixels(True)
        cdef Mapping mapping = self._hold()
        cdef bint ended = False, check = threading.current_thread() is threading.main_thread()
        for field, expected, found in (("shape", self.frame_shape, feed.slots.shape[1:]),
                                       ("dtype", self.dtype, feed.slots.dtype)):
            if found != expected:
                raise FrameMismatchError(
                    f"stream {self.name!r}: the feed has frames of {field} {found}, the stream {expected}",
                    stream=self.name, field=field, expected=expected, found=found)
        self._take_turn()
        try:
            while not ended:
                with nogil:
                    ended = _publish_feed(base, &self.h, &feed.feed, check, &mapping.closed)
                PyErr_CheckSignals()
        finally:
            self.busy = 0
        self._check_whole(mapping)
        if mapping.closed:
            raise _closed(self.name)

    # -- waiting -------------------------------------------------------------------------------

    def clock_write(self, timeout):
        """Watch `write`, without sleeping and without the GIL, until the writer has written a frame.

        Parameters
        ----------
        timeout : float
            Seconds to watch at the most, up to 1: a core is busy for so long, and signals wait.

        Returns
        -------
        (int, int) or None
            How long `write` was seen up, and the longest time between two looks at it meanwhile, both in
            nanoseconds: either end may be wrong by that. None if no write began and ended in time.

        Raises
        ------
        StreamClosedError, StreamArgumentError
        """
        cdef char *base = self._base()
        cdef Mapping mapping = self._hold()
        cdef int64_t limit = timeout_ns(timeout, self.name)
        cdef int64_t held = 0, step = 0
        cdef bint seen
        if not 0 <= limit <= 1_000_000_000:
            raise _bad_argument(self.name, "timeout", timeout, "0 to 1 seconds")
        with nogil:
            seen = clock_flag(<IMAGE_METADATA *>base, later(clock_ns(CLOCK_MONOTONIC), limit), &mapping.closed,
                              &held, &step)
        PyErr_CheckSignals()
        self.check_whole()
        return (held, step) if seen else None

    def reader(self):
        """Make a `Reader` of this stream, with a semaphore of its own."""
        cdef Reader reader = Reader.__new__(Reader)
        cdef Mapping mapping = self._hold()
        reader.mapping = mapping
        reader.h = self.h
        reader.device = self.device
        reader.file_inode = self.file_inode
        reader.path = self.path_bytes
        reader.name = self.name
        reader.slot = -1
        reader.preferred = -1
        reader.pid = own_pid
        reader.owed = 1
        find_ring(&reader.cursor.ring, mapping.base, &self.h)
        return reader

    def ring_cursor(self):
        """Make a `RingCursor` of this stream, or return None if it has no ring of 2 slots or more."""
        cdef Mapping mapping = self._hold()
        if self.h.n.location != -1:
            raise _on_gpu(self.name, self.h.n.location)
        cdef RingCursor cursor = RingCursor.__new__(RingCursor)
        if not find_ring(&cursor.c.ring, mapping.base, &self.h):
            return None
        slots = self.view() if self.h.temporal else self.section("ring_slots")
        cursor.mapping = mapping
        cursor.h = self.h
        cursor._dress(mapping, slots, self.name, "temporal" if self.h.temporal else "fast")
        return cursor

    cdef Reader _own_reader(self):
        """The reader behind the waiting methods of the stream itself, whose semaphore is that of the handle."""
        cdef Reader reader = self.own_reader
        self._base()
        if reader is None:
            reader = self.own_reader = self.reader()
        return reader

    cdef Reader _own(self):
        """A reader to wait with: while one thread waits, the next gets one for the time of its call."""
        cdef Reader reader = self._own_reader()
        return self.reader() if reader.running == own_pid else reader

    def free_reader(self):
        """Return the reader behind the waiting methods, or another one while that one waits."""
        return self._own()

    @property
    def sem_index(self):
        """Index of the semaphore of this handle's own reader, taken if it has none yet, or None."""
        cdef Reader reader = self._own_reader()
        reader._bell(self._hold())
        return reader.sem_index

    def take_semaphore(self, preferred):
        """Return `sem_index`; if none is held yet, take semaphore `preferred` where it is free.

        Parameters
        ----------
        preferred : int
            Any other number means any semaphore.

        Returns
        -------
        int or None
            The lowest free one if the preferred one is not; None if all are taken, or the stream is
            read-only. Posts that nobody has taken stay.
        """
        cdef Reader reader = self._own_reader()
        cdef Mapping mapping = self._hold()
        if reader.sem_index is None:
            reader.preferred = preferred if 0 <= preferred < self.h.n.sem else -1
            if mapping.writable and self.h.n.sem:
                reader._claim(mapping)
        return self._whole(reader.sem_index)

    def wait(self, timeout=None, *, after=None, spin_ns=0):
        """Wait for a new frame; see `Reader.wait`."""
        return self._own().wait(timeout, after=after, spin_ns=spin_ns)

    def try_wait(self, after):
        """Tell whether a frame newer than number `after` is there; see `Reader.try_wait`."""
        return self._own().try_wait(after)

    def receive(self, out, info=None, **options):
        """Receive the next frames into memory of the caller; see `Reader.receive`."""
        return self._own().receive(out, info, **options)

    # -- semaphores ----------------------------------------------------------------------------

    cdef sem_t *_sem(self, Mapping mapping, object index) except NULL:
        return semaphore(mapping.base, &self.h, _index(self.name, "index", index, self.h.n.sem))

    def post(self, index=None):
        """Post one semaphore, or all of them, where below the cap of 10. No frame is counted."""
        cdef Mapping mapping = self._hold()
        cdef char *base = self._writable_base()
        if index is None:
            post_all(base, &self.h)
        else:
            post_one(base, &self.h, _index(self.name, "index", index, self.h.n.sem))
            ring_bell(<sem_t *>(mapping.base + self.h.at.semlog))
        self._check_whole(mapping)

    def flush(self, index=None):
        """Take all posts off one semaphore, or off every one. Returns how many there were."""
        cdef Mapping mapping = self._hold()
        cdef int i, count = 0
        self._writable_base()
        if index is not None:
            return self._whole(drain(self._sem(mapping, index)))
        for i in range(self.h.n.sem):
            count += drain(semaphore(mapping.base, &self.h, i))
        return self._whole(count)

    def sem_value(self, index):
        """Return the value of one semaphore: posts that nobody has taken yet."""
        cdef Mapping mapping = self._hold()
        cdef int value = 0
        sem_getvalue(self._sem(mapping, index), &value)
        self.check_whole()
        return value

    def sem_values(self):
        """Return the values of all semaphores as a list."""
        return [self.sem_value(i) for i in range(self.h.n.sem)]

    def sem_try_wait(self, index):
        """Take one post off a semaphore if there is one; returns whether there was."""
        cdef Mapping mapping = self._hold()
        self._writable_base()
        return self._whole(sem_trywait(self._sem(mapping, index)) == 0)

    def sem_wait(self, index, timeout=None):
        """Wait for a post of one semaphore and take it; returns whether it came in time.

        A post says nothing about frames: `wait` is for those. Releases the GIL; Ctrl-C ends it.
        """
        cdef Mapping mapping = self._hold()
        cdef int64_t limit = timeout_ns(timeout, self.name)
        cdef sem_t *sem = self._sem(mapping, index)
        cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
        cdef int64_t deadline = later(now, limit)
        cdef int code
        self._writable_base()
        while True:
            with nogil:
                code = pymilk_sem_wait_until(sem, min(deadline, later(now, SLICE_NS)))
                now = clock_ns(CLOCK_MONOTONIC)
            if code == 0:
                return True
            PyErr_CheckSignals()
            self._check_whole(mapping)
            if mapping.closed:
                raise _closed(self.name)
            if now >= deadline:
                return False

    # -- metadata ------------------------------------------------------------------------------

    @property
    def counter(self):
        """Frames published so far (cnt0)."""
        return self._whole(atomic_load_u64(&self._md().cnt0, __ATOMIC_ACQUIRE))

    @property
    def cnt1(self):
        """In 3D streams the slice written last; else up to the writer. May be set."""
        return self._whole(atomic_load_u64(&self._md().cnt1, __ATOMIC_ACQUIRE))

    @cnt1.setter
    def cnt1(self, value):
        cdef uint64_t number = _index(self.name, "cnt1", value, 2**64)
        atomic_store_u64(&(<IMAGE_METADATA *>self._writable_base()).cnt1, number, __ATOMIC_RELEASE)

    @property
    def cnt2(self):
        """A counter for users. May be set."""
        return self._whole(atomic_load_u64(&self._md().cnt2, __ATOMIC_ACQUIRE))

    @cnt2.setter
    def cnt2(self, value):
        cdef uint64_t number = _index(self.name, "cnt2", value, 2**64)
        atomic_store_u64(&(<IMAGE_METADATA *>self._writable_base()).cnt2, number, __ATOMIC_RELEASE)

    @property
    def write(self):
        """1 while a writer changes the pixels; stays 1 if it died there."""
        return self._whole(atomic_load_u8(<uint8_t *>&self._md().write, __ATOMIC_ACQUIRE))

    @property
    def stored_name(self):
        """Name in the metadata, as given at creation (cut to 79 bytes)."""
        return self._whole(_text(self._md().name, STRINGMAXLEN_IMAGE_NAME))

    @property
    def version(self):
        """Structure version, for example "2.00"."""
        return self._whole(_text(self._md().version, 32))

    @property
    def layout(self):
        """Build options of the file: "default", "dao", "writehistory" or "dao+writehistory"."""
        return _layout_name(self.h.layout)

    @property
    def size(self):
        """Axes in the order of the file, fastest first."""
        return self.shape[::-1]

    @property
    def naxis(self):
        """Number of axes in the file, 1 to 3."""
        return self.h.naxis

    @property
    def nelement(self):
        """Pixels of one frame."""
        return self.h.nelement

    @property
    def nbytes(self):
        return self.h.n.frame_nbytes

    @property
    def file_nbytes(self):
        """Bytes of the file."""
        return self.h.at.total

    @property
    def datatype(self):
        """Code of the element type, 1 to 13."""
        return self.h.datatype

    @property
    def imagetype(self):
        """Bits of `IMAGETYPES`."""
        return self.h.n.imagetype

    @property
    def temporal(self):
        """Whether slices have times and counters of their own (a temporal circular cube)."""
        return bool(self.h.temporal)

    @property
    def location(self):
        """-1: pixels in the file. 0 and up: number of the GPU that holds them."""
        return self.h.n.location

    @property
    def shared(self):
        """1 in every stream that other processes can see, 0 in a `local` one."""
        return self._whole(self._md().shared)

    @property
    def nbsem(self):
        """Number of semaphores."""
        return self.h.n.sem

    @property
    def nbkw(self):
        """Room for keywords."""
        return self.h.n.nbkw

    @property
    def nbproctrace(self):
        """Entries of the processing trace."""
        return self.h.n.nbtrace

    @property
    def cb_size(self):
        """Slots of the fast circular buffer, 0 if there is none."""
        return self.h.n.cbsize

    @property
    def cb_index(self):
        """Slot that holds the newest frame; 0 with `cb_cycle` 0 means that there is none yet."""
        return self._whole(atomic_load_u32(&self._md().CBindex, __ATOMIC_ACQUIRE))

    @property
    def cb_cycle(self):
        """Times that `cb_index` came round to 0."""
        return self._whole(atomic_load_u64(&self._md().CBcycle, __ATOMIC_ACQUIRE))

    @property
    def inode(self):
        """Inode of the file when it was created, as stored; 0 once the stream was retired."""
        return self._whole(self._md().inode)

    @property
    def creator_pid(self):
        """Process that created the stream."""
        return self._whole(self._md().creatorPID)

    @property
    def owner_pid(self):
        """Process that claims the stream, 0 if none. May be set."""
        return self._whole(self._md().ownerPID)

    @owner_pid.setter
    def owner_pid(self, value):
        cdef uint64_t number = _index(self.name, "owner_pid", value, 2**31)
        (<IMAGE_METADATA *>self._writable_base()).ownerPID = number

    @property
    def status(self):
        """Free for the field's own use. May be set."""
        return self._whole(self._md().status)

    @status.setter
    def status(self, value):
        cdef uint64_t number = _index(self.name, "status", value, 2**8)
        (<IMAGE_METADATA *>self._writable_base()).status = number

    @property
    def flag(self):
        """Free for the field's own use. May be set."""
        return self._whole(self._md().flag)

    @flag.setter
    def flag(self, value):
        cdef uint64_t number = _index(self.name, "flag", value, 2**64)
        (<IMAGE_METADATA *>self._writable_base()).flag = number

    @property
    def logflag(self):
        """Non-zero asks a logger to record the stream. May be set."""
        return self._whole(self._md().logflag)

    @logflag.setter
    def logflag(self, value):
        cdef uint64_t number = _index(self.name, "logflag", value, 2**8)
        (<IMAGE_METADATA *>self._writable_base()).logflag = number

    @property
    def creation_time_ns(self):
        """When the stream was created: ns of CLOCK_TAI (see `pymilk.times.to_utc`)."""
        return self._whole(stamp_ns(&self._md().creationtime))

    @property
    def last_access_time_ns(self):
        """Last access, by writers that note it: ns of CLOCK_TAI."""
        return self._whole(steady_stamp_ns(self._md(), &self._md().lastaccesstime))

    @property
    def acquisition_time_ns(self):
        """When the newest frame was acquired: ns of CLOCK_TAI, 0 if never stored."""
        return self._whole(steady_stamp_ns(self._md(), &self._md().atime))

    @property
    def write_time_ns(self):
        """When the newest frame was published: ns of CLOCK_TAI, 0 if never stored."""
        return self._whole(steady_stamp_ns(self._md(), &self._md().writetime))

    @property
    def cuda_handle(self):
        """CUDA inter-process handle of the pixels, 64 bytes. May be set."""
        cdef char *start = self._base() + at_cuda_handle(self.h.layout)
        return self._whole(start[:CUDA_HANDLE_NBYTES])

    @cuda_handle.setter
    def cuda_handle(self, bytes value):
        cdef char *start = self._writable_base() + at_cuda_handle(self.h.layout)
        if len(value) != CUDA_HANDLE_NBYTES:
            raise StreamArgumentError(
                f"stream {self.name!r}: a CUDA handle has {CUDA_HANDLE_NBYTES} bytes, "
                f"not {len(value)}", stream=self.name, argument="cuda_handle", found=value)
        memcpy(start, <const char *>value, CUDA_HANDLE_NBYTES)

    def section(self, name, *, writable=False):
        """Return a section of the file as an array, without copying.

        Parameters
        ----------
        name : str
            ``keywords``, ``sem_read_pid``, ``sem_write_pid``, ``semctrl``, ``semstatus``, ``trace``,
            ``slice_atime``, ``slice_writetime``, ``slice_cnt0`` (empty unless `temporal`),
            ``ring_records``, ``ring_slots`` (shape (cb_size, *shape)) or ``history``.
        writable : bool, default False

        Returns
        -------
        ndarray
            A live view; structured where the file has structs.
        """
        cdef Mapping mapping = self._hold()
        if writable:
            self._writable_base()
        slices = self.h.n.slices if is_temporal(self.h.n.imagetype) else 0
        places = {
            "keywords": (self.h.at.keywords, self.h.n.nbkw),
            "sem_read_pid": (self.h.at.sem_read_pid, self.h.n.sem),
            "sem_write_pid": (self.h.at.sem_write_pid, self.h.n.sem),
            "semctrl": (self.h.at.semctrl, self.h.n.sem),
            "semstatus": (self.h.at.semstatus, self.h.n.sem),
            "trace": (self.h.at.trace, self.h.n.nbtrace),
            "slice_atime": (self.h.at.atimes, slices),
            "slice_writetime": (self.h.at.writetimes, slices),
            "slice_cnt0": (self.h.at.cnts, slices),
            "ring_records": (self.h.at.ring_records, self.h.n.cbsize),
            "ring_slots": (self.h.at.ring_slots, self.h.n.cbsize),
            "history": (self.h.at.history,
                        IMAGESTRUCT_FRAMEWRITEMDSIZE if self.h.layout.history else 0),
        }
        if name not in places:
            raise StreamArgumentError(
                f"stream {self.name!r}: no section {name!r}; there are {', '.join(places)}",
                stream=self.name, argument="name", found=name)
        offset, count = places[name]
        if name == "ring_slots":
            shape, dtype = (count, *self.shape), self.dtype
            nbytes = count * self.h.n.frame_nbytes
        else:
            shape, dtype = (count,), _SECTION_DTYPES[name]
            nbytes = count * dtype.itemsize
        return _ndarray(shape, dtype, mapping.region(offset, nbytes, writable))

    # -- keywords ------------------------------------------------------------------------------

    def read_keywords(self):
        """Read the keywords.

        Returns
        -------
        list of Keyword
            In the order of the stream. Text that is not UTF-8 is decoded with surrogate escapes, so
            that it can be written back unchanged.

        Notes
        -----
        Writers do not lock: the table is copied until two copies agree, four times at most.
        """
        cdef Mapping mapping = self._hold()
        cdef const char *start = mapping.base + self.h.at.keywords
        cdef size_t nbytes = self.h.n.nbkw * sizeof(IMAGE_KEYWORD)
        cdef const IMAGE_KEYWORD *slot
        table = start[:nbytes]
        for _ in range(KEYWORD_TRIES):
            again = start[:nbytes]
            if again == table:
                break
            table = again
        self.check_whole()
        slot = <const IMAGE_KEYWORD *><const char *>table
        keywords = []
        for _ in range(self.h.n.nbkw):
            if not slot.name[0]:
                break
            keywords.append(Keyword(
                _text(slot.name, KEYWORD_MAX_STRING), _keyword_value(slot),
                _text(slot.comment, KEYWORD_MAX_COMMENT), slot.cnt))
            slot += 1
        return keywords

    def write_keywords(self, keywords):
        """Replace all keywords.

        Parameters
        ----------
        keywords : iterable of Keyword or of (name, value[, comment[, cnt]])

        Raises
        ------
        KeywordError
            Too many, or a text too long, or a value that is not int64, float or str; nothing was
            changed.
        """
        cdef IMAGE_KEYWORD *slots
        cdef Mapping mapping = self._hold()
        cdef int i
        self._writable_base()
        try:
            entries = list(keywords)
        except TypeError:
            raise KeywordError(
                f"stream {self.name!r}: keywords are a list of (name, value[, comment[, cnt]]), "
                f"not {keywords!r}", stream=self.name) from None
        new = [_encode_keyword(self.name, entry) for entry in entries]
        if len(new) > self.h.n.nbkw:
            raise KeywordTableFullError(
                f"Too many keywords provided: stream {self.name!r} has room for {self.h.n.nbkw} keywords, "
                f"not {len(new)}; recreate it with a larger nbkw",
                stream=self.name, keyword=None, limit=self.h.n.nbkw, found=len(new))
        counts = {keyword.name: keyword.cnt for keyword in self.read_keywords()}
        slots = <IMAGE_KEYWORD *>(mapping.base + self.h.at.keywords)
        for i, entry in enumerate(new):
            name = entry[0].decode("utf-8", "surrogateescape")
            cnt = (counts.get(name, 0) + 1) % 2**64 if entry[4] is None else entry[4]
            _store_keyword(&slots[i], entry, cnt)
        # The first empty name ends the list; what stands behind it is of no account.
        i = len(new)
        if i < self.h.n.nbkw and slots[i].name[0]:
            memset(&slots[i], 0, sizeof(IMAGE_KEYWORD))
        self.check_whole()

    def update_keyword(self, name, value, comment=None):
        """Change one keyword, keeping its place, and its comment unless one is given.

        A number that stays of its type is replaced by one 8-byte store: readers see the old or the
        new value and nothing in between.

        Raises
        ------
        KeywordNotFoundError
            The stream has no such keyword.
        KeywordError
            As for `write_keywords`.
        """
        cdef Mapping mapping = self._hold()
        cdef IMAGE_KEYWORD *slot = <IMAGE_KEYWORD *>(mapping.base + self.h.at.keywords)
        cdef int _
        self._writable_base()
        entry = _encode_keyword(self.name, Keyword(name, value, "" if comment is None else comment))
        for _ in range(self.h.n.nbkw):
            if not slot.name[0]:
                break
            if (<char *>slot.name)[:KEYWORD_MAX_STRING].split(b"\0", 1)[0] == entry[0]:
                if comment is None:
                    entry = (*entry[:3], None, None)
                _store_keyword(slot, entry, slot.cnt + 1)
                self.check_whole()
                return
            slot += 1
        self.check_whole()
        raise KeywordNotFoundError(
            f"stream {self.name!r} has no keyword {name!r}; add it with SHM.set_keywords or Stream.write_keywords",
            stream=self.name, keyword=name)

    def clear_keywords(self):
        """Remove all keywords."""
        self.write_keywords([])


cdef object _keyword_value(const IMAGE_KEYWORD *slot):
    if slot.type == c"L":
        return slot.value.numl
    if slot.type == c"D":
        return slot.value.numf
    # S; and N, which an unused slot has: a name without a value.
    return _text(slot.value.valstr, KEYWORD_MAX_STRING) if slot.type == c"S" else None


cdef bytes _encode_text(str stream, object keyword, str what, object text, int limit):
    if not isinstance(text, str):
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} has to be str, "
            f"not {type(text).__name__}", stream=stream, keyword=str(keyword))
    try:
        encoded = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} cannot be encoded: {text!r}",
            stream=stream, keyword=str(keyword)) from None
    if len(encoded) > limit or b"\0" in encoded:
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} takes {limit} bytes without NUL; "
            f"{text!r} has {len(encoded)}",
            stream=stream, keyword=str(keyword), limit=limit, found=len(encoded))
    return encoded


cdef tuple _encode_keyword(str stream, object keyword):
    """Check one keyword and turn it into (name, type, value, comment, cnt) as stored."""
    try:
        name, value, comment, cnt = Keyword(*keyword)
    except TypeError:
        raise KeywordError(
            f"stream {stream!r}: a keyword is (name, value[, comment[, cnt]]), not {keyword!r}",
            stream=stream) from None
    encoded = _encode_text(stream, name, "name", name, KEYWORD_MAX_STRING)
    if not encoded:
        raise KeywordError(
            f"stream {stream!r}: a keyword needs a name", stream=stream, keyword="",
            limit=KEYWORD_MAX_STRING, found=0)
    note = _encode_text(stream, name, "comment", comment, KEYWORD_MAX_COMMENT)
    if cnt is not None and not (hasattr(cnt, "__index__") and 0 <= cnt < 2**64):
        raise KeywordError(
            f"stream {stream!r}: cnt of keyword {name!r} is an int of 0 to 2**64 - 1, not {cnt!r}",
            stream=stream, keyword=name, limit=2**64 - 1, found=cnt)
    if value is None:
        return encoded, b"N", 0, note, cnt  # a name and a comment only
    if isinstance(value, str):
        return encoded, b"S", _encode_text(stream, name, "value", value, KEYWORD_MAX_STRING), note, cnt
    if isinstance(value, np.bool_):
        value = bool(value)
    try:
        value = operator.index(value)
    except TypeError:
        pass  # no integer
    else:
        if not -2**63 <= value < 2**63:
            raise KeywordError(
                f"stream {stream!r}: keyword {name!r} stores 64-bit integers; {value} needs more",
                stream=stream, keyword=name, limit=64, found=value.bit_length())
        return encoded, b"L", value, note, cnt
    try:
        if np.ndim(value):
            raise TypeError("an array of one element is not a number")
        # Not float(): that reads numbers from bytes.
        return encoded, b"D", value.__float__(), note, cnt
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise KeywordError(
            f"stream {stream!r}: keyword {name!r} takes an int, a float or a str, "
            f"not {type(value).__name__}", stream=stream, keyword=name) from None


cdef int _store_keyword(IMAGE_KEYWORD *slot, tuple entry, uint64_t cnt) except -1:
    cdef double number
    cdef uint64_t word
    cdef char kind = entry[1][0]
    if (<char *>slot.name)[:KEYWORD_MAX_STRING].split(b"\0", 1)[0] != entry[0]:
        # Another keyword's slot: hide it from readers while it changes.
        memset(&slot.value, 0, sizeof(slot.value))
        _store_text(slot.name, entry[0], KEYWORD_MAX_STRING)
    if entry[3] is not None:
        _store_text(slot.comment, entry[3], KEYWORD_MAX_COMMENT)
    if kind == c"S":
        _store_text(slot.value.valstr, entry[2], KEYWORD_MAX_STRING)
    else:
        if kind == c"D":
            number = entry[2]
            memcpy(&word, &number, 8)
        else:
            word = <uint64_t><int64_t>entry[2]
        # One store: no reader sees half of a number. Relaxed, as readers of keywords do not lock.
        atomic_store_u64(<uint64_t *>&slot.value, word, __ATOMIC_RELAXED)
    slot.type = kind
    # Release: the keyword is complete before its count says so.
    atomic_store_u64(&slot.cnt, cnt, __ATOMIC_RELEASE)
    return 0


cdef int _store_text(char *field, bytes text, int nbytes) except -1:
    """Fill a text field; one that is filled completely has no NUL."""
    padded = text.ljust(nbytes, b"\0")
    memcpy(field, <const char *>padded, nbytes)
    return 0


cdef bint clock_flag(
    IMAGE_METADATA *md, int64_t deadline, const int *closed, int64_t *held, int64_t *step
) noexcept nogil:
    """Time one whole write by its flag; False if none was seen to begin and end."""
    cdef int64_t began = 0, earlier, before = clock_ns(CLOCK_MONOTONIC), now = before
    cdef bint up, idle = False  # a write that is on its way already began at some time unknown
    while now < deadline and not atomic_load_int(closed):
        up = atomic_load_u8(&md.write, __ATOMIC_RELAXED) != 0
        earlier = before
        before = now
        now = clock_ns(CLOCK_MONOTONIC)
        if began:
            step[0] = max(step[0], now - before)
            if not up:
                held[0] = now - began
                return True
        elif up and idle:
            began = now
            # The look before, which saw it down, was at some time after `earlier`.
            step[0] = now - earlier
        idle = idle or not up
    return False


# --------------------------------------------------------------------------------------------------
# Claims and series of frames
# --------------------------------------------------------------------------------------------------

@cython.final
@cython.auto_pickle(False)
cdef class Claim:
    """The next frame of a stream, to be filled in place; made by `Stream.claim`.

    Attributes
    ----------
    counter : int or None
        Counter of the frame once it was published.
    """

    cdef Stream stream
    cdef Mapping mapping
    cdef bint has_atime
    cdef int64_t atime_ns
    cdef int64_t slice
    cdef readonly object counter

    def __init__(self):
        raise TypeError("a Claim is made by Stream.claim()")

    def __enter__(self):
        """Begin the frame; returns a writable view of shape `Stream.frame_shape`."""
        if self.stream is None:
            raise TypeError("a Claim is made by Stream.claim()")
        self.stream._pixels(True)
        frame = self.stream.view(writable=True)
        # Held, so that closing the stream meanwhile cannot take the memory away.
        cdef Mapping mapping = self.stream._hold()
        self.stream._take_turn()
        self.mapping = mapping
        open_frame(mapping.base)
        self.slice = next_slice(mapping.base, &self.stream.h)
        return frame if self.slice < 0 else frame[self.slice]

    def __exit__(self, kind, error, trace):
        cdef Mapping mapping = self.mapping
        if mapping is None:
            name = None if self.stream is None else self.stream.name
            raise StreamBusyError(
                f"stream {name!r}: this claim was not entered, or was left already", stream=name)
        self.mapping = None
        self.stream.busy = 0
        if kind is None:
            counter = close_frame(mapping.base, &self.stream.h, self.has_atime, self.atime_ns, self.slice)
            self.stream._check_whole(mapping)
            self.counter = counter
        else:
            abandon_frame(mapping.base)


cdef inline bint come_due(int64_t due, int64_t stop_at, int64_t *now) noexcept nogil:
    """Wait until a frame is due; False if it is not yet, and time (stop_at) to look at other things.

    Sleeps to just before, and watches the clock for the rest: sleeping alone is late by tens of microseconds.
    """
    while due - now[0] > 2 * PACING_SPIN_NS:
        if now[0] >= stop_at:
            return False
        sleep_until(min(due - PACING_SPIN_NS, stop_at))
        now[0] = clock_ns(CLOCK_MONOTONIC)
    while now[0] < due:
        pymilk_pause()
        now[0] = clock_ns(CLOCK_MONOTONIC)
    return True


cdef inline uint64_t publish_one(
    char *base, const Header *h, const char *frame, bint has_atime, int64_t atime_ns
) noexcept nogil:
    """Publish a frame of a series; returns its counter."""
    open_frame(base)
    cdef int64_t slice = next_slice(base, h)
    if slice >= 0:
        fill_slot(frame_at(base, h, slice), frame, h.unit_nbytes)
    else:
        copy_bytes(base + h.at.array, frame, h.unit_nbytes, False)
    return close_frame(base, h, has_atime, atime_ns, slice)


cdef uint64_t _publish_series(
    char *base, const Header *h, const char *frames, const int64_t *atimes, uint64_t held, uint64_t done,
    uint64_t total, int64_t interval, int64_t *due, bint check, const int *closed, uint64_t *counter,
) noexcept nogil:
    """Publish frames done to total, or until it is time to look at signals; returns the next one."""
    cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
    cdef int64_t stop_at = now + CHECK_NS
    cdef uint64_t at
    if due[0] == 0:
        due[0] = now
    while done < total and not atomic_load_int(closed):
        if interval:
            if not come_due(due[0], stop_at, &now):
                return done
            due[0] = due[0] + interval if now - due[0] < interval else now + interval
        at = done % held
        counter[0] = publish_one(
            base, h, frames + at * h.unit_nbytes, atimes != NULL, atimes[at] if atimes != NULL else 0)
        done += 1
        now = clock_ns(CLOCK_MONOTONIC)
        if check and now >= stop_at:
            return done
    return done


cdef struct Feed:
    char *slots
    uint64_t depth
    uint64_t nbytes         # of a frame
    const int64_t *steps    # nanoseconds from the frame before to that of each slot; NULL: none is waited for
    int64_t *dues           # when the frame of each slot was due, and when it was published: CLOCK_MONOTONIC
    int64_t *moments
    int64_t slack           # a frame that is late by more shifts those behind it
    uint64_t ready          # frames that were handed over so far; the thread that fills stores it last
    uint64_t done           # frames that were published so far; the thread that publishes stores it last
    uint64_t starved        # of these, those that were not there yet when they were due
    int64_t due             # of the frame published last
    int over                # no frame comes behind those that are ready
    int stopped             # not even those are wanted


cdef bint _publish_feed(char *base, const Header *h, Feed *feed, bint check, const int *closed) noexcept nogil:
    """Publish what a feed has, each frame at its time; False if it is time to look at signals first."""
    cdef int64_t due, now = clock_ns(CLOCK_MONOTONIC)
    cdef int64_t stop_at = now + CHECK_NS
    cdef uint64_t slot
    cdef bint over, starving = False
    while not atomic_load_int(closed) and not atomic_load_int(&feed.stopped):
        # Before `ready`: whoever says so has handed over all. Pairs with the release in FrameFeed.end.
        over = atomic_load_i32(<int32_t *>&feed.over, __ATOMIC_ACQUIRE)
        if atomic_load_u64(&feed.ready, __ATOMIC_ACQUIRE) == feed.done:
            if over:
                return True
            starving = True
            sleep_until(now + STARVED_NS)
            now = clock_ns(CLOCK_MONOTONIC)
        else:
            slot = feed.done % feed.depth
            due = feed.due + (feed.steps[slot] if feed.steps != NULL else 0)
            if starving and now > due and feed.done:
                feed.starved += 1
            starving = False
            # No burst makes up for time that was lost.
            if feed.steps == NULL or feed.done == 0 or now - due > feed.slack:
                due = now
            elif not come_due(due, stop_at, &now):
                if check:
                    return False
                stop_at = now + CHECK_NS
                continue
            publish_one(base, h, feed.slots + slot * feed.nbytes, False, 0)
            now = clock_ns(CLOCK_MONOTONIC)
            feed.due = feed.dues[slot] = due
            feed.moments[slot] = now
            # The slot is free, and its times can be had. Pairs with the acquire load in FrameFeed.done.
            atomic_store_u64(&feed.done, feed.done + 1, __ATOMIC_RELEASE)
        if now >= stop_at:
            if check:
                return False
            stop_at = now + CHECK_NS
    return True


@cython.final
@cython.auto_pickle(False)
cdef class FrameFeed:
    """Slots through which one thread hands frames to another, which publishes each of them at its time.

    The one fills slots, in turn, and hands them over; the other is in `Stream.publish_feed`, without the GIL
    from the first frame to the last.

    Parameters
    ----------
    depth : int
        Slots, 1 or more.
    shape : tuple of int
        Of a frame, as the stream has it.
    dtype : dtype
    slack_ns : int or None
        None publishes frames as soon as they are there. Else each waits for its time, and one that is late by
        more than so many nanoseconds shifts those behind it: there are no bursts.

    Attributes
    ----------
    slots : ndarray, shape (depth, *shape)
        To be filled; pre-faulted.
    steps : ndarray of int64, shape (depth,)
        To be filled: nanoseconds from the frame before to that of each slot. That of the first frame has no
        effect.
    dues, moments : ndarray of int64, shape (depth,)
        When the frame of each slot was due, and when it had been published: nanoseconds of CLOCK_MONOTONIC.
        Valid for frames that are done, until their slots are handed over again.

    Raises
    ------
    StreamArgumentError, CaptureMemoryError
    """

    cdef Feed feed
    cdef Mapping _frames
    cdef int64_t[::1] _steps
    cdef int64_t[::1] _dues
    cdef int64_t[::1] _moments
    cdef readonly object slots
    cdef readonly object steps
    cdef readonly object dues
    cdef readonly object moments

    def __cinit__(self, depth, shape, dtype, slack_ns):
        if not (hasattr(depth, "__index__") and 1 <= depth < 2**62):
            raise StreamArgumentError(
                f"depth is a number of frames, 1 or more, not {depth!r}", argument="depth", found=depth)
        if slack_ns is not None and not (hasattr(slack_ns, "__index__") and 0 <= slack_ns < 2**62):
            raise StreamArgumentError(
                f"slack_ns is nanoseconds, 0 or more, or None, not {slack_ns!r}",
                argument="slack_ns", found=slack_ns)
        kind = np.dtype(dtype)
        count = depth.__index__()
        nbytes = math.prod(shape) * kind.itemsize
        self._frames = anonymous(
            count * nbytes, f"a feed of {count} frames {tuple(shape)} of {kind}", "take a smaller depth")
        self.slots = _ndarray((count, *shape), kind, self._frames.region(0, count * nbytes, True))
        self._steps = self.steps = np.zeros(count, np.int64)
        self._dues = self.dues = np.zeros(count, np.int64)
        self._moments = self.moments = np.zeros(count, np.int64)
        self.feed.slots = self._frames.base
        self.feed.depth = count
        self.feed.nbytes = nbytes
        self.feed.dues = &self._dues[0]
        self.feed.moments = &self._moments[0]
        if slack_ns is not None:
            self.feed.steps = &self._steps[0]
            self.feed.slack = slack_ns

    @property
    def ready(self):
        """Frames that were handed over so far."""
        return self.feed.ready

    @property
    def done(self):
        """Frames that were published so far."""
        return atomic_load_u64(&self.feed.done, __ATOMIC_ACQUIRE)

    @property
    def starved(self):
        """Of these, those that had not been handed over when they were due."""
        return self.feed.starved

    def hand_over(self, count):
        """Say that the next `count` slots, behind those that are ready, are filled.

        Raises
        ------
        StreamArgumentError
            So many are not free.
        """
        room = self.feed.depth - (self.feed.ready - self.done)
        added = _index("", "count", count, room + 1)
        # Pairs with the acquire load in _publish_feed: who sees the number sees the frames.
        atomic_store_u64(&self.feed.ready, self.feed.ready + <uint64_t>added, __ATOMIC_RELEASE)

    def end(self):
        """Say that no frame comes behind those that are ready: publishing ends with them."""
        # Release: pairs with the acquire load in _publish_feed, which then sees all that was handed over.
        atomic_store_i32(<int32_t *>&self.feed.over, 1, __ATOMIC_RELEASE)

    def stop(self):
        """End the publishing now, within 50 ms."""
        raise_flag(&self.feed.stopped, 1)


# --------------------------------------------------------------------------------------------------
# The usual case of reading and writing
# --------------------------------------------------------------------------------------------------

@cython.auto_pickle(False)
cdef class FrameAccess:
    """Base of `SHM`: reads and writes frames. The usual case is here; a Python method costs as much as the copy.

    What is not the usual case (another orientation, waiting, a stream that was replaced, memory of other kinds)
    is left to `_get_frame` and `_set_frame` of the subclass.

    Attributes
    ----------
    _stream : Stream or None
        None once it is closed.
    _view : ndarray
        The pixels as the user sees them.
    _plain : bool
        Frames, or slices of a temporal cube, are given and taken as the stream has them.
    _seen : int
        Number of the frame that was read or waited for last.
    """

    cdef public object _stream
    cdef public object _view
    cdef public bint _plain
    cdef public uint64_t _seen

    def get_data(self, check=False, *positional, timeout=5.0, copy=True, checkSemAndFlush=True,
                 autorelink_if_need=True, return_none_on_timeout=False, cube=False, out=None, reform=True,
                 sleepT=0.001):
        """Return a frame: the newest one, or the next one.

        Parameters
        ----------
        check : bool, default False
            Wait for a new frame first. The GIL is released, Ctrl-C ends the wait.
        timeout : float or None, default 5.0
            Seconds to wait; None, 0 and negative wait for ever.
        copy : bool, default True
            False gives a view: memory that stays valid for ever, and holds the frame until the writer
            begins the next one. Whether it is whole cannot be checked. What is written to it is seen by
            everybody, and announced with `repost`; it is read-only if the stream is.
        checkSemAndFlush : bool, default True
            Wait for a frame published after the call. False also takes one that was published since
            this object last waited or read one.
        autorelink_if_need : bool, default True
            Follow a stream that was replaced. False reads on in the old file; waiting in it raises
            `StreamReplacedError`.
        return_none_on_timeout : bool, default False
            On a timeout return None instead of the old frame.
        cube : bool, default False
            Of a temporal circular cube, return all slices in the order of the file instead of the newest
            one. Its writer does not wait: one of them, behind the newest, may be changing.
        out : array or buffer, shape `shape`, stream dtype, optional
            Filled and returned: nothing is allocated. NumPy arrays, memory-mapped files, shared memory,
            whatever has the buffer protocol or DLPack on the CPU; memory without a shape has as many
            bytes. C-contiguous is fastest. With `cube`: shape (slices, *shape).
        reform, sleepT
            Accepted because older calls pass them, also by position (a bool behind `check` is `reform`);
            without effect.

        Returns
        -------
        ndarray, shape `shape`, or None
            A copy is never torn, unless a `FrameTornWarning` says so. Of a temporal circular cube: its
            newest slice, or with `cube` all of them, shape (slices, *shape).

        Raises
        ------
        StreamChangedError
            The stream was recreated with another shape or dtype.
        FrameMismatchError
            `out` does not fit, or is given with ``copy=False``.
        StreamClosedError

        Warns
        -----
        StreamTimeoutWarning
            No new frame in time, and the old one is returned.
        FrameTornWarning
            The writer died in this frame, or leaves no time to copy one.

        Notes
        -----
        Copies of frames from 128 KiB on come in page-aligned memory of frames that nobody has any more; at most
        8 such blocks and 256 MiB are kept for that. From 512 KiB on the GIL is released for the copy.
        """
        cdef Stream stream
        if check is False and cube is False and self._plain and not positional and type(self._stream) is Stream:
            stream = <Stream>self._stream
            if stream.mapping is not None and not (autorelink_if_need and stream._is_replaced()):
                if out is None and copy is True:
                    frame = stream._read()
                    self._seen = stream.frame_counter
                    if stream.frame_flags & _TORN:
                        _warn_of_tear(stream.name, stream.frame_counter)
                    return frame
                if out is None and copy is False and not stream.h.temporal:
                    self._seen = atomic_load_u64(
                        &(<IMAGE_METADATA *>stream.mapping.base).cnt0, __ATOMIC_ACQUIRE)
                    return self._view.view()
                if copy is True and type(out) is _ndarray and stream._read_into(out):
                    self._seen = stream.frame_counter
                    if stream.frame_flags & _TORN:
                        _warn_of_tear(stream.name, stream.frame_counter)
                    return out
        return self._get_frame(check, positional, timeout, copy, checkSemAndFlush, autorelink_if_need,
                               return_none_on_timeout, cube, out, reform, sleepT)

    def set_data(self, data, check_dt=False, autorelink_if_need=False):
        """Publish a frame.

        Parameters
        ----------
        data : array_like, shape `shape`
            Any memory and byte order. An array must have the dtype of the stream; lists and scalars are
            converted, to integers if that changes no value, and to floating-point numbers by rounding.
        check_dt : bool, default False
            Convert an array of another dtype, with NumPy's usual (unsafe) rules.
        autorelink_if_need : bool, default False
            Follow a stream that was replaced. False raises `StreamReplacedError` then: nobody could
            read what is written to the old file.

        Raises
        ------
        FrameMismatchError
            Shape or dtype differ; nothing was written.
        StreamReadOnlyError, StreamClosedError, StreamReplacedError, StreamChangedError
        """
        cdef Stream stream
        if self._plain and type(data) is _ndarray and type(self._stream) is Stream:
            stream = <Stream>self._stream
            if (stream.mapping is not None and data.dtype is stream.dtype and not stream._is_replaced()
                    and not (stream.h.temporal and data.shape != stream.frame_shape)):
                stream._publish(data, False, 0)
                return
        self._set_frame(data, check_dt, autorelink_if_need)


# How editors and help show it: what is read from *positional are parameters that may be given by position.
positional_too(*FRAME_OPTIONS)(FrameAccess.get_data)


# --------------------------------------------------------------------------------------------------
# Making and attaching
# --------------------------------------------------------------------------------------------------

cdef Stream _attach(str path, bint writable, int ready_wait_ms, bint prefault, bint exclusive):
    cdef Stream stream = Stream.__new__(Stream)
    cdef _Snapshot shot
    cdef int fd
    cdef str note = "" if writable else "read-only as asked"
    try:
        fd = _open(path, writable)
    except StreamPermissionError:
        if not writable:
            raise
        fd = _open(path, False)
        writable = False
        note = "read-only: the file does not permit writing"
    try:
        shot = _take_snapshot(fd, path, ready_wait_ms)
        stream.mapping = map_file(fd, shot.h.at.total, writable, path)
        if prefault:
            map_pages(stream.mapping, fd)
    finally:
        c_close(fd)
    if not writable:
        note += ", waiting watches the counter"
    _dress(stream, &shot.h, path, note)
    stream.device = shot.device
    stream.file_inode = shot.inode
    if exclusive:
        stream.alone = True
        stream._writable_base()  # raises if it is not
        try:
            stream._take_turn()
        except StreamReplacedError:  # just now
            return _attach(path, writable, ready_wait_ms, prefault, True)
        stream.busy = 0
    return stream


cdef int _dress(Stream stream, const Header *h, str path, str note) except -1:
    """Give a stream that has its mapping the rest."""
    stream.h = h[0]
    stream.path = path
    stream.path_bytes = os.fsencode(path)
    stream.name = stream_name(path)
    stream.shape = _shape_of(h)
    stream.frame_shape = _frame_shape_of(h)
    stream.dtype = _DTYPES[h.datatype]
    stream.note = note
    stream.grace = WRITE_GRACE_NS
    return 0


cdef int _plan(Header *h, str name, object shape, object dtype, object nbkw, object nbsem,
               object imagetype, object cb_size, object location, object layout) except -1:
    """Check what a stream is to be, and work out where everything goes."""
    cdef int i, code = 0
    memset(h, 0, sizeof(Header))
    try:
        # operator.index: neither text nor fractions are axes.
        axes = shape if not hasattr(shape, "__index__") else (shape,)
        axes = tuple([operator.index(axis) for axis in axes])
    except TypeError:
        raise _bad_argument(name, "shape", shape, "a tuple of 0 to 3 axes") from None
    if len(axes) > 3:
        raise _bad_argument(name, "shape", shape, "a tuple of at most 3 axes")
    if not all([1 <= axis < 2**32 for axis in axes]):
        raise _bad_argument(name, "shape", shape, "axes of 1 to 2**32 - 1")
    # One element where there is no axis, as the format has no scalars.
    axes = axes or (1,)
    if math.prod(axes) > _NELEMENT_MAX:
        raise _bad_argument(
            name, "shape", shape, f"at most {_NELEMENT_MAX} elements, which is what ImageStreamIO opens")
    try:
        wanted = np.dtype(dtype)
    except (TypeError, ValueError):
        raise _bad_argument(name, "dtype", dtype, "a NumPy dtype") from None
    if wanted == np.bool_:
        wanted = np.dtype(np.uint8)
    for known, candidate in _DTYPES.items():
        if (candidate.kind, candidate.itemsize) == (wanted.kind, wanted.itemsize):
            code = known
    if not code:
        raise _bad_argument(
            name, "dtype", str(wanted), "an integer of 8 to 64 bits, float16 to float64, "
            "complex64, complex128 or bool")
    for argument, found, limit in (
        ("nbkw", nbkw, 2**16), ("nbsem", nbsem, 2**16), ("cb_size", cb_size, 2**32),
        ("imagetype", imagetype, 2**64),
    ):
        if not (hasattr(found, "__index__") and 0 <= found < limit):
            raise _bad_argument(name, argument, found, f"an int of 0 to {limit - 1}")
    if not (hasattr(location, "__index__") and -1 <= location < 128):
        raise _bad_argument(name, "location", location, "-1 (pixels in the file) or a GPU number")
    if imagetype & 0xF000F == CIRCULAR_BUFFER and len(axes) != 3:
        raise _bad_argument(
            name, "imagetype", imagetype, "a circular buffer only for streams with 3 axes")
    h.naxis = len(axes)
    for i in range(h.naxis):
        h.size[i] = axes[h.naxis - 1 - i]
    h.datatype = code
    h.item_nbytes = ITEM_NBYTES[code]
    h.nelement = math.prod(axes)
    h.layout = _layout_of(layout)
    h.n = Counts(
        imagetype=imagetype, frame_nbytes=h.nelement * h.item_nbytes, slices=h.size[2],
        cbsize=cb_size, sem=nbsem, nbkw=nbkw, nbtrace=IMAGE_NB_PROCTRACE, location=location)
    note_unit(h)
    if not plan_sections(h.layout, &h.n, &h.at) or h.at.total >= <uint64_t>2**62:
        raise _bad_argument(name, "cb_size", cb_size, "small enough for a file below 2**62 bytes")
    return 0


cdef Stream _create(Header *h, str path, str name, bytes version, object mode, bint exist_ok,
                    bint exclusive):
    """Make the file under a temporary name, fill it, and move it into place."""
    cdef Stream stream = Stream.__new__(Stream)
    cdef _Snapshot old = None
    cdef Mapping old_mapping = None
    cdef stat st
    cdef int fd = -1, old_fd = -1, code = EINTR
    cdef object guard = None
    cdef bint new
    directory = os.path.dirname(path) or "."
    temporary = temporary_path(path)
    try:
        remove_abandoned(directory)
    except OSError:
        pass  # what is wrong with the directory shows below, where it matters
    try:
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
                     0o666 if mode is None else mode)
    except (FileNotFoundError, NotADirectoryError):
        raise StreamNotFoundError(
            f"stream {name!r}: directory {directory} does not exist; create it or set MILK_SHM_DIR",
            stream=name, path=directory) from None
    except OSError as error:
        if error.errno in (_errno.EACCES, _errno.EPERM, _errno.EROFS):
            raise StreamPermissionError(
                f"stream {name!r}: no permission to create files in {directory}",
                stream=name, path=directory) from None
        if error.errno == _errno.ENOSPC:
            raise _no_space(name, directory, h.at.total) from None
        raise StreamError(f"{temporary}: cannot be created: {error.strerror}", stream=name) from error
    try:
        mark_busy(fd)
        if mode is not None:
            os.fchmod(fd, mode)
        room = os.statvfs(directory)
        if h.at.total > room.f_bavail * room.f_frsize:
            raise _no_space(name, directory, h.at.total)  # rather than fill the disk before it fails
        while code == EINTR:
            PyErr_CheckSignals()
            with nogil:
                code = posix_fallocate(fd, 0, h.at.total)
        if code and code != _errno.ENOSPC:
            raise StreamStorageError(
                f"stream {name!r}: reserving {h.at.total} bytes in {directory} failed: "
                f"{os.strerror(code)}", stream=name, path=directory, needed=h.at.total)
        if code:
            raise _no_space(name, directory, h.at.total)
        if fstat(fd, &st) != 0:
            raise StreamError(f"{temporary}: {os.strerror(errno)}", stream=name)
        stream.mapping = map_file(fd, h.at.total, True, path)
        map_pages(stream.mapping, fd)
        h.inode = st.st_ino
        _fill_new(stream.mapping.base, h, os.fsencode(name), version, True)
        if exclusive:
            # Through a descriptor of its own: memory that is mapped through this one would keep the lock.
            mark_idle(fd)
            stream.lock = lock_writer(os.open(temporary, os.O_RDONLY | os.O_CLOEXEC), name, path)
            stream.alone = True
            stream.admitted = own_pid
        try:
            while True:
                PyErr_CheckSignals()
                if old_fd >= 0:
                    mark_idle(old_fd)
                    c_close(old_fd)
                    old_fd = -1
                old_mapping = None
                new = False
                try:
                    old_fd = _open(path, True, follow=False)  # a link is replaced, and not what it leads to
                    old = _take_snapshot(old_fd, path, 0)
                    old_mapping = map_file(old_fd, old.h.at.total, True, path)
                except StreamNotFoundError:
                    new = True
                except StreamError:
                    pass  # nothing that has readers to be told
                # Who has the old file to himself keeps it; and nobody gets it until the new one is in place.
                if exist_ok and old_fd >= 0 and not exclusive:
                    check_free(old_fd, name, path)
                elif exist_ok and old_fd >= 0:
                    guard = lock_writer(os.dup(old_fd), name, path)
                    if not os.path.exists(path) or not os.path.samestat(os.fstat(old_fd), os.stat(path)):
                        guard.release()
                        continue  # it was replaced just now
                try:
                    if exist_ok and not (exclusive and new):
                        os.rename(temporary, path)
                    else:
                        os.link(temporary, path)  # unlike a rename, a link never replaces
                        os.unlink(temporary)
                    break
                except FileExistsError:
                    if not exist_ok:
                        raise StreamExistsError(
                            f"stream {name!r} exists at {path}; remove it, or create with exist_ok=True",
                            stream=name, path=path) from None
        except IsADirectoryError:
            raise StreamExistsError(
                f"stream {name!r}: {path} is a directory", stream=name, path=path) from None
        except PermissionError:
            raise StreamPermissionError(
                f"stream {name!r}: no permission to replace {path}, which belongs to another user",
                stream=name, path=path) from None
        if old_mapping is not None:
            retire(old_fd, old_mapping, &old.h)
    except BaseException:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass  # it was in place already
        raise
    finally:
        if guard is not None:
            guard.release()
        if old_fd >= 0:
            mark_idle(old_fd)
            c_close(old_fd)
        mark_idle(fd)
        c_close(fd)
    _dress(stream, h, path, "")
    stream.device = st.st_dev
    stream.file_inode = st.st_ino
    return stream


cdef int retire(int fd, Mapping mapping, const Header *h) except -1:
    """Mark a stream that nobody can open any more, and wake its readers so that they see it.

    Not if it still has a name: it may have been reached through a link.
    """
    cdef stat st
    if fstat(fd, &st) == 0 and st.st_nlink == 0 and mapping.writable:
        (<IMAGE_METADATA *>mapping.base).inode = 0
        post_all(mapping.base, h)
    return 0


cdef object _no_space(str name, str directory, uint64_t needed):
    room = os.statvfs(directory)
    available = room.f_bavail * room.f_frsize
    return StreamStorageError(
        f"stream {name!r} needs {needed} bytes in {directory}, where {available} are free; "
        "remove streams that nobody uses, or enlarge the file system",
        stream=name, path=directory, needed=needed, available=available)


cdef int _fill_new(char *base, const Header *h, bytes name, bytes version, bint shared) except -1:
    """Write what a new stream holds. The memory is all zero; the version comes last."""
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    cdef uint64_t nbytes = h.n.frame_nbytes
    cdef IMAGE_KEYWORD *keywords = <IMAGE_KEYWORD *>(base + h.at.keywords)
    cdef STREAM_PROC_TRACE *trace = <STREAM_PROC_TRACE *>(base + h.at.trace)
    cdef int i
    memcpy(md.name, <const char *>name, min(len(name), STRINGMAXLEN_IMAGE_NAME - 1))
    md.naxis = h.naxis
    for i in range(3):
        md.size[i] = h.size[i]
    md.nelement = h.nelement
    md.datatype = h.datatype
    md.imagetype = h.n.imagetype
    md.creatorPID = own_pid
    md.shared = shared
    md.inode = h.inode
    md.location = h.n.location
    md.sem = h.n.sem
    md.NBproctrace = h.n.nbtrace
    md.NBkw = h.n.nbkw
    md.CBsize = h.n.cbsize
    memcpy(base + at_imdatamemsize(h.layout), &nbytes, 8)
    for i in range(h.n.nbkw):
        keywords[i].type = c"N"
    for i in range(h.n.sem):
        sem_init(semaphore(base, h, i), 1, 0)
        (<int32_t *>(base + h.at.sem_read_pid))[i] = -1
        (<int32_t *>(base + h.at.sem_write_pid))[i] = -1
    for i in range(h.n.nbtrace):
        trace[i].trigsemindex = -1
    md.lastaccesstime = to_timespec(clock_ns(CLOCK_TAI))
    md.creationtime = to_timespec(clock_ns(CLOCK_TAI))
    # Everything else is there before the version says that the stream is ready.
    atomic_fence(__ATOMIC_RELEASE)
    memcpy(md.version, <const char *>version, len(version))
    return 0
