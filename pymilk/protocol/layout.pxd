"""Where every section of a stream file begins: the arithmetic, with overflow checks.

Four layouts share one version string. They differ in the metadata, which two build options of the
header lengthen, and in a write history at the end of the file:

    option                    inserted before imdatamemsize   appended to the metadata   at the end
    (none)                    -                               -                          -
    DAO_COMPAT                -                               4112 bytes                 -
    IMAGESTRUCT_WRITEHISTORY  16 bytes                        -                          100 entries

A file does not say which one it has; only its size does, because exactly one of the four adds up.
"""

from libc.stdint cimport int8_t, uint8_t, uint16_t, uint32_t, uint64_t

from .._isio cimport (
    CBFRAMEMD, CIRCULAR_BUFFER, FRAMEWRITEMD, IMAGE_KEYWORD, IMAGESTRUCT_FRAMEWRITEMDSIZE,
    SEMFILEDATA, STREAM_PROC_TRACE, ZAXIS_TEMPORAL,
    add_overflows, mul_overflows, sem_t, timespec,
)

cdef enum:
    METADATA_MIN = 384       # metadata of the default layout
    METADATA_MAX = 4512      # metadata with both options
    HISTORY_INSERT = 16
    DAO_APPEND = 4112
    AT_IMDATAMEMSIZE = 312   # offset in the default layout
    AT_CUDA_HANDLE = 320
    AT_HISTORY_INDEX = 312   # wCBindex and wCBcycle, with write history only
    AT_HISTORY_CYCLE = 320
    CUDA_HANDLE_NBYTES = 64
    # Kind of image and meaning of the third axis: the bits that decide on per-slice arrays.
    KIND_AND_AXIS = 0xF000F

cdef struct Layout:
    bint history
    bint dao

# What the sizes of the sections depend on: a validated copy, never read again from the file.
cdef struct Counts:
    uint64_t imagetype
    uint64_t frame_nbytes
    uint32_t slices          # size[2] as stored
    uint32_t cbsize
    uint16_t sem
    uint16_t nbkw
    uint16_t nbtrace
    int8_t location

# Byte offsets from the start of the file.
cdef struct Sections:
    uint64_t array
    uint64_t keywords
    uint64_t semfile
    uint64_t semlog
    uint64_t sem_read_pid
    uint64_t sem_write_pid
    uint64_t semctrl
    uint64_t semstatus
    uint64_t trace
    uint64_t atimes
    uint64_t writetimes
    uint64_t cnts
    uint64_t ring_records
    uint64_t ring_slots
    uint64_t history
    uint64_t total

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


cdef inline uint64_t metadata_nbytes(Layout layout) noexcept nogil:
    return (METADATA_MIN + (HISTORY_INSERT if layout.history else 0)
            + (DAO_APPEND if layout.dao else 0))


cdef inline uint64_t at_imdatamemsize(Layout layout) noexcept nogil:
    return AT_IMDATAMEMSIZE + (HISTORY_INSERT if layout.history else 0)


cdef inline uint64_t at_cuda_handle(Layout layout) noexcept nogil:
    return AT_CUDA_HANDLE + (HISTORY_INSERT if layout.history else 0)


cdef inline bint is_temporal(uint64_t imagetype) noexcept nogil:
    """Tell whether the file has per-slice times and counters."""
    return (imagetype & KIND_AND_AXIS) == (CIRCULAR_BUFFER | ZAXIS_TEMPORAL)


cdef inline bint _put(uint64_t *end, uint64_t *begin, uint64_t count, uint64_t itemsize) noexcept nogil:
    """Place a section of count items at end, rounded up to 8 bytes; 0 if 64 bits do not hold it."""
    cdef uint64_t nbytes
    begin[0] = end[0]
    if mul_overflows(count, itemsize, &nbytes) or add_overflows(nbytes, 7, &nbytes):
        return 0
    return not add_overflows(end[0], nbytes & ~(<uint64_t>7), end)


cdef inline bint plan_sections(Layout layout, const Counts *n, Sections *s) noexcept nogil:
    """Work out all offsets. Returns 0 if the sizes do not fit into 64 bits."""
    cdef uint64_t end = metadata_nbytes(layout)
    cdef uint64_t slices = n.slices if is_temporal(n.imagetype) else 0
    if not (
        _put(&end, &s.array, 1 if n.location == -1 else 0, n.frame_nbytes)
        and _put(&end, &s.keywords, n.nbkw, sizeof(IMAGE_KEYWORD))
        and _put(&end, &s.semfile, n.sem, sizeof(SEMFILEDATA))
        and _put(&end, &s.semlog, 1, sizeof(sem_t))
        and _put(&end, &s.sem_read_pid, n.sem, 4)
        and _put(&end, &s.sem_write_pid, n.sem, 4)
        and _put(&end, &s.semctrl, n.sem, 4)
        and _put(&end, &s.semstatus, n.sem, 4)
        and _put(&end, &s.trace, n.nbtrace, sizeof(STREAM_PROC_TRACE))
        and _put(&end, &s.atimes, slices, sizeof(timespec))
        and _put(&end, &s.writetimes, slices, sizeof(timespec))
        and _put(&end, &s.cnts, slices, 8)
        and _put(&end, &s.ring_records, n.cbsize, sizeof(CBFRAMEMD))
        and _put(&end, &s.ring_slots, n.cbsize, n.frame_nbytes)
        and _put(&end, &s.history, IMAGESTRUCT_FRAMEWRITEMDSIZE if layout.history else 0,
                 sizeof(FRAMEWRITEMD))
    ):
        return 0
    s.total = end
    return 1


cdef inline void note_unit(Header *h) noexcept nogil:
    """Work out what one frame of the stream is."""
    h.temporal = h.naxis == 3 and is_temporal(h.n.imagetype)
    h.unit_nbytes = h.n.frame_nbytes // (h.size[2] if h.temporal else 1)
