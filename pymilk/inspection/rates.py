"""Measure how fast a stream is published, and how long a write takes."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import numpy as np

from .._core import Stream, counter_was_set
from ..arguments import check_seconds
from ..errors import StreamTimeoutError

__all__ = ["measure_rates", "measure_stream"]

#: Share of the time in which writes are watched without sleeping.
_SPIN_SHARE = 0.2

#: Seconds that a watch begins before a frame is due: at first, and at most (if the write had begun by then).
#: It continues for half that time after the frame was due.
_SPIN_SECONDS = 0.0025
_SPIN_MOST = 0.3

#: A write is ignored if two looks at it were further apart than these nanoseconds and this share of the
#: write: this process was held up.
_LOOK_NS = 500
_HELD_UP_SHARE = 0.1


def measure_rates(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """Add ``rate`` to the streams of a survey: frames per second since an earlier one.

    Parameters
    ----------
    before, after : list of dict
        From `survey`. ``rate`` of a stream in `after` is None where `before` does not have the same file,
        its counter went back, or another program has set it: then ``counter_set`` is True.
    """
    known = {entry["path"]: entry for entry in before if "error" not in entry}
    for entry in after:
        if "error" in entry:
            continue
        old = known.get(entry["path"])
        entry["rate"] = None
        if old is not None and old["inode"] == entry["inode"] and entry["counter"] >= old["counter"]:
            frames, span = entry["counter"] - old["counter"], entry["looked_ns"] - old["looked_ns"]
            if counter_was_set(frames, span):
                entry["counter_set"] = True
            elif span > 0:
                entry["rate"] = frames / (span / 1e9)


def measure_stream(stream: Stream, seconds: float = 1.0) -> dict[str, Any]:
    """Measure rate and jitter of a stream by watching its counter.

    Parameters
    ----------
    stream : Stream
        Attached read-only, it takes no semaphore.
    seconds : float, default 1.0
        How long to watch; more than 0.

    Returns
    -------
    dict
        ``seconds`` (watched), ``frames`` (published meanwhile; where the counter was set, at least one),
        ``counter_set`` (times that another program set the counter), ``rate`` (frames per second),
        ``intervals`` (pairs of neighbours of which both were seen), and of these in microseconds ``mean_us``,
        ``jitter_us`` (standard deviation), ``min_us``, ``max_us``: None without an interval. ``writes``
        (frames whose writing was timed), and of these in microseconds ``write_p50_us``, ``write_max_us``
        and ``write_error_us`` (by how much any of them may be wrong): None if none was.

    Raises
    ------
    StreamArgumentError
        `seconds` is not a positive, finite number.
    StreamReplacedError, StreamNotFoundError
        The writer made a new file, or deleted it, meanwhile.
    StreamDamagedError
        The file was cut, or its header rewritten, meanwhile.

    Notes
    -----
    Intervals are those between the times that the writer stored, where it stores any (``intervals`` is 0
    for the wrapper of ImageStreamIO, which does not). Above some 10 kHz not every frame is seen; the rate
    is still right.

    The duration of a write is the time for which the writer holds ``write`` at 1: from before the first
    pixel until the frame counts. What comes before (the exposure, the transfer from the camera) and after it
    (ringing the semaphores) leaves no trace in the stream, and cannot be measured from outside. The flag is
    watched without sleeping, in up to a fifth of the time, for some of the frames. Writers that never set it,
    and writes of less than some 0.1 us, are not seen. Times in which this process was held up are left out.
    """
    check_seconds(seconds, stream=stream.name)
    begin = time.monotonic()
    deadline = begin + seconds
    seen, looked = stream.counter, time.monotonic_ns()
    frames = moves = 0
    stamp = 0  # it is not known when the first frame was due
    intervals: list[int] = []
    writes: list[tuple[int, int]] = []
    spun, lead = 0.0, _SPIN_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        if spun <= (time.monotonic() - begin) * _SPIN_SHARE:
            timed, watching = _time_write(stream, seen, intervals, lead, left)
            spun += watching
            if timed is None and watching:
                lead = _longer(lead, intervals)
            elif timed is not None and timed[1] <= max(_LOOK_NS, timed[0] * _HELD_UP_SHARE):
                writes.append(timed)
            left = max(0.0, deadline - time.monotonic())
        try:
            now = stream.wait(left, after=seen)
        except StreamTimeoutError:
            break
        newest = stream.write_time_ns
        whole = stream.counter == now  # otherwise the time may belong to the next frame
        if whole and now == seen + 1 and stamp and newest > stamp:
            intervals.append(newest - stamp)
        stamp = newest if whole else 0
        came, at = _frames(now, seen), time.monotonic_ns()
        if counter_was_set(came, at - looked):
            came, moves = 1, moves + 1
        frames += came
        seen, looked = now, at
    frames += _frames(stream.counter, seen)
    stream.check_whole()
    watched = time.monotonic() - begin
    spans = np.array(intervals) / 1e3
    known = len(spans) > 0
    return {
        "seconds": watched,
        "frames": frames,
        "counter_set": moves,
        "rate": frames / watched,
        "intervals": len(spans),
        "mean_us": float(spans.mean()) if known else None,
        "jitter_us": float(spans.std()) if known else None,
        "min_us": float(spans.min()) if known else None,
        "max_us": float(spans.max()) if known else None,
        **_durations(writes),
    }


def _frames(now: int, before: int) -> int:
    """Return how many frames came, by the counter; 1 if it went back: the writer began anew."""
    return now - before if now >= before else 1


def _usual(intervals: list[int]) -> float:
    """Return the recent interval between frames in seconds; 0 if it is not known."""
    return float(np.median(intervals[-16:])) / 1e9 if intervals else 0.0


def _longer(lead: float, intervals: list[int]) -> float:
    """Return the lead of the next watch, longer if this one began too late."""
    return min(2 * lead, max(lead, 1.5 * _usual(intervals)), _SPIN_MOST)


def _time_write(
    stream: Stream, seen: int, intervals: list[int], lead: float, left: float
) -> tuple[tuple[int, int] | None, float]:
    """Time the writing of the frame behind `seen`; see `Stream.clock_write`.

    Sleeps until `lead` seconds before the frame is due, if that is known. Returns the times (None if the
    frame came earlier) and the seconds watched.
    """
    if (usual := _usual(intervals)) > 1.5 * lead:
        with contextlib.suppress(StreamTimeoutError):
            stream.wait(min(usual - lead, left), after=seen)
            return None, 0.0  # it came early
    began = time.monotonic()
    timed = stream.clock_write(min(1.5 * lead, left))
    return timed, time.monotonic() - began


def _durations(writes: list[tuple[int, int]]) -> dict[str, Any]:
    """Sum up the writes that were timed."""
    held = np.array([each for each, _ in writes]) / 1e3
    known = len(writes) > 0
    return {
        "writes": len(writes),
        "write_p50_us": float(np.median(held)) if known else None,
        "write_max_us": float(held.max()) if known else None,
        "write_error_us": max(step for _, step in writes) / 1e3 if known else None,
    }
