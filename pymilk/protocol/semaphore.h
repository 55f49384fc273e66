/*
 * Posting and waiting for POSIX semaphores in files, where any process can overwrite them or cut the file at any
 * moment.
 *
 * glibc trusts a semaphore. Its calls end the process ("unexpected error code") if the kernel answers a wait
 * with an error that a valid semaphore never causes: the file was cut just before the system call, or the words
 * were overwritten. So where the layout of the words is known, waits and posts are made here, with the same
 * words: the other side can be glibc. Every error of the kernel is returned.
 *
 * The words, in glibc since 2.21 on 64-bit little-endian machines: value in 32 bits, number of waiters in 32
 * bits, then 0 for a semaphore of threads of one process or 128 for one in shared memory (measured; checked by
 * tests/processes/protocol/test_semaphores.py against the C library that is there). A post that finds waiters
 * wakes one by a futex on the value.
 */
#ifndef PYMILK_SEMAPHORE_H
#define PYMILK_SEMAPHORE_H

#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#if defined(__GLIBC__) && defined(__LP64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ \
    && !defined(PYMILK_WITHOUT_OWN_SEMAPHORES)
#define PYMILK_OWN_SEMAPHORES 1
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

/* Time between two looks at a semaphore that cannot be slept on, in nanoseconds. */
#define PYMILK_SEM_LOOK_NS 100000

/* The word that says with whom a semaphore is shared: in the same place in glibc and 64-bit musl. */
static inline uint32_t pymilk_sem_shared(const sem_t *sem)
{
    return __atomic_load_n((const uint32_t *)(const void *)sem + 2, __ATOMIC_RELAXED);
}

/* Tell whether this can be a semaphore: with another value in that word it was overwritten. */
static inline int pymilk_sem_usable(const sem_t *sem)
{
    uint32_t shared = pymilk_sem_shared(sem);
    return shared == 0 || shared == 128;
}

/* Sleep until a CLOCK_MONOTONIC time, at most from one look to the next. Returns 0 or an errno value. */
static inline int pymilk_sem_doze(int64_t monotonic_ns)
{
    struct timespec at;
    int64_t now;
    clock_gettime(CLOCK_MONOTONIC, &at);
    now = at.tv_sec * INT64_C(1000000000) + at.tv_nsec;
    if (now >= monotonic_ns)
        return ETIMEDOUT;
    if (monotonic_ns - now > PYMILK_SEM_LOOK_NS)
        monotonic_ns = now + PYMILK_SEM_LOOK_NS;
    at.tv_sec = (time_t)(monotonic_ns / 1000000000);
    at.tv_nsec = (long)(monotonic_ns % 1000000000);
    return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* Poll a semaphore until a CLOCK_MONOTONIC time. Returns 0 or an errno value. */
static inline int pymilk_sem_watch(sem_t *sem, int64_t monotonic_ns)
{
    int error;
    while (sem_trywait(sem) != 0) {
        if (errno != EAGAIN)
            return errno;
        error = pymilk_sem_doze(monotonic_ns);
        if (error != 0)
            return error;
    }
    return 0;
}

/*
 * A full fence between a post that was taken and a look at the counter that it announces, before a sleep. Pairs
 * with the full fence of the writer between counter and semaphore: one of the two sees the other. On x86 the locked
 * instruction that took the post is that fence already.
 */
static inline void pymilk_fence_behind_take(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __asm__ __volatile__("" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

#ifdef PYMILK_OWN_SEMAPHORES

/* One waiter, in the 64 bits that hold value and waiters. */
#define PYMILK_SEM_WAITER (UINT64_C(1) << 32)

static inline long pymilk_sem_futex(uint64_t *words, int what, uint32_t shared, uint32_t count,
                                    const struct timespec *deadline)
{
    /* The value, which the kernel looks at, comes first in memory. */
    return syscall(SYS_futex, words, what | (shared == 0 ? FUTEX_PRIVATE_FLAG : 0), count, deadline, NULL,
                   FUTEX_BITSET_MATCH_ANY);
}

/* Post a semaphore. Returns 0, or -1 with errno: EINVAL if it is none, EOVERFLOW if its value is at the limit. */
static inline int pymilk_sem_post(sem_t *sem)
{
    uint64_t *words = (uint64_t *)(void *)sem;
    uint64_t seen = __atomic_load_n(words, __ATOMIC_RELAXED);
    uint32_t shared = pymilk_sem_shared(sem);
    if (shared != 0 && shared != 128) {
        errno = EINVAL;
        return -1;
    }
    do {
        if ((uint32_t)seen >= (uint32_t)INT_MAX) {
            errno = EOVERFLOW;
            return -1;
        }
    } while (!__atomic_compare_exchange_n(words, &seen, seen + 1, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    if (seen >= PYMILK_SEM_WAITER)
        pymilk_sem_futex(words, FUTEX_WAKE, shared, 1, NULL); /* fails if the file was cut: then nobody waits */
    return 0;
}

/* Be counted as a waiter, whom posts wake; returns both words. `pymilk_sem_leave` ends it. */
static inline uint64_t pymilk_sem_enter(sem_t *sem)
{
    return __atomic_add_fetch((uint64_t *)(void *)sem, PYMILK_SEM_WAITER, __ATOMIC_RELAXED);
}

/* Leave the count of waiters; unless the semaphore was initialised again meanwhile, which set it to 0. */
static inline void pymilk_sem_leave(sem_t *sem)
{
    uint64_t *words = (uint64_t *)(void *)sem;
    uint64_t seen = __atomic_load_n(words, __ATOMIC_RELAXED);
    while (seen >= PYMILK_SEM_WAITER
           && !__atomic_compare_exchange_n(words, &seen, seen - PYMILK_SEM_WAITER, 1, __ATOMIC_RELAXED,
                                           __ATOMIC_RELAXED))
        continue;
}

/* Wait for a semaphore until a CLOCK_MONOTONIC time. Returns 0 or an errno value. */
static inline int pymilk_sem_wait_until(sem_t *sem, int64_t monotonic_ns)
{
    uint64_t *words = (uint64_t *)(void *)sem;
    struct timespec deadline = {(time_t)(monotonic_ns / 1000000000), (long)(monotonic_ns % 1000000000)};
    uint32_t shared = pymilk_sem_shared(sem);
    uint64_t seen;
    int error;
    if (sem_trywait(sem) == 0)
        return 0;
    if (shared != 0 && shared != 128)
        return pymilk_sem_watch(sem, monotonic_ns);
    seen = pymilk_sem_enter(sem);
    for (;;) {
        /* Acquire: pairs with the release of the post. */
        while ((uint32_t)seen != 0) {
            uint64_t taken = seen - 1 - (seen >= PYMILK_SEM_WAITER ? PYMILK_SEM_WAITER : 0);
            if (__atomic_compare_exchange_n(words, &seen, taken, 1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
                return 0;
        }
        if (pymilk_sem_futex(words, FUTEX_WAIT_BITSET, shared, 0, &deadline) != 0) {
            error = errno;
            if (error != EAGAIN) /* which is: the value has changed */
                break;
        }
        seen = __atomic_load_n(words, __ATOMIC_RELAXED);
    }
    pymilk_sem_leave(sem);
    return error;
}

#else

/* Post a semaphore. Returns 0, or -1 with errno: EINVAL if it is none, EOVERFLOW if its value is at the limit. */
static inline int pymilk_sem_post(sem_t *sem)
{
    if (!pymilk_sem_usable(sem)) {
        errno = EINVAL;
        return -1;
    }
    return sem_post(sem);
}

/*
 * Wait for a semaphore until a CLOCK_MONOTONIC time. Returns 0 or an errno value. Not sem_timedwait:
 * its deadline is in CLOCK_REALTIME, and if that is set back by an hour during a wait of 20 ms, the wait lasts an
 * hour longer.
 */
static inline int pymilk_sem_wait_until(sem_t *sem, int64_t monotonic_ns)
{
    return pymilk_sem_watch(sem, monotonic_ns);
}

/* Nobody is counted here. */
static inline void pymilk_sem_leave(sem_t *sem)
{
    (void)sem;
}

#endif

#endif
