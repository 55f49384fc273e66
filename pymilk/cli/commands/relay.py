"""``pymilk relay``: copy a plain stream into a ring stream, which all can read without loss."""

from __future__ import annotations

import json
import signal
import time

import click
from rich.console import Console

from ...ring import Relay
from ...streams.waiting import WAIT_POLICIES
from ...system.latch import Latch
from ..exits import clean_exit, told_to_end
from ..naming import complete_streams
from ..output import print_told, warnings_as_lines
from ..parameters import AliasedOption, NumberRange
from ..progress import watch

__all__ = ["relay"]

#: Seconds between two checks of keywords and of the relay.
TEND_SECONDS = 1.0


@click.command()
@click.argument("source", shell_complete=complete_streams)
@click.argument("target")
@click.option("--ring", "depth", cls=AliasedOption, aliases=["--depth"], type=click.IntRange(min=1),
              metavar="SLOTS",
              required=True,
              help="Slots of the ring: frames that readers may be late.")
@click.option("--kind", type=click.Choice(["fast", "temporal"]), default="fast", show_default=True,
              help="fast: every ISIO program sees a plain stream; temporal: a circular cube.")
@click.option("--wait", type=click.Choice(list(WAIT_POLICIES)), default="auto", show_default=True,
              help="How to wait for frames: spin needs a core of its own.")
@click.option("--cpu", metavar="CORE", type=click.IntRange(min=0), help="Core to run on.")
@click.option("--priority", metavar="P", type=click.IntRange(1, 99),
              help="SCHED_FIFO priority, where permitted.")
@click.option("--stats", type=NumberRange(min=0, min_open=True), metavar="SECONDS",
              help="Print statistics this often. SIGUSR1 prints them at any time.")
@click.option("--json", "as_json", is_flag=True, help="Statistics as JSON, a line each.")
@click.option("--force", is_flag=True,
              help="Replace TARGET also if its creator is alive, or another process writes it.")
def relay(
    source: str,
    target: str,
    depth: int,
    kind: str,
    wait: str,
    cpu: int | None,
    priority: int | None,
    stats: float | None,
    as_json: bool,
    force: bool,
) -> None:
    """Copy the stream SOURCE into a new stream TARGET that has a ring.

    All readers of TARGET share one history of SLOTS frames, and lose none as long as they keep up on
    average. Runs until Ctrl-C, SIGTERM or SIGHUP, then deletes TARGET and prints statistics. A source that
    restarts is followed.

    Example: pymilk relay cam0 cam0_ring --ring 8192 --cpu 1
    """
    end, ask = Latch(), Latch()
    signal.signal(signal.SIGUSR1, lambda *_: ask.set())
    with clean_exit(), told_to_end(end):
        with warnings_as_lines():
            made = Relay(
                source, target, depth, kind=kind, wait=wait, cpu=cpu, priority=priority, force=force
            )
        with made as running:
            click.echo(f"relaying {source} to {target}, {depth} slots; Ctrl-C ends it", err=True)
            keeper = _Keeper(running, ask, stats, as_json)
            console = Console(stderr=True, quiet=as_json, highlight=False)
            watch(console, lambda: {target: (0.0, _text(running))}, keeper.tend, end=end)
        _print(running, as_json)


class _Keeper:
    """Tends a relay, and prints statistics at intervals and on SIGUSR1."""

    def __init__(
        self, running: Relay, ask: Latch, stats: float | None, as_json: bool
    ) -> None:
        self._running, self._ask, self._stats, self._as_json = running, ask, stats, as_json
        self._tended = self._printed = time.monotonic()

    def tend(self) -> bool:
        """Tend the relay and print statistics if due; returns False, or raises the error that ended it."""
        now = time.monotonic()
        if now - self._tended >= TEND_SECONDS:
            self._tended = now
            self._running.tend()
        if self._ask.is_set() or (self._stats is not None and now - self._printed >= self._stats):
            self._ask.clear()
            self._printed = now
            _print(self._running, self._as_json, brief=True)
        return False


def _text(running: Relay) -> str:
    report = running.report
    return f"{report.relayed} frames, {report.lost} lost, {report.rate:.0f}/s"


def _print(running: Relay, as_json: bool, brief: bool = False) -> None:
    """Print the report; `brief` leaves out why frames were lost."""
    report = running.report
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        print_told(str(report).splitlines()[0] if brief else str(report), report.reasons())
