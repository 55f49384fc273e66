"""`QueueFile`: the file of a command queue in memory. Sending, taking, replying, waiting without the GIL.

Rules are those of `LogFile`: ask `use()` after Python code that may belong to others, end with `check_whole()`.
"""

cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .._isio cimport __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, __ATOMIC_SEQ_CST, CLOCK_MONOTONIC, atomic_add_u64, atomic_load_u64
from ..native.bell cimport Bell, bell_in_file
from ..native.checks cimport timeout_ns
from ..native.memory cimport Mapping
from ..protocol.bell cimport pymilk_bell_look, pymilk_bell_ring, pymilk_bell_sleep
from ..protocol.clock cimport clock_ns, later
from ..protocol.port cimport pymilk_pause
from ._log cimport FOUND_DAMAGE, PYMILK_CHANNEL_ROOM_AT
from ._queue cimport (
    DONE, FREE, LEFT, READY, STARTED, STATE_MASK, STATES, UNKNOWN, Queue, Slot, any_in, change, changes_of, claim,
    first_ready, heir, look, owner_of, state_of,
)
from .file cimport ChannelFile

import random

from ..errors import (
    ChannelArgumentError,
    ChannelFormatError,
    ChannelFullError,
    ChannelReadOnlyError,
    RecordTooLongError,
)
from ..system.locks import holder_of, take_lock
from ..system.arrays import unmasked
from .files import life_of

__all__ = ["SLOT_NBYTES", "QueueFile"]

cdef enum:
    # A wait looks at signals, `close`, the file, and whether others live this often.
    SLICE_NS = 50_000_000
    FLAG_TEXT = 1
    FLAG_ERROR = 2
    CLOCK_REALTIME = 0

#: Bytes of the head of a slot.
SLOT_NBYTES = sizeof(Slot)


@cython.auto_pickle(False)
cdef class QueueFile(ChannelFile):
    """A command queue, mapped. `CommandQueue` is what users have.

    Parameters
    ----------
    fd : int
        Stays with the caller.
    life : int
        Descriptor for the lock that proves that this object lives; -1: it only looks.
    path, name : str
    kind : int
        That the file has to be of.
    shared : bool
        `fd` is open for writing.
    spin : float
        Seconds that a wait watches before it sleeps.

    Raises
    ------
    ChannelFormatError
        The file is another, or damaged.
    """

    cdef Bell bell              # made when somebody waits for several things
    cdef Queue queue
    cdef int life
    cdef uint32_t me
    cdef int64_t spin_ns
    cdef int64_t next_look      # of those who send, at the place of the file
    cdef readonly uint32_t slots
    cdef readonly uint32_t size

    def __init__(self, int fd, int life, str path, str name, uint32_t kind, bint shared, double spin):
        cdef uint64_t slots, size
        self.open_file(fd, path, name, kind, shared)
        slots, size = self.header.slots, self.header.size
        if not (1 <= slots <= 4096 and 8 <= size <= 1 << 24 and size % 8 == 0
                and slots * (sizeof(Slot) + size) <= self.mapping.nbytes - PYMILK_CHANNEL_ROOM_AT):
            raise ChannelFormatError(
                f"{path} is no channel of this kind: {slots} slots of {size} bytes are not in a file of "
                f"{self.mapping.nbytes}", channel=name, path=path, field="slots", expected="1 to 4096", found=slots)
        self.slots, self.size = slots, size
        self.queue.header = self.header
        self.queue.slots = <Slot *>(self.mapping.base + PYMILK_CHANNEL_ROOM_AT)
        self.queue.data = <char *>(self.queue.slots + slots)
        self.queue.count, self.queue.size = slots, size
        self.spin_ns = <int64_t>(spin * 1e9)
        self.life = life
        while life >= 0 and not self.me:
            self.me = random.SystemRandom().randrange(1, 1 << 27)
            try:
                take_lock(life, start=life_of(self.me))
            except BlockingIOError:
                self.me = 0
        self.check_whole()

    cdef Queue *use(self) except NULL:
        self.check_open()
        if not self.me:
            raise ChannelReadOnlyError(
                f"channel {self.name!r} is only looked at", channel=self.name, path=self.path)
        return &self.queue

    cdef int damaged(self) except -1:
        self.check_whole()
        return self.check(FOUND_DAMAGE)

    def close(self):
        """Let go of the file."""
        self.life = -1
        ChannelFile.close(self)

    @property
    def count(self):
        """Commands sent since the queue was made."""
        self.check_open()
        return atomic_load_u64(&self.header.count, __ATOMIC_ACQUIRE)

    cdef int number_in(self, int state) except -1:
        cdef uint32_t index
        cdef int found = 0
        self.check_open()
        for index in range(self.queue.count):
            found += state_of(look(&self.queue.slots[index])) == state
        self.check_whole()
        return found

    @property
    def waiting(self):
        """Commands that nobody has taken yet."""
        return self.number_in(READY)

    @property
    def started(self):
        """Commands that somebody has taken, and not answered."""
        return self.number_in(STARTED) + self.number_in(LEFT)

    @property
    def abandoned(self):
        """Commands whose callers died before they were sent, as far as others have found them; nobody can take them."""
        cdef uint64_t found = 0
        cdef uint32_t index
        self.check_open()
        for index in range(self.queue.count):
            found += atomic_load_u64(&self.queue.slots[index].abandoned, __ATOMIC_RELAXED) >> 32
        self.check_whole()
        return found

    def _slots(self):
        """Return state, owner, time and length of all slots, as they are; nothing is changed."""
        cdef list found = []
        cdef uint32_t index
        cdef uint64_t word
        cdef Slot *slot
        for index in range(self.slots):
            self.check_open()
            slot = &self.queue.slots[index]
            word = look(slot)
            each = state_of(word), owner_of(word), slot.time_ns, slot.length
            # What changed meanwhile is in the hands of somebody who lives.
            if look(slot) == word:
                found.append(each)
        self.check_whole()
        return found

    def _is_gone(self):
        """Tell whether no command can come any more in this file."""
        self.check_open()
        return self.is_gone()

    def _removed(self):
        """Return the error that says so."""
        return self.removed()

    # -- waiting

    cdef bint has_news(self, int state, int slot, uint64_t word) noexcept nogil:
        if slot < 0:
            return any_in(&self.queue, state)
        return look(&self.queue.slots[slot]) != word

    cdef int rest(self, uint32_t *bell, int state, int slot, uint64_t word, int64_t deadline) except -1:
        """Watch, then sleep once, until a slot is in this state, or the word of one changes, or a slice is over."""
        cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
        cdef int64_t until = min(deadline, now + self.spin_ns)
        cdef uint32_t seen
        cdef Mapping mapping = self.mapping  # stays until the end of the call
        with nogil:
            until = min(until, now + SLICE_NS)
            seen = pymilk_bell_look(bell)
            while not self.has_news(state, slot, word) and now < until:
                # One word is watched, not all slots. It also changes when somebody goes to sleep.
                while pymilk_bell_look(bell) == seen and now < until:
                    pymilk_pause()
                    now = clock_ns(CLOCK_MONOTONIC)
                seen = pymilk_bell_look(bell)
            now = clock_ns(CLOCK_MONOTONIC)
            if not self.has_news(state, slot, word) and now < deadline and not mapping.closed:
                pymilk_bell_sleep(bell, seen, min(deadline, now + SLICE_NS))
        PyErr_CheckSignals()
        self.use()
        return self.check_whole()

    cdef Bell bell_at(self, const uint32_t *word, const uint64_t *count, size_t over):
        cdef char *base = self.mapping.base
        return bell_in_file(self.mapping, <char *>word - base, <char *>count - base, over, self.path_bytes,
                            self.device, self.inode)

    def _awaited(self):
        """Return what `pymilk.wait_any` waits for: see `pymilk.streams.waiting.Awaited`."""
        cdef Queue *queue = self.use()
        self.check_whole()
        if self.bell is None:
            self.bell = self.bell_at(&queue.header.bell, &queue.header.count,
                                     <char *>&queue.header.retired - self.mapping.base)
            self.bell.look_for(<char *>&queue.slots[0].word - self.mapping.base, self.slots, sizeof(Slot),
                               STATE_MASK, READY)
        if self.is_gone() and not any_in(queue, READY):
            raise self.removed()
        return self.bell, 0, self._has_command

    def _has_command(self):
        return bool(any_in(self.use(), READY))

    def _reply_awaited(self, int index, uint64_t ready):
        """Return the same for the reply to a command."""
        cdef Queue *queue = self.use()
        cdef Slot *slot = &queue.slots[index]
        cdef uint64_t word = look(slot)
        # A queue that is removed has no more commands, but replies.
        bell = self.bell_at(&slot.bell, &slot.word, 0)
        return bell, word, lambda: self._state(index, ready) in (DONE, UNKNOWN)

    cdef bint lives(self, uint32_t owner) except -1:
        """Tell whether the object lives that calls itself so."""
        return owner != 0 and (owner == self.me or holder_of(self.life, start=life_of(owner)) is not None)

    def _sweep(self):
        """Take over what dead callers and takers have; returns how many slots became free."""
        cdef Queue *queue = self.use()
        cdef uint32_t index
        cdef uint64_t word
        cdef int state, free = 0
        for index in range(self.slots):
            queue = self.use()
            word = look(&queue.slots[index])
            state = state_of(word)
            if state >= STATES:
                self.damaged()
            if state == FREE or state == READY or self.lives(owner_of(word)):
                continue
            queue = self.use()
            if heir(&queue.slots[index], word):
                free += 1
                pymilk_bell_ring(&queue.header.freed)
            else:
                pymilk_bell_ring(&queue.slots[index].bell)
        self.check_whole()
        return free

    # -- calling

    cdef bint has_gone(self) noexcept:
        """Tell whether the file is gone; if not, `next_look` says when to look again."""
        if self.is_gone():
            return True
        self.next_look = clock_ns(CLOCK_MONOTONIC) + SLICE_NS
        return False

    cdef int check_length(self, Py_ssize_t length) except -1:
        if length > self.size:
            raise RecordTooLongError(
                f"channel {self.name!r}: {length} bytes do not fit, {self.size} are the most; make the queue with a "
                "larger size", channel=self.name, path=self.path, nbytes=length, longest=self.size)
        return 0

    cdef bytes plain(self, data):
        cdef Py_buffer view
        if type(data) is bytes:
            return data
        try:
            if isinstance(data, str):
                return data.encode()
            pixels = unmasked(data, "data")
            try:
                PyObject_GetBuffer(pixels, &view, PyBUF_C_CONTIGUOUS)
            except ValueError as error:  # of NumPy, whose arrays are not contiguous
                raise BufferError(str(error)) from None
        except (TypeError, BufferError, UnicodeEncodeError) as error:
            raise ChannelArgumentError(
                f"channel {self.name!r}: a command or reply is bytes, text that UTF-8 has, or a contiguous buffer, not "
                f"{type(data).__name__} ({error})", channel=self.name, path=self.path, argument="data", found=data,
            ) from None
        try:
            self.check_length(view.len)
            return PyBytes_FromStringAndSize(<const char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def _send(self, data, timeout, list sent=None):
        """Put a command into a free slot; returns the slot, its word, and the number of the command.

        `sent` gets slot and word: whatever exception comes before the caller has them, it can take the command back.
        """
        cdef bytes content = self.plain(data)
        cdef int64_t deadline = later(clock_ns(CLOCK_MONOTONIC), timeout_ns(timeout, ""))
        cdef uint64_t word = 0
        cdef Queue *queue
        cdef int slot
        self.check_length(len(content))
        while True:
            queue = self.use()
            self.check_whole()
            # A system call less: whoever waits for the reply looks at the file, too.
            if self.header.retired or (clock_ns(CLOCK_MONOTONIC) >= self.next_look and self.has_gone()):
                raise self.removed()
            slot = claim(queue, self.me, &word)
            if slot >= 0:
                break
            if self._sweep():
                continue
            if clock_ns(CLOCK_MONOTONIC) >= deadline:
                raise ChannelFullError(
                    f"channel {self.name!r}: all {self.slots} slots are in use; wait for replies, or make the queue "
                    "with more slots", channel=self.name, path=self.path, slots=self.slots)
            self.rest(&queue.header.freed, FREE, -1, 0, deadline)
        return self.fill(queue, slot, word, content, FLAG_TEXT if isinstance(data, str) else 0, sent)

    cdef object fill(self, Queue *queue, int index, uint64_t word, bytes content, uint32_t flags, list sent):
        cdef Slot *slot = &queue.slots[index]
        cdef uint64_t number
        memcpy(queue.data + <uint64_t>index * self.size, <const char *>content, len(content))
        slot.length, slot.flags, slot.caller = len(content), flags, self.me
        slot.time_ns = clock_ns(CLOCK_REALTIME)
        number = slot.number = atomic_add_u64(&queue.header.count, 1, __ATOMIC_SEQ_CST)
        if not change(slot, &word, READY, self.me):
            self.damaged()
        if sent is not None:
            sent.append((index, word))
        pymilk_bell_ring(&queue.header.bell)
        self.check_whole()
        return index, word, number

    def _state(self, int index, uint64_t ready):
        """Return the state of a command whose slot had this word when it was sent."""
        cdef Queue *queue = self.use()
        cdef uint64_t word = look(&queue.slots[index])
        self.check_whole()
        if not self.is_mine(word, ready):
            self.damaged()
        return state_of(word)

    cdef bint is_mine(self, uint64_t word, uint64_t ready) noexcept:
        """Tell whether the word of a slot is about the command for which it was `ready`, not about a later one."""
        cdef uint64_t steps = changes_of(word) - changes_of(ready)
        cdef int state = state_of(word)
        return ((steps == 0 and word == ready) or (steps == 1 and state == STARTED)
                or (steps == 2 and (state == DONE or state == UNKNOWN) and owner_of(word) == self.me))

    def _wait(self, int index, uint64_t ready, timeout):
        """Wait until there is a reply, or the taker died; returns the state, which is another after the timeout."""
        cdef int64_t deadline = later(clock_ns(CLOCK_MONOTONIC), timeout_ns(timeout, ""))
        cdef Queue *queue
        cdef uint64_t word
        cdef int state
        cdef int64_t now, next_look = clock_ns(CLOCK_MONOTONIC) + SLICE_NS
        while True:
            queue = self.use()
            word = look(&queue.slots[index])
            state = self._state(index, ready)
            if state == DONE or state == UNKNOWN:
                return state
            now = clock_ns(CLOCK_MONOTONIC)
            # Look at the deadline, too: who asks again and again with short timeouts has to learn it.
            if now >= next_look or now >= deadline:
                next_look = now + SLICE_NS
                if state == READY and self.is_gone():
                    return state
                if state == STARTED and not self.lives(owner_of(word)):
                    queue = self.use()
                    heir(&queue.slots[index], word)
                    continue
            if now >= deadline:
                return state
            self.rest(&queue.slots[index].bell, FREE, index, word, deadline)

    def _withdraw(self, int index, uint64_t ready):
        """Take a command back; False if it was taken already."""
        cdef Queue *queue = self.use()
        if not change(&queue.slots[index], &ready, FREE, 0):
            self.check_whole()
            return False
        pymilk_bell_ring(&queue.header.freed)
        self.check_whole()
        return True

    cdef object content(self, Queue *queue, int index):
        cdef uint32_t length = queue.slots[index].length, flags = queue.slots[index].flags
        cdef const char *data = queue.data + <uint64_t>index * self.size
        if length > self.size:
            self.damaged()
        return PyUnicode_DecodeUTF8(data, length, "replace") if flags & FLAG_TEXT else data[:length]

    def _collect(self, int index, uint64_t ready):
        """Return the reply, and whether it is an error; the slot is free then. The state is `DONE`."""
        cdef Queue *queue = self.use()
        cdef uint64_t word = look(&queue.slots[index])
        data = self.content(queue, index)
        error = bool(queue.slots[index].flags & FLAG_ERROR)
        if state_of(word) != DONE or not change(&queue.slots[index], &word, FREE, 0):
            self.damaged()
        pymilk_bell_ring(&queue.header.freed)
        self.check_whole()
        return data, error

    def _leave(self, int index, uint64_t ready):
        """Want no reply any more. A command that is not taken yet stays."""
        cdef Queue *queue = self.use()
        cdef Slot *slot = &queue.slots[index]
        cdef uint64_t word = look(slot)
        cdef int _tries
        if word == ready:
            slot.caller = 0
        for _tries in range(3):
            if not self.is_mine(word, ready):
                return  # who took it saw that nobody waits: the slot is free, or has the command of another
            if state_of(word) == READY:
                if change(slot, &word, READY, 0):
                    return
            elif state_of(word) == STARTED:
                if change(slot, &word, LEFT, owner_of(word)):
                    return
            elif change(slot, &word, FREE, 0):
                pymilk_bell_ring(&queue.header.freed)
                return

    # -- taking

    def _take(self, timeout, list taken=None):
        """Return the slot, its word, number, time and data of the oldest command; None after the timeout.

        `taken` gets slot and word: whatever exception comes before the caller has the rest, it can answer.
        """
        cdef int64_t deadline = later(clock_ns(CLOCK_MONOTONIC), timeout_ns(timeout, ""))
        cdef int64_t now, next_look = clock_ns(CLOCK_MONOTONIC) + SLICE_NS
        cdef uint64_t word = 0
        cdef Queue *queue
        cdef int index
        while True:
            queue = self.use()
            self.check_whole()
            index = first_ready(queue, &word)
            if index >= 0:
                if change(&queue.slots[index], &word, STARTED, self.me):
                    if taken is not None:
                        taken.append((index, word))
                    data = self.content(queue, index)
                    self.check_whole()
                    return index, word, queue.slots[index].number, queue.slots[index].time_ns, data
                continue
            if self.header.retired:
                raise self.removed()
            now = clock_ns(CLOCK_MONOTONIC)
            if (now >= next_look or now >= deadline) and self.is_gone():
                raise self.removed()
            if now >= deadline:
                return None
            if now >= next_look:
                next_look = now + SLICE_NS
                self._sweep()
                queue = self.use()
            self.rest(&queue.header.bell, READY, -1, 0, deadline)

    def _finish(self, int index, uint64_t word, data, bint error):
        """Answer a command; False if the caller has left."""
        cdef bytes content = self.plain(data)
        cdef Queue *queue = self.use()
        cdef Slot *slot = &queue.slots[index]
        cdef uint64_t steps, taken = word
        cdef bint wanted
        self.check_length(len(content))
        if look(slot) == word:
            memcpy(queue.data + <uint64_t>index * self.size, <const char *>content, len(content))
            slot.length = len(content)
            slot.flags = (FLAG_TEXT if isinstance(data, str) else 0) | (FLAG_ERROR if error else 0)
        wanted = slot.caller != 0 and change(slot, &word, DONE, slot.caller)
        if wanted:
            pymilk_bell_ring(&slot.bell)
        else:
            word = look(slot)
            steps = changes_of(word) - changes_of(taken)
            if not ((steps == 0 or (steps == 1 and state_of(word) == LEFT)) and change(slot, &word, FREE, 0)):
                self.damaged()
            pymilk_bell_ring(&queue.header.freed)
        self.check_whole()
        return wanted
