"""``pymilk watch``: tell when a stream stalls, slows down, dies, loses frames, or the room runs out."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import click

from ...multi.health import Event, Limits, Watcher
from ...names import is_pattern, matches, stream_directory
from ...system.extras import optional_library
from ...system.files import file_error, moved_into_place
from ...system.latch import Latch
from ..exits import clean_exit, told_to_end
from ..naming import complete_streams
from ..output import clean, print_json
from ..parameters import NumberRange

__all__ = ["watch"]

#: So long a command of --exec may take before it is said that it is waited for.
_SOON_SECONDS = 1.0


@click.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=complete_streams)
@click.option("--min-rate", type=NumberRange(min=0), metavar="HZ", help="Trouble: fewer frames per second.")
@click.option("--max-age", type=NumberRange(min=0), metavar="SECONDS", help="Trouble: no frame for longer.")
@click.option("--max-lost", type=click.IntRange(min=0), metavar="N",
              help="Trouble: a reader here loses more from one look to the next. Reads the streams for that.")
@click.option("--max-full", type=NumberRange(0, 100), default=95, show_default=True, metavar="PERCENT",
              help="Trouble: the file system of the streams is fuller.")
@click.option("--interval", type=NumberRange(min=0.05, max=3600), default=1.0, show_default=True,
              metavar="SECONDS", help="Time between looks.")
@click.option("--once", is_flag=True, help="Look for one interval, print all states, and end.")
@click.option("--exec", "command", metavar="CMD",
              help="Run this in a shell at each change; PYMILK_STREAM, PYMILK_STATE, PYMILK_TEXT say which.")
@click.option("--metrics", type=click.Path(dir_okay=False), metavar="FILE",
              help="Write states and rates as Prometheus text into this file, at each look.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each change.")
def watch(patterns: tuple[str, ...], command: str | None, metrics: str | None, **given: Any) -> None:
    """Watch all streams, or those that match a PATTERN, until Ctrl-C; print a line for each change of state.

    Trouble in any case: a writer that is dead or stuck within a frame, a stream that is gone or damaged, a
    full file system. A PATTERN without wildcards is a stream that has to be there.

    Exit code 1 if there was any trouble: with --once now, else at any time.

    Example: pymilk watch 'wfs*' --min-rate 950 --max-age 2 --exec 'logger "$PYMILK_STREAM $PYMILK_STATE"'
    """
    end, trouble = Latch(), False
    commands = _Commands(command)
    with clean_exit():
        limits = Limits(**{name: given[name] for name in ("min_rate", "max_age", "max_lost", "max_full")})
    with clean_exit(), told_to_end(end), Watcher(patterns, limits) as watcher:
        files = _Metrics(metrics) if metrics is not None else None
        _tell_of_nothing(patterns, watcher)
        while not end.wait(given["interval"]):
            changed = watcher.look()
            for event in changed:
                trouble |= event.state != "ok"
                _print(event, given["as_json"])
                commands.run(event)
            if files is not None:
                files.write(watcher)
            if given["once"]:
                break
    with clean_exit():
        commands.wait()
    if trouble:
        sys.exit(1)


def _tell_of_nothing(patterns: tuple[str, ...], watcher: Watcher) -> None:
    """Say on stderr which patterns match no stream yet: nothing is in trouble, and nothing is watched."""
    for pattern in patterns or ("*",):
        if is_pattern(pattern) and not any(matches(each["name"], [pattern]) for each in watcher.streams):
            text = f"pymilk: no stream in {stream_directory()} matches {pattern!r} so far"
            click.echo(clean(text), err=True)


def _print(event: Event, as_json: bool) -> None:
    if as_json:
        print_json(event.to_dict(), indent=None)
    else:
        click.echo(clean(str(event)))
    sys.stdout.flush()  # a line now is worth more than a page later


class _Commands:
    """What is run at each change, one behind the other for no longer than they take."""

    def __init__(self, command: str | None) -> None:
        self._command = command
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, event: Event) -> None:
        """Start the command; it goes on while the streams are watched."""
        self._running = [each for each in self._running if each.poll() is None]
        if self._command is not None:
            words = {"PYMILK_STREAM": event.stream, "PYMILK_STATE": event.state, "PYMILK_TEXT": event.text}
            environment = {**os.environ, **words}
            self._running.append(
                subprocess.Popen(  # in a session of its own: a terminal sends Ctrl-C to all of its group
                    ["/bin/sh", "-c", self._command],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )

    def wait(self) -> None:
        """Wait until all have ended, or until Ctrl-C."""
        told = False
        for each in self._running:
            try:
                each.wait(_SOON_SECONDS)
            except subprocess.TimeoutExpired:
                if not told:
                    click.echo("pymilk: a command of --exec goes on; Ctrl-C leaves it alone", err=True)
                told = True
                each.wait()


class _Metrics:
    """A file of metrics, as the node exporter of Prometheus collects them."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._library = optional_library("prometheus_client", "metrics", "metrics")

    def write(self, watcher: Watcher) -> None:
        """Replace the file."""
        library = self._library
        registry = library.CollectorRegistry()

        def gauge(name: str, text: str) -> Any:
            return library.Gauge(f"pymilk_{name}", text, ["stream"], registry=registry)

        state = gauge("ok", "1 if nothing is wrong with the stream, else 0")
        rate = gauge("frames_per_second", "Frames published per second")
        age = gauge("age_seconds", "Time since the last frame")
        counter = gauge("frames_published", "Counter of the stream")
        lost = gauge("frames_lost", "Frames that a reader lost since the last look")
        for name, event in watcher.states.items():
            state.labels(name).set(event.state == "ok")
        for entry in watcher.streams:
            if "error" in entry:
                continue
            for metric, key in ((rate, "rate"), (age, "age"), (counter, "counter"), (lost, "lost")):
                if entry.get(key) is not None:
                    metric.labels(entry["name"]).set(entry[key])
        self._replace(library.generate_latest(registry))

    def _replace(self, content: bytes) -> None:
        try:
            with moved_into_place(self._path) as hidden, open(hidden, "xb") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(content)
        except OSError as error:
            raise file_error(error, self._path, "written", "metrics") from error
