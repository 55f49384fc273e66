/* What a C library, kernel or processor may lack or name differently. No policy in here. */
#ifndef PYMILK_PORT_H
#define PYMILK_PORT_H

#include <errno.h>
#include <features.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "ImageStruct.h"
#include "ImageStructCheck.h"

/* Newer site headers define the version in a generated file that they do not install. */
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

/* Streams use small pages, and the prefetcher of the processor stops at the end of a page. */
#define PYMILK_STREAM_PAGE ((size_t)4096)
#define PYMILK_STREAM_AHEAD 512

/*
 * Copy to memory that is in no cache and is not needed there: a ring slot of a large frame. Streaming stores do
 * not read the destination first. They are not ordered with other stores, hence the fences: earlier stores are
 * visible before the first byte, and the last byte is visible before later stores.
 *
 * The next page on either side is prefetched, so that no access waits for its address translation (see
 * benchmarks/ring.py; prefetches never fail, whatever the address).
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
    while (nbytes >= 64) {
        size_t lines = (nbytes < PYMILK_STREAM_PAGE ? nbytes : PYMILK_STREAM_PAGE) / 64;
        if (nbytes >= 2 * PYMILK_STREAM_PAGE) {
            _mm_prefetch(src + PYMILK_STREAM_PAGE, _MM_HINT_T0);
            _mm_prefetch(dst + PYMILK_STREAM_PAGE, _MM_HINT_NTA);
        }
        nbytes -= 64 * lines;
        for (; lines > 0; lines--, dst += 64, src += 64) {
            __m128i a, b, c, d;
            _mm_prefetch(src + PYMILK_STREAM_AHEAD, _MM_HINT_T0);
            a = _mm_loadu_si128((const __m128i *)src);
            b = _mm_loadu_si128((const __m128i *)src + 1);
            c = _mm_loadu_si128((const __m128i *)src + 2);
            d = _mm_loadu_si128((const __m128i *)src + 3);
            _mm_stream_si128((__m128i *)dst, a);
            _mm_stream_si128((__m128i *)dst + 1, b);
            _mm_stream_si128((__m128i *)dst + 2, c);
            _mm_stream_si128((__m128i *)dst + 3, d);
        }
    }
    memcpy(dst, src, nbytes);
    _mm_sfence();
#else
    memcpy(to, from, nbytes);
#endif
}

/* How many cores this thread may use; at least 1. */
static inline int pymilk_cores(void)
{
    cpu_set_t allowed;
    int count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    return count < 1 ? 1 : count;
}

/* Whether the machine has a core for the writer while a reader spins. */
static inline int pymilk_may_spin(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

/* The part of the memory that one thread populates. */
struct pymilk_part {
    char *start;
    size_t nbytes;
    int error;
};

static void *pymilk_populate_part(void *given)
{
    struct pymilk_part *part = (struct pymilk_part *)given;
    part->error = madvise(part->start, part->nbytes, MADV_POPULATE_WRITE) == 0 ? 0 : errno;
    return NULL;
}

#define PYMILK_PARTS 8

/*
 * Have the kernel provide writable pages, in one thread per core: clearing them takes most of the time.
 * start is aligned to a page. Returns 0 or an errno value: EINVAL where the kernel cannot do it.
 */
static inline int pymilk_populate(char *start, size_t nbytes, size_t align)
{
    struct pymilk_part part[PYMILK_PARTS];
    pthread_t thread[PYMILK_PARTS];
    int parts = 1, running[PYMILK_PARTS] = {0}, i, error = 0;
    size_t each;
    if (nbytes >= 16 * align) {
        parts = pymilk_cores();
        if (parts > PYMILK_PARTS)
            parts = PYMILK_PARTS;
    }
    each = (nbytes / (size_t)parts + align - 1) / align * align;
    for (i = parts - 1; i >= 0; i--) {
        size_t from = (size_t)i * each < nbytes ? (size_t)i * each : nbytes;
        part[i].start = start + from;
        part[i].nbytes = i == parts - 1 || nbytes - from < each ? nbytes - from : each;
        /* The caller does the first part, and any part whose thread could not be started. */
        running[i] = i > 0 && pthread_create(&thread[i], NULL, pymilk_populate_part, &part[i]) == 0;
        if (!running[i])
            pymilk_populate_part(&part[i]);
    }
    for (i = 0; i < parts; i++) {
        if (running[i])
            pthread_join(thread[i], NULL);
        if (part[i].error)
            error = part[i].error;
    }
    return error;
}

/*
 * In a build with AddressSanitizer (PYMILK_SANITIZE=address), forbid access to the rest of the last page of a
 * mapping, which the sanitizer takes for valid memory. Without the sanitizer this does nothing.
 */
#if defined(__SANITIZE_ADDRESS__)
#define PYMILK_FENCED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PYMILK_FENCED 1
#endif
#endif

#ifdef PYMILK_FENCED
#include <sanitizer/asan_interface.h>

#define PYMILK_FENCE_PAGE ((size_t)4096)

static inline size_t pymilk_rest_of_page(size_t nbytes)
{
    return (PYMILK_FENCE_PAGE - nbytes % PYMILK_FENCE_PAGE) % PYMILK_FENCE_PAGE;
}

static inline void pymilk_fence(char *base, size_t nbytes)
{
    ASAN_POISON_MEMORY_REGION(base + nbytes, pymilk_rest_of_page(nbytes));
}

static inline void pymilk_unfence(char *base, size_t nbytes)
{
    ASAN_UNPOISON_MEMORY_REGION(base + nbytes, pymilk_rest_of_page(nbytes));
}
#else
static inline void pymilk_fence(char *base, size_t nbytes)
{
    (void)base;
    (void)nbytes;
}

static inline void pymilk_unfence(char *base, size_t nbytes)
{
    (void)base;
    (void)nbytes;
}
#endif

#endif /* PYMILK_PORT_H */
