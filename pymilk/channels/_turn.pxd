"""The turn of a writer, where a log has many: a lock of the kernel around each record.

An open file description lock, for a moment. The kernel gives it back when its holder dies, however that happens; what
the holder had not committed is not there, and the next one writes over it.
"""

from libc.errno cimport errno
from libc.stdint cimport int64_t

cdef extern from "<fcntl.h>" nogil:
    enum:
        F_OFD_SETLK
        F_UNLCK
        F_WRLCK
    struct flock:
        short l_type
        short l_whence
        int64_t l_start
        int64_t l_len
        int l_pid
    int fcntl(int fd, int command, ...)

cdef enum:
    # The lock begins at this power of two, and covers as many bytes as the PID of its holder.
    TURN_BIT = 62


cdef inline int change_turn(int fd, short kind, int pid) noexcept nogil:
    cdef flock lock
    lock.l_type = kind
    lock.l_whence = 0
    lock.l_start = <int64_t>1 << TURN_BIT
    lock.l_len = pid
    lock.l_pid = 0
    return 0 if fcntl(fd, F_OFD_SETLK, &lock) == 0 else errno


cdef inline int take_turn(int fd, int pid) noexcept nogil:
    """Begin a turn, without waiting; returns an error number. Another thread with this descriptor gets it, too."""
    return change_turn(fd, F_WRLCK, pid)


cdef inline int end_turn(int fd, int pid) noexcept nogil:
    """End the turn; returns an error number."""
    return change_turn(fd, F_UNLCK, pid)
