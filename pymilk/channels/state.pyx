"""`StateFile`: the file of a shared state in memory. Keys and values in, one step at a time; consistent copies out.

Rules are those of `LogFile`: ask `use()` after Python code that may belong to others, end with `check_whole()`. And one
more: between `lock()` and `unlock()` no Python code runs, so that threads which share an object take turns, too.
"""

cimport cython
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.errno cimport EACCES, EAGAIN
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from .._isio cimport (
    __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, CLOCK_MONOTONIC, atomic_fence, atomic_load_u64, atomic_store_u64,
)
from ..protocol.bell cimport pymilk_bell_ring
from ..protocol.clock cimport clock_ns, sleep_until
from ..protocol.port cimport pymilk_pause
from ._log cimport (
    FOUND_DAMAGE, FOUND_LAPPED, FOUND_NOTHING, FOUND_RECORD, PYMILK_CHANNEL_ROOM_AT, Found, count_abandoned, note_begun,
    note_refused,
)
from ._state cimport (
    DAMAGE, DONE, FIXED, LATER, NEW_KEY, NEW_TYPE, NO_KEY, NO_ROOM, PYMILK_CHANNEL_LOCK_AT, Entry, Image, Images,
    Refusal, begin, end, entry_at, find, image_of, padded, put, resize, size_of,
)
from .counted cimport CountedFile

import os

import numpy as np

from ..arguments import shown
from ..errors import (
    ChannelArgumentError,
    ChannelFormatError,
    ChannelInUseError,
    ChannelKeyError,
    RecordTooLongError,
    StreamArgumentError,
)
from ..system.locks import holder_of, named_holder
from ..system.arrays import unmasked
from .files import trouble
from .values import array_bytes, array_of, pairs_of

__all__ = ["LONGEST_KEY", "StateFile", "first_image"]

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <fcntl.h>
    /* Take the lock of a writer if it is free, or give it back: 0, or why not. */
    static inline int pymilk_state_lock(int fd, int64_t start, int64_t length, int take)
    {
        struct flock lock = {.l_type = take ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET, .l_start = start,
                             .l_len = length};
        return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
    }
    """
    int pymilk_state_lock(int fd, int64_t start, int64_t length, int take)

cdef enum:
    CLOCK_REALTIME = 0
    # Tries of a reader whose image was overwritten each time.
    TRIES = 1000
    # A wait for another writer watches so long, and sleeps so long after that.
    SPIN_NS = 20_000
    NAP_NS = 50_000
    # Types of values.
    INT = 1
    FLOAT = 2
    BOOL = 3
    STR = 4
    BYTES = 5
    ARRAY = 6

#: Most bytes of a key.
LONGEST_KEY = 255

cdef tuple TYPES = ("nothing", "int", "float", "bool", "str", "bytes", "array")


cdef bytes key_bytes(key):
    """Return a key as it is in the file, or None if it cannot be one."""
    cdef bytes text
    try:
        text = key.encode() if isinstance(key, str) else b""
    except UnicodeEncodeError:
        return None
    return text if 1 <= len(text) <= LONGEST_KEY and b"\0" not in text else None


cdef tuple encoded(str name, key, value):
    """Return a key as bytes, the type of a value, and its bytes."""
    cdef bytes text = key_bytes(key), data
    cdef int64_t whole
    cdef double real
    cdef int kind
    if text is None:
        raise ChannelArgumentError(
            f"channel {name!r}: a key is text of 1 to {LONGEST_KEY} bytes of UTF-8 without NUL, not {shown(key, 300)}",
            channel=name, argument="key", found=key)
    if isinstance(value, np.generic) and type(value) in SCALARS:
        value = value.item()
    try:
        if isinstance(value, float):
            kind, real = FLOAT, value
            data = (<char *>&real)[:sizeof(real)]
        elif isinstance(value, int):
            kind, whole = BOOL if isinstance(value, bool) else INT, value
            data = (<char *>&whole)[:sizeof(whole)]
        elif isinstance(value, str):
            kind, data = STR, value.encode()
        elif isinstance(value, (bytes, bytearray, memoryview)):
            kind, data = BYTES, bytes(value)
        elif isinstance(value, (np.ndarray, np.generic)):
            kind, data = ARRAY, array_bytes(np.asarray(unmasked(value, key)))
        else:
            raise ValueError(f"not {type(value).__name__}")
        if len(data) >= 1 << 31:
            raise ValueError(f"{len(data)} bytes are too many")
    except StreamArgumentError:  # of masks
        raise
    except (ValueError, OverflowError, UnicodeEncodeError) as error:
        raise ChannelArgumentError(
            f"channel {name!r}: the value of {key!r} is an int of 64 bits, a float, a bool, text, bytes, or an array: "
            f"{error}", channel=name, argument="value", found=value) from None
    return text, kind, data


#: Scalars of NumPy that are numbers of Python without loss; others are arrays without axes.
SCALARS = frozenset((np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
                     np.float16, np.float32, np.float64))


cdef object decoded(int kind, bytes value):
    """Return a value; raises ValueError if the bytes are none."""
    cdef int64_t whole
    cdef double real
    if kind == STR:
        return value.decode("utf-8", "replace")
    if kind == BYTES:
        return value
    if kind == ARRAY:
        return array_of(value)
    if len(value) != 8 or not INT <= kind <= BOOL:
        raise ValueError(f"type {kind} with {len(value)} bytes")
    if kind == FLOAT:
        memcpy(&real, PyBytes_AsString(value), sizeof(real))
        return real
    memcpy(&whole, PyBytes_AsString(value), sizeof(whole))
    return whole if kind == INT else whole != 0


cdef bint same_type(const Entry *old, const char *value, uint32_t length, int kind, const char *before) noexcept:
    """Tell whether a value has the type of the one before; that of an array are also its axes."""
    cdef const char *stop
    if old.type != kind:
        return False
    if kind != ARRAY:
        return True
    stop = <const char *>memchr(value, 0, length)
    return old.length == length and stop != NULL and memcmp(value, before, stop - value + 1) == 0


# How a step changes an image.
cdef struct Step:
    uint64_t limit      # most bytes of the image
    uint64_t epoch
    int64_t time_ns
    bint fixed
    bint growing        # also what takes more room than before


cdef Refusal change(char *image, const Step *step, bytes key, int kind, bytes value) noexcept:
    """Set a key in an image, or remove it if the value is None."""
    cdef Image *head = <Image *>image
    cdef Entry entry
    cdef uint64_t at, old = 0, new
    cdef const char *name = PyBytes_AsString(key)
    cdef const char *data = NULL
    cdef Found found = find(image, sizeof(Image) + head.nbytes, name, len(key), &at, &entry)
    if found == FOUND_DAMAGE:
        return DAMAGE
    if value is None:
        if found == FOUND_NOTHING:
            return NO_KEY
        if step.fixed:
            return FIXED
        resize(image, at, size_of(&entry), 0)
        head.keys -= 1
        head.removed = step.epoch
        return DONE
    data = PyBytes_AsString(value)
    if found == FOUND_NOTHING:
        if step.fixed:
            return NEW_KEY
        entry.sequence, entry.key_length = 0, len(key)
    else:
        old = size_of(&entry)
        if step.fixed and not same_type(&entry, data, len(value), kind, image + at + sizeof(Entry) + padded(len(key))):
            return NEW_TYPE
    entry.sequence += 1
    entry.epoch, entry.time_ns, entry.length, entry.type = step.epoch, step.time_ns, len(value), kind
    new = size_of(&entry)
    if new > old and not step.growing:
        return LATER
    if sizeof(Image) + head.nbytes - old + new > step.limit:
        return NO_ROOM
    resize(image, at, old, new)
    put(image, at, &entry, name, data)
    head.keys += found == FOUND_NOTHING
    return DONE


def first_image(str name, values, uint64_t nbytes):
    """Return the image of epoch 1, of so many bytes, with these values.

    Raises
    ------
    ChannelArgumentError, RecordTooLongError
    """
    cdef list changes = [encoded(name, key, value) for key, value in pairs_of(name, values).items()]
    cdef bytearray image = bytearray(nbytes)
    cdef char *base = image
    cdef Step step = Step(nbytes, 1, clock_ns(CLOCK_REALTIME), False, True)
    (<Image *>base).epoch = 1
    for key, kind, value in changes:
        if change(base, &step, key, kind, value) == NO_ROOM:
            raise too_long(name, None, changes, nbytes)
    return bytes(image)


cdef object too_long(str name, str path, list changes, uint64_t nbytes):
    total = sum(sizeof(Entry) + padded(len(key)) + padded(len(value)) for key, _, value in changes if value is not None)
    return RecordTooLongError(
        f"channel {name!r}: {total} bytes for {len(changes)} keys do not fit, all keys and values together take at most "
        f"{nbytes - sizeof(Image)}; make the state larger, nothing was set",
        channel=name, path=path, nbytes=total, longest=nbytes - sizeof(Image))


@cython.auto_pickle(False)
cdef class StateFile(CountedFile):
    """A shared state, mapped. `SharedState` is what users have.

    Parameters
    ----------
    fd : int
        Stays with the caller.
    path, name : str
    kind : int
        That the file has to be of.
    shared : bool
        `fd` is open for writing: sleeping readers are woken. Others look every half millisecond.
    writing : bool
        This object sets values.
    timeout : float
        Seconds that a step waits for another writer.

    Raises
    ------
    ChannelFormatError
        The file is another, or damaged.
    """

    cdef Images images
    cdef int64_t timeout
    cdef int fd                 # for the lock; no memory is mapped through it
    cdef int64_t pid
    cdef unsigned long holder   # thread that has the lock for several steps; 0: none
    cdef int depth              # how often it took it
    cdef readonly uint64_t seen     # epoch up to which this object has read
    cdef readonly bint fixed
    cdef readonly bint writing

    def __cinit__(self):
        self.fd = -1

    def __init__(self, int fd, str path, str name, uint32_t kind, bint shared, bint writing, double timeout):
        cdef uint64_t size
        self.open_file(fd, path, name, kind, shared)
        size = self.header.size
        if size & 7 or size < 128 or size > self.header.room // 2 or self.header.slots > 1:
            raise ChannelFormatError(
                f"{path} is no channel of this kind: two images of {size} bytes are not in a room of "
                f"{self.header.room}", channel=name, path=path, field="size", expected=self.header.room // 2, found=size)
        self.fixed, self.writing = self.header.slots == 1, writing
        self.images.header = self.header
        self.images.room = self.mapping.base + PYMILK_CHANNEL_ROOM_AT
        self.images.nbytes = size
        self.timeout = <int64_t>(timeout * 1e9)
        self.check_whole()

    cdef Images *use(self) except NULL:
        """Return the memory. It stays for as long as the caller runs no Python code."""
        self.check_open()
        self.check_place()
        return &self.images

    cdef uint64_t known(self) noexcept nogil:
        return self.seen

    @property
    def epoch(self):
        """Number of steps in which something was set or removed since the state was made."""
        cdef uint64_t epoch = atomic_load_u64(&self.use().header.count, __ATOMIC_ACQUIRE)
        self.check_whole()
        return epoch

    @property
    def last_ns(self):
        """When something was set or removed last, in nanoseconds UTC since 1970; 0 if never."""
        self.use()
        return self.header.last_ns

    @property
    def room(self):
        """Bytes for all keys and values together; each takes 32 more, and both a multiple of 8."""
        self.use()
        return self.images.nbytes - sizeof(Image)

    # -- reading

    cdef int settle(self, Found found, int *tries) except -1:
        """Tell whether what was found counts; false: look again. Raises for damage."""
        self.check_whole()
        if found == FOUND_LAPPED:
            tries[0] += 1
            if tries[0] % TRIES == 0:
                PyErr_CheckSignals()
            return False
        self.check(found)
        return True

    cdef tuple look_up(self, key):
        """Return (value, sequence, epoch, time) of a key, or None if there is no such key."""
        cdef bytes name = key_bytes(key)
        cdef bytes value = None
        cdef Images *images
        cdef Entry entry
        cdef Found found
        cdef uint64_t epoch = 0, nbytes = 0, at = 0
        cdef int tries = 0
        cdef char *image
        if name is None:
            self.use()
            return None
        while True:
            images = self.use()
            found = begin(images, &epoch, &nbytes)
            image = image_of(images, epoch)
            if found == FOUND_RECORD:
                found = find(image, nbytes, PyBytes_AsString(name), len(name), &at, &entry)
            if found == FOUND_RECORD:
                value = PyBytes_FromStringAndSize(image + at + sizeof(Entry) + padded(entry.key_length), entry.length)
            found = end(images, epoch, found)
            if self.settle(found, &tries):
                break
        if found == FOUND_NOTHING:
            return None
        return self.value_of(entry.type, value), entry.sequence, entry.epoch, entry.time_ns

    cdef object value_of(self, int kind, bytes value):
        try:
            return decoded(kind, value)
        except ValueError:
            self.check(FOUND_DAMAGE)

    cdef object unknown(self, key):
        return ChannelKeyError(
            f"channel {self.name!r} has no key {shown(key, 300)}; its keys: {', '.join(map(repr, self._keys()))}"[:500],
            channel=self.name, path=self.path, key=key)

    def _entry(self, key):
        """Return (value, sequence, epoch, time in ns) of a key; raises `ChannelKeyError`."""
        cdef tuple found = self.look_up(key)
        if found is None:
            raise self.unknown(key)
        return found

    def __getitem__(self, key):
        return self._entry(key)[0]

    def __contains__(self, key):
        return self.look_up(key) is not None

    def __len__(self):
        return len(self._keys())

    def _keys(self):
        """Return the keys, in the order in which they were set first."""
        return [key for key, *_ in self._read_from(<uint64_t>-1)[2]]

    def _read_from(self, uint64_t first):
        """Return a consistent copy: epoch, epoch of the last removal, and a tuple for each key.

        The tuple is (key, value, sequence, epoch, time in ns); only (key,) if it was set before epoch `first`.
        """
        cdef bytes copy = b""
        cdef Images *images
        cdef Found found
        cdef uint64_t epoch = 0, nbytes = 0
        cdef int tries = 0
        while True:
            images = self.use()
            found = begin(images, &epoch, &nbytes)
            if found == FOUND_RECORD:
                copy = PyBytes_FromStringAndSize(image_of(images, epoch), nbytes)
            found = end(images, epoch, found)
            if self.settle(found, &tries):
                break
        return epoch, (<Image *>PyBytes_AsString(copy)).removed, self.entries_of(copy, first)

    cdef list entries_of(self, bytes copy, uint64_t first):
        """Return the entries of a copy of an image."""
        cdef const char *image = PyBytes_AsString(copy)
        cdef const char *key
        cdef uint64_t nbytes = len(copy), at = sizeof(Image), after, behind
        cdef Entry entry
        cdef list entries = []
        while at < nbytes:
            after = entry_at(image, at, nbytes, &entry)
            if after == 0:
                self.check(FOUND_DAMAGE)
            key = image + at + sizeof(Entry)
            name = PyUnicode_DecodeUTF8(key, entry.key_length, "replace")
            if entry.epoch >= first:
                behind = at + sizeof(Entry) + padded(entry.key_length)
                value = self.value_of(entry.type, copy[behind:behind + entry.length])
                entries.append((name, value, entry.sequence, entry.epoch, entry.time_ns))
            else:
                entries.append((name,))
            at = after
        return entries

    def _read_changes(self):
        """Return `_read_from` of what this object has not read, which it has then; None if there is nothing."""
        if not self._has_news():
            self.use()
            self.check_whole()
            self.tell()
            return None
        found = self._read_from(self.seen + 1)
        self.seen = found[0]
        self.tell()
        return found

    def _go_back(self, seen):
        """Go back to the epoch up to which this object had read: what was read since was not handed over."""
        self.seen = seen

    def _wait_beyond(self, uint64_t epoch, timeout):
        """Wait for an epoch that is another one; tells whether there is one."""
        return self.wait_beyond(epoch, timeout)

    # -- writing

    def _set(self, values, removed=()):
        """Set keys and remove others in one step; returns the epoch."""
        cdef list changes = [encoded(self.name, key, value) for key, value in values]
        cdef uint64_t epoch = 0
        cdef int which = 0
        cdef Refusal refusal = DONE
        for key in removed:
            changes.append((key_bytes(key), 0, None))
            if changes[-1][0] is None:
                raise self.unknown(key)
        if not changes:
            return self.epoch
        self.lock()
        try:
            epoch = self.step(changes, &refusal, &which)
        finally:
            self.unlock()
        self.check_whole()
        if refusal != DONE:
            raise self.refused(refusal, changes, which)
        return epoch

    cdef uint64_t step(self, list changes, Refusal *refusal, int *which) except? 0:
        """Do what stands in `changes`, or nothing of it. The caller has the lock."""
        cdef Images *images = &self.images
        cdef uint64_t epoch, nbytes
        cdef Step step = Step(images.nbytes, 0, clock_ns(CLOCK_REALTIME), self.fixed, False)
        cdef bytearray done = bytearray(len(changes))
        cdef char *image
        self.check(begin(images, &epoch, &nbytes))
        count_abandoned(images.header, epoch)
        note_begun(images.header)
        image = image_of(images, epoch + 1)
        step.epoch = epoch + 1
        atomic_store_u64(&images.header.tail, epoch + 1, __ATOMIC_RELEASE)
        # A reader that sees a byte of what comes now sees the new tail. Pairs with `end`.
        atomic_fence(__ATOMIC_RELEASE)
        memcpy(image, image_of(images, epoch), nbytes)
        (<Image *>image).epoch = epoch + 1
        refusal[0] = self.change_all(image, &step, changes, done, which)
        if refusal[0] != DONE:
            note_refused(images.header)
            return epoch
        images.header.last_ns = step.time_ns
        atomic_store_u64(&images.header.count, epoch + 1, __ATOMIC_RELEASE)
        pymilk_bell_ring(&images.header.bell)
        return epoch + 1

    cdef Refusal change_all(self, char *image, Step *step, list changes, bytearray done, int *which) except *:
        """Change an image, first by what needs no more room; `which` is the change that was refused.

        `done` is a byte of 0 for each change.
        """
        cdef bytes key, value
        cdef int kind, index
        cdef Refusal refusal
        for step.growing in (False, True):
            for index in range(len(changes)):
                if done[index]:
                    continue
                key, kind, value = changes[index]
                refusal = change(image, step, key, kind, value)
                if refusal != DONE and refusal != LATER:
                    which[0] = index
                    return refusal
                if refusal == DONE:
                    done[index] = True
        return DONE

    cdef object refused(self, Refusal refusal, list changes, int which):
        """Return the error that says why a step was not done."""
        cdef bytes name, value
        cdef int kind
        name, kind, value = changes[which]
        key = name.decode("utf-8", "replace")
        if refusal == NO_ROOM:
            return too_long(self.name, self.path, changes, self.images.nbytes)
        if refusal == DAMAGE:
            self.check(FOUND_DAMAGE)
        if refusal == NO_KEY or refusal == NEW_KEY:
            return self.unknown(key)
        wanted = f"of type {TYPES[kind]}" if refusal == NEW_TYPE else "removed"
        axes = "; the type and axes of an array count" if kind == ARRAY else ""
        return ChannelArgumentError(
            f"channel {self.name!r} has fixed keys: {key!r} is {TYPES[self.type_of(key)]}, and cannot be {wanted}{axes}; "
            "nothing was set", channel=self.name, path=self.path, argument=key, found=self.value_of(kind, value)
            if value is not None else None)

    cdef int type_of(self, key) except -1:
        return encoded(self.name, key, self[key])[1]

    def _lock(self):
        """Let no other process, object or thread write, until `_unlock`; wait for one that does.

        Raises
        ------
        ChannelInUseError
            It takes longer than `timeout`.
        """
        self.lock()
        self.holder = PyThread_get_thread_ident()
        self.depth += 1

    def _unlock(self):
        """Let others write, once this was called as often as `_lock`."""
        if self.holder == <unsigned long>PyThread_get_thread_ident():
            self.depth -= 1
            if self.depth == 0:
                self.holder = 0
                self.unlock()

    cdef int lock(self) except -1:
        """Wait until nobody else writes, and be the one who does."""
        cdef int64_t began = clock_ns(CLOCK_MONOTONIC), now = began
        cdef int error
        self.prepare_lock()
        while True:
            self.check_open()
            error = EAGAIN
            if self.holder == 0 or self.holder == <unsigned long>PyThread_get_thread_ident():
                error = pymilk_state_lock(self.fd, PYMILK_CHANNEL_LOCK_AT, self.pid, True)
            if error == 0:
                break
            if error != EAGAIN and error != EACCES:
                raise self.not_locked(error)
            now = clock_ns(CLOCK_MONOTONIC)
            if now - began > self.timeout:
                raise self.busy()
            with nogil:
                if now - began < SPIN_NS:
                    pymilk_pause()
                else:
                    sleep_until(now + NAP_NS)
            PyErr_CheckSignals()
        if self.header.retired:
            self.unlock()
            raise self.removed()
        return 0

    def _go_on_unnamed(self):
        """As of `ChannelFile`; the file is opened for locks while it has its name."""
        if self.writing:
            self.prepare_lock()
        CountedFile._go_on_unnamed(self)

    cdef int prepare_lock(self) except -1:
        """Open the file once more, for locks; in a child after fork again."""
        self.use()
        if not self.writing:
            raise self.read_only()
        if self.fd >= 0:
            return 0
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise self.removed() from None
        except OSError as error:
            raise trouble(error, self.name, self.path, "opened to be locked") from None
        status = os.fstat(fd)
        if status.st_ino != self.inode or status.st_dev != self.device:
            os.close(fd)
            raise self.removed()
        self.fd, self.pid = fd, os.getpid()
        return 0

    cdef object busy(self):
        who, pids = named_holder(self.fd, holder_of(self.fd))
        return ChannelInUseError(
            f"channel {self.name!r}: {who} has been writing it for "
            f"{self.timeout * 1e-9:g} s, maybe stopped; nothing was set",
            channel=self.name, path=self.path, pids=pids)

    cdef void unlock(self) noexcept:
        """Let others write, unless this thread has the lock for several steps."""
        if self.fd >= 0 and self.holder == 0:
            pymilk_state_lock(self.fd, PYMILK_CHANNEL_LOCK_AT, 0, False)

    def _after_fork(self):
        """Leave the lock to the parent, with whom its descriptor is shared."""
        self.let_go()

    cdef int let_go(self) except -1:
        cdef int fd = self.fd
        self.fd, self.holder, self.depth = -1, 0, 0
        if fd >= 0:
            os.close(fd)
        return 0

    def close(self):
        """Let go of the file. It stays."""
        CountedFile.close(self)
        self.let_go()

    def __dealloc__(self):
        if self.fd >= 0:
            os.close(self.fd)
