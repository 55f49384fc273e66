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
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from .._isio cimport (
    CLOCK_MONOTONIC, IMAGE_METADATA, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, atomic_load_u8, atomic_load_u64,
)
from .clock cimport POLL_NS, clock_ns, sleep_until
from .flags cimport atomic_load_int
from .port cimport pymilk_may_spin, pymilk_pause

cdef enum:
    # A writer is plain after so many signs in a row that its posts do not come before its counts.
    PLAIN_SIGNS = 3
    # A post that came before the count of its frame, with none behind it, is a sign that the writer counts late; a post
    # behind the count speaks against it, but can be that of the next frame. A writer that is held up between count and post
    # gives a sign once in a while.
    LATE_SIGN = 4
    LATE_SIGNS = 12
    # A count that may follow a post is watched for without sleeping for the first time, and waited for up to the second.
    COUNT_SPIN_NS = 1_000_000
    COUNT_WAIT_NS = 5_000_000
    # Between two looks of a thread that was not held up.
    HELD_UP_NS = 8_000
    LOOKS_PER_ROUND = 16

# What the lead of an account is worth.
ctypedef enum Trust:
    UNKNOWN         # there is no account
    # It is 0 if the writer, which did nothing for COUNT_WAIT_NS, counts no later than that. Looked into again after
    # 1, 2, 4 and so on to 32 frames.
    ASSUMED
    AT_MOST         # it can be less
    EXACT

# What one writer does, as one reader has seen it.
cdef struct Order:
    uint64_t number     # frame at which the account stands
    uint64_t posts      # posts taken by then
    int64_t lead        # posts beyond the frames counted
    Trust trust
    int plain           # signs in a row, see PLAIN_SIGNS
    uint64_t early      # number before the frame whose post was taken when the frame was not counted yet
    uint64_t early_posts    # posts taken by then
    int signs           # see LATE_SIGNS
    uint64_t rest       # ASSUMED: frames until it is looked into again
    int silent          # times in a row that it was ASSUMED
    bint stamped        # it stores times: they tell, and nothing here is needed
    bint late           # it was seen to count late

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
            or (o.trust == ASSUMED and (lead < 0 or o.rest == 0))):
        stand(o, number, posts, 1, AT_MOST)
    else:
        stand(o, number, posts, max(lead, <int64_t>(-1 if o.trust == EXACT else 0)), o.trust)


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


cdef inline bint is_early(const Order *o, uint64_t number, uint64_t posts) noexcept nogil:
    """Tell whether the post of this frame was taken before the frame was counted, and none since."""
    return o.early_posts != 0 and number == o.early + 1 and posts == o.early_posts


cdef inline void note_early(Order *o, uint64_t number, uint64_t posts) noexcept nogil:
    """Note how many posts were taken a while after a frame was counted."""
    if o.early_posts == 0 or number != o.early + 1:
        return
    o.signs = min(o.signs + LATE_SIGN, <int>LATE_SIGNS) if posts == o.early_posts else max(o.signs - 1, 0)
    o.early_posts = 0
    if o.signs >= LATE_SIGNS and not o.late:
        seen_late(o)


cdef inline uint64_t counted(const IMAGE_METADATA *md) noexcept nogil:
    # Acquire: what a reader finds behind it is not older than the count.
    return atomic_load_u64(<uint64_t *>&md.cnt0, __ATOMIC_ACQUIRE)


cdef inline bint is_open(const IMAGE_METADATA *md, uint64_t number) noexcept nogil:
    """Tell whether the writer is in a frame, and has counted none since `number`."""
    # Acquire: a writer that counted before it opened is seen to have counted.
    return (atomic_load_u8(<uint8_t *>&md.write, __ATOMIC_ACQUIRE) != 0
            and atomic_load_u64(<uint64_t *>&md.cnt0, __ATOMIC_RELAXED) == number)


cdef inline Step next_step(const IMAGE_METADATA *md, uint64_t number, int64_t since, int64_t until, const int *stop,
                           const int *closed) noexcept nogil:
    """Watch until a CLOCK_MONOTONIC time what the writer does after `number`: it begins a frame, or it counts.

    since: when it was seen before, in no frame and with that number.
    """
    cdef int64_t began = clock_ns(CLOCK_MONOTONIC), before = since, now
    cdef bint spins = pymilk_may_spin()
    cdef int _
    if is_open(md, number):
        return STEP_OPEN
    if began - since < HELD_UP_NS:
        before = began
    while True:
        for _ in range(LOOKS_PER_ROUND):
            if is_open(md, number):
                return STEP_OPENED
            if counted(md) != number:
                # This thread may have been held up while the writer opened its frame.
                return STEP_COUNTED if clock_ns(CLOCK_MONOTONIC) - before < HELD_UP_NS else STEP_MISSED
            pymilk_pause()
        now = clock_ns(CLOCK_MONOTONIC)
        if now >= until or atomic_load_int(stop) or atomic_load_int(closed):
            return STEP_NONE
        if now - began >= COUNT_SPIN_NS or not spins:
            sleep_until(now + POLL_NS)
        elif now - before < HELD_UP_NS:
            before = now
