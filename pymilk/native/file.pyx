"""`StreamFile`: one attached stream file. Its doors, and the rules of use, are in file.pxd."""

cimport cython

from ..protocol.filestate cimport FILE_CUT, stays_damaged
from ..protocol.flags cimport raise_flag
from ..protocol.guard cimport PYMILK_CLOSED, PYMILK_LOST
from ..protocol.port cimport PYMILK_DEBUG_BUILD
from .checks cimport closed_error, damaged_error, on_gpu_error
from .header cimport frame_shape_of, shape_of

import os

from ..errors import StreamReadOnlyError
from .formats import DTYPES
from .memory import count_mappings

__all__ = ["live_objects"]


# Stream files that exist, counted in debug builds.
cdef int live_files = 0


@cython.final
@cython.auto_pickle(False)
cdef class StreamFile:
    """One attached stream file: memory, checked header, path, device and inode. It never changes.

    `Stream`, `Reader` and `RingCursor` hold one each. Closing a handle drops its own claim only: the memory is
    unmapped with the last view, reader or cursor.
    """

    def __cinit__(self):
        global live_files
        if PYMILK_DEBUG_BUILD:
            live_files += 1

    def __dealloc__(self):
        global live_files
        if PYMILK_DEBUG_BUILD:
            live_files -= 1

    def __init__(self):
        raise TypeError("a StreamFile is made by attaching or creating a stream")

    cdef bint is_lost(self) noexcept:
        """Tell whether the file is damaged; look again for 0.1 s at a header that was right before."""
        cdef Mapping mapping = self.mapping
        if not mapping.odd:
            with nogil:
                mapping.odd = stays_damaged(mapping.base, &self.h, &mapping.closed)
            return mapping.odd
        mapping.odd = self.is_damaged()
        return mapping.odd

    cdef int check_file(self) except -1:
        """Ask the file system whether the file was cut. Raise if it was, or if the handle was closed meanwhile."""
        self.use_whole()
        if self.state() == FILE_CUT:
            raise_flag(&self.mapping.closed, PYMILK_LOST)
        return self.check_whole()

    cdef StreamFile without_memory(self):
        """Return the same without the memory, for a handle that was closed: its name and header stay known."""
        if self is nothing:
            return self
        return make_file(None, &self.h, self.path, self.name, self.note, self.device, self.inode)

    cdef int refuse(self) except -1:
        """Raise the error of a handle whose memory must not be used."""
        if self.mapping is None or self.mapping.closed & PYMILK_CLOSED:
            raise closed_error(self.name)
        raise damaged_error(self.name)

    cdef int refuse_to_write(self) except -1:
        raise StreamReadOnlyError(
            f"stream {self.name!r} is attached read-only ({self.note}); "
            "attach it writable, or ask its owner for permission", stream=self.name)

    cdef int refuse_pixels(self) except -1:
        raise on_gpu_error(self.name, self.h.n.location)


cdef StreamFile make_file(Mapping mapping, const Header *h, str path, str name, str note, dev_t device, ino_t inode):
    """Make a StreamFile. `mapping` is None only for `without_memory`."""
    cdef StreamFile file = StreamFile.__new__(StreamFile)
    file.mapping = mapping
    file.h = h[0]
    file.device = device
    file.inode = inode
    file.path = path
    file.path_bytes = os.fsencode(path)
    file.path_chars = file.path_bytes
    file.name = name
    file.note = note
    file.shape = shape_of(h)
    file.frame_shape = frame_shape_of(h)
    file.dtype = DTYPES[h.datatype]
    return file


cdef StreamFile nothing = StreamFile.__new__(StreamFile)
nothing.path = nothing.name = nothing.note = ""
nothing.path_bytes = b""
nothing.path_chars = nothing.path_bytes
nothing.shape = nothing.frame_shape = ()


cdef StreamFile no_file():
    """Return the StreamFile of a handle that was not attached: closed, and without a name."""
    return nothing


def live_objects():
    """Count the objects that hold memory of streams, to find what keeps a stream mapped.

    Returns
    -------
    dict of str to int, or None
        ``mappings`` and ``files`` that exist in this process; None unless it is a debug build (PYMILK_DEBUG=1).
    """
    # One StreamFile is that of handles without a stream.
    return {"mappings": count_mappings(), "files": live_files - 1} if PYMILK_DEBUG_BUILD else None
