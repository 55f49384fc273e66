/*
 * Files that are cut while they are mapped.
 *
 * Touching a mapped page that the file no longer has raises SIGBUS, which ends the process. Any program can cut
 * the file of a stream at any moment, and a copy of its pixels cannot ask first. So mappings of streams are
 * registered here, and a handler for SIGBUS checks whether the address belongs to one of them. If so, it raises the
 * flag of that mapping and replaces it by zeroed private pages; the instruction that failed runs again and reads
 * zeros, or writes to pages that no other process sees. Code that used the mapping checks the flag afterwards.
 * Signals for other addresses go to the handler that was installed before.
 *
 * The handler uses only what a signal handler may use: atomic loads and stores, mmap, sigaction, raise.
 */
#ifndef PYMILK_GUARD_H
#define PYMILK_GUARD_H

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Bits of a flag: the handle was closed; the file was cut, or its header rewritten. */
#define PYMILK_CLOSED 1
#define PYMILK_LOST 2

/* One mapping. Entries are taken and given back with the GIL held, and never freed: the handler may be reading. */
struct pymilk_guarded {
    unsigned turn; /* odd while the four fields below change */
    char *base;    /* NULL: not in use */
    size_t nbytes;
    int prot;
    int *flag;
    struct pymilk_guarded *older;      /* all entries ever made */
    struct pymilk_guarded *next_spare; /* the entries not in use */
};

static struct pymilk_guarded *pymilk_guards = NULL;
static struct pymilk_guarded *pymilk_spare_guards = NULL;
static struct sigaction pymilk_sigbus_before;

/* Set while this thread runs the handler that was installed before. */
static __thread int pymilk_sigbus_passing __attribute__((tls_model("initial-exec"))) = 0;

/*
 * The address for which that handler was called last, and how often in a row. A handler that does nothing
 * (faulthandler of Python, once it is disabled) would be called for ever.
 */
#define PYMILK_MOST_PASSES 1000
static __thread void *pymilk_sigbus_address __attribute__((tls_model("initial-exec"))) = NULL;
static __thread int pymilk_sigbus_passes __attribute__((tls_model("initial-exec"))) = 0;

/* Replace the mapping that holds an address by private memory. Returns whether there is one. */
static inline int pymilk_guard_replace(const char *address)
{
    /* Acquire: pairs with the release in pymilk_guard_add. */
    struct pymilk_guarded *g = __atomic_load_n(&pymilk_guards, __ATOMIC_ACQUIRE);
    for (; g != NULL; g = g->older) {
        /* Acquire: pairs with the release of turn in pymilk_guard_set. */
        unsigned turn = __atomic_load_n(&g->turn, __ATOMIC_ACQUIRE);
        char *base = __atomic_load_n(&g->base, __ATOMIC_RELAXED);
        size_t nbytes = __atomic_load_n(&g->nbytes, __ATOMIC_RELAXED);
        int prot = __atomic_load_n(&g->prot, __ATOMIC_RELAXED);
        int *flag = __atomic_load_n(&g->flag, __ATOMIC_RELAXED);
        /* Pairs with the fence in pymilk_guard_set. */
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (turn % 2 != 0 || turn != __atomic_load_n(&g->turn, __ATOMIC_RELAXED))
            continue; /* another thread changes it: not the mapping that this thread is using */
        if (base == NULL || address < base || address >= base + nbytes)
            continue;
        /* The flag first: a thread that reads one of the zeros then finds it raised. mmap is a full fence. */
        __atomic_fetch_or(flag, PYMILK_LOST, __ATOMIC_RELAXED);
        return mmap(base, nbytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0)
               != MAP_FAILED;
    }
    return 0;
}

static void pymilk_on_sigbus(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    if (info->si_code == BUS_ADRERR && pymilk_guard_replace((const char *)info->si_addr)) {
        errno = saved;
        return;
    }
    if (info->si_code <= 0 && pymilk_sigbus_before.sa_handler == SIG_IGN)
        return; /* sent by a process; this one ignores it */
    if (info->si_code <= 0 || info->si_addr != pymilk_sigbus_address)
        pymilk_sigbus_passes = 0;
    if (pymilk_sigbus_passing || pymilk_sigbus_passes >= PYMILK_MOST_PASSES
        || pymilk_sigbus_before.sa_handler == SIG_DFL || pymilk_sigbus_before.sa_handler == SIG_IGN) {
        /* The default action: the instruction fails again, or the signal is sent again. */
        struct sigaction usual;
        usual.sa_handler = SIG_DFL;
        usual.sa_flags = 0;
        sigemptyset(&usual.sa_mask);
        sigaction(number, &usual, NULL);
        if (info->si_code <= 0) /* sent by a process: no instruction fails again */
            raise(number);
        errno = saved;
        return;
    }
    if (info->si_code > 0) {
        pymilk_sigbus_address = info->si_addr;
        pymilk_sigbus_passes++;
    }
    pymilk_sigbus_passing = 1;
    if (pymilk_sigbus_before.sa_flags & SA_SIGINFO)
        pymilk_sigbus_before.sa_sigaction(number, info, context);
    else
        pymilk_sigbus_before.sa_handler(number);
    pymilk_sigbus_passing = 0;
    errno = saved;
}

/* Install the handler, again if another one was installed since. Returns 0 or an errno value. */
static inline int pymilk_guard_install(void)
{
    struct sigaction now, ours;
    if (sigaction(SIGBUS, NULL, &now) != 0)
        return errno;
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == pymilk_on_sigbus)
        return 0;
    pymilk_sigbus_before = now;
    ours.sa_sigaction = pymilk_on_sigbus;
    /* NODEFER: the handler before us may raise the signal again, to end the process. */
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
    sigemptyset(&ours.sa_mask);
    return sigaction(SIGBUS, &ours, NULL) == 0 ? 0 : errno;
}

/* Change an entry so that the handler of another thread takes all of it or nothing. Called with the GIL held. */
static inline void pymilk_guard_set(struct pymilk_guarded *g, char *base, size_t nbytes, int prot, int *flag)
{
    unsigned turn = g->turn;
    __atomic_store_n(&g->turn, turn + 1, __ATOMIC_RELAXED);
    /* No field changes before turn is odd. Pairs with the fence in pymilk_guard_replace. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&g->base, base, __ATOMIC_RELAXED);
    __atomic_store_n(&g->nbytes, nbytes, __ATOMIC_RELAXED);
    __atomic_store_n(&g->prot, prot, __ATOMIC_RELAXED);
    __atomic_store_n(&g->flag, flag, __ATOMIC_RELAXED);
    __atomic_store_n(&g->turn, turn + 2, __ATOMIC_RELEASE);
}

/*
 * Guard a mapping: `flag` gets PYMILK_LOST when its file is found cut. Returns 0 or an errno value. The caller
 * holds the GIL.
 */
static inline int pymilk_guard_add(void *base, size_t nbytes, int prot, int *flag)
{
    struct pymilk_guarded *g = pymilk_spare_guards;
    int error = pymilk_guard_install();
    if (error)
        return error;
    if (g != NULL) {
        pymilk_spare_guards = g->next_spare;
    } else {
        g = (struct pymilk_guarded *)calloc(1, sizeof *g);
        if (g == NULL)
            return ENOMEM;
        g->older = pymilk_guards;
        __atomic_store_n(&pymilk_guards, g, __ATOMIC_RELEASE);
    }
    pymilk_guard_set(g, (char *)base, nbytes, prot, flag);
    return 0;
}

/* Forget a mapping; call it before unmapping. The caller holds the GIL. */
static inline void pymilk_guard_remove(void *base)
{
    struct pymilk_guarded *g;
    for (g = pymilk_guards; g != NULL; g = g->older) {
        if (g->base == (char *)base) {
            pymilk_guard_set(g, NULL, 0, 0, NULL);
            g->next_spare = pymilk_spare_guards;
            pymilk_spare_guards = g;
            return;
        }
    }
}

#endif /* PYMILK_GUARD_H */
