"""Capture several streams at once, from a common start."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .._core import FRAME_ROW, checked_timeout, free_memory
from .._types import Array
from ..arguments import bad_argument, check_count, check_items, check_seconds, older_words
from ..capture import Capture
from ..errors import (
    CaptureMemoryError,
    MultiCaptureError,
    StreamArgumentError,
    StreamStorageError,
    carry,
)
from ..notebooks import as_html
from ..shm import SHM
from ..streams.waiting import spin_of
from ..system.forks import tell, tell_after_fork
from ..system.latch import Latch
from ..system.signals import unbroken
from ..system.threads import do_all, join_thread, start_thread
from ..times import now_ns
from .alignment import Alignment, align
from .report import MultiCaptureReport

__all__ = ["MultiCapture", "capture_many"]

#: Seconds that rates are measured for a capture by time.
_PROBE = 0.5

#: Factor on the measured rate, and seconds that ending a capture takes: room for more frames.
_HEAD_ROOM = 1.25
_OVERRUN = 0.1

#: Seconds between two looks whether a capture needs more memory; share of the free memory that all of them
#: may grow into, and frames per second that no camera exceeds.
_GROWTH = 0.02
_GROWN_SHARE = 0.5
_FASTEST = 1e6

#: Limit of the number of frames of a stream.
_MOST = 2**62

#: Seconds to wait for stopped captures; they end within 0.1 s.
_PATIENCE = 2.0


class MultiCapture(Mapping[str, Capture]):
    """Captures of several streams that began together; a mapping of labels to `Capture`.

    Made by `capture_many`. It pickles as what was received.

    Parameters
    ----------
    captures : dict of str to Capture
        Made with ``held=True``; `start` begins all of them.
    seconds : float, optional
        End them after this time.
    attached : iterable of SHM
        Closed when all have ended.

    Attributes
    ----------
    started_ns : int
        When all were armed, in nanoseconds of CLOCK_TAI: no later frame is missed. They are armed one after
        the other, in about 0.1 ms each, or up to 10 ms each while other Python threads keep the GIL busy, so
        that a fast stream may begin with frames that arrived before this time.
    """

    def __init__(
        self,
        captures: dict[str, Capture],
        *,
        seconds: float | None = None,
        attached: Iterable[SHM] = (),
    ) -> None:
        self._captures = captures
        self._seconds = seconds
        self._attached = list(attached)
        self._errors: dict[str, BaseException] | None = None
        self._fault: BaseException | None = None
        self._cut: set[str] = set()
        self._over = Latch()
        self._keeper: threading.Thread | None = threading.Thread(
            target=self._keep, name="pymilk-capture-many", daemon=True
        )
        self._keeping = False  # whether the thread may have been started
        self.started_ns = 0
        self._deadline: float | None = None

    def begin(self) -> None:
        """Arm all captures, and start the thread that waits for their end."""
        for capture in self._captures.values():
            capture.begin()
        for capture in self._captures.values():
            capture.armed()
        self.started_ns = now_ns()
        self._deadline = None if self._seconds is None else time.monotonic() + self._seconds
        tell_after_fork(self)
        assert self._keeper is not None
        self._keeping = True
        try:
            start_thread(self._keeper)
        except StreamStorageError:
            self._keeper = None
            raise

    def _after_fork(self) -> None:
        if self._keeper is None:
            return  # it came out of a pickle
        self._over = Latch()
        self._over.set()
        self._keeper = None
        for capture in self._captures.values():
            tell(capture)  # it may not have been called yet
        for shm in self._attached:
            shm.close()

    def abandon(self) -> None:
        """End all captures and the thread after an exception."""
        captures = list(self._captures.values())
        fault = do_all(
            self.stop,
            self._await_keeper,
            *(each.end for each in captures),
            *(shm.close for shm in self._attached),
        )
        self._over.set()
        if fault is not None:
            raise fault

    def _await_keeper(self) -> None:
        """Wait for the thread, which may run although its start was interrupted."""
        keeper = self._keeper
        if self._keeping and keeper is not None and self._over.wait(_PATIENCE):
            join_thread(keeper, _PATIENCE)

    def _keep(self) -> None:
        """Wait for all captures, stop them when the time is over, and close attached streams."""
        try:
            for capture in self._captures.values():
                if not self._kept_until_end(capture):
                    break
        except BaseException as error:  # noqa: BLE001 (handed to join(): without this thread nothing would end)
            self._fault = error
        captures = list(self._captures.values())
        if self._fault is None:
            self._cut |= {label for label, capture in self._captures.items() if not capture.done}
        fault = do_all(
            *(each.stop for each in captures),
            *(each.wait_end for each in captures),
            *(shm.close for shm in self._attached),
        )
        self._fault = self._fault or fault
        self._over.set()

    def _kept_until_end(self, capture: Capture) -> bool:
        """Wait for the end of a capture, and meanwhile provide memory for all; False if the time is over."""
        while True:
            left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            running = [each for each in self._captures.values() if not each.done]
            growing = [each for each in running if each.requested < each.room]
            if not growing or left is None:
                return capture.wait_end(left)
            if capture.wait_end(min(left, _GROWTH)):
                return True
            if left <= _GROWTH:
                return capture.done
            for each in growing:
                try:
                    each.make_ready()
                except CaptureMemoryError:
                    each.stop()
                    each.room = each.received

    # -- use -----------------------------------------------------------------------------------

    def __getitem__(self, label: str) -> Capture:
        return self._captures[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._captures)

    def __len__(self) -> int:
        return len(self._captures)

    @property
    def running(self) -> bool:
        """Whether any of them receives: the opposite of `done`."""
        return not self.done

    def start(self) -> MultiCapture:
        """Do nothing: captures run since they were made; returns itself."""
        return self

    def wait(self, timeout: float | None = None) -> MultiCaptureReport:
        """Wait for the end as `join` does; returns the report."""
        return self.join(timeout).report

    def __enter__(self) -> MultiCapture:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Stop all; without another exception, raise what ended one of them before."""
        unbroken(self._stop_and_wait)
        if kind is None:
            self.join()

    def _stop_and_wait(self) -> None:
        self.stop()
        self._over.wait(_PATIENCE)

    @property
    def done(self) -> bool:
        """Whether all captures have ended and attached streams are closed."""
        return self._over.is_set()

    @property
    def errors(self) -> dict[str, BaseException]:
        """Label of each stream that failed so far, and its exception."""
        if self._errors is not None:
            return self._errors
        found = {label: capture.error for label, capture in self._captures.items()}
        return {label: error for label, error in found.items() if error is not None}

    @property
    def report(self) -> MultiCaptureReport:
        """The account of what was received so far."""
        errors = {label: str(error) for label, error in self.errors.items()}
        return MultiCaptureReport(
            {label: capture.report for label, capture in self._captures.items()},
            {label: self._ending(label) for label in self._captures},
            errors,
            sum(capture.frames.nbytes for capture in self._captures.values()),
            self.started_ns,
        )

    def _ending(self, label: str) -> str:
        capture = self._captures[label]
        if not capture.done:
            return "running"
        if label in self.errors:
            return "error"
        if capture.received >= capture.room:
            return "complete" if self._seconds is None else "full"
        return "time" if label in self._cut else "stopped"

    def stop(self) -> None:
        """End all captures early, within 50 ms; frames are kept, and `join` does not raise."""
        for capture in self._captures.values():
            capture.stop()

    def join(self, timeout: float | None = None) -> MultiCapture:
        """Wait for the end of all captures.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.

        Returns
        -------
        MultiCapture
            Itself. `done` tells whether all have ended.

        Raises
        ------
        MultiCaptureError
            Some of them failed. Its `captures` is this object, with all frames received; its `errors` has the
            error of each.
        StreamArgumentError
            The timeout is none.
        KeyboardInterrupt
            Ctrl-C, or any exception of a signal handler; all captures were stopped first, and this object is
            the `captures` of the exception.
        """
        limit = checked_timeout(timeout)
        try:
            if not self._over.wait(limit):
                return self
        except BaseException as error:
            unbroken(self.abandon)
            carry(error, captures=self)
            raise
        if self._keeper is not None:
            join_thread(self._keeper)
        if self._fault is not None:
            carry(self._fault, captures=self)
            raise self._fault
        errors = self.errors
        if errors:
            what = "; ".join(f"{label!r}: {error}" for label, error in errors.items())
            raise MultiCaptureError(
                f"{len(errors)} of {len(self)} captures failed; the error's `captures` has what all of them "
                f"received. {what}",
                captures=self,
                errors=errors,
            ) from next(iter(errors.values()))
        return self

    def aligned(
        self,
        by: str = "time",
        *,
        key: str | Mapping[str, str] = "atime_ns",
        reference: str | None = None,
        tolerance: float | None = None,
        match: str = "nearest",
        gaps: bool = True,
    ) -> Alignment:
        """Return which rows of the captures belong together.

        The result has one row for each frame of the reference, in its order, and one for each that it
        lost. A frame of another stream may be in several rows, or in none.

        Parameters
        ----------
        by : {"time", "counter"}
            "time": the frame of each other stream whose time is nearest to that of the reference, or the
            newest one that is not later: see `match`. "counter": the frame of the same number, for streams
            whose numbers have one source, as those of a stream and its relay. Frames after the k-th restart
            belong to those after the k-th restart of the others.
        key : str or mapping of label to str, default "atime_ns"
            The time: "atime_ns" (acquisition) or "writetime_ns", as the writer stamped them, or
            "arrival_ns", when the frame was copied. Frames with no time (0) belong to none.
        reference : str, optional
            Label; default the first one.
        tolerance : float, optional
            Seconds that the times may differ, for ``by="time"``. Default: no limit.
        match : {"nearest", "previous"}
            For ``by="time"``. "nearest": the smallest difference; the earlier of two equal ones. "previous":
            the newest frame that is not later, as for a command that was in effect when a frame was taken. Of
            several frames of the same time (or number) the last one is used.
        gaps : bool, default True
            Add rows for the lost frames of the reference, with -1 for it. Other streams have their frame of
            that number ``by="counter"``, and -1 by time, because the time of a lost frame is not known.

        Returns
        -------
        Alignment
            For each label an int64 array of rows, -1 where there is none; with `lost` and `complete`.

        Raises
        ------
        StreamArgumentError
            An argument is not one of those, or no frame of a stream has such a time.
        CaptureMemoryError
            Rows for the lost frames do not fit into memory.

        Notes
        -----
        Costs a sort of each stream: about 25 ms for 100 000 rows. No frames are copied.
        """
        infos = {label: capture.info for label, capture in self._captures.items()}
        return align(
            infos, by, key=key, reference=reference, tolerance=tolerance, match=match, gaps=gaps
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Only the result is pickled, as of a Capture.
        state = {
            "_captures": dict(self._captures),
            "_errors": dict(self.errors),
            "_fault": self._fault,
            "_seconds": self._seconds,
            "_cut": set(self._cut),
            "started_ns": self.started_ns,
        }
        return _restore, (), state  # not as an argument of it: an error may refer to the captures

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Refuse: frames of several streams are not one array (NumPy would make one of a single object).

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            f"captures of several streams are not one array; take one of them by its label: {', '.join(self)}"
        )

    def _repr_html_(self) -> str:
        """Return what notebooks show: each stream with its last frame, rate and gaps. Does not wait."""
        state = as_html(repr(self), [(label, self._ending(label)) for label in self])
        return state + "".join(capture._repr_html_() for capture in self.values())

    def __repr__(self) -> str:
        received = ", ".join(
            f"{label} {capture.received}/{capture.requested}"
            for label, capture in self._captures.items()
        )
        return f"<MultiCapture {received}: {'done' if self.done else 'running'}>"


def _restore() -> MultiCapture:
    """Make finished captures that get what was pickled."""
    many = MultiCapture.__new__(MultiCapture)
    many.__dict__.update(_attached=[], _keeper=None, _over=Latch())
    many._over.set()
    return many


class _Wanted(NamedTuple):
    """Parameters of one stream."""

    source: SHM | str
    frames: int | None
    out: Array | None


@older_words(n="frames")
def capture_many(
    streams: Mapping[str, int | str | SHM | None] | Iterable[str | SHM],
    frames: int | Mapping[str, int] | None = None,
    *,
    seconds: float | None = None,
    out: Mapping[str, Array] | None = None,
    timeout: float | None = 5.0,
    wait: str = "auto",
    background: bool = False,
) -> MultiCapture:
    """Capture several streams at once, each in a thread of its own that never needs the GIL.

    Parameters
    ----------
    streams : mapping or iterable
        Names of streams, or `SHM` objects (frames have their orientation; they stay open). A mapping adds
        labels: ``{"wfs": 10_000, "dm": 2_000}`` gives names and numbers of frames,
        ``{"wfs": shm, "psf": "cam7"}`` gives the stream of each label.
    frames : int or mapping of label to int, optional
        How many, n, of each stream that has no number of its own.
    seconds : float, optional
        End all captures after this time. Streams without a number of frames get memory for their rate, which
        is measured first for 0.5 s, and a quarter more; it grows if they become faster, all of them together
        into half of the memory that is free. If that is used up, `MultiCaptureReport.ended` is "full".
        Frames that arrive up to 50 ms later may be included.
    out : mapping of label to ndarray, optional
        Filled instead of a new array: shape (n, *shape), and n is its length if no number was given.
    timeout : float or None, default 5.0
        Longest wait for one frame of a stream, in seconds; None waits without limit, or until `seconds` end.
    wait : {"auto", "spin", "sleep"}
        How to wait for frames: see `pymilk.streams.waiting.WAIT_POLICIES`. "spin" uses a core for each
        stream.
    background : bool, default False
        Return at once; `MultiCapture.join` waits for the end.

    Returns
    -------
    MultiCapture
        A mapping of label to `Capture`, with `report` and `aligned`.

    Raises
    ------
    MultiCaptureError
        Some streams failed: no frame in time, closed, or recreated with another shape or dtype. The others
        were captured to their end; its `captures` has what all of them received.
    StreamNotFoundError, StreamFormatError, StreamPermissionError, StreamNameError
        A stream cannot be attached; nothing was captured.
    StreamArgumentError, FrameMismatchError
        An argument does not fit.
    CaptureMemoryError
        The frames of all streams together need more memory than there is; nothing was waited for.

    Notes
    -----
    Memory for all streams is reserved and pre-faulted before the first one is armed. Ctrl-C ends all of
    them within 0.1 s. Streams that were given by name are attached, and closed at the end.

    Examples
    --------
    >>> many = pymilk.capture_many({"wfs": 10_000, "dm": 2_000})          # doctest: +SKIP
    >>> many = pymilk.capture_many(["wfs", "psf"], seconds=10)            # doctest: +SKIP
    >>> many["wfs"].frames.shape, many.report.lost                        # doctest: +SKIP
    """
    wanted = _wanted(streams, frames, out)
    spin_of(wait)
    checked_timeout(timeout)
    check_seconds(seconds)
    if seconds is None:
        for label, stream in wanted.items():
            if stream.frames is None:
                raise StreamArgumentError(
                    f"how many frames of {label!r}? Give a number, frames=... or seconds=...",
                    stream=label,
                    argument="frames",
                    found=None,
                )
    attached: list[SHM] = []
    captures: dict[str, Capture] = {}
    many: MultiCapture | None = None
    try:
        opened = {label: _open(stream.source, attached) for label, stream in wanted.items()}
        counts = _counts(wanted, opened, seconds)
        free = _check_memory(wanted, opened, counts, seconds)
        rooms = {} if seconds is None else _rooms(wanted, opened, counts, seconds, free)
        for label, shm in opened.items():
            captures[label] = shm.held_capture(
                counts[label], wanted[label].out, timeout, wait, rooms.get(label)
            )
        many = MultiCapture(captures, seconds=seconds, attached=attached)
        many.begin()
        return many if background else many.join()
    except BaseException as error:
        # The caller gets no object but that which the error carries: end all captures.
        if many is None:
            many = MultiCapture(captures, attached=attached)
        many.abandon()
        # Ctrl-C within threading.Thread.start can come out as an error of a lock.
        broken = isinstance(error, RuntimeError) and isinstance(error.__context__, KeyboardInterrupt)
        leaving = KeyboardInterrupt() if broken else error
        if many.started_ns:
            carry(leaving, captures=many)
        if broken:
            raise leaving from None
        raise


def _wanted(streams: Any, frames: Any, out: Any) -> dict[str, _Wanted]:
    """Return stream, number of frames and memory for each label."""
    asked = "a mapping of labels, or a list of names or SHM objects"
    if isinstance(streams, (str, bytes, SHM)):
        raise bad_argument("streams", streams, asked)
    if isinstance(streams, Mapping):
        given = list(streams.items())
    else:
        items = check_items("streams", streams, asked)
        given = [(item.FNAME if isinstance(item, SHM) else item, item) for item in items]
    labels = [label for label, _ in given]
    if not given or not all(isinstance(label, str) for label in labels):
        raise bad_argument("streams", streams, "one or more streams, as str or SHM")
    if len(set(labels)) < len(labels):
        raise bad_argument("streams", streams, "a list with each stream once; a mapping can label them")
    per_label = frames if isinstance(frames, Mapping) else {}
    each = frames is None or isinstance(frames, Mapping)
    common = None if each else check_count("frames", frames, below=_MOST)
    out = {} if out is None else out
    for argument, mapping in (("frames", per_label), ("out", out)):
        if not isinstance(mapping, Mapping) or not set(mapping) <= set(labels):
            raise bad_argument(argument, mapping, f"a mapping of labels ({', '.join(labels)})")
    wanted = {}
    for label, value in given:
        array = out.get(label)
        source, count = label, common
        if isinstance(value, (str, SHM)):
            source = value
        elif value is not None:
            count = check_count(f"streams[{label!r}]", value, below=_MOST)
        if label in per_label:
            count = check_count(f"frames[{label!r}]", per_label[label], below=_MOST)
        if count is None and array is not None:
            count = check_count(f"len(out[{label!r}])", np.shape(array)[0] if np.ndim(array) else 0)
        wanted[label] = _Wanted(source, count, array)
    return wanted


def _open(source: SHM | str, attached: list[SHM]) -> SHM:
    if isinstance(source, SHM):
        return source
    attached.append(SHM(source))
    return attached[-1]


def _counts(
    wanted: dict[str, _Wanted], opened: dict[str, SHM], seconds: float | None
) -> dict[str, int]:
    """Return the number of frames to make room for: as given, or from rates measured now."""
    counts = {label: stream.frames for label, stream in wanted.items() if stream.frames is not None}
    unknown = {label: shm for label, shm in opened.items() if label not in counts}
    if unknown and seconds is not None:
        for label, rate in _rates(unknown).items():
            counts[label] = math.ceil(rate * (seconds + _OVERRUN) * _HEAD_ROOM)
    return {label: counts[label] for label in wanted}


def _rates(streams: dict[str, SHM]) -> dict[str, float]:
    """Return an upper limit of the frames per second of each stream, measured now."""
    before = {label: (time.monotonic(), shm.get_counter()) for label, shm in streams.items()}
    time.sleep(_PROBE)
    rates = {}
    for label, shm in streams.items():
        began, first = before[label]
        last = shm.get_counter()
        # One more than counted: the next frame may have been due. After a restart the counter starts at
        # 0 again.
        frames = 1 + (last - first if last >= first else last)
        rates[label] = frames / (time.monotonic() - began)
    return rates


def _nbytes_of(shm: SHM, frame: bool = True) -> int:
    """Return the bytes of a row, and of its frame."""
    pixels = math.prod(shm.shape) * np.dtype(shm.nptype).itemsize if frame else 0
    return FRAME_ROW.itemsize + pixels


def _rooms(
    wanted: dict[str, _Wanted], opened: dict[str, SHM], counts: dict[str, int], seconds: float, free: int
) -> dict[str, int]:
    """Return how many frames streams without a number may have, if they become faster than they are."""
    growing = {label: shm for label, shm in opened.items() if wanted[label].frames is None}
    share = int(free * _GROWN_SHARE / max(1, len(growing)))
    most = math.ceil(seconds * _FASTEST)
    return {
        label: min(counts[label] + share // _nbytes_of(shm), max(most, counts[label]))
        for label, shm in growing.items()
    }


def _check_memory(
    wanted: dict[str, _Wanted],
    opened: dict[str, SHM],
    counts: dict[str, int],
    seconds: float | None,
) -> int:
    """Raise `CaptureMemoryError` if all captures together do not fit into memory; returns what is left."""
    needs = {
        label: counts[label] * _nbytes_of(shm, wanted[label].out is None) for label, shm in opened.items()
    }
    needed, available = sum(needs.values()), free_memory()
    if needed <= available:
        return available - needed
    parts = ", ".join(f"{label!r} {counts[label]} frames = {need} bytes" for label, need in needs.items())
    advice = "take fewer frames"
    if seconds is not None:
        advice = f"take fewer seconds ({seconds * available / needed:.3g} fit), or give frames"
    raise CaptureMemoryError(
        f"captures of {len(needs)} streams need {needed} bytes ({parts}), but only {available} are free; "
        f"{advice}",
        needed=needed,
        available=available,
    )
