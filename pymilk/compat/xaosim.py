"""`shm`: the class of ``xaosim.shmlib``, on ImageStreamIO 2.00 files.

Scripts written for xaosim import it from here, or call `install` first and then import it from
``xaosim.shmlib`` as before. The original has another file layout and cannot read today's streams.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .._core import FLAG_TORN, FLAG_UNCERTAIN, Keyword, Reader, Stream, checked_timeout
from .._types import Array
from ..axes import Which3DState
from ..errors import (
    FrameMismatchError,
    KeywordError,
    StreamArgumentError,
    StreamBusyError,
    StreamClosedError,
    StreamError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamReplacedError,
    StreamShapeChangedError,
    StreamTimeoutError,
)
from ..fits import multi_write
from ..names import stream_path
from ..streams.metadata import metadata_of
from ..streams.silence import Silence
from ..streams.waiting import SUCCESSOR_WAIT, Follower
from ..system.arrays import as_pixels
from ..system.forks import tell_after_fork
from ..system.notices import printable, warn_of_tear
from .installing import give_import_name

__all__ = ["Semaphore", "all_dtypes", "install", "mtkeys", "shm"]

#: Pixel types by their codes: index 0 has code 1.
all_dtypes = [
    np.uint8,
    np.int8,
    np.uint16,
    np.int16,
    np.uint32,
    np.int32,
    np.uint64,
    np.int64,
    np.float32,
    np.float64,
    np.complex64,
    np.complex128,
    np.float16,
]

#: Names of the metadata, in the order in which `shm.print_meta_data` prints them.
mtkeys = [
    *("bversion", "bimname", "naxis", "x", "y", "z", "nel", "atype", "imtype"),
    *(f"{key}time_{part}" for key in ("cr", "la", "a", "w") for part in ("sec", "ns")),
    *("shared", "loc", "status", "flag", "logflag", "sem", "cnt0", "cnt1", "cnt2", "write", "nbkw"),
    "bcudamem",
]

#: Content of a slot without a keyword.
_FREE = Keyword("", "")

#: Semaphores of a new stream.
_NBSEM = 10


#: Seconds between two checks for a new file during a wait for a semaphore.
_LOOK = 0.1


class shm:
    """A stream with the interface of xaosim: attach or create, read, write.

    Parameters
    ----------
    fname : str, optional
        Path of the stream file, ending in ``.im.shm``, or a plain name in the stream directory. None makes
        a hollow object.
    data : ndarray of 1 to 3 axes, optional
        Create the stream, with 10 semaphores, and publish this as its first frame. An existing stream is
        replaced by a new file, never changed in place: its readers keep their memory and see the change. None
        attaches the stream.
    verbose, packed : bool
        No effect; accepted for existing calls. Nothing is printed, and there is one file layout.
    nbkw : int, default 0
        Room for keywords of a new stream.
    nosem : bool, default True
        Do not use semaphores: `sems` is empty, and `get_latest_data` does not wait. Published frames always
        post the semaphores of the stream.

    Attributes
    ----------
    fname : str or None
        As given.
    empty : bool
        No stream was found or created: every access to frames, counters or semaphores raises
        `StreamClosedError`.
    mtdata : dict
        The metadata as last read by `read_meta_data`.
    kwds : list of dict
        One for each slot, with ``name``, ``type`` ("L", "D", "S" or "N"), ``value`` and ``comment``.
    kwd : dict
        An empty entry of `kwds`.
    npdtype : numpy.dtype
        Of the pixels.
    nosem : bool
        As given.

    Raises
    ------
    StreamFormatError, StreamNotReadyError, StreamPermissionError, StreamNameError
        See `pymilk.Stream.attach`. A missing file gives a hollow object instead.
    StreamArgumentError, StreamStorageError
        See `pymilk.Stream.create`.

    Notes
    -----
    Arrays are in C order: (y, x), (z, y, x), or (x,) with one axis. Of a temporal circular cube
    `get_data` returns all slices.

    Reading calls follow a stream that was replaced by a new file of the same shape and dtype, and read
    `mtdata` and `kwds` again. Writing calls raise `StreamReplacedError` instead.

    Examples
    --------
    >>> import numpy as np
    >>> s = shm("doc_xaosim", data=np.zeros((2, 3), np.float32), nbkw=1)
    >>> count = s.get_counter()
    >>> s.set_data(np.ones((2, 3), np.float32))
    >>> float(s.get_data(check=count).sum()), s.mtdata["x"], s.mtdata["y"]
    (6.0, 3, 2)
    >>> s.close()
    0
    """

    def __init__(
        self,
        fname: str | None = None,
        data: Any = None,
        verbose: bool = False,
        packed: bool = False,
        nbkw: int = 0,
        nosem: bool = True,
    ) -> None:
        self.fname = fname
        self.nosem = nosem
        self.empty = True
        self.mtdata: dict[str, Any] = {}
        self.kwd = {"name": "", "type": "N", "value": "", "comment": ""}
        self.kwds: list[dict[str, Any]] = []
        self.npdtype: Any = None
        self._stream: Stream | None = None
        self._reader: Reader | None = None  # waits for counters, with a semaphore of its own
        self._maker = 0  # process that created the stream through this object
        self._lock = threading.Lock()
        # Scripts look at the counter to see whether it is the old frame.
        self._silence = Silence(4, "; see get_counter()")
        tell_after_fork(self)
        if fname is None:
            return
        if data is not None:
            self.create(fname, data, nbkw)
            return
        # Outside the block below: a wrong $MILK_SHM_DIR is not a missing stream.
        path = stream_path(fname)
        with contextlib.suppress(StreamNotFoundError):
            self._adopt(Stream.attach(path))

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may hold it

    # -- the stream behind it ------------------------------------------------------------------

    def create(self, fname: str, data: Any, nbkw: int = 0) -> None:
        """Create a stream and publish its first frame; the previous stream of the object is closed.

        Parameters
        ----------
        fname, data, nbkw
            As for the class; `data` is required.

        Raises
        ------
        StreamArgumentError, StreamNameError, StreamNotFoundError, StreamPermissionError, StreamStorageError
            See `pymilk.Stream.create`.

        Notes
        -----
        Until `read_meta_data` is called, ``mtdata["size"]`` is (x, y, z), with 0 for missing axes; after it,
        as after attaching, (z, y, x).
        """
        frame = as_pixels(data, "data")
        stream = Stream.create(fname, frame.shape, frame.dtype, nbkw=nbkw, nbsem=_NBSEM)
        stream.publish(frame.astype(stream.dtype, copy=False))
        self.close(erase_file=False)
        self.fname = fname
        self._adopt(stream)
        self._maker = os.getpid()
        self.mtdata["size"] = self.mtdata["size"][::-1]

    def _adopt(self, stream: Stream) -> None:
        """Use this stream from now on."""
        reader, metadata, keywords = stream.reader(), _metadata(stream), _read_slots(stream)
        # Nothing is called from here on, so no signal handler comes in between.
        self._stream, self._reader = stream, reader
        self._maker = 0
        self.empty = False
        self.mtdata = metadata
        self.npdtype = stream.dtype
        self.kwds = keywords

    def _attached(self) -> Stream:
        """Return the stream even if it was replaced."""
        if self._stream is None:
            why = "there is no such stream" if self.empty else "the object is closed"
            raise StreamClosedError(f"stream {self.fname!r}: {why}; make a new shm", stream=self.fname)
        return self._stream

    def _live(self) -> Stream:
        """Return the stream to read from, after following it to a new file if there is one."""
        stream = self._attached()
        if not stream.replaced():
            return stream
        with self._lock:
            if self._stream is stream:  # no other thread was faster
                Follower(stream, keep=True).follow(SUCCESSOR_WAIT, begin=self._adopt_new)
        return self._live()

    def _adopt_new(self, new: Stream) -> None:
        """Continue with a new file of the stream."""
        old = self._attached()
        if new.shape != old.shape:  # a cube whose slices have the shape of the old frames
            raise StreamShapeChangedError(
                f"stream {old.name!r} was recreated with another shape: it was {old.shape}, "
                f"now it is {new.shape}; make a new shm",
                stream=old.name,
                field="shape",
                expected=old.shape,
                found=new.shape,
            )
        self._adopt(new)

    def _target(self) -> Stream:
        """Return the stream to write to: not one that was replaced, which no reader sees."""
        stream = self._attached()
        if stream.replaced():
            raise StreamReplacedError(
                f"stream {stream.name!r} was replaced by a new file; frames written to the old one have no "
                "readers; make a new shm, or read a frame first, which follows the stream",
                stream=stream.name,
                field="inode",
                expected=stream.inode,
            )
        return stream

    def close(self, erase_file: bool | None = None) -> int:
        """Let go of the stream.

        Parameters
        ----------
        erase_file : bool, optional
            True deletes the stream, False keeps it. Default: delete it if this object created it in this
            process, and it was not replaced by another stream.

        Returns
        -------
        int
            0, also if it is closed or deleted already.

        Raises
        ------
        StreamReplacedError
            `erase_file` is true, and another process has replaced the stream. It is not deleted; the object
            is closed.
        StreamPermissionError

        Notes
        -----
        Arrays that were read stay valid. An object that is not closed never deletes its stream.
        """
        stream, self._stream = self._stream, None
        if stream is None:
            return 0
        try:
            # A child after fork leaves the stream to its parent.
            if self._maker == os.getpid() if erase_file is None else erase_file:
                stream.destroy()
        except StreamNotFoundError:
            pass  # deleted already
        except StreamReplacedError:
            if erase_file:
                raise
        finally:
            stream.close()
            if self._reader is not None:
                self._reader.close()
        return 0

    def __del__(self, _ends: Any = sys.is_finalizing, _warn: Any = warnings.warn) -> None:
        if getattr(self, "_stream", None) is not None:
            if not _ends():  # modules that `close` needs may be gone; the system frees everything
                self.close(erase_file=False)
            # The default filters hide it; scripts that never close stay quiet, as they always were.
            _warn(f"unclosed <shm {self.fname!r}>", ResourceWarning, stacklevel=2, source=self)

    def rename_img(self, newname: str) -> None:
        """Not supported: the original wrote the name over the version of the file format.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            f"stream {self.fname!r} cannot be renamed to {newname!r}: its name is that of its file; "
            "create a stream of that name"
        )

    # -- metadata ------------------------------------------------------------------------------

    def read_meta_data(self, verbose: bool = True) -> None:
        """Read `mtdata` again.

        Parameters
        ----------
        verbose : bool, default True
            Print them, with `print_meta_data`.

        Raises
        ------
        StreamClosedError, StreamChangedError

        Notes
        -----
        Times are (seconds, nanoseconds) of CLOCK_TAI, as stored; nothing is converted. ``size`` is
        (z, y, x), with 0 for missing axes.
        """
        self.mtdata = _metadata(self._live())
        if verbose:
            self.print_meta_data()

    def print_meta_data(self) -> None:
        """Print `mtdata`: a line ``key value`` for each of `mtkeys`. Hollow: `StreamClosedError`."""
        known = self._known()
        for key in mtkeys:
            print(key, printable(str(known[key])))

    def _known(self) -> dict[str, Any]:
        """Return `mtdata`; raise if the object is hollow."""
        if self.empty:
            self._attached()  # raises
        return self.mtdata

    def select_dtype(self) -> int:
        """Set `npdtype` after the type code in `mtdata`, and return the code. Hollow: `StreamClosedError`."""
        code: int = self._known()["atype"]
        self.npdtype = np.dtype(all_dtypes[code - 1])
        return code

    def select_atype(self) -> int:
        """Set the type code in `mtdata` after `npdtype`, and return it.

        Raises
        ------
        StreamArgumentError
            Streams cannot have that dtype.
        StreamClosedError
            The object is hollow.
        """
        self._known()
        for code, dtype in enumerate(all_dtypes, start=1):
            if np.dtype(self.npdtype) == dtype:
                self.mtdata["atype"] = code
                return code
        raise StreamArgumentError(
            f"stream {self.fname!r}: streams have no pixels of {self.npdtype}; see all_dtypes",
            stream=self.fname,
            argument="npdtype",
            found=self.npdtype,
        )

    def get_counter(self, ii: int = 0) -> int:
        """Return a counter, and store it in `mtdata`.

        Parameters
        ----------
        ii : {0, 1, 2}
            0 counts frames; 1 is the slice written last, in cubes; 2 is for users.

        Raises
        ------
        StreamArgumentError
            There is no such counter.
        StreamClosedError, StreamChangedError
        """
        stream = self._live()
        if ii not in (0, 1, 2):
            raise StreamArgumentError(
                f"stream {stream.name!r}: the counters are 0, 1 and 2, not {ii!r}",
                stream=stream.name,
                argument="ii",
                found=ii,
            )
        count = (stream.counter, stream.cnt1, stream.cnt2)[ii]
        self.mtdata[f"cnt{ii}"] = count
        return count

    def increment_counter(self, ii: int = 0) -> int:
        """Publish the pixels in place again, and return the new counter of frames.

        Parameters
        ----------
        ii : int
            No effect, as in the original.

        Raises
        ------
        StreamReadOnlyError, StreamReplacedError, StreamClosedError

        Notes
        -----
        Also sets the times and posts the semaphores: for readers this is a new frame.
        """
        count = self._target().announce()
        self.mtdata["cnt0"] = count
        return count

    # -- keywords ------------------------------------------------------------------------------

    def create_keyword_list(self) -> None:
        """Fill `kwds` with as many empty entries as there are slots. Hollow: `StreamClosedError`."""
        self.kwds = [self.kwd.copy() for _ in range(self._known()["nbkw"])]

    def read_keywords(self) -> None:
        """Read all slots into `kwds`; errors as for `read_keyword`."""
        self.kwds = _read_slots(self._live())

    def read_keyword(self, ii: int) -> None:
        """Read slot `ii` into ``kwds[ii]``.

        Raises
        ------
        KeywordError
            There is no such slot.
        StreamClosedError, StreamChangedError
        """
        stream = self._live()
        at = _slot(stream, ii)
        self.kwds[at] = _read_slots(stream, at, at + 1)[0]

    def write_keywords(self) -> None:
        """Write `kwds` into all slots; if an entry cannot be stored, none is. Errors as below."""
        stream = self._target()
        stored = [_stored(stream, _slot(stream, ii), entry) for ii, entry in enumerate(self.kwds)]
        for ii, slot in enumerate(stored):
            _write_slot(stream, ii, slot)

    def write_keyword(self, ii: int) -> None:
        """Write ``kwds[ii]`` into slot `ii`.

        Raises
        ------
        KeywordError
            There is no such slot, a text is too long, or the value does not fit the type.
        StreamReadOnlyError, StreamReplacedError, StreamClosedError

        Notes
        -----
        No lock is taken, and slots are written in place. Other programs, and `pymilk.SHM`, read keywords up
        to the first slot without a name: fill slots from 0 on.
        """
        stream = self._target()
        at = _slot(stream, ii)
        _write_slot(stream, at, _stored(stream, at, self.kwds[at]))

    def update_keyword(self, ii: int, name: str, value: Any, comment: str) -> None:
        """Set ``kwds[ii]`` and write it into slot `ii`.

        Parameters
        ----------
        ii : int
            Slot, from 0 on.
        name : str
            At most 16 bytes of UTF-8. An empty one frees the slot.
        value : int, float or str
            Stored as type L, D or S; text has at most 16 bytes. Other values are stored as text of type N:
            other programs see a keyword without a value.
        comment : str
            At most 80 bytes.

        Raises
        ------
        KeywordError
            There is no such slot, or a text or value does not fit; nothing is changed.
        StreamReadOnlyError, StreamReplacedError, StreamClosedError
        """
        stream = self._target()
        at = _slot(stream, ii)
        kind, kept = _typed(value)
        entry = {"name": str(name), "type": kind, "value": kept, "comment": str(comment)}
        _write_slot(stream, at, _stored(stream, at, entry))
        self.kwds[at] = entry

    # -- semaphores ----------------------------------------------------------------------------

    @property
    def sems(self) -> list[Semaphore]:
        """The semaphores of the stream; none with `nosem`."""
        return [] if self.nosem else [Semaphore(self, index) for index in range(self.nsem)]

    @property
    def nsem(self) -> int:
        """Number of semaphores of the stream."""
        return self._live().nbsem

    def catch_up_with_sem(self, semid: int) -> int:
        """Take all posts of a semaphore, so that the next wait ends with a new frame.

        The semaphore is marked as taken: other readers of the stream, and `get_data` of this object, do not
        use it.

        Returns
        -------
        int
            The remaining posts, 0 unless a frame came in this moment; -1 with `nosem`.

        Raises
        ------
        StreamArgumentError
            There is no such semaphore.
        StreamReadOnlyError, StreamClosedError, StreamChangedError
        """
        stream = self._live()
        if self.nosem:
            return -1
        stream.sem_value(semid)  # raises if there is none
        if self._reader is not None and self._reader.sem_index == semid:
            # A thread that waits with it continues with the new one.
            given_up, self._reader = self._reader, stream.reader()
            given_up.close()
        stream.take_semaphore(semid)
        stream.flush(semid)
        return stream.sem_value(semid)

    def post_sems(self, index: int = -1) -> None:
        """Post one semaphore, or all of them if `index` is negative; nothing with `nosem`.

        `set_data` has posted all of them already. Errors as for `catch_up_with_sem`.
        """
        stream = self._live()
        if not self.nosem:
            stream.post(None if isinstance(index, numbers.Real) and index < 0 else index)

    # -- frames --------------------------------------------------------------------------------

    def get_data(
        self,
        check: float = False,
        reform: bool = True,
        sleepT: float = 0.001,
        timeout: float | None = 5,
    ) -> Array:
        """Return the pixels.

        Parameters
        ----------
        check : int, default False
            Wait until the counter of frames is above this number, also for 0 and True (1). False does not
            wait. The GIL is released, Ctrl-C ends the wait.
        reform : bool, default True
            False returns one axis.
        sleepT : float
            No effect; accepted for existing calls. Nothing is polled.
        timeout : float or None, default 5
            Seconds to wait; then the pixels are returned as they are, and `timeouts` counts it. None waits
            without limit, 0 does not.

        Returns
        -------
        ndarray, shape (x,), (y, x) or (z, y, x)
            A copy, never torn unless a `FrameTornWarning` says so.

        Raises
        ------
        StreamArgumentError
            `check` is not a number, or `timeout` not a time.
        StreamShapeChangedError, StreamTypeChangedError
            The stream was recreated with another shape or dtype.
        StreamClosedError

        Warns
        -----
        StreamTimeoutWarning
            Four timeouts without a frame between them, eight, sixteen, and so on.
        FrameTornWarning
            The writer died in this frame, or leaves no time to copy one.

        Notes
        -----
        The counter of a replaced stream restarts: the wait continues until it is above `check`.
        """
        if check is not False:
            if self._await_counter(check, timeout):
                self._silence.end()
            else:
                self._silence.timed_out(self._live(), timeout, "old")
        stream = self._live()
        return _copied(stream, stream.shape, reform)

    @property
    def timeouts(self) -> int:
        """How often `get_data` had no new frame in time, and returned the pixels as they were."""
        return self._silence.timeouts

    def _await_counter(self, check: float, timeout: float | None) -> bool:
        """Wait until the counter is above `check`; False if the time is over."""
        name = str(self.fname)
        if not isinstance(check, (numbers.Real, np.bool_)):
            raise StreamArgumentError(
                f"stream {name!r}: check is a counter to exceed, or False, not {check!r}",
                stream=name,
                argument="check",
                found=check,
            )
        deadline = _deadline(timeout, name)
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                seen = self.get_counter()
                if seen > check:
                    return True
                self._await_frame(left, seen)
            except StreamTimeoutError:
                return False
            except (StreamNotFoundError, StreamNotReadyError):
                # Other programs delete the old file before they make the new one.
                if left == 0:
                    return False
            except StreamReplacedError:
                pass  # followed at the next look

    def _await_frame(self, timeout: float, seen: int) -> None:
        """Wait until the counter is not `seen`; it may still be below the wanted number."""
        stream, reader = self._live(), self._reader
        try:
            if reader is not None:
                reader.wait(timeout, after=seen)
        except StreamBusyError:  # another thread waits with it
            stream.reader().wait(timeout, after=seen)
        except StreamClosedError:
            if reader is self._reader:
                raise
            # Otherwise the reader was closed, and the next look uses another one.

    def get_latest_data(self, semid: int | None = None, reform: bool = True) -> Array:
        """Wait for a semaphore, and return the pixels.

        Parameters
        ----------
        semid : int, optional
            Semaphore to wait for, without a timeout; Ctrl-C ends it. Default, and with `nosem`: do not
            wait.
        reform : bool, default True
            False returns one axis.

        Returns
        -------
        ndarray
            As `get_data`, whose errors it raises too.
        """
        return self._after_post(semid, lambda stream: _copied(stream, stream.shape, reform))

    def get_latest_data_slice(self, semid: int | None = None, reform: bool = True) -> Array:
        """Wait for a semaphore, and return the slice of a cube that was written last.

        Parameters
        ----------
        semid, reform
            As for `get_latest_data`.

        Returns
        -------
        ndarray, shape (y, x)
            A copy. Of a temporal circular cube: the slice in cnt1. Of other cubes: slice (counter - 1) modulo
            the number of slices; the whole cube is copied, so that the slice is not torn.

        Raises
        ------
        StreamArgumentError
            The stream has no third axis (a ValueError, where the original divided by zero).
        StreamClosedError, StreamChangedError
        """
        stream = self._live()
        if stream.naxis != 3:
            raise StreamArgumentError(
                f"stream {stream.name!r} has {stream.naxis} axes and no slices; use get_latest_data",
                stream=stream.name,
                argument="naxis",
                found=stream.naxis,
            )
        return self._after_post(semid, lambda stream: _newest_slice(stream, reform))

    def _after_post(self, semid: int | None, copied: Callable[[Stream], Array]) -> Array:
        """Wait for a post, and copy. An exception in between gives the post back: that frame is unread."""
        if semid is None or self.nosem:
            return copied(self._live())
        semaphore = Semaphore(self, semid)
        semaphore.acquire()
        try:
            return copied(self._live())
        except BaseException:
            with contextlib.suppress(StreamError):
                semaphore.release()
            raise

    def set_data(self, data: Any, check_dt: bool = False) -> None:
        """Publish a frame: pixels, times, counter, semaphores.

        Parameters
        ----------
        data : array_like, as many pixels as the stream has
            Any shape and byte order, read in C order. An array of shape (y, x) fills the next slice of a
            temporal circular cube.
        check_dt : bool, default False
            Convert another dtype, with NumPy's usual (unsafe) rules.

        Raises
        ------
        FrameMismatchError
            A ValueError: size or dtype differ, or it cannot be converted; nothing was written.
        StreamReadOnlyError, StreamReplacedError, StreamClosedError
        """
        stream = self._target()
        try:
            frame = as_pixels(data, "data", stream.dtype if check_dt else None)
            if check_dt or frame.dtype.newbyteorder("=") == stream.dtype:
                frame = frame.astype(stream.dtype, copy=False)
        except (TypeError, ValueError) as error:
            raise FrameMismatchError(
                f"stream {stream.name!r}: the data cannot be made {stream.dtype}: {error}",
                stream=stream.name,
                field="dtype",
                expected=stream.dtype,
                found=type(data),
            ) from None
        if frame.size == stream.nelement and frame.shape != stream.frame_shape:
            frame = frame.reshape(stream.shape)
        self.mtdata["cnt0"] = stream.publish(frame)

    def save_as_fits(self, fitsname: str | os.PathLike[str]) -> int:
        """Write the pixels into a FITS file, replacing one of that name; the first row is at the bottom.

        Parameters
        ----------
        fitsname : str or PathLike

        Returns
        -------
        int
            0.

        Raises
        ------
        LibraryMissingError
            An ImportError: astropy is not installed.
        StreamUnsupportedError
            FITS has no such pixels: complex ones, and float16.
        StreamNotFoundError, StreamPermissionError, StreamStorageError
            The directory does not exist, is not writable, or is full.
        StreamClosedError, StreamChangedError
        """
        stream = self._live()
        # 4 and FRONT2LAST: the file has the same axes as `pixels`.
        multi_write(fitsname, _copied(stream, stream.shape, True), 4, Which3DState.FRONT2LAST, upright=True)
        return 0


class Semaphore:
    """One of the semaphores of a stream; see `shm.sems`.

    Parameters
    ----------
    owner : shm
        Gives the stream at each call, after following a replaced one.
    index : int
    """

    def __init__(self, owner: shm, index: int) -> None:
        self._owner = owner
        self._index = index

    @property
    def value(self) -> int:
        """Number of posts that were not taken."""
        return self._owner._live().sem_value(self._index)

    def acquire(self, timeout: float | None = None) -> None:
        """Wait for a post, and take it.

        Parameters
        ----------
        timeout : float or None, default None
            Seconds; None waits without limit, 0 only looks. The GIL is released, Ctrl-C ends the wait.

        Raises
        ------
        StreamTimeoutError
            No post in time.
        StreamArgumentError
            The stream has no such semaphore.
        StreamReadOnlyError, StreamClosedError, StreamChangedError
        """
        deadline = _deadline(timeout, str(self._owner.fname))
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                stream = self._owner._live()
                # Replacing a stream also posts, to wake its readers; that is not a frame.
                if stream.sem_wait(self._index, min(left, _LOOK)) and not stream.replaced():
                    return
            except (StreamNotFoundError, StreamNotReadyError):
                pass  # the new file is being made
            if left == 0:
                stream = self._owner._attached()
                raise StreamTimeoutError(
                    f"stream {stream.name!r}: no post of semaphore {self._index} within {timeout} s",
                    stream=stream.name,
                    timeout=timeout,
                    counter=stream.counter,
                )

    def release(self) -> None:
        """Post it, up to a value of 10. Errors as for `acquire`."""
        self._owner._live().post(self._index)


def install() -> None:
    """Make ``import xaosim`` find this module: ``from xaosim.shmlib import shm`` works afterwards.

    Scripts call this explicitly. A second call does nothing.

    Raises
    ------
    StreamArgumentError
        The real xaosim is imported or installed; it is not replaced, because it has more than streams.
    """
    give_import_name(
        "xaosim", {"shmlib": sys.modules[__name__]}, instead="from pymilk.compat.xaosim import shm"
    )


def _deadline(timeout: float | None, name: str) -> float:
    """Return the time of the monotonic clock at which a timeout ends; one below 0 ends at once."""
    if isinstance(timeout, (int, float)) and timeout < 0:
        timeout = 0
    limit = checked_timeout(timeout, name)
    return math.inf if limit is None else time.monotonic() + limit


def _copied(stream: Stream, shape: tuple[int, ...], reform: bool) -> Array:
    """Copy the pixels, or a slice of a temporal circular cube; with one axis unless `reform`."""
    pixels: Array = np.empty(shape, stream.dtype)
    if stream.copy_frame(pixels) & FLAG_TORN:
        warn_of_tear(stream.name, stream.frame_counter, bool(stream.frame_flags & FLAG_UNCERTAIN))
    return pixels if reform else pixels.reshape(-1)


def _newest_slice(stream: Stream, reform: bool) -> Array:
    """Copy the slice of a cube that was written last."""
    if stream.temporal:
        return _copied(stream, stream.frame_shape, reform)
    cube = _copied(stream, stream.shape, True)
    newest: Array = cube[(stream.frame_counter - 1) % len(cube)].copy()
    return newest if reform else newest.reshape(-1)


def _metadata(stream: Stream) -> dict[str, Any]:
    """Read the metadata."""
    found = metadata_of(stream)
    for key in ("crtime", "latime", "atime", "wtime"):
        found[key] = divmod(found[f"{key}_ns"], 1_000_000_000)
        found[f"{key}_sec"], found[f"{key}_ns"] = found[key]
    found.update(
        bversion=_encoded(stream.version).ljust(32, b"\0"),
        bimname=_encoded(stream.stored_name).ljust(80, b"\0"),
        size=(found["z"], found["y"], found["x"]),
        bcudamem=stream.cuda_handle,
        cudamem=stream.cuda_handle.decode("latin-1").strip("\0"),
        atimearr=0,
        wtimearr=0,
        flagarr=0,
        cntarr=0,
    )
    return found


def _typed(value: object) -> tuple[str, int | float | str]:
    """Return the type letter of a value, and the value as it is kept."""
    if isinstance(value, (numbers.Integral, np.bool_)):
        return "L", int(value)
    if isinstance(value, numbers.Real):
        return "D", float(value)
    if isinstance(value, str):
        return "S", str(value)
    return "N", "" if value is None else str(value)


def _slot(stream: Stream, ii: int) -> int:
    """Return the index of a slot, or raise `KeywordError`."""
    if not (hasattr(ii, "__index__") and 0 <= ii < stream.nbkw):
        raise KeywordError(
            f"stream {stream.name!r} has room for {stream.nbkw} keywords, counted from 0; there is no slot "
            f"{ii!r}; recreate it with a larger nbkw",
            stream=stream.name,
            limit=stream.nbkw,
            found=ii,
        )
    return int(ii)


def _read_slots(stream: Stream, first: int = 0, end: int | None = None) -> list[dict[str, Any]]:
    """Return slots as entries of `shm.kwds`: all, or some."""
    entries = []
    there = stream.section("keywords")[first:end].copy()
    stream.check_whole()
    # `Stream.read_keywords` ends at the first free slot: read each slot in a table of one slot.
    with Stream.local(stream.name, 1, np.uint8, nbkw=1) as table:
        slot = table.section("keywords", writable=True)
        for stored in there:
            kind = stored["type"].decode("latin-1") or "N"
            slot[0] = stored
            if kind not in ("L", "D"):
                slot["type"] = b"S"  # N may have a text here
            [found] = table.read_keywords() or [_FREE]
            entries.append({"name": found.name, "type": kind, "value": found.value, "comment": found.comment})
    return entries


def _encoded(text: str) -> bytes:
    """Return a text as it is stored."""
    return text.encode("utf-8", "surrogateescape")


def _stored(stream: Stream, ii: int, entry: dict[str, Any]) -> Any:
    """Return an entry of `shm.kwds` as it is to be stored in slot `ii`."""
    name, kind, value, comment = (entry.get(key, "") for key in ("name", "type", "value", "comment"))
    if kind == "D" and isinstance(value, numbers.Real):
        value = float(value)
    elif kind == "N" and value is None:
        value = ""
    # As above: the core checks and encodes it in a table of one slot. It requires a name, which a free slot
    # does not have.
    with Stream.local(stream.name, 1, np.uint8, nbkw=1) as table:
        table.write_keywords([Keyword(name or "-", value, comment)])
        slot = table.section("keywords")[0].copy()
    if slot["type"].decode() != ("S" if kind == "N" else kind):
        raise KeywordError(
            f"stream {stream.name!r}: slot {ii} cannot store {value!r} under type {kind!r}; types are "
            "L (64-bit int), D (float), S (text) and N (none, or a text that only xaosim shows)",
            stream=stream.name,
            keyword=str(name),
            found=kind,
        )
    slot["type"] = kind.encode()
    if not name:
        slot["name"] = b""
    return slot


def _write_slot(stream: Stream, ii: int, slot: Any) -> None:
    """Store what `_stored` returned."""
    slots = stream.section("keywords", writable=True)
    slot["cnt"] = slots["cnt"][ii]
    slots[ii] = slot
    # Last: a program that watches the count then finds the keyword complete.
    slots["cnt"][ii] = (int(slot["cnt"]) + 1) % 2**64
    stream.check_whole()
