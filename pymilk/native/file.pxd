"""One attached stream file: its memory, its checked header, and which file it is.

Doors
-----
Every use of the memory begins at one of three doors. Each returns the base address, which is valid for as long as
the caller holds this `StreamFile` in a local variable.

    door             raises                                               used for
    use()            StreamClosedError                                    questions about the file: it may be damaged
    use_whole()      and StreamDamagedError, if damage is known           reading
    use_to_write()   and StreamReadOnlyError; it looks for damage first   writing

The file can be damaged during the use. So every use ends with `check_whole()` (or `whole(value)`), which raises if
what was read may be zeros or may belong to another stream. Code that needs pixels also calls `need_pixels()`.

How to add a method that uses a StreamFile
------------------------------------------
1. Take `self.file` into a local variable once, and use only that: another thread may close the handle at any line
   that runs Python code, and `self.file` is another object then.
2. Go through one door, the one of the table.
3. End with `check_whole()`, after writing with `check_written()`. After a long use, or before trusting what was
   copied from a view: `check_file()`.
4. Store neither the base nor a pointer that was computed from it.
5. Assign no field: a StreamFile never changes after `make_file`. Closing a handle replaces its StreamFile by
   `without_memory()`; views and other handles keep the memory.
"""

cimport cython

from .._isio cimport dev_t, ino_t
from ..protocol.filestate cimport damaged, file_state
from ..protocol.guard cimport PYMILK_CLOSED
from ..protocol.layout cimport Header
from ..protocol.port cimport PYMILK_ASSERT
from .memory cimport Mapping


@cython.final
cdef class StreamFile:
    cdef readonly Mapping mapping   # None after `without_memory`
    cdef Header h
    cdef dev_t device
    cdef ino_t inode                # of the file; h.inode is the one stored in the metadata
    cdef readonly str path          # empty for a stream of this process alone, which has no file
    cdef bytes path_bytes           # the same as bytes,
    cdef const char *path_chars     # and where they are: for use without the GIL
    cdef readonly str name
    cdef readonly str note          # why it is read-only, or empty
    cdef readonly tuple shape       # of the pixels in the file
    cdef readonly tuple frame_shape  # of one frame: of a slice where the stream is a temporal cube
    cdef readonly object dtype

    # -- doors

    cdef inline char *use(self) except NULL:
        if self.mapping is None or self.mapping.closed & PYMILK_CLOSED:
            self.refuse()
        return self.mapping.base

    cdef inline char *use_whole(self) except NULL:
        if self.mapping is None or self.mapping.closed:
            self.refuse()
        return self.mapping.base

    cdef inline char *use_to_write(self) except NULL:
        cdef char *base = self.use_whole()
        if not self.mapping.writable:
            self.refuse_to_write()
        # What is written must not land in the pixels of another stream.
        self.check_written()
        return base

    # -- after the use

    cdef inline bint is_damaged(self) noexcept:
        """Tell whether the file was cut, or its header rewritten. Only behind a door."""
        PYMILK_ASSERT(self.mapping is not None)
        return damaged(self.mapping.base, &self.h, &self.mapping.closed)

    cdef inline int check_whole(self) except -1:
        if self.is_damaged():
            self.refuse()
        return 0

    cdef inline int check_written(self) except -1:
        """Raise if the memory is not that of the stream: of a header that is put back soon, nothing was lost."""
        if self.is_damaged() and self.is_lost():
            self.refuse()
        return 0

    cdef inline object whole(self, object value):
        """Return what was read, if the memory was whole until now."""
        self.check_whole()
        return value

    # -- questions

    cdef inline int need_pixels(self) except -1:
        if self.h.n.location != -1:
            self.refuse_pixels()
        return 0

    cdef inline int state(self) noexcept nogil:
        """Ask the file system what the path leads to (about 1 us): FILE_SAME and others of filestate.pxd."""
        return file_state(self.path_chars, self.device, self.inode, self.h.at.total)

    # Whether it is damaged, and is not put right within 0.1 s: waits without the GIL, once for a damage.
    cdef bint is_lost(self) noexcept
    # Ask the file system whether the file was cut, and raise if so.
    cdef int check_file(self) except -1
    cdef StreamFile without_memory(self)
    # They always raise.
    cdef int refuse(self) except -1
    cdef int refuse_to_write(self) except -1
    cdef int refuse_pixels(self) except -1


# The one place where fields are set. A stream without a file has no path, and its device and inode are 0.
cdef StreamFile make_file(Mapping mapping, const Header *h, str path, str name, str note, dev_t device, ino_t inode)
# What a handle has that was made by no one: closed, without a name.
cdef StreamFile no_file()
