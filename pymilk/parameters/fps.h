/*
 * One slot of a parameter file, as measured on milk's headers of 2024 (64-bit, natural alignment, little-endian).
 *
 * Later layouts have the same members at the same places, and some more behind them; the header in front of the
 * slots differs between layouts and is in layout.py.
 */
#ifndef PYMILK_FPS_H
#define PYMILK_FPS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define PYMILK_KEYWORD_NBYTES 1280
#define PYMILK_TEXT_NBYTES 64

struct pymilk_parameter {
    uint64_t fpflag;
    uint64_t userflag;
    char keywordfull[PYMILK_KEYWORD_NBYTES];
    char keyword[20][64];
    int32_t keywordlevel;
    char keywordfrom[PYMILK_KEYWORD_NBYTES];
    char description[64];
    uint32_t type;
    union {
        int32_t i32[4];
        uint32_t u32[4];
        int64_t i64[4];
        uint64_t u64[4];
        float f32[4];
        double f64[4];
        int32_t pid[2];
        struct timespec ts[2];
        char text[2][PYMILK_TEXT_NBYTES];
    } val;
    uint64_t info[6];
    uint64_t cnt0;
};

/* The second counter of layout fw-c, behind the common members. */
static inline uint64_t *pymilk_value_counter(struct pymilk_parameter *p)
{
    return (uint64_t *)(p + 1);
}

_Static_assert(sizeof(struct timespec) == 16, "seconds and nanoseconds of 64 bits");
_Static_assert(offsetof(struct pymilk_parameter, keywordfull) == 16, "keywordfull");
_Static_assert(offsetof(struct pymilk_parameter, description) == 3860, "description");
_Static_assert(offsetof(struct pymilk_parameter, type) == 3924, "type");
_Static_assert(offsetof(struct pymilk_parameter, val) == 3928, "val");
_Static_assert(offsetof(struct pymilk_parameter, info) == 4056, "info");
_Static_assert(offsetof(struct pymilk_parameter, cnt0) == 4104, "cnt0");
_Static_assert(sizeof(struct pymilk_parameter) == 4112, "a slot");

#endif /* PYMILK_FPS_H */
