"""One frame: its copy, its row in an account, its flags, and the clocks that stamp it."""

from libc.stdint cimport int64_t, uint32_t, uint64_t, INT64_MAX

from libc.string cimport memcpy

from ._isio cimport clock_gettime, pymilk_stream_copy, timespec

# What is known of one frame: FRAME_ROW of _core.pyx, in C.
cdef struct Row:
    uint64_t cnt0
    uint64_t cnt1
    int64_t atime_ns
    int64_t writetime_ns
    int64_t arrival_ns
    uint64_t lost
    uint32_t flags

cdef enum:
    # From this frame size on a copy releases the GIL. Below, taking it back next to a busy Python
    # thread (up to 5 ms) costs more than other threads gain. 512 KiB are about 50 us of copying.
    GIL_RELEASE_NBYTES = 524_288
    FOREVER = -1

cdef enum:
    _VERIFIED = 1
    _TORN = 2
    _REPEATED_POST = 4
    _FROM_RING = 8
    _NEW_FILE = 16
    _COUNTER_RESET = 32


cdef inline int64_t clock_ns(int clock) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return now.tv_sec * <int64_t>1_000_000_000 + now.tv_nsec


cdef inline int64_t stamp_ns(const timespec *stamp) noexcept nogil:
    # A stamp is foreign data: unsigned arithmetic wraps where signed would be undefined.
    return <int64_t>(<uint64_t>stamp.tv_sec * <uint64_t>1_000_000_000 + <uint64_t>stamp.tv_nsec)


cdef inline timespec to_timespec(int64_t ns) noexcept nogil:
    # Floors, so that times before 1970 keep a tv_nsec of 0 to 999999999 as POSIX wants it.
    cdef timespec stamp
    stamp.tv_sec = ns // 1_000_000_000
    stamp.tv_nsec = ns % 1_000_000_000
    if stamp.tv_nsec < 0:
        stamp.tv_nsec += 1_000_000_000
        stamp.tv_sec -= 1
    return stamp


cdef inline int64_t later(int64_t now, int64_t delay) noexcept nogil:
    """Return now + delay, where a negative or huge delay means never."""
    return INT64_MAX if delay < 0 or delay > INT64_MAX - now else now + delay


cdef inline void copy_bytes(char *dst, const char *src, uint64_t nbytes, bint streaming) noexcept nogil:
    """Copy a frame; streaming: to memory beyond the caches."""
    if streaming:
        pymilk_stream_copy(dst, src, nbytes)
    else:
        memcpy(dst, src, nbytes)
