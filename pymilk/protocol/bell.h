/*
 * The bell of a channel: a futex word in a shared file. Readers that sleep are woken all at once, and a writer that
 * finds nobody asleep makes no system call.
 *
 * Bit 0 says that somebody sleeps, the other bits change with each ring. Whoever goes to sleep sets the bit; whoever
 * rings clears it. So a reader that is killed in its sleep costs one needless wake-up, not one for each record.
 *
 * Orders: the writer stores what it announces, then rings (a full fence). A reader takes the word, then looks for
 * news, then sleeps on that very word. If it looked too early the word has changed, and it does not sleep.
 */
#ifndef PYMILK_BELL_H
#define PYMILK_BELL_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline uint32_t pymilk_bell_look(uint32_t *bell)
{
    return __atomic_load_n(bell, __ATOMIC_SEQ_CST);
}

static inline void pymilk_bell_ring(uint32_t *bell)
{
    uint32_t seen = __atomic_load_n(bell, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(bell, &seen, (seen + 2) & ~UINT32_C(1), 1, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED))
        continue;
    if (seen & 1)
        syscall(SYS_futex, bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/*
 * Say that somebody is going to sleep, unless the bell rang after `seen` was taken: then 0. After 1, `seen` is the value to
 * sleep on.
 */
static inline int pymilk_bell_expect(uint32_t *bell, uint32_t *seen)
{
    uint32_t expected = *seen;
    if (expected & 1)
        return 1;
    *seen |= 1;
    return __atomic_compare_exchange_n(bell, &expected, *seen, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/*
 * Sleep until the bell rings after `seen` was taken, or until a CLOCK_MONOTONIC time. Returns 0 if it may have rung,
 * else ETIMEDOUT, EINTR, or EFAULT if the file was cut.
 */
static inline int pymilk_bell_sleep(uint32_t *bell, uint32_t seen, int64_t monotonic_ns)
{
    struct timespec until = {(time_t)(monotonic_ns / 1000000000), (long)(monotonic_ns % 1000000000)};
    if (!pymilk_bell_expect(bell, &seen))
        return 0;
    if (syscall(SYS_futex, bell, FUTEX_WAIT_BITSET, seen, &until, NULL, FUTEX_BITSET_MATCH_ANY) == 0
        || errno == EAGAIN)
        return 0;
    return errno;
}

#endif
