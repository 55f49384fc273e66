"""``pymilk bridge``: streams across machines."""

from __future__ import annotations

import datetime
import functools
import json
import time
from collections.abc import Callable
from typing import Any, Protocol

import click
import numpy as np

from ...bridge import (
    Links,
    Options,
    Receiver,
    RemoteRecording,
    RemoteStream,
    Router,
    Sender,
    directory,
    recordings,
)
from ...bridge import fetch as fetch_recording
from ...reports import Report
from ...system.latch import Latch
from ...times import to_utc
from ..exits import clean_exit, told_to_end
from ..naming import complete_streams
from ..output import NOTHING, age_text, clean, print_json, print_table, table_of, warnings_as_lines
from ..parameters import NumberRange, size_of

__all__ = ["bridge"]

#: Where a sender listens, and others look for it, unless it is said otherwise.
_USUAL = "tcp/127.0.0.1:7447"

_TICK_SECONDS = 0.1

_HEADINGS = ("stream", "dtype", "shape", "counter", "age", "rate", "sent", "missing", "received", "clock")
_NUMBERS = ("counter", "age", "rate", "sent", "missing")
_RECORDED = ("recording", "shape", "dtype", "first (UTC)", "last (UTC)", "frames", "missing", "MB")


class _Running(Protocol):
    """A sender, a receiver or a router."""

    @property
    def running(self) -> bool: ...


def _links(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `Links`."""
    for option in (
        click.option("--insecure", is_flag=True, help="Let addresses leave this machine, unprotected."),
        click.option("--connect", multiple=True, metavar="tcp/HOST:PORT", help="Connect to one who listens."),
        click.option("--listen", multiple=True, metavar="tcp/HOST:PORT", help="Wait for others to connect."),
    ):
        command = option(command)
    return command


_stats = click.option("--stats", type=NumberRange(min=0, min_open=True), metavar="SECONDS",
                      help="Print statistics this often.")  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="JSON, for scripts.")
_max_frame = click.option("--max-frame", default="64M", callback=size_of, metavar="SIZE",
                          show_default=True, help="Refuse larger frames.")  # fmt: skip


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `Options`, which it gets as one argument."""

    @functools.wraps(command)
    def call(
        *args: Any, rate: float | None, newest: bool, bin_: int, compress: str | None, history: int,
        **others: Any,
    ) -> Any:
        options = {
            "rate": rate, "newest": newest, "bin": bin_, "compress": compress, "history": history
        }
        return command(*args, asked=options, **others)

    for option in (
        click.option("--history", type=click.IntRange(0, 1 << 20), default=0, metavar="N",
                     help="Begin with the last N frames, as far as the ring of the source has them."),
        click.option("--compress", type=click.Choice(["blosc2"]),
                     help="Compress pixels on the way, without loss."),
        click.option("--bin", "bin_", type=click.IntRange(1, 1024), default=1, metavar="N",
                     help="Send the mean of blocks of N rows by N columns."),
        click.option("--newest", is_flag=True,
                     help="The newest frame whenever one can be sent; leave out the others."),
        click.option("--rate", type=NumberRange(min=0.001, max=1e6), metavar="HZ",
                     help="The newest frame, so often; leave out the others."),
    ):  # fmt: skip
        call = option(call)
    return call


@click.group()
def bridge() -> None:
    """Streams across machines: send, receive, and see who is there.

    Example: pymilk bridge send 'wfs*'
    """


@bridge.command()
@click.argument("patterns", nargs=-1, required=True, shell_complete=complete_streams)
@_links
@click.option("--host", metavar="NAME", help="What this machine is called. Default: its host name.")
@click.option("--serve", metavar="DIR", type=click.Path(exists=True, file_okay=False),
              help="Let others fetch recordings of these streams out of this folder.")
@_stats
@_json
def send(
    patterns: tuple[str, ...], listen: tuple[str, ...], connect: tuple[str, ...], insecure: bool,
    host: str | None, serve: str | None, stats: float | None, as_json: bool,
) -> None:
    """Send the streams that match PATTERNS to all who listen, until Ctrl-C.

    Nothing is read while nobody listens. Without --listen and --connect it listens on tcp/127.0.0.1:7447;
    from another machine use ssh -L 7447:127.0.0.1:7447 HOST, and receive there.

    Example: pymilk bridge send 'wfs*' --host rtc
    """  # fmt: skip
    end = Latch()
    with clean_exit(), told_to_end(end):
        links = Links(listen or (() if connect else (_USUAL,)), connect, insecure)
        with Sender(patterns, links, host=host, serve=serve) as sender:
            where = ", ".join((*links.listen, *links.connect))
            click.echo(f"sending {', '.join(patterns)} as {sender.host}, {where}; Ctrl-C ends it", err=True)
            _stay(sender, end, stats, lambda: _print(sender.report, as_json))
            report = sender.wait(0) if not sender.running else sender.report
        _print(report, as_json)


@bridge.command()
@click.argument("source", metavar="HOST/STREAM")
@_links
@click.option("--as", "name", metavar="NAME", help="Name of the stream here. Default: STREAM_HOST.")
@click.option("--ring", type=click.IntRange(min=1), metavar="SLOTS",
              help="Slots of its ring. Default: what fits into 256 MiB, but 16 to 4096.")
@_max_frame
@_options
@click.option("--force", is_flag=True, help="Replace a stream of that name also if it is in use.")
@_stats
@_json
def recv(
    source: str, listen: tuple[str, ...], connect: tuple[str, ...], insecure: bool, name: str | None,
    ring: int | None, max_frame: int, force: bool, stats: float | None, as_json: bool,
    asked: dict[str, Any],
) -> None:
    """Publish the frames of a stream of another machine in a stream of this one, until Ctrl-C.

    What is missing is counted: lost before it was sent, on the way, or while one of the two was away. A
    sender that is not there yet is waited for. --rate, --newest, --bin and --compress are done by the sender,
    once for all who ask the same; what it leaves out is no loss.

    Example: pymilk bridge recv rtc/wfs --as wfs_rtc --rate 30 --bin 2
    """  # fmt: skip
    end = Latch()
    with clean_exit(), told_to_end(end), warnings_as_lines():
        links = Links(listen, connect or (() if listen else (_USUAL,)), insecure)
        made = Receiver(
            source, links, name=name, ring=ring, max_frame=max_frame, force=force, options=Options(**asked)
        )
        with made as receiver:
            click.echo(f"receiving {source} into {receiver.name}; Ctrl-C ends it", err=True)
            _stay(receiver, end, stats, lambda: _print(receiver.report, as_json))
            report = receiver.wait(0) if not receiver.running else receiver.report
        _print(report, as_json)


@bridge.command()
@_links
@click.option("--timeout", type=NumberRange(min=0, max=3600), default=1.0, show_default=True,
              metavar="SECONDS", help="Wait so long for the first answer.")
@click.option("--measure", type=NumberRange(min=0, max=3600), metavar="SECONDS",
              help="Look twice, and print rates.")
@_json
def ls(
    listen: tuple[str, ...], connect: tuple[str, ...], insecure: bool, timeout: float, measure: float | None,
    as_json: bool,
) -> None:
    """List the streams of all senders that can be reached.

    Example: pymilk bridge ls --connect tcp/127.0.0.1:7447
    """  # fmt: skip
    with clean_exit():
        links = Links(listen, connect or (() if listen else (_USUAL,)), insecure)
        found = directory(links, timeout=timeout)
        rates: dict[tuple[str, str, int], float] = {}
        if measure and found:
            before, began = {_key(each): each.counter for each in found}, time.monotonic()
            time.sleep(measure)
            found = directory(links, timeout=timeout)
            took = time.monotonic() - began
            known = [each for each in found if _key(each) in before]
            rates = {_key(each): (each.counter - before[_key(each)]) / took for each in known}
        if as_json:
            print_json([vars(each) | {"rate": rates.get(_key(each))} for each in found])
        else:
            print_table(table_of(_HEADINGS, [_cells(each, rates) for each in found], _NUMBERS))


def _time_of(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> datetime.datetime | float | None:
    """Read a time; None where none is given."""
    if text is None:
        return None
    for read in (float, datetime.datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    raise click.BadParameter(f"{text!r} is no time, for example 2026-11-29T21:30 or seconds since 1970")


@bridge.command()
@click.argument("source", metavar="HOST/STREAM")
@_links
@click.option("-o", "--output", metavar="FILE", help="Recording to write; the suffix chooses the format.")
@click.option("--since", callback=_time_of, metavar="TIME",
              help="Frames from this time on: local time, or with a zone (2026-11-29T21:30+00:00).")
@click.option("--until", callback=_time_of, metavar="TIME", help="Frames before this time.")
@click.option("--recording", metavar="NAME", help="Which one, where several have frames of that time.")
@_max_frame
@_json
def fetch(
    source: str, listen: tuple[str, ...], connect: tuple[str, ...], insecure: bool, output: str | None,
    since: Any, until: Any, recording: str | None, max_frame: int, as_json: bool,
) -> None:
    """Fetch frames, with their rows, out of a recording of another machine, or list its recordings.

    `pymilk bridge send --serve DIR` lets others do so. What came is verified before it gets its name; until
    then it is in FILE.part, and the same command goes on there. Without -o recordings are listed.

    Example: pymilk bridge fetch rtc/wfs --since 2026-11-29T21:30 --until 2026-11-29T21:31 -o wfs.fits
    """  # fmt: skip
    with clean_exit():
        links = Links(listen, connect or (() if listen else (_USUAL,)), insecure)
        if output is None:
            found = recordings(source, links, since=since, until=until)
            chosen = [each for each in found if recording in (None, each.name)]
            if as_json:
                print_json([vars(each) for each in chosen])
            else:
                cells = [_recorded(each) for each in chosen]
                print_table(table_of(_RECORDED, cells, ("frames", "missing", "MB")))
            return
        report = fetch_recording(
            source, output, links, since=since, until=until, recording=recording, max_frame=max_frame
        )
        _print(report, as_json)


def _recorded(each: RemoteRecording) -> list[str]:
    times = [str(to_utc(stamp, 0).astype("datetime64[ms]")) for stamp in (each.since, each.until)]
    return [
        clean(each.name), "x".join(map(str, each.orientation.shape)), np.dtype(each.dtype).name, *times,
        str(each.count), str(each.lost), f"{each.count * each.frame_nbytes / 1e6:.1f}",
    ]  # fmt: skip


@bridge.command()
@_links
@_max_frame
def router(listen: tuple[str, ...], connect: tuple[str, ...], insecure: bool, max_frame: int) -> None:
    """Let senders and receivers that connect to it find each other, until Ctrl-C.

    Example: pymilk bridge router --listen tcp/127.0.0.1:7447
    """
    end = Latch()
    with clean_exit(), told_to_end(end):
        links = Links(listen or (_USUAL,), connect, insecure)
        with Router(links, max_frame=max_frame) as made:
            click.echo(f"handing on, {', '.join((*links.listen, *links.connect))}; Ctrl-C ends it", err=True)
            _stay(made, end, None, lambda: None)


def _key(each: RemoteStream) -> tuple[str, str, int]:
    return each.host, each.stream, each.pid


def _cells(each: RemoteStream, rates: dict[tuple[str, str, int], float]) -> list[str]:
    rate = rates.get(_key(each))
    return [
        clean(f"{each.host}/{each.stream}"), each.dtype or NOTHING, "x".join(map(str, each.shape)) or NOTHING,
        str(each.counter), age_text(each.age), NOTHING if rate is None else f"{rate:.1f}/s",
        str(each.sent), str(each.missing), "yes" if each.wanted else "no", _clock(each),
    ]  # fmt: skip


def _clock(each: RemoteStream) -> str:
    if each.clock_offset is None or each.clock_uncertainty is None:
        return NOTHING
    return f"{each.clock_offset * 1e3:+.3f} ms +-{each.clock_uncertainty * 1e3:.3f}"


def _stay(running: _Running, end: Latch, stats: float | None, tell: Callable[[], object]) -> None:
    """Wait for a signal, or until it has ended by itself."""
    told = time.monotonic()
    while running.running and not end.wait(_TICK_SECONDS):
        if stats is not None and time.monotonic() - told >= stats:
            told = time.monotonic()
            tell()


def _print(report: Report, as_json: bool) -> None:
    click.echo(json.dumps(report.to_dict()) if as_json else "\n".join(map(clean, str(report).split("\n"))))
