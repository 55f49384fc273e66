/*
 * Writes or reads a message log, from docs/channels.md alone: shows that the page suffices.
 *
 *     message_log append PATH COUNT one|many TEXT    appends TEXT0 to TEXT(COUNT-1)
 *     message_log read PATH COUNT now|oldest         prints number, lost and bytes; "end" if none will come
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "channels/channel.h"

#define SWAPPED(word, old, new) \
    __atomic_compare_exchange_n(word, old, new, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)

typedef struct pymilk_record Record;

static struct pymilk_channel *log_;
static char *room;
static int file;

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void attach(const char *path)
{
    struct stat status;
    file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0 || status.st_size <= PYMILK_CHANNEL_ROOM_AT)
        fail(path);
    log_ = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (log_ == MAP_FAILED || memcmp(log_->magic, PYMILK_CHANNEL_MAGIC, 8) != 0 || log_->kind != 1
        || log_->version != PYMILK_CHANNEL_VERSION || log_->nbytes != (uint64_t)status.st_size)
        fail("no message log");
    room = (char *)log_ + PYMILK_CHANNEL_ROOM_AT;
}

static int lock(int type, int64_t start, int command)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = getpid()};
    return fcntl(file, command, &lock);
}

static Record *at(uint64_t position)
{
    return (Record *)(room + position % log_->room);
}

static uint64_t whole(uint64_t length)
{
    return sizeof(Record) + ((length + 7) & ~UINT64_C(7));
}

static uint64_t behind(uint64_t position)
{
    return position + log_->room - position % log_->room;
}

static void count_abandoned(void)
{
    uint64_t known = log_->count + log_->abandoned;
    if (log_->begun > known)
        log_->abandoned = log_->begun - log_->count;
    else
        log_->begun = known;
}

static void append(const char *data, uint32_t length)
{
    uint64_t number = log_->count + 1, from = log_->ends[log_->count & 1], position = from, tail = log_->tail;
    if (whole(length) > log_->room / 2)
        fail("too long");
    if (behind(from) - from < whole(length))
        position = behind(from);
    log_->begun++;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    while (position + whole(length) - tail > log_->room)
        tail = at(tail)->number == 0 ? behind(tail) : tail + whole(at(tail)->length);
    __atomic_store_n(&log_->tail, tail, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    if (position != from)
        at(from)->number = 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    Record record = {number, position, now.tv_sec * INT64_C(1000000000) + now.tv_nsec, length, 1};
    memcpy(at(position), &record, sizeof record);
    memcpy(at(position) + 1, data, length);
    log_->last_ns = record.time_ns;
    log_->ends[number & 1] = position + whole(length);
    __atomic_store_n(&log_->count, number, __ATOMIC_RELEASE);
    uint32_t bell = __atomic_load_n(&log_->bell, __ATOMIC_RELAXED);
    while (!SWAPPED(&log_->bell, &bell, (bell + 2) & ~1U))
        ;
    if (bell & 1)
        syscall(SYS_futex, &log_->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void newest(uint64_t *count, uint64_t *end)
{
    do {
        *count = __atomic_load_n(&log_->count, __ATOMIC_ACQUIRE);
        *end = __atomic_load_n(&log_->ends[*count & 1], __ATOMIC_ACQUIRE);
    } while (__atomic_load_n(&log_->count, __ATOMIC_ACQUIRE) != *count);
}

/* Copies the record at a position; moves on. 0: it is overwritten, and the position is that of the oldest. */
static int copied(uint64_t *position, Record *record, char *data)
{
    uint64_t number = __atomic_load_n(&at(*position)->number, __ATOMIC_RELAXED), start = *position;
    if (number != 0) {
        memcpy(record, at(start), sizeof *record);
        if (start % log_->room + whole(record->length) <= log_->room)
            memcpy(data, at(start) + 1, record->length);
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    uint64_t tail = __atomic_load_n(&log_->tail, __ATOMIC_RELAXED);
    if (tail > start)
        *position = tail;
    else
        *position = number == 0 ? behind(start) : start + whole(record->length);
    return tail <= start && number != 0;
}

static void sleep_beyond(uint64_t position)
{
    uint64_t count, end;
    uint32_t bell = __atomic_load_n(&log_->bell, __ATOMIC_ACQUIRE);
    newest(&count, &end);
    if (end > position || log_->retired)
        return;
    if (!(bell & 1) && !SWAPPED(&log_->bell, &bell, bell | 1))
        return;
    syscall(SYS_futex, &log_->bell, FUTEX_WAIT, bell | 1, NULL, NULL, 0);
}

static void read_log(long wanted, int now)
{
    uint64_t count, end, position, next = 0;
    char *data = malloc(log_->room);
    Record record;
    newest(&count, &position);
    if (now)
        next = count + 1;
    else
        position = __atomic_load_n(&log_->tail, __ATOMIC_ACQUIRE);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready\n");
    while (wanted > 0) {
        int last = __atomic_load_n(&log_->retired, __ATOMIC_ACQUIRE);
        newest(&count, &end);
        if (position >= end && last)
            break;
        if (position >= end)
            sleep_beyond(position);
        else if (copied(&position, &record, data)) {
            printf("%llu %llu %.*s\n", (unsigned long long)record.number,
                   (unsigned long long)(next ? record.number - next : 0), (int)record.length, data);
            next = record.number + 1;
            wanted--;
        }
    }
    printf("%s\n", wanted ? "end" : "done");
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    attach(argv[2]);
    long wanted = atol(argv[3]);
    if (strcmp(argv[1], "read") == 0) {
        read_log(wanted, strcmp(argv[4], "now") == 0);
        return 0;
    }
    int many = strcmp(argv[4], "many") == 0;
    int64_t turn = INT64_C(1) << 62;
    if (lock(many ? F_RDLCK : F_WRLCK, PYMILK_CHANNEL_LOCK_AT, F_OFD_SETLK) != 0)
        fail("in use");
    for (long number = 0; number < wanted; number++) {
        char text[64];
        int length = snprintf(text, sizeof text, "%s%ld", argv[5], number);
        if (many && lock(F_WRLCK, turn, F_OFD_SETLKW) != 0)
            fail("turn");
        if (number == 0 || many)
            count_abandoned();
        append(text, length);
        if (many)
            lock(F_UNLCK, turn, F_OFD_SETLK);
    }
    return 0;
}
