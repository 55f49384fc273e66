/*
 * The time slice of a waiting thread. Linux (6.12 and later) lets a thread that is woken run before one that is
 * running if it asked for shorter slices; else it may have to wait until the other one sleeps, or for milliseconds
 * beside a thread that computes. It gets no more of the processor by that, and needs no permission.
 *
 * Other kernels know no slices: then the kernel reports none, and nothing is done.
 */
#ifndef PYMILK_SLICE_H
#define PYMILK_SLICE_H

#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The shortest one that there is. */
#define PYMILK_SHORT_SLICE_NS UINT64_C(100000)

/* What the system calls take, in its first version (Linux 3.14): sched(7), sched_setattr(2). */
typedef struct {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* of the usual policy: the slice, ns */
    uint64_t deadline;
    uint64_t period;
} pymilk_scheduling;

/* Read how this thread is scheduled; returns whether it is by the usual policy, with a slice. */
static inline int pymilk_has_slice(pymilk_scheduling *found)
{
#ifdef SYS_sched_getattr
    memset(found, 0, sizeof *found);
    return syscall(SYS_sched_getattr, 0, found, sizeof *found, 0) == 0 && found->policy == 0 && found->runtime != 0;
#else
    (void)found;
    return 0;
#endif
}

static inline int pymilk_set_slice(pymilk_scheduling *wanted, uint64_t slice_ns)
{
#ifdef SYS_sched_setattr
    wanted->runtime = slice_ns;
    return syscall(SYS_sched_setattr, 0, wanted, 0) == 0;
#else
    (void)wanted;
    (void)slice_ns;
    return 0;
#endif
}

/* Shorten the slice of this thread. Returns what it was, in ns; 0: nothing was done. */
static inline uint64_t pymilk_shorten_slice(void)
{
    static int refused; /* by the kernel, or by the rules of a container: for all threads, and for ever */
    pymilk_scheduling found;
    uint64_t before;
    if (__atomic_load_n(&refused, __ATOMIC_RELAXED))
        return 0;
    if (!pymilk_has_slice(&found)) {
        if (found.policy == 0)
            __atomic_store_n(&refused, 1, __ATOMIC_RELAXED);
        return 0;
    }
    before = found.runtime;
    if (before <= PYMILK_SHORT_SLICE_NS)
        return 0;
    if (!pymilk_set_slice(&found, PYMILK_SHORT_SLICE_NS)) {
        __atomic_store_n(&refused, 1, __ATOMIC_RELAXED);
        return 0;
    }
    return before;
}

/* Set the slice of this thread back, unless it was changed meanwhile. */
static inline void pymilk_restore_slice(uint64_t before)
{
    pymilk_scheduling found;
    if (before != 0 && pymilk_has_slice(&found) && found.runtime == PYMILK_SHORT_SLICE_NS)
        pymilk_set_slice(&found, before);
}

#endif /* PYMILK_SLICE_H */
