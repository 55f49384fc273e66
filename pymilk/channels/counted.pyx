"""`CountedFile`: what channels have in common whose `count` changes with each thing that is written.

Waiting for another count, without the GIL, and beside other channels; noticing that the file is no longer in its place.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint32_t, uint64_t

from .._isio cimport __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, atomic_load_u64
from ..native.bell cimport bell_in_file
from ..native.checks cimport timeout_ns
from ..native.memory cimport Mapping
from ..protocol.bell cimport pymilk_bell_look, pymilk_bell_sleep
from ..protocol.clock cimport Slack, clock_ns, later, lower_slack, restore_slack, sleep_until
from ..protocol.port cimport pymilk_pause
from ._log cimport ChannelHeader
from .file cimport ChannelFile

__all__ = ["CountedFile"]

cdef enum:
    # A wait looks at signals, `close` and the file this often.
    SLICE_NS = 100_000_000
    # Before it sleeps it watches for so long: what comes at once costs no system call.
    SPIN_NS = 2_000
    # How often `check_place` asks the file system.
    PLACE_NS = 500_000_000
    # A reader that may not write to the file looks this often.
    LOOK_NS = 500_000


@cython.auto_pickle(False)
cdef class CountedFile(ChannelFile):
    """A channel with a count, mapped. Rooms with channels of one kind derive from it."""

    cdef uint64_t known(self) noexcept nogil:
        return 0

    cdef bint has_news(self, uint64_t known) noexcept nogil:
        return atomic_load_u64(&self.header.count, __ATOMIC_ACQUIRE) != known

    cdef int check_place(self) except -1:
        """Raise if the file was removed or replaced; asks the file system now and then."""
        cdef int64_t now = clock_ns(CLOCK_MONOTONIC_COARSE)
        if now >= self.next_look or self.header.retired:
            if self.is_gone():
                raise self.removed()
            self.next_look = now + PLACE_NS
        return 0

    @property
    def abandoned(self):
        """Messages or steps that their writers died in, as far as a later writer has found them; they are not there."""
        self.check_open()
        abandoned = atomic_load_u64(&self.header.abandoned, __ATOMIC_RELAXED)
        self.check_whole()
        return abandoned

    def _awaited(self):
        """Return what `pymilk.wait_any` waits for: see `pymilk.streams.waiting.Awaited`."""
        cdef ChannelHeader *header = self.header
        self.check_open()
        if self.bell is None:
            self.bell = bell_in_file(
                self.mapping, <char *>&header.bell - self.mapping.base, <char *>&header.count - self.mapping.base,
                <char *>&header.retired - self.mapping.base, self.path_bytes, self.device, self.inode)
        if self.is_gone() and not self.has_news(self.known()):
            raise self.removed()
        return self.bell, self.known(), self._has_news

    def _has_news(self):
        self.check_open()
        return self.has_news(self.known())

    def wait(self, timeout=None):
        """Wait for something that this object has not read, without the GIL.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits for ever, 0 only looks.

        Returns
        -------
        bool
            There is something; False after the timeout.

        Raises
        ------
        ChannelRemovedError
            All was read, and nothing will come.
        ChannelDamagedError, ChannelClosedError
        """
        return self.wait_beyond(self.known(), timeout)

    cdef bint wait_beyond(self, uint64_t known, timeout) except -1:
        """Wait until the count is another one than `known`; tells whether it is."""
        cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
        cdef Slack slack = Slack(lowered=False, before=0, slice=0)
        self.check_open()
        try:
            return self.await_news(known, now, later(now, timeout_ns(timeout, "")), &slack)
        finally:
            restore_slack(&slack)

    cdef bint await_news(self, uint64_t known, int64_t now, int64_t deadline, Slack *slack) except -1:
        """Do the waiting of `wait_beyond`; what it lowers is set back there."""
        cdef int64_t until = min(deadline, now + SPIN_NS)
        cdef int error = 0, looks = 0
        cdef uint32_t seen
        cdef ChannelHeader *header = self.header
        cdef Mapping mapping = self.mapping  # stays until the end of the call
        while True:
            with nogil:
                while not self.has_news(known) and clock_ns(CLOCK_MONOTONIC) < until:
                    pymilk_pause()
                while not self.has_news(known):
                    now = clock_ns(CLOCK_MONOTONIC)
                    if now >= deadline or mapping.closed or header.retired or error:
                        break
                    lower_slack(slack)
                    seen = pymilk_bell_look(&header.bell)
                    if self.has_news(known) or header.retired:
                        break
                    if mapping.writable:
                        error = pymilk_bell_sleep(&header.bell, seen, min(deadline, now + SLICE_NS))
                    else:
                        sleep_until(min(deadline, now + LOOK_NS))
                        looks += 1
                        error = looks % 200 == 0
                    until = 0
            error = 0
            PyErr_CheckSignals()
            self.check_open()
            self.check_whole()
            if self.has_news(known):
                return True
            if self.is_gone() and not self.has_news(known):
                raise self.removed()
            if clock_ns(CLOCK_MONOTONIC) >= deadline:
                return False
