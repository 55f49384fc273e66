/*
 * Copying an array to another of the same shape whose axes lie in memory in another order or direction.
 *
 * First, axes that run backwards in the destination are reversed in both arrays, and axes that are contiguous in
 * both are joined. Then two axes decide: the one whose items are closest together in the destination, and the one
 * whose items are closest together in the source:
 *
 *   the same axis        rows are copied one by one, forwards or backwards
 *   two axes             their plane is transposed; flips cost nothing: they are negative pitches
 *
 * and all other axes are loops around it. A plane is transposed by blocks of 16 bytes by as many rows as
 * items fit in 16 bytes: read as vectors, transposed in registers, written as vectors. The order of the blocks
 * depends on the plane:
 *
 *   small                column by column
 *   large                in squares of one cache line, so that each line is loaded once
 *   large and crowded    in tiles: the blocks are written to a small buffer, whose rows are then copied to
 *   or streaming         the destination. A crowded plane has a pitch (2048 items, say) that sends its rows
 *                        to the same few sets of a cache, where lines evict one another half used.
 *
 * All but the small planes are transposed in squares of 64 bytes where the processor can: turn_wide.h. A crowded plane
 * of 2 MiB or more is written past the caches, as is any copy of 16 MiB: it would evict itself from them.
 *
 * Nothing here needs Python, allocates or fails. The buffer takes 72 KiB of the stack.
 */
#ifndef PYMILK_TURN_H
#define PYMILK_TURN_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "turn_wide.h"

/* Axes that a turn can have. */
#define PYMILK_TURN_AXES 8

/* Planes of this size and more do not fit the first-level cache beside their source. */
#define TURN_WIDE_NBYTES 28672
/* Planes of this size and more are large: they and their source do not fit the second-level cache. */
#define TURN_LARGE_NBYTES 262144
/* Copies of this size and more do not fit the caches of most machines. They are written past the caches, without
   reading the destination first, which would be most of the work. */
#define TURN_STREAM_NBYTES 16777216
/* So are crowded planes of this size and more, where lines are evicted half used. Other planes stay in the caches,
   where their reader finds them. */
#define TURN_PAST_NBYTES 2097152
/* A tile: this many bytes of a row of the source, and of a row of the destination. With shorter runs the
   prefetchers of the processor do not start. */
#define TURN_FROM_NBYTES 128
#define TURN_TO_NBYTES 512
/* From one row of the buffer to the next: rows must not share sets of the first-level cache. */
#define TURN_PITCH (TURN_TO_NBYTES + 64)

#define TURN_INLINE static inline __attribute__((always_inline))

/* An array and its copy: lengths of the axes, strides in bytes, of which any may be negative. */
typedef struct {
    int naxis;
    ptrdiff_t n[PYMILK_TURN_AXES];
    ptrdiff_t to[PYMILK_TURN_AXES];
    ptrdiff_t from[PYMILK_TURN_AXES];
    char *dst;
    const char *src;
    size_t item;
    int narrow; /* as on a processor without registers of 64 bytes */
} pymilk_turn;

/* -- blocks in registers ------------------------------------------------------------------------------ */

#if defined(__clang__) || __GNUC__ >= 12
#define TURN_SHUFFLE(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define TURN_SHUFFLE(type, a, b, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#endif

#define TURN_LOW_1 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define TURN_HIGH_1 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define TURN_LOW_2 0, 8, 1, 9, 2, 10, 3, 11
#define TURN_HIGH_2 4, 12, 5, 13, 6, 14, 7, 15
#define TURN_LOW_4 0, 4, 1, 5
#define TURN_HIGH_4 2, 6, 3, 7
#define TURN_LOW_8 0, 2
#define TURN_HIGH_8 1, 3

typedef uint8_t turn_vector_1 __attribute__((vector_size(16)));
typedef uint16_t turn_vector_2 __attribute__((vector_size(16)));
typedef uint32_t turn_vector_4 __attribute__((vector_size(16)));
typedef uint64_t turn_vector_8 __attribute__((vector_size(16)));

/*
 * turn_block_<item>: transpose a block of 16 bytes by `side` rows. Each step interleaves the first half of
 * the rows with the second; after log2(side) of them the block is transposed.
 */
#define TURN_STEP(item, side, a, b)                                                                         \
    _Pragma("GCC unroll 8") for (int i = 0; i < (side) / 2; i++) {                                          \
        b[2 * i] = TURN_SHUFFLE(turn_vector_##item, a[i], a[i + (side) / 2], TURN_LOW_##item);              \
        b[2 * i + 1] = TURN_SHUFFLE(turn_vector_##item, a[i], a[i + (side) / 2], TURN_HIGH_##item);         \
    }

#define TURN_BLOCK(item, side, result, STEPS)                                                               \
    TURN_INLINE void turn_block_##item(char *dst, ptrdiff_t to, const char *src, ptrdiff_t from)            \
    {                                                                                                       \
        turn_vector_##item a[side], b[side];                                                                \
        _Pragma("GCC unroll 16") for (int i = 0; i < (side); i++) memcpy(&a[i], src + i * from, 16);        \
        STEPS                                                                                               \
        _Pragma("GCC unroll 16") for (int i = 0; i < (side); i++) memcpy(dst + i * to, &result[i], 16);     \
    }

TURN_BLOCK(1, 16, a, TURN_STEP(1, 16, a, b) TURN_STEP(1, 16, b, a)
                         TURN_STEP(1, 16, a, b) TURN_STEP(1, 16, b, a))
TURN_BLOCK(2, 8, b, TURN_STEP(2, 8, a, b) TURN_STEP(2, 8, b, a) TURN_STEP(2, 8, a, b))
TURN_BLOCK(4, 4, a, TURN_STEP(4, 4, a, b) TURN_STEP(4, 4, b, a))
TURN_BLOCK(8, 2, b, TURN_STEP(8, 2, a, b))

TURN_INLINE void turn_block(char *dst, ptrdiff_t to, const char *src, ptrdiff_t from, size_t item)
{
    switch (item) {
    case 1: turn_block_1(dst, to, src, from); break;
    case 2: turn_block_2(dst, to, src, from); break;
    case 4: turn_block_4(dst, to, src, from); break;
    case 8: turn_block_8(dst, to, src, from); break;
    default: memcpy(dst, src, 16);
    }
}

/* A plane transposed item by item, whatever the strides. */
TURN_INLINE void turn_items(char *dst, ptrdiff_t to, ptrdiff_t to_item, const char *src, ptrdiff_t from,
                            ptrdiff_t from_item, ptrdiff_t rows, ptrdiff_t cols, size_t item)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < cols; j++)
            memcpy(dst + i * to + j * to_item, src + j * from + i * from_item, item);
}

/*
 * A plane transposed by blocks: `rows` rows of `cols` items in the destination. Where a length is no multiple
 * of a block, the last block overlaps the one before it.
 */
TURN_INLINE void turn_blocks(char *dst, ptrdiff_t to, const char *src, ptrdiff_t from, ptrdiff_t rows,
                             ptrdiff_t cols, size_t item)
{
    const ptrdiff_t width = (ptrdiff_t)item, side = 16 / width;
    ptrdiff_t i, j, c;
    if (rows < side || cols < side) {
        turn_items(dst, to, width, src, from, width, rows, cols, item);
        return;
    }
    for (j = 0; j < cols; j += side) {
        c = j + side <= cols ? j : cols - side;
        for (i = 0; i + side <= rows; i += side)
            turn_block(dst + i * to + c * width, to, src + c * from + i * width, from, item);
        if (i < rows) {
            i = rows - side;
            turn_block(dst + i * to + c * width, to, src + c * from + i * width, from, item);
        }
    }
}

/* -- rows --------------------------------------------------------------------------------------------- */

TURN_INLINE void turn_store(char *dst, turn_vector_4 v, int streaming)
{
#if defined(__x86_64__)
    if (streaming) {
        _mm_stream_si128((__m128i *)dst, (__m128i)v);
        return;
    }
#endif
    (void)streaming;
    memcpy(dst, &v, 16);
}

/* Bytes to the next cache line, where streaming stores begin, or to the end. */
TURN_INLINE size_t turn_head(const char *dst, size_t nbytes)
{
    const size_t head = (size_t)(-(uintptr_t)dst & 63);
    return head < nbytes ? head : nbytes;
}

/* Copy a row; streaming stores write whole cache lines. Inline: calling memcpy costs as much as a short row. */
TURN_INLINE void turn_row_forth(char *dst, const char *src, size_t nbytes, int streaming)
{
    turn_vector_4 a, b, c, d;
    if (streaming) {
        const size_t head = turn_head(dst, nbytes);
        memcpy(dst, src, head);
        dst += head;
        src += head;
        nbytes -= head;
    }
    for (; nbytes >= 64; nbytes -= 64, dst += 64, src += 64) {
        memcpy(&a, src, 16);
        memcpy(&b, src + 16, 16);
        memcpy(&c, src + 32, 16);
        memcpy(&d, src + 48, 16);
        turn_store(dst, a, streaming);
        turn_store(dst + 16, b, streaming);
        turn_store(dst + 32, c, streaming);
        turn_store(dst + 48, d, streaming);
    }
    memcpy(dst, src, nbytes);
}

/* Reverse the items of 16 bytes: first the words of 4 bytes, then the items in them. */
TURN_INLINE turn_vector_4 turn_reverse(const char *src, size_t item)
{
    turn_vector_4 v;
    memcpy(&v, src, 16);
    if (item == 8)
        v = TURN_SHUFFLE(turn_vector_4, v, v, 2, 3, 0, 1);
    else if (item < 8)
        v = TURN_SHUFFLE(turn_vector_4, v, v, 3, 2, 1, 0);
    if (item < 4)
        v = v << 16 | v >> 16;
    if (item < 2)
        v = (v & 0x00ff00ff) << 8 | (v >> 8 & 0x00ff00ff);
    return v;
}

#if defined(__x86_64__)
/* Copy a row backwards in whole vectors of 32 bytes: AVX2 permutes bytes at once. Returns the number of items. */
__attribute__((target("avx2"))) static ptrdiff_t turn_row_back_wide(char *dst, const char *src, ptrdiff_t n,
                                                                    size_t item, int streaming)
{
    const ptrdiff_t width = (ptrdiff_t)item, side = 32 / width;
    unsigned char places[16];
    ptrdiff_t done;
    __m256i order, v;
    for (int k = 0; k < 16; k++)
        places[k] = (unsigned char)(((15 - k) & -(int)item) + (k & ((int)item - 1)));
    order = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)places));
    for (done = 0; done + side <= n; done += side, dst += 32, src -= 32) {
        v = _mm256_loadu_si256((const __m256i *)(src + width - 32));
        v = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(v, order), 0x4e);
        if (streaming)
            _mm256_stream_si256((__m256i *)dst, v);
        else
            _mm256_storeu_si256((__m256i *)dst, v);
    }
    return done;
}
#endif

/* Copy n items backwards: `src` is the item that comes first in the copy and last in memory. */
TURN_INLINE void turn_row_back(char *dst, const char *src, ptrdiff_t n, size_t item, int streaming)
{
    const ptrdiff_t width = (ptrdiff_t)item, side = 16 / width;
    ptrdiff_t done = 0;
    streaming = streaming && (uintptr_t)dst % item == 0 && n * width >= 128;
    if (streaming)
        for (; ((uintptr_t)dst & 63) != 0; n--, dst += width, src -= width)
            memcpy(dst, src, item);
#if defined(__x86_64__)
    if (item < 16 && n * width >= 32 && __builtin_cpu_supports("avx2")) {
        done = turn_row_back_wide(dst, src, n, item, streaming);
        n -= done;
        dst += done * width;
        src -= done * width;
    }
#endif
    for (; n >= side; n -= side, done += side, dst += 16, src -= 16)
        turn_store(dst, turn_reverse(src + width - 16, item), streaming);
    if (n > 0 && done > 0) /* the last vector overlaps the one before it */
        turn_store(dst + n * width - 16, turn_reverse(src - (n - 1) * width, item), 0);
    else
        for (; n > 0; n--, dst += width, src -= width)
            memcpy(dst, src, item);
}

TURN_INLINE void turn_row(char *dst, ptrdiff_t to, const char *src, ptrdiff_t from, ptrdiff_t n, size_t item,
                          int streaming)
{
    const ptrdiff_t width = (ptrdiff_t)item;
    if (to == width && from == width)
        turn_row_forth(dst, src, (size_t)n * item, streaming);
    else if (to == width && from == -width)
        turn_row_back(dst, src, n, item, streaming);
    else
        for (; n > 0; n--, dst += to, src += from)
            memcpy(dst, src, item);
}

/* -- planes ------------------------------------------------------------------------------------------- */

/* Whether 32 rows of that pitch overflow one of the 64 sets, of 8 lines each, of a first-level cache. */
static int turn_crowded(ptrdiff_t pitch)
{
    unsigned char lines[64] = {0};
    for (ptrdiff_t k = 0; k < 32; k++)
        if (++lines[(size_t)(k * pitch) >> 6 & 63] > 8)
            return 1;
    return 0;
}

/* Transpose a plane in squares of one cache line; the last squares are larger and take what is left. */
TURN_INLINE void turn_squares(char *dst, ptrdiff_t to, const char *src, ptrdiff_t from, ptrdiff_t rows,
                              ptrdiff_t cols, size_t item)
{
    const ptrdiff_t width = (ptrdiff_t)item, side = 64 / width;
    ptrdiff_t i, j, h, w;
    for (j = 0; j < cols; j += w) {
        w = cols - j < 2 * side ? cols - j : side;
        for (i = 0; i < rows; i += h) {
            h = rows - i < 2 * side ? rows - i : side;
            turn_blocks(dst + i * to + j * width, to, src + j * from + i * width, from, h, w, item);
        }
    }
}

/* Items from an address to the start of a cache line, at most `length` bytes on. */
TURN_INLINE ptrdiff_t turn_first(const char *address, ptrdiff_t length, ptrdiff_t stride, size_t item)
{
    const ptrdiff_t width = (ptrdiff_t)item;
    if (stride != width || (uintptr_t)address % item != 0)
        return length / width;
    return (length - (ptrdiff_t)((uintptr_t)address & 63)) / width;
}

/*
 * Transpose a plane in tiles: rows of the destination are `to` apart and have items `to_item` apart; those of
 * the source `from` and `from_item`. The first tiles are smaller, so that the others begin at a cache
 * line if the pitches are multiples of one. While a tile is transposed, the next one is prefetched.
 */
TURN_INLINE void turn_tiles(char *dst, ptrdiff_t to, ptrdiff_t to_item, const char *src, ptrdiff_t from,
                            ptrdiff_t from_item, ptrdiff_t rows, ptrdiff_t cols, size_t item, int streaming)
{
    const ptrdiff_t width = (ptrdiff_t)item, side = 16 / width;
    char tile[TURN_FROM_NBYTES * TURN_PITCH] __attribute__((aligned(64)));
    ptrdiff_t i, j, k, c, g, h, w, q;
    for (j = 0, w = turn_first(dst, TURN_TO_NBYTES, to_item, item); j < cols;
         j += w, w = TURN_TO_NBYTES / width) {
        if (w > cols - j)
            w = cols - j;
        for (i = 0, h = turn_first(src, TURN_FROM_NBYTES, from_item, item); i < rows;
             i += h, h = TURN_FROM_NBYTES / width) {
            char *d = dst + i * to + j * to_item;
            const char *s = src + i * from_item + j * from;
            const char *next = i + h < rows ? s + h * from_item : src + (j + w) * from;
            if (h > rows - i)
                h = rows - i;
            if (from_item != width)
                turn_items(tile, TURN_PITCH, width, s, from, from_item, h, w, item);
            else
                for (c = 0; c < w; c += g) {
                    g = w - c < 2 * side ? w - c : side;
                    for (k = 0; k < g; k++)
                        for (q = 0; q < TURN_FROM_NBYTES; q += 64)
                            __builtin_prefetch(next + (c + k) * from + q, 0, 2);
                    turn_blocks(tile + c * width, TURN_PITCH, s + c * from, from, h, g, item);
                }
            for (k = 0; k < h; k++)
                turn_row(d + k * to, to_item, tile + k * TURN_PITCH, width, w, item, streaming);
        }
    }
}

/* Copy the planes of the last two axes, for all indices of the others. */
TURN_INLINE void turn_planes(const pymilk_turn *t, int transposed, int streaming, size_t item)
{
    const ptrdiff_t width = (ptrdiff_t)item;
    const int outer = t->naxis - 2;
    const ptrdiff_t rows = t->n[outer], cols = t->n[outer + 1];
    const ptrdiff_t to = t->to[outer], to_item = t->to[outer + 1];
    const ptrdiff_t from_item = t->from[outer], from = t->from[outer + 1];
    const size_t nbytes = (size_t)rows * (size_t)cols * item;
    const int large = nbytes >= TURN_LARGE_NBYTES;
    const int lines = to % 64 == 0 && (uintptr_t)t->dst % item == 0;
    const int wide = nbytes >= TURN_WIDE_NBYTES && (!streaming || lines) && !t->narrow && to_item == width
                     && from_item == width && rows * width >= 64 && cols * width >= 64 && turn_can_wide(item);
    const int tiled = to_item != width || from_item != width || streaming
                      || (large && (turn_crowded(to) || turn_crowded(from)));
    ptrdiff_t at[PYMILK_TURN_AXES] = {0};
    char *dst = t->dst;
    const char *src = t->src;
    int k;
    for (;;) {
        if (!transposed)
            for (ptrdiff_t i = 0; i < rows; i++)
                turn_row(dst + i * to, to_item, src + i * from_item, from, cols, item, streaming);
        else if (wide)
            turn_wide(dst, to, src, from, rows, cols, item, streaming);
        else if (tiled)
            turn_tiles(dst, to, to_item, src, from, from_item, rows, cols, item, streaming);
        else if (large)
            turn_squares(dst, to, src, from, rows, cols, item);
        else
            turn_blocks(dst, to, src, from, rows, cols, item);
        for (k = outer - 1; k >= 0; k--) {
            dst += t->to[k];
            src += t->from[k];
            if (++at[k] < t->n[k])
                break;
            dst -= t->n[k] * t->to[k];
            src -= t->n[k] * t->from[k];
            at[k] = 0;
        }
        if (k < 0)
            return;
    }
}

/* -- the copy ----------------------------------------------------------------------------------------- */

static void turn_swap(pymilk_turn *t, int a, int b)
{
    const ptrdiff_t n = t->n[a], to = t->to[a], from = t->from[a];
    t->n[a] = t->n[b];
    t->to[a] = t->to[b];
    t->from[a] = t->from[b];
    t->n[b] = n;
    t->to[b] = to;
    t->from[b] = from;
}

/* Reverse an axis. */
static void turn_flip(pymilk_turn *t, int k)
{
    t->dst += (t->n[k] - 1) * t->to[k];
    t->src += (t->n[k] - 1) * t->from[k];
    t->to[k] = -t->to[k];
    t->from[k] = -t->from[k];
}

/* Sort the axes by the destination, outermost first, all forwards there; join axes that are contiguous in both. */
static void turn_order(pymilk_turn *t)
{
    int i, k, kept = 0;
    for (k = 0; k < t->naxis; k++)
        if (t->n[k] != 1)
            turn_swap(t, kept++, k);
    t->naxis = kept;
    for (k = 0; k < t->naxis; k++) {
        if (t->to[k] < 0)
            turn_flip(t, k);
        for (i = k; i > 0 && t->to[i - 1] < t->to[i]; i--)
            turn_swap(t, i - 1, i);
    }
    for (k = 1, kept = 0; k < t->naxis; k++)
        if (t->to[kept] == t->n[k] * t->to[k] && t->from[kept] == t->n[k] * t->from[k]) {
            t->n[kept] *= t->n[k];
            t->to[kept] = t->to[k];
            t->from[kept] = t->from[k];
        } else
            turn_swap(t, ++kept, k);
    if (t->naxis > 0)
        t->naxis = kept + 1;
    for (; t->naxis < 2; t->naxis++) { /* a plane of one row, or of one item */
        for (k = t->naxis; k > 0; k--)
            turn_swap(t, k - 1, k);
        t->n[0] = 1;
        t->to[0] = t->from[0] = (ptrdiff_t)t->item;
    }
}

/* Where the memory of an array begins and ends, relative to its first item. */
static void turn_extent(const pymilk_turn *t, const ptrdiff_t *strides, ptrdiff_t *begin, ptrdiff_t *end)
{
    *begin = 0;
    *end = (ptrdiff_t)t->item;
    for (int k = 0; k < t->naxis; k++)
        *(strides[k] < 0 ? begin : end) += (t->n[k] - 1) * strides[k];
}

/* Whether to write past the caches. The axes are in order. */
static int turn_streams(const pymilk_turn *t, int transposed, size_t total)
{
    const int outer = t->naxis - 2;
    if (total >= TURN_STREAM_NBYTES)
        return 1;
    return transposed && (size_t)t->n[outer] * (size_t)t->n[outer + 1] * t->item >= TURN_PAST_NBYTES
           && (turn_crowded(t->to[outer]) || turn_crowded(t->from[outer + 1]));
}

/*
 * Whether pymilk_turn_copy can do this: items of 1, 2, 4, 8 or 16 bytes, and arrays that do not share memory.
 */
static int pymilk_turn_can(const pymilk_turn *t)
{
    ptrdiff_t to_begin, to_end, from_begin, from_end;
    if (t->item == 0 || t->item > 16 || (t->item & (t->item - 1)) != 0)
        return 0;
    for (int k = 0; k < t->naxis; k++)
        if (t->n[k] == 0)
            return 1;
    turn_extent(t, t->to, &to_begin, &to_end);
    turn_extent(t, t->from, &from_begin, &from_end);
    return (uintptr_t)t->dst + (size_t)to_end <= (uintptr_t)t->src + (size_t)from_begin
           || (uintptr_t)t->src + (size_t)from_end <= (uintptr_t)t->dst + (size_t)to_begin;
}

/* Copy. Only after pymilk_turn_can; changes the description. */
static void pymilk_turn_copy(pymilk_turn *t)
{
    size_t total = t->item;
    int k, last, near, streaming;
    for (k = 0; k < t->naxis; k++)
        total *= (size_t)t->n[k];
    if (total == 0)
        return;
    turn_order(t);
    last = near = t->naxis - 1;
    for (k = last - 1; k >= 0; k--)
        if (t->n[k] > 1 && llabs(t->from[k]) < llabs(t->from[near]))
            near = k;
    if (near != last) {
        /* The plane of the two axes. The source runs forwards along its rows; its pitch may be negative. */
        for (k = near; k < last - 1; k++)
            turn_swap(t, k, k + 1);
        if (t->from[last - 1] < 0)
            turn_flip(t, last - 1);
    } else if ((t->from[last - 1] < 0) != (t->from[last] < 0))
        turn_flip(t, last - 1); /* read on from where a row ended: reads stall, stores do not */
    streaming = turn_streams(t, near != last, total);
#if defined(__x86_64__)
    if (streaming)
        _mm_sfence(); /* streaming stores are not ordered with others: earlier stores come first, */
#endif
    switch (t->item) {
    case 1: turn_planes(t, near != last, streaming, 1); break;
    case 2: turn_planes(t, near != last, streaming, 2); break;
    case 4: turn_planes(t, near != last, streaming, 4); break;
    case 8: turn_planes(t, near != last, streaming, 8); break;
    default: turn_planes(t, near != last, streaming, 16);
    }
#if defined(__x86_64__)
    if (streaming)
        _mm_sfence(); /* and the copy is visible before later stores */
#endif
}

#endif /* PYMILK_TURN_H */
