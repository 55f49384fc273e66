"""Waiting until one of several streams or private rings has a new frame."""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free

from .._isio cimport (
    CLOCK_MONOTONIC, __ATOMIC_RELAXED, atomic_load_u64, pthread_create, pthread_join, pthread_t, sem_init, sem_t,
)
from ..protocol.clock cimport EARLY_POST_SPIN_NS, clock_ns, later
from ..protocol.flags cimport atomic_load_int, raise_flag
from ..protocol.port cimport pymilk_pause
from ..protocol.semaphore cimport pymilk_fence_behind_take, pymilk_sem_wait_until, sem_post
from ..protocol.waiting cimport (
    EV_CHECK, EV_CLOSED, EV_DAMAGED, EV_DONE, EV_REPLACED, EV_STOPPED, SLICE_NS, Wait, has_moved, wait_for_frame,
)
from .checks cimport closed_error, timeout_ns
from .file cimport StreamFile
from .reader cimport Reader
from .rings cimport PrivateRing

from ..errors import StreamError

__all__ = ["wait_for_any"]

# What one thread watches: a stream (wait), or a private ring (written).
cdef struct Watch:
    Wait wait
    uint64_t *written       # NULL: a stream
    uint64_t seen           # frames of the ring that are known
    sem_t *bell             # of the ring
    const int *over         # of the ring: no frame comes any more
    int64_t deadline
    const int *stop         # flag: the call ends
    int posts               # posts of this call, to end the thread
    sem_t *common           # posted when the thread ends
    int event               # what the thread ended with


cdef void *watch(void *argument) noexcept nogil:
    """The body of one thread."""
    cdef Watch *w = <Watch *>argument
    w.event = EV_CHECK
    if w.written != NULL:
        w.event = watch_ring(w)
    while w.event == EV_CHECK:
        w.event = wait_for_frame(&w.wait)
    sem_post(w.common)
    return NULL


cdef int watch_ring(const Watch *w) noexcept nogil:
    cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
    pymilk_fence_behind_take()  # as in PrivateRing.wait
    while not is_ready(w):
        if atomic_load_int(w.stop) or now >= w.deadline:
            return EV_STOPPED
        pymilk_sem_wait_until(w.bell, min(w.deadline, later(now, SLICE_NS)))
        pymilk_fence_behind_take()
        now = clock_ns(CLOCK_MONOTONIC)
    return EV_DONE


cdef bint is_ready(const Watch *w) noexcept nogil:
    if w.written == NULL:
        return has_moved(&w.wait)
    return atomic_load_u64(w.written, __ATOMIC_RELAXED) > w.seen or atomic_load_int(w.over)


@cython.final
@cython.auto_pickle(False)
cdef class Watchers:
    """The threads of one call of `wait_for_any`, and what they use.

    Not on the stack of the call: if the interpreter exits meanwhile, a daemon thread ends within the call, and the
    threads that it started run on for a moment. This object is then never freed.
    """

    cdef Watch *watches
    cdef pthread_t *threads
    cdef size_t count       # sources added
    cdef size_t started     # threads running, those of the first sources
    cdef sem_t common
    cdef int stop
    cdef list sources       # kept while threads use their memory
    cdef list files
    cdef list begun         # readers between `begin` and `end`

    def __cinit__(self, size_t most):
        self.sources, self.files, self.begun = [], [], []
        sem_init(&self.common, 0, 0)
        self.watches = <Watch *>calloc(most + 1, sizeof(Watch))
        self.threads = <pthread_t *>calloc(most + 1, sizeof(pthread_t))
        if self.watches == NULL or self.threads == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.watches)
        free(self.threads)

    cdef int add(self, object source, object number, int64_t timeout) except -1:
        """Watch a source for what comes after `number`."""
        cdef Watch *w = &self.watches[self.count]
        cdef PrivateRing ring
        self.sources.append(source)
        w.stop = &self.stop
        w.common = &self.common
        if isinstance(source, PrivateRing):
            ring = source
            w.written = &ring.written
            w.seen = number
            w.bell = &ring.bell
            w.over = &ring.over
            w.deadline = later(clock_ns(CLOCK_MONOTONIC), timeout)
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
        w.wait.stop = &self.stop
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

    cdef int wait(self, int64_t deadline) except -1:
        """Wait in one thread per source until one of them ends."""
        cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
        cdef bint found = False
        try:
            self.start()
            while not found and now < deadline:
                with nogil:
                    found = pymilk_sem_wait_until(&self.common, min(deadline, later(now, SLICE_NS))) == 0
                    now = clock_ns(CLOCK_MONOTONIC)
                PyErr_CheckSignals()
        finally:
            with nogil:
                self.join()
        return 0

    cdef int start(self) except -1:
        cdef size_t i
        for i in range(self.count):
            if pthread_create(&self.threads[i], NULL, watch, &self.watches[i]) != 0:
                raise StreamError("no thread can be started to wait for several streams")
            self.started += 1
        return 0

    cdef void join(self) noexcept nogil:
        """End the threads: raise the flag, and wake those that sleep."""
        cdef Watch *w
        cdef size_t i
        raise_flag(&self.stop, 1)
        for i in range(self.started):
            w = &self.watches[i]
            # Each semaphore is ours to post: no other reader waits for it.
            if w.written != NULL:
                sem_post(w.bell)
            elif w.wait.posts.sem != NULL and sem_post(w.wait.posts.sem) == 0:
                w.posts = 1
        for i in range(self.started):
            pthread_join(self.threads[i], NULL)

    cdef list found(self):
        """Return the indices of the sources that have something new or were replaced."""
        cdef size_t i
        for i in range(self.started):
            if self.watches[i].event == EV_CLOSED:
                raise closed_error((<Reader>self.sources[i]).name)
        return [index for index in range(self.count)
                if is_ready(&self.watches[index])
                or (self.started and self.watches[index].event in (EV_REPLACED, EV_DAMAGED))]

    cdef void release(self) noexcept:
        """Let the readers go, with what was learned. The threads have ended."""
        cdef size_t i
        for i in range(self.count):
            if self.watches[i].written == NULL:
                (<Reader>self.sources[i]).keep_wait(&self.watches[i].wait, self.watches[i].posts)
        for reader in self.begun:
            (<Reader>reader).end()


def wait_for_any(sources, timeout=None):
    """Wait until one of several readers or private rings has something new.

    Parameters
    ----------
    sources : list of (Reader, int) or (PrivateRing, int)
        With the counter of the last frame known, or the number of frames written. Each reader only once.
    timeout : float or None, default None
        Seconds; None waits for ever, 0 only looks.

    Returns
    -------
    list of int
        Indices of those that have something new or were replaced; empty after the timeout.

    Raises
    ------
    StreamClosedError
        One of them was closed.

    Notes
    -----
    If nothing is new yet, each source is waited for by a thread of the operating system that lives for this call and
    never needs the GIL, on the semaphore of its reader. That costs about 20 us for each source.
    """
    cdef int64_t limit = timeout_ns(timeout, "")
    cdef int64_t deadline = later(clock_ns(CLOCK_MONOTONIC), limit)
    cdef int64_t until
    cdef bint found
    cdef Watchers watchers = Watchers(len(sources))
    try:
        for source, number in sources:
            watchers.add(source, number, limit)
        # Often a frame is near: spin a little before threads are started.
        with nogil:
            until = min(clock_ns(CLOCK_MONOTONIC) + EARLY_POST_SPIN_NS, deadline)
            found = watchers.spin(until)
        if not found and limit != 0:
            watchers.wait(deadline)
        return watchers.found()
    finally:
        watchers.release()
