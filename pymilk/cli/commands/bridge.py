"""``pymilk bridge``: streams across machines."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

import click
import numpy as np

from ...arguments import shown
from ...bridge import (
    Certificate,
    FetchReport,
    Links,
    LogRecord,
    Options,
    ParameterOffer,
    Receiver,
    ReceiverReport,
    RemoteParameters,
    RemoteRecording,
    RemoteStream,
    Router,
    RouterReport,
    Sender,
    SenderReport,
    Tail,
    TailReport,
    Tls,
    directory,
    links_of,
    list_certificates,
    make_certificates,
    offer_of,
    recordings,
    remote_fps,
    revoke_certificates,
)
from ...bridge import fetch as fetch_recording
from ...bridge.configuration import log_of, login_of
from ...bridge.parameters import COMMANDS
from ...errors import FPSNotFoundError, StreamTimeoutError
from ...names import is_pattern
from ...parameters.texts import value_from_text
from ...reports import amount
from ...system.latch import Latch
from ...times import to_utc
from ..exits import clean_exit, told_to_end
from ..fpsprinting import print_changes, print_fps, print_parameters
from ..groups import SentenceGroup
from ..naming import complete_streams
from ..output import NOTHING, age_text, clean, print_json, print_table, table_of, warnings_as_lines
from ..parameters import NumberRange, parts_of_assignment, size_of
from .tail import entry_of, print_message

__all__ = ["bridge"]

#: Where a sender listens, and others look for it, unless it is said otherwise.
_USUAL = "tcp/127.0.0.1:7447"

_TICK_SECONDS = 0.1

_HEADINGS = ("stream", "kind", "dtype", "shape", "counter", "age", "rate", "sent", "missing", "received",
             "clock")  # fmt: skip
_NUMBERS = ("counter", "age", "rate", "sent", "missing")
_RECORDED = ("recording", "shape", "dtype", "first (UTC)", "last (UTC)", "frames", "missing", "MB")


_Report: TypeAlias = SenderReport | ReceiverReport | RouterReport | TailReport


class _Running(Protocol):
    """A sender, a receiver or a router."""

    @property
    def running(self) -> bool: ...

    @property
    def report(self) -> _Report: ...


def _reaching(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `Links`: it takes them as ``**given`` for `_links_of`."""
    file = click.Path(dir_okay=False)
    options = (
        click.option("--listen", multiple=True, metavar="ADDRESS",
                     help="Wait for others to connect: tcp/HOST:PORT or tls/HOST:PORT."),
        click.option("--connect", multiple=True, metavar="ADDRESS", help="Connect to one who listens."),
        click.option("--tls-ca", type=file, metavar="FILE.pem", help="Authority whose certificates count."),
        click.option("--tls-cert", type=file, metavar="FILE.pem", help="Certificate of this machine."),
        click.option("--tls-key", type=file, metavar="FILE.key", help="Its private key."),
        click.option("--tls-revoked", type=file, metavar="FILE.crl", help="Certificates that count no more."),
        click.option("--user", metavar="NAME", help="User to connect as."),
        click.option("--password-file", type=file, metavar="FILE", help="File with its password."),
        click.option("--passwords", type=file, metavar="FILE",
                     help="Let only these users connect: a line USER:PASSWORD each."),
        click.option("--config", type=file, metavar="FILE.toml",
                     help="Addresses, certificates and access rules; options go before."),
        click.option("--insecure", is_flag=True, help="Let addresses leave this machine unprotected."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _links_of(given: dict[str, Any], usual: str) -> Links:
    """Return the settings: those of the file of --config, and what is said beside it.

    `usual` is what is done on the usual port if there are no addresses: "listen" or "connect".
    """
    found = Links() if given["config"] is None else links_of(given["config"])
    said = {name: given[name] for name in ("listen", "connect", "insecure", "passwords") if given[name]}
    ca, cert, key, revoked = (given[f"tls_{name}"] for name in ("ca", "cert", "key", "revoked"))
    if ca is not None:
        said["tls"] = Tls(ca, cert, key, mutual=cert is not None or key is not None, revoked=revoked)
    elif cert is not None or key is not None or revoked is not None:
        raise click.UsageError("--tls-cert, --tls-key and --tls-revoked need --tls-ca")
    login = login_of(given["user"], given["password_file"])
    if login is not None:
        said["login"] = login
    if not (said.get("listen") or said.get("connect") or found.listen or found.connect):
        said[usual] = (_USUAL,)
    return dataclasses.replace(found, **said)


def _offer_of(given: dict[str, Any]) -> ParameterOffer | None:
    """Return which parameters are offered: those of the file of --config, and what is said beside it."""
    found = None if given["config"] is None else offer_of(given["config"])
    named = {"fps": given.pop("fps"), "set": given.pop("settable"), "command": given.pop("commands")}
    said = {name: each for name, each in named.items() if each}
    if found is None:
        return ParameterOffer(**{"fps": (), **said}) if said else None
    return dataclasses.replace(found, **said)


def _one(context: click.Context, parameter: click.Parameter, source: str) -> str:
    """Refuse patterns: they would be waited for without end."""
    if is_pattern(source):
        raise click.BadParameter(
            f"{shown(source, 100)} is a pattern; name one, as `pymilk bridge ls` prints it: HOST/NAME"
        )
    return source


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


@click.group(cls=SentenceGroup)
def bridge() -> None:
    """Streams across machines: send, receive, and see who is there.

    Example: pymilk bridge send 'wfs*'
    """


@bridge.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=complete_streams)
@_reaching
@click.option("--host", metavar="NAME", help="What this machine is called. Default: its host name.")
@click.option("--serve", metavar="DIR", type=click.Path(exists=True, file_okay=False),
              help="Let others fetch recordings of these streams out of this folder.")
@click.option("--log", multiple=True, metavar="NAME",
              help="Send this message log as well; also a pattern, and several times.")
@click.option("--params", "fps", multiple=True, metavar="PATTERN",
              help="Let others read the parameters (FPS) whose names match.")
@click.option("--allow-set", "settable", multiple=True, metavar="FPS/PARAMETER",
              help="Let others set these, or those that match a pattern.")
@click.option("--allow-command", "commands", multiple=True, metavar="FPS/COMMAND",
              help=f"Let others command its processes: {', '.join(COMMANDS)}, or a pattern.")
@_stats
@_json
def send(
    patterns: tuple[str, ...], host: str | None, serve: str | None, log: tuple[str, ...],
    stats: float | None, as_json: bool, **given: Any,
) -> None:
    """Send the streams that match PATTERNs to all who listen, until Ctrl-C; or message logs, or parameters.

    Nothing is read while nobody listens. Without --listen and --connect it listens on tcp/127.0.0.1:7447.
    Other machines need certificates (pymilk bridge keys), or ssh -L 7447:127.0.0.1:7447 HOST.

    Example: pymilk bridge send 'wfs*' --host rtc
    """  # fmt: skip
    end = Latch()
    with clean_exit():  # files may be pipes, which are waited for until Ctrl-C
        offer = _offer_of(given)
        links = _links_of(given, "listen")
        logs = log or (() if given["config"] is None else log_of(given["config"]))
        if not (patterns or logs or offer):
            raise click.UsageError("say what to send: PATTERNs of streams, --log or --params")
    with clean_exit(), told_to_end(end):
        with Sender(patterns, links, host=host, serve=serve, log=logs, params=offer) as sender:
            where = ", ".join((*links.listen, *links.connect))
            parameters = (f"parameters of {each}" for each in (offer.fps if offer else ()))
            what = ", ".join((*patterns, *logs, *parameters))
            click.echo(f"sending {what} as {sender.host}, {where}; Ctrl-C ends it", err=True)
            _stay(sender, end, stats, lambda: _print(sender.report, as_json))
            report = sender.wait(0) if not sender.running else sender.report
        _print(report, as_json)


@bridge.command()
@click.argument("source", metavar="HOST/STREAM", callback=_one)
@_reaching
@click.option("--as", "name", metavar="NAME", help="Name of the stream here. Default: STREAM_HOST.")
@click.option(
    "--ring",
    type=click.IntRange(min=1),
    metavar="SLOTS",
    help="Slots of its ring. Default: what fits into 256 MiB, but 16 to 4096.",
)
@_max_frame
@_options
@click.option("--force", is_flag=True, help="Replace a stream of that name also if it is in use.")
@_stats
@_json
def recv(
    source: str,
    name: str | None,
    ring: int | None,
    max_frame: int,
    force: bool,
    stats: float | None,
    as_json: bool,
    asked: dict[str, Any],
    **given: Any,
) -> None:
    """Publish the frames of a stream of another machine in a stream of this one, until Ctrl-C.

    What is missing is counted: lost before it was sent, on the way, or while one of the two was away. A
    sender that is not there yet is waited for. --rate, --newest, --bin and --compress are done by the sender,
    once for all who ask the same; what it leaves out is no loss.

    Example: pymilk bridge recv rtc/wfs --as wfs_rtc --rate 30 --bin 2
    """  # fmt: skip
    end = Latch()
    with clean_exit():
        links = _links_of(given, "connect")
    with clean_exit(), told_to_end(end), warnings_as_lines():
        made = Receiver(
            source, links, name=name, ring=ring, max_frame=max_frame, force=force, options=Options(**asked)
        )
        with made as receiver:
            click.echo(f"receiving {source} into {receiver.name}; Ctrl-C ends it", err=True)
            _stay(receiver, end, stats, lambda: _print(receiver.report, as_json))
            report = receiver.wait(0) if not receiver.running else receiver.report
        _print(report, as_json)


@bridge.command()
@_reaching
@click.option(
    "--timeout",
    type=NumberRange(min=0, max=3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for the first answer.",
)
@click.option(
    "--measure", type=NumberRange(min=0, max=3600), metavar="SECONDS", help="Look twice, and print rates."
)
@_json
def ls(timeout: float, measure: float | None, as_json: bool, **given: Any) -> None:
    """List the streams and message logs of all senders that can be reached.

    Example: pymilk bridge ls --connect tcp/127.0.0.1:7447
    """
    with clean_exit():
        links = _links_of(given, "connect")
        found = directory(links, timeout=timeout)
        rates: dict[tuple[str, str, str, int], float] = {}
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
            for each in found:
                if each.trouble:
                    click.echo(clean(f"{each.host}/{each.stream}: {each.trouble}"))


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
@click.argument("source", metavar="HOST/STREAM", callback=_one)
@_reaching
@click.option("-o", "--output", metavar="FILE", type=click.Path(),
              help="Recording to write; the suffix chooses the format.")
@click.option("--since", callback=_time_of, metavar="TIME",
              help="Frames from this time on: local time, or with a zone (2026-11-29T21:30+00:00).")
@click.option("--until", callback=_time_of, metavar="TIME", help="Frames before this time.")
@click.option("--recording", metavar="NAME", help="Which one, where several have frames of that time.")
@_max_frame
@_json
def fetch(
    source: str, output: str | None, since: Any, until: Any, recording: str | None, max_frame: int,
    as_json: bool, **given: Any,
) -> None:
    """Fetch frames, with their rows, out of a recording of another machine, or list its recordings.

    `pymilk bridge send --serve DIR` lets others do so. What came is verified before it gets its name; until
    then it is in FILE.part, and the same command goes on there. Without -o recordings are listed.

    Example: pymilk bridge fetch rtc/wfs --since 2026-11-29T21:30 --until 2026-11-29T21:31 -o wfs.fits
    """  # fmt: skip
    with clean_exit():
        links = _links_of(given, "connect")
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
@click.argument("host")
@click.argument("name", required=False)
@click.argument("keys", nargs=-1, metavar="[KEY[=VALUE]]...")
@_reaching
@click.option("--watch", is_flag=True, help="Print each change as it is made, until Ctrl-C.")
@click.option("--command", "order", type=click.Choice(tuple(COMMANDS)),
              help="Start or stop a process of the FPS.")
@click.option("--timeout", type=NumberRange(min=0, max=60), default=5.0, show_default=True, metavar="SECONDS",
              help="Wait so long for an answer, and for the process.")
@_json
def params(
    host: str, name: str | None, keys: tuple[str, ...], watch: bool, order: str | None, timeout: float,
    as_json: bool, **given: Any,
) -> None:
    """Print or set parameters (FPS) of another machine, as pymilk fps does here; without NAME list its FPS.

    KEY=VALUE sets a parameter, of several either all or none. `pymilk bridge send --params` there offers
    them; its --allow-set and --allow-command say what may be changed.

    Example: pymilk bridge params rtc loop gain=0.3
    """  # fmt: skip
    values = [parts_of_assignment(each) for each in keys]
    setting = None not in values and bool(values)
    if (not setting and any(values)) or (order and (keys or watch)) or (watch and setting):
        raise click.UsageError("give KEYs to read, or KEY=VALUEs to set, or --command, or --watch with KEYs")
    if name is None and (order or watch):
        raise click.UsageError("--command and --watch need the NAME of an FPS")
    with clean_exit():
        links = _links_of(given, "connect")
        if name is None:
            found = remote_fps(links, host=host, timeout=timeout)
            if not found:
                raise FPSNotFoundError(
                    f"nobody offers parameters of {host!r}: `pymilk bridge send` there needs --params "
                    "PATTERN, and there has to be an fps"
                )
            print_fps(found, as_json)
            return
        with RemoteParameters(host, name, links, timeout=timeout) as remote:
            if order:
                remote.command(order, timeout)
            elif setting:
                kinds = {key: remote.param(key).type for key, _ in filter(None, values)}
                remote.update(
                    {key: value_from_text(kinds[key], key, text) for key, text in filter(None, values)}
                )
            elif watch:
                print_changes(remote.watch(*keys), as_json)
            else:
                read = [remote.param(key) for key in keys] if keys else remote.params()
                print_parameters(read, bool(keys), as_json)


@bridge.command()
@click.argument("source", metavar="HOST/LOG", callback=_one)
@_reaching
@click.option("-n", "--lines", metavar="N", type=click.IntRange(min=0), default=10, show_default=True,
              help="Begin with so many messages that are there.")
@click.option("-f", "--follow", is_flag=True, help="Wait for messages, until Ctrl-C.")
@click.option("--as", "name", metavar="NAME",
              help="Write them into a log of this machine as well, with numbers and times of its own.")
@click.option("--json", "as_json", is_flag=True, help="Print an object of JSON a message, one a line.")
def tail(
    source: str, lines: int, follow: bool, name: str | None, as_json: bool, **given: Any
) -> None:
    """Print the newest messages of a log of another machine, each with its time (UTC) and number there.

    `pymilk bridge send --log` sends it. What got lost on the way is asked for again; messages that are
    missing, because they were overwritten there, are counted in a line of their own.

    Example: pymilk bridge tail rtc/cam0 --follow --connect tcp/127.0.0.1:7447
    """  # fmt: skip
    end = Latch()
    with clean_exit():
        links = _links_of(given, "connect")
    with clean_exit(), told_to_end(end), contextlib.ExitStack() as stack:
        reader = stack.enter_context(Tail(source, links, last=lines, follow=follow))
        local = None
        for message in _messages(reader, end):
            if name is not None and local is None:
                local = stack.enter_context(reader.local_log(name))
            if message.new_log and not as_json:
                click.echo("(the log was made anew)")
            if message.lost and not as_json:
                click.echo(f"({amount(message.lost, 'message is', 'messages are')} missing)")
            entry = entry_of(message.number, message.time_ns, message.data, message.lost)
            print_message(entry | {"new_log": message.new_log}, as_json)
            if local is not None:
                local.append(message.data)
        if follow:
            click.echo(clean(str(reader.report)), err=True)


def _messages(reader: Tail, end: Latch) -> Iterator[LogRecord]:
    """Yield messages until a signal comes; say who is not connected or denied."""
    if not reader.follow:
        yield from reader
        return
    known = list[str]()
    while not end.is_set():
        try:
            yield reader.read(_TICK_SECONDS)
        except StreamTimeoutError:
            known = _say_news(reader.report, known)


@bridge.command()
@_reaching
@_max_frame
def router(max_frame: int, **given: Any) -> None:
    """Let senders and receivers that connect to it find each other, until Ctrl-C.

    Example: pymilk bridge router --listen tcp/127.0.0.1:7447
    """
    end = Latch()
    with clean_exit():
        links = _links_of(given, "listen")
    with clean_exit(), told_to_end(end), Router(links, max_frame=max_frame) as made:
        click.echo(f"handing on, {', '.join((*links.listen, *links.connect))}; Ctrl-C ends it", err=True)
        _stay(made, end, None, lambda: None)


@bridge.command()
@click.argument("directory_name", metavar="DIR", type=click.Path(file_okay=False))
@click.argument("names", nargs=-1, metavar="[NAME[=ADDRESS,...]]...")
@click.option(
    "--days",
    metavar="N",
    type=click.IntRange(1, 36499),
    default=365,
    show_default=True,
    help="How long certificates of hosts are valid.",
)
@click.option("--force", is_flag=True, help="Make them anew, before or after they have expired.")
@click.option("--revoke", "revoked", multiple=True, metavar="NAME",
              help="Put this certificate on the list DIR/revoked.crl of those that count no more.")
@_json
def keys(
    directory_name: str, names: tuple[str, ...], days: int, force: bool, revoked: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make an authority in DIR, and certificates for hosts; without NAMEs list what there is.

    Each host gets ca.pem, NAME.pem and NAME.key. ca.key stays where it is: whoever has it can make
    certificates. ADDRESSes are further names and IP addresses that others connect to. Machines that others
    connect to need revoked.crl as well, once there is one (--tls-revoked).

    Example: pymilk bridge keys ~/bridge rtc=10.0.0.1 archive viewer
    """  # fmt: skip
    with clean_exit():
        hosts: dict[str, tuple[str, ...]] = {}
        for each in names:
            name, _, addresses = each.partition("=")
            hosts[name] = tuple(part for part in addresses.split(",") if part)
        if revoked:
            revoke_certificates(directory_name, revoked)
        if hosts:
            found = make_certificates(directory_name, hosts, days=days, force=force)
        else:
            found = list_certificates(directory_name)
        if as_json:
            print_json([vars(each) | {"expires": each.expires.isoformat()} for each in found])
            return
        print_table(table_of(("name", "expires", "days", "valid for", "file"), [_row(each) for each in found],
                             ("days",)))  # fmt: skip


def _row(each: Certificate) -> list[str]:
    days = "revoked" if each.revoked else "expired" if each.days < 0 else str(each.days)
    return [clean(each.name), f"{each.expires:%Y-%m-%d}", days, clean(", ".join(each.addresses)) or NOTHING,
            clean(each.path)]  # fmt: skip


def _key(each: RemoteStream) -> tuple[str, str, str, int]:
    return each.host, each.stream, each.kind, each.pid


def _cells(each: RemoteStream, rates: dict[tuple[str, str, str, int], float]) -> list[str]:
    rate = rates.get(_key(each))
    return [
        clean(f"{each.host}/{each.stream}"), each.kind, each.dtype or NOTHING,
        "x".join(map(str, each.shape)) or NOTHING, str(each.counter), age_text(each.age),
        NOTHING if rate is None else f"{rate:.1f}/s",
        str(each.sent), str(each.missing), "yes" if each.wanted else "no", _clock(each),
    ]  # fmt: skip


def _clock(each: RemoteStream) -> str:
    if each.clock_offset is None or each.clock_uncertainty is None:
        return NOTHING
    return f"{each.clock_offset * 1e3:+.3f} ms +-{each.clock_uncertainty * 1e3:.3f}"


def _stay(running: _Running, end: Latch, stats: float | None, tell: Callable[[], object]) -> None:
    """Wait for a signal, or until it has ended by itself; say who is not connected or denied."""
    told, known = time.monotonic(), list[str]()
    while running.running and not end.wait(_TICK_SECONDS):
        known = _say_news(running.report, known)
        if stats is not None and time.monotonic() - told >= stats:
            told = time.monotonic()
            tell()


def _say_news(report: _Report, known: list[str]) -> list[str]:
    """Say who is not connected, or is denied, but for what is known; returns all of it."""
    said = [f"not connected: {each}; it is tried again and again" for each in report.not_connected]
    said += [f"denied: {each}" for each in report.denied]
    for each in said:
        if each not in known:
            click.echo(clean(each), err=True)
    return said


def _print(report: SenderReport | ReceiverReport | FetchReport, as_json: bool) -> None:
    click.echo(json.dumps(report.to_dict()) if as_json else "\n".join(map(clean, str(report).split("\n"))))
