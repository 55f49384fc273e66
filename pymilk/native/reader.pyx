"""`Reader`: one reader of a stream. It waits for frames and receives them; protocol/receive.pxd states how.

How to add a method
-------------------
1. Take `self.file` into a local variable once, go through one of its doors, and use only that variable: another
   thread may close the reader at any line that runs Python code.
2. A method that waits, receives or touches the semaphore calls `begin` first, and `end` in a `finally`: one thread
   at a time. `prepare_wait`, `prepare` and `deliver` check that in debug builds.
3. What the loop without the GIL needs goes into a Wait or a Job on the stack of the call. Its pointers lead only into
   objects that local variables hold.
4. Whatever raises comes before `prepare` or after the run. Between `prepare` and the run no frame is waited for, but
   posts are already taken.
5. `stop`, `close`, `received` and `progress` may be called by any thread at any time: they use atomic loads and
   stores, and no other field.
6. Python never sees a frame before it is counted: `done` is stored last (protocol/receive.pxd).
"""

cimport cython
from cpython.buffer cimport PyBuffer_Release
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t, uint64_t, INT64_MAX
from libc.string cimport memset

from .._isio cimport (
    CLOCK_MONOTONIC, CLOCK_TAI, CLOCK_THREAD_CPUTIME_ID, IMAGE_METADATA, sem_t,
    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, __ATOMIC_RELEASE, atomic_load_i32, atomic_load_u64, atomic_store_i32,
    atomic_swap_if_i32,
)
from ..protocol.clock cimport clock_ns, restore_slack, stamp_ns
from ..protocol.copying cimport Patience
from ..protocol.cursor cimport cursor_begin, cursor_seek
from ..protocol.filestate cimport FILE_GONE, Source, file_state
from ..protocol.flags cimport raise_flag
from ..protocol.frame cimport Row, streams
from ..protocol.guard cimport PYMILK_CLOSED
from ..protocol.look cimport Look, look
from ..protocol.order cimport UNKNOWN, go_on, is_wary
from ..protocol.pace cimport PACE_KNOWN
from ..protocol.port cimport PYMILK_ASSERT, pymilk_may_spin
from ..protocol.posts cimport empty_bell
from ..protocol.process cimport own_pid
from ..protocol.receive cimport Job, run_receive, seen_stamps
from ..protocol.ring cimport find_ring, ring_anchor
from ..protocol.semaphore cimport drain, pymilk_sem_usable, semaphore
from ..protocol.waiting cimport (
    EV_CHECK, EV_CLOSED, EV_DAMAGED, EV_REPLACED, EV_STOPPED, EV_TIMEOUT, LEARNED, Wait, wait_for_frame,
)
from .checks cimport (
    bad_argument, closed_error, count_frames, damaged_error, index_argument, take_buffer, timeout_ns, whole_number,
)
from .file cimport StreamFile, no_file
from .rings cimport PrivateRing

import threading

from ..errors import FrameMismatchError, StreamBusyError, StreamReplacedError, StreamTimeoutError
from ..system.processes import process_alive
from ..times import last_written
from .formats import FRAME_ROW

__all__ = ["Reader"]

cdef enum:
    # A reader that found no free semaphore looks again after this time.
    CLAIM_AGAIN_NS = 1_000_000_000


cdef inline uint64_t counter_of(const char *base) noexcept nogil:
    # Acquire: pairs with the release addition in close_frame_by.
    return atomic_load_u64(&(<IMAGE_METADATA *>base).cnt0, __ATOMIC_ACQUIRE)


@cython.final
@cython.auto_pickle(False)
@cython.no_gc
cdef class Reader:
    """One reader of a stream: its own semaphore, and the account of the frames it received.

    Made by `Stream.reader`. Two readers never share a semaphore, whether in two processes, two threads or one: each
    would miss half of the wake-ups. A reader that finds no free semaphore, or whose stream is read-only or has none,
    watches the counter instead.

    The semaphore is taken at the first wait. `close` gives it back, and so does the end of the reader; after the
    process has ended, other readers take it over. After a fork the child takes a new one.

    Attributes
    ----------
    name : str
        Of the stream.
    received : int
        Frames delivered by the present or last `receive`; grows while it runs.
    repeated : int
        Semaphore posts since `arm` that were ignored because they announced nothing new.
    last : int
        Counter of the frame delivered last.
    torn : int
        Frames that `relay` left out because they were torn.
    cpu_ns : int
        Processor time spent in `receive`, in nanoseconds.
    """

    def __cinit__(self):
        self.file = no_file()
        self.slot = self.preferred = -1
        self.pid = own_pid
        self.posts.owed = 1

    def __init__(self):
        raise TypeError("a Reader is made by Stream.reader()")

    def __dealloc__(self):
        # Garbage collection never clears the fields (no_gc), so the file is still there. No cycle can hold a
        # reader: it refers to a StreamFile only.
        if self.file is not None and self.file.mapping is not None:
            self._give_back(self.file)

    # -- questions -----------------------------------------------------------------------------

    @property
    def name(self):
        return self.file.name

    @property
    def received(self):
        return atomic_load_u64(&self.done, __ATOMIC_ACQUIRE)

    @property
    def progress(self):
        """Number of the frame that a `relay` published last; grows while it runs."""
        return atomic_load_u64(&self.reached, __ATOMIC_RELAXED)

    @property
    def interval_ns(self):
        """Time between frames as learned by waits with ``spin_ns=-2``, in nanoseconds; None: not known yet."""
        return self.pace.interval if self.pace.known >= PACE_KNOWN else None

    @property
    def sem_index(self):
        """Index of the semaphore that this reader holds, or None."""
        return self.slot if self.slot >= 0 and self.pid == own_pid else None

    @property
    def closed(self):
        """Whether the reader or its stream was closed."""
        cdef StreamFile file = self.file
        return file.mapping is None or file.mapping.closed & PYMILK_CLOSED != 0

    # -- one thread at a time ------------------------------------------------------------------

    cdef int begin(self) except -1:
        if self.running == own_pid:
            raise StreamBusyError(
                f"stream {self.name!r}: this reader is waiting in another thread; "
                "give each thread a reader of its own", stream=self.name)
        self.running = own_pid
        return 0

    cdef void end(self) noexcept:
        self.running = 0

    cdef bint is_running(self) noexcept:
        # After a fork, the thread that waits stayed with the parent.
        return self.running == own_pid

    # -- the semaphore -------------------------------------------------------------------------

    cdef int32_t *_owners(self, StreamFile file) noexcept:
        return <int32_t *>(file.mapping.base + file.h.at.sem_read_pid)

    cdef void _give_back(self, StreamFile file) noexcept:
        """Free the semaphore, if this process took it and still has it."""
        cdef int32_t expected = self.pid
        if self.slot >= 0 and self.pid == own_pid:
            # Clear the entry only if it is ours: it may belong to another process by now.
            atomic_swap_if_i32(&self._owners(file)[self.slot], &expected, -1, False,
                               __ATOMIC_RELEASE, __ATOMIC_RELAXED)
        self.slot = -1

    cdef sem_t *_bell(self, StreamFile file) except? NULL:
        """Return the semaphore of this reader, taking one if it has none; NULL if none is free."""
        cdef char *base = file.mapping.base
        cdef int32_t *owners
        if not file.mapping.writable or file.h.n.sem == 0:
            return NULL
        owners = self._owners(file)
        if self.pid != own_pid or (
                self.slot >= 0 and atomic_load_i32(&owners[self.slot], __ATOMIC_RELAXED) != own_pid):
            # It belongs to the parent of this process, or another reader took it over.
            self.slot = -1
            self.next_claim = 0
        if self.slot < 0 and clock_ns(CLOCK_MONOTONIC) >= self.next_claim:
            self._claim(file)
            self.next_claim = clock_ns(CLOCK_MONOTONIC) + CLAIM_AGAIN_NS
            if self.slot >= 0:
                drain(semaphore(base, &file.h, self.slot))  # posts meant for the reader that had it before
            self.order.trust = UNKNOWN
        return NULL if self.slot < 0 else semaphore(base, &file.h, self.slot)

    cdef int _claim(self, StreamFile file) except -1:
        cdef int i
        self.pid = own_pid
        if 0 <= self.preferred < file.h.n.sem and self._take(file, self.preferred, True):
            return 0
        # Free entries first. The owner of an entry may only seem dead: it can be in another PID namespace. So such
        # an entry is taken only if no other is free.
        for take_dead in (False, True):
            for i in range(file.h.n.sem):
                if self._take(file, i, take_dead):
                    return 0
        return 0

    cdef bint _take(self, StreamFile file, int i, bint take_dead) except -1:
        """Take semaphore i if it is free, or if take_dead and its owner is dead; never one that was overwritten."""
        cdef int32_t *owners = self._owners(file)
        cdef int32_t owner = atomic_load_i32(&owners[i], __ATOMIC_RELAXED)
        if not pymilk_sem_usable(semaphore(file.mapping.base, &file.h, i)):
            return False
        if owner > 0 and (not take_dead or process_alive(owner)):
            return False
        # Acquire: pairs with the release in _give_back. If several readers try, one succeeds.
        if atomic_swap_if_i32(&owners[i], &owner, own_pid, False, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED):
            self.slot = i
            return True
        return False

    cdef object hold_semaphore(self):
        cdef StreamFile file = self.file
        file.use_whole()
        self._bell(file)
        return self.sem_index

    cdef object take_semaphore(self, object preferred):
        cdef StreamFile file = self.file
        index = whole_number(preferred)
        if index is None:
            wanted = "the index of a semaphore, or another int for any"
            raise bad_argument(self.name, "preferred", preferred, wanted)
        file.use_whole()
        if self.sem_index is None:
            self.preferred = index if 0 <= index < file.h.n.sem else -1
            if file.mapping.writable and file.h.n.sem:
                self._claim(file)
        return file.whole(self.sem_index)

    def flush(self):
        """Take all posts off the semaphore of this reader. Returns how many there were."""
        cdef StreamFile file = self.file
        cdef sem_t *sem
        file.use_whole()
        self.begin()
        try:
            sem = self._bell(file)
            self.order.trust = UNKNOWN
            self.awaited = False
            return 0 if sem == NULL else drain(sem)
        finally:
            self.end()

    # -- running -------------------------------------------------------------------------------

    cdef int _fill_wait(self, Wait *w, StreamFile file, int64_t timeout, int64_t spin) except -1:
        """Set every field of a wait except `last` and the account of posts."""
        PYMILK_ASSERT(self.is_running())
        memset(w, 0, sizeof(Wait))
        w.spin.ns = spin
        if spin == LEARNED:
            w.spin.ns = 0
            # On a machine with one core, a reader that spins keeps the writer from running.
            if pymilk_may_spin():
                w.spin.pace = &self.pace
        w.timeout = timeout
        w.check_signals = threading.current_thread() is threading.main_thread()
        w.source = Source(base=file.mapping.base, h=&file.h, path=file.path_chars, device=file.device,
                          inode=file.inode, closed=&file.mapping.closed)
        w.shut = &self.shut
        w.stop = &self.stopped
        w.posts = self.posts
        w.posts.repeated = w.posts.excess = w.posts.behind = 0
        w.posts.sem = self._bell(file)
        if w.posts.sem != NULL:
            w.posts.owner = &self._owners(file)[self.slot]
        w.order = self.order
        return 0

    cdef int prepare_wait(self, Wait *w, StreamFile file, uint64_t last, int64_t timeout, int64_t spin) except -1:
        """Fill in a wait for the frame after number `last`, with a new account of posts."""
        self._fill_wait(w, file, timeout, spin)
        w.spin.once = True
        w.last = last
        self.noted = counter_of(file.mapping.base) == last
        if self.noted:
            self._note_stamps(file.mapping.base)
        self._take_posts(w)
        self.order.trust = UNKNOWN  # until `keep_wait`
        return 0

    cdef void keep_wait(self, Wait *w, int posts) noexcept:
        w.order.lead -= posts
        w.order.mark.posts += posts
        self._keep(w)
        if self.noted and not self.order.stamped:
            self._learn_stamps(w)
        self.settled = w.last
        self.awaited = True

    cdef void _learn_stamps(self, const Wait *w) noexcept:
        """Learn from a wait that its writer stores times: what it does need not be watched.

        Else the post of a frame that was seen before its post would pass for that of one which is counted late.
        """
        cdef Look seen
        look(<const IMAGE_METADATA *>w.source.base, &seen)
        if seen.cnt0 != w.last and seen_stamps(&self.stamps, &seen):
            self.order.stamped = True

    cdef void _take_posts(self, Wait *w) noexcept:
        """Take the posts from before: they belong to frames that are not waited for."""
        cdef const char *base = w.source.base
        w.posts.owed = 1  # the post of the newest frame may still come
        w.posts.ahead = 0
        # The posts first, then the counter. A post that comes in between belongs to a frame that is not waited for; the
        # account expects one such post.
        if w.posts.sem != NULL:
            if empty_bell(&w.posts) > 0:
                w.posts.silent = False
            go_on(&w.order, counter_of(base), w.posts.taken, w.posts.capped)
            w.posts.capped = False

    cdef void _note_stamps(self, const char *base) noexcept:
        cdef Look seen
        look(<const IMAGE_METADATA *>base, &seen)
        self.stamps.write = seen.writetime
        self.stamps.access = seen.lastaccess

    cdef void _keep(self, const Wait *w) noexcept:
        """Keep for the next run what this one has learned of the writer, and the account of posts."""
        self.posts = w.posts
        self.posts.sem = NULL
        self.posts.owner = NULL
        self.order = w.order

    cdef int prepare(self, Job *job, StreamFile file, const Terms *terms) except -1:
        """Set every field of a run except where its frames go and how many are wanted."""
        memset(job, 0, sizeof(Job))
        if not terms.going_on:
            self._note_stamps(file.mapping.base)
        self._fill_wait(&job.wait, file, terms.timeout, terms.spin)
        job.stamps = self.stamps
        job.stamps.accesses = False
        job.patience = Patience(closed=&file.mapping.closed, stop=&self.stopped, stuck=0, stuck_at=0)
        job.account.new_file = terms.new_file
        job.account.missed = terms.missed
        job.account.arrived = self.arrived if terms.going_on and self.arrived else clock_ns(CLOCK_TAI)
        job.done = &self.done
        return 0

    cdef int deliver(self, Job *job, const Terms *terms) except -1:
        """Run a job whose destination is set, with the account of the runs before it."""
        cdef int64_t began
        cdef uint64_t after = terms.after
        PYMILK_ASSERT(self.is_running())
        if not terms.going_on:
            after = self._start(&job.wait)
        elif self.cursor.ring.kind and (self.cursor.ring.edge == 0 or self.cursor.last != after):
            # Not where the last run ended: find the frame after that number.
            ring_anchor(&self.cursor.ring)
            cursor_seek(&self.cursor, after)
        if self.cursor.ring.kind and job.target.base == NULL:
            job.cursor = &self.cursor
            job.wait.spin.pace = NULL  # a ring keeps the frames while its reader wakes up
            self.cursor.new_file = job.account.new_file
            self.cursor.missed = job.account.missed
        job.wait.last = after
        self.last = after
        began = clock_ns(CLOCK_THREAD_CPUTIME_ID)
        try:
            self._run(&job.wait, job)
        finally:
            self.cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - began
            self.repeated += job.wait.posts.repeated
            self.torn += job.target.torn
            self._keep(&job.wait)
            self.stamps = job.stamps
            self.arrived = job.account.arrived
            self.last = self.cursor.last if job.cursor != NULL else job.wait.last
        return 0

    cdef uint64_t _start(self, Wait *w) noexcept:
        """Begin a new account; returns the number of the newest frame."""
        self.done = 0
        self.repeated = 0
        self.arrived = clock_ns(CLOCK_TAI)
        self._take_posts(w)
        if self.cursor.ring.kind:
            ring_anchor(&self.cursor.ring)
            cursor_begin(&self.cursor, self.cursor.ring.head + 1)
            return self.cursor.last
        return counter_of(w.source.base)

    cdef int _run(self, Wait *w, Job *job) except -1:
        """Run a wait, or the loop of a job, to its end, checking signals between.

        job: the one that the wait belongs to; NULL: wait only.
        """
        cdef int event = EV_CHECK
        try:
            while event == EV_CHECK:
                with nogil:
                    event = wait_for_frame(w) if job == NULL else run_receive(job)
                if event == EV_CHECK:
                    PyErr_CheckSignals()
        finally:
            restore_slack(&w.slack)
        if event == EV_CLOSED:
            raise closed_error(self.name)
        if event == EV_DAMAGED:
            raise damaged_error(self.name)
        if event == EV_REPLACED:
            raise StreamReplacedError(
                f"stream {self.name!r} was replaced by a new file; attach it again",
                stream=self.name, field="inode", expected=w.source.inode, found=None)
        if event == EV_TIMEOUT:
            self._raise_timeout(w)
        if event == EV_STOPPED:
            # stop() ends exactly one run: the running one, or else the next.
            atomic_store_i32(<int32_t *>&self.stopped, 0, __ATOMIC_RELAXED)
        return event

    cdef int _raise_timeout(self, const Wait *w) except -1:
        cdef const Source *source = &w.source
        seconds = w.timeout / 1e9
        counter = counter_of(source.base)
        written = stamp_ns(&(<IMAGE_METADATA *>source.base).writetime)
        why = last_written(
            written, file_state(source.path, source.device, source.inode, source.h.at.total) == FILE_GONE)
        raise StreamTimeoutError(
            f"stream {self.name!r}: no frame after number {w.last} within {seconds:g} s; "
            f"its counter is {counter}, {why}",
            stream=self.name, timeout=seconds, counter=counter)

    # -- waiting -------------------------------------------------------------------------------

    def wait(self, timeout=None, *, after=None, spin_ns=0):
        """Wait for a new frame, without the GIL and without copying anything.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits for ever, 0 only looks.
        after : int, optional
            Wait until the counter differs from this one. Default: the counter at the call, so that
            the next frame to be published ends the wait.
        spin_ns : int, default 0
            Nanoseconds to watch the counter before sleeping on the semaphore; -1 never sleeps; -2 sleeps
            until the frame is due, as this reader has learned the rhythm of the stream, and spins then.

        Returns
        -------
        int
            The counter of the newest frame. After `stop` it may not have moved.

        Raises
        ------
        StreamTimeoutError
            No new frame in time.
        StreamReplacedError
            The stream has a new file (found within 50 ms).
        StreamClosedError
            Closed before or during the wait.
        """
        cdef StreamFile file = self.file
        cdef Terms terms = terms_of(file.name, timeout, after, spin_ns, None)
        self.await_frame(file, &terms)
        return file.whole(counter_of(file.mapping.base))

    cdef int await_frame(self, StreamFile file, const Terms *terms) except -1:
        cdef Wait w
        cdef char *base = file.use_whole()
        cdef uint64_t last = terms.after if terms.going_on else counter_of(base)
        self.begin()
        try:
            self.prepare_wait(&w, file, last, terms.timeout, terms.spin)
            try:
                self._run(&w, NULL)
            finally:
                self.keep_wait(&w, 0)
        finally:
            self.end()
        return 0

    def try_wait(self, after):
        """Tell whether a frame newer than number `after` is there: its counter, or None. Never waits."""
        cdef uint64_t number = index_argument(self.name, "after", after, 2**64)
        cdef StreamFile file = self.file
        cdef uint64_t counter = counter_of(file.use_whole())
        file.check_whole()
        return None if counter == number else counter

    def arm(self):
        """Begin a new account: forget old posts and an old `stop`, and set `received` to 0.

        Returns
        -------
        int
            The counter now, to be given to `receive` as `after`.
        """
        cdef StreamFile file = self.file
        cdef Wait w
        cdef uint64_t counter
        file.use_whole()
        self.begin()
        try:
            atomic_store_i32(<int32_t *>&self.stopped, 0, __ATOMIC_RELAXED)
            self._note_stamps(file.mapping.base)
            self._fill_wait(&w, file, 0, 0)
            counter = self._start(&w)
            self._keep(&w)
        finally:
            self.end()
        return counter

    # -- receiving -----------------------------------------------------------------------------

    def receive(self, out, info=None, *, timeout=5.0, after=None, first=0, spin_ns=0, missed=None, wait_on="count"):
        """Receive the next frames into memory of the caller: wait, copy, verify and account.

        One block without the GIL: no Python, no allocation. Each frame is delivered once, in order and
        whole; a frame that was torn in every try is flagged. From a stream with a ring of 2 slots or more,
        frames are taken out of the ring, so that none is lost while the ring holds them.

        Parameters
        ----------
        out : buffer, shape (n, *frame_shape), stream dtype, C-contiguous, writable
            Must not overlap the stream.
        info : ndarray of FRAME_ROW, shape (n,) or longer, optional
            One row a frame.
        timeout : float or None, default 5.0
            Longest wait for one frame, in seconds.
        after : int, optional
            Deliver frames newer than this number, going on with the account that `arm` began. Default:
            `arm` now, so that the first frame is the next one published.
        first : int, default 0
            Start at this row of `out` and `info`.
        spin_ns : int, default 0
            As for `wait`.
        missed : int, optional
            The stream replaced another one, of which so many frames were not received: they count as
            lost before the first frame delivered, which gets `FLAG_NEW_FILE`.
        wait_on : {"count", "post"}
            "post": each post is a new frame, whatever the counter says, for writers that never count. Its number is `after`
            and the posts taken since; rows have `FLAG_UNCERTAIN`, and are not verified.

        Returns
        -------
        int
            Rows of `out` that are filled. Less than n only after `stop`, which lasts until `arm`.

        Raises
        ------
        StreamTimeoutError, StreamReplacedError, StreamClosedError
            As for `wait`. What was received until then is in `out`; `received` tells how many rows.
        FrameMismatchError
            `out` or `info` do not fit.
        StreamArgumentError
            `wait_on` is "post", but the stream has a ring, or this reader no semaphore.

        Notes
        -----
        In the main thread the GIL is taken every 50 ms to check signals. In other threads it is
        never taken.
        """
        cdef Job job
        cdef Py_buffer frames, rows
        cdef StreamFile file = self.file
        cdef Terms terms = terms_of(file.name, timeout, after, spin_ns, missed)
        file.use_whole()
        file.need_pixels()
        take_buffer(out, &frames, True, file.name, "out")
        try:
            count = count_frames(out, &frames, &file.h, file.frame_shape, file.name, "out")
            row = index_argument(file.name, "first", first, count + 1)
            if info is not None:
                self._take_rows(info, count, &rows)
            try:
                self.begin()
                try:
                    self.prepare(&job, file, &terms)
                    job.by_posts = self._counts_posts(&job.wait, wait_on)
                    if job.by_posts:
                        job.wait.order.trust = UNKNOWN
                    job.dest.frames = <char *>frames.buf
                    job.dest.rows = <Row *>rows.buf if info is not None else NULL
                    job.dest.nbytes = file.h.unit_nbytes
                    job.dest.streaming = streams(file.h.unit_nbytes, frames.len)
                    job.wanted = job.dest.slots = count
                    job.delivered = row
                    self.done = row
                    self.deliver(&job, &terms)
                finally:
                    self.end()
            finally:
                if info is not None:
                    PyBuffer_Release(&rows)
        finally:
            PyBuffer_Release(&frames)
        return job.delivered

    cdef bint _may_be_late(self, StreamFile file) noexcept:
        """Tell whether the frame that the last wait ended with may stand under a wrong number."""
        cdef Look seen
        if self.file is not file or self.cursor.ring.kind or file.h.temporal or self.is_running():
            return False
        look(<const IMAGE_METADATA *>file.mapping.base, &seen)
        self.order.stamped = seen_stamps(&self.stamps, &seen)
        return seen.cnt0 != self.settled and is_wary(&self.order)

    cdef bint receive_awaited(self, StreamFile file, char *dst, uint64_t *number, uint64_t *flags) except -1:
        cdef Job job
        cdef Row row
        cdef Terms terms
        if not self.awaited:
            return False
        self.awaited = False
        if not self._may_be_late(file):
            return False
        memset(&terms, 0, sizeof(Terms))
        terms.going_on = True
        terms.after = self.settled
        self.begin()
        try:
            self.prepare(&job, file, &terms)
            job.dest.frames = dst
            job.dest.rows = &row
            job.dest.nbytes = file.h.unit_nbytes
            job.wanted = job.dest.slots = 1
            self.deliver(&job, &terms)
        except (StreamTimeoutError, StreamReplacedError):
            return False
        finally:
            self.end()
        if job.delivered == 0:
            return False
        number[0], flags[0] = row.cnt0, row.flags
        return True

    cdef bint _counts_posts(self, const Wait *w, object wait_on) except -1:
        if wait_on == "count":
            return False
        if wait_on != "post":
            raise bad_argument(self.name, "wait_on", wait_on, "'count' or 'post'")
        if self.cursor.ring.kind:
            raise bad_argument(self.name, "wait_on", wait_on, "'count', because the stream has a ring")
        if w.posts.sem == NULL:
            wanted = "'count': the stream is read-only, or all its semaphores are taken"
            raise bad_argument(self.name, "wait_on", wait_on, wanted)
        return True

    cdef int _take_rows(self, object info, object count, Py_buffer *rows) except -1:
        if getattr(info, "dtype", None) != FRAME_ROW or info.ndim != 1 or info.shape[0] < count:
            raise FrameMismatchError(
                f"stream {self.name!r}: info needs {count} rows of FRAME_ROW, "
                f"not {getattr(info, 'shape', None)} of {getattr(info, 'dtype', type(info))}",
                stream=self.name, field="shape", expected=count, found=getattr(info, "shape", None))
        return take_buffer(info, rows, True, self.name, "info")

    def collect(self, PrivateRing ring not None, *, after=None, timeout=None, spin_ns=0, missed=None):
        """Receive frames into a ring of this process until `stop`, as `receive` does into a cube.

        Parameters
        ----------
        ring : PrivateRing
            Of the stream's frame shape and dtype. One collector at a time.
        after, timeout, spin_ns, missed
            As for `receive`.

        Returns
        -------
        int
            Frames in the ring so far, those of earlier calls included.

        Raises
        ------
        StreamTimeoutError, StreamReplacedError, StreamClosedError, FrameMismatchError
            As for `receive`.
        """
        cdef Job job
        cdef StreamFile file = self.file
        cdef Terms terms = terms_of(file.name, timeout, after, spin_ns, missed)
        file.use_whole()
        file.need_pixels()
        if ring.slots.shape[1:] != file.frame_shape or ring.slots.dtype != file.dtype:
            raise FrameMismatchError(
                f"stream {self.name!r}: the ring is for frames {ring.slots.shape[1:]} of {ring.slots.dtype}",
                stream=self.name, field="shape", expected=file.frame_shape, found=ring.slots.shape[1:])
        self.begin()
        try:
            self.prepare(&job, file, &terms)
            job.dest.nbytes = file.h.unit_nbytes
            job.dest.streaming = streams(file.h.unit_nbytes, ring.count * ring.nbytes)
            ring.receive_into(&job)
            job.wanted = <uint64_t>-1
            try:
                self.deliver(&job, &terms)
            finally:
                ring.total = job.ring.total
        finally:
            self.end()
        return job.delivered

    def relay(self, target not None, *, after=None, timeout=None, spin_ns=0, missed=None):
        """Publish the frames of this stream in another one until `stop`; see `Stream.publish_from`."""
        return target.publish_from(self, after=after, timeout=timeout, spin_ns=spin_ns, missed=missed)

    # -- ending --------------------------------------------------------------------------------

    def stop(self):
        """End a `receive`, `collect`, `relay` or `wait` of another thread, within 50 ms.

        It returns what it has. A stop that comes before it ends it at once. `arm` forgets it.
        """
        raise_flag(&self.stopped, 1)

    def close(self):
        """Give the semaphore back. A wait in another thread ends with `StreamClosedError`."""
        cdef StreamFile file = self.file
        raise_flag(&self.shut, 1)
        self.file = file.without_memory()
        if file.mapping is not None:
            self._give_back(file)


cdef Reader make_reader(StreamFile file):
    cdef Reader reader = Reader.__new__(Reader)
    reader.file = file
    find_ring(&reader.cursor.ring, file.use_whole(), &file.h)
    reader._note_stamps(file.mapping.base)
    return reader


cdef Terms terms_of(str name, object timeout, object after, object spin_ns, object missed) except *:
    cdef Terms terms
    terms.timeout = timeout_ns(timeout, name)
    terms.going_on = after is not None
    terms.after = index_argument(name, "after", after, 2**64) if terms.going_on else 0
    if spin_ns < LEARNED:
        raise bad_argument(name, "spin_ns", spin_ns, "nanoseconds, -1 to spin for ever, or -2 to learn")
    terms.spin = min(spin_ns, INT64_MAX)
    terms.new_file = missed is not None
    terms.missed = index_argument(name, "missed", missed, 2**64) if terms.new_file else 0
    return terms
