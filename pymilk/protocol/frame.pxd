"""One frame: its row in an account, its flags, and how its pixels are copied."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .port cimport pymilk_stream_copy

# What is known of one frame: FRAME_ROW of Python, in C.
cdef struct Row:
    uint64_t cnt0
    uint64_t cnt1
    int64_t atime_ns
    int64_t writetime_ns
    int64_t arrival_ns
    uint64_t lost
    uint32_t flags

cdef enum:
    _VERIFIED = 1
    _TORN = 2
    _REPEATED_POST = 4
    _FROM_RING = 8
    _NEW_FILE = 16
    _COUNTER_RESET = 32
    _COUNTER_SET = 64
    _UNCERTAIN = 128

cdef enum:
    # A counter that is this many frames ahead, and one for so many ns, was set.
    SET_FRAMES = 1_000_000
    SET_INTERVAL_NS = 50

cdef enum:
    # Copies of this size and more release the GIL. For smaller ones, taking it back beside a busy Python
    # thread (up to 5 ms) costs more than other threads gain. 512 KiB are about 50 us of copying.
    GIL_RELEASE_NBYTES = 524_288
    # Slots of this size and more in the ring of a stream are filled past the caches: they would evict all else.
    STREAMING_NBYTES = 1_048_576
    # Frames of at least this size are copied with streaming stores into destinations of at least this size: they
    # do not fit the caches, and streaming stores do not read the destination first.
    STREAMING_FRAME_NBYTES = 4096
    STREAMING_CUBE_NBYTES = 33_554_432


cdef inline bint is_set(uint64_t lost, int64_t since) noexcept nogil:
    """Tell whether another program set the counter: so many frames cannot have come in `since` ns."""
    return lost > SET_FRAMES + <uint64_t>max(since, 0) // SET_INTERVAL_NS


cdef inline void copy_bytes(char *dst, const char *src, uint64_t nbytes, bint streaming) noexcept nogil:
    """Copy a frame; streaming: past the caches."""
    if streaming:
        pymilk_stream_copy(dst, src, nbytes)
    else:
        memcpy(dst, src, nbytes)


cdef inline void fill_slot(char *slot, const char *frame, uint64_t nbytes) noexcept nogil:
    if nbytes < STREAMING_NBYTES:
        memcpy(slot, frame, nbytes)
    else:
        pymilk_stream_copy(slot, frame, nbytes)


cdef inline bint streams(uint64_t frame_nbytes, uint64_t nbytes) noexcept nogil:
    """Tell whether to copy frames of that size past the caches into a destination of that size."""
    return frame_nbytes >= STREAMING_FRAME_NBYTES and nbytes >= STREAMING_CUBE_NBYTES
