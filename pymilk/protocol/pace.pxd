"""When the next frame is expected: the rhythm of a stream, learned by one reader.

A sleeping reader wakes some 10 to 20 us after the frame. A spinning reader sees it at once, but occupies its core.
Most cameras are regular, so a reader can do both: sleep until shortly before the frame is due, then spin. It learns
how regular the stream is, and how late a sleep ends on this machine.

There are three plans (pace_plan):

    the interval is short    a sleep would cost as much as it saves: spin all the time
    the frame is due soon    sleep until `doze`, spin until `alert`, then sleep on the semaphore
    not predictable          sleep on the semaphore: the stream is irregular, or the window would be too large
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    # Up to this interval a wake-up (about 5 us of work for writer and reader each, 10 to 30 us in all) comes too
    # late too often.
    PACE_SHORT_NS = 40_000
    # Intervals longer than this are not a rhythm: nothing is learned from them.
    PACE_LONG_NS = 10_000_000_000
    # Frames before a rhythm counts as known, and frames over which it is averaged.
    PACE_KNOWN = 16
    PACE_MEMORY = 16
    # Spin for at most 1/8 of an interval: more costs more than it saves.
    PACE_SHARE = 8
    # How late a sleep ends: first guess, and lower limit.
    PACE_LATE_NS = 30_000
    PACE_LATE_MIN_NS = 4_000

cdef struct Pace:
    int64_t seen        # when the last frame came, CLOCK_MONOTONIC; 0: not known
    uint64_t count      # its number
    uint32_t known      # intervals learned from, up to PACE_KNOWN
    int64_t interval    # average of the intervals, ns
    int64_t spread      # average of their deviations
    int64_t late        # average of how late sleeps ended


cdef inline void pace_note(Pace *p, int64_t now, uint64_t count) noexcept nogil:
    """Note that a frame came just now."""
    cdef uint64_t frames = count - p.count
    cdef int64_t interval, deviation
    if p.seen and 0 < frames < 1000 and now - p.seen < <int64_t>PACE_LONG_NS:
        interval = (now - p.seen) // <int64_t>frames
        if p.known == 0:
            p.interval = interval
            p.spread = interval // 8
        # A single delay of the machine must not change the rhythm.
        deviation = min(interval - p.interval, p.interval)
        p.interval += deviation // PACE_MEMORY
        p.spread += ((deviation if deviation >= 0 else -deviation) - p.spread) // PACE_MEMORY
        p.known = min(p.known + 1, <uint32_t>PACE_KNOWN)
    elif p.seen and now - p.seen >= <int64_t>PACE_LONG_NS:
        p.known = 0
    p.seen = now
    p.count = count


cdef inline void pace_miss(Pace *p) noexcept nogil:
    """Note that a frame came before the wait: its time is not known."""
    p.seen = 0


cdef inline void pace_note_late(Pace *p, int64_t late) noexcept nogil:
    """Note how late a sleep ended."""
    if p.late == 0:
        p.late = PACE_LATE_NS
    p.late += (min(late, 8 * <int64_t>PACE_LATE_NS) - p.late) // 8


cdef inline void pace_plan(const Pace *p, int64_t now, uint64_t count, int64_t *doze,
                           int64_t *alert) noexcept nogil:
    """Plan a wait: sleep until `doze` at most, then spin until `alert`. Both 0: sleep only.

    count: the number of the newest frame. It tells how many frames came while the reader did not wait.
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
