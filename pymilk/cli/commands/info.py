"""``pymilk info``: describe one stream in full."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from rich.console import Console

from ..._core import Stream
from ...channels.files import channel_path
from ...channels.listing import channel_details, channel_kind, content_text
from ...errors import ChannelError
from ...inspection import measure_stream, stream_details
from ...recording import is_recording_name, recording_details
from ...reports import COUNTER_SET, counter_set_text, uncertain_text
from ..exits import clean_exit
from ..naming import complete_streams, matching
from ..output import (
    NOTHING,
    age_text,
    channel_lines,
    clean,
    print_json,
    print_table,
    process_text,
    size_text,
    table_of,
    warnings_as_lines,
)
from ..parameters import NumberRange
from ..progress import bar_of_time

__all__ = ["info"]


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_streams)
@click.option("--measure", "seconds", type=NumberRange(min=0, max=3600), default=1.0,
              show_default=True, metavar="SECONDS",
              help="Measure rate, jitter and writes for this time; 0: not at all.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, and nothing else.")
def info(names: tuple[str, ...], seconds: float, as_json: bool) -> None:
    """Describe stream NAME in full: metadata, orientation, sections, semaphores, keywords, rate.

    Watches the stream for a second, without a semaphore. NAME may be a pattern, in quotes: 'wfs*'.

    Of a recording, an array or a series (cam.fits, cam.npy, cam.h5, cam.zarr) in place of a stream: whether
    it is complete, what is missing, its gaps and its keywords. Of a channel (cam0.msg.shm): its
    messages and writer.

    Example: pymilk info cam0 --measure 5
    """
    with clean_exit(), warnings_as_lines():
        found = []
        for at, name in enumerate(matching(names, channels=True)):
            details, show = _details(name, seconds, as_json)
            found.append(details)
            if not as_json:
                if at:
                    click.echo()
                show(details)
        if as_json:
            print_json(found[0] if len(names) == len(found) == 1 else found)


def _details(
    name: str, seconds: float, quiet: bool
) -> tuple[dict[str, Any], Callable[[dict[str, Any]], None]]:
    """Return what is known of a recording, a channel or a stream, and how to print it."""
    if is_recording_name(name):
        return recording_details(name), _show_recording
    kind = channel_kind(name)
    if kind is not None:
        details = channel_details(channel_path(name, kind), kind)
        if "error" in details:
            raise ChannelError(details["error"], channel=details["name"], path=details["path"])
        return details, _show_channel
    with Stream.attach(name, writable=False, prefault=False) as stream:
        with bar_of_time(Console(stderr=True, quiet=quiet), "measuring", seconds):
            measured = measure_stream(stream, seconds) if seconds else None
        details = stream_details(stream)
        details["content_text"] = content_text(stream)
    details["measured"] = measured
    return details, _show


def _show_channel(details: dict[str, Any]) -> None:
    click.echo("\n".join(channel_lines([details])))


def _show_recording(details: dict[str, Any]) -> None:
    shape = "x".join(map(str, details["shape"]))
    facts = [
        ("files", ", ".join(details["paths"])),
        ("frames", f"{details['frames']} of {shape} {details['dtype']}"),
        ("complete", "yes" if details["complete"] else f"no: {details['missing']}"),
        ("stream", details["stream"] or NOTHING),
        ("ended", details["ended"] or NOTHING),
        ("axes", details["axes"] or NOTHING),
    ]
    if details["torn"]:
        facts.append(("torn", str(details["torn"])))
    if details["uncertain"]:
        facts.append(("uncertain", uncertain_text(details["uncertain"])))
    for label, text in facts:
        click.echo(clean(f"{label:<12}{text}"))
    _section("gaps", ("row", "lost", "before", "after"), ("row", "lost", "before", "after"), [
        tuple(map(str, gap)) for gap in details["gaps"]
    ])  # fmt: skip
    _section("keywords", ("keyword", "value", "comment"), (), [
        tuple(map(str, each)) for each in details["keywords"]
    ])  # fmt: skip


def _show(details: dict[str, Any]) -> None:
    for label, text in _facts(details):
        click.echo(clean(f"{label:<12}{text}"))
    for at, line in enumerate(details["orientation"]):
        click.echo(clean(f"{'' if at else 'orientation':<12}{line}"))
    _section("keywords", ("keyword", "value", "comment"), (), [
        (each["name"], str(each["value"]), each["comment"]) for each in details["keywords"]
    ])  # fmt: skip
    _section("semaphores", ("index", "value", "owner", "rung by"), ("index", "value"), [
        (str(each["index"]), str(each["value"]), process_text(each["owner_pid"], each["owner_alive"]),
         NOTHING if each["poster_pid"] is None else str(each["poster_pid"]))
        for each in details["semaphores"]
    ])  # fmt: skip
    _section("sections of the file", ("section", "offset", "bytes"), ("offset", "bytes"), [
        (each["name"], str(each["offset"]), str(each["nbytes"])) for each in details["sections"]
    ])  # fmt: skip
    _section("metadata as stored", ("field", "value"), (), [
        (name, "x".join(map(str, value)) if isinstance(value, tuple) else str(value))
        for name, value in details["metadata"].items()
    ])  # fmt: skip


def _facts(details: dict[str, Any]) -> list[tuple[str, str]]:
    measured = details["measured"]
    ring = f"{details['ring_kind']}, {details['ring']} slots" if details["ring"] else "none"
    used = ", ".join(map(str, details["used_by"])) or "no other process"
    facts = [
        ("stream", f"{details['name']}, {details['path']}"),
        ("frames", f"{'x'.join(map(str, details['frame_shape']))} {details['dtype']}"),
        ("file", f"{size_text(details['nbytes'])}, version {details['metadata']['version']}, "
                 f"{details['layout']} layout, inode {details['inode']}"),
        ("ring", ring),
        ("counter", f"{details['counter']}, last frame {_ago(details['age'])}"
                    f"{f'; {COUNTER_SET}' if details['counter_set'] else ''}"),
        ("written", f"{details['written_utc'] or 'no time stored'}, by process "
                    f"{process_text(details['writer_pid'], details['writer_alive'])}"),
        ("created", f"{details['created_utc'] or 'no time stored'}, by process {details['creator_pid']}"),
        ("readers", ", ".join(map(str, details["readers"])) or "no semaphore is held by a living process"),
        ("mapped by", used),
    ]  # fmt: skip
    if details["content_text"]:
        facts.insert(2, ("content", details["content_text"]))
    if measured is not None:
        facts.append(
            ("rate", f"{measured['rate']:.1f}/s: {measured['frames']} frames in {measured['seconds']:.2f} s")
        )
        if measured["counter_set"]:
            facts.append(("note", counter_set_text(measured["counter_set"])))
        if measured["intervals"]:
            facts.append(
                ("jitter", f"{measured['jitter_us']:.1f} us around {measured['mean_us']:.1f} us, "
                           f"from {measured['min_us']:.1f} to {measured['max_us']:.1f} us, "
                           f"{measured['intervals']} intervals")
            )  # fmt: skip
        facts.append(("write", _writing(measured)))
    return facts


def _writing(measured: dict[str, Any]) -> str:
    if not measured["writes"]:
        return "not seen: no frame came, its writer does not set the flag, or no core was free to watch it"
    return (
        f"{measured['write_p50_us']:.1f} us with the flag set, {measured['write_max_us']:.1f} us at most, "
        f"{measured['writes']} frames, to within {measured['write_error_us']:.2f} us"
    )


def _ago(age: float | None) -> str:
    return "never" if age is None else f"{age_text(age)} ago"


def _section(
    title: str, headings: tuple[str, ...], right: tuple[str, ...], rows: list[tuple[str, ...]]
) -> None:
    click.echo(f"\n{title}:" if rows else f"\n{title}: none")
    if rows:
        print_table(table_of(headings, rows, right=right))
