"""What a handle tells about its stream besides frames: the fields of the header, sections, and which file it is."""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from .._isio cimport (
    CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, IMAGE_METADATA, IMAGESTRUCT_FRAMEWRITEMDSIZE, STRINGMAXLEN_IMAGE_NAME,
    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED, __ATOMIC_RELEASE, atomic_load_u32, atomic_load_u64, atomic_load_u8, atomic_store_u64,
)
from ..protocol.clock cimport clock_ns, later, stamp_ns
from ..protocol.filestate cimport FILE_CUT, FILE_GONE, FILE_OTHER, retired
from ..protocol.flags cimport atomic_load_int, raise_flag
from ..protocol.guard cimport PYMILK_LOST
from ..protocol.layout cimport CUDA_HANDLE_NBYTES, at_cuda_handle, is_temporal
from ..protocol.look cimport steady_stamp_ns
from .checks cimport bad_argument, index_argument, timeout_ns
from .file cimport StreamFile, no_file
from .header cimport decode_text, layout_name
from .keywords cimport read_keywords, update_keyword, write_keywords
from .lifecycle cimport traces_of
from .semaphores cimport value_of

import numpy as np

from ..arguments import shown
from ..arraylike import ArrayLike
from ..errors import StreamArgumentError
from .formats import SECTION_DTYPES

__all__ = ["StreamMetadata"]

cdef enum:
    # `replaced` asks the file system this often; the coarse clock that it reads ticks every 1 to 4 ms.
    LOOK_NS = 3_000_000


# One field is read or written in one expression, in which no Python code runs: there, and only there, `self.file` is
# used without a local variable.
cdef inline IMAGE_METADATA *reading(StreamFile file) except NULL:
    return <IMAGE_METADATA *>file.use_whole()


cdef inline IMAGE_METADATA *writing(StreamFile file) except NULL:
    return <IMAGE_METADATA *>file.use_to_write()


@cython.auto_pickle(False)
cdef class StreamMetadata:
    """Base of `Stream`: everything that is known of an attached stream without its frames."""

    def __cinit__(self):
        self.file = no_file()

    # -- the file ------------------------------------------------------------------------------

    @property
    def name(self):
        """Name of the stream."""
        return self.file.name

    @property
    def path(self):
        """Path of its file; empty if the stream is local to this process."""
        return self.file.path

    @property
    def note(self):
        """Why it is read-only, or empty."""
        return self.file.note

    @property
    def shape(self):
        """Shape of the pixels in the file."""
        return self.file.shape

    @property
    def frame_shape(self):
        """Shape of one frame: `shape`, or that of a slice where the stream is a temporal circular cube."""
        return self.file.frame_shape

    @property
    def dtype(self):
        """dtype of the pixels."""
        return self.file.dtype

    def check_whole(self):
        """Raise if the file was cut, or its header rewritten, since the stream was attached.

        Call it after copying from a view or a section: the copy may hold zeros if the file was cut before. It asks
        the file system (about 1 us).

        Raises
        ------
        StreamDamagedError, StreamClosedError
        """
        self.file.check_file()

    @property
    def damaged(self):
        """Whether the file was cut, or its header rewritten, since the stream was attached.

        Every use of the stream looks for it and raises `StreamDamagedError`. Views read zeros from then on if the
        file was cut.
        """
        cdef StreamFile file = self.file
        return file.mapping is not None and file.is_damaged()

    @property
    def deleted(self):
        """Whether nothing is at the path of the stream any more. Asks the file system."""
        cdef StreamFile file = self.file
        file.use()
        return file.state() == FILE_GONE

    def traces(self):
        """Return what the file tells of the processes that write it.

        Returns
        -------
        pymilk.system.living.Traces
        """
        cdef StreamFile file = self.file
        return file.whole(traces_of(file))

    def replaced(self):
        """Tell whether the path leads to another stream than the attached one.

        This costs a few nanoseconds, because pymilk marks a stream that it replaces. For other programs the file
        system is asked, at most every 4 ms.

        Returns
        -------
        bool
            True also if the file is the same and was cut, or its header rewritten (`damaged`). False if nothing
            is at the path: see `deleted`.
        """
        return self.is_replaced()

    cdef bint is_replaced(self) except -1:
        """What `replaced` returns. Called for every frame; seldom does it ask the file system."""
        cdef char *base = self.file.use()
        cdef int64_t tick = clock_ns(CLOCK_MONOTONIC_COARSE)
        if tick < self.next_look and not self.was_replaced and not retired(base, &self.file.h):
            return self.file.mapping.closed != 0
        return self.look_again(tick)

    cdef bint look_again(self, int64_t tick) except -1:
        """Ask the file system, at the time `tick`, for `is_replaced`."""
        cdef StreamFile file = self.file
        cdef int state
        file.use()
        if file.mapping.closed:
            return True
        self.next_look = tick + LOOK_NS
        state = file.state()
        if state == FILE_CUT:
            raise_flag(&file.mapping.closed, PYMILK_LOST)
        # Remembered: an error has to be raised by every call, not only by the calls that look.
        self.was_replaced = state == FILE_OTHER or (file.is_damaged() and file.is_lost())
        if not self.was_replaced:
            file.mapping.odd = False
        return self.was_replaced

    cdef int check_behind_copy(self) except -1:
        """Raise if the file was cut before a copy: the rest of its last page reads zeros and no access fails.

        Asks the file system no more often than `replaced`.
        """
        cdef StreamFile file = self.file
        self.is_replaced()
        file.use_whole()
        return file.check_whole()

    # -- fields of the header ------------------------------------------------------------------

    @property
    def counter(self):
        """Frames published so far (cnt0)."""
        return self.file.whole(atomic_load_u64(&reading(self.file).cnt0, __ATOMIC_ACQUIRE))

    @property
    def cnt1(self):
        """In 3D streams the slice that was written last; otherwise the writer defines it. May be set."""
        return self.file.whole(atomic_load_u64(&reading(self.file).cnt1, __ATOMIC_ACQUIRE))

    @cnt1.setter
    def cnt1(self, value):
        cdef uint64_t number = index_argument(self.name, "cnt1", value, 2**64)
        atomic_store_u64(&writing(self.file).cnt1, number, __ATOMIC_RELEASE)

    @property
    def cnt2(self):
        """A counter for users. May be set."""
        return self.file.whole(atomic_load_u64(&reading(self.file).cnt2, __ATOMIC_ACQUIRE))

    @cnt2.setter
    def cnt2(self, value):
        cdef uint64_t number = index_argument(self.name, "cnt2", value, 2**64)
        atomic_store_u64(&writing(self.file).cnt2, number, __ATOMIC_RELEASE)

    @property
    def write(self):
        """1 while a writer changes the pixels; stays 1 if it died there."""
        return self.file.whole(atomic_load_u8(<uint8_t *>&reading(self.file).write, __ATOMIC_ACQUIRE))

    @property
    def stored_name(self):
        """Name in the metadata, as given at creation (cut to 79 bytes)."""
        cdef StreamFile file = self.file
        return file.whole(decode_text(reading(file).name, STRINGMAXLEN_IMAGE_NAME))

    @property
    def version(self):
        """Structure version, for example "2.00"."""
        cdef StreamFile file = self.file
        return file.whole(decode_text(reading(file).version, 32))

    @property
    def layout(self):
        """Build options of the file: "default", "dao", "writehistory" or "dao+writehistory"."""
        return layout_name(self.file.h.layout)

    @property
    def size(self):
        """Axes in the order of the file, fastest first."""
        return self.shape[::-1]

    @property
    def naxis(self):
        """Number of axes in the file, 1 to 3."""
        return self.file.h.naxis

    @property
    def ndim(self):
        """Number of axes of `shape`; the same as `naxis`, by NumPy's name."""
        return self.file.h.naxis

    def __dlpack_device__(self):
        """Return where the pixels are that DLPack hands over: the memory of the processor."""
        return ArrayLike.__dlpack_device__(self)

    def __len__(self):
        """Return the length of the first axis of `shape`."""
        return self.file.shape[0]

    @property
    def nelement(self):
        """Pixels of one frame."""
        return self.file.h.nelement

    @property
    def nbytes(self):
        """Bytes of the pixels in the file."""
        return self.file.h.n.frame_nbytes

    @property
    def file_nbytes(self):
        """Bytes of the file."""
        return self.file.h.at.total

    @property
    def datatype(self):
        """Code of the element type, 1 to 13."""
        return self.file.h.datatype

    @property
    def imagetype(self):
        """Bits of `IMAGETYPES`."""
        return self.file.h.n.imagetype

    @property
    def temporal(self):
        """Whether slices have times and counters of their own (a temporal circular cube)."""
        return bool(self.file.h.temporal)

    @property
    def location(self):
        """-1: pixels in the file. 0 and up: number of the GPU that holds them."""
        return self.file.h.n.location

    @property
    def shared(self):
        """1 in every stream that other processes can see, 0 in a `local` one."""
        return self.file.whole(reading(self.file).shared)

    @property
    def nbsem(self):
        """Number of semaphores."""
        return self.file.h.n.sem

    def sem_value(self, index):
        """Return the value of one semaphore: the posts that were not taken yet."""
        return value_of(self.file, index)

    def sem_values(self):
        """Return the values of all semaphores as a list."""
        return [value_of(self.file, i) for i in range(self.nbsem)]

    @property
    def nbkw(self):
        """Room for keywords."""
        return self.file.h.n.nbkw

    @property
    def nbproctrace(self):
        """Entries of the processing trace."""
        return self.file.h.n.nbtrace

    @property
    def cb_size(self):
        """Slots of the fast circular buffer, 0 if there is none."""
        return self.file.h.n.cbsize

    @property
    def cb_index(self):
        """Slot that holds the newest frame; 0 with `cb_cycle` 0 means that there is none yet."""
        return self.file.whole(atomic_load_u32(&reading(self.file).CBindex, __ATOMIC_ACQUIRE))

    @property
    def cb_cycle(self):
        """How often `cb_index` returned to 0."""
        return self.file.whole(atomic_load_u64(&reading(self.file).CBcycle, __ATOMIC_ACQUIRE))

    @property
    def inode(self):
        """Inode of the file when it was created, as stored; 0 once the stream was retired."""
        return self.file.whole(reading(self.file).inode)

    @property
    def creator_pid(self):
        """Process that created the stream."""
        return self.file.whole(reading(self.file).creatorPID)

    @property
    def owner_pid(self):
        """Process that says it owns the stream, 0 if none. May be set."""
        return self.file.whole(reading(self.file).ownerPID)

    @owner_pid.setter
    def owner_pid(self, value):
        cdef uint64_t number = index_argument(self.name, "owner_pid", value, 2**31)
        writing(self.file).ownerPID = number

    @property
    def status(self):
        """For the programs of a site; pymilk does not use it. May be set."""
        return self.file.whole(reading(self.file).status)

    @status.setter
    def status(self, value):
        cdef uint64_t number = index_argument(self.name, "status", value, 2**8)
        writing(self.file).status = number

    @property
    def flag(self):
        """For the programs of a site; pymilk does not use it. May be set."""
        return self.file.whole(reading(self.file).flag)

    @flag.setter
    def flag(self, value):
        cdef uint64_t number = index_argument(self.name, "flag", value, 2**64)
        writing(self.file).flag = number

    @property
    def logflag(self):
        """Non-zero asks a logger to record the stream. May be set."""
        return self.file.whole(reading(self.file).logflag)

    @logflag.setter
    def logflag(self, value):
        cdef uint64_t number = index_argument(self.name, "logflag", value, 2**8)
        writing(self.file).logflag = number

    @property
    def creation_time_ns(self):
        """When the stream was created: ns of CLOCK_TAI (see `pymilk.times.to_utc`)."""
        return self.file.whole(stamp_ns(&reading(self.file).creationtime))

    @property
    def last_access_time_ns(self):
        """Last access, if the writers note it: ns of CLOCK_TAI."""
        return self.file.whole(steady_stamp_ns(reading(self.file), &reading(self.file).lastaccesstime))

    @property
    def acquisition_time_ns(self):
        """When the newest frame was acquired: ns of CLOCK_TAI, 0 if never stored."""
        return self.file.whole(steady_stamp_ns(reading(self.file), &reading(self.file).atime))

    @property
    def write_time_ns(self):
        """When the newest frame was published: ns of CLOCK_TAI, 0 if never stored."""
        return self.file.whole(steady_stamp_ns(reading(self.file), &reading(self.file).writetime))

    @property
    def cuda_handle(self):
        """CUDA inter-process handle of the pixels, 64 bytes. May be set."""
        cdef StreamFile file = self.file
        cdef char *start = file.use_whole() + at_cuda_handle(file.h.layout)
        return file.whole(start[:CUDA_HANDLE_NBYTES])

    @cuda_handle.setter
    def cuda_handle(self, bytes value):
        cdef StreamFile file = self.file
        cdef char *start = file.use_to_write() + at_cuda_handle(file.h.layout)
        if len(value) != CUDA_HANDLE_NBYTES:
            raise StreamArgumentError(
                f"stream {self.name!r}: a CUDA handle has {CUDA_HANDLE_NBYTES} bytes, "
                f"not {len(value)}", stream=self.name, argument="cuda_handle", found=value)
        memcpy(start, <const char *>value, CUDA_HANDLE_NBYTES)

    def section(self, name, *, writable=False):
        """Return a section of the file as an array, without copying.

        Parameters
        ----------
        name : str
            ``keywords``, ``sem_read_pid``, ``sem_write_pid``, ``semctrl``, ``semstatus``, ``trace``,
            ``slice_atime``, ``slice_writetime``, ``slice_cnt0`` (empty unless `temporal`),
            ``ring_records``, ``ring_slots`` (shape (cb_size, *shape)) or ``history``.
        writable : bool, default False

        Returns
        -------
        ndarray
            A live view; structured where the file has structs.

        Raises
        ------
        StreamArgumentError
            There is no such section.
        StreamReadOnlyError
            With `writable`: the stream is attached read-only.
        """
        cdef StreamFile file = self.file
        if writable:
            file.use_to_write()
        else:
            file.use_whole()
        slices = file.h.n.slices if is_temporal(file.h.n.imagetype) else 0
        places = {
            "keywords": (file.h.at.keywords, file.h.n.nbkw),
            "sem_read_pid": (file.h.at.sem_read_pid, file.h.n.sem),
            "sem_write_pid": (file.h.at.sem_write_pid, file.h.n.sem),
            "semctrl": (file.h.at.semctrl, file.h.n.sem),
            "semstatus": (file.h.at.semstatus, file.h.n.sem),
            "trace": (file.h.at.trace, file.h.n.nbtrace),
            "slice_atime": (file.h.at.atimes, slices),
            "slice_writetime": (file.h.at.writetimes, slices),
            "slice_cnt0": (file.h.at.cnts, slices),
            "ring_records": (file.h.at.ring_records, file.h.n.cbsize),
            "ring_slots": (file.h.at.ring_slots, file.h.n.cbsize),
            "history": (file.h.at.history,
                        IMAGESTRUCT_FRAMEWRITEMDSIZE if file.h.layout.history else 0),
        }
        if not isinstance(name, str) or name not in places:
            raise StreamArgumentError(
                f"stream {self.name!r}: no section {shown(name)}; there are {', '.join(places)}",
                stream=self.name, argument="name", found=name)
        offset, count = places[name]
        if name == "ring_slots":
            shape, dtype = (count, *self.shape), self.dtype
            nbytes = count * file.h.n.frame_nbytes
        else:
            shape, dtype = (count,), SECTION_DTYPES[name]
            nbytes = count * dtype.itemsize
        return np.ndarray(shape, dtype, file.mapping.region(offset, nbytes, writable))

    def clock_write(self, timeout):
        """Watch `write`, without sleeping and without the GIL, until the writer has written a frame.

        Parameters
        ----------
        timeout : float
            Seconds to watch at most, up to 1. One core is busy meanwhile, and signals wait.

        Returns
        -------
        (int, int) or None
            How long `write` was 1, and the longest time between two looks at it meanwhile, both in nanoseconds. The
            second is the error of either end of the first. None if no write began and ended in time.

        Raises
        ------
        StreamClosedError, StreamArgumentError
        """
        cdef StreamFile file = self.file
        cdef char *base = file.use_whole()
        cdef int64_t limit = timeout_ns(timeout, self.name)
        cdef int64_t held = 0, step = 0
        cdef bint seen
        if not 0 <= limit <= 1_000_000_000:
            raise bad_argument(self.name, "timeout", timeout, "0 to 1 seconds")
        with nogil:
            seen = clock_flag(<IMAGE_METADATA *>base, later(clock_ns(CLOCK_MONOTONIC), limit), &file.mapping.closed,
                              &held, &step)
        PyErr_CheckSignals()
        file.check_file()
        return (held, step) if seen else None

    # -- keywords ------------------------------------------------------------------------------

    def read_keywords(self):
        """Read the keywords.

        Returns
        -------
        list of Keyword
            In the order of the stream. Text that is not UTF-8 is decoded with surrogate escapes, so that it can be
            written back unchanged.
        """
        return read_keywords(self.file)

    def write_keywords(self, keywords):
        """Replace all keywords.

        Parameters
        ----------
        keywords : iterable of Keyword or of (name, value[, comment[, cnt]])

        Raises
        ------
        KeywordError
            Too many, or a text too long, or a value that is not int64, float or str; nothing was changed.
        """
        write_keywords(self.file, keywords)

    def update_keyword(self, name, value, comment=None):
        """Change one keyword in its place. Its comment stays unless one is given.

        A number of the same type is replaced by one 8-byte store: readers see the old or the new value.

        Raises
        ------
        KeywordNotFoundError
            The stream has no such keyword.
        KeywordError
            As for `write_keywords`.
        """
        update_keyword(self.file, name, value, comment)

    def clear_keywords(self):
        """Remove all keywords."""
        self.write_keywords([])


cdef bint clock_flag(
    IMAGE_METADATA *md, int64_t deadline, const int *closed, int64_t *held, int64_t *step
) noexcept nogil:
    """Time one whole write by its flag; False if none was seen to begin and end."""
    cdef int64_t began = 0, earlier, before = clock_ns(CLOCK_MONOTONIC), now = before
    cdef bint up, idle = False  # idle: `write` was seen at 0, so that the next write is seen from its begin
    while now < deadline and not atomic_load_int(closed):
        up = atomic_load_u8(&md.write, __ATOMIC_RELAXED) != 0
        earlier = before
        before = now
        now = clock_ns(CLOCK_MONOTONIC)
        if began:
            step[0] = max(step[0], now - before)
            if not up:
                held[0] = now - began
                return True
        elif up and idle:
            began = now
            # The look before, which saw 0, came some time after `earlier`.
            step[0] = now - earlier
        idle = idle or not up
    return False
