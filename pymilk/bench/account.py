"""The arithmetic of a benchmark: what became of the frames that were published, seen from both sides.

One side is the frames themselves, which contain their numbers, and the writer, which reports what it
published. The other side is pymilk's account: rows, flags, lost frames. Both must give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core import FLAG_COUNTER_SET, FLAG_TORN
from ..capture import spread
from ..reports import counter_set_text
from ..verdicts import SHORT_GAP

__all__ = ["LATENCY_EDGES_US", "Account", "latency_counts", "percentiles", "settle"]

_BINS_PER_DECADE = 20

#: Edges of the latency histogram in microseconds, 0.1 to 10 million; the outer bins include the rest.
LATENCY_EDGES_US = 10.0 ** (np.arange(8 * _BINS_PER_DECADE + 1) / _BINS_PER_DECADE - 1)


@dataclass
class Account:
    """What became of the frames of one measurement.

    Attributes
    ----------
    published : int
        By the writer.
    delivered : int
        Frames delivered whole, with the right number, counted once each.
    lost : int
        Frames that pymilk counts as lost, including those it reported as overwritten after their use.
    torn : int
        Delivered frames that are not whole by their own stamps, or that pymilk flagged as torn.
    repeated : int
        Frames delivered a second time.
    missing : int
        Numbers that were published and not delivered, by the stamps in the frames.
    longest_gap : int
        Most numbers missing in a row.
    gaps : int
        Runs of missing numbers.
    in_short_gaps : int
        Of `missing`, those in runs of one or two.
    behind_bursts : int
        Of `missing`, those that the writer overwrote early: it was late, and published them at less than half
        the interval. For the others the reader was late.
    disagreements : list of str
        Statements of pymilk that the frames contradict, and that another program set the counter; usually
        empty.
    good : ndarray of bool
        Which rows hold the frames delivered.
    """

    published: int
    delivered: int
    lost: int
    torn: int
    repeated: int
    missing: int
    longest_gap: int
    gaps: int
    in_short_gaps: int
    behind_bursts: int
    disagreements: list[str]
    good: npt.NDArray[np.bool_] = field(repr=False)


def settle(
    numbers: npt.NDArray[np.uint64],
    whole: npt.NDArray[np.bool_],
    info: npt.NDArray[Any],
    overwritten: npt.NDArray[np.bool_],
    first: int,
    published: int,
    times_ns: npt.NDArray[np.int64] | None = None,
    interval_ns: float = 0.0,
) -> Account:
    """Compare the stamps of the frames with what pymilk says about them.

    Parameters
    ----------
    numbers, whole : ndarray, shape (n,)
        From the frames: see `check_frames`.
    info : ndarray of FRAME_ROW, shape (n,)
        From pymilk.
    overwritten : ndarray of bool, shape (n,)
        Rows that pymilk reported as overwritten after their use.
    first, published : int
        Number of the first frame that the writer published, and number of frames.
    times_ns : ndarray of int64, shape (published,), optional
        When each frame was published.
    interval_ns : float, optional
        Intended nanoseconds between frames.
    """
    said = info["cnt0"]
    flagged = (info["flags"] & FLAG_TORN) != 0
    right = numbers == said
    trusted = ~flagged & ~overwritten
    good = whole & right & trusted
    torn = (~whole | flagged) & ~overwritten
    unflagged = int(np.count_nonzero(~whole & trusted))
    misnumbered = int(np.count_nonzero(whole & ~right & trusted))
    foreign = good & ((numbers < first) | (numbers >= first + published))
    good = good & ~foreign

    # A frame is new if its number is above all earlier ones.
    present = numbers[good].astype(np.int64)
    highest = np.maximum.accumulate(present) if len(present) else present
    fresh = np.ones(len(present), np.bool_)
    fresh[1:] = present[1:] > highest[:-1]
    good[np.flatnonzero(good)[~fresh]] = False
    present = present[fresh]
    repeated = int(np.count_nonzero(~fresh))

    seen = np.concatenate([[first - 1], present, [first + published]])
    runs = np.diff(seen) - 1
    missing = int(runs.sum())
    lost = int(info["lost"].sum()) + int(np.count_nonzero(overwritten))
    handed = int(np.count_nonzero(torn)) + misnumbered + int(np.count_nonzero(foreign))

    disagreements = []
    if moved := int(np.count_nonzero(info["flags"] & FLAG_COUNTER_SET)):
        disagreements.append(counter_set_text(moved))
    if unflagged:
        disagreements.append(f"{unflagged} frames are torn and were delivered as whole")
    if misnumbered:
        disagreements.append(f"{misnumbered} frames contain another number than their row says")
    if repeated:
        disagreements.append(f"{repeated} frames were delivered more than once")
    if np.any(foreign):
        disagreements.append(f"{np.count_nonzero(foreign)} frames were never published")
    if missing != lost + handed:
        disagreements.append(
            f"{lost} frames are counted as lost, but {missing - handed} of the {published} published are "
            "missing in the stamps"
        )
    return Account(
        published=published,
        delivered=len(present),
        lost=lost,
        torn=int(np.count_nonzero(torn)),
        repeated=repeated,
        missing=missing,
        longest_gap=int(runs.max()),
        gaps=int(np.count_nonzero(runs)),
        in_short_gaps=int(runs[runs <= SHORT_GAP].sum()),
        behind_bursts=_behind_bursts(seen, runs, first, times_ns, interval_ns),
        disagreements=disagreements,
        good=good,
    )


def _behind_bursts(
    seen: npt.NDArray[np.int64],
    runs: npt.NDArray[np.int64],
    first: int,
    times_ns: npt.NDArray[np.int64] | None,
    interval_ns: float,
) -> int:
    """Count the missing frames that were overwritten before half of their time was over."""
    if times_ns is None:
        return 0
    total = 0
    for at in np.flatnonzero(runs):
        begin, end = int(seen[at]) + 1 - first, int(seen[at + 1]) - first
        if end < len(times_ns):
            span = int(times_ns[end]) - int(times_ns[begin])
            if span < (end - begin) * interval_ns / 2:
                total += end - begin
    return total


def percentiles(values: npt.NDArray[Any]) -> dict[str, float]:
    """Return the median, the 99 and 99.9 percent points and the maximum of some values; {} of none."""
    return spread(values, ("p50", "p99", "p99.9", "max")) if len(values) else {}


def latency_counts(latency_us: npt.NDArray[Any]) -> list[int]:
    """Count latencies in the bins of `LATENCY_EDGES_US`."""
    inside = np.clip(latency_us, LATENCY_EDGES_US[0], LATENCY_EDGES_US[-1])
    counted, _ = np.histogram(inside, LATENCY_EDGES_US)
    return [int(count) for count in counted]
