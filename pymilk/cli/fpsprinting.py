"""FPS, their parameters and changes as they are printed: of this machine and of others."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..parameters.parameter import Parameter
from ..parameters.texts import value_as_text
from ..parameters.watching import Change
from ..parameters.words import ParameterFlag, Timespec
from .colour import Meaning
from .output import NOTHING, clean, print_json, print_table, table_of
from .tables import Table

if TYPE_CHECKING:
    from ..bridge import RemoteParameter

__all__ = ["fps_table", "print_changes", "print_fps", "print_parameters", "unusable_fps"]

#: What colours say of the states of a process of an FPS; others are quiet.
_STATES = {"running": "good", "starting": "doubtful", "died": "bad"}


def fps_table(entries: list[dict[str, Any]]) -> Table:
    """Return a table of FPS as `survey_fps` or `remote_fps` describe them, without those with an error."""
    headings = ("name", "parameters", "conf", "run", "check", "labels", "description")
    rows = [
        (
            f"{entry['host']}/{entry['name']}" if "host" in entry else entry["name"],
            f"{entry['parameters']}/{entry['slots']}",
            _doing(entry, "conf"),
            _doing(entry, "run"),
            _checked(str(entry["check"])),
            ",".join(entry["labels"]) or NOTHING,
            entry["description"],
        )
        for entry in entries
        if "error" not in entry
    ]
    return table_of(headings, rows, right=("parameters",))


def _doing(entry: dict[str, Any], role: str) -> str:
    state = str(entry[role])
    text = f"{state} {entry[f'{role}_pid']}" if state == "running" else state
    return Meaning(text, _STATES.get(state, "quiet"))


def _checked(result: str) -> str:
    return Meaning(result, {"ok": "good", "not done": "quiet"}.get(result, "bad"))


def unusable_fps(entries: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with those that have an error, a line each."""
    return [clean(entry["error"]) for entry in entries if "error" in entry]


def print_fps(entries: list[dict[str, Any]], as_json: bool) -> None:
    """Print FPS in a table, and what is wrong with others below it; or all as JSON."""
    if as_json:
        print_json(entries)
        return
    if any("error" not in entry for entry in entries):
        print_table(fps_table(entries))
    for line in unusable_fps(entries):
        click.echo(line)


def print_parameters(
    params: Sequence[Parameter | RemoteParameter], values_alone: bool, as_json: bool
) -> None:
    """Print parameters in a table, or their values alone, a line each; or all that is known as JSON."""
    if as_json:
        print_json([_plain_parameter(param) for param in params])
    elif values_alone:
        for param in params:
            click.echo(clean(value_as_text(param.value)))
    else:
        headings = ("key", "value", "type", "limits", "write", "count", "description")
        print_table(table_of(headings, [_row(param) for param in params], right=("count",)))


def print_changes(changes: Iterable[Change], as_json: bool) -> None:
    """Print each change as it comes, with the time here."""
    for change in changes:
        if as_json:
            print_json({**change._asdict(), "time": time.time()}, indent=None)
        else:
            missed = f"  ({change.missed} before it missed)" if change.missed else ""
            stamp = time.strftime("%H:%M:%S")
            click.echo(clean(f"{stamp} {change.key} = {value_as_text(change.value)}{missed}"))
        sys.stdout.flush()


def _row(param: Parameter | RemoteParameter) -> tuple[str, ...]:
    low, high = param.limits
    limits = NOTHING if low is high is None else f"{value_as_text(low)}..{value_as_text(high)}"
    writable = "yes" if param.status.writable else "no"
    value = value_as_text(param.value)
    if param.status.error:
        value = Meaning(f"{value} (error)", "bad")
    return param.key, value, param.type_name, limits, writable, str(param.cnt0), param.description


def _plain_parameter(param: Parameter | RemoteParameter) -> dict[str, Any]:
    return {
        "key": param.key,
        "keyword": param.keyword,
        "value": _plain(param.value),
        "current": _plain(param.current),
        "type": param.type_name,
        "low": param.low,
        "high": param.high,
        "flags": [str(flag.name) for flag in ParameterFlag if flag in param.flags],
        "count": param.cnt0,
        "description": param.description,
        **param.status._asdict(),
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    return list(value) if isinstance(value, Timespec) else value
