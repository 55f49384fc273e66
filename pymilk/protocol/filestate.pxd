"""Whether the file of a stream is still the one that was attached, whole and in its place."""

from libc.stdint cimport INT64_MAX, int64_t, uint64_t

from .._isio cimport CLOCK_MONOTONIC, IMAGE_METADATA, __ATOMIC_ACQUIRE, atomic_fence, c_stat, dev_t, ino_t, stat
from .clock cimport POLL_NS, clock_ns, sleep_until
from .flags cimport atomic_load_int
from .guard cimport PYMILK_LOST
from .layout cimport Header

# What the path of a stream leads to.
cdef enum:
    FILE_SAME
    FILE_OTHER
    FILE_GONE
    FILE_CUT        # the same, with another size

cdef enum:
    # A header that differs is looked at again for so long: a program may put it back.
    SECOND_LOOKS_NS = 100_000_000
    # A writer looks this often whether the file is still in its place.
    PLACE_NS = 500_000_000

# A stream file to read. The pointers lead into a handle that the caller holds.
cdef struct Source:
    char *base
    const Header *h
    const char *path        # empty for a stream of this process alone
    dev_t device
    ino_t inode
    int *closed             # Mapping.closed: closed, or found damaged


cdef inline int file_state(const char *path, dev_t device, ino_t inode, uint64_t nbytes) noexcept nogil:
    """Ask the file system what the path leads to now (about 1 us). Without a path: always FILE_SAME."""
    cdef stat st
    if path[0] == 0:
        return FILE_SAME
    if c_stat(path, &st) != 0:
        return FILE_GONE
    if st.st_ino != inode or st.st_dev != device:
        return FILE_OTHER
    return FILE_SAME if <uint64_t>st.st_size == nbytes else FILE_CUT


# Where the file of a writer is to be. The path belongs to a handle that the caller holds.
cdef struct Place:
    const char *path
    dev_t device
    ino_t inode
    uint64_t nbytes
    int64_t next_look       # CLOCK_MONOTONIC; INT64_MAX once the file was found gone


cdef inline bint left_place(Place *place, int64_t now) noexcept nogil:
    """Look now and then; True, once, if the path leads to another file or nowhere."""
    cdef int state
    if now < place.next_look:
        return False
    place.next_look = now + PLACE_NS
    state = file_state(place.path, place.device, place.inode, place.nbytes)
    if state != FILE_GONE and state != FILE_OTHER:
        return False
    place.next_look = INT64_MAX
    return True


cdef inline bint reshaped(const char *base, const Header *h) noexcept nogil:
    """Tell whether the header differs from the one that was checked when the stream was attached.

    Addresses come from the checked header and stay inside the mapping. But if another program made its stream in
    this file, or overwrote the header, the bytes there have another meaning.
    """
    cdef const IMAGE_METADATA *md = <const IMAGE_METADATA *>base
    return (md.naxis != h.naxis or md.datatype != h.datatype or md.nelement != h.nelement
            or md.size[0] != h.size[0] or md.size[1] != h.size[1] or md.size[2] != h.size[2]
            or md.sem != h.n.sem or md.NBkw != h.n.nbkw or md.CBsize != h.n.cbsize)


cdef inline bint damaged(const char *base, const Header *h, const int *closed) noexcept nogil:
    """Tell, after using the memory, whether the file was cut or its header rewritten before or during the use."""
    # The flag is read after the data. Pairs with pymilk_guard_replace, which raises it before zeros appear.
    atomic_fence(__ATOMIC_ACQUIRE)
    return reshaped(base, h) or atomic_load_int(closed) & PYMILK_LOST != 0


cdef inline bint stays_damaged(const char *base, const Header *h, const int *closed) noexcept nogil:
    """Tell whether the file is damaged, and stays so: a header that is put back within 0.1 s is no damage.

    For looks before the memory is used. What was read before cannot be trusted, whatever the header is now.
    """
    cdef int64_t now, deadline = 0
    while damaged(base, h, closed):
        now = clock_ns(CLOCK_MONOTONIC)
        if deadline == 0:
            deadline = now + SECOND_LOOKS_NS
        if atomic_load_int(closed) & PYMILK_LOST or now >= deadline:
            return True
        sleep_until(now + POLL_NS)
    return False


cdef inline bint retired(const char *base, const Header *h) noexcept nogil:
    """Tell whether a pymilk process that replaced or destroyed this stream has marked it so.

    Such a process clears the inode in the old file, which no path leads to any more: checking it is a load
    instead of a system call. Other programs compare the stored inode with that of the path, and see a difference
    in either case.
    """
    return (<const IMAGE_METADATA *>base).inode != h.inode
