"""What is known of a stream, a recording or a channel, as lines of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core import Stream
from ..channels.listing import content_text
from ..inspection import measure_stream, stream_details
from ..reports import COUNTER_SET, counter_set_text, uncertain_text
from .output import NOTHING, age_text, channel_lines, clean, process_text, size_text, table_of
from .tables import Table

__all__ = ["channel_report", "recording_report", "stream_report", "watched_details"]

#: Most gaps of a recording that are shown: a screen of them.
GAPS_SHOWN = 20

#: Turns a table into lines: as wide as the place where they are shown, in its colours.
Drawn = Callable[[Table], list[str]]


def watched_details(stream: Stream, seconds: float) -> dict[str, Any]:
    """Describe a stream in full, and how it went on while it was watched.

    Parameters
    ----------
    stream : Stream
        May be attached read-only.
    seconds : float
        0: it is not watched.

    Returns
    -------
    dict
        As `stream_details`, and ``measured`` (as `measure_stream`, or None) and ``content_text``.
    """
    measured = measure_stream(stream, seconds) if seconds else None
    return {**stream_details(stream), "content_text": content_text(stream), "measured": measured}


def channel_report(details: dict[str, Any], drawn: Drawn) -> list[str]:
    """Return a line about a channel."""
    return channel_lines([details])


def recording_report(details: dict[str, Any], drawn: Drawn) -> list[str]:
    """Return what `recording_details` tells as lines."""
    shape = "x".join(map(str, details["shape"]))
    facts = [
        ("files", ", ".join(details["paths"])),
        ("frames", f"{details['frames']} of {shape} {details['dtype']}"),
        ("complete", "yes" if details["complete"] else f"no: {details['missing']}"),
        ("stream", details["stream"] or NOTHING),
        ("ended", details["ended"] or NOTHING),
        ("axes", details["axes"] or NOTHING),
    ]
    if details["times"]:
        first, last = details["times"]
        facts.append(("times", f"{first} to {last} UTC"))
    if details["times_in"]:
        facts.append(("for others", f"times: {details['times_in']}"))
    if details["torn"]:
        facts.append(("torn", str(details["torn"])))
    if details["uncertain"]:
        facts.append(("uncertain", uncertain_text(details["uncertain"])))
    lines = [clean(f"{label:<12}{text}") for label, text in facts]
    lines += _section(drawn, "keywords", ("keyword", "value", "comment"), (), [
        tuple(map(str, each)) for each in details["keywords"]
    ])  # fmt: skip
    gaps = details["gaps"]
    shown = gaps if len(gaps) <= GAPS_SHOWN else sorted(sorted(gaps, key=_lost, reverse=True)[:GAPS_SHOWN])
    title = "gaps" if len(shown) == len(gaps) else f"the {len(shown)} largest of {len(gaps)} gaps"
    lines += _section(drawn, title, ("row", "lost", "before", "after"), ("row", "lost", "before", "after"), [
        (str(row), str(lost), str(before) if row else NOTHING, str(after))
        for row, lost, before, after in shown
    ])  # fmt: skip
    if shown:
        more = "" if len(shown) == len(gaps) else "; --json has every gap"
        lines.append(f"{sum(map(_lost, gaps))} frames are missing in all{more}")
    return lines


def _lost(gap: list[int]) -> int:
    """Return how many frames are missing in a gap of `recording_details`."""
    return gap[1]


def stream_report(details: dict[str, Any], drawn: Drawn) -> list[str]:
    """Return what `watched_details` tells as lines."""
    lines = [clean(f"{label:<12}{text}") for label, text in _facts(details)]
    for at, line in enumerate(details["orientation"]):
        lines.append(clean(f"{'' if at else 'orientation':<12}{line}"))
    lines += _section(drawn, "keywords", ("keyword", "value", "comment"), (), [
        (each["name"], str(each["value"]), each["comment"]) for each in details["keywords"]
    ])  # fmt: skip
    lines += _section(drawn, "semaphores", ("index", "value", "owner", "rung by"), ("index", "value"), [
        (str(each["index"]), str(each["value"]), process_text(each["owner_pid"], each["owner_alive"]),
         NOTHING if each["poster_pid"] is None else str(each["poster_pid"]))
        for each in details["semaphores"]
    ])  # fmt: skip
    lines += _section(drawn, "sections of the file", ("section", "offset", "bytes"), ("offset", "bytes"), [
        (each["name"], str(each["offset"]), str(each["nbytes"])) for each in details["sections"]
    ])  # fmt: skip
    lines += _section(drawn, "metadata as stored", ("field", "value"), (), [
        (name, "x".join(map(str, value)) if isinstance(value, tuple) else str(value))
        for name, value in details["metadata"].items()
    ])  # fmt: skip
    return lines


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
    drawn: Drawn, title: str, headings: tuple[str, ...], right: tuple[str, ...], rows: list[tuple[str, ...]]
) -> list[str]:
    if not rows:
        return ["", f"{title}: none"]
    return ["", f"{title}:", *drawn(table_of(headings, rows, right=right))]
