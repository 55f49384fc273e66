"""``pymilk state``: keys and values of a shared state, set, removed, and followed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import click
import numpy as np

from ...channels import Entry, SharedState
from ...errors import ChannelArgumentError, ChannelRemovedError
from ..exits import clean_exit
from ..naming import completes_channels
from ..output import age_text, clean, print_json, print_table, table_of
from ..parameters import parts_of_assignment, typed_value

__all__ = ["state"]


@click.command()
@click.argument("name", shell_complete=completes_channels("state"))
@click.argument("keys", nargs=-1, metavar="[KEY[=VALUE]]...")
@click.option("--text", "as_text", is_flag=True, help="Store values as text, even if they are numbers.")
@click.option("--delete", is_flag=True, help="Remove the keys KEY.")
@click.option("-w", "--watch", is_flag=True,
              help="Print what changes, until Ctrl-C or until the state is removed.")
@click.option("--json", "as_json", is_flag=True, help="Print an object of JSON, with --watch one a line.")
def state(
    name: str, keys: tuple[str, ...], as_text: bool, delete: bool, watch: bool, as_json: bool
) -> None:
    """Print the keys and values of state NAME, or some; set some in one step, or remove some.

    Without KEY: all. KEY: print its value. KEY=VALUE: set it; a key that is there keeps its type, a new one
    is a number if VALUE is one. If one cannot be set or removed, none is. Printed values are read after
    setting.

    Exit code 1 if a key is missing, or a value cannot be stored.

    Example: pymilk state cam0 exposure=0.1 filter=R
    """
    parts = [(key, parts_of_assignment(key)) for key in keys]
    changes = dict(each for _, each in parts if each is not None)
    wanted = [key for key, each in parts if each is None]
    if delete and (changes or as_text or watch or as_json or not wanted):
        raise click.UsageError("--delete takes the names of keys, and no other option")
    if as_text and not changes:
        raise click.UsageError("--text is for KEY=VALUE; none is given")
    with clean_exit(), SharedState.attach(name, write=True if changes or delete else None) as channel:
        if delete:
            channel.delete(*wanted)
            return
        if changes:
            channel.update({key: _value(channel, key, text, as_text) for key, text in changes.items()})
        if watch:
            _follow(channel, wanted or list(changes), as_json)
        elif wanted or as_json or not changes:
            _show(channel, wanted or list(changes), bool(wanted), as_json)


def _value(channel: SharedState, key: str, text: str, as_text: bool) -> Any:
    """Return what to set: of the type that the key has, if it is there."""
    old = None if as_text else channel.get(key)
    if old is None:
        return text if as_text else typed_value(text)
    try:
        if isinstance(old, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if isinstance(old, bytes):
            return text.encode("utf-8", "surrogateescape")
        if isinstance(old, (int, float, str)):
            return type(old)(text)
    except (KeyError, ValueError):
        pass
    kind = "an array" if isinstance(old, np.ndarray) else f"of type {type(old).__name__}"
    raise ChannelArgumentError(
        f"channel {channel.name!r}: {key!r} is {kind}, {text!r} is not; nothing was set (--text: store text)",
        channel=channel.name,
        argument=key,
        found=text,
    )


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype.kind in "biufU" else value.astype(str).tolist()
    return value


def _text(value: Any) -> str:
    return clean(str(_plain(value)))


def _show(channel: SharedState, keys: list[str], plain: bool, as_json: bool) -> None:
    """Print some keys, or all: values alone, JSON, or a table."""
    found = channel.entries()
    for key in keys:
        channel[key]  # raises if there is no such key
    shown: Mapping[str, Entry] = {key: found[key] for key in keys if key in found} if keys else found
    if as_json:
        print_json({key: {**each._asdict(), "value": _plain(each.value)} for key, each in shown.items()})
    elif plain:
        for each in shown.values():
            click.echo(_text(each.value))
    elif shown:
        now = time.time_ns()
        rows = [
            (clean(key), _text(each.value), str(each.sequence), age_text(max(0, now - each.time_ns) / 1e9))
            for key, each in shown.items()
        ]
        print_table(table_of(("key", "value", "set", "age"), rows, right=("set", "age")))


def _follow(channel: SharedState, keys: Iterable[str], as_json: bool) -> None:
    """Print what changes: a line for each key, or an object for each step that was seen."""
    wanted = set(keys)
    known: dict[str, None] = {}
    while True:
        try:
            changes = channel.read()
        except ChannelRemovedError:
            return
        here = dict.fromkeys(changes.keys)
        gone = [key for key in known if key not in here and (not wanted or key in wanted)]
        values = {key: each for key, each in changes.values.items() if not wanted or key in wanted}
        known = here
        if as_json and (values or gone):
            plain = {key: _plain(each) for key, each in values.items()}
            print_json({"epoch": changes.epoch, "values": plain, "removed": gone}, indent=None)
        elif not as_json:
            for key, each in values.items():
                click.echo(f"{changes.epoch:6d}  {clean(key)} = {_text(each)}")
            for key in gone:
                click.echo(f"{changes.epoch:6d}  {clean(key)} was removed")
