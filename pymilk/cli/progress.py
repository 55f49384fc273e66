"""Progress bars of long commands."""

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

from ..system.journal import warn
from ..system.latch import Latch
from ..system.threads import join_thread, start_thread
from .output import clean

__all__ = ["bar_of_time", "bar_of_work", "watch"]

#: Seconds between two checks whether the work is done.
_TICK = 0.1

#: Seconds below which work gets no bar.
_SHORT = 2.0


def watch(
    console: Console,
    look: Callable[[], Mapping[str, tuple[float, str]]],
    over: Callable[[], bool],
    total: float | None = None,
    *,
    end: Latch | None = None,
    keep: bool = False,
) -> None:
    """Show the progress of work until it is done; without a terminal only wait.

    Parameters
    ----------
    console : Console
    look : callable
        Returns, for each label of a bar, the progress and a text.
    over : callable
    total : float, optional
        Progress at the end.
    end : Latch, optional
        Ends the wait when it is set.
    keep : bool, default False
        Leave the bars on the screen at the end.
    """
    end = end or Latch()
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
    """Show the progress of a block; gives a function to call with the work done."""
    with _drawn(console, total) as progress:
        task = progress.add_task(clean(label), total=total, text="")
        yield lambda done: progress.update(task, completed=done)


@contextlib.contextmanager
def bar_of_time(console: Console, label: str, seconds: float) -> Iterator[None]:
    """Show the progress of a block with a known duration; nothing if it is short."""
    if seconds <= _SHORT:
        yield
        return
    began, over = time.monotonic(), Latch()

    def draw() -> None:
        try:
            watch(console, lambda: {label: (time.monotonic() - began, "")}, over.is_set, seconds, end=over)
        except Exception as error:  # noqa: BLE001 (the work goes on without a bar)
            warn("the progress bar of %s ended: %r", label, error)

    shown = threading.Thread(target=draw, name="pymilk-bar", daemon=True)
    try:
        start_thread(shown)
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
        redirect_stdout=sys.stdout.isatty(),  # output to a file is left alone
    )
    # A closed terminal does not end the work.
    with contextlib.suppress(OSError):
        progress.start()
    try:
        yield progress
    finally:
        with contextlib.suppress(OSError):
            progress.stop()
