/* What the C library or the processor may lack, or calls by another name. No policy in here. */
#ifndef PYMILK_PORT_H
#define PYMILK_PORT_H

#include <errno.h>
#include <features.h>
#include <semaphore.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "ImageStruct.h"
#include "ImageStructCheck.h"

/* Newer site headers leave the version to a generated file that they do not install. */
#ifndef IMAGESTRUCT_VERSION
#define IMAGESTRUCT_VERSION "2.00"
#endif

/* The two build options of the header, as values that Cython can read. */
#ifdef IMAGESTRUCT_WRITEHISTORY
#define PYMILK_HEADER_HISTORY 1
#else
#define PYMILK_HEADER_HISTORY 0
#endif
#ifdef DAO_COMPAT
#define PYMILK_HEADER_DAO 1
#else
#define PYMILK_HEADER_DAO 0
#endif

#ifndef PYMILK_HEADER
#define PYMILK_HEADER "unknown"
#endif
#ifndef PYMILK_CYTHON
#define PYMILK_CYTHON "unknown"
#endif

#ifdef PYMILK_DEBUG
#include <assert.h>
#define PYMILK_ASSERT(condition) assert(condition)
#define PYMILK_DEBUG_BUILD 1
#else
#define PYMILK_ASSERT(condition) ((void)(condition))
#define PYMILK_DEBUG_BUILD 0
#endif

/* Older kernel headers lack these; older kernels answer EINVAL, which callers handle. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Tell the processor that this is a spin loop. */
static inline void pymilk_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield" ::: "memory");
#else
    __asm__ __volatile__("" ::: "memory");
#endif
}

/*
 * Copy to memory that is not in a cache and need not come there: a ring slot of a large frame. Streaming
 * stores do not read the destination first. They are not ordered with other stores, hence the fences: what
 * was stored before is out before the first byte, and the last byte is out before what is stored next.
 */
static inline void pymilk_stream_copy(void *to, const void *from, size_t nbytes)
{
#if defined(__SSE2__)
    char *dst = (char *)to;
    const char *src = (const char *)from;
    size_t head = (size_t)(-(uintptr_t)dst) & 63;
    if (head > nbytes)
        head = nbytes;
    memcpy(dst, src, head);
    dst += head;
    src += head;
    nbytes -= head;
    _mm_sfence();
    for (; nbytes >= 64; nbytes -= 64, dst += 64, src += 64) {
        __m128i a = _mm_loadu_si128((const __m128i *)src);
        __m128i b = _mm_loadu_si128((const __m128i *)src + 1);
        __m128i c = _mm_loadu_si128((const __m128i *)src + 2);
        __m128i d = _mm_loadu_si128((const __m128i *)src + 3);
        _mm_stream_si128((__m128i *)dst, a);
        _mm_stream_si128((__m128i *)dst + 1, b);
        _mm_stream_si128((__m128i *)dst + 2, c);
        _mm_stream_si128((__m128i *)dst + 3, d);
    }
    memcpy(dst, src, nbytes);
    _mm_sfence();
#else
    memcpy(to, from, nbytes);
#endif
}

#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 30)
#define PYMILK_HAVE_SEM_CLOCKWAIT 1
#endif
#endif

/*
 * Wait for a semaphore until a CLOCK_MONOTONIC time. Returns 0 or an errno value.
 * sem_clockwait came with glibc 2.30. Without it the deadline is turned into CLOCK_REALTIME (never the
 * TAI clock of the stamps: the kernel compares with CLOCK_REALTIME); the caller's slices are so short
 * that a clock set meanwhile costs one slice at most.
 */
static inline int pymilk_sem_wait_until(sem_t *sem, int64_t monotonic_ns)
{
    struct timespec deadline;
#ifdef PYMILK_HAVE_SEM_CLOCKWAIT
    deadline.tv_sec = (time_t)(monotonic_ns / 1000000000);
    deadline.tv_nsec = (long)(monotonic_ns % 1000000000);
    return sem_clockwait(sem, CLOCK_MONOTONIC, &deadline) == 0 ? 0 : errno;
#else
    struct timespec mono, wall;
    int64_t ns;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    ns = monotonic_ns - (mono.tv_sec * INT64_C(1000000000) + mono.tv_nsec);
    ns += wall.tv_sec * INT64_C(1000000000) + wall.tv_nsec;
    deadline.tv_sec = (time_t)(ns / 1000000000);
    deadline.tv_nsec = (long)(ns % 1000000000);
    return sem_timedwait(sem, &deadline) == 0 ? 0 : errno;
#endif
}

#endif /* PYMILK_PORT_H */
