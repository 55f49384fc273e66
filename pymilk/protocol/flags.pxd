"""Flags that one thread raises and others look at: closed, stopped, damaged."""

from libc.stdint cimport int32_t

from .._isio cimport __ATOMIC_RELAXED, atomic_load_i32, atomic_or_i32


cdef inline int atomic_load_int(const int *flag) noexcept nogil:
    # Relaxed: no other memory is read because of the flag.
    return atomic_load_i32(<int32_t *>flag, __ATOMIC_RELAXED)


cdef inline void raise_flag(int *flag, int bits) noexcept nogil:
    # Or, not store: two threads, or a thread and the handler for SIGBUS, may each raise a bit at once.
    atomic_or_i32(<int32_t *>flag, bits, __ATOMIC_RELAXED)
