"""Slots that one thread fills while another publishes them."""

cimport cython
from libc.stdint cimport int64_t

from ..protocol.pacing cimport Feed
from .memory cimport Mapping


@cython.final
cdef class FrameFeed:
    # Written by two threads without the GIL: `ready` and `over` by the one that fills, the rest by the one that
    # publishes.
    cdef Feed feed
    cdef Mapping _frames
    cdef int64_t[::1] _steps
    cdef int64_t[::1] _dues
    cdef int64_t[::1] _moments
    cdef readonly object slots
    cdef readonly object steps
    cdef readonly object dues
    cdef readonly object moments
