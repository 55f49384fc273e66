"""``pymilk fps``: parameters of processes listed, read, set, followed; the processes started and stopped."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import click
from click.shell_completion import CompletionItem

from ...errors import FPSArgumentError, FPSError, FPSInUseError, StreamError
from ...parameters.fps import FPS
from ...parameters.manager import list_fps
from ...parameters.naming import SUFFIX, fps_name, fps_path
from ...parameters.records import Program
from ...parameters.survey import survey_fps
from ...parameters.texts import value_from_text
from ...parameters.words import ParameterType
from ...system.signals import held_signals
from ..colour import wants_colours
from ..exits import clean_exit, until_interrupted
from ..fpsprinting import fps_table, print_changes, print_fps, print_parameters, unusable_fps
from ..groups import SentenceGroup
from ..output import print_error, print_none
from ..parameters import NumberRange, parts_of_assignment
from ..tables import cut
from ..terminal import ERASE, Terminal, interactive

__all__ = ["fps"]

_SECONDS = NumberRange(min=0, max=1e6)


@click.group(cls=SentenceGroup)
def fps() -> None:
    """Parameters of processes (FPS): gains, modes and switches in shared memory.

    Example: pymilk fps set loop gain=0.3
    """


# -- completion


def _names(context: click.Context, parameter: click.Parameter, start: str) -> list[CompletionItem]:
    """Complete the name of an FPS."""
    with contextlib.suppress(StreamError):
        return [CompletionItem(name) for name in list_fps() if name.startswith(start)]
    return []


def _keys(context: click.Context, parameter: click.Parameter, start: str) -> list[CompletionItem]:
    """Complete a key of the FPS that was named before it."""
    with contextlib.suppress(StreamError), FPS(context.params["name"], writable=False) as found:
        return [
            CompletionItem(each.key, help=each.description)
            for each in found.params()
            if each.key.startswith(start)
        ]
    return []


def _name_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("name", shell_complete=_names)(command)


def _keys_argument(metavar: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.argument("keys", nargs=-1, metavar=metavar, shell_complete=_keys)


_timeout = click.option(
    "--timeout", type=_SECONDS, default=5.0, show_default=True, metavar="SECONDS", help="Wait so long for it."
)


# -- looking


@fps.command("ls")
@click.argument("pattern", default="*", shell_complete=_names)
@click.option("--label", default="*", metavar="PATTERN", help="Those with a label that matches this pattern.")
@click.option("--watch", is_flag=True, help="Draw the table again every second, until q or Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, and nothing else.")
def ls(pattern: str, label: str, watch: bool, as_json: bool) -> None:
    """List the FPS whose names match PATTERN, and what their processes do.

    Example: pymilk fps ls 'aol*'
    """
    if watch and (as_json or not interactive()):
        raise click.UsageError("--watch needs a terminal, and goes without --json")
    with clean_exit():
        if watch:
            _watch_table(pattern, label)
            return
        entries = survey_fps(pattern, label)
        print_fps(entries, as_json)
        if not entries and not as_json:
            print_none("FPS", [each for each in (pattern, label) if each != "*"])


def _watch_table(pattern: str, label: str) -> None:
    """Draw the table again and again."""
    with until_interrupted(), Terminal() as terminal:
        while True:
            entries = survey_fps(pattern, label)
            table = fps_table(entries).lines(terminal.columns, styles=True, colours=wants_colours(sys.stdout))
            lines = [*table, *(cut(line, terminal.columns) for line in unusable_fps(entries))]
            lines = lines[: terminal.lines - 1]
            lines += [""] * (terminal.lines - 1 - len(lines)) + ["q quit  every 1 s"]
            terminal.draw([ERASE + line for line in lines])
            keys = terminal.wait(time.monotonic() + 1.0)
            if keys is None or "q" in keys or "Q" in keys:
                return


@fps.command("get")
@_name_argument
@_keys_argument("[KEY]...")
@click.option("--json", "as_json", is_flag=True, help="Print parameters as JSON, with all that is known.")
def get(name: str, keys: tuple[str, ...], as_json: bool) -> None:
    """Print parameters of the FPS NAME: all in a table, or the values of some, a line each.

    A KEY is exact, with or without the name of the FPS in front.

    Example: pymilk fps get loop gain
    """
    with clean_exit(), FPS(name, writable=False) as found:
        params = [found.param(key) for key in keys] if keys else found.params()
        print_parameters(params, bool(keys), as_json)


@fps.command("watch")
@_name_argument
@_keys_argument("[KEY]...")
@click.option("--timeout", type=_SECONDS, metavar="SECONDS", help="End when nothing is written for so long.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each change, a line each.")
def watch(name: str, keys: tuple[str, ...], timeout: float | None, as_json: bool) -> None:
    """Print each change of the FPS NAME as it is made, of some KEYs or of all, until Ctrl-C.

    Example: pymilk fps watch loop gain
    """
    with clean_exit(), FPS(name, writable=False) as found:
        print_changes(found.watch(*keys, timeout=timeout), as_json)


# -- changing


@fps.command("set")
@_name_argument
@_keys_argument("KEY=VALUE...")
@click.option("--force", is_flag=True, help="Also outside of the limits, and where flags do not permit it.")
def set_(name: str, keys: tuple[str, ...], force: bool) -> None:
    """Set parameters of the FPS NAME; either all that are given, or none.

    VALUE is read by the type of the parameter: a number, on or off, seconds, or a text.

    Example: pymilk fps set loop gain=0.3 loopON=on
    """
    given = [parts_of_assignment(each) for each in keys]
    if not given or None in given:
        raise click.UsageError("give KEY=VALUE, once or more")
    with clean_exit(), _typed(), FPS(name, writable=True) as found:
        values = {
            key: value_from_text(found.param(key).type, key, text) for key, text in filter(None, given)
        }
        found.update(values, force=force)


@fps.command("create")
@click.argument("name")
@click.argument("params", nargs=-1, metavar="[KEY[:TYPE]=VALUE]...")
@click.option("--slots", metavar="N", type=click.IntRange(1, 100_000), default=200, show_default=True,
              help="Most parameters that it can have.")
@click.option("--description", metavar="TEXT", default="", help="What it is for.")
@click.option("--label", "labels", metavar="LABEL", multiple=True,
              help="A label to select it by; may be given several times.")
@click.option("--program", type=(str, str), default=("milk", ""), metavar="PROGRAM FUNCTION",
              help="PROGRAM-exec is started, and told to run FUNCTION; PACKAGE.MODULE:FUNCTION for pymilk.")
@click.option("--standard", is_flag=True, help="Add the entries conf.* and procinfo.* of milk's programs.")
@click.option("--force", is_flag=True, help="Take the place of an FPS of that name.")
def create(
    name: str,
    params: tuple[str, ...],
    slots: int,
    description: str,
    labels: tuple[str, ...],
    program: tuple[str, str],
    standard: bool,
    force: bool,
) -> None:
    """Make the FPS NAME, with parameters if some are given. TYPE is one of milk's, such as FLOAT32.

    Example: pymilk fps create loop gain:FLOAT32=0.3 modes:INT64=100 --standard
    """
    parts = [parts_of_assignment(each) for each in params]
    if None in parts:
        raise click.UsageError("a parameter is KEY=VALUE or KEY:TYPE=VALUE")
    with clean_exit(), _typed():
        values = [_first_value(front, text) for front, text in filter(None, parts)]

        def make(where: str, directories: bool, replace: bool) -> None:
            with FPS.create(
                where, slots, description=description, labels=labels or None, program=Program(*program),
                standard=standard, directories=directories, replace=replace,
            ) as made:  # fmt: skip
                for key, kind, value in values:
                    made.add_param(key, type=kind, default=value)

        # Elsewhere first: what cannot be made leaves nothing behind, and takes the place of none.
        with held_signals():  # all of it or nothing
            with tempfile.TemporaryDirectory() as elsewhere:
                make(os.path.join(elsewhere, f"{fps_name(fps_path(name))}{SUFFIX}"), False, False)
            make(name, True, force)


@contextlib.contextmanager
def _typed() -> Iterator[None]:
    """Name options in messages of the block as they are typed on the command line."""
    try:
        yield
    except FPSError as error:
        for argument in ("force=True", "replace=True"):
            error.message = error.message.replace(argument, "--force")
        error.message = error.message.replace(" (directories=False goes without)", "")
        raise


def _first_value(front: str, text: str) -> tuple[str, ParameterType, Any]:
    """Read KEY[:TYPE] and VALUE of a new parameter; an empty value is that of the type."""
    key, kind_name = (part.strip() for part in (*front.split(":", 1), "")[:2])
    if kind_name and kind_name not in ParameterType.__members__:
        raise FPSArgumentError(
            f"{kind_name!r} is not a type of parameters; known are {', '.join(ParameterType.__members__)}",
            argument="TYPE",
            found=kind_name,
        )
    kind = ParameterType[kind_name] if kind_name else _type_of_text(text)
    return key, kind, value_from_text(kind, key, text) if text else None


def _type_of_text(text: str) -> ParameterType:
    """Choose a type for a value without one."""
    for kind, read in ((ParameterType.INT64, int), (ParameterType.FLOAT64, float)):
        with contextlib.suppress(ValueError):
            read(text)
            return kind
    return ParameterType.ONOFF if text in ("on", "off") else ParameterType.STRING


@fps.command("conf")
@_name_argument
@click.argument("what", type=click.Choice(("start", "stop", "state")))
@_timeout
def conf(name: str, what: str, timeout: float) -> None:
    """Start or stop the conf process of the FPS NAME, which checks its parameters; or print its state.

    It runs in a tmux session that is called like the FPS, and is made if there is none.

    Example: pymilk fps conf loop start
    """
    _control(name, "conf", what, timeout)


@fps.command("run")
@_name_argument
@click.argument("what", type=click.Choice(("start", "stop", "state")))
@_timeout
def run(name: str, what: str, timeout: float) -> None:
    """Start or stop the run process of the FPS NAME; or print its state.

    It starts only when the last check of the parameters found no error.

    Example: pymilk fps run loop stop --timeout 20
    """
    _control(name, "run", what, timeout)


def _control(name: str, role: str, what: str, timeout: float) -> None:
    with clean_exit(), FPS(name, writable=None if what == "state" else True) as found:
        if what == "state":
            click.echo(found.conf_state if role == "conf" else found.run_state)
            return
        if what == "start" and not found.tmux_isrunning():
            found.tmux_start()
        getattr(found, f"{role}_{what}")(timeout)


@fps.command("rm")
@click.argument("names", nargs=-1, required=True, shell_complete=_names, metavar="NAME...")
@click.option("--force", is_flag=True, help="Also those whose processes run.")
def rm(names: tuple[str, ...], force: bool) -> None:
    """Remove FPS whose processes do not run. Each NAME is tried; exit code 1 if one could not be removed.

    Example: pymilk fps rm loop
    """
    failed = False
    with clean_exit():
        for name in names:
            try:
                with FPS(name, writable=None) as found:
                    _need_idle(found, force)
                    found.destroy()
            except FPSError as error:
                print_error(error)
                failed = True
    if failed:
        sys.exit(1)


def _need_idle(found: FPS, force: bool) -> None:
    states = (("conf", found.conf_state), ("run", found.run_state))
    up = [role for role, state in states if state == "running"]
    if up and not force:
        header = found.header()
        raise FPSInUseError(
            f"fps {found.name!r}: its {' and '.join(up)} process runs; stop it first, or remove it with "
            "--force",
            fps=found.name,
            pids=[header[f"{role}pid"] for role in up],
        )
