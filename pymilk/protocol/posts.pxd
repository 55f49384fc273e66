"""The posts of a semaphore of one reader: which frame each of them belongs to.

The counter tells which frames exist; a semaphore is a doorbell. A post that a reader takes belongs to a frame that
was counted before (owed), or comes before its frame is counted (ahead), or announces nothing and is ignored.
"""

from libc.stdint cimport int32_t, uint64_t

from .._isio cimport SEMAPHORE_MAXVAL, sem_t, sem_trywait

cdef struct Posts:
    sem_t *sem              # NULL: no semaphore, watch the counter
    const int32_t *owner    # stays own_pid as long as the semaphore is ours
    uint64_t owed           # posts of counted frames that are still to come
    uint64_t ahead          # posts taken whose frame was not counted yet
    uint64_t repeated       # posts that announced nothing
    uint64_t excess         # repeated posts counted for the last frame (part of `repeated`)
    bint silent             # frames come without posts: watch the counter, until there is a post


cdef inline void note_post(Posts *p) noexcept nogil:
    if p.owed:
        p.owed -= 1
    else:
        p.ahead += 1


cdef inline int take_posts(Posts *p) noexcept nogil:
    """Take all posts, so that the next sleep ends with a new one; returns how many there were."""
    cdef int taken = 0
    # Bounded: another process may post all the time.
    while taken < 4 * SEMAPHORE_MAXVAL and sem_trywait(p.sem) == 0:
        taken += 1
        note_post(p)
    # One post may still come: that of a frame whose counter was seen before its post.
    if p.owed > 1:
        p.owed = 1
    return taken


cdef inline void settle_posts(Posts *p, uint64_t advance) noexcept nogil:
    """Assign posts to the `advance` frames that were counted; the rest announced nothing."""
    cdef uint64_t settled = min(advance, p.ahead)
    p.ahead -= settled
    p.owed += advance - settled
    p.excess = p.ahead
    p.repeated += p.ahead
    p.ahead = 0
