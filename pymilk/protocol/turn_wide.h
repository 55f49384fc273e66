/*
 * Transposing squares of whole cache lines, for processors with registers of 64 bytes.
 *
 * A square is as many rows of 64 bytes as items fit in 64 bytes, in the source and in the destination. Each line of
 * the source is loaded at once and each line of the destination stored at once: where the rows of a plane share a
 * few sets of a cache, as those of a pitch of 2048 or 4096 bytes do, no line has to stay there to be used again.
 *
 * The square is taken in four groups of rows, as many as items fit in 16 bytes. In each lane of 16 bytes of a
 * group its items are transposed, as turn_block does; what is left is to transpose 4 x 4 lanes: one of each group
 * makes a line of the destination.
 */
#ifndef PYMILK_TURN_WIDE_H
#define PYMILK_TURN_WIDE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>

/* Rows of the source that are gone through before the next rows of the destination: more overflow what the
   processor remembers of pages. */
#define TURN_BAND 1024
/* So many squares ahead lines are brought into the second-level cache: in the first they would evict one another. */
#define TURN_AHEAD 4
/* Bytes of a square at most: 64 lines. */
#define TURN_SQUARE_NBYTES 4096

#define TURN_WIDE __attribute__((target("avx512f,avx512bw")))
#define TURN_WIDE_INLINE TURN_WIDE static inline __attribute__((always_inline))

/* All bytes of a line. */
#define TURN_WHOLE ((__mmask64)-1)

/* Interleave the first half of the vectors with the second: log2(group) of these transpose what is in each lane. */
#define TURN_UNPACK(bits, group, a, b)                                                                      \
    _Pragma("GCC unroll 8") for (int i = 0; i < (group) / 2; i++) {                                         \
        b[2 * i] = _mm512_unpacklo_epi##bits(a[i], a[i + (group) / 2]);                                     \
        b[2 * i + 1] = _mm512_unpackhi_epi##bits(a[i], a[i + (group) / 2]);                                 \
    }

/* Store a line, or those bytes of it that `part` says; `left`: the line before it, to be stored with it, or NULL. */
TURN_WIDE_INLINE void turn_line(char *dst, __m512i line, const char *left, __mmask64 part)
{
    if (left != NULL) {
        _mm512_stream_si512((void *)(dst - 64), _mm512_load_si512(left));
        _mm512_stream_si512((void *)dst, line);
    } else if (part == TURN_WHOLE)
        _mm512_storeu_si512(dst, line);
    else
        _mm512_mask_storeu_epi8(dst, part, line);
}

/*
 * turn_square_<item>: transpose a square. `left`: the square to the left of it, line by line, to be written past the
 * caches with this one, or NULL. `part`: the columns that are written, as bytes of each line.
 */
#define TURN_SQUARE(item, group, result, STEPS)                                                             \
    TURN_WIDE_INLINE void turn_square_##item(char *dst, ptrdiff_t to, const char *src, ptrdiff_t from,      \
                                             const char *left, __mmask64 part)                              \
    {                                                                                                       \
        __m512i lanes[4][group];                                                                            \
        _Pragma("GCC unroll 4") for (int g = 0; g < 4; g++) {                                               \
            __m512i a[group], b[group];                                                                     \
            _Pragma("GCC unroll 16") for (int i = 0; i < (group); i++)                                      \
                a[i] = _mm512_loadu_si512(src + (g * (group) + i) * from);                                  \
            STEPS                                                                                           \
            _Pragma("GCC unroll 16") for (int i = 0; i < (group); i++) lanes[g][i] = result[i];             \
        }                                                                                                   \
        _Pragma("GCC unroll 16") for (int i = 0; i < (group); i++) {                                        \
            const __m512i a = _mm512_shuffle_i32x4(lanes[0][i], lanes[1][i], 0x88);                         \
            const __m512i b = _mm512_shuffle_i32x4(lanes[2][i], lanes[3][i], 0x88);                         \
            const __m512i c = _mm512_shuffle_i32x4(lanes[0][i], lanes[1][i], 0xdd);                         \
            const __m512i d = _mm512_shuffle_i32x4(lanes[2][i], lanes[3][i], 0xdd);                         \
            const __m512i lines[4] = {                                                                      \
                _mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(c, d, 0x88),                         \
                _mm512_shuffle_i32x4(a, b, 0xdd), _mm512_shuffle_i32x4(c, d, 0xdd)};                        \
            _Pragma("GCC unroll 4") for (int g = 0; g < 4; g++)                                             \
                turn_line(dst + (i + g * (group)) * to, lines[g],                                           \
                          left != NULL ? left + (i + g * (group)) * 64 : NULL, part);                       \
        }                                                                                                   \
    }

TURN_SQUARE(1, 16, a, TURN_UNPACK(8, 16, a, b) TURN_UNPACK(8, 16, b, a)
                          TURN_UNPACK(8, 16, a, b) TURN_UNPACK(8, 16, b, a))
TURN_SQUARE(2, 8, b, TURN_UNPACK(16, 8, a, b) TURN_UNPACK(16, 8, b, a) TURN_UNPACK(16, 8, a, b))
TURN_SQUARE(4, 4, a, TURN_UNPACK(32, 4, a, b) TURN_UNPACK(32, 4, b, a))
TURN_SQUARE(8, 2, b, TURN_UNPACK(64, 2, a, b))

/* Bring a square into the second-level cache. */
static inline void turn_ahead(const char *src, ptrdiff_t from, ptrdiff_t side)
{
    for (ptrdiff_t k = 0; k < side; k++)
        __builtin_prefetch(src + k * from, 0, 2);
}

/* The square behind one that begins at `at`: the second begins at a cache line, the last ends with the plane. */
static inline ptrdiff_t turn_next(ptrdiff_t at, ptrdiff_t first, ptrdiff_t n, ptrdiff_t side)
{
    const ptrdiff_t next = at == 0 && first > 0 ? first : at + side;
    if (at + side >= n)
        return n;
    return next + side <= n ? next : n - side;
}

/*
 * turn_wide_<item>: transpose a plane of at least a square: `rows` rows of `cols` items in the destination. What
 * squares have in common is written twice.
 */
#define TURN_WIDE_PLANE(item)                                                                               \
    TURN_WIDE static void turn_wide_##item(char *dst, ptrdiff_t to, const char *src, ptrdiff_t from,        \
                                           ptrdiff_t rows, ptrdiff_t cols)                                  \
    {                                                                                                       \
        const ptrdiff_t side = 64 / (item), ahead = TURN_AHEAD * side;                                      \
        const ptrdiff_t in_src = (ptrdiff_t)(-(uintptr_t)src & 63) / (item);                                \
        const ptrdiff_t in_dst = (ptrdiff_t)(-(uintptr_t)dst & 63) / (item);                                \
        ptrdiff_t band, begin, i, j;                                                                        \
        for (begin = 0; begin < cols; begin = band) {                                                       \
            for (i = 0; i < rows; i = turn_next(i, in_src, rows, side))                                     \
                for (j = begin; j < cols && j < begin + TURN_BAND; j = turn_next(j, in_dst, cols, side)) {  \
                    const char *s = src + j * from + i * (item);                                            \
                    if (j + ahead + side <= cols && j + ahead < begin + TURN_BAND)                          \
                        turn_ahead(s + ahead * from, from, side);                                           \
                    turn_square_##item(dst + i * to + j * (item), to, s, from, NULL, TURN_WHOLE);           \
                }                                                                                           \
            band = j;                                                                                       \
        }                                                                                                   \
    }

/*
 * turn_past_<item>: the same, written past the caches, for a destination whose rows are multiples of a cache line
 * apart. The source is gone through in bands of as many rows as items fit in two lines, along the rows, where the
 * prefetchers of the processor follow. Lines of the destination are written in pairs: one by one, they take twice
 * the time, for finding the page and for the memory behind the caches. The left square of a pair waits in a buffer.
 * Of squares at the edges only the columns are written that no other square has: a line that is in a cache is slow
 * to write past it.
 */
#define TURN_PAST_PLANE(item)                                                                               \
    TURN_WIDE static void turn_past_##item(char *dst, ptrdiff_t to, const char *src, ptrdiff_t from,        \
                                           ptrdiff_t rows, ptrdiff_t cols)                                  \
    {                                                                                                       \
        const ptrdiff_t side = 64 / (item);                                                                 \
        const ptrdiff_t in_src = (ptrdiff_t)(-(uintptr_t)src & 63) / (item);                                \
        const ptrdiff_t in_dst = (ptrdiff_t)(-(uintptr_t)dst & 63) / (item);                                \
        char left[TURN_SQUARE_NBYTES] __attribute__((aligned(64)));                                         \
        ptrdiff_t i, j, next, done = 0;                                                                     \
        for (j = 0; j < cols; j = next) {                                                                   \
            const int whole = ((uintptr_t)(dst + j * (item)) & 63) == 0 && j == done;                       \
            const int pair = whole && j + 2 * side <= cols;                                                 \
            const ptrdiff_t skip = (done - j) * (item);                                                     \
            __mmask64 part = TURN_WHOLE;                                                                    \
            next = turn_next(pair ? j + side : j, in_dst, cols, side);                                      \
            done = pair ? j + 2 * side : next < j + side ? next : j + side;                                 \
            if (!pair)                                                                                      \
                part = part >> (64 + skip - (done - j) * (item)) << skip;                                   \
            for (i = 0; i < rows; i = turn_next(i, in_src, rows, side)) {                                   \
                const char *s = src + j * from + i * (item);                                                \
                char *d = dst + i * to + j * (item);                                                        \
                if (pair) {                                                                                 \
                    turn_square_##item(left, 64, s, from, NULL, TURN_WHOLE);                                \
                    turn_square_##item(d + 64, to, s + side * from, from, left, TURN_WHOLE);                \
                } else                                                                                      \
                    turn_square_##item(d, to, s, from, NULL, part);                                         \
            }                                                                                               \
        }                                                                                                   \
    }

TURN_WIDE_PLANE(1)
TURN_WIDE_PLANE(2)
TURN_WIDE_PLANE(4)
TURN_WIDE_PLANE(8)
TURN_PAST_PLANE(1)
TURN_PAST_PLANE(2)
TURN_PAST_PLANE(4)
TURN_PAST_PLANE(8)

/* Whether items of this size can be transposed so, by this processor. */
static inline int turn_can_wide(size_t item)
{
    return item <= 8 && __builtin_cpu_supports("avx512bw");
}

static inline void turn_wide(char *dst, ptrdiff_t to, const char *src, ptrdiff_t from, ptrdiff_t rows,
                             ptrdiff_t cols, size_t item, int streaming)
{
    switch (item) {
    case 1: (streaming ? turn_past_1 : turn_wide_1)(dst, to, src, from, rows, cols); break;
    case 2: (streaming ? turn_past_2 : turn_wide_2)(dst, to, src, from, rows, cols); break;
    case 4: (streaming ? turn_past_4 : turn_wide_4)(dst, to, src, from, rows, cols); break;
    default: (streaming ? turn_past_8 : turn_wide_8)(dst, to, src, from, rows, cols);
    }
}
#else
static inline int turn_can_wide(size_t item)
{
    (void)item;
    return 0;
}

static inline void turn_wide(char *dst, ptrdiff_t to, const char *src, ptrdiff_t from, ptrdiff_t rows,
                             ptrdiff_t cols, size_t item, int streaming)
{
    (void)dst, (void)to, (void)src, (void)from, (void)rows, (void)cols, (void)item, (void)streaming;
}
#endif

#endif /* PYMILK_TURN_WIDE_H */
