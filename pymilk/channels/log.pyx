"""`LogFile`: the file of a message log in memory. Records in, records out, waiting without the GIL.

Rules for a method that uses the memory
---------------------------------------
1. Run Python code that may belong to others first; then ask `use()`, and use what it returns before the next line that
   runs Python code: another thread may close the log there.
2. Raise by `check(found)` what a step of the protocol found; end with `check_whole()`: the memory of a file that was cut
   reads as zeros.
"""

cimport cython
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.errno cimport EACCES, EAGAIN
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .._isio cimport CLOCK_MONOTONIC, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, atomic_load_u64
from ..native.checks cimport timeout_ns
from ..protocol.clock cimport clock_ns, later, sleep_until
from ._log cimport (
    FOUND_DAMAGE, FOUND_LAPPED, FOUND_NOTHING, FOUND_RECORD, PYMILK_CHANNEL_ROOM_AT, Found, Place,
    Record, Room, count_abandoned, longest, look_at, make_room, newest, oldest, put, still_there, take, whole,
)
from ._turn cimport TURN_BIT, end_turn, take_turn
from .counted cimport CountedFile

import os

import numpy as np

from ..errors import (
    ChannelArgumentError,
    ChannelInUseError,
    ChannelTimeoutError,
    RecordTooLongError,
)
from ..system.locks import holder_of, named_holder
from ..system.arrays import unmasked
from .file import HEADER_NBYTES, new_header

__all__ = ["HEADER_NBYTES", "ROW", "LogFile", "Message", "longest_record", "new_header"]

# Positions end here: 2**62 bytes.
cdef uint64_t MOST = <uint64_t>1 << 62

cdef enum:
    # Tries of a reader that is lapped again each time it has found its place.
    TRIES = 1000
    # Most bytes that are copied with the GIL held in one go.
    PORTION = 4_194_304
    # One of many writers asks so often for its turn before it sleeps in between, this long at first and at most.
    ASKS = 8
    SHORTEST_NS = 20_000
    LONGEST_NS = 1_000_000
    FLAG_TEXT = 1
    CLOCK_REALTIME = 0

#: One of many writers gives up after so many seconds: a turn takes microseconds, and who is stopped in it keeps it.
TURN_S = 5.0

#: A record in `read_many`: its number, time, flags, and where its bytes are in the payload.
ROW = np.dtype([("number", "u8"), ("time_ns", "i8"), ("offset", "u8"), ("length", "u4"), ("flags", "u4")])


def longest_record(uint64_t room):
    """Return the most bytes that a record can have in a log of this room."""
    return longest(room)


@cython.final
@cython.auto_pickle(False)
@cython.freelist(64)
cdef class Message:
    """A record of a log.

    Attributes
    ----------
    data : bytes or str
        As it was written.
    number : int
        From 1.
    time_ns : int
        When it was written, in nanoseconds UTC since 1970.
    lost : int
        Records between this one and the one that was read before it, that were overwritten before they were read.
    """

    cdef readonly object data
    cdef readonly uint64_t number
    cdef readonly int64_t time_ns
    cdef readonly uint64_t lost

    def __init__(self):
        raise TypeError("a Message is read from a MessageLog")

    def __repr__(self):
        lost = f", lost={self.lost}" if self.lost else ""
        return f"Message({self.data!r}, number={self.number}{lost})"

    def __reduce__(self):
        return message_again, (self.data, self.number, self.time_ns, self.lost)


def message_again(data, uint64_t number, int64_t time_ns, uint64_t lost):
    """Make a message again from its pickled parts."""
    cdef Message message = Message.__new__(Message)
    message.data, message.number, message.time_ns, message.lost = data, number, time_ns, lost
    return message


@cython.auto_pickle(False)
cdef class LogFile(CountedFile):
    """A message log, mapped. `MessageLog` is what users have.

    Parameters
    ----------
    fd : int
        Stays with the caller.
    path, name : str
    kind : int
        That the file has to be of.
    shared : bool
        `fd` is open for writing: sleeping readers are woken. Others look every half millisecond.
    writing : bool
        This object appends.
    many : bool
        Others append, too: each record takes a turn. `fd` stays open until `close`.

    Raises
    ------
    ChannelFormatError
        The file is another, or damaged.
    """

    cdef Room room
    cdef Place place            # of the reader, or of the writer
    cdef uint64_t tail          # of the writer
    cdef uint64_t gone          # lost since the last record that was handed over
    cdef int turns              # one of many writers: the descriptor that is locked for each record; else -1
    cdef int pid
    cdef readonly bint writing
    cdef readonly uint64_t lost

    def __init__(self, int fd, str path, str name, uint32_t kind, bint shared, bint writing, bint many=False):
        self.turns, self.pid = fd if many else -1, os.getpid()
        self.open_file(fd, path, name, kind, shared)
        self.writing = writing
        self.room.header = self.header
        self.room.records = self.mapping.base + PYMILK_CHANNEL_ROOM_AT
        self.room.nbytes = (self.mapping.nbytes - PYMILK_CHANNEL_ROOM_AT) & ~<uint64_t>7
        if writing:
            self.check(self.find_place())
        self.check_whole()

    cdef Found find_place(self) noexcept nogil:
        """Go behind the newest record, to write the next one: what was not committed there is overwritten."""
        newest(&self.room, &self.place)
        self.tail = atomic_load_u64(&self.room.header.tail, __ATOMIC_RELAXED)
        if (self.tail > self.place.position or self.place.position - self.tail > self.room.nbytes
                or (self.place.position | self.tail) & 7 or self.place.position > MOST):
            return FOUND_DAMAGE
        count_abandoned(self.room.header, self.place.number - 1)
        return FOUND_RECORD

    cdef Room *use(self) except NULL:
        """Return the memory. It stays for as long as the caller runs no Python code."""
        self.check_open()
        return &self.room

    @property
    def count(self):
        """Records written since the log was made."""
        cdef uint64_t count = atomic_load_u64(&self.use().header.count, __ATOMIC_ACQUIRE)
        self.check_whole()
        return count

    @property
    def last_ns(self):
        """When the newest record was written, in nanoseconds UTC since 1970; 0 if there is none."""
        self.use()
        return self.room.header.last_ns

    @property
    def longest(self):
        """Most bytes of a record."""
        self.use()
        return longest(self.room.nbytes)

    # -- writing

    def append(self, data):
        """Write a record, and wake those who wait.

        Parameters
        ----------
        data : bytes, str or buffer
            A str comes back as str.

        Returns
        -------
        int
            Its number.

        Raises
        ------
        RecordTooLongError, ChannelArgumentError
        ChannelRemovedError
            The file was removed or replaced: nobody would see the record. Seen within half a second.
        ChannelInUseError
            One of many writers: another one has had the turn for 5 s, and does not go on.
        ChannelReadOnlyError, ChannelClosedError, ChannelDamagedError
        """
        cdef Py_buffer view
        cdef Py_ssize_t length
        cdef const char *start
        if type(data) is bytes:
            return self.write(PyBytes_AsString(data), len(<bytes>data), 0)
        try:
            if isinstance(data, str):
                start = PyUnicode_AsUTF8AndSize(data, &length)
                return self.write(start, length, FLAG_TEXT)
            pixels = unmasked(data, "data")
            try:
                PyObject_GetBuffer(pixels, &view, PyBUF_C_CONTIGUOUS)
            except ValueError as error:  # of NumPy, whose arrays are not contiguous
                raise BufferError(str(error)) from None
        except (TypeError, BufferError, UnicodeEncodeError) as error:
            raise ChannelArgumentError(
                f"channel {self.name!r}: a message is bytes, text that UTF-8 has, or a contiguous buffer, not "
                f"{type(data).__name__} ({error})", channel=self.name, path=self.path, argument="data", found=data,
            ) from None
        try:
            return self.write(<const char *>view.buf, view.len, 0)
        finally:
            PyBuffer_Release(&view)

    cdef object write(self, const char *data, Py_ssize_t length, uint32_t flags):
        cdef Room *room = self.use()
        cdef uint64_t number = self.place.number
        if not self.writing:
            raise self.read_only()
        if <uint64_t>length > longest(room.nbytes):
            raise RecordTooLongError(
                f"channel {self.name!r}: a record of {length} bytes does not fit, {longest(room.nbytes)} are the most; "
                "make the channel larger",
                channel=self.name, path=self.path, nbytes=length, longest=longest(room.nbytes))
        self.check_whole()
        self.check_place()
        if self.turns >= 0:
            return self.write_in_turn(data, length, flags)
        self.check(make_room(room, &self.tail, &self.place, length))
        put(room, &self.place, data, length, flags, clock_ns(CLOCK_REALTIME))
        self.check_whole()
        return number

    cdef object write_in_turn(self, const char *data, Py_ssize_t length, uint32_t flags):
        cdef Found found
        cdef uint64_t number
        self.wait_for_turn()
        # From here to the end of the turn no Python code runs: it could write to this log, and end the turn.
        found = self.find_place()
        number = self.place.number
        if found == FOUND_RECORD:
            found = make_room(&self.room, &self.tail, &self.place, length)
        if found == FOUND_RECORD:
            put(&self.room, &self.place, data, length, flags, clock_ns(CLOCK_REALTIME))
        end_turn(self.turns, self.pid)
        self.check_whole()
        self.check(found)
        return number

    cdef int wait_for_turn(self) except -1:
        """Begin a turn. It is asked for with the GIL held: another thread with this object would get it as well."""
        cdef int64_t deadline = 0
        cdef int64_t nap = SHORTEST_NS
        cdef int64_t now
        cdef int asked = 0
        cdef int error = take_turn(self.turns, self.pid)
        while error != 0:
            if error != EAGAIN and error != EACCES:
                raise self.not_locked(error)
            asked += 1
            if asked > ASKS:
                now = clock_ns(CLOCK_MONOTONIC)
                deadline = deadline or later(now, timeout_ns(TURN_S, ""))
                if now >= deadline:
                    raise self.turn_is_kept()
                with nogil:
                    sleep_until(now + nap)
                nap = min(2 * nap, <int64_t>LONGEST_NS)
                PyErr_CheckSignals()
                self.use()
            error = take_turn(self.turns, self.pid)
        return 0

    cdef object turn_is_kept(self):
        who, pids = named_holder(self.turns, holder_of(self.turns, start=<int64_t>1 << <int>TURN_BIT))
        return ChannelInUseError(
            f"channel {self.name!r}: {who} has been writing a message for {TURN_S:g} s; let it go on, or end it",
            channel=self.name, path=self.path, pids=pids)

    # -- reading

    cdef uint64_t known(self) noexcept nogil:
        return self.place.number - 1

    def join_now(self):
        """Begin behind the newest record."""
        newest(self.use(), &self.place)
        self.gone = 0
        self.check_whole()

    def join_oldest(self):
        """Begin at the oldest record that is there."""
        self.find_oldest()
        self.gone = 0

    cdef int find_oldest(self) except -1:
        cdef Room *room = self.use()
        cdef Place place
        cdef Found found = FOUND_LAPPED
        cdef int _tries
        while found == FOUND_LAPPED:
            # A writer that laps us each time stores another tail each time, so this ends with it.
            for _tries in range(TRIES):
                found = oldest(room, &place)
                if found != FOUND_LAPPED:
                    break
            PyErr_CheckSignals()
            room = self.use()
        self.check_whole()
        self.check(found)
        self.place = place
        return 0

    cdef int lapped(self) except -1:
        """Go on at the oldest record that is there, and count what was overwritten."""
        cdef uint64_t expected = self.place.number
        self.find_oldest()
        if self.place.number <= expected:
            self.check(FOUND_DAMAGE)  # nothing was overwritten
        self.gone += self.place.number - expected
        self.lost += self.place.number - expected
        return 0

    cdef Message next_message(self):
        """Return the next record, or None if there is none yet."""
        cdef Room *room
        cdef Record record
        cdef Found found
        cdef Message message
        cdef bytes data
        cdef Place before
        while True:
            room = self.use()
            found = look_at(room, &self.place, &record)
            if found == FOUND_RECORD:
                data = PyBytes_FromStringAndSize(NULL, record.length)
                before = self.place
                found = take(room, &self.place, &record, PyBytes_AsString(data))
            if found == FOUND_RECORD:
                self.check_whole()
                message = Message.__new__(Message)
                message.data = data
                if record.flags & FLAG_TEXT:
                    message.data = PyUnicode_DecodeUTF8(PyBytes_AsString(data), record.length, "replace")
                message.number = before.number
                message.time_ns = record.time_ns
                message.lost, self.gone = self.gone, 0
                try:
                    self.tell()
                except BaseException:  # of a signal handler: the message is not handed over
                    self.place, self.gone = before, message.lost
                    self.tell()  # the descriptor may say already that nothing is left
                    raise
                return message
            if found == FOUND_NOTHING:
                self.check_whole()
                self.tell()
                return None
            if found == FOUND_DAMAGE:
                self.check_whole()
                self.check(found)
            self.lapped()
            PyErr_CheckSignals()

    def __next__(self):
        """Return the next message, as `read`: compiled, so that no signal handler comes between the two."""
        return self.read()

    def _go_back(self, list taken not None):
        """Make unread again what `_take_many` took, which was not handed over, if nothing was read since."""
        if taken and self.place.number == taken[0][-1]:
            self.place.number, self.place.position, self.gone, self.lost, _ = taken[0]

    def read(self, timeout=None):
        """Return the next message; wait for one without the GIL.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits for ever, 0 only looks.

        Returns
        -------
        Message
            With `lost`: messages missed before it.

        Raises
        ------
        ChannelTimeoutError
        ChannelRemovedError
            All was read, and no message will come.
        ChannelDamagedError, ChannelClosedError
        """
        cdef Message message = self.next_message()
        while message is None:
            if not self.wait(timeout):
                raise ChannelTimeoutError(
                    f"channel {self.name!r}: no message within {float(timeout):g} s",
                    channel=self.name, path=self.path, timeout=timeout)
            message = self.next_message()
        return message

    def _take_many(self, uint64_t most, list taken not None):
        """Return (rows, bytes, lost) of the records that are there, up to `most`, and to `PORTION` bytes of them.

        `taken` gets what `_go_back` needs: whatever exception comes before the caller has them, they are not lost.
        """
        cdef Room *room = self.use()
        cdef Place end
        cdef uint64_t nbytes, origin, lost, portion = PORTION
        cdef int64_t count
        cdef bytes copy
        cdef tuple before = (self.place.number, self.place.position, self.gone, self.lost)
        while True:
            newest(room, &end)
            if self.place.number == end.number:
                self.check_whole()
                self.tell()
                return np.empty(0, ROW), b"", 0
            if self.place.position > end.position:
                self.check(FOUND_DAMAGE)
            nbytes = end.position - self.place.position
            if nbytes > room.nbytes:
                self.lapped()
                continue
            nbytes = min(nbytes, portion)
            copy = PyBytes_FromStringAndSize(NULL, nbytes)
            copy_room(room, self.place.position, PyBytes_AsString(copy), nbytes)
            if not still_there(room, self.place.position):
                self.lapped()
                continue
            self.check_whole()
            origin = self.place.position
            count = self.pass_records(PyBytes_AsString(copy), nbytes, most)
            if count < 0 or (count == 0 and nbytes == end.position - origin):
                self.check(FOUND_DAMAGE)
            if count > 0:
                taken.append((*before, self.place.number))
                lost, self.gone = self.gone, 0
                self.tell()
                return self.table_of(copy, origin, count), copy, lost
            portion = room.nbytes  # the record is longer than that

    cdef int64_t pass_records(self, const char *data, uint64_t nbytes, uint64_t most) noexcept:
        """Move on behind the records in a copy of the room from the place of the reader on; -1 for what is none."""
        cdef Place place = self.place
        cdef uint64_t at = 0, origin = place.position
        cdef int64_t count = 0
        cdef Record record
        while <uint64_t>count < most and at + sizeof(uint64_t) <= nbytes:
            memcpy(&record.number, data + at, sizeof(uint64_t))
            if record.number == 0:
                place.position += self.room.nbytes - place.position % self.room.nbytes
            else:
                if at + sizeof(Record) > nbytes:
                    break
                memcpy(&record, data + at, sizeof(Record))
                if (record.number != place.number or record.position != place.position
                        or record.length > longest(self.room.nbytes)):
                    return -1
                if at + whole(record.length) > nbytes:
                    break
                place.position += whole(record.length)
                place.number += 1
                count += 1
            at = place.position - origin
        if count:
            self.place = place
        return count

    cdef object table_of(self, bytes copy, uint64_t origin, int64_t count):
        """Return the rows of so many records, which `pass_records` found in a copy of the room from `origin` on."""
        cdef const char *data = PyBytes_AsString(copy)
        cdef uint64_t at = 0
        cdef int64_t done = 0
        cdef Record record
        cdef char[::1] rows
        cdef Row *row
        table = np.empty(count, ROW)
        rows = table.view("i1")
        while done < count:
            memcpy(&record.number, data + at, sizeof(uint64_t))
            if record.number == 0:
                at += self.room.nbytes - (origin + at) % self.room.nbytes
                continue
            memcpy(&record, data + at, sizeof(Record))
            row = <Row *>&rows[done * sizeof(Row)]
            row.number, row.time_ns, row.length, row.flags = record.number, record.time_ns, record.length, record.flags
            row.offset = at + sizeof(Record)
            at += whole(record.length)
            done += 1
        return table


cdef void copy_room(const Room *room, uint64_t position, char *to, uint64_t nbytes) noexcept:
    """Copy bytes of the room from a position on, across its end if need be."""
    cdef uint64_t at = position % room.nbytes
    cdef uint64_t first = min(nbytes, room.nbytes - at)
    memcpy(to, room.records + at, first)
    memcpy(to + first, room.records, nbytes - first)


cdef packed struct Row:
    uint64_t number
    int64_t time_ns
    uint64_t offset
    uint32_t length
    uint32_t flags
