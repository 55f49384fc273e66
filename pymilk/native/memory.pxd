"""Memory: mapped files, arrays with pages of their own, kept blocks for frames."""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

cdef enum:
    # Single frames of this size and more are read into kept blocks (`take_block`).
    KEPT_NBYTES = 131_072


@cython.final
cdef class Mapping:
    cdef char *base
    cdef readonly size_t nbytes
    cdef readonly bint writable
    cdef bint guarded       # a mapped file, which other programs may cut (guard.h)
    # Not a plain flag. Bits: PYMILK_CLOSED after close(); PYMILK_LOST once the file was found cut. Shared by all
    # handles of this mapping: waits in other threads read it between slices, and every use of the memory is
    # followed by a look at it.
    cdef int closed
    cdef bint odd           # the header was found rewritten, and was not put back

    # Export part of the memory. The caller has checked that it lies inside.
    cdef object region(self, uint64_t offset, uint64_t nbytes, bint writable)


@cython.final
cdef class Region:
    cdef Mapping owner
    cdef char *start
    cdef Py_ssize_t nbytes
    cdef bint writable


cdef class ArrayExporter:
    pass


@cython.final
@cython.no_gc
cdef class Block:
    cdef char *base         # NULL: never filled in
    cdef size_t nbytes      # of whole pages: more than the frame


# How an ndarray begins, by the C API of NumPy 1 and 2 (PyArrayObject_fields); looked at when this is imported.
cdef struct ArrayHead:
    PyObject head
    char *pixels


cdef inline char *pixels_of(object array) noexcept:
    """Return where the memory of an ndarray begins; valid as long as the array is. Only of an exact ndarray."""
    return (<ArrayHead *>array).pixels


cdef Mapping map_file(int fd, size_t nbytes, bint writable, str path)
cdef void map_pages(Mapping mapping, int fd) noexcept
cdef Mapping anonymous(object count, str what, str advice)
cdef Block take_block(size_t nbytes)
