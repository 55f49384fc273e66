"""The heart: `Stream`, one attached stream, and `Claim`, a frame that is filled in place. Mechanism only.

Nothing in here knows orientation codes, prints, or decides how long to wait. How a frame is published is stated in
protocol/publish.pxd, how it is received in protocol/receive.pxd, and how rings are read in protocol/ring.pxd. What a
stream consists of is in native/: a `StreamFile` is its memory and header, a `Reader` waits for its frames.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_IsContiguous, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.string cimport memmove

from ._isio cimport CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, IMAGE_METADATA, _DATATYPE_UINT8
from .native cimport semaphores
from .native.checks cimport (
    bad_argument, count_frames, index_argument, take_buffer, time_argument, timeout_ns, whole_number,
)
from .native.feed cimport FrameFeed
from .native.file cimport StreamFile
from .native.header cimport READY_WAIT_MS
from .native.lifecycle cimport (
    Creation, NewStream, attach_file, attach_successor, create_file, make_local, remove_file,
)
from .native.memory cimport KEPT_NBYTES, Block, Mapping, pixels_of, take_block
from .native.metadata cimport StreamMetadata
from .native.reader cimport Reader, Terms, make_reader, terms_of
from .native.rings cimport stream_cursor
from .protocol.clock cimport clock_ns, later
from .protocol.copying cimport *
from .protocol.filestate cimport FILE_GONE, PLACE_NS, Place, left_place
from .protocol.flags cimport raise_flag
from .protocol.frame cimport GIL_RELEASE_NBYTES, fill_slot
from .protocol.guard cimport PYMILK_CLOSED
from .protocol.layout cimport Header
from .protocol.look cimport Look
from .protocol.order cimport UNKNOWN
from .protocol.pacing cimport Series, publish_feed, publish_series
from .protocol.process cimport own_pid
from .protocol.publish cimport (
    abandon_frame, close_frame, close_frame_by, count_early, frame_at, next_slice, open_frame,
)
from .protocol.receive cimport Job, Target
from .protocol.turn cimport describe_turn, pymilk_turn, pymilk_turn_copy

import errno
import math
import operator
import os
import stat
import threading
import time
from collections import namedtuple

import numpy as np

from . import errors as _errors
from .arguments import replace_policy, shown
from .arraylike import ArrayLike
from .errors import (
    FrameMismatchError,
    StreamArgumentError,
    StreamBusyError,
    StreamDamagedError,
    StreamFormatError,
    StreamGoneWarning,
    StreamNotFoundError,
    StreamReplacedError,
)
from .names import check_name, stream_name, stream_path
from .native import feed as _feed
from .native import formats as _formats
from .native import header as _header
from .native import memory as _memory
from .native import reader as _reader
from .native.bell import Bell
from .native.checks import checked_timeout
from .native.formats import (
    FLAG_COUNTER_RESET,
    FLAG_COUNTER_SET,
    FLAG_FROM_RING,
    FLAG_NEW_FILE,
    FLAG_REPEATED_POST,
    FLAG_TORN,
    FLAG_UNCERTAIN,
    FLAG_VERIFIED,
    FRAME_ROW,
    IMAGETYPES,
    MATH_DATA as _MATH_DATA,
    counter_was_set,
)
from .native.header import build_info, read_header
from .native.keywords import Keyword
from .native.memory import ArrayExporter, allocate, frame_memory, map_shared, turn_copy
from .native.rings import PrivateRing, RingCursor, Rows, Turn
from .native.waitany import wait_for_any
from .system import hidden as _hidden
from .system import locks as _locks
from .system import notices as _notices
from .system import processes as _processes
from .system import temporary as _temporary
from .system.arrays import as_pixels as _as_pixels
from .system.arrays import unmasked as _unmasked
from .system.living import note_as_ours
from .system.locks import check_stream, lock_stream
from .system.mappings import mention_of_deserted
from .system.memory import free_memory
from .system.notices import warn_always
from .system.signals import held_signals

# Names that could always be imported from here. A class that is cimported does not become a Python name by that.
globals().update({name: getattr(_errors, name) for name in _errors.streams.__all__})
globals().update(
    aside_path=_hidden.aside_path, temporary_path=_hidden.temporary_path, check_free=_locks.check_free,
    lock_writer=_locks.lock_writer, mark_busy=_temporary.mark_busy, mark_idle=_temporary.mark_idle,
    remove_abandoned=_temporary.remove_abandoned, process_alive=_processes.process_alive)
globals().update(
    Block=_memory.Block, FrameFeed=_feed.FrameFeed, Mapping=_memory.Mapping, Reader=_reader.Reader,
    Region=_memory.Region, prefault=_memory.prefault, _DTYPES=_formats.DTYPES, _NELEMENT_MAX=_formats.NELEMENT_MAX,
    _SECTION_DTYPES=_formats.SECTION_DTYPES, _Snapshot=_header.Snapshot, _TIMESPEC=_formats.TIMESPEC,
    header_behind=_header.header_behind)
globals().update(
    _errno=errno, _stat=stat, _time=time, _warn_of_tear=_notices.warn_of_tear, math=math, namedtuple=namedtuple,
    operator=operator)

__all__ = [
    "FLAG_COUNTER_RESET",
    "FLAG_COUNTER_SET",
    "FLAG_FROM_RING",
    "FLAG_NEW_FILE",
    "FLAG_REPEATED_POST",
    "FLAG_TORN",
    "FLAG_UNCERTAIN",
    "FLAG_VERIFIED",
    "FRAME_ROW",
    "IMAGETYPES",
    "ArrayExporter",
    "Bell",
    "Claim",
    "FrameFeed",
    "Keyword",
    "Mapping",
    "PrivateRing",
    "Reader",
    "RingCursor",
    "Rows",
    "Stream",
    "Turn",
    "allocate",
    "build_info",
    "call_before_frame",
    "checked_timeout",
    "counter_was_set",
    "frame_memory",
    "free_memory",
    "map_shared",
    "prefault",
    "read_header",
    "turn_copy",
    "wait_for_any",
]

# What is asked of NumPy on hot paths, looked up once.
cdef object _ndarray = np.ndarray
cdef object _empty = np.empty
cdef object _copyto = np.copyto


# --------------------------------------------------------------------------------------------------
# One frame to be published
# --------------------------------------------------------------------------------------------------

# Where its pixels are, and where they go.
cdef struct Piece:
    const char *source      # in C order; not used if `turned`
    char *target
    uint64_t nbytes
    int64_t slice           # of a temporal cube; -1: the frame is all pixels of the stream
    bint turned             # its axes are in another order or direction: `turn` describes the copy
    pymilk_turn turn
    bint has_atime          # else the time of publishing is the acquisition time
    int64_t atime_ns


# Called with a stream just before it announces a frame; None: nobody is. Loops with process information have it
# write the process trace, so that readers of the frame find that there (parameters/tracing.py).
cdef object before_frame = None


def call_before_frame(call):
    """Have a function called with each `Stream` of this process just before it announces a frame.

    Parameters
    ----------
    call : callable or None
        It is called in the thread that publishes, with the GIL, and keeps the frame from being published if it
        raises. Several frames that are published by one call are one frame here. None: none is called any more.
    """
    global before_frame
    before_frame = call


cdef uint64_t publish_piece(char *base, const Header *h, Piece *piece) noexcept nogil:
    """Copy the pixels and announce them; returns the counter."""
    open_frame(base)
    if piece.turned:
        pymilk_turn_copy(&piece.turn)
    elif piece.slice >= 0 and (piece.source + piece.nbytes <= piece.target
                               or piece.target + piece.nbytes <= piece.source):
        fill_slot(piece.target, piece.source, piece.nbytes)
    else:
        memmove(piece.target, piece.source, piece.nbytes)  # the frame may be a view of this very stream
    return close_frame(base, h, piece.has_atime, piece.atime_ns, piece.slice)


cdef uint64_t publish_by_numpy(StreamFile file, char *base, object frame, Piece *piece) except? 0:
    """The same for a frame in an order that only NumPy copies, and for a view of this stream in another order."""
    pixels = _ndarray(frame.shape, file.dtype, file.mapping.region(piece.target - base, piece.nbytes, True))
    open_frame(base)
    try:
        _copyto(pixels, frame)
    except BaseException:
        abandon_frame(base)
        raise
    return close_frame(base, &file.h, piece.has_atime, piece.atime_ns, piece.slice)


cdef object as_stored(StreamFile file, object frame):
    """Return a frame of bool as uint8 if the stream is uint8; any other dtype that differs is an error."""
    dtype = frame.dtype
    if file.h.datatype == _DATATYPE_UINT8 and dtype == np.bool_:
        return frame.view(np.uint8)
    raise FrameMismatchError(
        f"stream {file.name!r}: the frame is {dtype}, the stream {file.dtype}; convert it first",
        stream=file.name, field="dtype", expected=file.dtype, found=dtype)


cdef object place(StreamFile file, char *base, object frame, Piece *piece):
    """Set where a frame goes: to all pixels, or to the next slice of a temporal cube. Returns the frame."""
    shape = frame.shape
    piece.slice = -1
    piece.nbytes = file.h.n.frame_nbytes
    piece.target = base + file.h.at.array
    if shape == file.shape:
        return frame
    if not shape and file.h.nelement == 1:
        return frame.reshape(file.shape)
    if not (file.h.temporal and shape == file.frame_shape):
        raise FrameMismatchError(
            f"stream {file.name!r}: the frame has shape {shape}, the stream {file.shape}",
            stream=file.name, field="shape", expected=file.shape, found=shape)
    piece.slice = next_slice(base, &file.h)
    piece.nbytes = file.h.unit_nbytes
    piece.target = frame_at(base, &file.h, piece.slice)
    return frame


cdef const int64_t[::1] checked_times(StreamFile file, object atimes_ns, uint64_t count):
    """Return the acquisition times of many frames; None for no frames."""
    if not (isinstance(atimes_ns, np.ndarray) and atimes_ns.dtype == np.int64 and atimes_ns.shape == (count,)):
        raise bad_argument(file.name, "atimes_ns", atimes_ns, f"an int64 array of {count} nanoseconds")
    return np.ascontiguousarray(atimes_ns) if count else None


cdef uint64_t advance_of(StreamFile file, object missed) except 0:
    """Return by how much a claim moves the counter. The usual 0 is not checked: that costs a sixth of a claim."""
    if type(missed) is int and missed == 0:
        return 1
    return 1 + <uint64_t>index_argument(file.name, "missed", missed, 2**62)


cdef int check_source(StreamFile source, StreamFile target) except -1:
    """Check that the frames of one stream can be published in another one."""
    source.need_pixels()
    if source.h.temporal:
        raise StreamFormatError(
            f"stream {source.name!r} is a ring already (temporal circular cube); read it directly",
            stream=source.name, field="imagetype", expected="a plain stream", found="temporal cube")
    for field, expected, found in (
        ("shape", source.frame_shape, target.frame_shape), ("dtype", source.dtype, target.dtype),
    ):
        if expected != found:
            raise FrameMismatchError(
                f"stream {target.name!r} has {field} {found}, but {source.name!r} has {expected}",
                stream=target.name, field=field, expected=expected, found=found)
    return 0


# --------------------------------------------------------------------------------------------------
# Streams
# --------------------------------------------------------------------------------------------------

cdef object told_of_deserted(object error):
    """Return the error for a missing stream; it names those who still write into its deleted file."""
    pids = mention_of_deserted(error.path)
    if not pids:
        return error
    return StreamNotFoundError(
        f"{error}; its deleted file is still open for writing in {_processes.named_processes(pids)}: see "
        "'pymilk doctor'", stream=error.stream, path=error.path)


cdef Place place_of(StreamFile file, int64_t next_look) noexcept:
    """Return where the file of a writer is to be, and when to look for it."""
    return Place(path=file.path_chars, device=file.device, inode=file.inode, nbytes=file.h.at.total,
                 next_look=next_look)


cdef int64_t told_of_place(StreamFile file, const Place *place, int64_t before) except -1:
    """Return when to look next; warn if the file was found gone since `before`: nobody sees what is written."""
    if place.next_look == INT64_MAX != before:
        what = "deleted" if file.state() == FILE_GONE else "replaced by another one"
        warn_always(
            f"stream {file.name!r}: its file was {what}, and nobody sees what this process writes; attach or "
            "create the stream again", StreamGoneWarning)
    return place.next_look


cdef int64_t look_for_file(StreamFile file, int64_t next_look) except -1:
    """Look whether the file of a writer is in its place; returns when to look next."""
    cdef Place place = place_of(file, next_look)
    left_place(&place, clock_ns(CLOCK_MONOTONIC))
    return told_of_place(file, &place, next_look)


cdef Stream wrap(StreamFile file):
    """Make the Stream of an attached file."""
    cdef Stream stream = Stream.__new__(Stream)
    stream.file = file
    return stream


# How to add a method to Stream
# -----------------------------
# 1. Only what moves frames belongs here. Fields of the header go to native/metadata, things that are done to the
#    file go to native/lifecycle; a thin method here may hand on to a room of native/.
# 2. Follow the rules of file.pxd: `cdef StreamFile file = self.file` first, then one door, `check_whole` last.
#    Pixels need `need_pixels` too. Code without the GIL gets `base` and `&file.h`, never `self`.
# 3. A method that writes pixels calls `take_turn` before `open_frame`, and sets `self.busy = 0` in a `finally`.
# 4. Each frame that was opened is closed or abandoned, whatever happens in between.
# 5. Release the GIL for copies of GIL_RELEASE_NBYTES and more and for every wait; never for less. A wait takes
#    it back at least every 50 ms for `PyErr_CheckSignals` in the main thread.
# 6. State the method in _core.pyi; if it waits or writes, test it closed, read-only, damaged and after a fork.

@cython.final
@cython.auto_pickle(False)
cdef class Stream(StreamMetadata):
    """One attached stream: frames, counters, keywords, semaphores, ring slots.

    Made by `Stream.create` or `Stream.attach`; a context manager that closes. Shapes are in C order, slowest axis
    first: ``shape == size[::-1]``, where ``size`` is the order of the file. Views keep the memory alive: they stay
    valid after `close`, and after the stream was deleted.

    ``numpy.asarray(stream)`` and DLPack give a copy of all pixels, whole, as `copy_frame` makes it, and wait for no
    new frame; with ``copy=False`` `view`. Of a temporal circular cube these are all slices.

    Any call can raise `StreamClosedError`, `StreamDamagedError` (the file was cut, or its header rewritten), and, of
    arguments that do not fit, `StreamArgumentError` or `FrameMismatchError`.

    Attributes
    ----------
    frame_counter : int
        Counter of the frame that `copy_frame` or `read` copied last.
    frame_flags : int
        Its flags: `FLAG_VERIFIED`, or `FLAG_TORN` if the writer left no time or died in the frame.
    told : int
        Number of the newest frame whose post `flush`, `sem_try_wait` or `sem_wait` took off this handle's semaphore.
    """

    def __init__(self):
        raise TypeError("use Stream.create or Stream.attach")

    # -- making --------------------------------------------------------------------------------

    @staticmethod
    def attach(name_or_path, *, writable=True, exclusive=False, prefault=True):
        """Attach an existing stream.

        Parameters
        ----------
        name_or_path : str or PathLike
            A name in the stream directory, or the path of a ``.im.shm`` file.
        writable : bool, default True
            False attaches it read-only. So does True if the file permits reading only; `note` and ``repr`` say so.
        exclusive : bool, default False
            Only this handle may write, until it is closed or the process ends. Other handles of pymilk, in any
            process, can then not publish, attach exclusively, or replace the stream. This does not stop programs
            without pymilk, nor a handle that has published before.
        prefault : bool, default True
            Map all pages of a file up to 256 MiB now; this takes up to 20 ms for 200 MB. False maps each page at
            its first use, which is enough for a look at the metadata.

        Returns
        -------
        Stream

        Raises
        ------
        StreamNotFoundError
            No such file.
        StreamPermissionError
            No permission to read it.
        StreamFormatError
            It is not a stream, is not ready, or its header contradicts itself or the file size.
        StreamNameError
            Not a name or path of a stream.
        StreamLockedError
            With `exclusive`: another handle has it exclusively.
        StreamReadOnlyError, StreamUnsupportedError
            With `exclusive`: it is not writable, or its file system has no locks.

        Notes
        -----
        Everything is checked on one copy of the header before a pixel is mapped. A file whose version is still
        empty gets 0.1 s to become ready.
        """
        path = os.path.abspath(stream_path(name_or_path))
        cdef Stream stream
        while True:
            try:
                stream = wrap(attach_file(path, writable, READY_WAIT_MS, prefault))
            except StreamNotFoundError as error:
                raise told_of_deserted(error) from None
            if not exclusive:
                return stream
            stream.alone = True
            stream.file.use_to_write()  # raises if it is read-only
            try:
                stream.take_turn()
            except StreamReplacedError:
                continue  # it was replaced since it was mapped
            stream.busy = 0
            return stream

    @staticmethod
    def create(name_or_path, shape, dtype, *, nbkw=50, nbsem=10, imagetype=_MATH_DATA, cb_size=0,
               mode=None, exist_ok=True, location=-1, version="2.00", layout=None, exclusive=False,
               replace=None, keywords=()):
        """Create a stream, replacing one of the same name.

        The file is filled under a temporary name, with its memory reserved, and renamed into place: no program
        sees half a stream. Readers of a replaced stream keep their memory and are told; its writer is not.

        Parameters
        ----------
        name_or_path : str or PathLike
        shape : tuple of int
            0 to 3 axes in C order, slowest first. No axes is stored as one element.
        dtype : dtype
            Integers of 8 to 64 bits, float16, float32, float64, complex64, complex128, or bool, which is stored
            as uint8. Stored little endian.
        nbkw, nbsem : int, default 50 and 10
            Room for keywords, and semaphores (one for each reader that sleeps): 0 to 65535.
        imagetype : int, default MATH_DATA
            Bits of `IMAGETYPES`.
        cb_size : int, default 0
            Slots of the fast ring.
        mode : int, optional
            Permissions of the file, 0 to 0o777, whatever the umask: with 0o600 other users have no access, with
            0o644 they can read. Default: those of the file that is replaced, else 0o666 less the umask.
        exist_ok : bool, default True
            False is ``replace=False``.
        location : int, default -1
            A GPU number makes a stream without pixels: who owns the memory stores its handle in `cuda_handle`.
        version : str, default "2.00"
            Structure version to store; begins with "2.".
        layout : {"default", "dao", "writehistory", "dao+writehistory"}, optional
            Build options of the programs that will read it. Default: those of the header of this build.
        exclusive : bool, default False
            As for `attach`.
        replace : bool or "if-free", optional
            What becomes of a stream of that name. "if-free": it is replaced unless another living process writes
            it, also in another container; then `StreamInUseError`. True: it is replaced, with a
            `StreamInUseWarning` that names such a process. False: `StreamExistsError`. Default: as the
            environment variable PYMILK_REPLACE says ("if-free", "true" or "false"); without it, True.
        keywords : iterable of Keyword, optional
            As for `write_keywords`. No reader finds the stream without them.

        Returns
        -------
        Stream
            Attached, zeros but for its keywords, counter 0: what ImageStreamIO's own create leaves.

        Raises
        ------
        StreamArgumentError, StreamNameError, KeywordError
            An argument is out of range, or cannot be stored; nothing was created.
        StreamNotFoundError, StreamPermissionError
            The directory does not exist or is not writable.
        StreamStorageError
            The file system is full.
        StreamExistsError
            It exists, and `replace` is False.
        StreamInUseError
            Another living process writes it, and `replace` is "if-free".
        StreamLockedError
            It exists, and another handle has it exclusively.
        StreamUnsupportedError
            With `exclusive`: the file system has no locks.

        Notes
        -----
        A process that is killed here leaves at most a temporary file, which the next `create` there removes.
        Where root replaces a stream, the new file has the owner of the old one.
        """
        cdef NewStream new = NewStream.__new__(NewStream)
        cdef Creation made
        cdef Stream stream
        new.path = os.path.abspath(stream_path(name_or_path))
        new.name = stream_name(new.path)
        new.shape, new.dtype = shape, dtype
        new.nbkw, new.nbsem, new.imagetype, new.cb_size = nbkw, nbsem, imagetype, cb_size
        new.location, new.version, new.layout = location, version, layout
        if not exist_ok and replace is not None:
            raise bad_argument(new.name, "exist_ok", exist_ok, "left out where replace is given")
        new.replace = replace_policy(replace if exist_ok else False, new.name)
        new.mode, new.exclusive, new.keywords = mode, exclusive, keywords
        made = create_file(new)
        stream = wrap(made.file)
        if exclusive:
            stream.alone = True
            stream.lock = made.lock
            stream.admitted = own_pid
        return stream

    @staticmethod
    def local(name, shape, dtype, *, nbkw=50, nbsem=10, imagetype=_MATH_DATA, cb_size=0):
        """Make a stream of this process alone: no file, invisible to others, otherwise the same.

        Parameters
        ----------
        name : str
            For messages; several local streams may have the same.
        shape, dtype, nbkw, nbsem, imagetype, cb_size
            As for `create`.

        Returns
        -------
        Stream
            With `shared` 0 and an empty `path`. Its memory is freed with the last view of it;
            `destroy` closes it. A child after fork has a copy of its own.

        Raises
        ------
        StreamArgumentError, StreamNameError
        CaptureMemoryError
            There is not enough memory.
        """
        cdef NewStream new = NewStream.__new__(NewStream)
        new.name, new.path = check_name(name), ""
        new.shape, new.dtype = shape, dtype
        new.nbkw, new.nbsem, new.imagetype, new.cb_size = nbkw, nbsem, imagetype, cb_size
        new.location, new.version = -1, "2.00"
        return wrap(make_local(new))

    # -- life ----------------------------------------------------------------------------------

    cdef int take_turn(self) except -1:
        """Begin to write. After a fork, a write of the parent does not count."""
        if self.admitted == own_pid and clock_ns(CLOCK_MONOTONIC_COARSE) >= self.next_place:
            self.next_place = look_for_file(self.file, self.next_place)
        if self.busy == own_pid:
            raise StreamBusyError(
                f"stream {self.name!r}: a frame is being written through this handle already; "
                "leave its claim first", stream=self.name)
        self.busy = own_pid
        if self.admitted != own_pid:
            self.admit()
        return 0

    cdef int admit(self) except -1:
        """Before the first frame of this process: take the lock, or check that no other handle has it."""
        cdef StreamFile file = self.file
        try:
            if self.alone:
                with held_signals():  # until the lock has its owner
                    self.lock = lock_stream(file.path, file.device, file.inode, file.name)
                    self.admitted = own_pid
            elif file.path:  # a local stream has one handle only
                check_stream(file.path, file.device, file.inode, file.name)
            if file.path:
                note_as_ours(file.device, file.inode)
        except BaseException:
            self.busy = 0
            raise
        self.admitted = own_pid
        if self.next_place != INT64_MAX:
            self.next_place = clock_ns(CLOCK_MONOTONIC) + PLACE_NS
        return 0

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.file.mapping is None

    @property
    def writable(self):
        """Whether it can be written. False if attached read-only; waiting watches the counter then."""
        cdef Mapping mapping = self.file.mapping
        return mapping is not None and bool(mapping.writable)

    @property
    def exclusive(self):
        """Whether only this handle may write. False in a child after fork."""
        return self.file.mapping is not None and self.lock is not None and self.lock.held

    def close(self):
        """Close the handle. Waits in other threads end with `StreamClosedError`; views stay valid."""
        cdef StreamFile file = self.file
        if file.mapping is not None:
            raise_flag(&file.mapping.closed, PYMILK_CLOSED)
            if self.own_reader is not None:
                self.own_reader.close()
                self.own_reader = None
            self.file = file.without_memory()
            if self.lock is not None:
                self.lock.release()

    def __enter__(self):
        self.file.use_whole()
        return self

    def __exit__(self, *exc):
        self.close()

    def destroy(self):
        """Delete the stream: remove its file, tell its readers, close.

        Raises
        ------
        StreamReplacedError
            The path leads to another stream, which another process made meanwhile. Nothing is deleted, and this
            handle stays open.
        StreamNotFoundError
            The file was deleted already.
        """
        cdef StreamFile file = self.file
        file.use()
        if file.path:  # a local one has no file
            remove_file(file)
        self.close()

    def successor(self, timeout=0.0):
        """Attach the stream that took the place of this one.

        Parameters
        ----------
        timeout : float, default 0
            Seconds to wait for it. Other programs delete the old file before they make the new one, and
            show it before it is complete.

        Returns
        -------
        Stream
            At the same path, with frames of the same shape and dtype. This handle does not change. If it is
            exclusive, the new one is so from its first frame on.

        Raises
        ------
        StreamShapeChangedError, StreamTypeChangedError, StreamChangedError
            Shape, dtype or location differ.
        StreamNotFoundError, StreamNotReadyError
            As `attach`.
        StreamFormatError
            As `attach`, if it stays so for 0.1 s: a program may be writing it.
        """
        cdef StreamFile file = self.file
        cdef Stream new
        file.use()
        new = wrap(attach_successor(file, later(clock_ns(CLOCK_MONOTONIC), timeout_ns(timeout, file.name))))
        new.alone = self.alone
        return new

    def __repr__(self):
        if self.closed:
            return f"<Stream {self.name!r} closed>"
        if self.damaged:
            return f"<Stream {self.name!r} damaged: its file was cut or rewritten>"
        note = f", {self.note}" if self.note else ""
        return (f"<Stream {self.name!r} shape={self.shape} dtype={self.dtype} "
                f"counter={self.counter}{note}>")

    def __reduce__(self):
        raise TypeError("a Stream cannot be pickled; pass its name and attach it on the other side")

    # -- frames --------------------------------------------------------------------------------

    def view(self, *, writable=False):
        """Return the pixels without copying.

        Parameters
        ----------
        writable : bool, default False
            Readers see at once what is written to the view, and it is not counted. To fill a frame use `claim`.

        Returns
        -------
        ndarray, shape `shape`
            Memory that stays valid for ever. It holds the newest frame until the writer begins the next one.
        """
        cdef StreamFile file = self.file
        file.use_whole()
        file.need_pixels()
        if writable:
            file.use_to_write()
        return _ndarray(file.shape, file.dtype, file.mapping.region(file.h.at.array, file.h.n.frame_nbytes, writable))

    def _as_array(self, copy):
        """Return all pixels: False: a view; else a copy, as `copy_frame` makes it."""
        if copy is False:
            return self.view()
        made = _empty(self.shape, self.dtype)
        self.copy_frame(made)
        return made

    def __array__(self, dtype=None, copy=None):
        """Return all pixels, as ``numpy.asarray`` asks for it: `ArrayLike.__array__`."""
        return ArrayLike.__array__(self, dtype, copy)

    def __dlpack__(self, **options):
        """Hand all pixels to another library: `ArrayLike.__dlpack__`."""
        return ArrayLike.__dlpack__(self, **options)

    def copy_frame(self, out):
        """Copy the newest frame into `out`, whole: retried while a writer is in it.

        Parameters
        ----------
        out : buffer, C-contiguous, writable
            As many bytes as one frame, which of a temporal circular cube is its newest slice; or `nbytes` bytes,
            for the whole cube.

        Returns
        -------
        int
            `FLAG_VERIFIED`, or `FLAG_TORN` if the writer left no time or died in the frame. It waits up to 50 ms
            for a writer.

        Notes
        -----
        Frames of 512 KiB and more are copied without the GIL.
        """
        cdef Py_buffer view
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        file.need_pixels()
        take_buffer(out, &view, True, file.name, "out")
        try:
            if <uint64_t>view.len != file.h.unit_nbytes and <uint64_t>view.len != file.h.n.frame_nbytes:
                raise FrameMismatchError(
                    f"stream {file.name!r}: out has {view.len} bytes, a frame has {file.h.unit_nbytes}",
                    stream=file.name, field="nbytes", expected=file.h.unit_nbytes, found=view.len)
            self.copy_newest(file, base, <char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        self.check_behind_copy()
        return self.frame_flags

    def read(self):
        """Return the newest frame in a new array: `copy_frame` into memory of its own.

        Returns
        -------
        frame : ndarray, shape `frame_shape`, C-contiguous
            Larger frames get memory of earlier frames, because new pages would cost time.
        flags : int
            What `copy_frame` would return.
        number : int
            Its counter.
        """
        frame = self.fill(self.new_frame())
        self.check_behind_copy()
        return frame, self.frame_flags, self.frame_counter

    cdef object new_frame(self):
        """Return an array for one frame: nothing is in it yet."""
        cdef Block block
        cdef StreamFile file = self.file
        file.use_whole()
        file.need_pixels()
        block = take_block(file.h.unit_nbytes) if file.h.unit_nbytes >= KEPT_NBYTES else None
        if block is not None:
            return _ndarray(file.frame_shape, file.dtype, block)
        return _empty(file.frame_shape, file.dtype)

    cdef object fill(self, object frame):
        """Copy the newest frame into what `new_frame` returned, or an array that `fits`; return that."""
        cdef StreamFile file = self.file
        self.copy_newest(file, file.use_whole(), pixels_of(frame), file.h.unit_nbytes)
        return frame

    cdef bint fits(self, object out) except -1:
        """Tell whether an exact ndarray is C-contiguous and writable, and has the shape and dtype of one frame."""
        cdef Py_buffer view
        cdef StreamFile file = self.file
        cdef int axis
        cdef bint same
        file.use_whole()
        file.need_pixels()
        if out.dtype is not file.dtype:
            return False
        try:
            PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        except (BufferError, ValueError):
            return False
        same = view.ndim == file.h.naxis - file.h.temporal
        for axis in range(view.ndim if same else 0):
            same = same and view.shape[view.ndim - 1 - axis] == file.h.size[axis]
        PyBuffer_Release(&view)
        return same

    cdef int copy_newest(self, StreamFile file, char *base, char *dst, uint64_t nbytes) except -1:
        """Copy the newest frame, or all of a temporal cube; note its counter and flags."""
        cdef Look seen
        cdef uint64_t flags = 0, number = 0
        cdef Patience patience
        cdef int never = 0, streaming = nbytes >= STREAMING_READ_NBYTES
        if self.own_reader is not None and self.own_reader.receive_awaited(
                file, dst, &self.frame_counter, &self.frame_flags):
            return 0
        if file.h.temporal and file.h.size[2] > 1 and nbytes == file.h.unit_nbytes:
            if nbytes < GIL_RELEASE_NBYTES:
                flags = copy_newest_slice(base, &file.h, dst, False, &number)
            else:
                with nogil:
                    flags = copy_newest_slice(base, &file.h, dst, streaming, &number)
            file.check_whole()
            self.frame_counter, self.frame_flags = number, flags
            return 0
        if nbytes < GIL_RELEASE_NBYTES:
            flags = try_copy(<IMAGE_METADATA *>base, base + file.h.at.array, dst, nbytes, False,
                             EAGER_TRIES, &seen, NULL)
        if flags:
            self.stuck = 0
        else:
            patience = Patience(closed=&file.mapping.closed, stop=&never, stuck=self.stuck, stuck_at=self.stuck_at)
            with nogil:
                flags = copy_frame(base, &file.h, dst, streaming, NULL, &patience, &seen)
            self.stuck = patience.stuck
            self.stuck_at = patience.stuck_at
        file.check_whole()
        self.frame_counter, self.frame_flags = seen.cnt0, flags
        return 0

    def publish(self, frame, *, atime_ns=None):
        """Copy a frame into the stream and announce it.

        Parameters
        ----------
        frame : array_like, shape `shape`, stream dtype
            In any memory order; C-contiguous is fastest, transposed and flipped images are turned in blocks. On
            a temporal circular cube an array of shape ``shape[1:]`` fills the next slice. A stream of uint8
            accepts bool.
        atime_ns : int, optional
            Acquisition time, nanoseconds of CLOCK_TAI. Default: now.

        Returns
        -------
        int
            The counter of the frame.

        Raises
        ------
        FrameMismatchError
            Shape or dtype differ; nothing was written.
        StreamReadOnlyError, StreamClosedError, StreamBusyError

        Notes
        -----
        Frames of 512 KiB and more are copied without the GIL. Two writers of one stream lose no counts but may mix
        their pixels.
        """
        if atime_ns is None:
            return self.publish_frame(frame, False, 0)
        return self.publish_frame(frame, True, time_argument(self.name, atime_ns))

    cdef object publish_frame(self, object frame, bint has_atime, int64_t acquired):
        """Publish one frame; protocol/publish.pxd states the order of the steps."""
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef Py_buffer view
        cdef Piece piece
        cdef bint in_order
        cdef uint64_t counter
        file.need_pixels()
        if type(frame) is not _ndarray:
            frame = _as_pixels(frame, "frame")
        dtype = frame.dtype
        if dtype is not file.dtype and dtype != file.dtype:
            frame = as_stored(file, frame)
        frame = place(file, base, frame, &piece)
        piece.has_atime = has_atime
        piece.atime_ns = acquired
        PyObject_GetBuffer(frame, &view, PyBUF_STRIDES)
        try:
            piece.source = <const char *>view.buf
            in_order = PyBuffer_IsContiguous(&view, b"C")
            piece.turned = not in_order and describe_turn(
                &piece.turn, piece.target, NULL, piece.source, view.strides, view.shape, view.ndim, view.itemsize)
            self.take_turn()
            try:
                if before_frame is not None:
                    before_frame(self)
                if not in_order and not piece.turned:
                    counter = publish_by_numpy(file, base, frame, &piece)
                elif piece.nbytes < GIL_RELEASE_NBYTES:
                    counter = publish_piece(base, &file.h, &piece)
                else:
                    with nogil:
                        counter = publish_piece(base, &file.h, &piece)
            finally:
                self.busy = 0
        finally:
            PyBuffer_Release(&view)
        file.check_written()
        return counter

    def announce(self, *, atime_ns=None):
        """Publish what the pixels hold now: count, times, semaphores, and the next slot of a ring.

        Parameters
        ----------
        atime_ns : int, optional
            As for `publish`.

        Returns
        -------
        int
            The counter of the frame. `cnt1` of a temporal circular cube stays: its writer has set it.

        Raises
        ------
        StreamReadOnlyError, StreamClosedError, StreamBusyError
        """
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef bint has_atime = atime_ns is not None
        cdef int64_t acquired
        file.need_pixels()
        acquired = time_argument(file.name, atime_ns) if has_atime else 0
        self.take_turn()
        try:
            if before_frame is not None:
                before_frame(self)
            open_frame(base)
            counter = close_frame(base, &file.h, has_atime, acquired, -1)
        finally:
            self.busy = 0
        file.check_written()
        return counter

    def claim(self, *, atime_ns=None, missed=0):
        """Take the next frame to fill in place.

        Parameters
        ----------
        atime_ns : int, optional
            As for `publish`.
        missed : int, default 0
            Frames of the source that are missing before this one: they leave a gap in the numbers, and every reader
            counts them as lost.

        Returns
        -------
        Claim
            A context manager. Entering returns a writable view of the pixels, which still hold the newest frame
            (on a temporal circular cube: of the next slice, which holds the oldest frame). Leaving publishes it.
            After an exception nothing is published, but changed pixels stay changed.
        """
        self.file.use_to_write()
        self.file.need_pixels()
        cdef Claim claim = Claim.__new__(Claim)
        claim.stream = self
        claim.has_atime = atime_ns is not None
        claim.atime_ns = 0 if atime_ns is None else time_argument(self.name, atime_ns)
        claim.advance = advance_of(self.file, missed)
        return claim

    def publish_many(self, frames, count=None, *, interval_ns=0, atimes_ns=None):
        """Publish many frames one by one, without the GIL, optionally at a steady rate.

        Parameters
        ----------
        frames : ndarray, shape (k, *frame_shape), stream dtype, C-contiguous
            On a temporal circular cube each fills the next slice.
        count : int, optional
            Number of frames to publish; after the last of `frames` comes the first again. Default k.
        interval_ns : int, default 0
            Nanoseconds from one frame to the next; 0 is as fast as possible. A frame that is late by more than
            one interval shifts those behind it; there are no bursts.
        atimes_ns : ndarray of int64, shape (k,), optional
            Acquisition times of `frames`, nanoseconds of CLOCK_TAI. Default: as each is published.

        Returns
        -------
        int
            The counter of the last frame.

        Raises
        ------
        FrameMismatchError, StreamArgumentError, StreamReadOnlyError, StreamClosedError
        """
        cdef Py_buffer view
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef Series series
        cdef uint64_t held
        cdef bint check = threading.current_thread() is threading.main_thread()
        cdef const int64_t[::1] times
        cdef Place place
        file.need_pixels()
        if type(frames) is not _ndarray:
            frames = _unmasked(frames, "frames")
        take_buffer(frames, &view, False, self.name, "frames")
        try:
            held = count_frames(frames, &view, &file.h, self.frame_shape, self.name, "frames")
            times = None if atimes_ns is None else checked_times(file, atimes_ns, held)
            asked = held if count is None else whole_number(count)
            gap = whole_number(interval_ns)
            if held < 1 or gap is None or not 0 <= gap < 2**62 or asked is None or not 0 <= asked < 2**63:
                raise StreamArgumentError(
                    f"stream {self.name!r}: publish_many got {held} frames, count {shown(count)}, "
                    f"interval {shown(interval_ns)} ns; it needs at least one frame, and whole numbers from 0 on",
                    stream=self.name, argument="count", found=count)
            series = Series(frames=<char *>view.buf, atimes=NULL, held=held, total=asked, done=0,
                            interval=gap, due=0, counter=(<IMAGE_METADATA *>base).cnt0)
            if times is not None:
                series.atimes = &times[0]
            self.take_turn()
            try:
                if before_frame is not None:
                    before_frame(self)
                place = place_of(file, self.next_place)
                while series.done < series.total:
                    with nogil:
                        publish_series(base, &file.h, &series, check, &file.mapping.closed, &place)
                    PyErr_CheckSignals()
                    file.check_written()
                    self.next_place = told_of_place(file, &place, self.next_place)
                    file.use_whole()  # raises if it was closed meanwhile
            finally:
                self.busy = 0
        finally:
            PyBuffer_Release(&view)
        return series.counter

    def publish_feed(self, FrameFeed feed not None):
        """Publish the frames that another thread hands over, each at its time, until it ends the feed.

        Parameters
        ----------
        feed : FrameFeed
            Of frames of `frame_shape` and `dtype`. One stream publishes from it.

        Raises
        ------
        FrameMismatchError, StreamReadOnlyError, StreamClosedError, StreamBusyError

        Notes
        -----
        The main thread takes the GIL every 50 ms, for signals. Other threads never take it.
        """
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef bint ended = False, check = threading.current_thread() is threading.main_thread()
        cdef Place place
        file.need_pixels()
        for field, expected, found in (("shape", self.frame_shape, feed.slots.shape[1:]),
                                       ("dtype", self.dtype, feed.slots.dtype)):
            if found != expected:
                raise FrameMismatchError(
                    f"stream {self.name!r}: the feed has frames of {field} {found}, the stream {expected}",
                    stream=self.name, field=field, expected=expected, found=found)
        self.take_turn()
        try:
            place = place_of(file, self.next_place)
            while not ended:
                with nogil:
                    ended = publish_feed(base, &file.h, &feed.feed, check, &file.mapping.closed, &place)
                PyErr_CheckSignals()
                self.next_place = told_of_place(file, &place, self.next_place)
        finally:
            self.busy = 0
        file.check_written()
        file.use_whole()  # raises if it was closed meanwhile

    def publish_from(self, Reader reader not None, *, after=None, timeout=None, spin_ns=0, missed=None):
        """Publish the frames of another stream in this one until `Reader.stop`, without the GIL.

        Each keeps its acquisition time. If this stream has no frames yet and `after` is given, the first frame keeps
        the number that it has in the other stream. Frames that were lost or torn leave a gap in the numbers, so that
        readers of this stream count them as lost.

        Parameters
        ----------
        reader : Reader
            Of a stream with the same frame shape and dtype. No other handle may write to this stream meanwhile.
        after, timeout, spin_ns, missed
            As for `Reader.receive`; they are about the other stream.

        Returns
        -------
        int
            Frames published by all calls with this reader since `Reader.arm`.

        Raises
        ------
        StreamTimeoutError, StreamReplacedError, StreamClosedError, StreamReadOnlyError, StreamBusyError
        FrameMismatchError
            The frames of the two streams differ.
        StreamFormatError
            The other stream is a temporal circular cube, or pixels are on a GPU.
        """
        cdef Job job
        cdef StreamFile source = reader.file
        cdef StreamFile file = self.file
        cdef Terms terms = terms_of(source.name, timeout, after, spin_ns, missed)
        cdef char *base
        source.use_whole()
        base = file.use_to_write()
        file.need_pixels()
        check_source(source, file)
        reader.begin()
        try:
            self.take_turn()
            try:
                reader.prepare(&job, source, &terms)
                job.target = Target(base=base, h=&file.h, closed=&file.mapping.closed, jump=0, torn=0,
                                    reached=&reader.reached, counter_set=&reader.counter_set, uncertain=&reader.uncertain)
                if not terms.going_on:
                    reader.done = 0
                elif self.counter == 0:
                    job.target.jump = terms.after
                job.wanted = <uint64_t>-1
                job.delivered = reader.done
                reader.deliver(&job, &terms)
            except StreamDamagedError:
                file.check_whole()  # the error names the file that is damaged
                raise
            finally:
                self.busy = 0
        finally:
            reader.end()
        return job.delivered

    # -- waiting -------------------------------------------------------------------------------

    def reader(self):
        """Make a `Reader` of this stream, with a semaphore of its own."""
        return make_reader(self.file)

    def ring_cursor(self):
        """Make a `RingCursor` of this stream, or return None if it has no ring of 2 slots or more."""
        return stream_cursor(self.file)

    cdef Reader first_reader(self):
        """Return the reader of this handle, which the waiting methods use."""
        cdef Reader reader = self.own_reader
        self.file.use_whole()
        if reader is None:
            reader = self.own_reader = self.reader()
        return reader

    cdef Reader idle_reader(self):
        """Return the reader of this handle, or a new one if that is waiting in another thread."""
        cdef Reader reader = self.first_reader()
        return self.reader() if reader.is_running() else reader

    def free_reader(self):
        """Return the reader that the waiting methods use, or a new one while that one waits."""
        return self.idle_reader()

    @property
    def sem_index(self):
        """Index of the semaphore of this handle, taken now if it has none yet; None if all are taken."""
        return self.first_reader().hold_semaphore()

    def take_semaphore(self, preferred):
        """Return `sem_index`; if none is held yet, take semaphore `preferred` where it is free.

        Parameters
        ----------
        preferred : int
            A number that is no index means any semaphore.

        Returns
        -------
        int or None
            The lowest free one if the preferred one is not free; None if all are taken, or it is read-only. Posts stay.
        """
        return self.first_reader().take_semaphore(preferred)

    def wait(self, timeout=None, *, after=None, spin_ns=0):
        """Wait for a new frame; see `Reader.wait`."""
        return self.idle_reader().wait(timeout, after=after, spin_ns=spin_ns)

    def try_wait(self, after):
        """Tell whether a frame newer than number `after` is there; see `Reader.try_wait`."""
        return self.idle_reader().try_wait(after)

    def receive(self, out, info=None, *, timeout=5.0, after=None, first=0, spin_ns=0, missed=None, wait_on="count"):
        """Receive the next frames into memory of the caller; see `Reader.receive`."""
        return self.idle_reader().receive(out, info, timeout=timeout, after=after, first=first, spin_ns=spin_ns,
                                          missed=missed, wait_on=wait_on)

    # -- semaphores ----------------------------------------------------------------------------

    def post(self, index=None):
        """Post one semaphore, or all of them, unless it is at the cap of 10. No frame is counted."""
        semaphores.post(self.file, index)

    def flush(self, index=None):
        """Take all posts off one semaphore, or off all of them. Returns how many there were."""
        count = semaphores.flush(self.file, index)
        self.note_taken(index)
        return count

    def sem_try_wait(self, index):
        """Take one post off a semaphore if there is one. Returns whether there was."""
        taken = semaphores.try_wait(self.file, index)
        self.note_taken(index)
        return taken

    def sem_wait(self, index, timeout=None):
        """Wait for a post of one semaphore and take it. Returns whether it came in time.

        A post does not tell of a frame: use `wait` for frames. The GIL is released; Ctrl-C ends the wait.
        """
        taken = semaphores.wait_for_post(self.file, index, timeout)
        self.note_taken(index)
        return taken

    cdef int note_taken(self, object index) except -1:
        """Note which frames have no post left, if it was the semaphore of this handle."""
        own = None if self.own_reader is None else self.own_reader.sem_index
        if own is not None and (index is None or index == own):
            self.own_reader.order.trust = UNKNOWN
            self.told = max(0, self.counter - self.sem_value(own))


# --------------------------------------------------------------------------------------------------
# Claims
# --------------------------------------------------------------------------------------------------

cdef object not_entered(object name):
    return StreamBusyError(f"stream {name!r}: this claim was not entered, or was left already", stream=name)


@cython.final
@cython.auto_pickle(False)
cdef class Claim:
    """The next frame of a stream, to be filled in place; made by `Stream.claim`.

    Attributes
    ----------
    counter : int or None
        Counter of the frame once it was published.
    """

    cdef Stream stream
    cdef StreamFile file    # of the frame that was begun; None: not entered, or left
    cdef bint has_atime
    cdef int64_t atime_ns
    cdef int64_t slice
    cdef uint64_t advance   # of the counter
    cdef bint counted       # early
    cdef readonly object counter

    def __init__(self):
        raise TypeError("a Claim is made by Stream.claim()")

    def __enter__(self):
        """Begin the frame; returns a writable view of shape `Stream.frame_shape`."""
        if self.stream is None:
            raise TypeError("a Claim is made by Stream.claim()")
        # Kept: the stream may be closed before the claim is left.
        cdef StreamFile file = self.stream.file
        cdef char *base = file.use_to_write()
        file.need_pixels()
        frame = self.stream.view(writable=True)
        self.stream.take_turn()
        self.file = file
        self.counted = False
        open_frame(base)
        self.slice = next_slice(base, &file.h)
        return frame if self.slice < 0 else frame[self.slice]

    def count_early(self):
        """Count and post the frame now, while it is still being filled, with `write` raised: for simulations.

        Careless writers do so. Readers wait for the rest; one that waits for longer than 50 ms gets the frame as it is,
        marked as torn. Leaving the claim does not count it again.

        Raises
        ------
        StreamBusyError
            The claim was not entered, or was left or counted already.
        StreamArgumentError
            The stream has a ring, whose readers would take the slot for a whole frame.
        """
        cdef StreamFile file = self.file
        if file is None or self.counted:
            raise StreamBusyError("count_early: a frame is counted once, while it is claimed", stream=None)
        if self.slice >= 0 or file.h.n.cbsize:
            raise StreamArgumentError(
                f"stream {self.stream.name!r} has a ring; frames can be counted early in plain streams only",
                stream=self.stream.name, argument="stream", found=self.stream.name)
        self.counted = True
        self.counter = count_early(file.mapping.base, &file.h)

    def __exit__(self, kind, error, trace):
        cdef StreamFile file = self.file
        if file is None:
            raise not_entered(None if self.stream is None else self.stream.name)
        self.file = None
        self.stream.busy = 0
        if self.counted:
            abandon_frame(file.mapping.base)
        elif kind is None:
            if before_frame is not None:
                try:
                    before_frame(self.stream)
                except BaseException:
                    abandon_frame(file.mapping.base)
                    raise
            counter = close_frame_by(
                file.mapping.base, &file.h, self.has_atime, self.atime_ns, self.slice, self.advance)
            file.check_written()
            self.counter = counter
        else:
            abandon_frame(file.mapping.base)
