"""`Bell`: what a channel gives to those who wait for several things at once.

A channel has three words in its file: a futex that rings with each record (protocol/bell.h), a count that has changed
before it rings, and a mark that says that nothing comes any more. Whoever waits knows a value of the count. A queue,
whose takers take from each other, has no such count: there is news while one of its slots is in a certain state.
"""

cimport cython
from libc.stdint cimport uint32_t, uint64_t

from .._isio cimport __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, atomic_add_u64, atomic_load_u32, atomic_load_u64
from ..protocol.bell cimport pymilk_bell_ring
from ..protocol.filestate cimport FILE_SAME, file_state
from ..protocol.flags cimport atomic_load_int
from ..protocol.port cimport PYMILK_ASSERT

__all__ = ["Bell"]


@cython.final
@cython.auto_pickle(False)
cdef class Bell:
    """A bell that several threads or processes wait for; made here it is one of this process."""

    def __cinit__(self):
        self.word, self.count = &self.own_word, &self.own_count

    cdef bint wakes(self) noexcept nogil:
        return self.mapping is None or self.mapping.writable

    cdef bint has_news(self, uint64_t count) noexcept nogil:
        cdef size_t index
        if self.over != NULL and atomic_load_u32(<uint32_t *>self.over, __ATOMIC_RELAXED) != 0:
            return True
        if self.first == NULL:
            return atomic_load_u64(<uint64_t *>self.count, __ATOMIC_ACQUIRE) != count
        for index in range(self.words):
            word = <uint64_t *>(<char *>self.first + index * self.stride)
            if atomic_load_u64(word, __ATOMIC_ACQUIRE) & self.mask == self.value:
                return True
        return False

    cdef void look_for(self, size_t first, size_t words, size_t stride, uint64_t mask, uint64_t value):
        PYMILK_ASSERT(words > 0 and first + (words - 1) * stride + 8 <= self.mapping.nbytes)
        self.first = <uint64_t *>(self.mapping.base + first)
        self.words, self.stride, self.mask, self.value = words, stride, mask, value

    cdef bint is_gone(self) noexcept nogil:
        if self.mapping is None:
            return False
        return (atomic_load_int(&self.mapping.closed) != 0
                or file_state(self.path_chars, self.device, self.inode, self.mapping.nbytes) != FILE_SAME)

    @property
    def counted(self):
        """The count: another one is news."""
        return atomic_load_u64(<uint64_t *>self.count, __ATOMIC_ACQUIRE)

    def ring(self):
        """Count one more, and wake who waits. For a bell of this process."""
        PYMILK_ASSERT(self.mapping is None)
        atomic_add_u64(&self.own_count, 1, __ATOMIC_RELAXED)
        pymilk_bell_ring(self.word)


cdef Bell bell_in_file(Mapping mapping, size_t word, size_t count, size_t over, bytes path, dev_t device, ino_t inode):
    cdef Bell bell = Bell.__new__(Bell)
    PYMILK_ASSERT(max(word, over) + 4 <= mapping.nbytes and count + 8 <= mapping.nbytes)
    bell.mapping, bell.path, bell.device, bell.inode = mapping, path, device, inode
    bell.path_chars = path
    bell.word = <uint32_t *>(mapping.base + word)
    bell.count = <uint64_t *>(mapping.base + count)
    if over != 0:
        bell.over = <uint32_t *>(mapping.base + over)
    return bell
