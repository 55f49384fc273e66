"""Progress bars of commands that take long."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
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

from ..system.threads import join_thread
from .output import clean

__all__ = ["bar_of_time", "bar_of_work", "watch"]

#: How often it is looked whether it is over, in seconds.
_TICK = 0.1

#: Work that is over within this time needs no bar, in seconds.
_SHORT = 2.0


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
    end = end or threading.Event()
    with _drawn(console, total, keep=keep) as progress:
        tasks = {label: progress.add_task(clean(label), total=total, text="") for label in look()}
        while True:
            last = over()
            for label, (done, text) in look().items():
                progress.update(tasks[label], completed=done, text=text)
            if last or end.wait(_TICK):
                return


@contextlib.contextmanager
def bar_of_work(console: Console, label: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show how far the work of a block is; gives a function that is told how much is done."""
    with _drawn(console, total) as progress:
        task = progress.add_task(clean(label), total=total, text="")
        yield lambda done: progress.update(task, completed=done)


@contextlib.contextmanager
def bar_of_time(console: Console, label: str, seconds: float) -> Iterator[None]:
    """Show how far a block is that takes so long; nothing for a short one."""
    if seconds <= _SHORT:
        yield
        return
    began, over = time.monotonic(), threading.Event()
    shown = threading.Thread(
        target=watch,
        args=(console, lambda: {label: (time.monotonic() - began, "")}, over.is_set, seconds),
        kwargs={"end": over},
        name="pymilk-bar",
        daemon=True,
    )
    try:
        shown.start()
        yield
    finally:
        over.set()
        join_thread(shown)


@contextlib.contextmanager
def _drawn(console: Console, total: float | None, *, keep: bool = False) -> Iterator[Progress]:
    """Draw bars in the terminal, if there is one, while a block runs."""
    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False), BarColumn()]
    if total is not None:
        columns += [TaskProgressColumn(), TimeRemainingColumn(compact=True)]
    else:
        columns.append(TimeElapsedColumn())
    columns.append(TextColumn("{task.fields[text]}", markup=False))
    progress = Progress(
        *columns,
        console=console,
        refresh_per_second=5,
        transient=not keep,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # what goes to a file stays there
    )
    # A terminal that has gone ends no work.
    with contextlib.suppress(OSError):
        progress.start()
    try:
        yield progress
    finally:
        with contextlib.suppress(OSError):
            progress.stop()
