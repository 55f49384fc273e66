"""`ChannelFile`: what files of all channels have in common. Header, mapping, being closed, cut and removed."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from .._isio cimport __ATOMIC_RELAXED, atomic_load_i32, atomic_or_i32, c_stat, stat
from ..native.memory cimport map_file
from ..protocol.bell cimport pymilk_bell_ring
from ._log cimport (
    FOUND_DAMAGE, PYMILK_CHANNEL_MAGIC, PYMILK_CHANNEL_ROOM_AT, PYMILK_CHANNEL_VERSION, ChannelHeader, Found,
)

import os
import time

from ..errors import (
    ChannelClosedError,
    ChannelDamagedError,
    ChannelFormatError,
    ChannelReadOnlyError,
    ChannelRemovedError,
    ChannelStorageError,
)

__all__ = ["HEADER_NBYTES", "ChannelFile", "new_header"]

cdef enum:
    # Bits of Mapping.closed: see protocol/guard.h.
    CLOSED = 1
    LOST = 2

#: Bytes in front of what a channel holds.
HEADER_NBYTES = PYMILK_CHANNEL_ROOM_AT


def new_header(uint32_t kind, uint64_t nbytes, uint64_t slots=0, uint64_t size=0, uint64_t count=0):
    """Return the header of a new file of `nbytes` bytes; what `slots`, `size` and `count` are depends on its kind."""
    cdef ChannelHeader header
    memset(&header, 0, sizeof(header))
    memcpy(header.magic, PYMILK_CHANNEL_MAGIC, 8)
    header.version = PYMILK_CHANNEL_VERSION
    header.kind = kind
    header.nbytes = nbytes
    header.identity = int.from_bytes(os.urandom(8), "little") | 1
    header.created_ns = time.time_ns()
    header.room = (nbytes - PYMILK_CHANNEL_ROOM_AT) & ~<uint64_t>7
    header.slots, header.size, header.count = slots, size, count
    return (<char *>&header)[:sizeof(header)]


@cython.auto_pickle(False)
cdef class ChannelFile:
    """A channel, mapped. Rooms with channels of one kind derive from it."""

    cdef int open_file(self, int fd, str path, str name, uint32_t kind, bint shared) except -1:
        """Check and map a file of this kind; `shared`: for writing. The descriptor stays with the caller."""
        self.path, self.name = path, name
        self.path_bytes = os.fsencode(path)
        status = os.fstat(fd)
        self.device, self.inode = status.st_dev, status.st_ino
        self.check_header(os.pread(fd, sizeof(ChannelHeader), 0), status.st_size, kind)
        self.mapping = map_file(fd, status.st_size, shared, path)
        self.header = <ChannelHeader *>self.mapping.base
        return 0

    cdef int check_header(self, bytes content, int64_t nbytes, uint32_t kind) except -1:
        cdef ChannelHeader header
        cdef str field
        if len(content) < <Py_ssize_t>sizeof(header) or nbytes < PYMILK_CHANNEL_ROOM_AT + 1024:
            field, expected, found = "file size", f"{PYMILK_CHANNEL_ROOM_AT + 1024} or more", nbytes
        else:
            memcpy(&header, <char *>content, sizeof(header))
            if memcmp(header.magic, PYMILK_CHANNEL_MAGIC, 8) != 0:
                field, expected, found = "magic", PYMILK_CHANNEL_MAGIC, header.magic[:8]
            elif header.version != PYMILK_CHANNEL_VERSION:
                field, expected, found = "version", PYMILK_CHANNEL_VERSION, header.version
            elif header.kind != kind:
                field, expected, found = "kind", kind, header.kind
            elif header.nbytes != <uint64_t>nbytes:
                field, expected, found = "nbytes", nbytes, header.nbytes
            elif header.room != (<uint64_t>nbytes - PYMILK_CHANNEL_ROOM_AT) & ~<uint64_t>7:
                field, expected, found = "room", nbytes - PYMILK_CHANNEL_ROOM_AT, header.room
            else:
                return 0
        raise ChannelFormatError(
            f"{self.path} is no channel of this kind: {field} is {found!r}, not {expected!r}",
            channel=self.name, path=self.path, field=field, expected=expected, found=found)

    cdef int check_open(self) except -1:
        """Raise if it is closed. The memory stays for as long as the caller runs no Python code."""
        if self.mapping is None:
            raise ChannelClosedError(
                f"channel {self.name!r} is closed, or belongs to the parent of this process; attach it again",
                channel=self.name, path=self.path)
        return 0

    cdef int check_whole(self) except -1:
        """Raise if the file was cut, or another header written over it."""
        if (atomic_load_i32(<int32_t *>&self.mapping.closed, __ATOMIC_RELAXED) & LOST
                or self.header.nbytes != self.mapping.nbytes):
            self.check(FOUND_DAMAGE)
        return 0

    cdef int check(self, Found found) except -1:
        if found == FOUND_DAMAGE:
            raise ChannelDamagedError(
                f"channel {self.name!r}: its file was cut or overwritten while it was attached; make it anew",
                channel=self.name, path=self.path, field="records", expected="a record", found="other bytes")
        return 0

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.mapping is None

    def close(self):
        """Let go of the file. A wait in another thread ends."""
        if self.mapping is not None:
            atomic_or_i32(<int32_t *>&self.mapping.closed, CLOSED, __ATOMIC_RELAXED)
            self.mapping = None

    @property
    def identity(self):
        """Random number of this file: another one under the same name has another."""
        self.check_open()
        return self.header.identity

    @property
    def created_ns(self):
        """When the file was made, in nanoseconds UTC since 1970."""
        self.check_open()
        return self.header.created_ns

    cdef bint is_gone(self) noexcept:
        """Tell whether no record can come any more in this file."""
        cdef stat status
        if self.unnamed or self.header.retired:
            return self.header.retired != 0
        return (c_stat(self.path_bytes, &status) != 0 or status.st_ino != self.inode
                or status.st_dev != self.device)

    cdef object removed(self):
        return ChannelRemovedError(
            f"channel {self.name!r} was removed or made anew since it was attached; attach it again",
            channel=self.name, path=self.path)

    def _go_on_unnamed(self):
        """From now on this object takes no notice of its name being removed, or given to another file."""
        self.check_open()
        self.unnamed = True

    cdef object read_only(self):
        return ChannelReadOnlyError(
            f"channel {self.name!r} is attached for reading; attach it with write=True",
            channel=self.name, path=self.path)

    cdef object not_locked(self, int error):
        return ChannelStorageError(
            f"channel {self.name!r}: {self.path} cannot be locked: {os.strerror(error)}",
            channel=self.name, path=self.path)

    def _retire(self):
        """Tell all who have the file attached that no record comes any more."""
        self.check_open()
        if self.mapping.writable:
            self.header.retired = 1
            pymilk_bell_ring(&self.header.bell)

    cdef int tell(self) except -1:
        """Tell who waits by a descriptor that something was read, or that there is nothing."""
        if self._descriptor is not None:
            self._descriptor.update()
        return 0
