"""The id of this process, without a system call for each frame: process.h, for Cython."""

from .._isio cimport pid_t

cdef extern from "pymilk/protocol/process.h" nogil:
    # Asked for when a module is loaded, and after each fork.
    const pid_t own_pid "pymilk_own_pid"
