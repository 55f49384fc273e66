"""The order in which a writer posts and counts a frame, as far as its posts tell.

Some writers post a frame, clear `write`, and count the frame up to milliseconds later:

    write = 1, pixels, post, write = 0    the gap: pixels of frame n + 1, cnt0 = n    cnt0 = n + 1

If such a writer stores no times, nothing in the header shows the gap. The posts do: in the gap there is one of them
more than frames that were counted, the lead. An account of both tells the lead at any moment, and late.pxd what
follows from it.

The lead is at most 1 whenever all posts were taken and then the counter was read: no frame is posted before the one in
front of it is counted. An account begins with that (AT_MOST). When a writer begins a frame, all those before are posted and
counted by any writer: the lead is 0, and exact until posts are left out at the cap. A writer that counts first and posts
then, or does not post, has a lead of 0 or less from there on: that shows it to be plain.

Posts tell nothing for certain to a reader that was held up. Pixels do: if others stand there under the number of before, and
in between the writer was in a frame and posted it, the frame was shown before it is counted. That is so however late each of
the two looks came. `Mark` keeps the first pixels that were seen under a number.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from .._isio cimport (
    CLOCK_MONOTONIC, IMAGE_METADATA, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, atomic_fence, atomic_load_u8, atomic_load_u64,
)
from .clock cimport POLL_NS, clock_ns, sleep_until
from .filestate cimport Source
from .flags cimport atomic_load_int
from .look cimport Look, look, same_look
from .marks cimport pixel_mark
from .port cimport pymilk_may_spin, pymilk_pause

cdef enum:
    # A writer is plain after so many signs in a row that its posts do not come before its counts.
    PLAIN_SIGNS = 3
    # A count that may follow a post is watched for without sleeping for the first time, and waited for up to the second.
    COUNT_SPIN_NS = 1_000_000
    COUNT_WAIT_NS = 5_000_000
    # A writer whose frames come faster than that, and which does nothing for so long, does not get a processor: it is waited
    # for up to this time. So is this thread itself, where it was held up while it watched.
    HELD_WAIT_NS = 50_000_000
    # It is such a writer until so many frames were slower.
    BRISK_FRAMES = 16
    # The order of a writer is looked for behind so many frames; and behind so many more when a number is in doubt, but not
    # behind more than PROBED_MOST. When one was posted, looks are up to this far apart, and not evenly: a writer that counts
    # late may show a frame under its number for some 10 us only, once in each period.
    PROBED_FRAMES = 64
    DOUBT_FRAMES = 32
    PROBED_MOST = 512
    PROBE_NS = 32_768
    # A writer that does its steps while this thread sleeps, and none while it spins, may share its core: the time without
    # sleep is halved, up to so many times.
    APART_MOST = 6
    # Between two looks of a thread that was not held up.
    HELD_UP_NS = 8_000
    LOOKS_PER_ROUND = 16

# What the lead of an account is worth.
ctypedef enum Trust:
    UNKNOWN         # there is no account
    # It is 0 if the writer, which did nothing for COUNT_WAIT_NS, counts no later than that. Looked into again after
    # 1, 2, 4 and so on to 32 frames; at the next one if frames come faster than that.
    ASSUMED
    AT_MOST         # it can be less
    EXACT

# The first pixels that were seen under a number, with no frame open.
cdef struct Mark:
    bint known
    uint64_t number
    uint64_t pixels         # see pixel_mark
    uint64_t posts          # posts taken before
    bint shifted            # other pixels were seen under that number since
    bint opened             # this writer was seen in a frame, at any time

# What one writer does, as one reader has seen it.
cdef struct Order:
    uint64_t number     # frame at which the account stands
    uint64_t posts      # posts taken by then
    int64_t lead        # posts beyond the frames counted
    Trust trust
    int plain           # signs in a row, see PLAIN_SIGNS
    uint64_t rest       # ASSUMED: frames until it is looked into again
    int silent          # times in a row that it was ASSUMED
    uint64_t shown      # number that was told last, and when: CLOCK_MONOTONIC, 0: none was
    int64_t shown_ns
    int brisk           # frames come faster than one in COUNT_WAIT_NS, see BRISK_FRAMES
    bint stamped        # it stores times: they tell, and nothing here is needed
    bint late           # it was seen to count late
    Mark mark
    int apart           # see APART_MOST
    int probed          # frames behind which the order was looked for,
    int doubts          # and behind how many more than PROBED_FRAMES it is
    bint unsure         # the pixels of `mark` were taken under its number, which was not told

# What a writer does next.
ctypedef enum Step:
    STEP_NONE           # nothing in time
    STEP_OPEN           # it is in a frame already
    STEP_OPENED         # it begins a frame
    STEP_COUNTED        # it counts, and began no frame before
    STEP_MISSED         # it counted; whether it began a frame before was not seen


cdef inline bint is_wary(const Order *o) noexcept nogil:
    """Tell whether this writer may count late."""
    return not o.stamped and o.plain < PLAIN_SIGNS


cdef inline bint is_sought(const Order *o) noexcept nogil:
    """Tell whether to find out by its pixels if this writer counts late."""
    return o.mark.known and not o.late and o.probed < PROBED_FRAMES + o.doubts and is_wary(o)


cdef inline void note_probed(Order *o) noexcept nogil:
    """Note that the order was looked for behind one more frame."""
    o.probed = min(o.probed, <int>PROBED_FRAMES + o.doubts) + 1


cdef inline void note_unsure(Order *o) noexcept nogil:
    """Note that a number was taken, or is to be taken, that was not told: go on looking for the order."""
    o.doubts = max(o.doubts, min(o.probed - <int>PROBED_FRAMES + DOUBT_FRAMES, <int>PROBED_MOST - PROBED_FRAMES))


cdef inline int64_t lead_at(const Order *o, uint64_t number, uint64_t posts) noexcept nogil:
    """Return the lead at a frame, after so many posts were taken."""
    return o.lead + <int64_t>(posts - o.posts) - <int64_t>(number - o.number)


cdef inline void stand(Order *o, uint64_t number, uint64_t posts, int64_t lead, Trust trust) noexcept nogil:
    """Let the account stand at a frame."""
    o.number = number
    o.posts = posts
    o.lead = lead
    o.trust = trust


cdef inline void go_on(Order *o, uint64_t number, uint64_t posts, bint capped) noexcept nogil:
    """Let the account go on to a frame, after all posts were taken and then its number read.

    capped: posts may have been left out at the cap.
    """
    cdef int64_t lead = lead_at(o, number, posts)
    if o.trust == ASSUMED:
        o.rest -= min(o.rest, number - o.number)
    if (o.trust == UNKNOWN or capped or <int64_t>(number - o.number) < 0 or lead > 1
            or (o.trust == ASSUMED and (lead < 0 or o.rest == 0 or (o.brisk and number != o.number)))):
        stand(o, number, posts, 1, AT_MOST)
    else:
        stand(o, number, posts, max(lead, <int64_t>(-1 if o.trust == EXACT else 0)), o.trust)


cdef inline void note_rhythm(Order *o, uint64_t number, int64_t now) noexcept nogil:
    """Note that a frame was copied under a number."""
    cdef uint64_t advance = number - o.shown
    if o.shown_ns and advance == 0:
        return
    # Far more than a number at a time: the counter was set.
    if o.shown_ns and now - o.shown_ns < <int64_t>min(advance, <uint64_t>64) * COUNT_WAIT_NS:
        o.brisk = BRISK_FRAMES
    else:
        o.brisk = max(o.brisk - 1, 0)
    o.shown = number
    o.shown_ns = now


cdef inline void assume(Order *o, uint64_t number, uint64_t posts) noexcept nogil:
    """Assume that all posts belong to frames that were counted."""
    stand(o, number, posts, 0, ASSUMED)
    o.rest = <uint64_t>1 << min(o.silent, <int>5)
    o.silent += 1


cdef inline void seen_plain(Order *o) noexcept nogil:
    o.plain = min(o.plain + 1, <int>PLAIN_SIGNS)
    if o.plain == PLAIN_SIGNS:
        o.late = False


cdef inline void seen_late(Order *o) noexcept nogil:
    o.late = True
    o.plain = 0


cdef inline void note_pixels(Order *o, uint64_t number, uint64_t pixels, uint64_t posts) noexcept nogil:
    """Note the mark of pixels that were seen whole under a number; posts: how many were taken before."""
    cdef Mark *m = &o.mark
    if not m.known or m.number != number:
        m.known = True
        m.number = number
        m.pixels = pixels
        m.posts = posts
        m.shifted = False
    elif pixels != m.pixels:
        m.shifted = True


cdef inline void judge_shift(Order *o, uint64_t posts) noexcept nogil:
    """Tell by the pixels whether the writer counts late; posts: how many there were by now.

    A writer that never sets `write` changes pixels under the same number, too, and so does a program that changes single pixels
    in place: it neither sets `write` nor posts.
    """
    if o.mark.shifted and o.mark.opened and posts > o.mark.posts and not o.late:
        seen_late(o)


cdef inline uint64_t counted(const IMAGE_METADATA *md) noexcept nogil:
    # Acquire: what a reader finds behind it is not older than the count.
    return atomic_load_u64(<uint64_t *>&md.cnt0, __ATOMIC_ACQUIRE)


cdef inline bint is_open(const IMAGE_METADATA *md, uint64_t number) noexcept nogil:
    """Tell whether the writer is in a frame, and has counted none since `number`."""
    # Acquire: a writer that counted before it opened is seen to have counted.
    return (atomic_load_u8(<uint8_t *>&md.write, __ATOMIC_ACQUIRE) != 0
            and atomic_load_u64(<uint64_t *>&md.cnt0, __ATOMIC_RELAXED) == number)


cdef inline void look_at_pixels(const Source *s, Order *o, uint64_t number, uint64_t posts) noexcept nogil:
    """Note the pixels that stand under a number, unless a frame is open; posts: how many were taken before."""
    cdef const IMAGE_METADATA *md = <const IMAGE_METADATA *>s.base
    cdef Look before, after
    cdef uint64_t pixels
    if o.late:
        return
    look(md, &before)
    if before.write:
        o.mark.opened = True
        return
    pixels = pixel_mark(s.base + s.h.at.array, s.h.n.frame_nbytes)
    # As in try_copy: what was read is older than the second look.
    atomic_fence(__ATOMIC_ACQUIRE)
    look(md, &after)
    if after.cnt0 == number and same_look(&before, &after):
        note_pixels(o, number, pixels, posts)


cdef inline Step step_at_once(const IMAGE_METADATA *md, uint64_t number, int64_t before) noexcept nogil:
    """Look what the writer does, without waiting; before: when it was seen before."""
    cdef int _
    for _ in range(LOOKS_PER_ROUND):
        if is_open(md, number):
            return STEP_OPENED
        if counted(md) != number:
            # This thread may have been held up while the writer opened its frame.
            return STEP_COUNTED if clock_ns(CLOCK_MONOTONIC) - before < HELD_UP_NS else STEP_MISSED
        pymilk_pause()
    return STEP_NONE


cdef inline Step next_step(const Source *s, Order *o, uint64_t number, uint64_t posts, int64_t since, int64_t until,
                           const int *stop) noexcept nogil:
    """Watch until a CLOCK_MONOTONIC time what the writer does after `number`: it begins a frame, or it counts.

    It is watched for longer where it, or this thread, seems to be held up, see HELD_WAIT_NS.
    posts: how many were taken before. since: when the writer was seen before, in no frame and with that number.
    """
    cdef const IMAGE_METADATA *md = <const IMAGE_METADATA *>s.base
    cdef int64_t began = clock_ns(CLOCK_MONOTONIC), before = since, now = since, last, spin_ns
    cdef bint sought = is_sought(o)
    cdef bint slept = False
    cdef Step step
    spin_ns = COUNT_SPIN_NS >> o.apart if pymilk_may_spin() else 0
    if is_open(md, number):
        o.mark.opened = True
        return STEP_OPEN
    if began - since < HELD_UP_NS:
        before = began
    while True:
        step = step_at_once(md, number, before)
        if step != STEP_NONE:
            o.mark.opened = o.mark.opened or step == STEP_OPENED
            o.apart = min(o.apart + 1, <int>APART_MOST) if slept else max(o.apart - 1, 0)
            return step
        look_at_pixels(s, o, number, posts)
        last, now = now, clock_ns(CLOCK_MONOTONIC)
        if now - last > COUNT_SPIN_NS:
            until = min(until + (now - last), max(until, began + HELD_WAIT_NS))
        if now >= until or atomic_load_int(stop) or atomic_load_int(s.closed):
            return STEP_NONE
        if now - began >= spin_ns:
            slept = True
            sleep_until(now + (now % PROBE_NS if sought else POLL_NS))
        elif now - before < HELD_UP_NS:
            before = now
