/*
 * Sleeping on several futexes at once: semaphores and bells, mixed. One system call of Linux 5.16 and newer. Where the
 * kernel has none, or does not permit it, callers sleep for short times instead.
 */
#ifndef PYMILK_FUTEXES_H
#define PYMILK_FUTEXES_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "pymilk/protocol/bell.h"
#include "pymilk/protocol/semaphore.h"

/* Most futexes of one sleep: a limit of the kernel. */
#define PYMILK_FUTEXES_MAX 128

/* What the kernel wants to know of each; older headers do not declare it. */
struct pymilk_futex {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};
_Static_assert(sizeof(struct pymilk_futex) == 24, "");

/* The futex is a word of 32 bits. */
#define PYMILK_FUTEX_32 2

static inline void pymilk_futex_set(struct pymilk_futex *futex, const uint32_t *word, uint32_t value, int shared)
{
    futex->value = value;
    futex->address = (uint64_t)(uintptr_t)word;
    futex->flags = PYMILK_FUTEX_32 | (shared ? 0 : FUTEX_PRIVATE_FLAG);
    futex->reserved = 0;
}

/*
 * Prepare to sleep on a semaphore whose posts were taken. Returns 0 if nobody can sleep on it. After 1, `pymilk_sem_leave`
 * has to follow.
 */
static inline int pymilk_futex_of_sem(struct pymilk_futex *futex, sem_t *sem)
{
#ifdef PYMILK_OWN_SEMAPHORES
    if (!pymilk_sem_usable(sem))
        return 0;
    pymilk_sem_enter(sem);
    pymilk_futex_set(futex, (const uint32_t *)(const void *)sem, 0, pymilk_sem_shared(sem) != 0);
    return 1;
#else
    (void)futex;
    (void)sem;
    return 0;
#endif
}

/*
 * Prepare to sleep on a bell in shared memory or of this process. Returns 0 if it rings just now: look again at once.
 * To be followed by a look for news, and then the sleep.
 */
static inline int pymilk_futex_of_bell(struct pymilk_futex *futex, uint32_t *bell, int shared)
{
    uint32_t seen = pymilk_bell_look(bell);
    if (!pymilk_bell_expect(bell, &seen))
        return 0;
    pymilk_futex_set(futex, bell, seen, shared);
    return 1;
}

/*
 * Sleep until one of them is woken or has another value, or until a CLOCK_MONOTONIC time. Returns 0 if that may be so, else
 * ETIMEDOUT, EINTR; ENOSYS or EPERM if the kernel has no such call for us; EFAULT if a file was cut.
 */
static inline int pymilk_futexes_sleep(const struct pymilk_futex *futexes, unsigned int count, int64_t monotonic_ns)
{
#if defined(__LP64__)
#ifdef SYS_futex_waitv
    const long call = SYS_futex_waitv;
#elif defined(__alpha__)
    const long call = 559;
#else
    const long call = 449;
#endif
    struct timespec until = {(time_t)(monotonic_ns / 1000000000), (long)(monotonic_ns % 1000000000)};
    if (syscall(call, futexes, count, 0, &until, CLOCK_MONOTONIC) >= 0 || errno == EAGAIN)
        return 0;
    return errno;
#else
    /* It takes a timespec of 64 bits everywhere, which C programs of 32 bits may not have. */
    (void)futexes;
    (void)count;
    (void)monotonic_ns;
    return ENOSYS;
#endif
}

#endif
