"""Commands in a shared file: how one gets into a slot, is taken by one taker, and comes back with a reply.

One word of a slot says its state, who has it, and how often it was changed. It changes by compare-and-exchange only,
and whoever has the slot changes the rest of it.

    FREE -> FILLING (caller) -> READY -> STARTED (taker) -> DONE (caller) -> FREE
    READY -> FREE               the caller leaves before the command was taken
    STARTED -> LEFT -> FREE     the caller leaves after that: no reply is wanted
    STARTED -> UNKNOWN -> FREE  the taker died
    READY -> READY              the caller does not want to know; it has nobody then

A process that is killed leaves a word that names it, from which another one goes on: `heir`.
"""

from libc.stdint cimport uint32_t, uint64_t

from .._isio cimport (
    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, __ATOMIC_SEQ_CST, atomic_load_u64, atomic_swap_if_u64,
)
from ._log cimport ChannelHeader

cdef extern from "pymilk/channels/channel.h" nogil:
    ctypedef struct Slot "struct pymilk_slot":
        uint64_t word
        uint64_t number
        long long time_ns
        uint32_t length
        uint32_t flags
        uint32_t caller
        uint32_t bell
        uint64_t abandoned

cdef enum:
    STATE_MASK = 15     # of the word of a slot

cdef enum State:
    FREE
    FILLING
    READY
    STARTED
    LEFT
    DONE
    UNKNOWN
    STATES

cdef struct Queue:
    ChannelHeader *header
    Slot *slots
    char *data
    uint32_t count
    uint32_t size


cdef inline int state_of(uint64_t word) noexcept nogil:
    return word & STATE_MASK


cdef inline uint32_t owner_of(uint64_t word) noexcept nogil:
    return (word >> 4) & 0x7ffffff


cdef inline uint64_t changes_of(uint64_t word) noexcept nogil:
    return word >> 31


cdef inline uint64_t look(Slot *slot) noexcept nogil:
    return atomic_load_u64(&slot.word, __ATOMIC_ACQUIRE)


cdef inline bint change(Slot *slot, uint64_t *word, State state, uint32_t owner) noexcept nogil:
    """Change a slot whose word is `word`, and tell whether it still was; `word` is what is there then."""
    cdef uint64_t new = (word[0] >> 31) + 1 << 31 | <uint64_t>(owner & 0x7ffffff) << 4 | <uint64_t>state
    if atomic_swap_if_u64(&slot.word, word, new, False, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE):
        word[0] = new
        return True
    return False


cdef inline int claim(const Queue *queue, uint32_t owner, uint64_t *word) noexcept nogil:
    """Claim a free slot, and return its index; -1 if there is none."""
    cdef uint32_t index
    for index in range(queue.count):
        word[0] = look(&queue.slots[index])
        if state_of(word[0]) == FREE and change(&queue.slots[index], word, FILLING, owner):
            return index
    return -1


cdef inline bint any_in(const Queue *queue, int state) noexcept nogil:
    cdef uint32_t index
    for index in range(queue.count):
        if state_of(look(&queue.slots[index])) == state:
            return True
    return False


cdef inline int first_ready(const Queue *queue, uint64_t *word) noexcept nogil:
    """Return the slot with the lowest number that is ready; -1 if there is none.

    A command that was sent before the one that is found was there before the look that found it began to see that one.
    So look again until no lower number is there.
    """
    cdef int best = -1, found
    cdef uint32_t index
    cdef uint64_t lowest = 0, number, seen, first = 0
    while True:
        found = -1
        for index in range(queue.count):
            seen = look(&queue.slots[index])
            if state_of(seen) == READY:
                number = atomic_load_u64(&queue.slots[index].number, __ATOMIC_RELAXED)
                if found < 0 or number < lowest:
                    found, lowest, word[0] = index, number, seen
        if found < 0 or (found == best and word[0] == first) or (best >= 0 and lowest > queue.slots[best].number):
            return found
        best, first = found, word[0]


cdef inline void count_abandoned(Slot *slot, uint64_t word) noexcept nogil:
    """Count a caller that died while it filled a slot, which `word` shows; once, whoever else dies or counts it.

    Nobody but an heir changes that word. What was loaded before a look that still finds it is of that time, so that
    only one of several heirs swaps it, and none that comes late.
    """
    cdef uint64_t seen = atomic_load_u64(&slot.abandoned, __ATOMIC_ACQUIRE)
    if look(slot) == word and <uint32_t>seen != <uint32_t>changes_of(word):
        atomic_swap_if_u64(&slot.abandoned, &seen, (seen >> 32) + 1 << 32 | <uint32_t>changes_of(word), False,
                           __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)


cdef inline bint heir(Slot *slot, uint64_t word) noexcept nogil:
    """Take a slot from a process that has died, which `word` names. Tells whether it is free now."""
    cdef int state = state_of(word)
    if state == STARTED and slot.caller != 0:
        change(slot, &word, UNKNOWN, slot.caller)
        return False
    if state == FILLING:
        count_abandoned(slot, word)
    return change(slot, &word, FREE, 0)
