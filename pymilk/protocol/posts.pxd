"""The posts of a semaphore of one reader: which frame each of them belongs to.

The counter tells which frames exist; a semaphore is a doorbell. A post that a reader takes belongs to a frame that
was counted before (owed), or comes before its frame is counted (ahead), or announces nothing and is ignored.

That is about posts to sleep for, and about repeated ones. Whether a frame was posted and not counted yet: order.pxd.
"""

from libc.stdint cimport int32_t, uint64_t

from .._isio cimport SEMAPHORE_MAXVAL, sem_getvalue, sem_t, sem_trywait

cdef struct Posts:
    sem_t *sem              # NULL: no semaphore, watch the counter
    const int32_t *owner    # stays own_pid as long as the semaphore is ours
    uint64_t owed           # posts of counted frames that are still to come
    uint64_t lapsed         # of them, those that may have come, but this thread was held up meanwhile
    uint64_t ahead          # posts taken whose frame was not counted yet
    uint64_t repeated       # posts that announced nothing
    uint64_t excess         # repeated posts counted for the last frame (part of `repeated`)
    bint silent             # frames come without posts: watch the counter, until there is a post
    uint64_t taken          # all posts that were taken
    uint64_t behind         # of them, those taken behind a copy, which are not assigned yet
    bint capped             # posts may have been left out at the cap of the semaphore


cdef inline void assign_post(Posts *p) noexcept nogil:
    if p.owed:
        p.owed -= 1
    else:
        p.ahead += 1


cdef inline void note_post(Posts *p) noexcept nogil:
    p.taken += 1
    assign_post(p)


cdef inline int empty_bell(Posts *p) noexcept nogil:
    """Take all posts; returns how many there were. The caller assigns them."""
    cdef int taken = 0
    # Bounded: another process may post all the time.
    while taken < 4 * SEMAPHORE_MAXVAL and sem_trywait(p.sem) == 0:
        taken += 1
    p.taken += taken
    if taken >= SEMAPHORE_MAXVAL - 1:  # one may have been taken before
        p.capped = True
    return taken


cdef inline int take_posts(Posts *p) noexcept nogil:
    """Take all posts, so that the next sleep ends with a new one; returns how many there were."""
    cdef int taken = empty_bell(p)
    cdef int _
    for _ in range(taken):
        assign_post(p)
    # One post may still come: that of a frame whose counter was seen before its post.
    if p.owed > 1:
        p.owed = 1
    return taken


cdef inline int take_posts_behind(Posts *p) noexcept nogil:
    """Take all posts behind the copy of a frame, before the frame is settled; returns how many there were."""
    cdef int taken = empty_bell(p)
    p.behind += taken
    return taken


cdef inline uint64_t posts_by_now(const Posts *p) noexcept nogil:
    """Return how many posts were taken, and those that wait to be taken."""
    cdef int waiting = 0
    sem_getvalue(p.sem, &waiting)
    return p.taken + <uint64_t>max(waiting, 0)


cdef inline void forgive(Posts *p) noexcept nogil:
    """Take posts that seem to announce nothing for those that lapsed, as far as there were any."""
    cdef uint64_t forgiven = min(p.ahead, p.lapsed)
    p.ahead -= forgiven
    p.lapsed -= forgiven


cdef inline void lapse(Posts *p, bint doubtful) noexcept nogil:
    """Expect no more posts of counted frames after a sleep; doubtful: one may have come just before it ended.

    A thread that wakes up late cannot tell a post that was owed from that of the next frame.
    """
    if doubtful:
        p.lapsed = min(p.lapsed + p.owed, <uint64_t>1)
    else:
        forgive(p)
        p.lapsed = 0
    p.owed = 0


cdef inline void settle_posts(Posts *p, uint64_t advance) noexcept nogil:
    """Assign posts to the `advance` frames that were counted; the rest announced nothing."""
    cdef uint64_t settled = min(advance, p.ahead)
    p.ahead -= settled
    p.owed += advance - settled
    forgive(p)
    p.excess = p.ahead
    p.repeated += p.ahead
    p.ahead = 0
    while p.behind:
        p.behind -= 1
        assign_post(p)
