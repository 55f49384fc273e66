/*
 * RICE_1, the code of the FITS standard (4.0, section 10.4.1) for integer pixels of 1, 2 and 4 bytes.
 *
 * A tile is a row of pixels. Its first pixel stands as it is, most significant bit first, and as all others it
 * has a difference to the one before, which is 0. Differences wrap around, and are folded: 0, -1, 1, -2, 2 become
 * 0, 1, 2, 3, 4. They are coded in blocks of so many pixels, each behind a number K of 3, 4 or 5 bits:
 *
 *   K = 0                all differences are 0; nothing follows
 *   K = most + 1         each difference as it is, in all bits of a pixel
 *   otherwise            k = K - 1: each difference d as d >> k zeros, a one, and the lowest k bits of d
 *
 * `most` is 6, 14 and 25. Bits go from the most significant one of a byte to the least significant one; the last
 * byte is filled with zeros.
 *
 * Pixels of unsigned types, which FITS stores with the highest bit turned (`flip`), have the same differences: only
 * the first pixel is another one.
 *
 * Each block is copied before it is coded: pixels that another program overwrites meanwhile spoil the tile, no more.
 * Nothing here needs Python, allocates, or reads or writes beyond what it was given. Numbers are little-endian.
 */
#ifndef PYMILK_RICE_H
#define PYMILK_RICE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Pixels of a block here; others may have any number. */
#define RICE_BLOCK 32

/* Bytes that are written behind a tile, and mean nothing. */
#define RICE_SLACK 16

/* Most bits that a code is put together from before it is written. */
#define RICE_JOINED 56

#define RICE_INLINE static inline __attribute__((always_inline))

typedef struct {
    int bits;  /* of a pixel */
    int wide;  /* bits of K */
    int most;  /* largest k */
} rice_kind;

/* Tell how pixels of 1, 2 or 4 bytes are coded. */
RICE_INLINE rice_kind rice_kind_of(size_t itemsize) {
    const rice_kind one = {8, 3, 6}, two = {16, 4, 14}, four = {32, 5, 25};
    return itemsize == 1 ? one : itemsize == 2 ? two : four;
}

/* Return how many bytes a tile of `count` pixels takes at most, with what is written behind it. */
static inline size_t pymilk_rice_most(size_t count, size_t itemsize) {
    const rice_kind kind = rice_kind_of(itemsize);
    const size_t blocks = count / RICE_BLOCK + 1;
    /* k is the logarithm of the mean difference at most: less than 2 zeros, a one and k bits for each. */
    return (count * (size_t)(kind.bits + 1) + blocks * (size_t)kind.wide + (size_t)kind.bits) / 8 + 1 + RICE_SLACK;
}

/* -- packing --------------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t *at;
    uint64_t bits;  /* that are not written yet, from the highest one on */
    int used;       /* how many: 7 at most between two codes */
} rice_writer;

/* Add a code of up to RICE_JOINED bits. */
RICE_INLINE void rice_put(rice_writer *w, uint64_t code, int length) {
    uint64_t turned;
    w->used += length;
    w->bits |= code << (64 - w->used);
    turned = __builtin_bswap64(w->bits);
    memcpy(w->at, &turned, 8);
    w->at += w->used >> 3;
    w->bits <<= w->used & ~7;
    w->used &= 7;
}

/* Fold the differences of a block of `count` pixels; `*last` is the pixel before, and becomes the last one. */
#define RICE_FOLD(NAME, UNSIGNED, BITS)                                                                           \
    RICE_INLINE void NAME(const UNSIGNED *pixels, int count, uint32_t *last, uint32_t *folded) {                  \
        UNSIGNED here[RICE_BLOCK + 1], made[RICE_BLOCK];                                                          \
        int i;                                                                                                    \
        here[0] = (UNSIGNED)*last;                                                                                \
        memcpy(here + 1, pixels, (size_t)count * sizeof(UNSIGNED));                                               \
        for (i = 0; i < count; i++) {                                                                             \
            const UNSIGNED d = (UNSIGNED)(here[i + 1] - here[i]);                                                 \
            made[i] = (UNSIGNED)((UNSIGNED)(d << 1) ^ (UNSIGNED)(0U - (unsigned)(d >> (BITS - 1))));              \
        }                                                                                                         \
        for (i = 0; i < count; i++)                                                                               \
            folded[i] = made[i];                                                                                  \
        *last = here[count];                                                                                      \
    }

RICE_FOLD(rice_fold_1, uint8_t, 8)
RICE_FOLD(rice_fold_2, uint16_t, 16)
RICE_FOLD(rice_fold_4, uint32_t, 32)

/* Write differences as they are. */
RICE_INLINE void rice_put_plain(rice_writer *w, const uint32_t *folded, int count, int bits) {
    int i = 0;
    if (bits == 8)
        for (; i + 4 <= count; i += 4)
            rice_put(w, (uint64_t)folded[i] << 24 | folded[i + 1] << 16 | folded[i + 2] << 8 | folded[i + 3], 32);
    if (bits == 16)
        for (; i + 2 <= count; i += 2)
            rice_put(w, (uint64_t)folded[i] << 16 | folded[i + 1], 32);
    for (; i < count; i++)
        rice_put(w, folded[i], bits);
}

/* Write differences with k low bits each. */
RICE_INLINE void rice_put_coded(rice_writer *w, const uint32_t *folded, int count, int k, uint32_t largest) {
    const uint64_t one = (uint64_t)1 << k, low = one - 1;
    const uint32_t longest = (largest >> k) + 1 + (uint32_t)k;
    int i = 0;
    if (longest <= RICE_JOINED / 4) {
        for (; i + 4 <= count; i += 4) {
            const int a = (int)(folded[i] >> k) + 1 + k, b = (int)(folded[i + 1] >> k) + 1 + k;
            const int c = (int)(folded[i + 2] >> k) + 1 + k, d = (int)(folded[i + 3] >> k) + 1 + k;
            const uint64_t first = (one | (folded[i] & low)) << b | one | (folded[i + 1] & low);
            const uint64_t second = (one | (folded[i + 2] & low)) << d | one | (folded[i + 3] & low);
            rice_put(w, first << (c + d) | second, a + b + c + d);
        }
    }
    for (; i < count; i++) {
        uint32_t zeros = folded[i] >> k;
        for (; zeros + 1 + (uint32_t)k > RICE_JOINED; zeros -= 16)
            rice_put(w, 0, 16);
        rice_put(w, one | (folded[i] & low), (int)zeros + 1 + k);
    }
}

RICE_INLINE void rice_put_block(rice_writer *w, const uint32_t *folded, int count, rice_kind kind, int plain) {
    uint64_t sum = 0, mean;
    uint32_t largest = 0;
    int i, k = 0;
    for (i = 0; i < count; i++) {
        sum += folded[i];
        largest = folded[i] > largest ? folded[i] : largest;
    }
    mean = count == RICE_BLOCK ? sum / RICE_BLOCK : sum / (uint64_t)count;
    if (mean > 1)
        k = 63 - __builtin_clzll(mean);
    if (plain || k >= kind.most) {
        rice_put(w, (uint64_t)kind.most + 1, kind.wide);
        rice_put_plain(w, folded, count, kind.bits);
    } else if (!sum) {
        rice_put(w, 0, kind.wide);
    } else {
        rice_put(w, (uint64_t)k + 1, kind.wide);
        rice_put_coded(w, folded, count, k, largest);
    }
}

RICE_INLINE size_t rice_pack(const uint8_t *pixels, size_t count, size_t itemsize, uint32_t flip, uint8_t *target,
                             int plain) {
    const rice_kind kind = rice_kind_of(itemsize);
    rice_writer w = {target, 0, 0};
    uint32_t folded[RICE_BLOCK], last = 0;
    size_t done;
    if (!count)
        return 0;
    memcpy(&last, pixels, itemsize);
    rice_put(&w, last ^ flip, kind.bits);
    for (done = 0; done < count; done += RICE_BLOCK) {
        const int here = count - done < RICE_BLOCK ? (int)(count - done) : RICE_BLOCK;
        const void *from = pixels + done * itemsize;
        if (itemsize == 1)
            rice_fold_1(from, here, &last, folded);
        else if (itemsize == 2)
            rice_fold_2(from, here, &last, folded);
        else
            rice_fold_4(from, here, &last, folded);
        if (!done)
            folded[0] = 0;
        if (here == RICE_BLOCK)
            rice_put_block(&w, folded, RICE_BLOCK, kind, plain);
        else
            rice_put_block(&w, folded, here, kind, plain);
    }
    return (size_t)(w.at - target) + (w.used > 0);
}

/* Pack a tile into pymilk_rice_most bytes; returns how many it takes.

   plain: each difference as it is. Takes little time, and some bytes more than the pixels. */
static inline size_t pymilk_rice_pack(const uint8_t *pixels, size_t count, size_t itemsize, uint32_t flip,
                                      uint8_t *target, int plain) {
    if (itemsize == 1)
        return rice_pack(pixels, count, 1, flip, target, plain);
    if (itemsize == 2)
        return rice_pack(pixels, count, 2, flip, target, plain);
    return rice_pack(pixels, count, 4, flip, target, plain);
}

/* -- unpacking ------------------------------------------------------------------------------------------------- */

/* Return the bits from a place on: 57 at least, from the highest one on; zeros behind the end. */
RICE_INLINE uint64_t rice_look(const uint8_t *packed, size_t nbytes, uint64_t place) {
    const size_t byte = (size_t)(place >> 3);
    uint64_t found = 0;
    if (byte + 8 <= nbytes)
        memcpy(&found, packed + byte, 8);
    else if (byte < nbytes)
        memcpy(&found, packed + byte, nbytes - byte);
    return __builtin_bswap64(found) << (place & 7);
}

/* Read a difference with k low bits; returns the place behind it, UINT64_MAX if it does not end. */
RICE_INLINE uint64_t rice_take(const uint8_t *packed, size_t nbytes, uint64_t place, int k, uint32_t *folded) {
    uint64_t bits = rice_look(packed, nbytes, place);
    uint32_t zeros = 0, low = 0;
    int more;
    while (!(bits >> 8)) {
        zeros += 56;
        place += 56;
        if (place >= 8 * (uint64_t)nbytes)
            return UINT64_MAX;
        bits = rice_look(packed, nbytes, place);
    }
    more = __builtin_clzll(bits);
    zeros += (uint32_t)more;
    place += (uint64_t)more + 1;
    if (k) {
        bits = more + 1 + k <= 57 ? bits << (more + 1) : rice_look(packed, nbytes, place);
        low = (uint32_t)(bits >> (64 - k));
        place += (uint64_t)k;
    }
    *folded = zeros << k | low;
    return place;
}

RICE_INLINE int rice_unpack(const uint8_t *packed, size_t nbytes, size_t count, size_t itemsize, uint32_t flip,
                            size_t block, uint8_t *pixels) {
    const rice_kind kind = rice_kind_of(itemsize);
    const uint64_t end = 8 * (uint64_t)nbytes;
    uint64_t place = (uint64_t)kind.bits;
    uint32_t last = (uint32_t)(rice_look(packed, nbytes, 0) >> (64 - kind.bits)) ^ flip;
    size_t done = 0;
    while (done < count) {
        const size_t here = count - done < block ? count - done : block;
        const int k = (int)(rice_look(packed, nbytes, place) >> (64 - kind.wide)) - 1;
        size_t i;
        place += (uint64_t)kind.wide;
        if (place > end || k > kind.most)
            return -1;
        for (i = 0; i < here; i++) {
            uint32_t folded = 0;
            if (k == kind.most) {
                folded = (uint32_t)(rice_look(packed, nbytes, place) >> (64 - kind.bits));
                place += (uint64_t)kind.bits;
            } else if (k >= 0) {
                place = rice_take(packed, nbytes, place, k, &folded);
            }
            if (place > end)
                return -1;
            last += folded >> 1 ^ (0U - (folded & 1));
            memcpy(pixels + (done + i) * itemsize, &last, itemsize);
        }
        done += here;
    }
    return 0;
}

/* Unpack a tile in blocks of so many pixels, 1 at least; returns 0, or -1 if it is damaged. */
static inline int pymilk_rice_unpack(const uint8_t *packed, size_t nbytes, size_t count, size_t itemsize,
                                     uint32_t flip, size_t block, uint8_t *pixels) {
    if (itemsize == 1)
        return rice_unpack(packed, nbytes, count, 1, flip, block, pixels);
    if (itemsize == 2)
        return rice_unpack(packed, nbytes, count, 2, flip, block, pixels);
    return rice_unpack(packed, nbytes, count, 4, flip, block, pixels);
}

#endif
