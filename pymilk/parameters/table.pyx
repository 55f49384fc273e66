"""`ParameterTable`: a parameter file in memory. Exact keys, values by their declared type, waiting without the GIL.

Rules for a method that uses the memory
---------------------------------------
1. Run all Python code that may belong to others (numbers and texts of callers) first; then take a pointer from
   `use` or `slot_at`, to write from `use_to_write` or `slot_to_write`, and use it before the next line that runs Python code: another thread may close the
   table there.
2. End with `check_whole()`: a file that was cut in between reads as zeros.
3. Only `put`, `store`, `add` and what is named "set", "clear" or "write" stores anything.

Keys
----
A parameter is found by its whole keyword, or by its keyword without the first part; never by a piece of it. Where
both mean different parameters, the whole keyword wins, then the one whose first part is the name of the FPS.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from .._isio cimport (
    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, __ATOMIC_RELEASE, CLOCK_MONOTONIC, atomic_load_i32, atomic_load_u32,
    atomic_load_u64, atomic_or_i32, atomic_store_u64, c_close, c_stat, dev_t, fstat, ino_t, stat,
)
from ..native.memory cimport Mapping, map_file
from ..protocol.clock cimport CHECK_NS, Slack, clock_ns, later, lower_slack, restore_slack, sleep_until
from ._fps cimport (
    CLOSED, FLAG_ACTIVE, FLAG_MAXLIMIT, FLAG_MINLIMIT, FLAG_ONOFF, FLAG_WRITE, FLAG_WRITECONF, FLAG_WRITERUN, KIND_F32,
    KIND_F64, KIND_I32, KIND_I64, KIND_NONE, KIND_ONOFF, KIND_PID, KIND_PROCESS, KIND_TEXT, KIND_TIME, KIND_U32,
    KIND_U64, LOST, PYMILK_KEYWORD_NBYTES, PYMILK_TEXT_NBYTES, SIGNAL_UPDATE, STATUS_CONF, STATUS_RUN, FpsParameter,
    Item, Kind, atomic_and_u32, atomic_and_u64, atomic_or_u32, atomic_or_u64, count_write, elements_of, kind_of,
    load_item, may_write, order_of, prefetch, store_item,
    strnlen,
)

import math
import operator
import os
import stat as stat_bits

import numpy as np

from ..arguments import shown
from ..errors import (
    FPSClosedError,
    FPSDamagedError,
    FPSFormatError,
    FPSKeyError,
    FPSLimitError,
    FPSNotFoundError,
    FPSPermissionError,
    FPSReadOnlyError,
    FPSReplacedError,
    FPSStorageError,
    FPSTextError,
    FPSTypeError,
)
from ..system.causes import cause_of
from .layout import LAYOUTS, MOST_SLOTS, layout_of
from .words import ParameterFlag, ParameterType, Signal, Status, Timespec

__all__ = ["Entry", "ParameterTable"]

cdef enum:
    # From one look at watched counters to the end of the sleep before the next: with what a sleep ends late,
    # and what Python needs to hand a change out, that is seen within 1 ms. A longer sleep would see it too
    # late, a shorter one costs more: almost all of the price is the sleep itself (docs/parameters.md).
    WATCH_NS = 870_000
    # Requests are looked at as often as the file says (confwaitus), within these limits.
    SHORTEST_WAIT_NS = 100_000
    LONGEST_WAIT_NS = 50_000_000
    # Most bytes that a text value holds, without its NUL.
    TEXT_MOST = 63

# _fps.pxd repeats numbers of words.py, which C code cannot read.
assert (FLAG_ACTIVE, FLAG_WRITE, FLAG_WRITECONF, FLAG_WRITERUN, FLAG_ONOFF, FLAG_MINLIMIT, FLAG_MAXLIMIT) == tuple(
    ParameterFlag[name]
    for name in ("ACTIVE", "WRITE", "WRITECONF", "WRITERUN", "ONOFF", "MINLIMIT", "MAXLIMIT")
)
assert (STATUS_CONF, STATUS_RUN, SIGNAL_UPDATE) == (Status.CONF, Status.RUN, Signal.UPDATE)

cdef object INT64_RANGE = (-2**63, 2**63 - 1)
cdef object UINT64_RANGE = (0, 2**64 - 1)
cdef object INT32_RANGE = (-2**31, 2**31 - 1)
cdef object UINT32_RANGE = (0, 2**32 - 1)
cdef double LARGEST_SINGLE = float(np.finfo(np.float32).max)


@cython.final
@cython.auto_pickle(False)
cdef class Entry:
    """A parameter as its keyword stood in the file when the table was read.

    Attributes
    ----------
    slot : int
    keyword : str
        As it is stored, all parts.
    key : str
        Shortest unambiguous key: without the name of the FPS in front, where it has that.
    """

    cdef readonly Py_ssize_t slot
    cdef readonly str keyword
    cdef readonly str key
    cdef bytes raw

    def __init__(self):
        raise TypeError("an Entry is made by a ParameterTable")


# Where the members of the header are that C code reads.
cdef struct Header:
    size_t slots_at
    size_t first        # of the first slot
    size_t stride
    size_t signal
    size_t status
    size_t wait_us
    bint counts_values
    bint grows


@cython.final
@cython.auto_pickle(False)
cdef class ParameterTable:
    """A parameter file, attached.

    Parameters
    ----------
    path : str
    name : str
        Of the FPS.
    writable : bool or None
        None: if this user may.

    Attributes
    ----------
    path, name : str
    layout : Layout
    slots : int
        Capacity.
    writable : bool

    Raises
    ------
    FPSNotFoundError, FPSPermissionError, FPSStorageError
        The file cannot be opened.
    FPSFormatError
        It is no parameter file of a known layout.
    """

    cdef Mapping mapping
    cdef int fd             # kept open, to ask whether the file has a name still
    cdef Header at
    cdef dev_t device
    cdef ino_t inode
    cdef bytes path_bytes
    cdef const char *path_chars
    cdef readonly str path
    cdef readonly str name
    cdef readonly object layout
    cdef readonly int64_t slots
    cdef list found         # Entry or None of each slot
    cdef dict index         # key to Entry
    cdef list listed        # entries that a key leads to, in the order of slots

    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        self.let_go()

    def __init__(self, str path, str name, writable=None):
        self.path = path
        self.path_bytes = os.fsencode(path)
        self.path_chars = self.path_bytes
        self.name = name
        self.found, self.index, self.listed = [], {}, []
        self.map(writable)
        self.refresh()

    # -- the file

    cdef int map(self, object writable) except -1:
        """Open, check and map the file; everything that says where its members are is set here."""
        fd, may_write_to_it = open_file(self.path, self.name, writable)
        try:
            status = os.fstat(fd)
            if not stat_bits.S_ISREG(status.st_mode):
                raise not_fps(self, "file type", "a regular file", stat_bits.filemode(status.st_mode))
            fit = layout_of(status.st_size, lambda count, offset: os.pread(fd, count, offset))
            if fit is None:
                raise unknown_size(self, status.st_size)
            self.layout, self.slots = fit
            self.mapping = map_file(fd, status.st_size, may_write_to_it, self.path)
        except BaseException:
            os.close(fd)
            raise
        self.let_go()
        self.fd = fd
        self.device, self.inode = status.st_dev, status.st_ino
        fields = self.layout.fields
        self.at.slots_at = fields["NBparamMAX"].offset
        self.at.signal = fields["signal"].offset
        self.at.status = fields["status"].offset
        self.at.wait_us = fields["confwaitus"].offset
        self.at.first = self.layout.header_nbytes
        self.at.stride = self.layout.slot_nbytes
        self.at.counts_values = self.layout.counts_values
        self.at.grows = self.layout is not LAYOUTS[0]
        self.found += [None] * (self.slots - len(self.found))
        self.check_whole()

    cdef char *use(self) except NULL:
        """Return the memory. It stays for as long as the caller runs no Python code."""
        if self.mapping is None or atomic_load_i32(<int32_t *>&self.mapping.closed, __ATOMIC_RELAXED) & CLOSED:
            raise FPSClosedError(f"fps {self.name!r} is closed; attach it again", fps=self.name, path=self.path)
        return self.mapping.base

    cdef FpsParameter *slot_at(self, Py_ssize_t slot) except NULL:
        return <FpsParameter *>(self.use() + self.at.first + <size_t>slot * self.at.stride)

    cdef FpsParameter *slot_to_write(self, Py_ssize_t slot) except NULL:
        self.use_to_write()
        return self.slot_at(slot)

    cdef char *use_to_write(self) except NULL:
        cdef char *base = self.use()
        if not self.mapping.writable:
            raise FPSReadOnlyError(
                f"fps {self.name!r} is attached read-only; attach it with writable=True, or ask the owner of "
                f"{self.path} for permission", fps=self.name, path=self.path)
        self.check_whole()
        self.check_linked()
        return base

    cdef int check_whole(self) except -1:
        """Raise if the file was cut, or another table was made in it, until now."""
        cdef char *base = self.use()
        cdef uint64_t stored = atomic_load_u64(<uint64_t *>(base + self.at.slots_at), __ATOMIC_RELAXED)
        if atomic_load_i32(<int32_t *>&self.mapping.closed, __ATOMIC_RELAXED) & LOST:
            found = "cut"
        elif stored == <uint64_t>self.slots or self.at.grows and self.slots < <int64_t>stored <= MOST_SLOTS:
            return 0
        else:
            found = f"NBparamMAX {<int64_t>stored}"
        raise FPSDamagedError(
            f"fps {self.name!r}: its file was cut, or its header rewritten, while it was attached; attach it again "
            "once it is whole", fps=self.name, path=self.path, field="file", expected=f"NBparamMAX {self.slots}",
            found=found)

    cdef int check_linked(self) except -1:
        """Raise if the file has no name any more: no other process would see what is written here.

        It is a third of the price of `check_current`, which also finds a file that was moved to another name.
        """
        cdef stat status
        if fstat(self.fd, &status) == 0 and status.st_nlink != 0:
            return 0
        return self.check_current()

    cdef int check_current(self) except -1:
        """Raise if the path leads to another file by now."""
        cdef stat status
        if c_stat(self.path_chars, &status) == 0:
            if status.st_ino == self.inode and status.st_dev == self.device:
                return 0
            what = "was made anew"
        else:
            what = "was removed"
        raise FPSReplacedError(
            f"fps {self.name!r} {what} since it was attached; attach it again", fps=self.name, path=self.path)

    @property
    def writable(self):
        """Whether this object may write."""
        return self.mapping is not None and self.mapping.writable

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.mapping is None

    def is_current(self):
        """Tell whether the path still leads to this file."""
        self.use()
        try:
            self.check_current()
        except FPSReplacedError:
            return False
        return True

    def close(self):
        """Let go of the memory. A wait in another thread ends."""
        if self.mapping is not None:
            atomic_or_i32(<int32_t *>&self.mapping.closed, CLOSED, __ATOMIC_RELAXED)
            self.mapping = None
        self.let_go()

    cdef void let_go(self) noexcept:
        """Close the descriptor."""
        if self.fd >= 0:
            c_close(self.fd)
            self.fd = -1

    # -- keys

    cdef inline bint still(self, const FpsParameter *p, Entry entry) noexcept:
        """Tell whether a slot holds the parameter that it held when it was read."""
        cdef Py_ssize_t n = len(entry.raw)
        if not atomic_load_u64(<uint64_t *>&p.fpflag, __ATOMIC_ACQUIRE) & FLAG_ACTIVE:
            return False
        # With the NUL behind, which `bytes` has too; a keyword that fills its field has none in the file.
        return memcmp(p.keywordfull, <const char *>entry.raw, n + (n < PYMILK_KEYWORD_NBYTES)) == 0

    cdef int refresh(self) except -1:
        """Read the keywords again where they changed."""
        cdef Py_ssize_t slot
        cdef FpsParameter *p
        cdef Entry entry
        cdef bint changed = False
        self.check_whole()
        if self.at.grows and atomic_load_u64(<uint64_t *>(self.use() + self.at.slots_at), __ATOMIC_RELAXED) \
                != <uint64_t>self.slots:
            self.check_current()
            self.map(self.mapping.writable)
        for slot in range(self.slots):
            p = self.slot_at(slot)
            entry = <Entry>self.found[slot]
            if entry is None:
                if atomic_load_u64(&p.fpflag, __ATOMIC_ACQUIRE) & FLAG_ACTIVE:
                    self.found[slot] = read_entry(slot, p)
                    changed = True
            elif not self.still(p, entry):
                self.found[slot] = None
                if atomic_load_u64(&p.fpflag, __ATOMIC_ACQUIRE) & FLAG_ACTIVE:
                    self.found[slot] = read_entry(slot, p)
                changed = True
        if changed:
            self.make_index()
        self.check_whole()

    cdef int make_index(self) except -1:
        """Give each parameter its keys; the first of those that would have the same one gets it."""
        cdef Entry entry
        cdef str short, front = self.name + "."
        present = [entry for entry in self.found if entry is not None]
        index = {}
        for entry in present:
            index.setdefault(entry.keyword, entry)
        for entry in present:
            if entry.keyword.startswith(front):
                index.setdefault(entry.keyword[len(front):], entry)
        for entry in present:
            short = entry.keyword.partition(".")[2]
            if short:
                index.setdefault(short, entry)
        for entry in present:
            short = entry.keyword.removeprefix(front)
            entry.key = short if index.get(short) is entry else entry.keyword
        self.index = index
        self.listed = [entry for entry in present if index[entry.key] is entry]
        return 0

    cpdef Entry entry(self, key):
        """Find a parameter.

        Raises
        ------
        FPSKeyError
            There is none of that key.
        """
        cdef Entry entry
        if not isinstance(key, str):
            raise unknown_key(self, key)
        entry = <Entry>self.index.get(key)
        if entry is not None and self.still(self.slot_at(entry.slot), entry):
            return entry
        self.refresh()
        entry = <Entry>self.index.get(key)
        if entry is None:
            raise unknown_key(self, key)
        return entry

    def entries(self):
        """Return all parameters, in the order of their slots."""
        self.refresh()
        return list(self.listed)

    # -- values

    def get(self, key):
        """Read the value of a parameter. Nothing is written."""
        cdef Entry entry = self.entry(key)
        cdef FpsParameter *p = self.slot_at(entry.slot)
        cdef Item item
        load_item(p, kind_of(p.type), 0, &item)
        self.check_whole()
        return value_of(&item)

    def as_dict(self):
        """Read all values."""
        cdef Entry entry
        cdef FpsParameter *p
        cdef Item item
        cdef dict values = {}
        self.refresh()
        for entry in self.listed:
            p = self.slot_at(entry.slot)
            load_item(p, kind_of(p.type), 0, &item)
            values[entry.key] = value_of(&item)
        self.check_whole()
        return values

    def element(self, Entry entry, int element):
        """Read one of the elements of a value: 0 value, 1 and 2 limits, 3 last reading; 1 the other text or time."""
        cdef FpsParameter *p = self.slot_at(entry.slot)
        cdef Kind kind = kind_of(p.type)
        cdef Item item
        item.kind = KIND_NONE
        if element < elements_of(kind):
            load_item(p, kind, element, &item)
        self.check_whole()
        return value_of(&item)

    def put(self, key, value, bint force=False):
        """Write a value: value, counter, then the request to check again.

        Raises
        ------
        FPSKeyError, FPSTypeError, FPSTextError, FPSLimitError, FPSReadOnlyError, FPSReplacedError
            Nothing was written.
        """
        cdef Item item
        cdef FpsParameter *p = self.prepare(self.entry(key), value, force, &item)
        store_item(p, 0, &item)
        count_write(p, self.at.counts_values)
        # Last: a process that checks again because of it finds value and count.
        atomic_or_u64(<uint64_t *>(self.use() + self.at.signal), SIGNAL_UPDATE, __ATOMIC_RELEASE)
        self.check_whole()

    def verify(self, key, value, bint force=False):
        """Raise what `put` would raise, and write nothing."""
        cdef Item item
        self.prepare(self.entry(key), value, force, &item)

    cdef FpsParameter *prepare(self, Entry entry, object value, bint force, Item *item) except NULL:
        """Convert and check a value; returns where it is to be stored."""
        cdef FpsParameter *p
        self.convert(entry, value, item)
        p = self.slot_to_write(entry.slot)
        if not force:
            self.need_permission(entry, p)
            self.need_limits(entry, p, item)
        return p

    def check_limits(self, Entry entry, low, high):
        """Raise if these cannot be the limits of a parameter; None is no limit. Nothing is written.

        Raises
        ------
        FPSTypeError, FPSLimitError
            Its type cannot hold one of them, or no value would be inside of both.
        """
        cdef Item lowest, highest
        if low is not None:
            self.convert(entry, low, &lowest)
        if high is not None:
            self.convert(entry, high, &highest)
        if low is None:
            lowest = highest
        elif high is None:
            highest = lowest
        if (low is not None or high is not None) and order_of(&lowest, &highest) not in (-1, 0):
            raise outside(self, entry, low if high is None else high, low, None, "; no value would be inside of both limits")
        self.use_to_write()

    def store(self, Entry entry, int element, value):
        """Store an element without counting, checking limits, or asking for anything."""
        cdef Item item
        cdef FpsParameter *p
        self.convert(entry, value, &item)
        p = self.slot_to_write(entry.slot)
        if element >= elements_of(item.kind):
            raise wrong_type(self, entry, value, f"has no element {element}")
        store_item(p, element, &item)
        self.check_whole()

    def feed_back(self, Entry entry):
        """Copy the value to where its process tells what it read last, and return it; numbers only."""
        cdef FpsParameter *p = self.slot_to_write(entry.slot)
        cdef Kind kind = kind_of(p.type)
        cdef Item item
        load_item(p, kind, 0, &item)
        if elements_of(kind) == 4:
            store_item(p, 3, &item)
        self.check_whole()
        return value_of(&item)

    cdef int need_permission(self, Entry entry, const FpsParameter *p) except -1:
        cdef uint32_t status = atomic_load_u32(<uint32_t *>(self.use() + self.at.status), __ATOMIC_RELAXED)
        if may_write(p.fpflag, status):
            return 0
        needed, when = (
            ("WRITERUN", "while its run process is up") if status & STATUS_RUN
            else ("WRITECONF", "while its conf process is up") if status & STATUS_CONF
            else ("WRITE", "by others than its own processes"))
        raise FPSReadOnlyError(
            f"fps {self.name!r}: {entry.key!r} may not be written {when} (flag {needed} is not set); "
            "pass force=True to write anyway", fps=self.name, path=self.path, key=entry.key)

    cdef int need_limits(self, Entry entry, const FpsParameter *p, const Item *item) except -1:
        cdef Item low, high
        cdef bint has_low, has_high
        if elements_of(item.kind) != 4:
            return 0
        has_low, has_high = p.fpflag & FLAG_MINLIMIT != 0, p.fpflag & FLAG_MAXLIMIT != 0
        load_item(p, item.kind, 1, &low)
        load_item(p, item.kind, 2, &high)
        # NaN (order 2) is inside of no limit.
        if not (has_low and order_of(item, &low) not in (0, 1)) and not (has_high and order_of(item, &high) not in (-1, 0)):
            return 0
        raise outside(
            self, entry, value_of(item), value_of(&low) if has_low else None, value_of(&high) if has_high else None,
            "; pass force=True to write anyway")

    cdef int convert(self, Entry entry, object value, Item *item) except -1:
        """Turn a value of a caller into what the parameter stores, or refuse it. Runs code of the caller."""
        cdef Kind kind = kind_of(self.slot_at(entry.slot).type)
        memset(item, 0, sizeof(Item))
        item.kind = kind
        if kind == KIND_F32 or kind == KIND_F64:
            item.f = self.as_float(entry, value, kind)
        elif kind == KIND_I64:
            item.i = self.as_int(entry, value, INT64_RANGE)
        elif kind == KIND_I32 or kind == KIND_PID:
            item.i = self.as_int(entry, value, INT32_RANGE)
        elif kind == KIND_U32:
            item.u = self.as_int(entry, value, UINT32_RANGE)
        elif kind == KIND_U64:
            item.u = self.as_int(entry, value, UINT64_RANGE)
        elif kind == KIND_ONOFF:
            item.i = self.as_switch(entry, value)
        elif kind == KIND_TIME:
            item.t.tv_sec, item.t.tv_nsec = self.as_time(entry, value)
        elif kind == KIND_TEXT:
            self.as_text(entry, value, item.text)
        else:
            raise wrong_type(self, entry, value, "has no value that can be set")
        return 0

    cdef object as_int(self, Entry entry, object value, object limits):
        if isinstance(value, (bool, np.bool_)):
            raise wrong_type(self, entry, value, "takes an int")
        try:
            number = operator.index(value)
        except TypeError:  # also of an array, which has the method
            raise wrong_type(self, entry, value, "takes an int") from None
        if not limits[0] <= number <= limits[1]:
            raise outside(self, entry, number, limits[0], limits[1], ", those of its type")
        return number

    cdef double as_float(self, Entry entry, object value, Kind kind) except? -1.0:
        cdef double number
        if type(value) is not float and (
            isinstance(value, (bool, np.bool_)) or not isinstance(value, (float, int, np.floating, np.integer))
        ):
            raise wrong_type(self, entry, value, "takes a number")
        try:
            number = value
        except OverflowError:
            number = math.inf
        if kind == KIND_F32:
            if -LARGEST_SINGLE <= number <= LARGEST_SINGLE or math.isnan(number) or math.isinf(float(number)):
                number = <double><float>number
            else:
                raise outside(self, entry, value, -LARGEST_SINGLE, LARGEST_SINGLE, ", those of its type")
        return number

    cdef int as_switch(self, Entry entry, object value) except -1:
        if isinstance(value, (bool, np.bool_)):
            return 1 if value else 0
        try:
            number = operator.index(value)
        except TypeError:
            number = None
        if number not in (0, 1):
            raise wrong_type(self, entry, value, "takes True or False")
        return number

    cdef object as_time(self, Entry entry, object value):
        """Return seconds and nanoseconds: a tuple is taken as it is, a number is seconds."""
        try:
            return Timespec.of(value)
        except TypeError:
            raise wrong_type(self, entry, value, "takes seconds, or a tuple of seconds and nanoseconds") from None
        except OverflowError as error:
            raise outside(self, entry, value, None, None, str(error)) from None

    cdef int as_text(self, Entry entry, object value, char *text) except -1:
        """Fill a text of 64 bytes, padded with NULs."""
        cdef bytes raw
        if not isinstance(value, str):
            raise wrong_type(self, entry, value, "takes a str")
        try:
            raw = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise FPSTextError(
                f"fps {self.name!r}: the text {value!r} for {entry.key!r} cannot be encoded as UTF-8", fps=self.name,
                path=self.path, key=entry.key, limit=TEXT_MOST, found=len(value)) from None
        if len(raw) > TEXT_MOST or b"\0" in raw:
            what = "has a NUL in it" if b"\0" in raw else f"has {len(raw)} bytes; at most {TEXT_MOST} fit"
            raise FPSTextError(
                f"fps {self.name!r}: the text for {entry.key!r} {what}", fps=self.name, path=self.path, key=entry.key,
                limit=TEXT_MOST, found=len(raw))
        memcpy(text, <const char *>raw, len(raw))
        return 0

    # -- what else a slot says

    def counter(self, Entry entry):
        """Return how often a value was written."""
        cdef uint64_t count = atomic_load_u64(&self.slot_at(entry.slot).cnt0, __ATOMIC_ACQUIRE)
        self.check_whole()
        return <int64_t>count

    def type_code(self, Entry entry):
        """Return the number of the type, which may be one that is not known."""
        cdef uint32_t code = self.slot_at(entry.slot).type
        self.check_whole()
        return code

    def flags(self, Entry entry):
        """Return the flags as an int."""
        cdef uint64_t flags = atomic_load_u64(&self.slot_at(entry.slot).fpflag, __ATOMIC_RELAXED)
        self.check_whole()
        return flags

    def set_flags(self, Entry entry, uint64_t bits):
        """Set some flags; the others stay."""
        atomic_or_u64(&self.slot_to_write(entry.slot).fpflag, bits, __ATOMIC_RELEASE)

    def clear_flags(self, Entry entry, uint64_t bits):
        """Clear some flags; the others stay."""
        atomic_and_u64(&self.slot_to_write(entry.slot).fpflag, ~bits, __ATOMIC_RELEASE)

    def permitted(self, Entry entry):
        """Tell whether the flags permit to write the parameter in the present state of the processes."""
        cdef uint32_t status = atomic_load_u32(<uint32_t *>(self.use() + self.at.status), __ATOMIC_RELAXED)
        cdef bint permitted = may_write(self.slot_at(entry.slot).fpflag, status)
        self.check_whole()
        return permitted

    def slot_offset(self, Py_ssize_t slot):
        """Tell where a slot begins, for `read` and `write`."""
        return self.at.first + <size_t>slot * self.at.stride

    def add(self, bytes content):
        """Put a new parameter into the first free slot; the caller has the lock of the file.

        Parameters
        ----------
        content : bytes
            A whole slot.

        Returns
        -------
        int
            Slot; -1 if all are in use.
        """
        cdef Py_ssize_t slot
        cdef FpsParameter *p
        cdef uint64_t flags
        self.use_to_write()
        self.refresh()
        for slot in range(self.slots):
            p = self.slot_at(slot)
            if atomic_load_u64(&p.fpflag, __ATOMIC_ACQUIRE) & FLAG_ACTIVE:
                continue
            flags = (<const uint64_t *><const char *>content)[0]
            memcpy(<char *>p + 8, <const char *>content + 8, min(<size_t>len(content), self.at.stride) - 8)
            # Release: a reader that finds the slot in use finds all of it.
            atomic_store_u64(&p.fpflag, flags, __ATOMIC_RELEASE)
            self.refresh()
            return slot
        return -1

    # -- the header, and bytes

    def read(self, size_t offset, size_t nbytes):
        """Return a copy of some bytes of the file."""
        cdef char *base = self.use()
        if offset > self.mapping.nbytes or nbytes > self.mapping.nbytes - offset:
            raise IndexError(f"bytes {offset} to {offset + nbytes} of {self.mapping.nbytes}")
        content = base[offset:offset + nbytes]
        self.check_whole()
        return content

    def write(self, size_t offset, bytes content):
        """Store some bytes; 4 or 8 aligned ones in one store."""
        cdef char *base = self.use_to_write()
        cdef size_t nbytes = len(content)
        if offset > self.mapping.nbytes or nbytes > self.mapping.nbytes - offset:
            raise IndexError(f"bytes {offset} to {offset + nbytes} of {self.mapping.nbytes}")
        memcpy(base + offset, <const char *>content, nbytes)
        self.check_whole()

    @property
    def status(self):
        """Status bits, as an int."""
        cdef uint32_t bits = atomic_load_u32(<uint32_t *>(self.use() + self.at.status), __ATOMIC_ACQUIRE)
        self.check_whole()
        return bits

    @property
    def signal(self):
        """Request bits, as an int."""
        cdef uint64_t bits = atomic_load_u64(<uint64_t *>(self.use() + self.at.signal), __ATOMIC_ACQUIRE)
        self.check_whole()
        return bits

    def change_status(self, uint32_t set_bits=0, uint32_t clear_bits=0):
        """Clear some status bits, then set some."""
        cdef uint32_t *word = <uint32_t *>(self.use_to_write() + self.at.status)
        atomic_and_u32(word, ~clear_bits, __ATOMIC_RELEASE)
        atomic_or_u32(word, set_bits, __ATOMIC_RELEASE)
        self.check_whole()

    def change_signal(self, uint64_t set_bits=0, uint64_t clear_bits=0):
        """Clear some request bits, then set some."""
        cdef uint64_t *word = <uint64_t *>(self.use_to_write() + self.at.signal)
        atomic_and_u64(word, ~clear_bits, __ATOMIC_RELEASE)
        atomic_or_u64(word, set_bits, __ATOMIC_RELEASE)
        self.check_whole()

    # -- waiting

    def wait_for_counters(self, list entries, list seen, int64_t deadline_ns):
        """Wait until one of some counters is another one.

        Parameters
        ----------
        entries : list of Entry
        seen : list of int
            Counters that are known.
        deadline_ns : int
            Of CLOCK_MONOTONIC; negative: none.

        Returns
        -------
        bool
            False at the deadline.

        Raises
        ------
        FPSClosedError, FPSDamagedError, FPSReplacedError
            Also in the middle of the wait, within 50 ms.
        """
        cdef Mapping held = self.mapping
        cdef Py_ssize_t i, n = len(entries)
        cdef int64_t until
        cdef bint moved
        cdef uint64_t **counters = <uint64_t **>malloc((n + 1) * sizeof(uint64_t *))
        cdef uint64_t *known = <uint64_t *>malloc((n + 1) * sizeof(uint64_t))
        cdef Slack slack
        memset(&slack, 0, sizeof(slack))
        lower_slack(&slack)
        try:
            if counters == NULL or known == NULL:
                raise MemoryError()
            for i in range(n):
                counters[i] = &self.slot_at((<Entry>entries[i]).slot).cnt0
                known[i] = <uint64_t><int64_t>seen[i]
            while True:
                until = min(clock_ns(CLOCK_MONOTONIC) + CHECK_NS, deadline_ns if deadline_ns >= 0 else 2**62)
                with nogil:
                    moved = look_until(counters, known, n, &held.closed, until)
                PyErr_CheckSignals()
                self.check_whole()
                if moved:
                    return True
                self.check_current()
                if 0 <= deadline_ns <= clock_ns(CLOCK_MONOTONIC):
                    return False
        finally:
            restore_slack(&slack)
            free(counters)
            free(known)

    def wait_for_request(self, int64_t deadline_ns, uint64_t set_bits, uint64_t clear_bits, uint32_t clear_status):
        """Wait until a request comes: a signal bit is set or cleared, or a status bit is cleared.

        Returns
        -------
        bool
            False at the deadline of CLOCK_MONOTONIC.
        """
        cdef char *base = self.use()
        cdef Mapping held = self.mapping
        cdef uint64_t *signal = <uint64_t *>(base + self.at.signal)
        cdef uint32_t *status = <uint32_t *>(base + self.at.status)
        cdef uint64_t wait_us = atomic_load_u64(<uint64_t *>(base + self.at.wait_us), __ATOMIC_RELAXED)
        cdef int64_t step = max(SHORTEST_WAIT_NS, <int64_t>min(wait_us, <uint64_t>LONGEST_WAIT_NS // 1000) * 1000)
        cdef int64_t now, stop
        cdef bint came = False
        with nogil:
            now = clock_ns(CLOCK_MONOTONIC)
            stop = min(deadline_ns, now + CHECK_NS)
            while True:
                came = (atomic_load_u64(signal, __ATOMIC_ACQUIRE) & set_bits != 0
                        or ~atomic_load_u64(signal, __ATOMIC_ACQUIRE) & clear_bits != 0
                        or ~atomic_load_u32(status, __ATOMIC_ACQUIRE) & clear_status != 0)
                if came or now >= stop or atomic_load_i32(<int32_t *>&held.closed, __ATOMIC_RELAXED):
                    break
                sleep_until(min(now + step, stop))
                now = clock_ns(CLOCK_MONOTONIC)
        self.check_whole()
        return came


cdef bint look_until(uint64_t **counters, const uint64_t *known, Py_ssize_t n, const int *closed, int64_t until) noexcept nogil:
    """Look at counters again and again until one is not the one that is known."""
    cdef Py_ssize_t i
    cdef int64_t now
    while True:
        # Each counter is on a page of its own: fetch several at once.
        for i in range(n):
            prefetch(counters[i])
        for i in range(n):
            # Acquire: pairs with the release of the writer, whose value stands there before.
            if atomic_load_u64(counters[i], __ATOMIC_ACQUIRE) != known[i]:
                return True
        now = clock_ns(CLOCK_MONOTONIC)
        if now >= until or atomic_load_i32(<int32_t *>closed, __ATOMIC_RELAXED):
            return False
        sleep_until(min(later(now, WATCH_NS), until))


cdef Entry read_entry(Py_ssize_t slot, const FpsParameter *p):
    cdef Entry entry = Entry.__new__(Entry)
    entry.slot = slot
    entry.raw = p.keywordfull[:strnlen(p.keywordfull, PYMILK_KEYWORD_NBYTES)]
    entry.keyword = entry.raw.decode("utf-8", "surrogateescape")
    entry.key = entry.keyword
    return entry


cdef object value_of(const Item *item):
    """Return a value as Python has it; None where there is none."""
    if item.kind == KIND_F32 or item.kind == KIND_F64:
        return item.f
    if item.kind == KIND_I64 or item.kind == KIND_I32 or item.kind == KIND_PID:
        return item.i
    if item.kind == KIND_U32 or item.kind == KIND_U64:
        return item.u
    if item.kind == KIND_ONOFF:
        return item.i != 0
    if item.kind == KIND_TIME:
        return Timespec(item.t.tv_sec, item.t.tv_nsec)
    if item.kind == KIND_TEXT or item.kind == KIND_PROCESS:
        return (<bytes>item.text[:strnlen(item.text, PYMILK_TEXT_NBYTES)]).decode("utf-8", "surrogateescape")
    return None


cdef tuple open_file(str path, str name, object writable):
    """Open a file: its descriptor, and whether it may be written through that."""
    for flags in ((os.O_RDWR,) if writable else (os.O_RDONLY,) if writable is not None else (os.O_RDWR, os.O_RDONLY)):
        try:
            return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK), flags == os.O_RDWR
        except FileNotFoundError:
            raise FPSNotFoundError(
                f"there is no fps {name!r}: {path} does not exist; has its program been started, and is MILK_SHM_DIR "
                "the one that it uses?", fps=name, path=path) from None
        except OSError as error:
            if writable is None and flags == os.O_RDWR and isinstance(error, PermissionError):
                continue  # then to be read only
            kind = FPSPermissionError if isinstance(error, PermissionError) else FPSStorageError
            raise kind(
                f"fps {name!r}: {path} cannot be opened: {cause_of(error)}", fps=name, path=path) from error


cdef object not_fps(ParameterTable table, str field, object expected, object found):
    return FPSFormatError(
        f"{table.path} is not a parameter file: {field} is {found}, not {expected}", fps=table.name, path=table.path,
        field=field, expected=expected, found=found)


cdef object unknown_size(ParameterTable table, object nbytes):
    known = ", ".join([f"{each.name}: {each.header_nbytes} + n x {each.slot_nbytes}" for each in LAYOUTS])
    why = "its creator has not finished it" if nbytes == 0 else f"it has {nbytes} bytes, which fits no known layout"
    return FPSFormatError(
        f"{table.path} is not a parameter file that is understood here: {why} ({known}, with n in its header)",
        fps=table.name, path=table.path, field="file size", expected=known, found=nbytes)


cdef object unknown_key(ParameterTable table, object key):
    import difflib

    if not isinstance(key, str):
        return FPSKeyError(
            f"fps {table.name!r}: a key is a str, not {shown(key)}", fps=table.name, path=table.path, key=key, similar=[])
    similar = difflib.get_close_matches(key, [entry.key for entry in table.listed], 3)
    hint = f"; did you mean {' or '.join([repr(each) for each in similar])}?" if similar else ""
    return FPSKeyError(
        f"fps {table.name!r} has no parameter {key!r}{hint}", fps=table.name, path=table.path, key=key,
        similar=similar)


cdef object wrong_type(ParameterTable table, Entry entry, object value, str what):
    code = table.type_code(entry)
    try:
        name = ParameterType(code).name
    except ValueError:
        name = f"type {code}"
    return FPSTypeError(
        f"fps {table.name!r}: {entry.key!r} ({name}) {what}, not {shown(value)}", fps=table.name, path=table.path,
        key=entry.key, expected=name, found=value)


cdef object outside(ParameterTable table, Entry entry, object value, object low, object high, str what):
    if low is None:
        limits = "" if high is None else f"at most {high}"
    else:
        limits = f"at least {low}" if high is None else f"{low} to {high}"
    return FPSLimitError(
        f"fps {table.name!r}: {value!r} is outside of the limits of {entry.key!r}: {limits}{what}",
        fps=table.name, path=table.path, key=entry.key, found=value, low=low, high=high)
