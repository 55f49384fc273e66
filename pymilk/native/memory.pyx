"""Memory: mapped files, arrays with pages of their own, kept blocks for frames, and copies between arrays."""

cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer,
)
from libc.errno cimport EFAULT, EINVAL, errno
from libc.stdint cimport uint64_t, uint8_t
from libc.string cimport memmove

from ..protocol.frame cimport GIL_RELEASE_NBYTES
from ..protocol.guard cimport PYMILK_LOST, pymilk_guard_add, pymilk_guard_remove
from .._isio cimport (
    MADV_HUGEPAGE, MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, fstat, madvise, mmap, munmap, stat,
)
from ..protocol.port cimport (
    MADV_POPULATE_READ, PYMILK_ASSERT, PYMILK_DEBUG_BUILD, pymilk_fence, pymilk_populate, pymilk_unfence,
)
from ..protocol.turn cimport describe_turn, pymilk_turn, pymilk_turn_copy

import math
import os

import numpy as np

from ..errors import (
    CaptureMemoryError,
    FrameMismatchError,
    StreamArgumentError,
    StreamError,
    StreamStorageError,
)
from ..system.causes import cause_of
from ..system.memory import free_memory

__all__ = [
    "ArrayExporter", "Mapping", "allocate", "count_mappings", "frame_memory", "map_shared", "prefault", "turn_copy",
]

cdef enum:
    # Limits of the cache of free frame blocks: their number, and all their bytes.
    KEPT_BLOCKS = 8
    KEPT_TOTAL_NBYTES = 268_435_456
    # Streams up to this size have all their pages mapped when they are attached or created.
    MAPPED_NBYTES = 268_435_456
    HUGE_PAGE = 2_097_152
    PAGE = 4096


cdef int check_arrays() except -1:
    """Refuse a NumPy whose arrays begin in another way: `pixels_of` would lead anywhere."""
    cdef const unsigned char[::1] memory
    array = np.empty(1, np.uint8)
    memory = array
    if pixels_of(array) != <char *>&memory[0]:
        raise ImportError(f"NumPy {np.__version__} lays out its arrays as none before it: pymilk needs an older NumPy")
    return 0


check_arrays()

# Mappings that exist, counted in debug builds.
cdef int live_mappings = 0


def count_mappings():
    """Return how many mappings exist; always 0 unless the build is a debug build."""
    return live_mappings


@cython.final
@cython.auto_pickle(False)
cdef class Mapping:
    """Mapped memory. It is unmapped when the last reference to it is gone, and never before.

    A `Stream` drops its reference when it is closed. Views (`Region`) keep theirs, so no NumPy array
    can point to memory that is gone.
    """

    def __cinit__(self):
        global live_mappings
        self.base = NULL
        if PYMILK_DEBUG_BUILD:
            live_mappings += 1

    def __init__(self):
        raise TypeError("a Mapping is made by Stream.create, Stream.attach or allocate")

    def __dealloc__(self):
        global live_mappings
        if PYMILK_DEBUG_BUILD:
            live_mappings -= 1
        if self.base != NULL:
            if self.guarded:
                pymilk_guard_remove(self.base)
            pymilk_unfence(self.base, self.nbytes)
            munmap(self.base, self.nbytes)

    @property
    def damaged(self):
        """Whether the file was found cut: the memory holds zeros since."""
        return (self.closed & PYMILK_LOST) != 0

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
    """Part of a `Mapping`, for the buffer protocol. It is the base of every array view."""

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.start, self.nbytes, not self.writable, flags)


@cython.auto_pickle(False)
cdef class ArrayExporter:
    """Base of classes that export an array through the buffer protocol: the array that `_exported` returns."""

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyObject_GetBuffer(self._exported(), view, flags)


cdef Mapping map_file(int fd, size_t nbytes, bint writable, str path):
    """Map a stream file, shared. `path` is for messages."""
    return map_part(fd, 0, nbytes, writable, path)


cdef Mapping map_part(int fd, uint64_t offset, size_t nbytes, bint writable, str path):
    """Map a part of a file, shared and under the guard. `offset` is a multiple of the page size."""
    cdef Mapping mapping = Mapping.__new__(Mapping)
    cdef int error, prot = PROT_READ | (PROT_WRITE if writable else 0)
    cdef void *base = mmap(NULL, nbytes, prot, MAP_SHARED, fd, <long>offset)
    if base == MAP_FAILED:
        error = errno
        raise StreamStorageError(
            f"{path}: mapping {nbytes} bytes failed: {cause_of(OSError(error, os.strerror(error)))}",
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


def map_shared(int fd, uint64_t offset, size_t nbytes, bint writable, str path):
    """Map a part of a file that other programs may cut, under the guard.

    Parameters
    ----------
    fd : int
        May be closed afterwards.
    offset : int
        A multiple of the page size.
    nbytes : int
        The file has to have `offset + nbytes`.
    writable : bool
    path : str
        For messages.

    Returns
    -------
    (Mapping, buffer)
        `Mapping.damaged` tells whether pages were found missing. The buffer keeps the mapping.
    """
    cdef Mapping mapping = map_part(fd, offset, nbytes, writable, path)
    return mapping, mapping.region(0, nbytes, writable)


cdef void map_pages(Mapping mapping, int fd) noexcept:
    """Map the pages of a file now, instead of one by one in the first lap of a ring.

    Only if all pages exist: reading a sparse file would make them. This is advice; nothing depends on it.
    """
    cdef stat st
    if mapping.nbytes <= MAPPED_NBYTES and fstat(fd, &st) == 0 and st.st_blocks * 512 >= <long long>mapping.nbytes:
        with nogil:
            madvise(mapping.base, mapping.nbytes, MADV_POPULATE_READ)


cdef Mapping anonymous(object count, str what, str advice):
    """Map private memory: zeroed, pre-faulted, in huge pages where the kernel has them.

    `what` and `advice` are for the message of `CaptureMemoryError`.
    """
    return partly_ready(count, count, what, advice)


cdef Mapping partly_ready(object count, object ready, str what, str advice):
    """Map private memory as `anonymous`, of which only the first `ready` bytes are pre-faulted."""
    cdef Mapping mapping = Mapping.__new__(Mapping)
    mapping.base = take_pages(count, ready, &mapping.nbytes, what, advice)
    mapping.writable = True
    return mapping


cdef size_t whole_pages(size_t wanted) noexcept nogil:
    """Round a size up to whole huge pages, or to small pages where that would waste more than an eighth."""
    cdef size_t huge = (wanted + HUGE_PAGE - 1) // HUGE_PAGE * HUGE_PAGE
    return huge if huge - wanted <= huge // 8 else (wanted + PAGE - 1) // PAGE * PAGE


cdef char *take_pages(object count, object ready, size_t *nbytes, str what, str advice) except NULL:
    """Map at least `count` bytes, and pre-fault the first `ready`; `nbytes` is set to what was mapped."""
    cdef size_t wanted, span, first
    cdef void *base
    cdef int error
    available = free_memory()
    if count > available:
        raise CaptureMemoryError(
            f"{what} needs {count} bytes, but only {available} are free; {advice}",
            needed=count, available=available)
    wanted = max(count, 1)
    span = whole_pages(wanted)
    first = span if ready >= count else min(span, whole_pages(max(ready, 1)))
    base = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if base == MAP_FAILED:
        error = errno
        raise CaptureMemoryError(
            f"{what}: mapping {span} bytes failed: {cause_of(OSError(error, os.strerror(error)))}; {advice}",
            needed=span, available=available)
    with nogil:
        if span >= HUGE_PAGE:
            madvise(base, span, MADV_HUGEPAGE)  # advice: a kernel without huge pages refuses
        error = populate(<char *>base, first)
    if error:
        munmap(base, span)
        raise CaptureMemoryError(
            f"{what} needs {count} bytes, and the kernel did not give them: {os.strerror(error)}; {advice}",
            needed=count, available=free_memory())
    nbytes[0] = span
    return <char *>base


cdef int populate(char *start, size_t nbytes) noexcept nogil:
    """Make the kernel provide writable pages for this memory. Its content stays. Returns 0 or an errno value."""
    cdef size_t offset = 0
    cdef char *first = <char *>(<size_t>start // PAGE * PAGE)
    cdef size_t span = (<size_t>start + nbytes + PAGE - 1) // PAGE * PAGE - <size_t>first
    cdef int error
    if nbytes == 0:
        return 0
    error = pymilk_populate(first, span, HUGE_PAGE if span >= HUGE_PAGE else PAGE)
    if error != EINVAL:
        return error
    # Linux before 5.14: write one byte of each page with its own value. Atomic, because another thread may
    # write to the page.
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
    """Make the kernel provide the pages of a writable buffer now. Its content stays.

    Parameters
    ----------
    target : buffer
        C-contiguous and writable.

    Raises
    ------
    CaptureMemoryError
        The kernel has no memory, or the file behind the buffer is too short.
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
            f"no memory for the {nbytes} bytes of the destination: {os.strerror(error)}"
            + ("; is the file behind it too short?" if error == EFAULT else ""),
            needed=nbytes, available=free_memory())


def allocate(shape, dtype, ready=None):
    """Make an array whose pages exist already: page-aligned, zeroed, pre-faulted.

    The pages of an array from ``np.empty`` are made one by one while it is filled, and a camera stream loses
    frames meanwhile. Here they are made now, as huge pages where the kernel has them.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    ready : int, optional
        Pre-fault so many entries of the first axis only. The pages of the others take no memory until `prefault`,
        or somebody who writes, asks for them.

    Returns
    -------
    ndarray
        C-contiguous and writable. Freed with the last view of it.

    Raises
    ------
    CaptureMemoryError
        The machine has less memory free.
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
    wanted = count if ready is None else math.prod((ready, *shape[1:])) * dtype.itemsize
    mapping = partly_ready(
        count, wanted, f"an array of shape {tuple(shape)}, {dtype}", "take fewer frames at a time")
    return np.ndarray(shape, dtype, mapping.region(0, count, True))


def frame_memory(shape, dtype):
    """Return an array whose content is arbitrary: if it is large, memory of earlier frames, whose pages exist.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    ndarray
        C-contiguous and writable. Its memory is used again after the last view of it.
    """
    cdef Block block = None
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes >= KEPT_NBYTES:
        block = take_block(nbytes)
    return np.empty(shape, dtype) if block is None else np.ndarray(shape, dtype, block)


def turn_copy(out, source, *, bint wide=True):
    """Copy an array into another of the same shape, whatever the order and direction of their axes.

    Parameters
    ----------
    out : ndarray
        Writable, with the shape and dtype of `source`. Only its items are written, not what lies between.
    source : ndarray
    wide : bool, default True
        False: as on a processor without registers of 64 bytes, to compare with.

    Raises
    ------
    FrameMismatchError
        One of them is no array, shape or dtype differ, or `out` is read-only; nothing was written.

    Notes
    -----
    The result is that of ``numpy.copyto``. Transposed and flipped images are copied in blocks, at about the speed of
    memory instead of item by item. From 512 KiB on the GIL is released; from 16 MiB on the copy goes past the caches,
    and from 2 MiB on if it is transposed and its rows (of 2048 items, say) share few sets of a cache.
    NumPy does the copy if the arrays share memory, have more than 8 axes of a length other than 1, or hold anything
    but numbers of 1 to 16 bytes.
    """
    cdef Py_buffer to, origin
    cdef pymilk_turn turn
    cdef bint able
    for name, array in (("out", out), ("source", source)):
        if not isinstance(array, np.ndarray):
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
        np.copyto(out, source)
        return
    PyObject_GetBuffer(out, &to, PyBUF_STRIDES | PyBUF_WRITABLE)
    try:
        PyObject_GetBuffer(source, &origin, PyBUF_STRIDES)
        try:
            able = describe_turn(&turn, <char *>to.buf, to.strides, <const char *>origin.buf, origin.strides,
                                 to.shape, to.ndim, to.itemsize)
            turn.narrow = not wide
            if not able:
                np.copyto(out, source)
            elif to.len < GIL_RELEASE_NBYTES:
                pymilk_turn_copy(&turn)
            else:
                with nogil:
                    pymilk_turn_copy(&turn)
        finally:
            PyBuffer_Release(&origin)
    finally:
        PyBuffer_Release(&to)


# Memory of frames that were freed, kept for the next ones: a fresh page costs as much as the copy into it.
# Protected by the GIL.
cdef struct Spare:
    char *base
    size_t nbytes

cdef Spare[KEPT_BLOCKS] spares
cdef int spare_count = 0
cdef size_t spare_nbytes = 0
# Blocks in use by arrays. Beyond KEPT_BLOCKS of them, frames get ordinary memory.
cdef int blocks_out = 0


cdef void drop_oldest() noexcept:
    """Unmap the spare that was unused for longest."""
    global spare_count, spare_nbytes
    munmap(spares[0].base, spares[0].nbytes)
    spare_nbytes -= spares[0].nbytes
    spare_count -= 1
    memmove(&spares[0], &spares[1], spare_count * sizeof(Spare))


@cython.final
@cython.auto_pickle(False)
@cython.no_gc
cdef class Block:
    """Memory of one frame. It goes back to the spares with the last array over it."""

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
        # The block that was unused for longest makes room.
        while spare_count == KEPT_BLOCKS or spare_nbytes + self.nbytes > KEPT_TOTAL_NBYTES:
            drop_oldest()
        spares[spare_count] = Spare(self.base, self.nbytes)
        spare_count += 1
        spare_nbytes += self.nbytes

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.base, self.nbytes, 0, flags)


cdef Block take_block(size_t nbytes):
    """Return memory for a frame, from the spares if one fits. Its content is arbitrary. None: use other memory."""
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
    populate(<char *>base, span)  # saves time later; if it fails, the copy makes the pages
    block.base, block.nbytes = <char *>base, span
    blocks_out += 1
    return block
