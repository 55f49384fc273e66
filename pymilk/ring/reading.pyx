"""`RingReader.read`: the usual case, compiled, and the memory of its frames from the first copy until they are handed over."""

cimport cython
from libc.stdint cimport int64_t

from .._isio cimport CLOCK_TAI
from ..native.rings cimport Rows, Turn
from ..protocol.clock cimport clock_ns

import inspect
from typing import Any, NamedTuple

import numpy as np

from .._core import checked_timeout
from ..arguments import check_count
from ..axes import Orientation
from ..capture import destination, finish, finished_capture
from ..errors import carry

__all__ = ["FrameKind", "ReadCalls", "Reading"]

# Asked of NumPy for each read, looked up once.
cdef object _empty = np.empty
cdef object _ndarray = np.ndarray

cdef enum:
    # Cubes up to this size, in bytes, come from NumPy; pages of larger ones are made before they are filled.
    SMALL = 1 << 17

# Timeouts of this many seconds and more are checked in full.
cdef double LONGEST = 1e6


class FrameKind(NamedTuple):
    """What the frames of a ring are.

    Attributes
    ----------
    stream : str
    orientation : Orientation
        How the user sees them.
    shape : tuple of int
        Of one in the stream.
    dtype : dtype
    nbytes : int
        Of one.
    """

    stream: str
    orientation: Orientation
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    nbytes: int


@cython.final
@cython.auto_pickle(False)
cdef class Reading:
    """Memory for frames that are copied out of a ring.

    Parameters
    ----------
    kind : FrameKind
    count : int
        Frames wanted.
    out : array or buffer, optional
        Where the user wants them.

    Attributes
    ----------
    cube : ndarray, shape (count, *shape)
        Where frames are copied to.
    rows : Rows
        Their rows.

    Raises
    ------
    FrameMismatchError, CaptureMemoryError
        `out` does not fit, or there is no memory.
    """

    cdef object kind
    cdef object out
    cdef bint small             # copied in a few microseconds
    cdef readonly object cube
    cdef readonly Rows rows

    def __cinit__(self, kind, count, out):
        cdef object name, orientation, shape, dtype, nbytes
        name, orientation, shape, dtype, nbytes = kind
        self.kind = kind
        self.small = count * nbytes <= SMALL
        shape = (count, *shape)
        if out is None and self.small:
            self.cube = _empty(shape, dtype)
        elif (self.small and type(out) is _ndarray and orientation.identity and out.shape == shape
                and out.dtype == dtype and out.flags.carray):
            self.cube = self.out = out
        else:
            self.cube, self.out = destination(name, orientation, shape, dtype, out)
        self.rows = Rows(count)

    def capture(self, done, double duration=0.0):
        """Return the first frames as a finished capture; `duration`: seconds that it took."""
        name, orientation = self.kind[:2]
        cube, out, info = self.cube, self.out, self.rows
        count = len(self.rows)
        if out is not None and out is not cube:
            finish(orientation, cube, out, done)
        if done < count:
            cube, info = cube[:done], info[:done]
            out = None if out is None else out[:done]
        if out is None:
            out = cube if orientation.identity else orientation.view(cube)
        return finished_capture(name, count, out, info, orientation, duration, clock_ns(CLOCK_TAI))


@cython.auto_pickle(False)
cdef class ReadCalls:
    """Base of `RingReader`: `read`, of which the usual case is one compiled step.

    What waits, or raises, goes to `_read` of the subclass.

    Attributes
    ----------
    _kind : FrameKind
    _turn : Turn
    _closed : bool
        Also before it is open.
    _newest, _strict : bool
        The policy is "newest"; losses are raised.
    _bell : int
        Its descriptor, which is reset after reading; or -1.
    """

    cdef public object _kind
    cdef public Turn _turn
    cdef public bint _closed
    cdef public bint _newest
    cdef public bint _strict
    cdef public int _bell

    def __cinit__(self):
        self._closed = True
        self._bell = -1

    def read(self, frames=None, out=None, timeout=5.0, **older):
        """Copy the next n unread frames into one cube.

        Parameters
        ----------
        frames : int
            How many, n: 1 or more; may be more than the ring holds.
        out : array or buffer, shape (n, *shape), stream dtype, optional
            Filled instead of a new array: anything that `SHM.get_data` takes.
        timeout : float or None, default 5.0
            Longest wait for a frame, in seconds; None waits without limit.
        **older
            `n`, the older name of `frames`.

        Returns
        -------
        Capture
            Finished, with `frames`, `info` and `report`. Each frame is verified after its copy; frames that
            were overwritten meanwhile count as lost.

        Raises
        ------
        StreamTimeoutError, FrameLostError
            As for `blocks`.
        FrameMismatchError, CaptureMemoryError
            `out` does not fit, or there is no memory.
        StreamChangedError, StreamClosedError, StreamBusyError
            As for `blocks`.

        Notes
        -----
        Any exception that ends it once frames were copied, `KeyboardInterrupt` and those of your own signal
        handlers included, holds these frames as its `capture`; the next read begins behind them.
        """
        cdef Reading reading = None
        cdef Turn turn = self._turn
        cdef bint entered = False
        cdef int64_t took
        capture = None
        if type(frames) is not int or older or frames <= 0:
            frames = self._wanted(frames, **older)
        if type(timeout) is not float or not 0 <= timeout < LONGEST:
            checked_timeout(timeout, self._kind.stream)
        try:
            if self._closed:
                raise self._is_closed()
            reading = Reading(self._kind, frames, out)
            if reading.small and self._bell < 0 and (not self._newest or frames == 1):
                took = turn.read_now(reading.cube, reading.rows, frames, self._newest, self._strict)
                if took >= 0:
                    capture = reading.capture(frames, took * 1e-9)
                    return capture
            with turn:
                entered = True
                if self._closed:
                    raise self._is_closed()
                capture = self._read(reading, frames, timeout)
            return capture
        except BaseException as error:
            if not entered and reading is not None and reading.rows.handed_over:
                carry(error, capture=reading.capture(frames) if capture is None else capture)
            # Nothing is called if the frames were given already: another exception could come then.
            elif entered and turn.receiver is not error:
                turn.carry(error, capture)
            elif entered:
                turn.given = turn.receiver = None
            raise

    def _wanted(self, frames, n=None):
        """Return the number of frames that was asked for, by either name."""
        if frames is not None and n is not None:
            raise TypeError("RingReader.read() takes 'frames' or its older name 'n', not both")
        if frames is None and n is None:
            raise TypeError("RingReader.read() is missing 'frames', how many to read")
        return check_count("frames", n if frames is None else frames, least=1, stream=self._kind.stream)


def _shown(real):
    """Return the signature of `read` for editors and help: `frames` has to be given, and older names are not told."""
    first, *rest = [each for each in real.parameters.values() if each.kind is not each.VAR_KEYWORD][1:]
    return real.replace(parameters=[real.parameters["self"], first.replace(default=first.empty), *rest])


ReadCalls.read.__signature__ = _shown(inspect.signature(ReadCalls.read))
