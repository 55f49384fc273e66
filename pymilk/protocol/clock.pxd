"""Clocks: reading them, stamps of streams in nanoseconds, and sleeping until a time."""

from libc.stdint cimport int64_t, uint64_t, INT64_MAX

from .._isio cimport (
    CLOCK_MONOTONIC, PR_GET_TIMERSLACK, PR_SET_TIMERSLACK, TIMER_ABSTIME, clock_gettime, clock_nanosleep, prctl, timespec,
)
from .slice cimport pymilk_restore_slice, pymilk_shorten_slice

cdef enum:
    # A timeout without a limit: see `later`.
    FOREVER = -1
    # A busy loop looks at signals, the closed flag and the file this often.
    CHECK_NS = 50_000_000
    # A change is expected soon: spin for this long, then sleep and look this often.
    EARLY_POST_SPIN_NS = 50_000
    POLL_NS = 50_000
    # Timer slack of a waiting thread: its sleeps end on time, not up to 50 us later as by default.
    SLACK_NS = 1_000

# How late this thread may go on: at the end of a sleep (its timer slack), and when it is woken beside another one that
# runs (its time slice, slice.h).
cdef struct Slack:
    bint lowered            # both were lowered; what follows holds the old values
    int before              # timer slack
    uint64_t slice          # 0: left as it was


cdef inline int64_t clock_ns(int clock) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return now.tv_sec * <int64_t>1_000_000_000 + now.tv_nsec


cdef inline int64_t stamp_ns(const timespec *stamp) noexcept nogil:
    # A stamp is foreign data: unsigned arithmetic wraps where signed would be undefined.
    return <int64_t>(<uint64_t>stamp.tv_sec * <uint64_t>1_000_000_000 + <uint64_t>stamp.tv_nsec)


cdef inline timespec to_timespec(int64_t ns) noexcept nogil:
    # Floors, so that times before 1970 keep a tv_nsec of 0 to 999999999 as POSIX wants it.
    cdef timespec stamp
    stamp.tv_sec = ns // 1_000_000_000
    stamp.tv_nsec = ns % 1_000_000_000
    if stamp.tv_nsec < 0:
        stamp.tv_nsec += 1_000_000_000
        stamp.tv_sec -= 1
    return stamp


cdef inline int64_t later(int64_t now, int64_t delay) noexcept nogil:
    """Return now + delay; a negative or huge delay means never."""
    return INT64_MAX if delay < 0 or delay > INT64_MAX - now else now + delay


cdef inline void sleep_until(int64_t monotonic_ns) noexcept nogil:
    """Sleep to a CLOCK_MONOTONIC time; a signal ends it early."""
    cdef timespec t = to_timespec(monotonic_ns)
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL)


cdef inline void lower_slack(Slack *s) noexcept nogil:
    """Let this thread go on as soon as it can, after sleeps and when it is woken; `restore_slack` undoes it."""
    if not s.lowered:
        s.lowered = True
        s.before = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0)
        if s.before > SLACK_NS:
            prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0)
        s.slice = pymilk_shorten_slice()


cdef inline void restore_slack(Slack *s) noexcept nogil:
    """Set timer slack and slice of this thread back, if they were lowered."""
    if not s.lowered:
        return
    s.lowered = False
    if s.before > SLACK_NS:
        prctl(PR_SET_TIMERSLACK, s.before, 0, 0, 0)
    pymilk_restore_slice(s.slice)
