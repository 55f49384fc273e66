"""Process-information files in memory: fields by offset, and the loop's own records of time and trigger.

`MappedFile` reads and writes bytes of any such file and raises if the file was cut. `LoopRecord` is what a
process does to its own file in each iteration: obey the control word, note start and end, count. Both touch
shared memory with plain aligned loads and stores, as the C library does; there is no lock in the format.
"""

import os
import stat

cimport cython
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .._isio cimport (
    CLOCK_MONOTONIC, CLOCK_TAI, __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, __ATOMIC_SEQ_CST, atomic_load_i32,
    atomic_store_i32, atomic_store_u64, atomic_swap_if_i32, clock_gettime, timespec,
)
from ..native.memory cimport Mapping, map_file
from ..protocol.clock cimport clock_ns, sleep_until, stamp_ns

from ..errors import (
    ProcessInfoClosedError,
    ProcessInfoDamagedError,
    ProcessInfoFormatError,
    ProcessInfoNotFoundError,
    ProcessInfoPermissionError,
    ProcessInfoStorageError,
)
from ..system.causes import cause_of, ended_resources
from .process_layout import TIMER_SLOTS as _TIMER_SLOTS
from .process_layout import Control, LoopState

cdef enum:
    # Bit of Mapping.closed that the handler of SIGBUS sets (PYMILK_LOST of protocol/guard.h, which must not
    # be included here: its table belongs to native/memory).
    LOST = 2
    # How often a paused loop looks at its control word, and after how many looks it lets signals be handled.
    PAUSE_LOOK_NS = 500_000
    LOOKS_PER_CHECK = 100
    TIMERS = 100
    PAUSE = 1
    STEP = 2
    LOOP_ACTIVE = 1
    LOOP_PAUSED = 2
    TRIGGER_WAITING = 1
    TRIGGER_RECEIVED = 2
    TRIGGER_TIMEDOUT = 3

# The enum above repeats names of process_layout, which C code cannot read.
assert (TIMERS, PAUSE, STEP) == (_TIMER_SLOTS, Control.PAUSE, Control.STEP)
assert (LOOP_ACTIVE, LOOP_PAUSED) == (LoopState.ACTIVE, LoopState.PAUSE)


cdef inline timespec tai_now() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_TAI, &now)
    return now


# Every number of the file is loaded and stored so: another process may do the same at any time.

cdef inline int32_t load(int32_t *at) noexcept nogil:
    return atomic_load_i32(at, __ATOMIC_ACQUIRE)


cdef inline void store(int32_t *at, int32_t value) noexcept nogil:
    atomic_store_i32(at, value, __ATOMIC_RELEASE)


cdef inline void store_long(int64_t *at, uint64_t value) noexcept nogil:
    atomic_store_u64(<uint64_t *>at, value, __ATOMIC_RELEASE)


cdef inline void add(int64_t *at, uint64_t count) noexcept nogil:
    """Add to a counter. Only the owner does this. Unsigned: a value that another program stored may wrap."""
    store_long(at, <uint64_t>at[0] + count)


cdef inline bint swap(int32_t *at, int32_t old, int32_t value) noexcept nogil:
    """Store a value if the old one is still there."""
    return atomic_swap_if_i32(at, &old, value, False, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)


@cython.auto_pickle(False)
cdef class MappedFile:
    """A file in memory, read and written by offset.

    Parameters
    ----------
    path : str
    writable : bool

    Raises
    ------
    ProcessInfoNotFoundError, ProcessInfoPermissionError
        There is no such file, or it may not be opened so.
    ProcessInfoFormatError
        It is not a regular file, or empty. The caller checks the size.

    Notes
    -----
    Links are not followed: these files lie in directories that all users may write to.
    """

    cdef Mapping mapping
    cdef readonly str path
    cdef readonly size_t nbytes
    cdef readonly unsigned long long inode

    def __init__(self, str path, bint writable):
        flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            fd = os.open(path, flags)
        except FileNotFoundError:
            raise ProcessInfoNotFoundError(f"{path}: there is no such file", path=path) from None
        except OSError as error:
            kind = ProcessInfoStorageError if ended_resources(error) is not None else ProcessInfoPermissionError
            raise kind(
                f"{path} cannot be opened for {'writing' if writable else 'reading'}: {cause_of(error)}",
                path=path) from error
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
                raise ProcessInfoFormatError(
                    f"{path}: not a process-information file: "
                    + ("it is empty" if stat.S_ISREG(found.st_mode) else "it is not a regular file"),
                    path=path, field="file size", expected="> 0", found=found.st_size)
            self.mapping = map_file(fd, found.st_size, writable, path)
        finally:
            os.close(fd)
        self.path = path
        self.nbytes = found.st_size
        self.inode = found.st_ino

    cdef char *at(self, size_t offset, size_t nbytes) except NULL:
        """Return the address of a range, after checking that it lies inside."""
        if self.mapping is None:
            raise ProcessInfoClosedError(f"{self.path}: this object is closed", path=self.path)
        if offset > self.nbytes or nbytes > self.nbytes - offset:
            raise IndexError(f"{self.path}: bytes {offset} to {offset + nbytes} of {self.nbytes}")
        return self.mapping.base + offset

    cdef int check(self) except -1:
        """Raise if the file was cut; called after each use of the memory, whose pages may then be zeros."""
        if (<volatile int *>&self.mapping.closed)[0] & LOST:
            raise ProcessInfoDamagedError(
                f"{self.path}: the file was cut while it was in use; another program damaged it",
                path=self.path, field="file size", expected=self.nbytes, found="less")
        return 0

    def get(self, size_t offset, size_t nbytes):
        """Return a copy of some bytes."""
        found = PyBytes_FromStringAndSize(self.at(offset, nbytes), nbytes)
        self.check()
        return found

    def put(self, size_t offset, bytes content):
        """Store some bytes; 4 and 8 aligned ones in one store."""
        cdef char *target = self.at(offset, len(content))
        cdef char *source = PyBytes_AsString(content)
        cdef int32_t word
        cdef uint64_t longer
        if not self.mapping.writable:
            raise ProcessInfoPermissionError(f"{self.path} was opened for reading only", path=self.path)
        if len(content) == 4 and offset % 4 == 0:
            memcpy(&word, source, 4)
            store(<int32_t *>target, word)
        elif len(content) == 8 and offset % 8 == 0:
            memcpy(&longer, source, 8)
            store_long(<int64_t *>target, longer)
        else:
            memcpy(target, source, len(content))
        self.check()

    @property
    def writable(self):
        """Whether `put` is possible."""
        return self.mapping is not None and self.mapping.writable

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.mapping is None

    def close(self):
        """Let go of the memory."""
        self.mapping = None


@cython.final
@cython.auto_pickle(False)
cdef class LoopRecord(MappedFile):
    """What a process stores in its own file, iteration by iteration.

    Parameters
    ----------
    path : str
    fields : dict of Field
        From `process_layout`; the caller has checked that the file has this layout.

    Notes
    -----
    One thread at a time. Each call takes below 0.2 us, but for `gate` while the loop is paused.
    """

    cdef int32_t *control
    cdef int32_t *loopstat
    cdef int64_t *loopcnt
    cdef int64_t *limit
    cdef int32_t *measure
    cdef int32_t *index
    cdef int32_t *wraps
    cdef timespec *starts
    cdef timespec *ends
    cdef int32_t *iter_enable
    cdef int64_t *iter_limit
    cdef int32_t *exec_enable
    cdef int64_t *exec_limit
    cdef int64_t *trigger_counter
    cdef int32_t *trigger_missed
    cdef int64_t *trigger_missed_total
    cdef int64_t *trigger_timeouts
    cdef int32_t *trigger_status
    cdef int64_t began, previous

    def __init__(self, str path, dict fields):
        MappedFile.__init__(self, path, True)
        self.control = <int32_t *>self.place(fields, "CTRLval")
        self.loopstat = <int32_t *>self.place(fields, "loopstat")
        self.loopcnt = <int64_t *>self.place(fields, "loopcnt")
        self.limit = <int64_t *>self.place(fields, "loopcntMax")
        self.measure = <int32_t *>self.place(fields, "MeasureTiming")
        self.index = <int32_t *>self.place(fields, "timerindex")
        self.wraps = <int32_t *>self.place(fields, "timingbuffercnt")
        self.starts = <timespec *>self.place(fields, "texecstart")
        self.ends = <timespec *>self.place(fields, "texecend")
        self.iter_enable = <int32_t *>self.place(fields, "dtiter_limit_enable")
        self.iter_limit = <int64_t *>self.place(fields, "dtiter_limit_value")
        self.exec_enable = <int32_t *>self.place(fields, "dtexec_limit_enable")
        self.exec_limit = <int64_t *>self.place(fields, "dtexec_limit_value")
        self.trigger_counter = <int64_t *>self.place(fields, "triggerstreamcnt")
        self.trigger_missed = <int32_t *>self.place(fields, "triggermissedframe")
        self.trigger_missed_total = <int64_t *>self.place(fields, "triggermissedframe_cumul")
        self.trigger_timeouts = <int64_t *>self.place(fields, "trigggertimeoutcnt")
        self.trigger_status = <int32_t *>self.place(fields, "triggerstatus")
        self.began = self.previous = 0

    cdef char *place(self, dict fields, str name) except NULL:
        offset, nbytes, _ = fields[name]
        return self.at(offset, nbytes)

    cdef int use(self) except -1:
        """Raise if the memory is gone, or the file was cut until now."""
        if self.mapping is None:
            raise ProcessInfoClosedError(f"{self.path}: this object is closed", path=self.path)
        return self.check()

    def restart(self):
        """Forget the last start: the first iteration of a loop has no period."""
        self.began = self.previous = 0

    def gate(self):
        """Wait while the loop is paused; return the control word that lets it go on.

        Returns
        -------
        int
            RUN, STEP (which becomes PAUSE in the file: one iteration is permitted), EXIT or IDLE. Unknown
            values are returned as they are, and mean RUN.
        """
        cdef int32_t asked
        while True:
            self.use()
            asked = load(self.control)
            if asked == PAUSE:
                store(self.loopstat, LOOP_PAUSED)
                with nogil:
                    self.sleep_while_paused()
                PyErr_CheckSignals()
                continue
            # Exchange, not store: a controller may have written EXIT in between.
            if asked == STEP and not swap(self.control, STEP, PAUSE):
                continue
            if self.loopstat[0] == LOOP_PAUSED:
                store(self.loopstat, LOOP_ACTIVE)
            return asked

    cdef void sleep_while_paused(self) noexcept nogil:
        cdef int _
        for _ in range(LOOKS_PER_CHECK):
            sleep_until(clock_ns(CLOCK_MONOTONIC) + PAUSE_LOOK_NS)
            if load(self.control) != PAUSE:
                return

    def asked(self):
        """Return the control word as it is now, without waiting."""
        self.use()
        return load(self.control)

    def at_limit(self):
        """Tell whether the loop has done as many iterations as its limit permits; a negative one is none."""
        self.use()
        return 0 <= self.limit[0] <= self.loopcnt[0]

    def waiting(self):
        """Note that the loop waits for its trigger."""
        self.use()
        store(self.trigger_status, TRIGGER_WAITING)

    def timed_out(self):
        """Note that the trigger did not come in time."""
        self.use()
        store(self.trigger_status, TRIGGER_TIMEDOUT)
        add(self.trigger_timeouts, 1)

    def triggered(self, uint64_t counter, uint64_t missed):
        """Note the trigger: its counter, and how many frames passed unseen before it."""
        self.use()
        store_long(self.trigger_counter, counter)
        store(self.trigger_missed, <int32_t>missed if missed < 0x7FFFFFFFUL else 0x7FFFFFFF)
        if missed:
            add(self.trigger_missed_total, missed)
        store(self.trigger_status, TRIGGER_RECEIVED)

    def begin(self):
        """Note the start of a computation.

        Returns
        -------
        int
            0, or the period since the last start in ns if it is above the limit that the file sets.
        """
        self.use()
        cdef timespec now = tai_now()
        cdef int32_t slot = load(self.index)  # read once: other programs can write it
        self.previous, self.began = self.began, stamp_ns(&now)
        if self.measure[0] == 1:
            if 0 <= slot < TIMERS - 1:
                slot += 1
            else:
                slot = 0
                store(self.wraps, <int32_t>(<uint32_t>self.wraps[0] + 1))
            # Time before index: a reader that sees the new index sees its start.
            self.starts[slot] = now
            store(self.index, slot)
        if self.iter_enable[0] and self.previous and self.began - self.previous > self.iter_limit[0]:
            return self.began - self.previous
        self.check()
        return 0

    def end(self):
        """Note the end of a computation, and count the iteration.

        Returns
        -------
        int
            0, or the duration in ns if it is above the limit that the file sets.
        """
        self.use()
        cdef timespec now = tai_now()
        cdef int64_t took = stamp_ns(&now) - self.began
        cdef int32_t slot = load(self.index)
        if self.measure[0] == 1 and 0 <= slot < TIMERS:
            self.ends[slot] = now
        add(self.loopcnt, 1)
        self.check()
        return took if self.exec_enable[0] and took > self.exec_limit[0] else 0

    @property
    def began_ns(self):
        """Start of the last computation: ns of CLOCK_TAI; 0 before the first."""
        return self.began
