"""`SHM`: the familiar object that users hold. Composes the floors below; touches no pointers."""

from __future__ import annotations

import os
import threading
import time
import warnings
import weakref
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from ._core import FLAG_TORN, Stream, checked_timeout
from .axes import Orientation, Which3DState, encode
from .capture import Capture, spin_of
from .errors import (
    FrameMismatchError,
    FrameTornWarning,
    StreamArgumentError,
    StreamClosedError,
    StreamNameError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamReplacedError,
    StreamTimeoutError,
    StreamTimeoutWarning,
)
from .keywords import Keywords
from .names import stream_directory, stream_path

__all__ = ["SHM"]

Array = npt.NDArray[Any]

#: Reads look a little longer than a sleeping wake-up takes before they sleep.
_SPIN_NS = spin_of("auto")

#: Seconds that a stream which is just being made again has to become complete.
_SUCCESSOR_WAIT = 0.1


class SHM:
    """A stream as its users know it: attach or create, read, write, capture.

    Parameters
    ----------
    fname : str
        ``"name"``, ``"name.im.shm"``, or a path directly in the stream directory.
    data : ndarray or (shape, dtype), optional
        Create the stream, replacing one of that name, and publish this (zeros for a shape) as its first
        frame. None attaches the existing stream.
    nbkw : int, default 50
        Room for keywords of a new stream.
    shared : bool, default True
        Must be true: the stream is visible to other processes.
    location : int, default -1
        Must be -1: pixels in shared memory, not on a GPU.
    verbose, packed : bool
        Accepted because existing calls pass them; without effect.
    autoSqueeze : bool, default True
        When attaching, drop axes of length 1. Has no effect on a stream that is created.
    symcode : int, default 4
        Orientation, 0 to 7; see `pymilk.axes`. With 4 an image in C order keeps its bytes.
    triDim : Which3DState, default LAST2LAST
        Stack axis of 3D streams.

    Attributes
    ----------
    FNAME : str
        Name of the stream.
    FILEPATH : str
        Path of its file.
    shape : tuple of int
        Of a frame as this object gives and takes it.
    shape_c : tuple of int
        Axes in the order of the file, fastest first.
    nptype : type
        NumPy scalar type of the pixels, for example ``numpy.uint16``.
    nDim : int
        Number of axes of `shape`.
    symcode, triDimState
        As given.

    Raises
    ------
    StreamNotFoundError, StreamFormatError, StreamPermissionError, StreamNameError
        See `pymilk.Stream.attach`.
    StreamArgumentError, StreamStorageError
        See `pymilk.Stream.create`.

    Notes
    -----
    A stream that was replaced by a new file of the same shape and dtype is followed: at once if pymilk
    replaced it, within 4 ms if another program did (50 ms during a wait). With another shape or dtype
    every access raises `StreamChangedError`. A stream that was deleted keeps its last frame readable.

    One object may be used by several threads. While one of them waits, another that waits too takes a
    semaphore of its own for the time of its call; threads that wait all the time had better have an object
    each.

    Examples
    --------
    >>> import numpy as np
    >>> with SHM("doc_shm", np.zeros((2, 3), np.float32)) as shm:
    ...     shm.set_data(np.ones((2, 3), np.float32))
    ...     print(shm.get_data().mean(), shm.get_counter())
    ...     shm.destroy()
    1.0 2
    """

    def __init__(
        self,
        fname: str,
        data: Array | tuple[Any, Any] | None = None,
        nbkw: int = 50,
        shared: bool = True,
        location: int = -1,
        verbose: bool = False,
        packed: bool = False,
        autoSqueeze: bool = True,
        symcode: int = 4,
        triDim: int = Which3DState.LAST2LAST,
    ) -> None:
        self._stream: Stream | None = None
        if not shared or location != -1:
            raise StreamArgumentError(
                f"stream {fname!r}: shared={shared}, location={location}; only streams in shared memory "
                "(shared=True, location=-1) can be made and attached here",
                stream=str(fname),
                argument="shared" if not shared else "location",
                found=shared if not shared else location,
            )
        path = _path_in_directory(fname)
        self.symcode = symcode
        self.triDimState = triDim
        self._squeeze = autoSqueeze and data is None
        self._lock = threading.Lock()
        self._seen = 0
        self._captures: weakref.WeakSet[Capture] = weakref.WeakSet()
        if data is None:
            self._adopt(Stream.attach(path))
            self._seen = self._live().counter
            return
        shape, dtype = _wanted(data)
        # What encode does to the axes shows on any array of that shape, without memory behind it.
        raw = encode(np.broadcast_to(np.uint8(0), shape), symcode, triDim)
        self._adopt(Stream.create(path, raw.shape[::-1], dtype, nbkw=nbkw))
        self.set_data(data if isinstance(data, np.ndarray) else np.zeros(self.shape, self.nptype))

    # -- the stream behind it ------------------------------------------------------------------

    def _adopt(self, stream: Stream) -> None:
        """Make this stream the one behind the object.

        The one before is let go of and not closed: waits and captures that are on it follow by
        themselves.
        """
        orientation = Orientation(stream.shape, self.symcode, self.triDimState, self._squeeze)
        self._stream = stream
        self.FNAME = stream.name
        self.FILEPATH = stream.path
        self._turn = orientation
        self.shape = orientation.shape
        self.shape_c = stream.size
        self.nDim = len(self.shape)
        self.nptype = stream.dtype.type
        self._dtype = stream.dtype
        self._native_shape = stream.shape
        self._view = orientation.view(stream.view())
        self._size = stream.nelement

    def _live(self) -> Stream:
        """Return the stream, after following it to a new file if there is one."""
        stream = self._stream
        if stream is None:
            raise StreamClosedError(
                f"stream {self.FNAME!r}: the object is closed; make a new SHM", stream=self.FNAME
            )
        if stream.replaced():
            self._follow(stream)
            return self._live()
        return stream

    def _follow(self, old: Stream) -> None:
        with self._lock:
            if self._stream is old:  # no other thread was faster
                self._adopt(old.successor(_SUCCESSOR_WAIT))
                self._seen = 0

    def close(self) -> None:
        """Let go of the stream. Waits and captures in other threads end; views and frames stay valid."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
            for capture in list(self._captures):
                capture.close()

    def destroy(self) -> None:
        """Delete the stream, and close.

        Raises
        ------
        StreamReplacedError
            Another process has put its own stream there; it is not deleted.
        StreamNotFoundError
            It is deleted already.
        """
        stream = self._stream
        if stream is None:
            self._live()  # raises
            return
        stream.destroy()
        self.close()

    def __enter__(self) -> SHM:
        self._live()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_stream", None) is not None:
            self.close()
            # The default filters hide it; scripts that never close stay quiet, as they always were.
            # Only the name: at interpreter exit little else can be formatted any more.
            warnings.warn(f"unclosed <SHM {self.FNAME!r}>", ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        if self._stream is None:
            return f"<SHM {getattr(self, 'FNAME', '?')!r} closed>"
        note = f", {self._stream.note}" if self._stream.note else ""
        return f"<SHM {self.FNAME!r} shape={self.shape} dtype={self._dtype}{note}>"

    # -- reading -------------------------------------------------------------------------------

    def get_data(
        self,
        check: bool = False,
        timeout: float | None = 5.0,
        copy: bool = True,
        checkSemAndFlush: bool = True,
        autorelink_if_need: bool = True,
        return_none_on_timeout: bool = False,
    ) -> Any:
        """Return a frame: the newest one, or the next one.

        Parameters
        ----------
        check : bool, default False
            Wait for a new frame first. The GIL is released, Ctrl-C ends the wait.
        timeout : float or None, default 5.0
            Seconds to wait; None, 0 and negative wait for ever.
        copy : bool, default True
            False gives a read-only view: memory that stays valid for ever, and holds the frame until
            the writer begins the next one. Whether it is whole cannot be checked.
        checkSemAndFlush : bool, default True
            Wait for a frame published after the call. False also takes one that was published since
            this object last waited or read one.
        autorelink_if_need : bool, default True
            Follow a stream that was replaced. False reads on in the old file.
        return_none_on_timeout : bool, default False
            On a timeout return None instead of the old frame.

        Returns
        -------
        ndarray, shape `shape`, or None
            A copy is never torn, unless a `FrameTornWarning` says so.

        Raises
        ------
        StreamChangedError
            The stream was recreated with another shape or dtype.
        StreamClosedError

        Warns
        -----
        StreamTimeoutWarning
            No new frame in time, and the old one is returned.
        FrameTornWarning
            The writer died in this frame, or leaves no time to copy one.
        """
        stream = self._stream
        if stream is None or (autorelink_if_need and stream.replaced()):
            stream = self._live()
        if check and not self._wait(
            _limit(timeout, self.FNAME), None if checkSemAndFlush else self._seen, autorelink_if_need
        ):
            if return_none_on_timeout:
                return None
            warnings.warn(
                f"stream {self.FNAME!r}: no new frame within {timeout} s; this is the previous one",
                StreamTimeoutWarning,
                stacklevel=2,
            )
        if check:
            stream = self._stream or self._live()
        if not copy:
            self._seen = stream.counter
            return self._view.view()
        frame = np.empty(self._native_shape, self._dtype)
        if stream.copy_frame(frame) & FLAG_TORN:
            warnings.warn(
                f"stream {self.FNAME!r}: frame {stream.frame_counter} may be torn; its writer has not "
                "finished it, or leaves no time for a copy",
                FrameTornWarning,
                stacklevel=2,
            )
        self._seen = stream.frame_counter
        return frame if self._turn.identity else self._turn.view(frame)

    def _wait(self, timeout: float | None, after: int | None, follow: bool) -> bool:
        """Wait for a frame newer than number `after`; returns False on a timeout."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                stream = self._stream if not follow else None
                stream = stream or self._live()
                stream.wait(left, after=after, spin_ns=_SPIN_NS)
                return True
            except StreamReplacedError:
                if not follow:
                    raise
                # Whatever the new file holds was not there when the wait began.
                after = 0
            except (StreamNotFoundError, StreamNotReadyError):
                # The new file is on its way: other programs delete the old one first.
                if left == 0:
                    return False
            except StreamTimeoutError:
                return False

    @overload
    def multi_recv_data(
        self,
        n: int,
        output_as_cube: Literal[False] = ...,
        monitorCount: bool = ...,
        timeout: float | None = ...,
    ) -> list[Array]: ...
    @overload
    def multi_recv_data(
        self,
        n: int,
        output_as_cube: int = ...,
        monitorCount: bool = ...,
        timeout: float | None = ...,
        *,
        outputFormat: int | None = ...,
    ) -> Any: ...
    def multi_recv_data(
        self,
        n: int,
        output_as_cube: int = False,
        monitorCount: bool = False,
        timeout: float | None = 5.0,
        *,
        outputFormat: int | None = None,
    ) -> Any:
        """Receive the next n frames.

        Parameters
        ----------
        n : int
        output_as_cube : bool, default False
            True gives one array (n, *shape), False a list of n frames.
        monitorCount : bool, default False
            Print what was irregular: see Notes.
        timeout : float or None, default 5.0
            Longest wait for one frame, in seconds; None, 0 and negative wait for ever.
        outputFormat : int, optional
            Older spelling of `output_as_cube`: 0 is a list, anything else a cube.

        Returns
        -------
        list of ndarray, or ndarray

        Raises
        ------
        StreamTimeoutError
            A frame did not come in time; its `capture` holds those that did.

        Notes
        -----
        The lines that `monitorCount` prints count, for all frames but the first, how often the counter
        of the stream moved by less and by more than 1. "Less" is always 0 here: no frame is delivered
        twice. "post" repeats "pre", since both are read as one; "pre/post diff" counts torn frames.
        `capture` returns the same as numbers.
        """
        cube = bool(output_as_cube if outputFormat is None else outputFormat)
        result = self.capture(n, timeout=_limit(timeout, self.FNAME))
        if monitorCount:
            skips = int(np.count_nonzero(result.info["lost"][1:]))
            torn = result.report.torn
            print("Irregularities:")
            print(f"0 < 1, {skips} > 1 deltas in pre.")
            print(f"0 < 1, {skips} > 1 deltas in post.")
            print(f"0 < 1, {torn} > 1 pre/post diff.")
        return result.frames if cube else list(result.frames)

    def capture(
        self,
        n: int,
        out: Array | None = None,
        timeout: float | None = 5.0,
        wait: str = "auto",
        *,
        background: bool = False,
    ) -> Capture:
        """Receive the next n frames into one cube, with an exact account.

        Parameters
        ----------
        n : int
            Frames, 1 or more.
        out : ndarray, shape (n, *shape), stream dtype, optional
            Filled instead of a new array, and pre-faulted. Where the orientation turns pixels, an `out`
            that is C-contiguous costs a second pass over them at the end.
        timeout : float or None, default 5.0
            Longest wait for one frame, in seconds; None waits for ever.
        wait : {"auto", "spin", "sleep"}
            How to wait for frames: see `pymilk.capture.WAIT_POLICIES`. "spin" uses a core.
        background : bool, default False
            Return at once; `Capture.join` waits for the end.

        Returns
        -------
        Capture
            With `frames` (n, *shape), `info` (one row a frame) and `report`.

        Raises
        ------
        StreamTimeoutError
            A frame did not come in time; its `capture` holds those that did.
        StreamChangedError
            The stream was recreated with another shape or dtype.
        FrameMismatchError, StreamArgumentError
            `out`, `n` or `wait` do not fit.
        CaptureMemoryError
            The frames need more memory than there is.

        Notes
        -----
        Memory is reserved and pre-faulted before the first frame is waited for. Ctrl-C ends a capture
        within 0.1 s.

        Examples
        --------
        >>> capture = shm.capture(1000)                     # doctest: +SKIP
        >>> capture.frames.mean(axis=0), capture.report.lost  # doctest: +SKIP
        """
        return Capture(
            self._live(),
            n,
            out,
            timeout=timeout,
            wait=wait,
            orientation=self._turn,
            background=background,
            register=self._captures.add,
        )

    # -- writing -------------------------------------------------------------------------------

    def set_data(
        self, data: Any, check_dt: bool = False, autorelink_if_need: bool = False
    ) -> None:
        """Publish a frame.

        Parameters
        ----------
        data : array_like, shape `shape`
            Any memory and byte order. An array must have the dtype of the stream; lists and scalars are
            converted if that changes no value.
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
        stream = self._stream
        if stream is None or stream.replaced():
            if stream is not None and not autorelink_if_need:
                raise StreamReplacedError(
                    f"stream {self.FNAME!r} was replaced by a new file; "
                    "attach it again, or pass autorelink_if_need=True",
                    stream=self.FNAME,
                    field="inode",
                    expected=stream.inode,
                    found=os.stat(self.FILEPATH).st_ino,
                )
            stream = self._live()
        frame = data if isinstance(data, np.ndarray) else self._converted(data)
        if frame.dtype != self._dtype and (check_dt or frame.dtype.newbyteorder("=") == self._dtype):
            frame = frame.astype(self._dtype)
        if self._turn.identity:
            stream.publish(frame)
            return
        if frame.shape != self.shape and not (frame.size == 1 and self._size == 1):
            raise FrameMismatchError(
                f"stream {self.FNAME!r}: the frame has shape {frame.shape}, the stream {self.shape}",
                stream=self.FNAME,
                field="shape",
                expected=self.shape,
                found=frame.shape,
            )
        stream.publish(self._turn.native(frame.reshape(self.shape)))

    def _converted(self, data: Any) -> Array:
        """Convert what is not an array, if that changes no value."""
        given = np.asarray(data)
        if given.dtype.kind in "biufc":
            with np.errstate(all="ignore"):
                frame = given.astype(self._dtype)
            if np.array_equal(frame, given, equal_nan=given.dtype.kind in "fc"):
                return frame
        raise FrameMismatchError(
            f"stream {self.FNAME!r}: the data ({given.dtype}) cannot be stored as {self._dtype} "
            "without changing values",
            stream=self.FNAME,
            field="dtype",
            expected=self._dtype,
            found=given.dtype,
        )

    # -- metadata and keywords -----------------------------------------------------------------

    def get_counter(self) -> int:
        """Return how many frames were published so far (cnt0)."""
        return self._live().counter

    @property
    def semID(self) -> int | None:
        """Index of the semaphore of this object, taken if it has none yet; None if all are taken."""
        return self._live().sem_index

    @property
    def mtdata(self) -> dict[str, Any]:
        """The metadata now, as a dict of plain values.

        ``size`` is in the order of the file, fastest axis first. Times are integer nanoseconds of
        CLOCK_TAI (``pymilk.times.to_utc`` converts them).
        """
        stream = self._live()
        axes = (*stream.size, 0, 0)
        return {
            "version": stream.version,
            "imname": stream.stored_name,
            "naxis": stream.naxis,
            "size": stream.size,
            "x": axes[0],
            "y": axes[1],
            "z": axes[2],
            "nel": stream.nelement,
            "atype": stream.datatype,
            "imtype": stream.imagetype,
            "crtime_ns": stream.creation_time_ns,
            "latime_ns": stream.last_access_time_ns,
            "atime_ns": stream.acquisition_time_ns,
            "wtime_ns": stream.write_time_ns,
            "crPID": stream.creator_pid,
            "owPID": stream.owner_pid,
            "shared": stream.shared,
            "inode": stream.inode,
            "loc": stream.location,
            "status": stream.status,
            "flag": stream.flag,
            "logflag": stream.logflag,
            "sem": stream.nbsem,
            "nbproctrace": stream.nbproctrace,
            "cnt0": stream.counter,
            "cnt1": stream.cnt1,
            "cnt2": stream.cnt2,
            "write": stream.write,
            "nbkw": stream.nbkw,
            "cbsize": stream.cb_size,
            "cbindex": stream.cb_index,
            "cbcycle": stream.cb_cycle,
        }

    @property
    def keywords(self) -> Keywords:
        """The keywords as a live mapping."""
        return Keywords(self._live)

    def get_keywords(self, comments: bool = False) -> dict[str, Any]:
        """Return the keywords.

        Parameters
        ----------
        comments : bool, default False
            Values are ``(value, comment)``.

        Returns
        -------
        dict
            Name to value. The names are str that also answer ``kw["name"]``, ``kw["value"]`` and
            ``kw["comment"]``, so that both ways of reading them work.
        """
        found = self.keywords.named()
        if comments:
            return {name: (keyword.value, keyword.comment) for name, keyword in found.items()}
        return {name: keyword.value for name, keyword in found.items()}

    def set_keywords(self, kw_dict: dict[str, Any]) -> None:
        """Change and add keywords: ``{name: value}``, ``{name: (value,)}`` or ``{name: (value, comment)}``.

        Others stay. If one cannot be stored, none is, and `KeywordError` is raised.
        """
        self.keywords.merge(kw_dict)

    def reset_keywords(self, kw_dict: dict[str, Any]) -> None:
        """Replace all keywords; argument as for `set_keywords`."""
        self.keywords.replace(kw_dict)

    def update_keyword(self, name: str, value: Any, comment: str | None = None) -> None:
        """Change a keyword that exists; keeps its comment unless one is given.

        Raises
        ------
        KeywordNotFoundError, KeywordError
        """
        self._live().update_keyword(name, value, comment)

    def get_keyword(self, name: str, comment: bool = False) -> Any:
        """Return the value of a keyword, or ``(value, comment)``; unknown: `KeywordNotFoundError`."""
        keywords = self.keywords
        return (keywords[name], keywords.comment(name)) if comment else keywords[name]

    def __getitem__(self, name: str) -> Any:
        return self.keywords[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.keywords[name] = value


def _limit(timeout: float | None, name: str) -> float | None:
    """Turn a familiar timeout, where 0 and negative mean for ever, into seconds or None."""
    if isinstance(timeout, (int, float)) and timeout <= 0:
        return None
    return checked_timeout(timeout, name)


def _path_in_directory(fname: str) -> str:
    """Turn a name or path into a path, which has to be directly in the stream directory."""
    path = stream_path(fname)
    folder = stream_directory()
    if os.path.realpath(os.path.dirname(path)) != os.path.realpath(folder):
        raise StreamNameError(
            f"{fname!r} is not in the stream directory {folder}; give a plain name, or set MILK_SHM_DIR",
            name=str(fname),
        )
    return path


def _wanted(data: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Tell shape and dtype of the stream that `data` asks for."""
    if isinstance(data, np.ndarray):
        return data.shape, data.dtype
    try:
        shape, dtype = data
        axes = tuple(int(axis) for axis in np.atleast_1d(np.asarray(shape, dtype=object)))
        wanted = np.dtype(dtype)
    except (TypeError, ValueError):
        raise StreamArgumentError(
            f"data is an array or (shape, dtype), not {data!r}", argument="data", found=data
        ) from None
    if len(axes) > 3 or any(not 1 <= axis < 2**32 for axis in axes):
        raise StreamArgumentError(
            f"a stream has at most 3 axes of 1 to 2**32 - 1, not {shape!r}",
            argument="shape",
            found=shape,
        )
    return axes, wanted
