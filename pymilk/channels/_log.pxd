"""Records in a shared file: how one gets in, and how a reader gets it out without a lock.

One writer, any number of readers. The writer never waits for a reader: the oldest records give way. Readers change
nothing, and keep their place to themselves.

    writer                                   reader
    begun = begun + 1, fence
    tail  = where what stays begins          count, then its end           (what is there)
    fence                                    copy the record
    bytes of the record                      fence
    ends[(count + 1) & 1] = its end          tail                          (is what was copied still there?)
    count = count + 1   (release)
    ring the bell

The bell is rung with a full fence: what the next record stores comes behind the count of this one. `ends` of the
record before stays right for a reader until then.

`count` is the word that commits a record. A writer that is killed at any step leaves the records up to `count` as they
are, but for the oldest, which the record in the making would have replaced: readers find those missing and count them.
`begun` is one more than the records that were committed and abandoned then, whoever else dies: the next writer stores
the difference in `abandoned`.

What is in the file is not believed: each number is compared with the size of the room before it is used.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .._isio cimport (
    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, __ATOMIC_RELEASE, atomic_fence, atomic_load_u32, atomic_load_u64,
    atomic_store_u64,
)
from ..protocol.bell cimport pymilk_bell_ring

cdef extern from "pymilk/channels/channel.h" nogil:
    enum:
        PYMILK_CHANNEL_VERSION
        PYMILK_CHANNEL_ROOM_AT
    const char *PYMILK_CHANNEL_MAGIC
    ctypedef struct ChannelHeader "struct pymilk_channel":
        char magic[8]
        uint32_t version
        uint32_t kind
        uint64_t nbytes
        uint64_t identity
        int64_t created_ns
        uint64_t room
        uint64_t slots
        uint64_t size
        uint64_t count
        uint64_t ends[2]
        int64_t last_ns
        uint64_t tail
        uint64_t begun
        uint64_t abandoned
        uint32_t bell
        uint32_t retired
        uint32_t freed
    ctypedef struct Record "struct pymilk_record":
        uint64_t number
        uint64_t position
        int64_t time_ns
        uint32_t length
        uint32_t flags

# What a step of a reader or writer found.
cdef enum Found:
    FOUND_RECORD
    FOUND_NOTHING       # no record behind the place of the reader
    FOUND_LAPPED        # records at the place of the reader were overwritten
    FOUND_DAMAGE        # numbers in the file that no writer stores


cdef struct Room:
    ChannelHeader *header
    char *records
    uint64_t nbytes

# Place of a reader: position and number of the record that comes next.
cdef struct Place:
    uint64_t position
    uint64_t number


cdef inline uint64_t whole(uint64_t length) noexcept nogil:
    """Return how much room a record of this length takes."""
    return sizeof(Record) + ((length + 7) & ~<uint64_t>7)


cdef inline uint64_t longest(uint64_t room) noexcept nogil:
    """Return the longest record: two of them fit, so that one which does not fit before the end fits at the start."""
    return room // 2 - sizeof(Record) & ~<uint64_t>7


cdef inline void newest(const Room *room, Place *place) noexcept nogil:
    """Set the place behind the newest record."""
    cdef uint64_t count = atomic_load_u64(&room.header.count, __ATOMIC_ACQUIRE)
    while True:
        # The writer changes this end only after it has committed the next record.
        place.position = atomic_load_u64(&room.header.ends[count & 1], __ATOMIC_ACQUIRE)
        place.number = count + 1
        count = atomic_load_u64(&room.header.count, __ATOMIC_ACQUIRE)
        if count + 1 == place.number:
            return


cdef inline bint still_there(const Room *room, uint64_t position) noexcept nogil:
    """Tell whether what was copied from this position on had not been overwritten. Pairs with `give_way`."""
    atomic_fence(__ATOMIC_ACQUIRE)
    return atomic_load_u64(&room.header.tail, __ATOMIC_RELAXED) <= position


cdef inline Found record_at(const Room *room, uint64_t *position, uint64_t end, Record *record) noexcept nogil:
    """Copy the head of the record at a position below `end`, and check it. Moves to the next lap where that is due."""
    cdef uint64_t at = position[0] % room.nbytes
    cdef Found found = FOUND_RECORD
    if position[0] & 7:
        return FOUND_DAMAGE
    if atomic_load_u64(<uint64_t *>(room.records + at), __ATOMIC_RELAXED) == 0:
        if not still_there(room, position[0]):
            return FOUND_LAPPED
        position[0] += room.nbytes - at
        at = 0
        if position[0] >= end:
            return FOUND_DAMAGE
    if room.nbytes - at < sizeof(Record):
        found = FOUND_DAMAGE
    else:
        memcpy(record, room.records + at, sizeof(Record))
        if (record.position != position[0] or record.length > longest(room.nbytes)
                or whole(record.length) > room.nbytes - at or whole(record.length) > end - position[0]
                or record.number == 0):
            found = FOUND_DAMAGE
    return found if still_there(room, position[0]) else FOUND_LAPPED


cdef inline Found oldest(const Room *room, Place *place) noexcept nogil:
    """Set the place to the oldest record that is there; behind the newest if there is none."""
    cdef Place end
    cdef Record record
    cdef Found found
    place.position = atomic_load_u64(&room.header.tail, __ATOMIC_ACQUIRE)
    newest(room, &end)
    place.number = end.number
    if place.position == end.position:
        return FOUND_RECORD
    if place.position > end.position:
        return FOUND_DAMAGE  # no writer leaves it there: what makes room for a record ends where that begins
    found = record_at(room, &place.position, end.position, &record)
    if found == FOUND_RECORD:
        place.number = record.number
    return found


cdef inline Found look_at(const Room *room, Place *place, Record *record) noexcept nogil:
    """Copy the head of the record at the place of a reader; its bytes are behind it in the room."""
    cdef Place end
    cdef Found found
    newest(room, &end)
    if place.number == end.number:
        return FOUND_NOTHING if place.position == end.position else FOUND_DAMAGE
    if place.number > end.number or place.position >= end.position:
        return FOUND_DAMAGE
    found = record_at(room, &place.position, end.position, record)
    if found == FOUND_RECORD and record.number != place.number:
        found = FOUND_DAMAGE if still_there(room, place.position) else FOUND_LAPPED
    return found


cdef inline Found take(const Room *room, Place *place, const Record *record, char *to) noexcept nogil:
    """Copy the bytes of a record that `look_at` found, and move on."""
    memcpy(to, room.records + place.position % room.nbytes + sizeof(Record), record.length)
    if not still_there(room, place.position):
        return FOUND_LAPPED
    place.position += whole(record.length)
    place.number += 1
    return FOUND_RECORD


cdef inline void count_abandoned(ChannelHeader *header, uint64_t count) noexcept nogil:
    """Count what writers died in, where `count` is committed. The caller is the one who writes now.

    A program that does not count what it begins leaves less than that: what it died in is not counted.
    """
    cdef uint64_t abandoned = atomic_load_u64(&header.abandoned, __ATOMIC_RELAXED)
    cdef uint64_t more = atomic_load_u64(&header.begun, __ATOMIC_RELAXED) - count - abandoned
    if more == 0:
        return
    if <int64_t>more > 0:
        atomic_store_u64(&header.abandoned, abandoned + more, __ATOMIC_RELAXED)
    else:
        atomic_store_u64(&header.begun, count + abandoned, __ATOMIC_RELAXED)


cdef inline void note_begun(ChannelHeader *header) noexcept nogil:
    """Note that a record or step is begun, before the first byte of it is stored."""
    atomic_store_u64(&header.begun, atomic_load_u64(&header.begun, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED)
    atomic_fence(__ATOMIC_RELEASE)


cdef inline void note_refused(ChannelHeader *header) noexcept nogil:
    """Take that back: nothing was committed, and the writer lives."""
    atomic_store_u64(&header.begun, atomic_load_u64(&header.begun, __ATOMIC_RELAXED) - 1, __ATOMIC_RELAXED)


cdef inline Found give_way(const Room *room, uint64_t *tail, uint64_t head, uint64_t end) noexcept nogil:
    """Take the oldest records out, until a record fits that ends at `end`. `head` is where the newest one ends."""
    cdef uint64_t first = tail[0]
    cdef Record record
    while end - tail[0] > room.nbytes:
        if record_at(room, tail, head, &record) != FOUND_RECORD:
            return FOUND_DAMAGE
        tail[0] += whole(record.length)
    if tail[0] != first:
        atomic_store_u64(&room.header.tail, tail[0], __ATOMIC_RELAXED)
        # A reader that sees a byte of what comes now sees the new tail. Pairs with `still_there`.
        atomic_fence(__ATOMIC_RELEASE)
    return FOUND_RECORD


cdef inline uint64_t end_of(const Room *room, const Place *place, uint32_t length) noexcept nogil:
    """Return where a record of this length would end, written at the place of the writer."""
    cdef uint64_t rest = room.nbytes - place.position % room.nbytes
    return place.position + whole(length) + (rest if rest < whole(length) else 0)


cdef inline Found make_room(const Room *room, uint64_t *tail, const Place *place, uint32_t length) noexcept nogil:
    """Begin a record of this length at the place of the writer: note it, and let the oldest ones give way."""
    cdef Found found
    note_begun(room.header)
    found = give_way(room, tail, place.position, end_of(room, place, length))
    if found != FOUND_RECORD:
        note_refused(room.header)
    return found


cdef inline void put(const Room *room, Place *place, const char *data, uint32_t length, uint32_t flags,
                     int64_t time_ns) noexcept nogil:
    """Write a record at the place of the writer, and commit it; what was there has given way."""
    cdef uint64_t at = place.position % room.nbytes
    cdef Record *record
    if room.nbytes - at < whole(length):
        atomic_store_u64(<uint64_t *>(room.records + at), 0, __ATOMIC_RELAXED)
        place.position += room.nbytes - at
        at = 0
    record = <Record *>(room.records + at)
    record.position = place.position
    record.time_ns = time_ns
    record.length = length
    record.flags = flags
    atomic_store_u64(&record.number, place.number, __ATOMIC_RELAXED)
    memcpy(room.records + at + sizeof(Record), data, length)
    place.position += whole(length)
    room.header.last_ns = time_ns
    atomic_store_u64(&room.header.ends[place.number & 1], place.position, __ATOMIC_RELAXED)
    atomic_store_u64(&room.header.count, place.number, __ATOMIC_RELEASE)
    place.number += 1
    pymilk_bell_ring(&room.header.bell)
