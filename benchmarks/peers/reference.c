/*
 * The yardstick: what a C program does with a stream, without a library.
 *
 * Compiled at run time against pymilk.get_include(). A plain stream is received as programs in the field
 * do it: one wait on the semaphore, one memcpy. A ring is read slot by slot behind the counter.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ImageStruct.h"

typedef struct {
    char *base;
    size_t mapped;
    IMAGE_METADATA *md;
    const char *array;
    const char *slots;
    sem_t *bell;
    int32_t *reader_pid;
    uint64_t seen;   /* frames taken or left behind so far */
    uint64_t offset; /* slot of frame n is (n + offset) modulo the depth */
    long lost;
} reference;

static size_t padded(size_t nbytes)
{
    return (nbytes + 7) & ~(size_t)7;
}

static uint64_t counter(const reference *r)
{
    return __atomic_load_n(&r->md->cnt0, __ATOMIC_ACQUIRE);
}

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct timespec in(double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t ns = nanoseconds(t) + (int64_t)(seconds * 1e9);
    t.tv_sec = ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    return t;
}

/* Sleep on the semaphore; 0 if it was posted. */
static int rung(reference *r, double timeout)
{
    if (sem_trywait(r->bell) == 0)
        return 0;
    struct timespec until = in(timeout);
    while (sem_timedwait(r->bell, &until) != 0)
        if (errno != EINTR)
            return -1;
    return 0;
}

static int spun(const reference *r, double timeout)
{
    struct timespec until = in(timeout), now;
    for (long turn = 1; counter(r) == r->seen; turn++) {
        __builtin_ia32_pause();
        if (turn % 100000 == 0) {
            clock_gettime(CLOCK_REALTIME, &now);
            if (nanoseconds(now) > nanoseconds(until))
                return -1;
        }
    }
    return 0;
}

reference *reference_open(const char *path)
{
    struct stat st;
    int file = open(path, O_RDWR);
    if (file < 0)
        return NULL;
    if (fstat(file, &st) != 0 || (size_t)st.st_size < sizeof(IMAGE_METADATA)) {
        close(file);
        return NULL;
    }
    char *base = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
    close(file);
    if (base == MAP_FAILED)
        return NULL;
    reference *r = calloc(1, sizeof *r);
    r->base = base;
    r->mapped = st.st_size;
    IMAGE_METADATA *md = r->md = (IMAGE_METADATA *)base;
    char *at = base + padded(sizeof *md);
    r->array = at;
    at += padded(md->imdatamemsize);
    at += padded(md->NBkw * sizeof(IMAGE_KEYWORD));
    SEMFILEDATA *semaphores = (SEMFILEDATA *)at;
    at += padded(md->sem * sizeof(SEMFILEDATA)) + padded(sizeof(sem_t));
    int32_t *pids = (int32_t *)at;
    /* semReadPID, semWritePID, semctrl and semstatus are of one size. */
    at += 4 * padded(md->sem * sizeof(int32_t)) + padded(md->NBproctrace * sizeof(STREAM_PROC_TRACE));
    r->slots = at + padded(md->CBsize * sizeof(CBFRAMEMD));
    for (int k = 0; k < md->sem && r->bell == NULL; k++) {
        int32_t nobody = -1;
        if (__atomic_compare_exchange_n(&pids[k], &nobody, getpid(), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            r->bell = &semaphores[k].semdata;
            r->reader_pid = &pids[k];
        }
    }
    return r;
}

void reference_close(reference *r)
{
    if (r->reader_pid != NULL)
        __atomic_store_n(r->reader_pid, -1, __ATOMIC_SEQ_CST);
    munmap(r->base, r->mapped);
    free(r);
}

int reference_usable(const reference *r)
{
    return r->bell != NULL;
}

/* Forget what was rung; frames published from now on count. */
void reference_arm(reference *r)
{
    while (sem_trywait(r->bell) == 0)
        ;
    r->seen = counter(r);
    r->lost = 0;
    if (r->md->CBsize > 0)
        r->offset = r->md->CBsize + r->md->CBindex - r->seen % r->md->CBsize;
}

long reference_lost(const reference *r)
{
    return r->lost;
}

long reference_receive(reference *r, char *out, long count, double timeout)
{
    size_t nbytes = r->md->imdatamemsize;
    for (long k = 0; k < count; k++) {
        if (rung(r, timeout) != 0)
            return k;
        memcpy(out + k * nbytes, r->array, nbytes);
    }
    return count;
}

long reference_receive_ring(reference *r, char *out, long count, double timeout)
{
    size_t nbytes = r->md->imdatamemsize;
    uint64_t depth = r->md->CBsize;
    long k = 0;
    while (k < count) {
        uint64_t newest = counter(r);
        if (newest == r->seen) {
            if (rung(r, timeout) != 0)
                return k;
            while (sem_trywait(r->bell) == 0)
                ;
            continue;
        }
        if (newest - r->seen >= depth) {
            r->lost += newest - r->seen - (depth - 1);
            r->seen = newest - (depth - 1);
        }
        uint64_t number = r->seen + 1;
        memcpy(out + k * nbytes, r->slots + (number + r->offset) % depth * nbytes, nbytes);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (counter(r) - number >= depth - 1)
            r->lost++;
        else
            k++;
        r->seen = number;
    }
    return k;
}

/* Rows of three: CLOCK_TAI now, the stamp in the frame, the time of publication. `target`: copy the frame there first. */
long reference_latencies(reference *r, int64_t *rows, long count, double timeout, int spin, char *target)
{
    struct timespec now;
    for (long k = 0; k < count; k++) {
        do {
            if ((spin ? spun(r, timeout) : rung(r, timeout)) != 0)
                return k;
        } while (counter(r) == r->seen);
        r->seen = counter(r);
        if (target != NULL)
            memcpy(target, r->array, r->md->imdatamemsize);
        clock_gettime(CLOCK_TAI, &now);
        rows[3 * k] = nanoseconds(now);
        memcpy(&rows[3 * k + 1], r->array, sizeof(int64_t));
        rows[3 * k + 2] = nanoseconds(r->md->writetime);
    }
    return count;
}

void reference_copies(char *target, const char *source, size_t nbytes, long count)
{
    for (long k = 0; k < count; k++) {
        memcpy(target, source, nbytes);
        __asm__ volatile("" : : "r"(target) : "memory");
    }
}

/* Sleep again and again and do nothing else: CPU time of this thread, in per cent of the time. */
double reference_sleeps(long period_ns, double seconds)
{
    struct timespec now, cpu_before, cpu_after;
    int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t began = nanoseconds(now), end = began + (int64_t)(seconds * 1e9);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_before);
    while (nanoseconds(now) < end) {
        const int64_t due = nanoseconds(now) + period_ns;
        struct timespec until = {due / 1000000000, due % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_after);
    prctl(PR_SET_TIMERSLACK, slack, 0, 0, 0);
    return 100.0 * (double)(nanoseconds(cpu_after) - nanoseconds(cpu_before)) / (double)(nanoseconds(now) - began);
}
