"""The compiled core: memory, streams and readers. Mechanism only.

`Mapping` owns memory, `Stream` is one attached stream file, `Reader` waits for its frames. Nothing in
here knows orientation codes, prints, or decides how long to wait.

How a frame is published is stated in protocol/publish.pxd, how it is received in protocol/receive.pxd, and how
rings are read in protocol/ring.pxd.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_IsContiguous,
    PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EFAULT, EINTR, EINVAL, errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, INT64_MAX
from libc.string cimport memcpy, memmove, memset, strchr

from ._isio cimport *
from .native.checks cimport (
    bad_argument, closed_error, index_argument, on_gpu_error, take_buffer, count_frames, time_argument, timeout_ns,
)
from .native.checks cimport (
    bad_argument as _bad_argument, closed_error as _closed, count_frames as _count_frames, damaged_error as _damaged,
    index_argument as _index, on_gpu_error as _on_gpu, take_buffer as _take_buffer,
)
from .native.file cimport StreamFile, make_file
from .native.header cimport (
    READY_WAIT_MS, Snapshot, decode_text, frame_shape_of as _frame_shape_of, layout_of, open_file, take_snapshot,
)
from .native.feed cimport FrameFeed
from .native.memory cimport KEPT_NBYTES, Block, Mapping, anonymous, map_file, map_pages, take_block
from .native.metadata cimport StreamMetadata
from .native.reader cimport Reader, Terms, make_reader, terms_of
from .native.rings cimport stream_cursor
from .protocol.clock cimport *
from .protocol.copying cimport *
from .protocol.cursor cimport *
from .protocol.filestate cimport *
from .protocol.flags cimport *
from .protocol.frame cimport *
from .protocol.guard cimport *
from .protocol.layout cimport *
from .protocol.look cimport *
from .protocol.pace cimport *
from .protocol.pacing cimport *
from .protocol.port cimport *
from .protocol.posts cimport *
from .protocol.process cimport *
from .protocol.publish cimport *
from .protocol.receive cimport *
from .protocol.ring cimport *
from .protocol.semaphore cimport *
from .protocol.turn cimport *
from .protocol.waiting cimport *

import errno as _errno
import math
import operator
import os
import stat as _stat
import threading
import time as _time
from collections import namedtuple

import numpy as np

from .errors import (
    CaptureMemoryError,
    FrameLostError,
    FrameMismatchError,
    KeywordError,
    KeywordNotFoundError,
    KeywordTableFullError,
    StreamArgumentError,
    StreamBusyError,
    StreamChangedError,
    StreamClosedError,
    StreamDamagedError,
    StreamError,
    StreamExistsError,
    StreamFormatError,
    StreamNameError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamPermissionError,
    StreamReadOnlyError,
    StreamReplacedError,
    StreamShapeChangedError,
    StreamStorageError,
    StreamTimeoutError,
    StreamTypeChangedError,
    StreamUnsupportedError,
)
from .native import feed as _feed_room
from .native import header as _header_room
from .native import memory as _memory_room
from .native import reader as _reader_room
from .native.checks import checked_timeout
from .native.formats import (
    DTYPES,
    FLAG_COUNTER_RESET,
    FLAG_FROM_RING,
    FLAG_NEW_FILE,
    FLAG_REPEATED_POST,
    FLAG_TORN,
    FLAG_VERIFIED,
    FRAME_ROW,
    IMAGETYPES,
    MATH_DATA,
    NELEMENT_MAX,
    SECTION_DTYPES,
    TIMESPEC,
)
from .native.header import build_info, read_header
from .native.memory import ArrayExporter, allocate, free_memory, prefault, turn_copy
from .native.rings import PrivateRing, RingCursor
from .native.waitany import wait_for_any
from .names import check_name, stream_name, stream_path
from .notices import warn_of_tear as _warn_of_tear
from .processes import process_alive
from .spellings import FRAME_OPTIONS, positional_too
from .temporary import aside_path, mark_busy, mark_idle, remove_abandoned, temporary_path
from .writerlock import check_free, check_stream, lock_stream, lock_writer

__all__ = [
    "FLAG_COUNTER_RESET",
    "FLAG_FROM_RING",
    "FLAG_NEW_FILE",
    "FLAG_REPEATED_POST",
    "FLAG_TORN",
    "FLAG_VERIFIED",
    "FRAME_ROW",
    "IMAGETYPES",
    "ArrayExporter",
    "Claim",
    "FrameAccess",
    "FrameFeed",
    "Keyword",
    "Mapping",
    "PrivateRing",
    "Reader",
    "RingCursor",
    "Stream",
    "allocate",
    "build_info",
    "checked_timeout",
    "free_memory",
    "prefault",
    "read_header",
    "turn_copy",
    "wait_for_any",
]

# --------------------------------------------------------------------------------------------------
# Constants
# --------------------------------------------------------------------------------------------------

cdef enum:
    # A file that is no stream is being made, by a program that makes it in place, unless it stays like that.
    HALF_MADE_NS = 100_000_000
    # Readers of keywords compare two copies, this often at most.
    KEYWORD_TRIES = 4

# Older names of what is in rooms of its own now. (A class that is cimported does not become a Python name by itself.)
_DTYPES, _MATH_DATA, _NELEMENT_MAX, _SECTION_DTYPES, _TIMESPEC = DTYPES, MATH_DATA, NELEMENT_MAX, SECTION_DTYPES, TIMESPEC
globals().update(
    Block=_memory_room.Block, Mapping=_memory_room.Mapping, Region=_memory_room.Region, _Snapshot=_header_room.Snapshot,
    FrameFeed=_feed_room.FrameFeed, Reader=_reader_room.Reader)

# What is asked of numpy on hot paths, looked up once.
cdef object _ndarray = np.ndarray
cdef object _empty = np.empty
cdef object _asarray = np.asarray
cdef object _copyto = np.copyto

Keyword = namedtuple("Keyword", "name value comment cnt", defaults=("", None), module=__name__)
Keyword.__doc__ = """One keyword of a stream.

Parameters
----------
name : str
    1 to 16 bytes of UTF-8.
value : int, float or str
    Stored as int64 (L), double (D), or up to 16 bytes of text (S).
comment : str, default ""
    Up to 80 bytes.
cnt : int or None
    Times the keyword was written. None when writing: one more than in the stream.
"""


# --------------------------------------------------------------------------------------------------
# Streams
# --------------------------------------------------------------------------------------------------

cdef sem_t *semaphore_of(StreamFile file, char *base, object index) except NULL:
    return semaphore(base, &file.h, index_argument(file.name, "index", index, file.h.n.sem))


cdef uint64_t publish_turned(char *base, const Header *h, pymilk_turn *turn, bint has_atime, int64_t atime_ns,
                              int64_t slice) noexcept nogil:
    open_frame(base)
    pymilk_turn_copy(turn)
    return close_frame(base, h, has_atime, atime_ns, slice)


cdef uint64_t publish_bytes(char *base, const Header *h, char *target, const char *source, uint64_t nbytes,
                             bint has_atime, int64_t atime_ns, int64_t slice) noexcept nogil:
    open_frame(base)
    if slice >= 0 and (source + nbytes <= target or target + nbytes <= source):
        fill_slot(target, source, nbytes)
    else:
        memmove(target, source, nbytes)  # the frame may be a view of this very stream
    return close_frame(base, h, has_atime, atime_ns, slice)


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


@cython.final
@cython.auto_pickle(False)
cdef class Stream(StreamMetadata):
    """One attached stream file: frames, counters, keywords, semaphores, ring slots.

    Made by `Stream.create` or `Stream.attach`; a context manager that closes. Shapes are in C order,
    slowest axis first: ``shape == size[::-1]``, where ``size`` is the order of the file.

    Views keep the memory alive: they stay valid after `close`, and after the stream was deleted.

    Attributes
    ----------
    name, path : str
        Of the file.
    shape : tuple of int
        Of the pixels in the file.
    frame_shape : tuple of int
        Of one frame: `shape`, or that of a slice where the stream is a temporal circular cube.
    dtype : numpy.dtype
    nbytes : int
        Bytes of the pixels in the file.
    writable : bool
        False if attached read-only. Then waiting watches the counter, since semaphores cannot be
        touched.
    note : str
        Why it is read-only, or empty.
    frame_counter : int
        Counter of the frame that `copy_frame` or `read` copied last.
    frame_flags : int
        Its flags: `FLAG_VERIFIED`, or `FLAG_TORN` if the writer left no time or died in the frame.
    """

    cdef pid_t busy         # the process that is in a frame; 0: none
    cdef pid_t admitted     # the process that was seen to be allowed to write; 0: none yet
    cdef bint alone         # nobody else may write: the lock is needed
    cdef object lock        # WriterLock, or None
    cdef readonly uint64_t frame_counter
    cdef readonly uint64_t frame_flags
    cdef int64_t grace      # for a writer that is in a frame; STUCK_GRACE_NS after one that died
    cdef uint64_t stuck_at  # counter of the frame that it died in
    cdef Reader own_reader
    cdef object __weakref__

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
            False maps the file read-only. If True and the file permits reading only, it is attached
            read-only; `note` and ``repr`` say so.
        exclusive : bool, default False
            Have the stream for writing to this handle alone, until it is closed or the process ends: frames,
            exclusive attaches and replacements by other handles of pymilk, in this process or another one, are
            refused. Programs that do not know of it are not kept out, and neither is a handle that has
            published before.
        prefault : bool, default True
            Have all pages of a file up to 256 MiB mapped now, which takes up to 20 ms for 200 MB. False leaves
            each page to its first use: for a look at the metadata.

        Returns
        -------
        Stream

        Raises
        ------
        StreamNotFoundError
            No such file.
        StreamPermissionError
            It cannot even be read.
        StreamFormatError
            It is not a stream, is not ready, or its header contradicts itself or the file size.
        StreamNameError
            Not a name or path of a stream.
        StreamLockedError
            With `exclusive`: another handle has it to itself.
        StreamReadOnlyError, StreamUnsupportedError
            With `exclusive`: it cannot be written, or its file system knows no locks.

        Notes
        -----
        Everything is checked on one snapshot of the header before a pixel is mapped. A file whose
        version is still empty is given 0.1 s to become ready.
        """
        return _attach(
            os.path.abspath(stream_path(name_or_path)), writable, READY_WAIT_MS, prefault, exclusive)

    @staticmethod
    def create(name_or_path, shape, dtype, *, nbkw=50, nbsem=10, imagetype=MATH_DATA, cb_size=0,
               mode=None, exist_ok=True, location=-1, version="2.00", layout=None, exclusive=False):
        """Create a stream, replacing one of the same name.

        Nobody ever sees it half made: the file is filled under a temporary name, with its memory
        reserved, and renamed into place. Readers of a replaced stream keep their memory and are told.

        Parameters
        ----------
        name_or_path : str or PathLike
        shape : tuple of int
            0 to 3 axes in C order, slowest first. No axes is stored as one element.
        dtype : dtype
            uint8 to uint64, int8 to int64, float16, float32, float64, complex64, complex128, or bool,
            which is stored as uint8. Stored little endian.
        nbkw : int, default 50
            Room for keywords, 0 to 65535.
        nbsem : int, default 10
            Semaphores, 0 to 65535: one for each reader that sleeps.
        imagetype : int, default MATH_DATA
            Bits of `IMAGETYPES`.
        cb_size : int, default 0
            Slots of the fast circular buffer.
        mode : int, optional
            Permissions of the file, 0 to 0o777, whatever the umask: 0o600 keeps other users out, 0o644 lets
            them read. Default 0o666 less the umask, which is never touched.
        exist_ok : bool, default True
            False raises `StreamExistsError` instead of replacing.
        location : int, default -1
            A GPU number makes a stream without pixels in the file; whoever owns the device memory
            stores its handle in `cuda_handle`.
        version : str, default "2.00"
            Structure version to store: "2." and more.
        layout : {"default", "dao", "writehistory", "dao+writehistory"}, optional
            Build options of the programs that are to read it. Default: those of the header that
            pymilk was compiled with.
        exclusive : bool, default False
            As for `attach`.

        Returns
        -------
        Stream
            Attached, all zero, counter 0: what ImageStreamIO's own create leaves.

        Raises
        ------
        StreamArgumentError, StreamNameError
            An argument is out of range; nothing was created.
        StreamNotFoundError, StreamPermissionError
            The directory does not exist or is not writable.
        StreamStorageError
            The file system is full.
        StreamExistsError
            It exists, and `exist_ok` is false.
        StreamLockedError
            It exists, and another handle has it to itself for writing.
        StreamUnsupportedError
            With `exclusive`: the file system knows no locks.

        Notes
        -----
        A process that is killed here leaves a temporary file at most, never half a stream. The next `create` in
        the same directory removes it.
        """
        cdef Header h
        path = os.path.abspath(stream_path(name_or_path))
        name = stream_name(path)
        if len(os.fsencode(path)) >= 200:
            raise StreamNameError(
                f"{path}: ImageStreamIO opens paths of less than 200 bytes only", stream=name, name=name)
        _plan(&h, name, shape, dtype, nbkw, nbsem, imagetype, cb_size, location, layout)
        if mode is not None:
            mode = index_argument(name, "mode", mode, 0o1000)
        if not (isinstance(version, str) and version.startswith("2.") and version.isascii()
                and version.isprintable() and len(version) < 32):
            raise StreamArgumentError(
                f"stream {name!r}: version is '2.' and at most 29 more letters, not {version!r}",
                stream=name, argument="version", found=version)
        return _create(&h, path, name, version.encode(), mode, exist_ok, exclusive)

    @staticmethod
    def local(name, shape, dtype, *, nbkw=50, nbsem=10, imagetype=MATH_DATA, cb_size=0):
        """Make a stream of this process alone: no file, invisible to others, otherwise the same.

        Parameters
        ----------
        name : str
            What it is called in messages; any number of local streams may share one.
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
            The memory cannot be had.
        """
        cdef Header h
        cdef Stream stream = Stream.__new__(Stream)
        _plan(&h, check_name(name), shape, dtype, nbkw, nbsem, imagetype, cb_size, -1, None)
        cdef Mapping mapping = anonymous(h.at.total, f"stream {name!r}", "make it smaller")
        _fill_new(mapping.base, &h, os.fsencode(name), b"2.00", False)
        stream.file = make_file(mapping, &h, "", name, "local to this process", 0, 0)
        stream.grace = WRITE_GRACE_NS
        return stream

    # -- life ----------------------------------------------------------------------------------

    cdef int _take_turn(self) except -1:
        """Begin to write; the caller sets busy to 0 when it is done. A thread of our parent is not in our way."""
        if self.busy == own_pid:
            raise StreamBusyError(
                f"stream {self.name!r}: a frame is being written through this handle already; "
                "leave its claim first", stream=self.name)
        self.busy = own_pid
        if self.admitted != own_pid:
            self._admit()
        return 0

    cdef int _admit(self) except -1:
        """Before the first frame of this process: take the lock, or see that nobody else has it."""
        cdef StreamFile file = self.file
        try:
            if self.alone:
                self.lock = lock_stream(file.path, file.device, file.inode, file.name)
            elif file.path:  # a local one is nobody else's
                check_stream(file.path, file.device, file.inode, file.name)
        except BaseException:
            self.busy = 0
            raise
        self.admitted = own_pid
        return 0

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.file.mapping is None

    @property
    def writable(self):
        cdef Mapping mapping = self.file.mapping
        return mapping is not None and bool(mapping.writable)

    @property
    def exclusive(self):
        """Whether this handle has the stream to itself for writing. False in a child after fork."""
        return self.file.mapping is not None and self.lock is not None and self.lock.held

    def close(self):
        """Let go of the stream. Waits of other threads end with `StreamClosedError`; views stay."""
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
            The path leads to a stream that another process made meanwhile. It is left alone, and this
            handle stays open.
        StreamNotFoundError
            The file is gone already.
        """
        cdef StreamFile file = self.file
        cdef int fd
        file.use()
        if not file.path:  # a local one has no file
            self.close()
            return
        state = file.state()
        if state == FILE_GONE:
            raise self._gone()
        if state == FILE_OTHER:
            raise self._not_ours()
        # Another process may put its stream there this very moment: the file is taken aside, looked at
        # once more, and put back if it is not ours.
        aside = aside_path(file.path, file.inode)
        try:
            fd = open_file(file.path, False)
        except StreamNotFoundError:
            raise self._gone() from None
        try:
            mark_busy(fd)
            try:
                os.rename(file.path, aside)
            except FileNotFoundError:
                raise self._gone() from None
            except PermissionError:
                raise StreamPermissionError(
                    f"{self.path}: no permission to delete it", stream=self.name, path=self.path) from None
            if file_state(os.fsencode(aside), file.device, file.inode, file.h.at.total) == FILE_OTHER:
                try:
                    os.link(aside, file.path, follow_symlinks=False)
                except FileExistsError:
                    pass  # there is a newer one already
                os.unlink(aside)
                raise self._not_ours()
            os.unlink(aside)
            retire(fd, file.mapping, &file.h)
        finally:
            c_close(fd)
        self.close()

    def _gone(self):
        return StreamNotFoundError(
            f"stream {self.name!r}: {self.path} was deleted already", stream=self.name, path=self.path)

    def _not_ours(self):
        try:
            found = os.stat(self.path).st_ino
        except OSError:
            found = None
        return StreamReplacedError(
            f"stream {self.name!r}: {self.path} is another stream now (not inode {self.file.inode}); "
            "it was not deleted", stream=self.name, field="inode", expected=self.file.inode, found=found)

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
            Under the same path, with frames of the same shape and dtype. This handle stays as it is. If it is
            exclusive, so is the new one from its first frame on.

        Raises
        ------
        StreamShapeChangedError, StreamTypeChangedError, StreamChangedError
            Shape, dtype or location differ.
        StreamNotFoundError, StreamNotReadyError
            As `attach`.
        StreamFormatError
            As `attach`, once the file has been like that for 0.1 s: a program may be writing it.
        """
        cdef Stream new
        cdef StreamFile file = self.file
        cdef bint writable
        cdef int64_t deadline = later(clock_ns(CLOCK_MONOTONIC), timeout_ns(timeout, self.name))
        cdef int64_t odd_since = 0
        file.use()
        writable = file.mapping.writable
        while True:
            try:
                new = _attach(file.path, writable, 0, True, False)
                break
            except (StreamNotFoundError, StreamNotReadyError):
                odd_since = 0
                if clock_ns(CLOCK_MONOTONIC) >= deadline:
                    raise
            except StreamFormatError:
                odd_since = odd_since or clock_ns(CLOCK_MONOTONIC)
                if clock_ns(CLOCK_MONOTONIC) - odd_since >= HALF_MADE_NS:
                    raise
            _time.sleep(0.002)
        for field, expected, found in (
            ("shape", self.frame_shape, new.frame_shape),
            ("dtype", self.dtype, new.dtype),
            ("location", self.location, new.location),
        ):
            if expected != found:
                new.close()
                kinds = {"shape": StreamShapeChangedError, "dtype": StreamTypeChangedError}
                raise kinds.get(field, StreamChangedError)(
                    f"stream {self.name!r} was recreated with another {field}: it was {expected}, "
                    f"now it is {found}; attach it again",
                    stream=self.name, field=field, expected=expected, found=found)
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
            Writing to the view is seen by readers at once and is not counted; `claim` is the right
            way to fill a frame.

        Returns
        -------
        ndarray, shape `shape`
            Memory that stays valid for ever. It holds the newest frame only until the writer begins
            the next one.
        """
        cdef StreamFile file = self.file
        file.use_whole()
        file.need_pixels()
        if writable:
            file.use_to_write()
        return _ndarray(
            file.shape, file.dtype, file.mapping.region(file.h.at.array, file.h.n.frame_nbytes, writable))

    def copy_frame(self, out):
        """Copy the newest frame into `out`, whole: retried while a writer is in it.

        Parameters
        ----------
        out : buffer, C-contiguous, writable
            Of the bytes of one frame. On a temporal circular cube that is its newest slice; of `nbytes`
            bytes, the whole cube.

        Returns
        -------
        int
            `FLAG_VERIFIED`, or `FLAG_TORN` if the writer left no time or died in the frame (a writer
            is waited for up to 50 ms).

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
                    f"stream {file.name!r}: out has {view.len} bytes, a frame has "
                    f"{file.h.unit_nbytes}", stream=file.name, field="nbytes",
                    expected=file.h.unit_nbytes, found=view.len)
            self._copy_newest(file, base, <char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        self.check_behind_copy()
        return self.frame_flags

    def read(self):
        """Return the newest frame in a new array: `copy_frame` into memory of its own.

        Returns
        -------
        frame : ndarray, shape `frame_shape`, C-contiguous
            Larger ones use memory that was used for frames before, so that it need not be provided anew.
        flags : int
            What `copy_frame` would return.
        number : int
            Its counter.
        """
        frame = self._read()
        self.check_behind_copy()
        return frame, self.frame_flags, self.frame_counter

    cdef object _read(self):
        cdef Py_buffer view
        cdef Block block
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        file.need_pixels()
        block = take_block(file.h.unit_nbytes) if file.h.unit_nbytes >= KEPT_NBYTES else None
        if block is not None:
            frame = _ndarray(file.frame_shape, file.dtype, block)
            self._copy_newest(file, base, block.base, file.h.unit_nbytes)
            return frame
        frame = _empty(file.frame_shape, file.dtype)
        PyObject_GetBuffer(frame, &view, PyBUF_WRITABLE)
        try:
            self._copy_newest(file, base, <char *>view.buf, file.h.unit_nbytes)
        finally:
            PyBuffer_Release(&view)
        return frame

    cdef bint _read_into(self, object out) except -1:
        """Copy the newest frame into an array if it is C-contiguous, and of its shape and dtype."""
        cdef Py_buffer view
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        cdef int axis
        cdef bint fits
        file.need_pixels()
        if out.dtype is not file.dtype:
            return False
        try:
            PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        except (BufferError, ValueError):
            return False
        try:
            fits = view.ndim == file.h.naxis - file.h.temporal
            for axis in range(view.ndim if fits else 0):
                fits = fits and view.shape[view.ndim - 1 - axis] == file.h.size[axis]
            if fits:
                self._copy_newest(file, base, <char *>view.buf, file.h.unit_nbytes)
        finally:
            PyBuffer_Release(&view)
        return fits

    cdef int _copy_newest(self, StreamFile file, char *base, char *dst, uint64_t nbytes) except -1:
        """Copy the newest frame, or all of a temporal cube, and note its flags. `base` is that of `file`."""
        cdef Look seen
        cdef uint64_t flags = 0
        cdef Patience patience
        cdef int never = 0
        cdef bint streaming = nbytes >= STREAMING_READ_NBYTES
        cdef uint64_t number = 0
        if file.h.temporal and file.h.size[2] > 1 and nbytes == file.h.unit_nbytes:
            if nbytes < GIL_RELEASE_NBYTES:
                flags = copy_newest_slice(base, &file.h, dst, False, &number)
            else:
                with nogil:
                    flags = copy_newest_slice(base, &file.h, dst, streaming, &number)
            file.check_whole()
            self.frame_counter = number
            self.frame_flags = flags
            return 0
        if nbytes < GIL_RELEASE_NBYTES:
            flags = try_copy(<IMAGE_METADATA *>base, base + file.h.at.array, dst, nbytes, False,
                             EAGER_TRIES, &seen, NULL)
        if flags:
            self.grace = WRITE_GRACE_NS
        else:
            # A writer that was found dead in this very frame is not waited for again.
            patience = Patience(closed=&file.mapping.closed, stop=&never, grace=self.grace)
            if patience.grace == STUCK_GRACE_NS and self.stuck_at == atomic_load_u64(
                    &(<IMAGE_METADATA *>base).cnt0, __ATOMIC_RELAXED):
                patience.grace = 0
            with nogil:
                flags = copy_frame(base, &file.h, dst, streaming, NULL, &patience, &seen)
            self.grace = patience.grace
            self.stuck_at = seen.cnt0
        file.check_whole()
        self.frame_counter = seen.cnt0
        self.frame_flags = flags
        return 0

    def publish(self, frame, *, atime_ns=None):
        """Copy a frame into the stream and announce it.

        Parameters
        ----------
        frame : array_like, shape `shape`, stream dtype
            Any memory order; C-contiguous is fastest, transposed and flipped images are turned in blocks.
            On a temporal circular cube an array of shape
            ``shape[1:]`` fills the next slice. bool is accepted where the stream is uint8.
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
        The order of the steps is at the top of this module. Frames of 512 KiB and more are copied
        without the GIL. Two writers of one stream lose no counts but may mix their pixels.
        """
        if atime_ns is None:
            return self._publish(frame, False, 0)
        return self._publish(frame, True, time_argument(self.name, atime_ns))

    cdef object _publish(self, object frame, bint has_atime, int64_t acquired):
        cdef Py_buffer view
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef char *target = base + file.h.at.array
        cdef uint64_t nbytes = file.h.n.frame_nbytes, counter
        cdef int64_t slice = -1
        cdef bint contiguous, turned = False
        cdef pymilk_turn turn
        file.need_pixels()
        if type(frame) is not _ndarray:
            frame = _asarray(frame)
        dtype = frame.dtype
        if dtype is not file.dtype and dtype != file.dtype:
            frame = self._fitting(frame)
        shape = frame.shape
        if shape != file.shape:
            if not shape and file.h.nelement == 1:
                shape = file.shape
                frame = frame.reshape(shape)
            elif not (file.h.temporal and shape == file.frame_shape):
                raise FrameMismatchError(
                    f"stream {file.name!r}: the frame has shape {shape}, the stream {file.shape}",
                    stream=file.name, field="shape", expected=file.shape, found=shape)
            else:
                slice = next_slice(base, &file.h)
                nbytes = file.h.unit_nbytes
                target = frame_at(base, &file.h, slice)
        PyObject_GetBuffer(frame, &view, PyBUF_STRIDES)
        contiguous = PyBuffer_IsContiguous(&view, b"C")
        if not contiguous:
            # Not where the frame is a view of this very stream, in another order: NumPy copies it first.
            turned = describe_turn(&turn, target, NULL, <const char *>view.buf, view.strides, view.shape,
                                   view.ndim, view.itemsize)
        try:
            self._take_turn()
        except BaseException:
            PyBuffer_Release(&view)
            raise
        try:
            if turned and nbytes < GIL_RELEASE_NBYTES:
                counter = publish_turned(base, &file.h, &turn, has_atime, acquired, slice)
            elif turned:
                with nogil:
                    counter = publish_turned(base, &file.h, &turn, has_atime, acquired, slice)
            elif not contiguous:
                pixels = _ndarray(shape, file.dtype, file.mapping.region(target - base, nbytes, True))
                open_frame(base)
                try:
                    _copyto(pixels, frame)
                except BaseException:
                    abandon_frame(base)
                    raise
                counter = close_frame(base, &file.h, has_atime, acquired, slice)
            elif nbytes < GIL_RELEASE_NBYTES:
                counter = publish_bytes(base, &file.h, target, <char *>view.buf, nbytes, has_atime,
                                              acquired, slice)
            else:
                with nogil:
                    counter = publish_bytes(base, &file.h, target, <char *>view.buf, nbytes, has_atime,
                                                  acquired, slice)
        finally:
            self.busy = 0
            PyBuffer_Release(&view)
        file.check_whole()
        return counter

    cdef object _fitting(self, object frame):
        """Accept bool where the stream is uint8, as it is stored."""
        dtype = frame.dtype
        if self.file.h.datatype == _DATATYPE_UINT8 and dtype == np.bool_:
            return frame.view(np.uint8)
        raise FrameMismatchError(
            f"stream {self.name!r}: the frame is {dtype}, the stream {self.dtype}; convert it first",
            stream=self.name, field="dtype", expected=self.dtype, found=dtype)

    def announce(self, *, atime_ns=None):
        """Publish what stands in the pixels: count, times, semaphores, and the next slot of a ring.

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
        self._take_turn()
        try:
            open_frame(base)
            counter = close_frame(base, &file.h, has_atime, acquired, -1)
        finally:
            self.busy = 0
        file.check_whole()
        return counter

    def claim(self, *, atime_ns=None):
        """Take the next frame to fill in place.

        Parameters
        ----------
        atime_ns : int, optional
            As for `publish`.

        Returns
        -------
        Claim
            A context manager. Entering gives a writable view of the pixels, which still hold the
            newest frame (on a temporal circular cube: of the next slice, which holds its oldest);
            leaving publishes it; an exception abandons it: nothing is announced, but what was changed
            stays changed.
        """
        self.file.use_to_write()
        self.file.need_pixels()
        cdef Claim claim = Claim.__new__(Claim)
        claim.stream = self
        claim.has_atime = atime_ns is not None
        claim.atime_ns = 0 if atime_ns is None else time_argument(self.name, atime_ns)
        return claim

    def publish_many(self, frames, count=None, *, interval_ns=0, atimes_ns=None):
        """Publish many frames one by one, without the GIL, optionally at a steady rate.

        Parameters
        ----------
        frames : ndarray, shape (k, *frame_shape), stream dtype, C-contiguous
            On a temporal circular cube each one fills the next slice.
        count : int, optional
            How many to publish, going round `frames`. Default k.
        interval_ns : int, default 0
            Nanoseconds from one frame to the next; 0 is as fast as possible. A frame that is late by
            more than one interval shifts those behind it, as a camera would; there are no bursts.
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
        cdef uint64_t total, held
        cdef int64_t interval = interval_ns
        cdef bint check = threading.current_thread() is threading.main_thread()
        cdef const int64_t[::1] times = None
        cdef const int64_t *atimes = NULL
        file.need_pixels()
        take_buffer(frames, &view, False, self.name, "frames")
        try:
            held = count_frames(frames, &view, &file.h, self.frame_shape, self.name, "frames")
            if atimes_ns is not None:
                if not (isinstance(atimes_ns, np.ndarray) and atimes_ns.dtype == np.int64
                        and atimes_ns.shape == (held,)):
                    raise bad_argument(
                        self.name, "atimes_ns", atimes_ns, f"an int64 array of {held} nanoseconds")
                if held:
                    times = np.ascontiguousarray(atimes_ns)
                    atimes = &times[0]
            if held < 1 or interval < 0 or (count is not None and count < 0):
                raise StreamArgumentError(
                    f"stream {self.name!r}: publish_many got {held} frames, count {count}, "
                    f"interval {interval} ns; it needs at least one frame and no negative numbers",
                    stream=self.name, argument="count", found=count)
            total = held if count is None else count
            series = Series(frames=<char *>view.buf, atimes=atimes, held=held, total=total, done=0,
                            interval=interval, due=0, counter=(<IMAGE_METADATA *>base).cnt0)
            self._take_turn()
            try:
                while series.done < total:
                    with nogil:
                        publish_series(base, &file.h, &series, check, &file.mapping.closed)
                    PyErr_CheckSignals()
                    file.check_whole()
                    if file.mapping.closed:
                        raise closed_error(self.name)
            finally:
                self.busy = 0
        finally:
            PyBuffer_Release(&view)
        return series.counter

    def publish_feed(self, FrameFeed feed not None):
        """Publish the frames that another thread hands over, each at its time, until there are no more.

        Parameters
        ----------
        feed : FrameFeed
            With frames of `frame_shape` and `dtype`. Only one stream can publish from it.

        Raises
        ------
        FrameMismatchError, StreamReadOnlyError, StreamClosedError, StreamBusyError

        Notes
        -----
        In any thread but the main one the GIL is not taken once in all that time; in the main one every 50 ms,
        for signals.
        """
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef bint ended = False, check = threading.current_thread() is threading.main_thread()
        file.need_pixels()
        for field, expected, found in (("shape", self.frame_shape, feed.slots.shape[1:]),
                                       ("dtype", self.dtype, feed.slots.dtype)):
            if found != expected:
                raise FrameMismatchError(
                    f"stream {self.name!r}: the feed has frames of {field} {found}, the stream {expected}",
                    stream=self.name, field=field, expected=expected, found=found)
        self._take_turn()
        try:
            while not ended:
                with nogil:
                    ended = publish_feed(base, &file.h, &feed.feed, check, &file.mapping.closed)
                PyErr_CheckSignals()
        finally:
            self.busy = 0
        file.check_whole()
        if file.mapping.closed:
            raise closed_error(self.name)

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
            self._take_turn()
            try:
                reader.prepare(&job, source, &terms)
                job.target = Target(base=base, h=&file.h, closed=&file.mapping.closed, jump=0, torn=0,
                                    reached=&reader.reached)
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

    cdef Reader _own_reader(self):
        """The reader behind the waiting methods of the stream itself, whose semaphore is that of the handle."""
        cdef Reader reader = self.own_reader
        self.file.use_whole()
        if reader is None:
            reader = self.own_reader = self.reader()
        return reader

    cdef Reader _own(self):
        """A reader to wait with: while one thread waits, the next gets one for the time of its call."""
        cdef Reader reader = self._own_reader()
        return self.reader() if reader.is_running() else reader

    def free_reader(self):
        """Return the reader behind the waiting methods, or another one while that one waits."""
        return self._own()

    @property
    def sem_index(self):
        """Index of the semaphore of this handle's own reader, taken if it has none yet, or None."""
        return self._own_reader().hold_semaphore()

    def take_semaphore(self, preferred):
        """Return `sem_index`; if none is held yet, take semaphore `preferred` where it is free.

        Parameters
        ----------
        preferred : int
            Any other number means any semaphore.

        Returns
        -------
        int or None
            The lowest free one if the preferred one is not; None if all are taken, or the stream is
            read-only. Posts that nobody has taken stay.
        """
        return self._own_reader().take_semaphore(preferred)

    def wait(self, timeout=None, *, after=None, spin_ns=0):
        """Wait for a new frame; see `Reader.wait`."""
        return self._own().wait(timeout, after=after, spin_ns=spin_ns)

    def try_wait(self, after):
        """Tell whether a frame newer than number `after` is there; see `Reader.try_wait`."""
        return self._own().try_wait(after)

    def receive(self, out, info=None, **options):
        """Receive the next frames into memory of the caller; see `Reader.receive`."""
        return self._own().receive(out, info, **options)

    # -- semaphores ----------------------------------------------------------------------------

    def post(self, index=None):
        """Post one semaphore, or all of them, where below the cap of 10. No frame is counted."""
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        if index is None:
            post_all(base, &file.h)
        else:
            post_one(base, &file.h, index_argument(file.name, "index", index, file.h.n.sem))
            ring_bell(<sem_t *>(base + file.h.at.semlog))
        file.check_whole()

    def flush(self, index=None):
        """Take all posts off one semaphore, or off every one. Returns how many there were."""
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef int i, count = 0
        if index is not None:
            return file.whole(drain(semaphore_of(file, base, index)))
        for i in range(file.h.n.sem):
            count += drain(semaphore(base, &file.h, i))
        return file.whole(count)

    def sem_value(self, index):
        """Return the value of one semaphore: posts that nobody has taken yet."""
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        cdef int value = 0
        sem_getvalue(semaphore_of(file, base, index), &value)
        file.check_file()
        return value

    def sem_values(self):
        """Return the values of all semaphores as a list."""
        return [self.sem_value(i) for i in range(self.nbsem)]

    def sem_try_wait(self, index):
        """Take one post off a semaphore if there is one; returns whether there was."""
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        return file.whole(sem_trywait(semaphore_of(file, base, index)) == 0)

    def sem_wait(self, index, timeout=None):
        """Wait for a post of one semaphore and take it; returns whether it came in time.

        A post says nothing about frames: `wait` is for those. Releases the GIL; Ctrl-C ends it.
        """
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        cdef int64_t limit = timeout_ns(timeout, file.name)
        cdef sem_t *sem = semaphore_of(file, base, index)
        cdef int64_t now = clock_ns(CLOCK_MONOTONIC)
        cdef int64_t deadline = later(now, limit)
        cdef int code
        file.use_to_write()
        while True:
            with nogil:
                code = pymilk_sem_wait_until(sem, min(deadline, later(now, SLICE_NS)))
                now = clock_ns(CLOCK_MONOTONIC)
            if code == 0:
                return True
            PyErr_CheckSignals()
            file.use_whole()
            file.check_whole()
            if now >= deadline:
                return False

    # -- keywords ------------------------------------------------------------------------------

    def read_keywords(self):
        """Read the keywords.

        Returns
        -------
        list of Keyword
            In the order of the stream. Text that is not UTF-8 is decoded with surrogate escapes, so
            that it can be written back unchanged.

        Notes
        -----
        Writers do not lock: the table is copied until two copies agree, four times at most.
        """
        cdef StreamFile file = self.file
        cdef const char *start = file.use_whole() + file.h.at.keywords
        cdef size_t nbytes = file.h.n.nbkw * sizeof(IMAGE_KEYWORD)
        cdef const IMAGE_KEYWORD *slot
        table = start[:nbytes]
        for _ in range(KEYWORD_TRIES):
            again = start[:nbytes]
            if again == table:
                break
            table = again
        file.check_file()
        slot = <const IMAGE_KEYWORD *><const char *>table
        keywords = []
        for _ in range(file.h.n.nbkw):
            if not slot.name[0]:
                break
            keywords.append(Keyword(
                decode_text(slot.name, KEYWORD_MAX_STRING), _keyword_value(slot),
                decode_text(slot.comment, KEYWORD_MAX_COMMENT), slot.cnt))
            slot += 1
        return keywords

    def write_keywords(self, keywords):
        """Replace all keywords.

        Parameters
        ----------
        keywords : iterable of Keyword or of (name, value[, comment[, cnt]])

        Raises
        ------
        KeywordError
            Too many, or a text too long, or a value that is not int64, float or str; nothing was
            changed.
        """
        cdef IMAGE_KEYWORD *slots
        cdef StreamFile file = self.file
        cdef char *base = file.use_to_write()
        cdef int i
        try:
            entries = list(keywords)
        except TypeError:
            raise KeywordError(
                f"stream {self.name!r}: keywords are a list of (name, value[, comment[, cnt]]), "
                f"not {keywords!r}", stream=self.name) from None
        new = [_encode_keyword(self.name, entry) for entry in entries]
        if len(new) > file.h.n.nbkw:
            raise KeywordTableFullError(
                f"Too many keywords provided: stream {self.name!r} has room for {file.h.n.nbkw} keywords, "
                f"not {len(new)}; recreate it with a larger nbkw",
                stream=self.name, keyword=None, limit=file.h.n.nbkw, found=len(new))
        counts = {keyword.name: keyword.cnt for keyword in self.read_keywords()}
        slots = <IMAGE_KEYWORD *>(base + file.h.at.keywords)
        for i, entry in enumerate(new):
            name = entry[0].decode("utf-8", "surrogateescape")
            cnt = (counts.get(name, 0) + 1) % 2**64 if entry[4] is None else entry[4]
            _store_keyword(&slots[i], entry, cnt)
        # The first empty name ends the list; what stands behind it is of no account.
        i = len(new)
        if i < file.h.n.nbkw and slots[i].name[0]:
            memset(&slots[i], 0, sizeof(IMAGE_KEYWORD))
        file.check_file()

    def update_keyword(self, name, value, comment=None):
        """Change one keyword, keeping its place, and its comment unless one is given.

        A number that stays of its type is replaced by one 8-byte store: readers see the old or the
        new value and nothing in between.

        Raises
        ------
        KeywordNotFoundError
            The stream has no such keyword.
        KeywordError
            As for `write_keywords`.
        """
        cdef StreamFile file = self.file
        cdef IMAGE_KEYWORD *slot = <IMAGE_KEYWORD *>(file.use_to_write() + file.h.at.keywords)
        cdef int _
        entry = _encode_keyword(self.name, Keyword(name, value, "" if comment is None else comment))
        for _ in range(file.h.n.nbkw):
            if not slot.name[0]:
                break
            if (<char *>slot.name)[:KEYWORD_MAX_STRING].split(b"\0", 1)[0] == entry[0]:
                if comment is None:
                    entry = (*entry[:3], None, None)
                _store_keyword(slot, entry, slot.cnt + 1)
                file.check_file()
                return
            slot += 1
        file.check_file()
        raise KeywordNotFoundError(
            f"stream {self.name!r} has no keyword {name!r}; add it with SHM.set_keywords or Stream.write_keywords",
            stream=self.name, keyword=name)

    def clear_keywords(self):
        """Remove all keywords."""
        self.write_keywords([])


cdef object _keyword_value(const IMAGE_KEYWORD *slot):
    if slot.type == c"L":
        return slot.value.numl
    if slot.type == c"D":
        return slot.value.numf
    # S; and N, which an unused slot has: a name without a value.
    return decode_text(slot.value.valstr, KEYWORD_MAX_STRING) if slot.type == c"S" else None


cdef bytes _encode_text(str stream, object keyword, str what, object text, int limit):
    if not isinstance(text, str):
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} has to be str, "
            f"not {type(text).__name__}", stream=stream, keyword=str(keyword))
    try:
        encoded = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} cannot be encoded: {text!r}",
            stream=stream, keyword=str(keyword)) from None
    if len(encoded) > limit or b"\0" in encoded:
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} takes {limit} bytes without NUL; "
            f"{text!r} has {len(encoded)}",
            stream=stream, keyword=str(keyword), limit=limit, found=len(encoded))
    return encoded


cdef tuple _encode_keyword(str stream, object keyword):
    """Check one keyword and turn it into (name, type, value, comment, cnt) as stored."""
    try:
        name, value, comment, cnt = Keyword(*keyword)
    except TypeError:
        raise KeywordError(
            f"stream {stream!r}: a keyword is (name, value[, comment[, cnt]]), not {keyword!r}",
            stream=stream) from None
    encoded = _encode_text(stream, name, "name", name, KEYWORD_MAX_STRING)
    if not encoded:
        raise KeywordError(
            f"stream {stream!r}: a keyword needs a name", stream=stream, keyword="",
            limit=KEYWORD_MAX_STRING, found=0)
    note = _encode_text(stream, name, "comment", comment, KEYWORD_MAX_COMMENT)
    if cnt is not None and not (hasattr(cnt, "__index__") and 0 <= cnt < 2**64):
        raise KeywordError(
            f"stream {stream!r}: cnt of keyword {name!r} is an int of 0 to 2**64 - 1, not {cnt!r}",
            stream=stream, keyword=name, limit=2**64 - 1, found=cnt)
    if value is None:
        return encoded, b"N", 0, note, cnt  # a name and a comment only
    if isinstance(value, str):
        return encoded, b"S", _encode_text(stream, name, "value", value, KEYWORD_MAX_STRING), note, cnt
    if isinstance(value, np.bool_):
        value = bool(value)
    try:
        value = operator.index(value)
    except TypeError:
        pass  # no integer
    else:
        if not -2**63 <= value < 2**63:
            raise KeywordError(
                f"stream {stream!r}: keyword {name!r} stores 64-bit integers; {value} needs more",
                stream=stream, keyword=name, limit=64, found=value.bit_length())
        return encoded, b"L", value, note, cnt
    try:
        if np.ndim(value):
            raise TypeError("an array of one element is not a number")
        # Not float(): that reads numbers from bytes.
        return encoded, b"D", value.__float__(), note, cnt
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise KeywordError(
            f"stream {stream!r}: keyword {name!r} takes an int, a float or a str, "
            f"not {type(value).__name__}", stream=stream, keyword=name) from None


cdef int _store_keyword(IMAGE_KEYWORD *slot, tuple entry, uint64_t cnt) except -1:
    cdef double number
    cdef uint64_t word
    cdef char kind = entry[1][0]
    if (<char *>slot.name)[:KEYWORD_MAX_STRING].split(b"\0", 1)[0] != entry[0]:
        # Another keyword's slot: hide it from readers while it changes.
        memset(&slot.value, 0, sizeof(slot.value))
        _store_text(slot.name, entry[0], KEYWORD_MAX_STRING)
    if entry[3] is not None:
        _store_text(slot.comment, entry[3], KEYWORD_MAX_COMMENT)
    if kind == c"S":
        _store_text(slot.value.valstr, entry[2], KEYWORD_MAX_STRING)
    else:
        if kind == c"D":
            number = entry[2]
            memcpy(&word, &number, 8)
        else:
            word = <uint64_t><int64_t>entry[2]
        # One store: no reader sees half of a number. Relaxed, as readers of keywords do not lock.
        atomic_store_u64(<uint64_t *>&slot.value, word, __ATOMIC_RELAXED)
    slot.type = kind
    # Release: the keyword is complete before its count says so.
    atomic_store_u64(&slot.cnt, cnt, __ATOMIC_RELEASE)
    return 0


cdef int _store_text(char *field, bytes text, int nbytes) except -1:
    """Fill a text field; one that is filled completely has no NUL."""
    padded = text.ljust(nbytes, b"\0")
    memcpy(field, <const char *>padded, nbytes)
    return 0


# --------------------------------------------------------------------------------------------------
# Claims and series of frames
# --------------------------------------------------------------------------------------------------

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
    cdef readonly object counter

    def __init__(self):
        raise TypeError("a Claim is made by Stream.claim()")

    def __enter__(self):
        """Begin the frame; returns a writable view of shape `Stream.frame_shape`."""
        if self.stream is None:
            raise TypeError("a Claim is made by Stream.claim()")
        # Kept, so that closing the stream meanwhile cannot take the memory away.
        cdef StreamFile file = self.stream.file
        cdef char *base = file.use_to_write()
        file.need_pixels()
        frame = self.stream.view(writable=True)
        self.stream._take_turn()
        self.file = file
        open_frame(base)
        self.slice = next_slice(base, &file.h)
        return frame if self.slice < 0 else frame[self.slice]

    def __exit__(self, kind, error, trace):
        cdef StreamFile file = self.file
        if file is None:
            name = None if self.stream is None else self.stream.name
            raise StreamBusyError(
                f"stream {name!r}: this claim was not entered, or was left already", stream=name)
        self.file = None
        self.stream.busy = 0
        if kind is None:
            counter = close_frame(file.mapping.base, &file.h, self.has_atime, self.atime_ns, self.slice)
            file.check_whole()
            self.counter = counter
        else:
            abandon_frame(file.mapping.base)


# --------------------------------------------------------------------------------------------------
# The usual case of reading and writing
# --------------------------------------------------------------------------------------------------

@cython.auto_pickle(False)
cdef class FrameAccess:
    """Base of `SHM`: reads and writes frames. The usual case is here; a Python method costs as much as the copy.

    What is not the usual case (another orientation, waiting, a stream that was replaced, memory of other kinds)
    is left to `_get_frame` and `_set_frame` of the subclass.

    Attributes
    ----------
    _stream : Stream or None
        None once it is closed.
    _view : ndarray
        The pixels as the user sees them.
    _plain : bool
        Frames, or slices of a temporal cube, are given and taken as the stream has them.
    _seen : int
        Number of the frame that was read or waited for last.
    """

    cdef public object _stream
    cdef public object _view
    cdef public bint _plain
    cdef public uint64_t _seen

    def get_data(self, check=False, *positional, timeout=5.0, copy=True, checkSemAndFlush=True,
                 autorelink_if_need=True, return_none_on_timeout=False, cube=False, out=None, reform=True,
                 sleepT=0.001):
        """Return a frame: the newest one, or the next one.

        Parameters
        ----------
        check : bool, default False
            Wait for a new frame first. The GIL is released, Ctrl-C ends the wait.
        timeout : float or None, default 5.0
            Seconds to wait; None, 0 and negative wait for ever.
        copy : bool, default True
            False gives a view: memory that stays valid for ever, and holds the frame until the writer
            begins the next one. Whether it is whole cannot be checked. What is written to it is seen by
            everybody, and announced with `repost`; it is read-only if the stream is.
        checkSemAndFlush : bool, default True
            Wait for a frame published after the call. False also takes one that was published since
            this object last waited or read one.
        autorelink_if_need : bool, default True
            Follow a stream that was replaced. False reads on in the old file; waiting in it raises
            `StreamReplacedError`.
        return_none_on_timeout : bool, default False
            On a timeout return None instead of the old frame.
        cube : bool, default False
            Of a temporal circular cube, return all slices in the order of the file instead of the newest
            one. Its writer does not wait: one of them, behind the newest, may be changing.
        out : array or buffer, shape `shape`, stream dtype, optional
            Filled and returned: nothing is allocated. NumPy arrays, memory-mapped files, shared memory,
            whatever has the buffer protocol or DLPack on the CPU; memory without a shape has as many
            bytes. C-contiguous is fastest. With `cube`: shape (slices, *shape).
        reform, sleepT
            Accepted because older calls pass them, also by position (a bool behind `check` is `reform`);
            without effect.

        Returns
        -------
        ndarray, shape `shape`, or None
            A copy is never torn, unless a `FrameTornWarning` says so. Of a temporal circular cube: its
            newest slice, or with `cube` all of them, shape (slices, *shape).

        Raises
        ------
        StreamChangedError
            The stream was recreated with another shape or dtype.
        FrameMismatchError
            `out` does not fit, or is given with ``copy=False``.
        StreamClosedError

        Warns
        -----
        StreamTimeoutWarning
            No new frame in time, and the old one is returned.
        FrameTornWarning
            The writer died in this frame, or leaves no time to copy one.

        Notes
        -----
        Copies of frames from 128 KiB on come in page-aligned memory of frames that nobody has any more; at most
        8 such blocks and 256 MiB are kept for that. From 512 KiB on the GIL is released for the copy.
        """
        cdef Stream stream
        if check is False and cube is False and self._plain and not positional and type(self._stream) is Stream:
            stream = <Stream>self._stream
            if stream.file.mapping is not None and not (autorelink_if_need and stream.is_replaced()):
                if out is None and copy is True:
                    frame = stream._read()
                    self._seen = stream.frame_counter
                    if stream.frame_flags & _TORN:
                        _warn_of_tear(stream.name, stream.frame_counter)
                    return frame
                if out is None and copy is False and not stream.file.h.temporal:
                    self._seen = atomic_load_u64(
                        &(<IMAGE_METADATA *>stream.file.mapping.base).cnt0, __ATOMIC_ACQUIRE)
                    return self._view.view()
                if copy is True and type(out) is _ndarray and stream._read_into(out):
                    self._seen = stream.frame_counter
                    if stream.frame_flags & _TORN:
                        _warn_of_tear(stream.name, stream.frame_counter)
                    return out
        return self._get_frame(check, positional, timeout, copy, checkSemAndFlush, autorelink_if_need,
                               return_none_on_timeout, cube, out, reform, sleepT)

    def set_data(self, data, check_dt=False, autorelink_if_need=False):
        """Publish a frame.

        Parameters
        ----------
        data : array_like, shape `shape`
            Any memory and byte order. An array must have the dtype of the stream; lists and scalars are
            converted, to integers if that changes no value, and to floating-point numbers by rounding.
        check_dt : bool, default False
            Convert an array of another dtype, with NumPy's usual (unsafe) rules.
        autorelink_if_need : bool, default False
            Follow a stream that was replaced. False raises `StreamReplacedError` then: nobody could
            read what is written to the old file.

        Raises
        ------
        FrameMismatchError
            Shape or dtype differ; nothing was written.
        StreamReadOnlyError, StreamClosedError, StreamReplacedError, StreamChangedError
        """
        cdef Stream stream
        if self._plain and type(data) is _ndarray and type(self._stream) is Stream:
            stream = <Stream>self._stream
            if (stream.file.mapping is not None and data.dtype is stream.file.dtype and not stream.is_replaced()
                    and not (stream.file.h.temporal and data.shape != stream.file.frame_shape)):
                stream._publish(data, False, 0)
                return
        self._set_frame(data, check_dt, autorelink_if_need)


# How editors and help show it: what is read from *positional are parameters that may be given by position.
positional_too(*FRAME_OPTIONS)(FrameAccess.get_data)


# --------------------------------------------------------------------------------------------------
# Making and attaching
# --------------------------------------------------------------------------------------------------

cdef Stream _attach(str path, bint writable, int ready_wait_ms, bint prefault, bint exclusive):
    cdef Stream stream = Stream.__new__(Stream)
    cdef Snapshot shot
    cdef Mapping mapping
    cdef int fd
    cdef str note = "" if writable else "read-only as asked"
    try:
        fd = open_file(path, writable)
    except StreamPermissionError:
        if not writable:
            raise
        fd = open_file(path, False)
        writable = False
        note = "read-only: the file does not permit writing"
    try:
        shot = take_snapshot(fd, path, ready_wait_ms)
        mapping = map_file(fd, shot.h.at.total, writable, path)
        if prefault:
            map_pages(mapping, fd)
    finally:
        c_close(fd)
    if not writable:
        note += ", waiting watches the counter"
    stream.file = make_file(mapping, &shot.h, path, stream_name(path), note, shot.device, shot.inode)
    stream.grace = WRITE_GRACE_NS
    if exclusive:
        stream.alone = True
        stream.file.use_to_write()  # raises if it is not
        try:
            stream._take_turn()
        except StreamReplacedError:  # just now
            return _attach(path, writable, ready_wait_ms, prefault, True)
        stream.busy = 0
    return stream


cdef int _plan(Header *h, str name, object shape, object dtype, object nbkw, object nbsem,
               object imagetype, object cb_size, object location, object layout) except -1:
    """Check what a stream is to be, and work out where everything goes."""
    cdef int i, code = 0
    memset(h, 0, sizeof(Header))
    try:
        # operator.index: neither text nor fractions are axes.
        axes = shape if not hasattr(shape, "__index__") else (shape,)
        axes = tuple([operator.index(axis) for axis in axes])
    except TypeError:
        raise bad_argument(name, "shape", shape, "a tuple of 0 to 3 axes") from None
    if len(axes) > 3:
        raise bad_argument(name, "shape", shape, "a tuple of at most 3 axes")
    if not all([1 <= axis < 2**32 for axis in axes]):
        raise bad_argument(name, "shape", shape, "axes of 1 to 2**32 - 1")
    # One element where there is no axis, as the format has no scalars.
    axes = axes or (1,)
    if math.prod(axes) > NELEMENT_MAX:
        raise bad_argument(
            name, "shape", shape, f"at most {NELEMENT_MAX} elements, which is what ImageStreamIO opens")
    try:
        wanted = np.dtype(dtype)
    except (TypeError, ValueError):
        raise bad_argument(name, "dtype", dtype, "a NumPy dtype") from None
    if wanted == np.bool_:
        wanted = np.dtype(np.uint8)
    for known, candidate in DTYPES.items():
        if (candidate.kind, candidate.itemsize) == (wanted.kind, wanted.itemsize):
            code = known
    if not code:
        raise bad_argument(
            name, "dtype", str(wanted), "an integer of 8 to 64 bits, float16 to float64, "
            "complex64, complex128 or bool")
    for argument, found, limit in (
        ("nbkw", nbkw, 2**16), ("nbsem", nbsem, 2**16), ("cb_size", cb_size, 2**32),
        ("imagetype", imagetype, 2**64),
    ):
        if not (hasattr(found, "__index__") and 0 <= found < limit):
            raise bad_argument(name, argument, found, f"an int of 0 to {limit - 1}")
    if not (hasattr(location, "__index__") and -1 <= location < 128):
        raise bad_argument(name, "location", location, "-1 (pixels in the file) or a GPU number")
    if imagetype & 0xF000F == CIRCULAR_BUFFER and len(axes) != 3:
        raise bad_argument(
            name, "imagetype", imagetype, "a circular buffer only for streams with 3 axes")
    h.naxis = len(axes)
    for i in range(h.naxis):
        h.size[i] = axes[h.naxis - 1 - i]
    h.datatype = code
    h.item_nbytes = DTYPES[code].itemsize
    h.nelement = math.prod(axes)
    h.layout = layout_of(layout)
    h.n = Counts(
        imagetype=imagetype, frame_nbytes=h.nelement * h.item_nbytes, slices=h.size[2],
        cbsize=cb_size, sem=nbsem, nbkw=nbkw, nbtrace=IMAGE_NB_PROCTRACE, location=location)
    note_unit(h)
    if not plan_sections(h.layout, &h.n, &h.at) or h.at.total >= <uint64_t>2**62:
        raise bad_argument(name, "cb_size", cb_size, "small enough for a file below 2**62 bytes")
    return 0


cdef Stream _create(Header *h, str path, str name, bytes version, object mode, bint exist_ok,
                    bint exclusive):
    """Make the file under a temporary name, fill it, and move it into place."""
    cdef Stream stream = Stream.__new__(Stream)
    cdef Snapshot old = None
    cdef Mapping mapping, old_mapping = None
    cdef stat st
    cdef int fd = -1, old_fd = -1, code = EINTR
    cdef object guard = None
    cdef bint new
    directory = os.path.dirname(path) or "."
    temporary = temporary_path(path)
    try:
        remove_abandoned(directory)
    except OSError:
        pass  # what is wrong with the directory shows below, where it matters
    try:
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
                     0o666 if mode is None else mode)
    except (FileNotFoundError, NotADirectoryError):
        raise StreamNotFoundError(
            f"stream {name!r}: directory {directory} does not exist; create it or set MILK_SHM_DIR",
            stream=name, path=directory) from None
    except OSError as error:
        if error.errno in (_errno.EACCES, _errno.EPERM, _errno.EROFS):
            raise StreamPermissionError(
                f"stream {name!r}: no permission to create files in {directory}",
                stream=name, path=directory) from None
        if error.errno == _errno.ENOSPC:
            raise _no_space(name, directory, h.at.total) from None
        raise StreamError(f"{temporary}: cannot be created: {error.strerror}", stream=name) from error
    try:
        mark_busy(fd)
        if mode is not None:
            os.fchmod(fd, mode)
        room = os.statvfs(directory)
        if h.at.total > room.f_bavail * room.f_frsize:
            raise _no_space(name, directory, h.at.total)  # rather than fill the disk before it fails
        while code == EINTR:
            PyErr_CheckSignals()
            with nogil:
                code = posix_fallocate(fd, 0, h.at.total)
        if code and code != _errno.ENOSPC:
            raise StreamStorageError(
                f"stream {name!r}: reserving {h.at.total} bytes in {directory} failed: "
                f"{os.strerror(code)}", stream=name, path=directory, needed=h.at.total)
        if code:
            raise _no_space(name, directory, h.at.total)
        if fstat(fd, &st) != 0:
            raise StreamError(f"{temporary}: {os.strerror(errno)}", stream=name)
        mapping = map_file(fd, h.at.total, True, path)
        map_pages(mapping, fd)
        h.inode = st.st_ino
        _fill_new(mapping.base, h, os.fsencode(name), version, True)
        if exclusive:
            # Through a descriptor of its own: memory that is mapped through this one would keep the lock.
            mark_idle(fd)
            stream.lock = lock_writer(os.open(temporary, os.O_RDONLY | os.O_CLOEXEC), name, path)
            stream.alone = True
            stream.admitted = own_pid
        try:
            while True:
                PyErr_CheckSignals()
                if old_fd >= 0:
                    mark_idle(old_fd)
                    c_close(old_fd)
                    old_fd = -1
                old_mapping = None
                new = False
                try:
                    old_fd = open_file(path, True, follow=False)  # a link is replaced, and not what it leads to
                    old = take_snapshot(old_fd, path, 0)
                    old_mapping = map_file(old_fd, old.h.at.total, True, path)
                except StreamNotFoundError:
                    new = True
                except StreamError:
                    pass  # nothing that has readers to be told
                # Who has the old file to himself keeps it; and nobody gets it until the new one is in place.
                if exist_ok and old_fd >= 0 and not exclusive:
                    check_free(old_fd, name, path)
                elif exist_ok and old_fd >= 0:
                    guard = lock_writer(os.dup(old_fd), name, path)
                    if not os.path.exists(path) or not os.path.samestat(os.fstat(old_fd), os.stat(path)):
                        guard.release()
                        continue  # it was replaced just now
                try:
                    if exist_ok and not (exclusive and new):
                        os.rename(temporary, path)
                    else:
                        os.link(temporary, path)  # unlike a rename, a link never replaces
                        os.unlink(temporary)
                    break
                except FileExistsError:
                    if not exist_ok:
                        raise StreamExistsError(
                            f"stream {name!r} exists at {path}; remove it, or create with exist_ok=True",
                            stream=name, path=path) from None
        except IsADirectoryError:
            raise StreamExistsError(
                f"stream {name!r}: {path} is a directory", stream=name, path=path) from None
        except PermissionError:
            raise StreamPermissionError(
                f"stream {name!r}: no permission to replace {path}, which belongs to another user",
                stream=name, path=path) from None
        if old_mapping is not None:
            retire(old_fd, old_mapping, &old.h)
    except BaseException:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass  # it was in place already
        raise
    finally:
        if guard is not None:
            guard.release()
        if old_fd >= 0:
            mark_idle(old_fd)
            c_close(old_fd)
        mark_idle(fd)
        c_close(fd)
    stream.file = make_file(mapping, h, path, name, "", st.st_dev, st.st_ino)
    stream.grace = WRITE_GRACE_NS
    return stream


cdef int retire(int fd, Mapping mapping, const Header *h) except -1:
    """Mark a stream that nobody can open any more, and wake its readers so that they see it.

    Not if it still has a name: it may have been reached through a link.
    """
    cdef stat st
    if fstat(fd, &st) == 0 and st.st_nlink == 0 and mapping.writable:
        (<IMAGE_METADATA *>mapping.base).inode = 0
        post_all(mapping.base, h)
    return 0


cdef object _no_space(str name, str directory, uint64_t needed):
    room = os.statvfs(directory)
    available = room.f_bavail * room.f_frsize
    return StreamStorageError(
        f"stream {name!r} needs {needed} bytes in {directory}, where {available} are free; "
        "remove streams that nobody uses, or enlarge the file system",
        stream=name, path=directory, needed=needed, available=available)


cdef int _fill_new(char *base, const Header *h, bytes name, bytes version, bint shared) except -1:
    """Write what a new stream holds. The memory is all zero; the version comes last."""
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    cdef uint64_t nbytes = h.n.frame_nbytes
    cdef IMAGE_KEYWORD *keywords = <IMAGE_KEYWORD *>(base + h.at.keywords)
    cdef STREAM_PROC_TRACE *trace = <STREAM_PROC_TRACE *>(base + h.at.trace)
    cdef int i
    memcpy(md.name, <const char *>name, min(len(name), STRINGMAXLEN_IMAGE_NAME - 1))
    md.naxis = h.naxis
    for i in range(3):
        md.size[i] = h.size[i]
    md.nelement = h.nelement
    md.datatype = h.datatype
    md.imagetype = h.n.imagetype
    md.creatorPID = own_pid
    md.shared = shared
    md.inode = h.inode
    md.location = h.n.location
    md.sem = h.n.sem
    md.NBproctrace = h.n.nbtrace
    md.NBkw = h.n.nbkw
    md.CBsize = h.n.cbsize
    memcpy(base + at_imdatamemsize(h.layout), &nbytes, 8)
    for i in range(h.n.nbkw):
        keywords[i].type = c"N"
    for i in range(h.n.sem):
        sem_init(semaphore(base, h, i), 1, 0)
        (<int32_t *>(base + h.at.sem_read_pid))[i] = -1
        (<int32_t *>(base + h.at.sem_write_pid))[i] = -1
    for i in range(h.n.nbtrace):
        trace[i].trigsemindex = -1
    md.lastaccesstime = to_timespec(clock_ns(CLOCK_TAI))
    md.creationtime = to_timespec(clock_ns(CLOCK_TAI))
    # Everything else is there before the version says that the stream is ready.
    atomic_fence(__ATOMIC_RELEASE)
    memcpy(md.version, <const char *>version, len(version))
    return 0
