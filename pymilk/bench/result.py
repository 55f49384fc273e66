"""Results of a benchmark: points, tables, and what they mean in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from ..reports import Report
from ..system.machine import in_memory
from .account import LATENCY_EDGES_US

__all__ = ["BenchResult", "Point"]

#: Share of the rate that a writer must reach to be on pace.
_PACE = 0.95

#: Limits from which on the verdict mentions: cores used by others, cores taken by a hypervisor, a thread's
#: share of its core, how full a ring was.
_OTHERS_CORES = 0.15
_STOLEN_CORES = 0.02
_WHOLE_CORE = 0.9
_FULL = 0.5

#: Median latency in microseconds above which slow clocks and sleeping cores are likely.
_SLEEPY_US = 40.0

#: Share of the missing frames from which on the verdict mentions a cause.
_WORTH = 0.2

#: Width of the verdict as plain text.
_TEXT_WIDTH = 118

#: Columns of the table: key, heading. The last one is about the writer.
COLUMNS = (
    ("source", "source"),
    ("rate", "rate/s"),
    ("reached", "reached"),
    ("delivered", "delivered"),
    ("lost", "lost"),
    ("share", "lost %"),
    ("torn", "torn"),
    ("repeated", "repeated"),
    ("p50", "p50 us"),
    ("p99", "p99 us"),
    ("p99.9", "p99.9 us"),
    ("max", "max us"),
    ("cpu", "CPU %"),
    ("holdup", "held up ms"),
)

#: Columns that are left out on a narrow terminal, the first one first.
DISPENSABLE = ("p99.9", "share", "repeated", "reached", "holdup", "torn", "p99")


@dataclass
class Point:
    """One source at one rate.

    Attributes
    ----------
    source, dtype : str
    shape : (int, int)
    rate : float
        Requested frames per second.
    depth : int
        Slots of the ring; 0 without one.
    seconds : float
        Duration.
    writer : dict
        Report of the writer: ``first`` (number), ``published``, ``rate`` (reached), ``late_p50_us`` and
        ``late_p99_us`` (behind its schedule), ``longest_holdup_us`` (beyond the interval), ``cpu_share``,
        ``preempted``. Empty if it died.
    published, delivered, lost, torn, repeated, missing, gaps, longest_gap, in_short_gaps, behind_bursts, \
    disagreements
        See `pymilk.bench.account.Account`.
    latency_us : dict
        Microseconds from the writer's stamp until the frame was in the cube of a capture or in the ring of a
        collector, or was found in the ring of the writer: ``p50``, ``p99``, ``p99.9``, ``max``; empty without
        frames.
    latency_counts : list of int
        Histogram of these, in the bins of ``latency_edges_us`` of the result.
    handover_us : dict
        Microseconds from the writer's stamp until Python code had the frame in a block; empty for captures.
    cpu_share : float
        Processor time of the threads that read, in cores.
    process_cpu_share : float
        Of the whole process, including a busy thread.
    preempted : int
        Number of times that a thread of this process was interrupted by others.
    busy_share : float or None
        Processor time of the busy thread, in cores.
    fullest : float
        Most frames that waited in the ring, as a share of its depth.
    others_cores, stolen_cores : float
        Cores that other programs used, and that a hypervisor took away, on average.
    problem : str
        Problem of the writer, or "".
    """

    source: str
    shape: tuple[int, int]
    dtype: str
    rate: float
    depth: int
    seconds: float
    writer: dict[str, Any]
    published: int
    delivered: int
    lost: int
    torn: int
    repeated: int
    missing: int
    gaps: int
    longest_gap: int
    in_short_gaps: int
    behind_bursts: int
    disagreements: list[str]
    latency_us: dict[str, float]
    latency_counts: list[int]
    handover_us: dict[str, float]
    cpu_share: float
    fullest: float
    process_cpu_share: float = 0.0
    preempted: int = 0
    busy_share: float | None = None
    others_cores: float = 0.0
    stolen_cores: float = 0.0
    problem: str = ""

    @property
    def reached(self) -> float:
        """Frames per second that the writer published; 0 if it died."""
        return float(self.writer.get("rate", 0.0))

    @property
    def on_pace(self) -> bool:
        """Whether the writer published at the rate that was asked."""
        return self.reached >= _PACE * self.rate

    @property
    def clean(self) -> bool:
        """Whether every frame was delivered once, whole, at the rate that was asked."""
        return self.on_pace and self.missing == 0 and not self.disagreements and not self.problem

    @property
    def lost_share(self) -> float:
        """Frames that were published and not delivered, as a share."""
        return self.missing / self.published if self.published else 0.0

    @property
    def away_ms(self) -> float:
        """Milliseconds that the longest gap lasted."""
        return 1e3 * self.longest_gap / (self.reached or self.rate)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values, ready for JSON."""
        return {
            **asdict(self),
            "shape": list(self.shape),
            "on_pace": self.on_pace,
            "clean": self.clean,
            "lost_share": self.lost_share,
        }

    def cells(self) -> dict[str, str]:
        """Return the texts of its row in a table, by the keys of `COLUMNS`."""
        times = {
            key: f"{value:.0f}" if value >= 100 else f"{value:.1f}" for key, value in self.latency_us.items()
        }
        return {
            "source": self.source,
            "rate": f"{self.rate:g}",
            "reached": _rate(self.reached) if self.writer else "died",
            "delivered": str(self.delivered),
            "lost": str(self.lost),
            "share": f"{100 * self.lost_share:.3g}",
            "torn": str(self.torn),
            "repeated": str(self.repeated),
            **{key: times.get(key, "-") for key in ("p50", "p99", "p99.9", "max")},
            "cpu": f"{100 * self.cpu_share:.0f}",
            "holdup": f"{self.writer['longest_holdup_us'] / 1e3:.1f}" if self.writer else "-",
        }

    @property
    def trouble(self) -> str:
        """"wrong" if pymilk's account is, "lossy" if frames are missing, else ""."""
        if self.disagreements or self.problem:
            return "wrong"
        return "lossy" if self.missing or not self.on_pace else ""


@dataclass
class BenchResult(Report):
    """All points of a benchmark, and what they were measured on.

    Attributes
    ----------
    machine : dict
        See `pymilk.system.machine.describe`.
    options : dict
        Parameters of the benchmark.
    points : list of Point
        In the order in which they were measured.
    took : float
        Seconds of the whole run.
    """

    machine: dict[str, Any]
    options: dict[str, Any]
    points: list[Point] = field(default_factory=list)
    took: float = 0.0

    @property
    def agreed(self) -> bool:
        """Whether pymilk's account and the frames say the same, and no writer died."""
        return not any(point.disagreements or point.problem for point in self.points)

    def groups(self) -> dict[tuple[tuple[int, int], str], list[Point]]:
        """Return the points by shape and source, slowest first."""
        found: dict[tuple[tuple[int, int], str], list[Point]] = {}
        for point in sorted(self.points, key=lambda point: point.rate):
            found.setdefault((point.shape, point.source), []).append(point)
        return found

    def highest_clean_rate(self, shape: tuple[int, int], source: str) -> float | None:
        """Return the highest rate at which, as at all slower ones, nothing was lost, or None."""
        best = None
        for point in self.groups().get((shape, source), []):
            if not point.clean:
                break
            best = point.rate
        return best

    def verdict(self) -> list[str]:
        """Say in words what was found: a sentence for each source, then what could be done about losses."""
        return [*_alarms(self), *_summaries(self), *_hints(self)]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values, ready for JSON."""
        return {
            "machine": self.machine,
            "options": {**self.options, "shapes": [list(shape) for shape in self.options["shapes"]]},
            "took": self.took,
            "agreed": self.agreed,
            "latency_edges_us": [float(f"{edge:.6g}") for edge in LATENCY_EDGES_US],
            "points": [point.to_dict() for point in self.points],
            "highest_clean_rate": [
                {"shape": list(shape), "source": source, "rate": self.highest_clean_rate(shape, source)}
                for shape, source in self.groups()
            ],
            "verdict": self.verdict(),
        }

    def title(self) -> str:
        """Say in one line what the machine is and what was done."""
        machine, options = self.machine, self.options
        cores = len(machine["cores"])
        extras = [f"wait {options['wait']}"]
        for key, label in (("cpu_writer", "writer on core"), ("cpu_reader", "reader on core"),
                           ("priority", "priority")):  # fmt: skip
            if options[key] is not None:
                extras.append(f"{label} {options[key]}")
        if options["busy"]:
            extras.append("beside a busy thread")
        if options["stall"]:
            extras.append(f"stalls of {options['stall'] * 1e3:g} ms")
        return (
            f"{machine['cpu']}, {cores} core{'s' if cores != 1 else ''}"
            f"{', virtual machine' if machine['virtual'] else ''}, "
            f"Linux {machine['kernel']}; {', '.join(extras)}; streams on {options['file_system'] or '?'}"
        )

    def rows(self) -> list[tuple[str, str]]:
        """Return a (label, text) pair for each point, for tables."""
        return [
            (
                f"{point.source} {point.shape[0]}x{point.shape[1]} at {point.rate:g}/s",
                f"{point.delivered} delivered, {point.lost} lost",
            )
            for point in self.points
        ]

    def __str__(self) -> str:
        lines = [self.title()]
        for shape in dict.fromkeys(point.shape for point in self.points):
            here = [point for point in self.points if point.shape == shape]
            lines += ["", f"{shape[0]}x{shape[1]} {here[0].dtype}", *_plain_table(here)]
        return "\n".join([*lines, "", *map(_wrapped, self.verdict())])


def _wrapped(line: str) -> str:
    return textwrap.fill(line, _TEXT_WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _plain_table(points: list[Point]) -> list[str]:
    """Return a table as lines of text."""
    rows = [dict(COLUMNS), *(point.cells() for point in points)]
    widths = {key: max(len(row[key]) for row in rows) for key, _ in COLUMNS}
    return [
        "  ".join(
            row[key].ljust(widths[key]) if key == "source" else row[key].rjust(widths[key])
            for key, _ in COLUMNS
        ).rstrip()
        for row in rows
    ]


# -- the verdict -------------------------------------------------------------------------------------


def _name(point: Point, result: BenchResult) -> str:
    """Name a point, or the source of one, as briefly as it is clear."""
    several = len(result.options["shapes"]) > 1
    return f"{point.source} {point.shape[0]}x{point.shape[1]}" if several else point.source


def _alarms(result: BenchResult) -> Iterator[str]:
    for point in result.points:
        where = f"{_name(point, result)} at {point.rate:g}/s"
        for disagreement in point.disagreements:
            yield (
                f"WRONG ACCOUNT: {where}: {disagreement}. This is an error in pymilk or its writer; please "
                "report it."
            )
        if point.problem:
            yield (
                f"PROBLEM: {where}: {point.problem}; {point.delivered} of {point.published} frames were "
                "delivered."
            )


def _summaries(result: BenchResult) -> Iterator[str]:
    for (shape, source), points in result.groups().items():
        name = _name(points[0], result)
        best = result.highest_clean_rate(shape, source)
        clean = [point for point in points if best is not None and point.rate <= best]
        frames = sum(point.delivered for point in clean)
        losing = [point for point in points if point.missing]
        slow = [point for point in points if point.writer and not point.on_pace and not point.missing]
        said = f"{name}: "
        if best is not None:
            said += f"nothing lost up to {best:g} frames/s ({frames} frames)"
        elif losing and losing[0] is points[0]:
            said += "loses at the slowest rate already"
        else:
            said += "the writer did not reach the slowest rate"
        if losing:
            said += "; lost " + ", ".join(
                f"{_percent(point.lost_share)} at {point.rate:g}" for point in losing
            )
        if slow:
            said += "; nothing lost at " + ", ".join(
                f"{_rate(point.reached)} (of {point.rate:g} asked)" for point in slow
            )
        later = [f"{point.rate:g}" for point in points if point.clean and point not in clean]
        if later:
            said += f"; nothing lost at {', '.join(later)}"
        yield said + "."


def _rate(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _hints(result: BenchResult) -> Iterator[str]:
    """Say what could be done, from what was measured."""
    points = [point for point in result.points if point.writer]
    if points:
        busy = [point.busy_share for point in points if point.busy_share is not None]
        if busy:
            yield f"The busy Python thread had {sum(busy) / len(busy):.2f} of a core beside the reader."
        yield from _about_the_machine(points, result)
        yield from _about_the_writer(points, result)
        yield from _about_plain_streams([point for point in points if point.source == "plain"], result)
        yield from _about_rings([point for point in points if point.source != "plain"], result)


def _about_the_writer(points: list[Point], result: BenchResult) -> Iterator[str]:
    slow = [point for point in points if not point.on_pace]
    if slow:
        worst = min(slow, key=lambda point: point.reached / point.rate)
        writer = worst.writer
        said = (
            f"The writer was late: at worst it published {_rate(worst.reached)} of {worst.rate:g} frames/s "
            f"({_name(worst, result)})"
        )
        if writer["late_p50_us"] > 1e6 / worst.rate / 2:
            said += ", as fast as it can; such rates need smaller frames or a faster machine"
        elif result.options["cpu_writer"] is None and len(result.machine["cores"]) > 2:
            said += (
                f", held up for up to {writer['longest_holdup_us'] / 1e3:.1f} ms and interrupted "
                f"{writer['preempted']} times; pin it (--cpu-writer)"
            )
        else:
            said += (
                f", held up for up to {writer['longest_holdup_us'] / 1e3:.1f} ms and interrupted "
                f"{writer['preempted']} times"
            )
        yield said + "."
    longest = max(points, key=lambda point: point.writer["longest_holdup_us"])
    held_up, taken = longest.writer["longest_holdup_us"], result.machine["rt_taken_us"]
    if result.options["priority"] is not None and 0 < 0.8 * taken <= held_up:
        yield (
            f"The writer was held up for {held_up / 1e3:.1f} ms ({_name(longest, result)} at "
            f"{longest.rate:g}/s): the kernel takes {taken / 1e3:.0f} ms of every second from real-time "
            "processes that use a whole core. That ends with sysctl kernel.sched_rt_runtime_us=-1."
        )
    bursts = sum(point.behind_bursts for point in points)
    missing = sum(point.missing for point in points if point.source == "plain")
    if bursts:
        yield (
            f"Of {missing} frames missing from the plain stream, {bursts} were overwritten early because the "
            f"writer was late and published in bursts; for {missing - bursts} the reader was late."
        )


def _about_plain_streams(points: list[Point], result: BenchResult) -> Iterator[str]:
    losing = [point for point in points if point.missing > point.behind_bursts]
    if not losing:
        return
    missing = sum(point.missing for point in losing)
    short = sum(point.in_short_gaps for point in losing)
    if missing - short >= _WORTH * missing:
        worst = max(losing, key=lambda point: point.away_ms)
        interrupted = sum(point.preempted for point in losing)
        yield (
            f"The reader of the plain stream was away for up to {worst.away_ms:.1f} ms ({worst.longest_gap} "
            f"frames at {_rate(worst.reached)}/s), and this process was interrupted {interrupted} times."
            + _remedy(result, interrupted)
        )
    if short >= _WORTH * missing:
        worst = max(losing, key=lambda point: point.in_short_gaps)
        late = worst.latency_us or {"p50": 0.0, "p99": 0.0}
        said = (
            f"{short} of the {missing} frames are missing alone or in pairs: the reader was not away, but "
            f"too slow. At {_rate(worst.reached)}/s a frame lasts {1e6 / worst.rate:.0f} us, and half of "
            f"those that came were {late['p50']:.0f} us late or more, 1 of 100 {late['p99']:.0f} us"
        )
        if result.options["wait"] != "spin" and len(result.machine["cores"]) > 1:
            said += "; --wait spin sees them sooner, for a core of its own"
        yield said + "."
    yield from _a_ring_instead(losing, result)


def _remedy(result: BenchResult, interrupted: int) -> str:
    """Name what was not tried yet against being interrupted."""
    options, machine = result.options, result.machine
    cores = len(machine["cores"])
    wanted = []
    if cores <= 2:
        wanted.append(
            f"this process may use {cores} core{'s' if cores > 1 else ''} for writer, reader and everything "
            "else: give it more"
        )
    elif options["cpu_reader"] is None:
        wanted.append("pin the reader to a core (--cpu-reader)")
    elif interrupted and options["cpu_reader"] not in machine["isolated"]:
        wanted.append(
            f"keep other programs off core {options['cpu_reader']} (boot with "
            f"isolcpus={options['cpu_reader']}, or a cpuset)"
        )
    if options["priority"] is None and interrupted:
        wanted.append("give it a real-time priority (--priority 50)")
    return f" To do: {'; '.join(wanted)}." if wanted else ""


def _a_ring_instead(losing: list[Point], result: BenchResult) -> Iterator[str]:
    """Name a ring that lost nothing where the plain stream did."""
    better = [
        ring
        for ring in result.points
        if ring.source in ("fast", "temporal")
        and ring.clean
        and any(ring.rate == point.rate and ring.shape == point.shape for point in losing)
    ]
    if better:
        best = max(better, key=lambda point: point.rate)
        yield (
            f"A ring in the stream ({best.source}, {best.depth} slots) lost nothing at {best.rate:g}/s, "
            f"where the plain stream does: let the camera write one, SHM(..., ring={best.depth})."
        )


def _about_rings(points: list[Point], result: BenchResult) -> Iterator[str]:
    for name, losing in _by_source(point for point in points if point.missing):
        worst = max(losing, key=lambda point: point.away_ms)
        overrun = name != "collector" or worst.fullest >= 1.0
        needed = worst.depth + worst.longest_gap
        if overrun and worst.cpu_share > _WHOLE_CORE:
            yield (
                f"The reader of the {name} ring used {worst.cpu_share:.0%} of a core and did not keep up "
                f"with {_rate(worst.reached)}/s; a deeper ring only delays that."
            )
        elif overrun:
            yield (
                f"The {name} ring was overrun: its reader was late by {needed} frames "
                f"({needed / worst.reached:.3g} s at {_rate(worst.reached)}/s), and it has {worst.depth} "
                f"slots; take --ring {2 * needed}."
            )
        elif not any(point.source == "plain" and point.missing for point in result.points):
            yield (
                f"The collector was away from the plain stream for up to {worst.away_ms:.1f} ms "
                f"({worst.longest_gap} frames at {_rate(worst.reached)}/s)."
                + _remedy(result, sum(point.preempted for point in losing))
            )
    for name, tight in _by_source(
        point for point in points if not point.missing and point.fullest >= _FULL
    ):
        worst = max(tight, key=lambda point: point.fullest)
        yield (
            f"The {name} ring lost nothing, but was {worst.fullest:.0%} full at {worst.rate:g}/s; a depth of "
            f"{2 * round(worst.fullest * worst.depth)} or more (--ring) would leave room."
        )


def _by_source(points: Iterable[Point]) -> Iterator[tuple[str, list[Point]]]:
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.source, []).append(point)
    yield from found.items()


def _about_the_machine(points: list[Point], result: BenchResult) -> Iterator[str]:
    options, machine = result.options, result.machine
    seconds = sum(point.seconds for point in points)
    others = sum(point.others_cores * point.seconds for point in points) / seconds
    stolen = sum(point.stolen_cores * point.seconds for point in points) / seconds
    imperfect = any(not point.clean for point in points)
    if imperfect and others >= _OTHERS_CORES:
        yield (
            f"Other programs used {others:.1f} of {len(machine['cores'])} cores meanwhile; measure again "
            "when they are quiet."
        )
    if imperfect and stolen >= _STOLEN_CORES:
        yield f"The hypervisor took {stolen:.2f} cores away; only its administrator can change that."
    if options["cpu_writer"] is not None and options["cpu_writer"] == options["cpu_reader"] and imperfect:
        yield f"Writer and reader share core {options['cpu_writer']}; give them one each."
    slow = [point for point in points if point.latency_us.get("p50", 0.0) > _SLEEPY_US]
    saving = [governor for governor in machine["governors"] if governor != "performance"]
    if slow and saving:
        worst = max(slow, key=lambda point: point.latency_us["p50"])
        yield (
            f"Half of the frames came {worst.latency_us['p50']:.0f} us late or more "
            f"({_name(worst, result)} at {worst.rate:g}/s), and the frequency governor is {saving[0]}: set "
            "it to performance."
        )
    if imperfect and options["file_system"] and not in_memory(options["file_system"]):
        yield (
            f"Streams are on {options['file_system']} ({options['directory']}), not in memory: writing pages "
            "back can hold a writer up. Set MILK_SHM_DIR to a directory on a tmpfs."
        )
