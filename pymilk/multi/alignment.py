"""Align the rows of several captures, by time or by the numbers of frames.

Uses the rows of captures (`FRAME_ROW`) only; no stream is accessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core import FLAG_COUNTER_RESET, FLAG_COUNTER_SET, FLAG_NEW_FILE, free_memory
from ..arguments import bad_argument, check_choice, check_mapping, is_number, shown
from ..errors import CaptureMemoryError, StreamArgumentError

__all__ = ["Alignment", "align"]

#: Flags of a frame whose number says nothing about the one before.
_NEW_NUMBERS = FLAG_NEW_FILE | FLAG_COUNTER_RESET | FLAG_COUNTER_SET

Rows = npt.NDArray[np.int64]

#: Times that rows can be aligned by.
_TIMES = ("atime_ns", "writetime_ns", "arrival_ns")


class Alignment(Mapping[str, Rows]):
    """Rows of several captures, side by side: for each label the rows that belong together.

    A mapping of labels to arrays of equal length. ``alignment["psf"][i]`` is the row of ``psf`` that
    belongs to row ``alignment["wfs"][i]`` of ``wfs``, or -1 if there is none.

    NumPy accepts -1 as an index (the last frame): use `complete`, or mask with `whole`, before you index
    frames.

    Attributes
    ----------
    reference : str
        Label of the capture whose frames are the rows.
    numbers : ndarray of uint64, shape (size,)
        Number (``cnt0``) of the reference's frame, also where it was lost; 0 where that is not known.
    lost : dict of str to ndarray of int64, shape (size,)
        For each label, the frames lost since its previous frame, in the row of its next frame. The sum is all
        that was lost up to there.

    Examples
    --------
    >>> rows = many.aligned("time", tolerance=0.5e-3).complete()          # doctest: +SKIP
    >>> wfs = many["wfs"].frames[rows["wfs"]]                             # doctest: +SKIP
    >>> dm = many["dm"].frames[rows["dm"]]                                # doctest: +SKIP
    """

    def __init__(
        self,
        reference: str,
        numbers: npt.NDArray[np.uint64],
        rows: dict[str, Rows],
        missed: dict[str, Rows],
    ) -> None:
        self.reference = reference
        self.numbers = numbers
        self._rows = rows
        self._missed = missed  # lost up to each row, from the beginning
        self.lost = {label: np.diff(total, prepend=0) for label, total in missed.items()}

    def __getitem__(self, label: str) -> Rows:
        return self._rows[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.numbers)

    @property
    def whole(self) -> npt.NDArray[np.bool_]:
        """Where every label has a frame; shape (size,)."""
        whole = np.ones(self.size, np.bool_)
        for rows in self._rows.values():
            whole &= rows >= 0
        return whole

    def complete(self) -> Alignment:
        """Return only rows in which every label has a frame; `lost` of the other rows is added to these."""
        whole = self.whole
        return Alignment(
            self.reference,
            self.numbers[whole],
            {label: rows[whole] for label, rows in self._rows.items()},
            {label: total[whole] for label, total in self._missed.items()},
        )

    def __repr__(self) -> str:
        return (
            f"<Alignment of {', '.join(self)} to {self.reference}: {self.size} rows, "
            f"{np.count_nonzero(self.whole)} whole>"
        )


def align(
    infos: Mapping[str, npt.NDArray[Any]],
    by: str = "time",
    *,
    key: str | Mapping[str, str] = "atime_ns",
    reference: str | None = None,
    tolerance: float | None = None,
    match: str = "nearest",
    gaps: bool = True,
) -> Alignment:
    """Find the rows of several captures that belong together.

    Parameters
    ----------
    infos : mapping of str to ndarray of FRAME_ROW
        Label and `Capture.info` of each; one or more.
    by, key, reference, tolerance, match, gaps
        See `pymilk.multi.MultiCapture.aligned`.

    Returns
    -------
    Alignment

    Raises
    ------
    StreamArgumentError
        An argument is not one of those, or a stream stores no such times.
    CaptureMemoryError
        Rows for the lost frames do not fit into memory.
    """
    check_choice("by", by, ("time", "counter"))
    check_choice("match", match, ("nearest", "previous"))
    check_mapping("infos", infos, "a mapping of labels to rows")
    if not infos:
        raise bad_argument("infos", infos, "rows of one stream or more")
    if reference is None:
        reference = next(iter(infos))
    check_choice("reference", reference, tuple(infos))
    within = _nanoseconds(tolerance, by)
    info = infos[reference]
    before = _lost_rows(info, gaps, len(infos))
    place = np.arange(len(info)) + np.cumsum(before)
    size = len(info) + int(before.sum())
    own = np.full(size, -1, np.int64)
    own[place] = np.arange(len(info))
    numbers, runs, known = _number(info, before, place)
    rows = {}
    if by == "time":
        keys = {label: key if isinstance(key, str) else _key_of(key, label) for label in infos}
        times = {label: _times(infos[label], keys[label], label) for label in infos}
    for label, other in infos.items():
        if label == reference:
            rows[label] = own
        elif by == "time":
            rows[label] = np.full(size, -1, np.int64)
            rows[label][place] = _by_time(times[reference], times[label], match, within)
        else:
            rows[label] = _by_counter(numbers, runs, known, other)
    numbers[~known] = 0
    missed = {label: _missed(infos[label], rows[label]) for label in infos}
    return Alignment(reference, numbers, rows, missed)


def _nanoseconds(tolerance: float | None, by: str) -> int | None:
    """Return the tolerance in nanoseconds; None for no limit."""
    if tolerance is None:
        return None
    if by != "time" or not is_number(tolerance) or not tolerance >= 0:
        raise StreamArgumentError(
            f"tolerance is 0 or more seconds, for by='time' only; not {shown(tolerance)} with by={by!r}",
            argument="tolerance",
            found=tolerance,
        )
    nanoseconds = float(tolerance) * 1e9
    return round(nanoseconds) if nanoseconds < 2.0**63 else None


def _key_of(key: Mapping[str, str], label: str) -> str:
    if not isinstance(key, Mapping) or label not in key:
        raise StreamArgumentError(
            f"key is the name of a time, or one for each label; there is none for {label!r} in {shown(key)}",
            argument="key",
            found=key,
        )
    return key[label]


def _times(info: npt.NDArray[Any], key: str, label: str) -> Rows:
    """Return the times of one capture; 0 and less mean no time."""
    check_choice("key", key, _TIMES)
    times: Rows = np.ascontiguousarray(info[key])
    if len(times) and not (times > 0).any():
        raise StreamArgumentError(
            f"{label!r}: no frame has a {key}, its writer stores none; "
            "take key='arrival_ns', for all or for this one: key={label: ..., ...}",
            argument="key",
            found=key,
        )
    return times


def _lost_rows(info: npt.NDArray[Any], gaps: bool, labels: int) -> Rows:
    """Return how many rows of lost frames come before each frame."""
    if not gaps:
        return np.zeros(len(info), np.int64)
    lost = float(info["lost"].sum(dtype=np.float64))
    # 8 bytes each: number, owner, run, and for each label a row and two counts.
    needed = int((len(info) + lost) * 8 * (5 + 3 * labels))
    available = free_memory()
    if needed > available:
        raise CaptureMemoryError(
            f"rows for {lost:.0f} lost frames need {needed} bytes, but only {available} are free; "
            "take gaps=False",
            needed=needed,
            available=available,
        )
    before: Rows = info["lost"].astype(np.int64)
    return before


def _runs(info: npt.NDArray[Any]) -> tuple[npt.NDArray[np.bool_], Rows]:
    """Return the frames at which numbers restart, and the number of restarts up to each frame."""
    begins: npt.NDArray[np.bool_] = (info["flags"] & _NEW_NUMBERS) != 0
    begins[1:] |= info["cnt0"][1:] < info["cnt0"][:-1]
    return begins, np.cumsum(begins, dtype=np.int64)


def _number(
    info: npt.NDArray[Any], before: Rows, place: Rows
) -> tuple[npt.NDArray[np.uint64], Rows, npt.NDArray[np.bool_]]:
    """Return number, run and validity of each row, including rows of lost frames."""
    begins, runs = _runs(info)
    counters = info["cnt0"].astype(np.uint64)
    owner = np.repeat(np.arange(len(info)), before + 1)
    ahead = (place[owner] - np.arange(len(owner))).astype(np.uint64)  # 0 for the frame itself
    counter = counters[owner]
    numbers = counter - ahead
    run = runs[owner]
    known = (ahead == 0) | (ahead < counter)
    # Frames lost around a restart: the last ones belong to the new count, from 1 on; those before them
    # continue the old count.
    old = np.flatnonzero(~known & begins[owner] & (owner > 0))
    last = owner[old] - 1
    numbers[old] = counters[last] + (np.arange(len(owner))[old] - place[last]).astype(np.uint64)
    run[old] -= 1
    known[old] = True
    return numbers, run, known


def _by_counter(
    numbers: npt.NDArray[np.uint64],
    runs: Rows,
    known: npt.NDArray[np.bool_],
    other: npt.NDArray[Any],
) -> Rows:
    """Return the row of the same number in the same run; the last one of several."""
    found = np.full(len(numbers), -1, np.int64)
    if not len(other) or not len(numbers):
        return found
    _, other_runs = _runs(other)
    # Numbers use all 64 bits; their ranks and the runs fit into one integer together.
    values, ranks = np.unique(np.concatenate([numbers, other["cnt0"]]), return_inverse=True)
    wanted = runs * len(values) + ranks[: len(numbers)]
    there = other_runs * len(values) + ranks[len(numbers) :]
    order = np.argsort(there, kind="stable")
    at = np.searchsorted(there[order], wanted, side="right") - 1
    row = order[np.maximum(at, 0)]
    same = known & (at >= 0) & (there[row] == wanted)
    found[same] = row[same]
    return found


def _by_time(times: Rows, other: Rows, match: str, within: int | None) -> Rows:
    """Return for each time the row of the other capture; see `MultiCapture.aligned`."""
    found = np.full(len(times), -1, np.int64)
    wanted = np.flatnonzero(times > 0)
    valid = np.flatnonzero(other > 0)
    if not len(wanted) or not len(valid):
        return found
    # Stable: among equal times the last row comes last.
    order = valid[np.argsort(other[valid], kind="stable")]
    there = other[order]
    time = times[wanted]
    at = np.searchsorted(there, time, side="right") - 1
    if match == "nearest":
        later = np.minimum(at + 1, len(there) - 1)
        later = np.searchsorted(there, there[later], side="right") - 1
        # Before the first time there is only the later one.
        nearer = (at < 0) | (there[later] - time < time - there[np.maximum(at, 0)])
        at = np.where(nearer & (there[later] > time), later, at)
    row = order[np.maximum(at, 0)]
    fits = at >= 0
    if within is not None:
        fits &= np.abs(other[row] - time) <= within
    found[wanted[fits]] = row[fits]
    return found


def _missed(info: npt.NDArray[Any], rows: Rows) -> Rows:
    """Return how many frames were lost up to each row, from the beginning."""
    total = np.concatenate([[0], np.cumsum(info["lost"].astype(np.int64))])
    # Rows without a frame, and frames out of order, add nothing.
    reached = np.where(rows >= 0, rows + 1, 0)
    missed: Rows = total[np.maximum.accumulate(reached)]
    return missed
