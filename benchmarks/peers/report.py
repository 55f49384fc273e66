"""The page: tables and plots of one run, and nothing that this run does not show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from .goals import Figure, lost_share, middle, percentile
from .measure import DEPTH, SHAPE, WARM_UP, Live, Plan, Results
from .peer import Peer
from .second import STAMPS

# Twice as many colours as usual: there are that many peers.
matplotlib.rcParams["axes.prop_cycle"] = matplotlib.cycler(color=matplotlib.colormaps["tab20"].colors)

CALLS = {
    "write": "write",
    "copy": "read with copy",
    "into": "read into a given array",
    "view": "read as view",
}
PERCENTS = (50.0, 99.0, 99.9, 100.0)

HEAD = """# Benchmarks

This page was written by the command below, from one run; each number is of that run and that machine.

    {command}

It took {minutes:.1f} minutes.
"""

METHOD = """## What is measured

All peers do the same work in the same run, one after the other within each repetition, so that a change
of the machine's speed reaches all of them. A "copy" is `numpy.copyto` of the same frame into a ready
array, and ratios are to the copy of the same run. Frames are uint16. Values are medians of {repeats}
repetitions ({access} for single calls, {drain} for drains); behind them, in brackets, the quartiles or,
where there are few repetitions, the smallest and the largest value.

- **Single calls**: writer and reader in one process, on the core of the reader. Peers that hand out each
  frame once are written to and read in turn. Where a peer has several ways to wait, its writer is the
  one that serves the first way below. Each frame read is compared with the one written, outside of the
  timed part.
- **Drain**: a backlog of {mb:.0f} MB is read into one cube that was touched before, beside one `memcpy`
  of the same bytes. The cube is compared with what was written.
- **Wake-up**: a second process writes a frame of {height}x{width} each millisecond. "since write" begins
  when `write` is called (the time is in the frame); "since publication" at the stamp that ISIO writers
  leave just before the counter moves. Both end when the frame, a view where the peer can give one, is in
  the hands of the reader, in Python or in C. {latency} frames a repetition, the first {warm} left out;
  percentiles of all repetitions together.
- **Live capture**: a second process publishes frames of {height}x{width} at a steady rate; every pixel
  of frame k is k modulo {stamps}. The reader asks for a number of frames, into a cube that was touched
  before. *Lost* frames were never delivered, *repeated* ones more than once, and *torn* ones are made of
  more than one. Rings and queues have {depth} places; rings were written once around before. Streams of
  ISIO peers are written by one and the same writer, `Stream.publish_many`; the others by a Python loop
  that watches the clock. `cpu` is the processor time of the reader's process. Where the writer did not
  reach the rate, what it reached stands beside it.
- **Beside a busy thread**: the same at 1 kHz, while another Python thread of the reader's process
  computes. `other thread` is its speed as a share of its speed alone, before and after.

The C peers are in `benchmarks/peers/reference.c`: a loop of one wait on the semaphore and one `memcpy`,
and a reader of rings that sleeps on the semaphore and takes every slot behind the counter.
"""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def spread(values: Sequence[float], scale: float, digits: int) -> str:
    """Return the median and how far apart the values are."""
    low, high = (
        np.percentile(values, [25, 75]) if len(values) >= 8 else (min(values), max(values))
    )
    return f"{median(values) * scale:.{digits}f} ({low * scale:.{digits}f}-{high * scale:.{digits}f})"


def rate_of(rate: float) -> str:
    """Return a rate as people say it."""
    return f"{rate / 1e3:g} kHz"


class Page:
    """Collects the parts, and writes the plots."""

    def __init__(self, results: Results, plan: Plan, peers: dict[str, Peer], folder: Path) -> None:
        self.results = results
        self.plan = plan
        self.peers = peers
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def title(self, key: str, wait: str = "") -> str:
        """Return what a peer is called, with its way to wait where it has several."""
        name = self.peers[key].title
        ways = set(self.peers[key].waits) | set(self.peers[key].live_waits)
        return f"{name}, {wait}" if wait and len(ways) > 1 else name

    def picture(self, name: str, what: str) -> str:
        """Save the current figure, and return the line that shows it."""
        plt.tight_layout()
        plt.savefig(self.folder / f"{name}.png", dpi=110)
        plt.close()
        return f"![{what}]({self.folder.name}/{name}.png)\n"

    # -- single calls --------------------------------------------------------------------------

    def access(self) -> str:
        """Single calls, a table for each frame size."""
        parts = ["## Single calls\n"]
        for nbytes in sorted({key[0] for key in self.results.access}):
            copy = middle(self.results.access[nbytes, "numpy", "copy"])
            rows = []
            for key in ("numpy", "memcpy", *self.peers):
                cells = []
                for call in CALLS:
                    values = self.results.access.get((nbytes, key, call))
                    cells.append(
                        f"{spread(values, 1e6, 2)} = {median(values) / copy:.2f}" if values else ""
                    )
                if any(cells):
                    name = {"numpy": "`numpy.copyto`", "memcpy": "C `memcpy`"}.get(key) or self.title(key)
                    rows.append([name, *cells])
            parts.append(f"Frames of {nbytes} bytes; us (quartiles) = copies:\n")
            parts.append(table(["", *CALLS.values()], rows))
        parts.append(self._bars())
        return "\n".join(parts)

    def _bars(self) -> str:
        nbytes = min(key[0] for key in self.results.access)
        copy = middle(self.results.access[nbytes, "numpy", "copy"])
        keys = [key for key in self.peers if (nbytes, key, "write") in self.results.access]
        _, axes = plt.subplots(figsize=(9, 0.45 * len(keys) + 1.6))
        for place, call in enumerate(CALLS):
            values = [
                middle(self.results.access.get((nbytes, key, call), [np.nan])) / copy for key in keys
            ]
            axes.barh(np.arange(len(keys)) + 0.2 * (place - 1.5), values, 0.2, label=CALLS[call])
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set(
            xscale="log", xlabel=f"plain copies of a frame of {nbytes} bytes", yticks=np.arange(len(keys))
        )
        axes.set_yticklabels([self.title(key) for key in keys])
        axes.invert_yaxis()
        axes.legend(fontsize="small")
        return self.picture("single-calls", "Single calls, in plain copies")

    def drain(self) -> str:
        """Backlogs."""
        sizes = sorted({key[0] for key in self.results.drain})
        rows = []
        for key in ("memcpy", *self.peers):
            cells = []
            for nbytes in sizes:
                values = self.results.drain.get((nbytes, key))
                plain = middle(self.results.drain[nbytes, "memcpy"])
                cells.append(
                    f"{nbytes / median(values) / 1e9:.2f} GB/s = {median(values) / plain:.2f}x"
                    if values
                    else ""
                )
            if any(cells):
                rows.append(["one `memcpy`" if key == "memcpy" else self.title(key), *cells])
        head = ["", *(f"frames of {nbytes} bytes" for nbytes in sizes)]
        title = "## Drain of a backlog\n\nSpeed, and time as a multiple of one `memcpy`:\n\n"
        return title + table(head, rows)

    # -- two processes -------------------------------------------------------------------------

    def latency(self) -> str:
        """Wake-up."""
        rows = []
        _, axes = plt.subplots(figsize=(9, 5))
        for (key, wait), found in self.results.latency.items():
            said = (np.concatenate(found)[:, 1] > 0).all()
            cells = [f"{percentile(found, 0, p):.1f}" for p in PERCENTS]
            cells += [f"{percentile(found, 1, p):.1f}" if said else "" for p in PERCENTS]
            each = [percentile([one], 0, 50) for one in found]
            rows.append([self.title(key, wait), *cells, f"{min(each):.1f}-{max(each):.1f}"])
            values = np.sort(np.concatenate(found)[:, 0]) / 1e3
            share = 1 - np.arange(len(values)) / len(values)
            axes.plot(values, share, label=self.title(key, wait), linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel="us since write")
        axes.set_ylabel("share of frames that took longer")
        axes.legend(fontsize="x-small", ncols=2)
        names = ["p50", "p99", "p99.9", "max"]
        head = ["us", *(f"{n} since write" for n in names), *(f"{n} since publication" for n in names),
                "p50 since write, each repetition"]
        picture = self.picture("wake-up", "Wake-up latency")
        return "## Wake-up at 1 kHz\n\n" + table(head, rows) + "\n" + picture

    @staticmethod
    def _cells(runs: Sequence[Live], rate: float) -> list[str]:
        reached = middle([run.rate for run in runs])

        def whole(name: str) -> str:
            values = [getattr(run, name) for run in runs]
            return "" if None in values else f"{median(values):g}"

        return [
            f"{rate_of(rate)}" + (f", reached {reached / 1e3:.1f}" if reached < 0.98 * rate else ""),
            whole("received"),
            spread([run.lost_share for run in runs], 100, 2),
            whole("repeated"),
            whole("torn"),
            whole("unflagged"),
            whole("told"),
            f"{median(run.cpu for run in runs):.0%}",
        ]

    COLUMNS = (
        "rate",
        "delivered",
        "lost, %",
        "repeated",
        "torn",
        "torn, not flagged",
        "lost, as told by the peer",
        "cpu",
    )

    def live(self) -> str:
        """Live capture."""
        rows = [
            [self.title(key, wait), *self._cells(runs, rate)]
            for (key, wait, rate), runs in self.results.live.items()
        ]
        _, axes = plt.subplots(figsize=(9, 5))
        for key, wait in dict.fromkeys((key, wait) for key, wait, _ in self.results.live):
            rates = [rate for rate in self.plan.live if (key, wait, rate) in self.results.live]
            shares = [lost_share(self.results.live[key, wait, rate]) * 100 for rate in rates]
            axes.plot(np.array(rates) / 1e3, shares, "o-", label=self.title(key, wait), linewidth=1)
        axes.set(xscale="log", xlabel="kHz", ylabel="lost, %")
        axes.set_yscale("symlog", linthresh=0.01)
        axes.set_ylim(bottom=0)
        axes.legend(fontsize="x-small", ncols=2)
        picture = self.picture("live-loss", "Frames lost in live capture")
        return "## Live capture\n\n" + table(["", *self.COLUMNS], rows) + "\n" + picture

    def busy(self) -> str:
        """Beside a busy thread."""
        rows = []
        for (key, wait), runs in self.results.busy.items():
            cells = self._cells(runs, 1000.0)[:-1]  # the processor time would be that of the busy thread
            rows.append([self.title(key, wait), *cells, spread([run.other for run in runs], 1, 2)])
        return "## Beside a busy Python thread\n\n" + table(["", *self.COLUMNS[:-1], "other thread"], rows)


def write(
    output: Path,
    results: Results,
    plan: Plan,
    figures: Sequence[Figure],
    machine: dict[str, str],
    peers: dict[str, Peer],
    absent: dict[str, str],
    command: str,
    seconds: float,
) -> Path:
    """Write ``benchmarks.md`` and the plots beside it; returns its path.

    Parameters
    ----------
    output : Path
        Folder, made if it is not there.
    results, plan, figures, machine
        Of the run.
    peers : dict
        Key to peer, of all that were asked for.
    absent : dict
        Key to why it was not measured.
    command : str
    seconds : float
        That it took.
    """
    page = Page(results, plan, peers, output / "benchmarks")
    missing = [[peers[key].title, why] for key, why in {**absent, **results.failed}.items()]
    versions = [
        [peer.title, peer.version() or "-"] for key, peer in peers.items() if key not in absent
    ]
    parts = [
        HEAD.format(command=command.strip(), minutes=seconds / 60),
        "## Figures to reach\n",
        table(
            ["what", "goal", "in this run", "reached"],
            [[row.what, row.goal, row.reached, row.verdict] for row in figures],
        ),
        "## The machine\n",
        table(["", ""], machine.items()),
        "## Who took part\n",
        table(["peer", "version"], versions),
        "Not measured:\n\n" + table(["peer", "why"], missing) if missing else "All peers were measured.\n",
        METHOD.format(
            repeats=plan.repeats, access=plan.access_repeats, drain=plan.drain_repeats,
            mb=plan.drain_nbytes / 1e6, height=SHAPE[0], width=SHAPE[1], latency=plan.latency_frames,
            warm=WARM_UP, stamps=STAMPS, depth=DEPTH,
        ),
    ]
    for part, measured in (
        (page.access, results.access),
        (page.drain, results.drain),
        (page.latency, results.latency),
        (page.live, results.live),
        (page.busy, results.busy),
    ):
        if measured:
            parts.append(part())
    path = output / "benchmarks.md"
    path.write_text("\n".join(parts))
    return path
