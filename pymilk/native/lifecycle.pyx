"""The life of a stream file: make it, attach it, follow it to its successor, remove it.

Each function returns or takes a `StreamFile`; `Stream` wraps it. A new file is filled under a temporary name and
renamed into place, so that no program sees half a stream. A file without a name is marked as retired, and its readers
are woken.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, errno
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memset

from .._isio cimport (
    CIRCULAR_BUFFER, CLOCK_MONOTONIC, CLOCK_TAI, IMAGE_KEYWORD, IMAGE_METADATA, IMAGE_NB_PROCTRACE,
    STREAM_PROC_TRACE, STRINGMAXLEN_IMAGE_NAME, __ATOMIC_RELEASE, atomic_fence, c_close, fstat, posix_fallocate,
    sem_init, stat,
)
from ..protocol.clock cimport clock_ns, stamp_ns, to_timespec
from ..protocol.filestate cimport FILE_GONE, FILE_OTHER, file_state
from ..protocol.layout cimport KIND_AND_AXIS, Counts, at_imdatamemsize, note_unit, plan_sections
from ..protocol.process cimport own_pid
from ..protocol.publish cimport post_all
from ..protocol.semaphore cimport semaphore
from .checks cimport bad_argument, index_argument, whole_number
from .file cimport StreamFile, make_file
from .header cimport layout_of, open_file, take_snapshot
from .keywords cimport write_keywords
from .memory cimport anonymous, map_file, map_pages

import errno as _errno
import math
import operator
import os
import stat as _stat
import time as _time
from collections import Counter
from functools import partial

import numpy as np

from ..arguments import check_dtype, shown
from ..errors import (
    StreamArgumentError,
    StreamChangedError,
    StreamError,
    StreamExistsError,
    StreamFormatError,
    StreamInUseError,
    StreamInUseWarning,
    StreamNameError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamPermissionError,
    StreamReplacedError,
    StreamShapeChangedError,
    StreamStorageError,
    StreamTypeChangedError,
)
from ..names import stream_name
from ..system.causes import cause_of, ended_resources
from ..system.files import error_kind, file_error
from ..system.hidden import aside_path, temporary_path
from ..system.living import PATIENCE, Traces, living_writers, note_as_ours
from ..system.locks import hold_free, lock_writer, open_to_lock, unlock
from ..system.mappings import FileId, mapped_by
from ..system.notices import warn_always
from ..system.processes import named_processes
from ..system.signals import held_signals
from ..system.temporary import mark_busy, mark_idle, remove_abandoned
from .formats import DTYPES, NELEMENT_MAX

__all__ = ["traces_of"]

cdef enum:
    # A file that is no stream may be one that another program is making in place, for so long.
    HALF_MADE_NS = 100_000_000


# --------------------------------------------------------------------------------------------------
# Attach
# --------------------------------------------------------------------------------------------------

cdef StreamFile attach_file(str path, bint writable, int ready_wait_ms, bint prefault):
    """Check and map the file at an absolute path.

    It is mapped read-only if `writable` is false, and also if the file does not permit writing: see its `note`.
    `ready_wait_ms` is the time given to a header that is still empty.
    """
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
    return make_file(mapping, &shot.h, path, stream_name(path), note, shot.device, shot.inode)


cdef StreamFile attach_successor(StreamFile old, int64_t deadline):
    """Attach the file that took the place of another one; wait for it until a CLOCK_MONOTONIC time."""
    cdef StreamFile new
    cdef bint writable = old.mapping.writable
    cdef int64_t odd_since = 0
    while True:
        try:
            new = attach_file(old.path, writable, 0, True)
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
    for field, kind, expected, found in (
        ("shape", StreamShapeChangedError, old.frame_shape, new.frame_shape),
        ("dtype", StreamTypeChangedError, old.dtype, new.dtype),
        ("location", StreamChangedError, old.h.n.location, new.h.n.location),
    ):
        if expected != found:
            raise kind(
                f"stream {old.name!r} was recreated with another {field}: it was {expected}, "
                f"now it is {found}; attach it again",
                stream=old.name, field=field, expected=expected, found=found)
    return new


# --------------------------------------------------------------------------------------------------
# Plan a new stream
# --------------------------------------------------------------------------------------------------

@cython.final
@cython.auto_pickle(False)
cdef class NewStream:
    """What a new stream is to be: the arguments of `Stream.create`. The fields are in lifecycle.pxd."""


cdef int plan(NewStream new, Header *h) except -1:
    """Check the arguments, and place every section."""
    cdef int i
    memset(h, 0, sizeof(Header))
    axes = checked_axes(new)
    h.datatype = checked_datatype(new)
    check_counts(new, len(axes))
    h.naxis = len(axes)
    for i in range(h.naxis):
        h.size[i] = axes[h.naxis - 1 - i]
    h.item_nbytes = DTYPES[h.datatype].itemsize
    h.nelement = math.prod(axes)
    h.layout = layout_of(new.layout)
    h.n = Counts(
        imagetype=new.imagetype, frame_nbytes=h.nelement * h.item_nbytes, slices=h.size[2],
        cbsize=new.cb_size, sem=new.nbsem, nbkw=new.nbkw, nbtrace=IMAGE_NB_PROCTRACE, location=new.location)
    note_unit(h)
    if not plan_sections(h.layout, &h.n, &h.at) or h.at.total >= <uint64_t>2**62:
        raise bad_argument(new.name, "cb_size", new.cb_size, "small enough for a file below 2**62 bytes")
    return 0


cdef tuple checked_axes(NewStream new):
    """Return the shape as it is stored. No axes become one axis of 1: the format has no scalars."""
    shape = new.shape
    try:
        # operator.index: neither text nor fractions are axes.
        axes = shape if not hasattr(shape, "__index__") else (shape,)
        axes = tuple([operator.index(axis) for axis in axes])
    except TypeError:
        raise bad_argument(new.name, "shape", shape, "a tuple of 0 to 3 axes") from None
    if len(axes) > 3:
        raise bad_argument(new.name, "shape", shape, "a tuple of at most 3 axes")
    if not all([1 <= axis < 2**32 for axis in axes]):
        raise bad_argument(new.name, "shape", shape, "axes of 1 to 2**32 - 1")
    axes = axes or (1,)
    if math.prod(axes) > NELEMENT_MAX:
        raise bad_argument(
            new.name, "shape", shape, f"at most {NELEMENT_MAX} elements, which is what ImageStreamIO opens")
    return axes


cdef int checked_datatype(NewStream new) except -1:
    """Return the code of the dtype; bool is stored as uint8."""
    wanted = check_dtype("dtype", new.dtype, new.name)
    if wanted == np.bool_:
        wanted = np.dtype(np.uint8)
    for code, known in DTYPES.items():
        if (known.kind, known.itemsize) == (wanted.kind, wanted.itemsize) and (
                known.names is None or wanted.newbyteorder("<") == known):
            return code
    raise bad_argument(
        new.name, "dtype", str(wanted), "an integer of 8 to 64 bits, float16 to float64, "
        "complex64, complex128, bool or 'u1,u1,u2,u1'")


cdef int check_counts(NewStream new, int naxis) except -1:
    """Check the numbers of things, the kind of stream and its place."""
    for argument, found, limit in (
        ("nbkw", new.nbkw, 2**16), ("nbsem", new.nbsem, 2**16), ("cb_size", new.cb_size, 2**32),
        ("imagetype", new.imagetype, 2**64),
    ):
        index_argument(new.name, argument, found, limit)
    location = whole_number(new.location)
    if location is None or not -1 <= location < 128:
        raise bad_argument(new.name, "location", new.location, "-1 (pixels in the file) or a GPU number")
    if new.imagetype & KIND_AND_AXIS == CIRCULAR_BUFFER and naxis != 3:
        raise bad_argument(
            new.name, "imagetype", new.imagetype, "a circular buffer only for streams with 3 axes")
    return 0


cdef int check_names(NewStream new) except -1:
    if len(os.fsencode(new.path)) >= 200:
        raise StreamNameError(
            f"{new.path}: ImageStreamIO opens paths of less than 200 bytes only", stream=new.name, name=new.name)
    return 0


cdef int check_version_and_mode(NewStream new) except -1:
    if new.mode is not None:
        new.mode = index_argument(new.name, "mode", new.mode, 0o1000)
    version = new.version
    if not (isinstance(version, str) and version.startswith("2.") and version.isascii()
            and version.isprintable() and len(version) < 32):
        raise StreamArgumentError(
            f"stream {new.name!r}: version is '2.' and at most 29 more letters, not {shown(version)}",
            stream=new.name, argument="version", found=version)
    return 0


# --------------------------------------------------------------------------------------------------
# Make it
# --------------------------------------------------------------------------------------------------

cdef StreamFile make_local(NewStream new):
    """Make a stream of this process alone, in private memory."""
    cdef Header h
    cdef Mapping mapping
    plan(new, &h)
    mapping = anonymous(h.at.total, f"stream {new.name!r}", "make it smaller")
    write_header(mapping.base, &h, new, False)
    return make_file(mapping, &h, "", new.name, "local to this process", 0, 0)


cdef Creation create_file(NewStream new):
    """Make a stream file, and put it in the place of an older one of the same name."""
    cdef Creation creation = Creation.__new__(Creation)
    creation.new = new
    check_names(new)
    plan(new, &creation.h)
    check_version_and_mode(new)
    creation.open_temporary()
    try:
        creation.reserve()
        creation.fill()
        creation.file = make_file(
            creation.mapping, &creation.h, new.path, new.name, "", creation.device, creation.h.inode)
        if new.keywords:
            write_keywords(creation.file, new.keywords)
        if new.exclusive:
            creation.lock_new()
        creation.take_place()
    except BaseException as error:
        try:
            os.unlink(creation.temporary)
        except FileNotFoundError:
            pass  # it was in place already
        if isinstance(error, OSError) and not isinstance(error, StreamError):
            raise file_error(error, new.path, "made") from error
        raise
    finally:
        creation.let_go()
    note_as_ours(creation.device, creation.h.inode)
    return creation


@cython.final
@cython.auto_pickle(False)
cdef class Creation:
    """One stream that is being made: a file under a temporary name, and the old file that it replaces.

    `create_file` calls the steps in order. A process that is killed in between leaves the temporary file at most;
    it has it marked as busy, so that others see whether it is abandoned.
    """

    def __cinit__(self):
        self.fd = self.old_fd = -1

    cdef int open_temporary(self) except -1:
        """Make an empty file under a temporary name, with the permissions of the stream."""
        cdef NewStream new = self.new
        self.directory = os.path.dirname(new.path) or "."
        self.temporary = temporary_path(new.path)
        try:
            remove_abandoned(self.directory)
        except OSError:
            pass  # if something is wrong with the directory, the next lines say it
        try:
            self.fd = os.open(self.temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
                              0o666 if new.mode is None else new.mode)
        except OSError as error:
            kind = error_kind(error)
            if kind is StreamNotFoundError:
                raise StreamNotFoundError(
                    f"stream {new.name!r}: directory {self.directory} does not exist; create it or set "
                    "MILK_SHM_DIR", stream=new.name, path=self.directory) from None
            if kind is StreamPermissionError:
                raise StreamPermissionError(
                    f"stream {new.name!r}: no permission to create files in {self.directory}"
                    f"{': ' + cause_of(error) if error.errno == _errno.EROFS else ''}",
                    stream=new.name, path=self.directory) from None
            if error.errno == _errno.ENOSPC:
                raise no_space(new.name, self.directory, self.h.at.total) from None
            raise StreamStorageError(
                f"stream {new.name!r}: no file can be made in {self.directory}: {cause_of(error)}",
                stream=new.name, path=self.directory) from error
        return 0

    cdef int reserve(self) except -1:
        """Reserve the memory of the file. A file without it would end its first writer with SIGBUS."""
        cdef NewStream new = self.new
        cdef int code = EINTR
        mark_busy(self.fd)
        if new.mode is not None:
            os.fchmod(self.fd, new.mode)
        room = os.statvfs(self.directory)
        if self.h.at.total > room.f_bavail * room.f_frsize:
            raise no_space(new.name, self.directory, self.h.at.total)  # rather than fill the disk before it fails
        while code == EINTR:
            PyErr_CheckSignals()
            with nogil:
                code = posix_fallocate(self.fd, 0, self.h.at.total)
        if code == _errno.ENOSPC:
            raise no_space(new.name, self.directory, self.h.at.total)
        if code:
            raise StreamStorageError(
                f"stream {new.name!r}: reserving {self.h.at.total} bytes in {self.directory} failed: "
                f"{cause_of(OSError(code, os.strerror(code)))}",
                stream=new.name, path=self.directory, needed=self.h.at.total)
        return 0

    cdef int fill(self) except -1:
        """Map the file and write its header."""
        cdef stat st
        if fstat(self.fd, &st) != 0:
            raise StreamError(f"{self.temporary}: {os.strerror(errno)}", stream=self.new.name)
        self.mapping = map_file(self.fd, self.h.at.total, True, self.new.path)
        map_pages(self.mapping, self.fd)
        self.device = st.st_dev
        self.h.inode = st.st_ino
        return write_header(self.mapping.base, &self.h, self.new, True)

    cdef int lock_new(self) except -1:
        """Take the lock of an exclusive stream before the file gets its name."""
        # Through a descriptor of its own: memory that is mapped through self.fd would keep the lock.
        mark_idle(self.fd)
        with held_signals():  # until it has its owner
            self.lock = lock_writer(
                open_to_lock(self.temporary, self.new.name, self.new.path), self.new.name, self.new.path)
        return 0

    cdef int take_place(self) except -1:
        """Give the file its name, and retire the file that had it."""
        cdef NewStream new = self.new
        try:
            while True:
                PyErr_CheckSignals()
                self.open_old()
                if self.guard_old():
                    self.keep_permissions()
                    if self.move():
                        break
        except IsADirectoryError:
            raise StreamExistsError(
                f"stream {new.name!r}: {new.path} is a directory", stream=new.name, path=new.path) from None
        except PermissionError:
            raise StreamPermissionError(
                f"stream {new.name!r}: no permission to replace {new.path}, which belongs to another user",
                stream=new.name, path=new.path) from None
        if self.old_mapping is not None:
            retire(self.old_fd, self.old_mapping, &self.old.h)
        return 0

    cdef int open_old(self) except -1:
        """Open the file that has the name now, and map it if it is a stream."""
        self.close_old()
        self.old_missing = False
        self.old_writable = True
        try:
            # A symbolic link is replaced, and not the file that it leads to.
            try:
                self.old_fd = open_file(self.new.path, True, follow=False)
            except StreamPermissionError:
                self.old_writable = False  # enough to see who writes it
                self.old_fd = open_file(self.new.path, False, follow=False)
            self.old = take_snapshot(self.old_fd, self.new.path, 0)
            self.old_mapping = map_file(self.old_fd, self.old.h.at.total, self.old_writable, self.new.path)
        except StreamNotFoundError:
            self.old_missing = True
        except StreamError as error:
            if ended_resources(error) is not None:
                raise  # whether another handle holds it is not known
            if self.new.replace == "if-free" and isinstance(error, StreamPermissionError):
                raise  # it cannot be seen whether it is free
            # not a stream with readers to be told
        return 0

    cdef bint guard_old(self) except -1:
        """Refuse if another handle holds the old file; hold its lock until the new one is in place.

        Returns False if the old file was replaced meanwhile.
        """
        cdef NewStream new = self.new
        if self.old_fd < 0 or new.replace is False:
            return True
        if new.exclusive and self.old_writable:
            with held_signals():  # until it has its owner
                self.old_lock = lock_writer(os.dup(self.old_fd), new.name, new.path)
            if not (os.path.exists(new.path) and os.path.samestat(os.fstat(self.old_fd), os.stat(new.path))):
                self.old_lock.release()
                return False
        else:
            hold_free(self.old_fd, new.name, new.path)
        self.check_writers()
        return True

    cdef int check_writers(self) except -1:
        """Refuse, or warn, if a living process writes the old stream: as `replace` says."""
        cdef NewStream new = self.new
        cdef StreamFile old
        if self.warned:
            return 0
        if self.old_mapping is None:
            return self.check_users()
        old = make_file(
            self.old_mapping, &self.old.h, new.path, new.name, "", self.old.device, self.old.inode)
        writers = living_writers(partial(traces_of, old), PATIENCE if new.replace == "if-free" else 0.0, creators=True)
        if not writers.any:
            return 0
        if new.replace == "if-free":
            raise StreamInUseError(
                f"stream {new.name!r} {writers}; end it first, choose another name, or replace the stream with "
                "replace=True", stream=new.name, path=new.path, pids=writers.pids)
        if not may_take_from(self.directory, self.old_fd):
            return 0  # the next step says it
        self.warned = True
        warn_always(
            f"stream {new.name!r} is replaced, and {writers}: what is written there from now on is seen by "
            "nobody; replace='if-free' (or PYMILK_REPLACE=if-free) refuses that",
            StreamInUseWarning)
        return 0

    cdef int check_users(self) except -1:
        """Refuse if a process has a file open that is no stream to this version: with "if-free"."""
        if self.new.replace != "if-free":
            return 0
        found = os.fstat(self.old_fd)
        pids, _ = mapped_by(FileId(found.st_dev, found.st_ino, os.path.basename(self.new.path)))
        if pids:
            raise StreamInUseError(
                f"stream {self.new.name!r}: {self.new.path} is no stream that can be read here, and is open in "
                f"{named_processes(pids)}; end it first, choose another name, or replace it with replace=True",
                stream=self.new.name, path=self.new.path, pids=pids)
        return 0

    cdef int keep_permissions(self) except -1:
        """Give the file the permissions of the one that it replaces; for root its owner too."""
        if self.old_fd < 0 or self.new.replace is False:
            return 0
        old = os.fstat(self.old_fd)
        if not _stat.S_ISREG(old.st_mode):
            return 0
        try:
            os.fchown(self.fd, old.st_uid if os.geteuid() == 0 else -1, old.st_gid)
        except OSError:
            pass  # only root may give files away; a user may give them to groups of his
        if self.new.mode is None:
            os.fchmod(self.fd, old.st_mode & 0o777)
        return 0

    cdef bint move(self) except -1:
        """Give the file its name. Returns False if another file appeared under it."""
        cdef NewStream new = self.new
        try:
            if new.replace is not False and not (new.exclusive and self.old_missing):
                os.rename(self.temporary, new.path)
            else:
                os.link(self.temporary, new.path)  # unlike a rename, a link never replaces
                os.unlink(self.temporary)
            return True
        except FileExistsError:
            if new.replace is False:
                raise StreamExistsError(
                    f"stream {new.name!r} exists at {new.path}; remove it, or create with replace=True "
                    "(exist_ok=True)",
                    stream=new.name, path=new.path) from None
        return False

    cdef int close_old(self) except -1:
        self.old_mapping = None
        if self.old_fd >= 0:
            try:
                unlock(self.old_fd)  # the mapping would keep the lock
            finally:  # a signal handler may raise in Python code
                c_close(self.old_fd)
                self.old_fd = -1
        return 0

    cdef int let_go(self) except -1:
        """Close what was open, whether it went well or not. The mapping and the lock of the new stream stay."""
        try:
            if self.old_lock is not None:
                self.old_lock.release()
        finally:  # a signal handler may raise in Python code
            try:
                self.close_old()
            finally:
                try:
                    mark_idle(self.fd)
                finally:
                    c_close(self.fd)
        return 0


cdef bint may_take_from(str directory, int fd) except -1:
    """Tell whether this user may replace a file: in a directory with the sticky bit that is its owner, or root."""
    folder, found = os.stat(directory), os.fstat(fd)
    return not folder.st_mode & _stat.S_ISVTX or os.geteuid() in (0, found.st_uid, folder.st_uid)


cpdef object traces_of(StreamFile file):
    """Return what the file tells of the processes that write it: see `pymilk.system.living.Traces`."""
    cdef char *base = file.use()
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    cdef STREAM_PROC_TRACE *trace = <STREAM_PROC_TRACE *>(base + file.h.at.trace)
    cdef int32_t *posters = <int32_t *>(base + file.h.at.sem_write_pid)
    cdef int i
    # The one with most semaphores comes first; a full semaphore keeps the number of an earlier one.
    numbers = Counter([posters[i] for i in range(file.h.n.sem) if posters[i] > 0])
    if file.h.n.nbtrace and trace[0].procwrite_PID > 0:
        numbers[trace[0].procwrite_PID] += 0
    return Traces(
        FileId(file.device, file.inode, os.path.basename(file.path)),
        tuple([pid for pid, _ in numbers.most_common()]), md.creatorPID, md.cnt0, md.write != 0,
        max(stamp_ns(&md.writetime), stamp_ns(&md.lastaccesstime)))


cdef int write_header(char *base, const Header *h, NewStream new, bint shared) except -1:
    """Write what a new stream holds. The memory is all zero; the version comes last."""
    cdef IMAGE_METADATA *md = <IMAGE_METADATA *>base
    cdef uint64_t nbytes = h.n.frame_nbytes
    cdef IMAGE_KEYWORD *keywords = <IMAGE_KEYWORD *>(base + h.at.keywords)
    cdef STREAM_PROC_TRACE *trace = <STREAM_PROC_TRACE *>(base + h.at.trace)
    cdef bytes name = os.fsencode(new.name), version = new.version.encode()
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
    # Everything else is written before the version says that the stream is ready.
    atomic_fence(__ATOMIC_RELEASE)
    memcpy(md.version, <const char *>version, len(version))
    return 0


cdef object no_space(str name, str directory, uint64_t needed):
    room = os.statvfs(directory)
    available = room.f_bavail * room.f_frsize
    if available >= needed and room.f_files and not room.f_favail:
        return StreamStorageError(
            f"stream {name!r}: {directory} has no inodes left, that is, too many files; remove streams that nobody "
            "uses", stream=name, path=directory, needed=needed, available=available)
    return StreamStorageError(
        f"stream {name!r} needs {needed} bytes in {directory}, where {available} are free; "
        "remove streams that nobody uses, or enlarge the file system",
        stream=name, path=directory, needed=needed, available=available)


# --------------------------------------------------------------------------------------------------
# Remove it
# --------------------------------------------------------------------------------------------------

cdef int remove_file(StreamFile file) except -1:
    """Delete a stream file if the path still leads to it, and tell its readers.

    Another process may put its stream there at this moment. So the file is renamed first, looked at again, and put
    back if it is not ours.
    """
    cdef int fd, state = file.state()
    if state == FILE_GONE:
        raise already_gone(file)
    if state == FILE_OTHER:
        raise not_ours(file)
    aside = aside_path(file.path, file.inode)
    try:
        fd = open_file(file.path, False)
    except StreamNotFoundError:
        raise already_gone(file) from None
    try:
        mark_busy(fd)
        take_aside(file, aside)
        os.unlink(aside)
        retire(fd, file.mapping, &file.h)
    finally:
        c_close(fd)
    return 0


cdef int take_aside(StreamFile file, str aside) except -1:
    """Rename the file at the path; put it back and raise if it is another one."""
    try:
        os.rename(file.path, aside)
    except FileNotFoundError:
        raise already_gone(file) from None
    except PermissionError:
        raise StreamPermissionError(
            f"{file.path}: no permission to delete it", stream=file.name, path=file.path) from None
    if file_state(os.fsencode(aside), file.device, file.inode, file.h.at.total) != FILE_OTHER:
        return 0
    try:
        os.link(aside, file.path, follow_symlinks=False)
    except FileExistsError:
        pass  # there is a newer one already
    os.unlink(aside)
    raise not_ours(file)


cdef int retire(int fd, Mapping mapping, const Header *h) except -1:
    """Mark a stream whose file has no name any more, and wake its readers so that they see it.

    It is not marked if the file still has a name: it may have been reached through a link.
    """
    cdef stat st
    if fstat(fd, &st) == 0 and st.st_nlink == 0 and mapping.writable:
        (<IMAGE_METADATA *>mapping.base).inode = 0
        post_all(mapping.base, h)
    return 0


cdef object already_gone(StreamFile file):
    return StreamNotFoundError(
        f"stream {file.name!r}: {file.path} was deleted already", stream=file.name, path=file.path)


cdef object not_ours(StreamFile file):
    try:
        found = os.stat(file.path).st_ino
    except OSError:
        found = None
    return StreamReplacedError(
        f"stream {file.name!r}: {file.path} is another stream now (not inode {file.inode}); "
        "it was not deleted", stream=file.name, field="inode", expected=file.inode, found=found)
