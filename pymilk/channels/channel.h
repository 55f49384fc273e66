/*
 * The bytes of a channel file, version 1: header, then room for records. All numbers have the byte order of the machine.
 * docs/channels.md says what each of them means, and in which order they are written.
 */
#ifndef PYMILK_CHANNEL_H
#define PYMILK_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#define PYMILK_CHANNEL_MAGIC "PYMILKCH"
#define PYMILK_CHANNEL_VERSION 1
/* Where records begin. */
#define PYMILK_CHANNEL_ROOM_AT 4096
/* Writers lock bytes of the file from here on, as many as their PID. */
#define PYMILK_CHANNEL_LOCK_AT (INT64_C(1) << 61)

/* What writers change together is in cache lines of its own. */
struct pymilk_channel {
    char magic[8];
    uint32_t version;
    uint32_t kind;
    uint64_t nbytes;        /* of the file */
    uint64_t identity;      /* random, never 0 */
    int64_t created_ns;     /* UTC */
    uint64_t room;          /* bytes for records, a multiple of 8 */
    uint64_t slots;         /* of a command queue; of a state 1: its keys and types are fixed; 0 in a log */
    uint64_t size;          /* bytes of a slot for data; of an image of a state; 0 in a log */
    uint64_t unused_a[8];
    uint64_t count;         /* 128: records committed; the commit word. Of a queue: numbers given out; of a state: epoch */
    uint64_t ends[2];       /* where the records 0..n end, for n = count (ends[n & 1]) and its neighbour */
    int64_t last_ns;        /* time of the newest record, for those who only look */
    uint64_t unused_b[4];
    uint64_t tail;          /* 192: where the oldest record begins that is still there; of a state: epoch in the making */
    uint64_t begun;         /* records or steps that were begun, committed or not, those that writers died in included */
    uint64_t abandoned;     /* those that writers died in, as the next one found */
    uint64_t unused_c[5];
    uint32_t bell;          /* 256: futex; bit 0: somebody sleeps; the rest changes with each record */
    uint32_t retired;       /* 1: no record will come any more in this file */
    uint64_t unused_d[7];
    uint32_t freed;         /* 320: futex of those who wait for a free slot of a queue */
    uint32_t unused_e[15];
};

/* In front of the bytes of a record. Begins at a multiple of 8. */
struct pymilk_record {
    uint64_t number;        /* from 1; 0: no record, the next one is at the start of the room */
    uint64_t position;      /* of this struct, counted since the channel was made */
    int64_t time_ns;        /* UTC */
    uint32_t length;        /* bytes behind this struct */
    uint32_t flags;
};

/*
 * A slot of a command queue. `word` says everything: bits 0..3 state, 4..30 who has it, 31..63 number of changes.
 * Who has it changes the rest.
 */
struct pymilk_slot {
    uint64_t word;
    uint64_t number;        /* of the command, from 1 */
    int64_t time_ns;        /* UTC, of the sending */
    uint32_t length;        /* bytes of data: of the command, later of the reply */
    uint32_t flags;         /* 1: text, 2: an error */
    uint32_t caller;        /* who sent it; 0: nobody waits for the reply */
    uint32_t bell;          /* futex of the caller */
    uint64_t abandoned;     /* bits 32..63: callers that died while they filled it; 0..31: of `word` when the last one did */
    uint64_t unused[2];
};

/*
 * At the start of each of the two images of a state; entries follow. The image of an epoch is the one of its lowest bit.
 */
struct pymilk_image {
    uint64_t epoch;
    uint64_t nbytes;        /* of the entries */
    uint64_t keys;          /* entries */
    uint64_t removed;       /* epoch in which a key was removed last; 0: never */
};

/* In front of the key and the value of an entry, each of which takes a multiple of 8 bytes. */
struct pymilk_entry {
    uint64_t sequence;      /* how often the key was set, from 1 */
    uint64_t epoch;         /* in which it was set last */
    int64_t time_ns;        /* UTC, of that */
    uint32_t length;        /* bytes of the value */
    uint16_t key_length;    /* bytes of the key, in UTF-8 */
    uint16_t type;
};

_Static_assert(offsetof(struct pymilk_channel, count) == 128, "");
_Static_assert(offsetof(struct pymilk_channel, tail) == 192, "");
_Static_assert(offsetof(struct pymilk_channel, bell) == 256, "");
_Static_assert(offsetof(struct pymilk_channel, freed) == 320, "");
_Static_assert(sizeof(struct pymilk_slot) == 64, "");
_Static_assert(sizeof(struct pymilk_record) == 32, "");
_Static_assert(sizeof(struct pymilk_image) == 32, "");
_Static_assert(sizeof(struct pymilk_entry) == 32, "");

#endif
