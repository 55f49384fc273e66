"""The figures to reach, computed from one run: what was asked for, what came out, is it enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from .measure import Live, Plan, Results

#: Bytes of the frame that most figures are about.
SMALL = 28_800


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    what: str
    goal: str
    reached: str
    verdict: str


def figure(what: str, goal: str, reached: str, enough: bool) -> Figure:
    """Make a row of something that was measured."""
    return Figure(what, goal, reached, "yes" if enough else "no")


def unmeasured(what: str, goal: str, why: str) -> Figure:
    """Make a row of something that was not."""
    return Figure(what, goal, why, "not measured")


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    return float(median(values))


def percentile(rows: Sequence[np.ndarray], column: int, percent: float) -> float:
    """Return a percentile of delays of all repetitions, in microseconds."""
    return float(np.percentile(np.concatenate(rows)[:, column], percent)) / 1e3


def lost_share(runs: Sequence[Live]) -> float:
    """Return the median share of lost frames."""
    return middle([run.lost_share for run in runs])


def _copies(results: Results, nbytes: int, call: str, limit: float, what: str) -> Figure:
    goal = f"<= {limit:g} copies"
    mine, copy = results.access.get((nbytes, "pymilk", call)), results.access.get((nbytes, "numpy", "copy"))
    if not mine or not copy:
        return unmeasured(what, goal, "not in this run")
    ratio = middle(mine) / middle(copy)
    return figure(what, goal, f"{ratio:.2f} copies", ratio <= limit)


def _views(results: Results) -> Figure:
    what, goal = "zero-copy view, any size", "<= 0.25 us"
    views = [v for (_, *call), v in results.access.items() if call == ["pymilk", "view"]]
    found = [middle(v) * 1e6 for v in views]
    if not found:
        return unmeasured(what, goal, "not in this run")
    return figure(what, goal, f"{min(found):.2f} to {max(found):.2f} us", max(found) <= 0.25)


def _hertz(rate: float, runs: Sequence[Live]) -> str:
    reached = middle([run.rate for run in runs])
    return f"{rate / 1e3:g} kHz" + (f" (writer: {reached / 1e3:.1f})" if reached < 0.98 * rate else "")


def _plain(results: Results, rates: Iterable[float], wait: str) -> list[Figure]:
    what = f"live capture of a plain stream, wait {wait!r}"
    goal = "lost <= 1.25x the C loop's"
    parts, enough, mine = [], True, []
    for rate in rates:
        own, c = results.live.get(("pymilk", wait, rate)), results.live.get(("c-loop", "sleep", rate))
        if not own or not c:
            continue
        mine += own
        parts.append(f"{_hertz(rate, own)}: {lost_share(own):.2%} (C {lost_share(c):.2%})")
        enough &= lost_share(own) <= 1.25 * lost_share(c)
    if not parts:
        return [unmeasured(what, goal, "not in this run")]
    repeated = sum(run.repeated for run in mine)
    unflagged = sum(run.unflagged or 0 for run in mine)
    wrong = sum(run.told != run.lost for run in mine)
    return [
        figure(what, goal, "; ".join(parts), enough),
        figure("the same: repeated; torn and not flagged", "0; 0", f"{repeated}; {unflagged}",
               repeated == unflagged == 0),
        figure("the same: lost frames that its account tells otherwise", "0 captures",
               f"{wrong} of {len(mine)} captures", wrong == 0),
    ]


def _ring(results: Results, rates: Iterable[float], wait: str) -> list[Figure]:
    what = f"live capture from a ring, wait {wait!r}"
    parts, lost, cpu, enough = [], 0, [], True
    for rate in rates:
        own, c = results.live.get(("pymilk-ring", wait, rate)), results.live.get(("c-ring", "sleep", rate))
        if not own:
            continue
        gone = sum(run.lost + run.torn + run.repeated for run in own)
        lost += gone
        parts.append(f"{_hertz(rate, own)}: {gone}")
        if c and rate <= 40_000:
            ratio = middle([run.cpu for run in own]) / middle([run.cpu for run in c])
            cpu.append(f"{_hertz(rate, own)}: {ratio:.2f}x")
            enough &= ratio <= 1.15
    if not parts:
        return [unmeasured(what, "0 lost", "not in this run")]
    rows = [figure(f"{what}: lost, torn or repeated", "0", "; ".join(parts), lost == 0)]
    goal = "<= 1.15x a C ring reader"
    if cpu:
        rows.append(figure(f"{what}: processor time", goal, "; ".join(cpu), enough))
    else:
        rows.append(unmeasured(f"{what}: processor time", goal, "no C reader in this run"))
    return rows


def _sleeping(results: Results) -> Figure:
    what, goal = "wake-up, sleeping", "p50 <= 1.1x, p99 <= 1.3x C"
    own, c = results.latency.get(("pymilk", "sleep")), results.latency.get(("c-loop", "sleep"))
    if not own or not c:
        return unmeasured(what, goal, "not in this run")
    half = percentile(own, 1, 50), percentile(c, 1, 50)
    most = percentile(own, 1, 99), percentile(c, 1, 99)
    return figure(
        what,
        goal,
        f"p50 {half[0]:.1f} us, {half[0] / half[1]:.2f}x; p99 {most[0]:.1f} us, {most[0] / most[1]:.2f}x",
        half[0] <= 1.1 * half[1] and most[0] <= 1.3 * most[1],
    )


def _spinning(results: Results) -> Figure:
    what, goal = "wake-up, spinning", "p50 <= 1 us"
    own = results.latency.get(("pymilk", "spin"))
    if not own:
        return unmeasured(what, goal, "not in this run")
    value = percentile(own, 1, 50)
    c = results.latency.get(("c-loop", "spin"))
    beside = f" (C {percentile(c, 1, 50):.2f} us)" if c else ""
    return figure(what, goal, f"p50 {value:.2f} us{beside}", value <= 1)


def _drain(results: Results) -> Figure:
    what, goal = "drain of a ring backlog, any frame size", "<= 1.1x one memcpy"
    parts, enough = [], True
    for nbytes, key in sorted(results.drain):
        if key == "pymilk-ring":
            ratio = middle(results.drain[nbytes, key]) / middle(results.drain[nbytes, "memcpy"])
            parts.append(f"{nbytes} bytes: {ratio:.2f}x")
            enough &= ratio <= 1.1
    if not parts:
        return unmeasured(what, goal, "not in this run")
    return figure(what, goal, "; ".join(parts), enough)


def _busy(results: Results) -> list[Figure]:
    rows = []
    for key, title in (("pymilk-ring", "ring"), ("pymilk-collector", "collector")):
        what = f"beside a busy Python thread, 1 kHz, {title}"
        goal = "0 lost, the other thread keeps >= 0.95"
        runs = [(wait, found) for (name, wait), found in results.busy.items() if name == key]
        if not runs:
            rows.append(unmeasured(what, goal, "not in this run"))
        for wait, found in runs:
            lost = sum(run.lost for run in found)
            kept = middle([run.other for run in found])
            rows.append(
                figure(f"{what}, wait {wait!r}", goal, f"{lost} lost, {kept:.2f}", lost == 0 and kept >= 0.95)
            )
    return rows


def figures(results: Results, plan: Plan) -> list[Figure]:
    """Compute all rows."""
    slow = [rate for rate in plan.live if rate <= 40_000]
    imported = middle(results.import_ms)
    return [
        _copies(results, SMALL, "copy", 1.1, "read with copy, new array, 28.8 kB"),
        _copies(results, SMALL, "into", 0.8, "read into a given array, 28.8 kB"),
        _copies(results, 524_288, "copy", 1.05, "read with copy, 0.5 MB"),
        _copies(results, 8_388_608, "copy", 1.03, "read with copy, 8 MB"),
        _views(results),
        _copies(results, SMALL, "write", 1.0, "publish 28.8 kB, ten semaphores, no waiter"),
        *_plain(results, slow, "auto"),
        *_plain(results, slow, "sleep"),
        *_ring(results, plan.live, "auto"),
        *_ring(results, plan.live, "sleep"),
        _sleeping(results),
        _spinning(results),
        _drain(results),
        *_busy(results),
        figure("import pymilk beyond NumPy", "<= 25 ms", f"{imported:.1f} ms", imported <= 25),
    ]
