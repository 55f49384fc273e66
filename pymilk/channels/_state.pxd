"""Keys and values in a shared file: two images of them, of which one is valid at any time.

Any number of writers, of which one writes at a time: it holds a lock of the kernel. Any number of readers, who take no
lock and change nothing.

    writer, with the lock                    reader
    begun = begun + 1, fence
    tail  = epoch + 1                        epoch, then the image of its lowest bit
    fence                                    copy what it wants of that
    the other image, as it shall be          fence
    epoch = epoch + 1   (release)            tail <= epoch + 1   (is that image still there?)
    ring the bell

The epoch is `count` of the header. It is the word that commits everything that was set in one step. A writer that is
killed before leaves the image that is valid as it is, and the next one makes the other one anew. What a reader copies stays
right until the next step but one begins.

What is in the file is not believed: each number is compared with the size of an image before it is used.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset

from .._isio cimport (
    __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, atomic_fence, atomic_load_u64, atomic_store_u64,
)
from ._log cimport FOUND_DAMAGE, FOUND_LAPPED, FOUND_NOTHING, FOUND_RECORD, ChannelHeader, Found

cdef extern from "pymilk/channels/channel.h" nogil:
    int64_t PYMILK_CHANNEL_LOCK_AT
    ctypedef struct Image "struct pymilk_image":
        uint64_t epoch
        uint64_t nbytes
        uint64_t keys
        uint64_t removed
    ctypedef struct Entry "struct pymilk_entry":
        uint64_t sequence
        uint64_t epoch
        int64_t time_ns
        uint32_t length
        uint16_t key_length
        uint16_t type

# Both images, and the bytes of each.
cdef struct Images:
    ChannelHeader *header
    char *room
    uint64_t nbytes

# What has become of a change, or why a key cannot be set or removed.
cdef enum Refusal:
    DONE
    LATER           # it takes more room than before
    NO_KEY
    NEW_KEY         # in a state of fixed keys
    NEW_TYPE        # in a state of fixed keys
    FIXED           # removing a key of those
    NO_ROOM
    DAMAGE


cdef inline uint64_t padded(uint64_t length) noexcept nogil:
    return (length + 7) & ~<uint64_t>7


cdef inline char *image_of(const Images *images, uint64_t epoch) noexcept nogil:
    return images.room + (epoch & 1) * images.nbytes


cdef inline Found begin(const Images *images, uint64_t *epoch, uint64_t *nbytes) noexcept nogil:
    """Find the image that is valid: its epoch, and its bytes, those in front of the entries among them."""
    cdef Image *image
    epoch[0] = atomic_load_u64(&images.header.count, __ATOMIC_ACQUIRE)
    image = <Image *>image_of(images, epoch[0])
    nbytes[0] = image.nbytes
    if image.epoch != epoch[0] or nbytes[0] & 7 or nbytes[0] > images.nbytes - sizeof(Image):
        return FOUND_DAMAGE
    nbytes[0] += sizeof(Image)
    return FOUND_RECORD


cdef inline Found end(const Images *images, uint64_t epoch, Found found) noexcept nogil:
    """Tell whether what was copied of the image of an epoch, and `found` there, had not been overwritten."""
    cdef uint64_t tail
    atomic_fence(__ATOMIC_ACQUIRE)
    tail = atomic_load_u64(&images.header.tail, __ATOMIC_ACQUIRE)
    if tail <= epoch + 1:
        return found
    # No writer is further ahead than by one.
    return FOUND_LAPPED if tail <= atomic_load_u64(&images.header.count, __ATOMIC_ACQUIRE) + 1 else FOUND_DAMAGE


cdef inline uint64_t size_of(const Entry *entry) noexcept nogil:
    return sizeof(Entry) + padded(entry.key_length) + padded(entry.length)


cdef inline uint64_t entry_at(const char *image, uint64_t at, uint64_t nbytes, Entry *entry) noexcept nogil:
    """Copy the head of the entry at a place of an image, and return where the next one is; 0 if there is none."""
    if nbytes - at < sizeof(Entry):
        return 0
    memcpy(entry, image + at, sizeof(Entry))
    return at + size_of(entry) if size_of(entry) <= nbytes - at else 0


cdef inline Found find(const char *image, uint64_t nbytes, const char *key, uint64_t length, uint64_t *place,
                       Entry *entry) noexcept nogil:
    """Find a key in an image. The place is the end of the image if it is not there."""
    cdef uint64_t at = sizeof(Image), after
    while at < nbytes:
        after = entry_at(image, at, nbytes, entry)
        if after == 0:
            return FOUND_DAMAGE
        if entry.key_length == length and memcmp(image + at + sizeof(Entry), key, length) == 0:
            place[0] = at
            return FOUND_RECORD
        at = after
    place[0] = nbytes
    return FOUND_NOTHING


cdef inline void put(char *image, uint64_t at, const Entry *entry, const char *key, const char *value) noexcept nogil:
    """Write an entry. There is room, and what is behind it has been moved."""
    cdef uint64_t behind = at + sizeof(Entry) + padded(entry.key_length)
    if entry.length & 7:
        memset(image + behind + (entry.length & ~<uint32_t>7), 0, 8)
    if entry.key_length & 7:
        memset(image + behind - 8, 0, 8)
    memcpy(image + at, entry, sizeof(Entry))
    memcpy(image + at + sizeof(Entry), key, entry.key_length)
    memcpy(image + behind, value, entry.length)


cdef inline void resize(char *image, uint64_t at, uint64_t old, uint64_t new) noexcept nogil:
    """Move what is behind an entry, which takes `new` bytes from now on, and not `old`."""
    cdef Image *head = <Image *>image
    cdef uint64_t nbytes = head.nbytes + sizeof(Image)
    if old != new:
        memmove(image + at + new, image + at + old, nbytes - at - old)
        head.nbytes += new - old
