"""Progress bars of commands that wait for frames."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .output import clean

__all__ = ["told_to_end", "watch"]

#: How often it is looked whether it is over, in seconds.
_TICK = 0.1


@contextlib.contextmanager
def told_to_end(end: threading.Event) -> Iterator[None]:
    """Have SIGINT, SIGTERM and SIGHUP set an event, and nothing else: what runs then is not torn apart.

    A SIGHUP that is ignored, as nohup has it, stays ignored.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if number != signal.SIGHUP or handler != signal.SIG_IGN:
            signal.signal(number, lambda *_: end.set())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(
    console: Console,
    look: Callable[[], Mapping[str, tuple[float, str]]],
    over: Callable[[], bool],
    total: float | None = None,
    *,
    end: threading.Event | None = None,
    keep: bool = False,
) -> None:
    """Show how far something is until it is over; without a terminal only wait.

    Parameters
    ----------
    console : Console
    look : callable
        Tells, for each bar by its label, how far it is, and says more in words.
    over : callable
    total : float, optional
        How far it will go.
    end : threading.Event, optional
        Set: over at once.
    keep : bool, default False
        Leave the bars on the screen at the end.
    """
    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False), BarColumn()]
    if total is not None:
        columns += [TaskProgressColumn(), TimeRemainingColumn(compact=True)]
    else:
        columns.append(TimeElapsedColumn())
    columns.append(TextColumn("{task.fields[text]}", markup=False))
    end = end or threading.Event()
    with Progress(
        *columns, console=console, refresh_per_second=5, transient=not keep, disable=not console.is_terminal
    ) as progress:
        tasks = {label: progress.add_task(clean(label), total=total, text="") for label in look()}
        while True:
            last = over()
            for label, (done, text) in look().items():
                progress.update(tasks[label], completed=done, text=text)
            if last or end.wait(_TICK):
                return
