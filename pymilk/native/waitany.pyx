"""Waiting until one of several streams, private rings or channels has something new.

All of them are futexes in the end: the value of a semaphore, and the bell of a channel. The calling thread sleeps on all
of them at once, without the GIL. The counter of each is the truth; waking proves nothing (see protocol/waiting.pxd).
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, ENOSYS, EPERM, ETIMEDOUT
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free

from .._isio cimport CLOCK_MONOTONIC, __ATOMIC_RELAXED, atomic_load_u64, sem_t
from ..protocol.clock cimport (
    EARLY_POST_SPIN_NS, POLL_NS, Slack, clock_ns, later, lower_slack, restore_slack, sleep_until,
)
from ..protocol.flags cimport atomic_load_int
from ..protocol.futexes cimport (
    PYMILK_FUTEXES_MAX, Futex, pymilk_futex_of_bell, pymilk_futex_of_sem, pymilk_futexes_sleep, pymilk_sem_leave,
)
from ..protocol.port cimport pymilk_pause
from ..protocol.posts cimport take_posts
from ..protocol.semaphore cimport drain, pymilk_fence_behind_take
from ..protocol.waiting cimport (
    EARLY_POST_LOOK_NS, EV_CHECK, EV_DONE, POLL_IDLE_AFTER_NS, POLL_IDLE_NS, SETTLED_NS, SLICE_NS, Wait, has_moved,
    housekeeping,
)
from .bell cimport Bell
from .checks cimport timeout_ns
from .file cimport StreamFile
from .reader cimport Reader
from .rings cimport PrivateRing

import threading

__all__ = ["sleep_on_futexes", "wait_for_any"]

# What is waited for: a stream (wait), a private ring (written), or a channel (bell).
cdef struct Watch:
    Wait wait
    uint64_t *written       # NULL: no ring
    sem_t *ring_bell
    const int *over         # of the ring: no frame comes any more
    void *bell              # a Bell, which `sources` keeps; NULL: none
    uint64_t seen           # what is known of ring or channel
    sem_t *entered          # the semaphore that this thread is counted at
    bint asleep             # it is among the futexes of the present sleep
    bint ended              # replaced, damaged, closed or gone: nothing new comes from there

# Whether the kernel sleeps on several futexes: found out by trying.
cdef bint _has_futexes = True


cdef bint is_ready(const Watch *w) noexcept nogil:
    if w.bell != NULL:
        return (<Bell>w.bell).has_news(w.seen)
    if w.written != NULL:
        return atomic_load_u64(w.written, __ATOMIC_RELAXED) > w.seen or atomic_load_int(w.over)
    return has_moved(&w.wait)


cdef bint expect(Watch *w, Futex *futex, bint *early) noexcept nogil:
    """Prepare to sleep on a source; a look follows. False: it has to be looked at now and then.

    Sets `early` if a post came whose frame may be counted in a moment.
    """
    cdef sem_t *sem = w.ring_bell
    if w.bell != NULL:
        return (<Bell>w.bell).wakes() and pymilk_futex_of_bell(futex, (<Bell>w.bell).word,
                                                               (<Bell>w.bell).mapping is not None)
    if w.written != NULL:
        drain(sem)
    else:
        sem = w.wait.posts.sem
        if sem == NULL:
            return False
        if take_posts(&w.wait.posts) > 0:
            w.wait.posts.silent = False
            early[0] |= w.wait.posts.ahead > 0
        if w.wait.posts.silent:
            return False
    # Pairs with the fence of the writer: it has seen our posts taken, or we see its frame.
    pymilk_fence_behind_take()
    if not pymilk_futex_of_sem(futex, sem):
        return False
    w.entered = sem
    return True


cdef void leave(Watch *w, bint in_time) noexcept nogil:
    """End a sleep. `in_time`: nobody woke this thread, and it slept for long."""
    if w.entered != NULL:
        pymilk_sem_leave(w.entered)
        w.entered = NULL
        if in_time and w.written == NULL and has_moved(&w.wait):
            w.wait.posts.silent = True  # its writer posts nothing
    w.asleep = False


cdef bint has_ended(Watch *w, int64_t now) noexcept nogil:
    """Look whether the file of a source is still there and whole; some of them ask the file system."""
    cdef int event
    if w.bell != NULL:
        return (<Bell>w.bell).is_gone()
    if w.written != NULL:
        return False
    event = housekeeping(&w.wait, now)
    return event != EV_DONE and event != EV_CHECK


@cython.final
@cython.auto_pickle(False)
cdef class Watchers:
    """What one call of `wait_for_any` waits for."""

    cdef Watch *watches
    cdef Futex *futexes
    cdef size_t count       # sources added
    cdef list sources       # kept while their memory is used
    cdef list files
    cdef list begun         # readers between `begin` and `end`
    cdef Slack slack
    cdef int never          # a flag that nobody raises
    cdef int64_t early      # until then, look often

    def __cinit__(self, size_t most):
        self.sources, self.files, self.begun = [], [], []
        self.watches = <Watch *>calloc(most + 1, sizeof(Watch))
        self.futexes = <Futex *>calloc(PYMILK_FUTEXES_MAX, sizeof(Futex))
        if self.watches == NULL or self.futexes == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.watches)
        free(self.futexes)

    cdef int add(self, object source, object number, int64_t timeout) except -1:
        """Watch a source for what comes after `number`."""
        cdef Watch *w = &self.watches[self.count]
        cdef PrivateRing ring
        self.sources.append(source)
        if isinstance(source, Bell):
            w.bell = <void *>source
            w.seen = number
        elif isinstance(source, PrivateRing):
            ring = source
            w.written, w.ring_bell, w.over = &ring.written, &ring.bell, &ring.over
            w.seen = number
        else:
            self.add_reader(w, source, number, timeout)
        self.count += 1
        return 0

    cdef int add_reader(self, Watch *w, Reader reader, uint64_t number, int64_t timeout) except -1:
        cdef StreamFile file = reader.file
        file.use_whole()
        self.files.append(file)
        reader.begin()
        try:
            self.begun.append(reader)
        except BaseException:  # no memory: nobody else would end it
            reader.end()
            raise
        reader.prepare_wait(&w.wait, file, number, timeout, 0)
        w.wait.check_signals = False
        w.wait.stop = &self.never  # Reader.stop ends other waits
        return 0

    cdef bint look(self) noexcept nogil:
        """Tell whether any source has something new."""
        cdef size_t i
        for i in range(self.count):
            if is_ready(&self.watches[i]):
                return True
        return False

    cdef bint spin(self, int64_t until) noexcept nogil:
        """Look again and again, at least once; returns whether any source has something new."""
        while not self.look():
            pymilk_pause()
            if clock_ns(CLOCK_MONOTONIC) > until:
                return False
        return True

    cdef bint check_files(self, int64_t now, bint last) noexcept nogil:
        """Look at the files; returns whether one has ended. `last`: look at each, it is not too early."""
        cdef size_t i
        cdef bint found = False
        for i in range(self.count):
            if last:
                self.watches[i].wait.next_check = 0
            if has_ended(&self.watches[i], now):
                self.watches[i].ended = found = True
        return found

    cdef int sleep(self, int64_t now, int64_t began, int64_t until) noexcept nogil:
        """Sleep once, at most until then; returns 0 or an errno value."""
        global _has_futexes
        cdef size_t i
        cdef unsigned int count = 0
        cdef bint early = False, all_of_them = True
        cdef int error = 0
        for i in range(self.count):
            if (_has_futexes and count < PYMILK_FUTEXES_MAX
                    and expect(&self.watches[i], &self.futexes[count], &early)):
                self.watches[i].asleep = True
                count += 1
            else:
                all_of_them = False
        if early:
            self.early = now + EARLY_POST_LOOK_NS
        if now < self.early or (not all_of_them and now - began < POLL_IDLE_AFTER_NS):
            until = min(until, now + POLL_NS)
        elif not all_of_them:
            until = min(until, now + POLL_IDLE_NS)
        if not self.look():
            lower_slack(&self.slack)
            if count == 0:
                sleep_until(until)
                error = ETIMEDOUT
            else:
                error = pymilk_futexes_sleep(self.futexes, count, until)
                if error == ENOSYS or error == EPERM:
                    _has_futexes = False
        for i in range(self.count):
            if self.watches[i].asleep:
                leave(&self.watches[i], error == ETIMEDOUT and until - now >= SETTLED_NS)
        return error

    cdef int wait(self, int64_t deadline) except -1:
        """Sleep until a source has something new or has ended, or until the deadline."""
        cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
        cdef int64_t began = now, slice_end
        cdef bint found = False, ended = False
        # Signals are handled in the main thread only: others do without the GIL until the end.
        cdef bint check = threading.current_thread() is threading.main_thread()
        cdef int error = 0
        while not found and not ended and now < deadline:
            with nogil:
                while not found and not ended and now < deadline:
                    slice_end = min(deadline, later(now, SLICE_NS))
                    error = 0
                    while not found and now < slice_end and error != EINTR:
                        error = self.sleep(now, began, slice_end)
                        found = self.look()
                        now = clock_ns(CLOCK_MONOTONIC)
                    # At the deadline look once more: most often a writer was restarted.
                    ended = not found and self.check_files(now, now >= deadline)
                    if check:
                        break
            PyErr_CheckSignals()
        return 0

    cdef list found(self):
        """Return the indices of the sources that have something new or have ended."""
        return [index for index in range(self.count)
                if is_ready(&self.watches[index]) or self.watches[index].ended]

    cdef void release(self) noexcept:
        cdef size_t i
        restore_slack(&self.slack)
        for i in range(self.count):
            if not (self.watches[i].bell != NULL or self.watches[i].written != NULL):
                (<Reader>self.sources[i]).silent = self.watches[i].wait.posts.silent
        for reader in self.begun:
            (<Reader>reader).end()


def wait_for_any(sources, timeout=None):
    """Wait until one of several readers, private rings or channels has something new.

    Parameters
    ----------
    sources : list of (Reader, int), (PrivateRing, int) or (Bell, int)
        With the counter of the last frame known, the number of frames written, or the count of the channel. Each
        reader only once.
    timeout : float or None, default None
        Seconds; None waits for ever, 0 only looks.

    Returns
    -------
    list of int
        Indices of those that have something new; or that were replaced, damaged, closed or removed, which their
        owners find out when they look. Empty after the timeout.

    Raises
    ------
    StreamClosedError
        One of them was closed before the call.

    Notes
    -----
    Sleeps on up to 128 semaphores and bells at once. Sources beyond these, without a semaphore, or of files that this
    user may not write, are looked at every 50 us at first and every millisecond later; so are all where the kernel
    is older than Linux 5.16 or does not permit the call.
    """
    cdef int64_t limit = timeout_ns(timeout, "")
    cdef int64_t deadline = later(clock_ns(CLOCK_MONOTONIC), limit)
    cdef int64_t until
    cdef bint found
    cdef Watchers watchers = Watchers(len(sources))
    try:
        for source, number in sources:
            watchers.add(source, number, limit)
        # Often a frame is near: spin a little before the first sleep.
        with nogil:
            until = min(clock_ns(CLOCK_MONOTONIC) + EARLY_POST_SPIN_NS, deadline)
            found = watchers.spin(until)
        if not found and limit != 0:
            watchers.wait(deadline)
        return watchers.found()
    finally:
        watchers.release()


def sleep_on_futexes(bint permit):
    """Permit sleeps on several futexes, or have sources looked at instead; returns what was set before."""
    global _has_futexes
    before = _has_futexes
    _has_futexes = permit
    return before
