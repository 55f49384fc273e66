"""When the next frame is expected: the rhythm of a stream, learned by one reader.

A sleeping reader wakes some 10 to 20 us after the frame. A spinning reader sees it at once, but occupies its core.
Most cameras are regular, so a reader can do both: sleep until shortly before the frame is due, then spin. It learns
how regular the stream is, and how late a sleep ends on this machine.

A reader that spins on the core of the writer keeps it from publishing: the frame comes when the kernel has taken
the core away, and it is delivered when the writer sleeps again. That shows as a hole in the spin; such a reader
sleeps for some frames before it tries again.

There are three plans (pace_plan):

    the interval is short    a sleep would cost as much as it saves: spin all the time
    the frame is due soon    sleep until `doze`, spin until `alert`, then sleep on the semaphore
    not predictable          sleep on the semaphore: the stream is irregular, or the window would be too large, or
                             a spin would hold up the writer
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from .._isio cimport CLOCK_REALTIME, CLOCK_TAI
from .clock cimport clock_ns

cdef enum:
    # Up to this interval a wake-up (about 5 us of work for writer and reader each, 10 to 30 us in all) comes too
    # late too often.
    PACE_SHORT_NS = 40_000
    # Intervals longer than this are not a rhythm: nothing is learned from them.
    PACE_LONG_NS = 10_000_000_000
    # Frames before a rhythm counts as known, and frames over which it is averaged.
    PACE_KNOWN = 16
    PACE_MEMORY = 16
    # Spin for at most 1/10 of an interval, on average: more costs more than it saves.
    PACE_SHARE = 10
    # How late a sleep ends: first guess, and lower limit.
    PACE_LATE_NS = 30_000
    PACE_LATE_MIN_NS = 4_000
    # Average deviations for which the window is open on each side: four of five frames, if they are normal.
    PACE_WIDTH = 2
    # A spin that did not look at the clock for so long had lost its core. So often in a row: the writer has it.
    PACE_HOLE_NS = 8_000
    PACE_HOLES = 2
    # Frames to sleep for then.
    PACE_REST = 128
    # Of what was learned of sleeps, the part that is forgotten with each frame for which it forbids to spin.
    PACE_FORGET = 64

cdef struct Pace:
    int64_t seen        # when the last frame came, CLOCK_MONOTONIC; 0: not known
    uint64_t count      # its number
    uint32_t known      # intervals learned from, up to PACE_KNOWN
    int64_t interval    # average of the intervals, ns
    int64_t spread      # average of their deviations
    int64_t late        # average of how late sleeps ended
    int64_t late_spread     # average of their deviations
    uint32_t holes      # spins in a row that had lost their core when the frame came
    uint32_t rest       # frames for which not to spin


cdef inline void pace_note(Pace *p, int64_t now, uint64_t count) noexcept nogil:
    """Note that a frame came just now."""
    cdef uint64_t frames = count - p.count
    cdef int64_t interval, deviation, limit
    if p.seen and 0 < frames < 1000 and now - p.seen < <int64_t>PACE_LONG_NS:
        interval = (now - p.seen) // <int64_t>frames
        if p.known == 0:
            p.interval = interval
            p.spread = interval // 8
        # A single delay of the machine must not change the rhythm; another rate is learned within some frames.
        limit = 4 * p.spread + p.interval // 64
        deviation = max(min(interval - p.interval, limit), -limit)
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
    cdef int64_t deviation
    if p.late == 0:
        p.late = PACE_LATE_NS
        p.late_spread = PACE_LATE_NS // 4
    deviation = min(late, 8 * <int64_t>PACE_LATE_NS) - p.late
    p.late += deviation // 8
    p.late_spread += ((deviation if deviation >= 0 else -deviation) - p.late_spread) // 8


cdef inline void pace_note_spin(Pace *p, int64_t unseen) noexcept nogil:
    """Note that a spin saw a frame, `unseen` after its last look at the clock."""
    if unseen < PACE_HOLE_NS or p.interval < PACE_SHORT_NS:
        p.holes = 0
        return
    p.holes += 1
    if p.holes >= PACE_HOLES:
        p.rest = PACE_REST


cdef inline int64_t pace_behind(const Pace *p, int64_t written_ns) noexcept nogil:
    """Return how long ago a frame was written that ended a sleep, by its stamp; 0: the stamp does not tell.

    Writers stamp in CLOCK_TAI or CLOCK_REALTIME.
    """
    cdef int64_t behind = clock_ns(CLOCK_TAI) - written_ns
    if not 0 <= behind < p.interval // 4:
        behind = clock_ns(CLOCK_REALTIME) - written_ns
    return behind if 0 <= behind < p.interval // 4 else 0


cdef inline void pace_plan(Pace *p, int64_t now, uint64_t count, int64_t *doze,
                           int64_t *alert) noexcept nogil:
    """Plan a wait: sleep until `doze` at most, then spin until `alert`. Both 0: sleep only.

    count: the number of the newest frame. It tells how many frames came while the reader did not wait.
    """
    cdef int64_t lead, due, width, late
    cdef uint64_t frames = count - p.count
    doze[0] = alert[0] = 0
    if p.known < PACE_KNOWN or p.seen == 0 or frames >= 64:
        return
    if p.rest > 0:
        p.rest -= 1
        return
    due = p.seen + p.interval * <int64_t>(frames + 1)
    if p.interval < PACE_SHORT_NS:
        doze[0] = now
        alert[0] = due + 4 * p.interval
        return
    # A sleep until `doze` ends `late` after it, and the frame comes at `due`, give or take: what lies between them
    # is spun away, `width` on average.
    late = max(p.late if p.late else <int64_t>PACE_LATE_NS, <int64_t>PACE_LATE_MIN_NS)
    width = PACE_WIDTH * (p.spread + (p.late_spread if p.late else <int64_t>PACE_LATE_NS // 4))
    lead = late + width
    if width > p.interval // PACE_SHARE or lead > p.interval // 2:
        # How sleeps end is learned by those that are planned: forget it slowly, or none would ever be planned again.
        if lead > p.interval // 2:
            p.late -= p.late // PACE_FORGET
        p.late_spread -= p.late_spread // PACE_FORGET
        return
    doze[0] = due - lead
    alert[0] = due + width
