"""Under which number a frame was seen, of a writer that may count late.

Behind each copy from a writer without stamps the posts are taken, and the lead (order.pxd) is compared with the number:

    lead 0 or less    the number is right
    lead 1            of a copy that began with it, surely: the pixels are those of the next number. Else it may only
                      seem so, or the post came behind the copy: what the writer does next tells. If it begins a frame,
                      the number is right; if it counts, it counts late, and the frame is copied again

Where the next number was counted behind a copy, both are possible: a reader that must not lose frames looks what stands there now
(`tell_by_next`), and others copy again.

What cannot be told of a writer that was seen to count late is flagged: _UNCERTAIN, and _TORN for readers that know that
flag only. Of others it passes for right, until the writer is seen to count late: then rows of the same call that were
not told are flagged, those in a private ring too, and readers of the ring flag what they had copied (RingCursor.amend).

That a writer counts late is seen by its pixels first of all (order.pxd): nothing else holds for a reader or a writer that is
held up for milliseconds.

Not detected: the gap for a reader without a semaphore; a gap of more than COUNT_WAIT_NS, or HELD_WAIT_NS, of a writer that was not
seen to count late before; a writer that clears `write` first and posts a while later.
"""

from libc.stdint cimport int64_t, uint64_t

from .._isio cimport CLOCK_MONOTONIC, IMAGE_METADATA
from .clock cimport clock_ns
from .marks cimport pixel_mark
from .order cimport (
    ASSUMED, AT_MOST, COUNT_WAIT_NS, EXACT, HELD_WAIT_NS, STEP_COUNTED, STEP_MISSED, STEP_NONE, STEP_OPENED, UNKNOWN, Order, Step,
    assume, counted, go_on, is_open, is_wary, judge_shift, lead_at, look_at_pixels, note_rhythm, note_unsure, seen_late,
    seen_plain, stand,
)
from .posts cimport take_posts_behind
from .waiting cimport Wait, watch_step

cdef enum:
    # Copies of one frame before its number is given up: of a writer that was seen to count late, and of others.
    NUMBER_TRIES = 48
    LIKELY_TRIES = 3

# What is known of the number of a copy.
ctypedef enum Number:
    NUMBER_RIGHT
    NUMBER_LIKELY           # nothing speaks against it
    NUMBER_NEXT             # the pixels are those of the next number, which is counted now
    NUMBER_AGAIN            # copy again
    NUMBER_UNCERTAIN


cdef inline const IMAGE_METADATA *header_of(const Wait *w) noexcept nogil:
    return <const IMAGE_METADATA *>w.source.base


cdef inline bint note_open(Wait *w, uint64_t number) noexcept nogil:
    """Note that the writer was seen to begin the frame after `number`; returns whether there is no post left."""
    cdef uint64_t taken = w.posts.taken
    if take_posts_behind(&w.posts) == 0:
        stand(&w.order, number, taken, 0, EXACT)
        w.order.silent = 0
        return True
    # They came before the frame was begun, or belong to it: this thread may have been held up.
    stand(&w.order, number, w.posts.taken, 1, AT_MOST)
    return False


cdef inline Number tell_by_count(Wait *w, uint64_t number, bint within) noexcept nogil:
    """Tell the number of a copy with a lead, behind which the next frame was counted and none was seen to begin.

    A writer that counts first has posted that frame when it begins another one. One that posted it before counts late.
    """
    cdef Order *o = &w.order
    cdef int64_t now
    cdef bint changed = o.mark.known and o.mark.number == number
    cdef uint64_t pixels = o.mark.pixels
    # No post that was taken is one of a frame behind the one that is counted now.
    stand(o, number + 1, w.posts.taken, 0, AT_MOST)
    if within and o.late:
        return NUMBER_NEXT
    # Pixels that changed with the count were not there before it.
    look_at_pixels(&w.source, o, number + 1, w.posts.taken)
    changed = changed and o.mark.number == number + 1 and o.mark.pixels != pixels
    now = clock_ns(CLOCK_MONOTONIC)
    if watch_step(w, number + 1, now, now + COUNT_WAIT_NS) == STEP_OPENED:
        if note_open(w, number + 1) and not changed:
            seen_late(o)
    return NUMBER_AGAIN


cdef inline Number tell_by_step(Wait *w, uint64_t number, bint within, bint posted, int64_t since) noexcept nogil:
    """Tell the number of a copy with a lead: watch what the writer does next.

    within: the copy began with a lead, surely. posted: there was a post since. since: when the copy had ended.
    """
    cdef Order *o = &w.order
    cdef bint exact = o.trust == EXACT
    cdef Step step = watch_step(w, number, since, since + (HELD_WAIT_NS if o.brisk else COUNT_WAIT_NS))
    if step == STEP_COUNTED:
        return tell_by_count(w, number, within)
    if step == STEP_MISSED:
        stand(o, number, w.posts.taken, 1, EXACT if exact else AT_MOST)
        return NUMBER_NEXT if within and o.late else NUMBER_AGAIN
    if step == STEP_NONE:
        if o.late:
            stand(o, number, w.posts.taken, 1, AT_MOST)
            return NUMBER_UNCERTAIN
        assume(o, number, w.posts.taken)
        return NUMBER_LIKELY
    if step == STEP_OPENED or not posted:
        note_open(w, number)
        if exact and step == STEP_OPENED:
            seen_plain(o)  # a post that announced nothing
    else:
        stand(o, number, w.posts.taken, 1, AT_MOST)  # it may be that of the frame which is open
    return NUMBER_RIGHT


cdef inline Number tell_by_next(Wait *w, uint64_t number, const char *copy) noexcept nogil:
    """Tell the number of a copy with a lead, behind which the next frame was counted, by what stands there now.

    Of a writer that counts late these are the pixels of the copy, or were.
    """
    cdef Order *o = &w.order
    look_at_pixels(&w.source, o, number + 1, w.posts.taken)
    take_posts_behind(&w.posts)
    if not o.mark.known or o.mark.number != number + 1 or lead_at(o, number + 1, w.posts.taken) > 0:
        return NUMBER_AGAIN
    if o.mark.pixels != pixel_mark(copy, w.source.h.n.frame_nbytes):
        return NUMBER_LIKELY
    note_unsure(o)
    return NUMBER_AGAIN


cdef inline Number tell_number(Wait *w, uint64_t number, uint64_t before, const char *copy) noexcept nogil:
    """Tell whether a frame that was copied under `number` has it.

    before: how many posts were taken when the copy began.
    """
    cdef Order *o = &w.order
    cdef bint within, posted, capped, exact
    cdef int64_t lead, since = clock_ns(CLOCK_MONOTONIC)
    cdef uint64_t now
    note_rhythm(o, number, since)
    posted = take_posts_behind(&w.posts) > 0
    judge_shift(o, w.posts.taken)
    now = counted(header_of(w))
    capped = w.posts.capped or o.trust == UNKNOWN
    w.posts.capped = False
    exact = o.trust == EXACT and not capped
    lead = lead_at(o, number, w.posts.taken)
    within = exact and lead_at(o, number, before) == 1
    if exact and (lead < 0 or (lead > 1 and now == number)):
        seen_plain(o)  # it was counted before its post, or a post announced nothing
    go_on(o, now, w.posts.taken, capped)
    if now != number:
        if lead <= 0 and not capped:
            return NUMBER_RIGHT
        return tell_by_next(w, number, copy) if exact and not o.late and not w.strict else NUMBER_AGAIN
    if o.lead <= 0 or not is_wary(o):
        return NUMBER_LIKELY if o.trust == ASSUMED else NUMBER_RIGHT
    if o.late and exact and not within and not is_open(header_of(w), number):
        return NUMBER_AGAIN  # the post may have come behind the copy; a new copy begins with it
    return tell_by_step(w, number, within, posted, since)
