"""When the next frame is expected: the rhythm of a stream, learned by one reader.

A sleeping reader is woken some 10 to 20 us after the frame. One that spins sees it at once, and pays with its
core. Most cameras are regular, so that a reader can do both: sleep until shortly before the frame is
due, and spin only then. How regular a stream is, and how late a sleep ends on this machine, is learned.

Three things can come of it (pace_plan):

    the interval is short    a sleep would cost as much as it saves: spin all the time
    the frame is due soon    sleep until `doze`, spin until `alert`, then sleep on the semaphore
    it cannot be told        sleep on the semaphore: the stream is irregular, or the window would be too large
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    # Up to this interval a wake-up (about 5 us of work for writer and reader each, 10 to 30 us until it is done)
    # comes too late too often.
    PACE_SHORT_NS = 40_000
    # Intervals longer than this are not a rhythm: nothing is learned from them.
    PACE_LONG_NS = 10_000_000_000
    # Frames before a rhythm counts as known, and frames over which it is averaged.
    PACE_KNOWN = 16
    PACE_MEMORY = 16
    # A window may take this part of an interval, 1/8: more is no longer a bargain.
    PACE_SHARE = 8
    # How late a sleep ends: first guess, and the least that is believed.
    PACE_LATE_NS = 30_000
    PACE_LATE_MIN_NS = 4_000

cdef struct Pace:
    int64_t seen        # when the last frame was seen to come, CLOCK_MONOTONIC; 0: not seen
    uint64_t count      # its number
    uint32_t known      # intervals learned from, up to PACE_KNOWN
    int64_t interval    # average of the intervals, ns
    int64_t spread      # average of their deviations
    int64_t late        # average of how late sleeps ended


cdef inline void pace_note(Pace *p, int64_t now, uint64_t count) noexcept nogil:
    """A frame was seen to come just now."""
    cdef uint64_t frames = count - p.count
    cdef int64_t interval, deviation
    if p.seen and 0 < frames < 1000 and now - p.seen < <int64_t>PACE_LONG_NS:
        interval = (now - p.seen) // <int64_t>frames
        if p.known == 0:
            p.interval = interval
            p.spread = interval // 8
        # One hold-up of the machine must not look like another rhythm.
        deviation = min(interval - p.interval, p.interval)
        p.interval += deviation // PACE_MEMORY
        p.spread += ((deviation if deviation >= 0 else -deviation) - p.spread) // PACE_MEMORY
        p.known = min(p.known + 1, <uint32_t>PACE_KNOWN)
    elif p.seen and now - p.seen >= <int64_t>PACE_LONG_NS:
        p.known = 0
    p.seen = now
    p.count = count


cdef inline void pace_miss(Pace *p) noexcept nogil:
    """A frame was there already: when it came is not known."""
    p.seen = 0


cdef inline void pace_note_late(Pace *p, int64_t late) noexcept nogil:
    """A sleep ended so late."""
    if p.late == 0:
        p.late = PACE_LATE_NS
    p.late += (min(late, 8 * <int64_t>PACE_LATE_NS) - p.late) // 8


cdef inline void pace_plan(const Pace *p, int64_t now, uint64_t count, int64_t *doze,
                           int64_t *alert) noexcept nogil:
    """Tell until when to sleep at the most, and until when to spin then. Both 0: just sleep.

    count is that of the newest frame: frames that came while nobody waited are known by it.
    """
    cdef int64_t lead, due
    cdef uint64_t frames = count - p.count
    doze[0] = alert[0] = 0
    if p.known < PACE_KNOWN or p.seen == 0 or frames >= 64:
        return
    due = p.seen + p.interval * <int64_t>(frames + 1)
    if p.interval < PACE_SHORT_NS:
        lead = 4 * p.interval
        doze[0] = now
    else:
        lead = max(p.late if p.late else <int64_t>PACE_LATE_NS, <int64_t>PACE_LATE_MIN_NS) + 2 * p.spread
        if 2 * lead > p.interval // PACE_SHARE:
            return
        doze[0] = due - lead
    alert[0] = due + lead
