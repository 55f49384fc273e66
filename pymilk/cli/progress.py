"""Progress bars of commands that wait for frames."""

from __future__ import annotations

import time
from collections.abc import Callable

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

__all__ = ["watch"]

#: How often it is looked whether it is over, in seconds.
_TICK = 0.1


def watch(
    console: Console,
    text: str,
    count: Callable[[], int],
    over: Callable[[], bool],
    total: int | None = None,
    seconds: float | None = None,
) -> None:
    """Show how far something is until it is over; without a terminal only wait.

    Parameters
    ----------
    console : Console
    text : str
        What is going on: "capturing".
    count : callable
        Tells how many frames there are.
    over : callable
    total : int, optional
        Frames that there will be.
    seconds : float, optional
        How long it will take: the bar is about time then.
    """
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn()]
    if total is not None or seconds is not None:
        columns += [TaskProgressColumn(), TimeRemainingColumn(compact=True)]
    else:
        columns.append(TimeElapsedColumn())
    columns.append(TextColumn("{task.fields[frames]} frames"))
    began = time.monotonic()
    with Progress(
        *columns, console=console, refresh_per_second=5, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(text, total=seconds or total, frames=0)
        while not over():
            frames = count()
            done = frames if seconds is None else min(time.monotonic() - began, seconds)
            progress.update(task, completed=done, frames=frames)
            time.sleep(_TICK)
