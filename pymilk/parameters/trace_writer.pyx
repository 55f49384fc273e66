"""`TraceWriter`: writes the process trace of a stream, once a frame, in a fraction of a microsecond."""

import os

cimport cython
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memmove

from .._isio cimport CLOCK_TAI, STREAM_PROC_TRACE
from ..protocol.clock cimport clock_ns, to_timespec

from .process_layout import TriggerMode, TriggerStatus
from .trace import trace_view

cdef enum:
    BY_SEMAPHORE = 3
    RECEIVED = 2

# The enum above repeats names of process_layout, which C code cannot read.
assert (BY_SEMAPHORE, RECEIVED) == (TriggerMode.SEMAPHORE, TriggerStatus.RECEIVED)


@cython.auto_pickle(False)
cdef class TraceWriter:
    """Writes entry 0 of one stream that is made from another one, and hands the entries of that one on behind it.

    Parameters
    ----------
    output, source : Stream
        A stream without room for a trace, or one that is its own source, gets none.

    Attributes
    ----------
    writes : bool
        Whether there is a trace to write.

    Raises
    ------
    StreamReadOnlyError
        `output` was attached read-only.

    Notes
    -----
    Holds the memory of both streams as arrays do. One thread at a time.
    """

    cdef const unsigned char[::1] source
    cdef unsigned char[::1] target
    cdef STREAM_PROC_TRACE entry    # what stays the same
    cdef size_t nbytes              # of the entries that are handed on
    cdef readonly bint writes

    def __init__(self, output, source):
        self.writes = bool(output.nbproctrace) and output.inode != source.inode
        if not self.writes:
            return
        self.target = trace_view(output, writable=True)
        self.nbytes = min(output.nbproctrace - 1, source.nbproctrace) * sizeof(STREAM_PROC_TRACE)
        if self.nbytes:
            self.source = trace_view(source)
        self.entry.triggermode = BY_SEMAPHORE
        self.entry.procwrite_PID = os.getpid()
        self.entry.trigger_inode = source.inode
        self.entry.triggerstatus = RECEIVED

    def write(self, int64_t started_ns, int64_t updated_ns, uint64_t counter, int semaphore, bytes older=None):
        """Take over the trace of the source and put this step in front.

        Parameters
        ----------
        started_ns, updated_ns : int
            When the step began, and when the output was updated, in ns of CLOCK_TAI; -1 for `updated_ns`: now.
        counter : int
            Of the frame of the source.
        semaphore : int
            That triggered the step; -1 without.
        older : bytes, optional
            Trace of the source as it was with the frame that the step began with. Default: as it is now.

        Notes
        -----
        0.1 us. Entries of other processes may be half written when they are read: writers do not lock.
        """
        cdef size_t nbytes = self.nbytes
        cdef char *target
        if not self.writes:
            return
        target = <char *>&self.target[0]
        if older is not None:
            nbytes = min(nbytes, <size_t>len(older))
            memcpy(target + sizeof(STREAM_PROC_TRACE), <const char *>older, nbytes)
        elif nbytes:
            memmove(target + sizeof(STREAM_PROC_TRACE), &self.source[0], nbytes)
        self.entry.ts_procstart = to_timespec(started_ns)
        self.entry.ts_streamupdate = to_timespec(clock_ns(CLOCK_TAI) if updated_ns < 0 else updated_ns)
        self.entry.trigsemindex = semaphore
        self.entry.cnt0 = counter
        memcpy(target, &self.entry, sizeof(STREAM_PROC_TRACE))
