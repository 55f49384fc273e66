"""Sentences about lost frames: why they are missing, and what to do. Reports and the benchmark share them."""

from __future__ import annotations

import os
import textwrap

import numpy as np

from ._types import Array

__all__ = [
    "SHORT_GAP",
    "WHOLE_CORE",
    "WORTH",
    "away",
    "away_text",
    "deeper",
    "few_cores",
    "gap_reasons",
    "left_out",
    "not_keeping_up",
    "not_the_reader",
    "overrun",
    "overwritten",
    "published_rate",
    "rate_text",
    "relay_reasons",
    "ring_reasons",
    "to_do",
    "too_slow",
    "wrapped",
]

#: Gaps up to so many frames come from a reader that is too slow, longer ones from one that was away.
SHORT_GAP = 2

#: Share of the missing frames from which on a cause is mentioned.
WORTH = 0.2

#: Share of its core from which on a thread is taken to have had no time left.
WHOLE_CORE = 0.9

#: A reader that is back from being away finds a frame of any age, up to the time that a frame lasts. One that
#: is younger than this share of it was taken by a reader that waited for it.
_YOUNG = 0.1

#: Gaps in front of young frames that are too many to be chance, together with the half of all gaps.
_NOT_CHANCE = 4

#: What to do for a thread that was interrupted.
_PIN = "give its thread a core (cpu=, --cpu) and a real-time priority (priority=, --priority)"

#: What makes gaps besides, where the frames themselves are not looked at.
_OR_THE_WRITER = "Or the writer left numbers out, or published several frames at once: a capture tells."

#: Width of sentences as plain text.
_TEXT_WIDTH = 118


def wrapped(sentence: str, width: int = _TEXT_WIDTH) -> str:
    """Return a sentence in lines for a terminal, of `width` columns if it is narrow."""
    width = max(20, min(width, _TEXT_WIDTH))
    return textwrap.fill(sentence, width, subsequent_indent="  ", break_on_hyphens=False)


def rate_text(rate: float) -> str:
    """Return a number of frames per second as text, without a unit."""
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.3g}"


def away_text(who: str, milliseconds: float, frames: int, rate: float) -> str:
    """Return for how long a reader did not look; without a full stop."""
    return f"{who} was away for up to {milliseconds:.1f} ms ({frames} frames at {rate_text(rate)}/s)"


def too_slow(short: int, missing: int, rate: float, asked: float, late: dict[str, float]) -> str:
    """Return that frames are missing alone or in pairs; without a full stop.

    Parameters
    ----------
    short, missing : int
        Frames in short gaps, and all that are missing.
    rate, asked : float
        Frames per second reached by the writer, and those it was to reach.
    late : dict
        Percentiles ``p50`` and ``p99`` of the latency in microseconds; empty where it is not known.
    """
    said = (
        f"{short} of the {missing} frames are missing alone or in pairs: the reader was not away, but "
        f"too slow. At {rate_text(rate)}/s a frame lasts {1e6 / asked:.0f} us"
    )
    if late:
        said += (
            f", and half of those that came were {late['p50']:.0f} us late or more, 1 of 100 "
            f"{late['p99']:.0f} us"
        )
    return said


def not_the_reader(gaps: Array, ages: Array, usual: float, period: float) -> Array:
    """Return which gaps the reader did not make: it waited for the frames behind them.

    Parameters
    ----------
    gaps : ndarray of int
        Frames missing in each gap.
    ages : ndarray of float
        Microseconds from when the frame behind each gap was written to its arrival; NaN: not known.
    usual : float
        Median of that of all frames.
    period : float
        Microseconds that a frame lasts.

    Returns
    -------
    ndarray of bool
        All False where a few young frames may be chance, or the reader is slow in any case.
    """
    young = ages < _YOUNG * period
    found = int(young.sum())
    sure = found >= _NOT_CHANCE and 2 * found >= len(gaps) and usual < _YOUNG * period
    return young if sure else np.zeros(len(gaps), bool)


def left_out(frames: int, missing: int, age: float, period: float) -> str:
    """Return that frames are missing which the reader waited for, and what may help."""
    return (
        f"{frames} of the {missing} frames are missing although the reader waited: it had "
        f"the frames behind these gaps {age:.0f} us after they were written, while a frame lasts "
        f"{period:.0f} us. The writer left numbers out, or published several frames at once, as after a "
        "pause of its own; a ring in the stream keeps the latter. Where a ring_reader collected them, its "
        "ring may have been overrun instead: its own report tells."
    )


def not_keeping_up(ring: str, share: float, rate: float) -> str:
    """Return that a reader of a ring needed more than its core."""
    return (
        f"The reader of the {ring} ring used {share:.0%} of a core and did not keep up with "
        f"{rate_text(rate)}/s; a deeper ring only delays that."
    )


def overrun(ring: str, late: int, rate: float, depth: int, advice: str) -> str:
    """Return that a reader of a ring was late by so many frames, and what to do."""
    time = f" ({late / rate:.3g} s at {rate_text(rate)}/s)" if rate > 0 else ""
    return (
        f"The {ring} ring was overrun: its reader was late by {late} frames{time}, and it has {depth} slots; "
        f"{advice}."
    )


def ring_reasons(ring: str, lost: int, rate: float, depth: int, full: bool | None = None) -> list[str]:
    """Return why a reader of a ring has lost frames, and what to do.

    Parameters
    ----------
    ring : {"fast", "temporal", "collector"}
    lost : int
    rate : float
        Frames per second of the writer; 0: not known.
    depth : int
        Slots.
    full : bool, optional
        Whether the ring was seen full. If that is not known, both causes are named for a collector.

    Returns
    -------
    list of str
        Sentences; empty if nothing was lost.
    """
    if not lost:
        return []
    holds = f" ({depth / rate:.3g} s at {rate_text(rate)}/s)" if rate > 0 else ""
    late = f"its reader was late by more than its {depth} slots{holds}"
    overran = f"he {ring} ring was overrun: {late}; read sooner, or {deeper(ring, 2 * depth)}."
    if full:
        return [f"T{overran}"]
    if ring != "collector":
        if full is None:
            return [f"Either t{overran}", "Or the writer left numbers out: a capture tells."]
        return [
            f"The {ring} ring was never full, so its reader was in time: the writer left numbers out, or the "
            "stream was made anew and these came before it was attached again."
        ]
    away = f"he collector was away from the plain stream.{to_do(few_cores(_cores()), _PIN)}"
    return [*([f"T{away}"] if full is not None else [f"Either t{overran}", f"Or t{away}"]), _OR_THE_WRITER]


def relay_reasons(lost: int, share: float) -> list[str]:
    """Return why a relay has lost frames, with `share` of a core used, and what to do."""
    if not lost:
        return []
    if share > WHOLE_CORE:
        said = f"The relay used {share:.0%} of a core and did not keep up with its stream."
        return [f"{said}{to_do('publish smaller or fewer frames')}"]
    said = "The relay was away from the plain stream, or frames were torn while it copied them."
    return [f"{said}{to_do(few_cores(_cores()), _PIN)}", _OR_THE_WRITER]


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def deeper(ring: str, depth: int) -> str:
    """Return how to get a ring of that depth: a collector is the reader's, other rings are the writer's."""
    if ring == "collector":
        return f"take depth={depth} (--ring {depth})"
    return f"let the writer of the stream make a ring of {depth} slots"


def few_cores(cores: int) -> str:
    """Return what to do if a process may use two cores or fewer; "" with more."""
    if cores > 2:
        return ""
    return (
        f"this process may use {cores} core{'s' if cores > 1 else ''} for writer, reader and everything "
        "else: give it more"
    )


def to_do(*wanted: str) -> str:
    """Return what to do as the last sentence, with a blank before it; "" if there is nothing."""
    left = [each for each in wanted if each]
    return f" To do: {'; '.join(left)}." if left else ""


def away(who: str, milliseconds: float, frames: int, rate: float, *wanted: str) -> str:
    """Return for how long a reader did not look, and what to do about it."""
    said = away_text(who, milliseconds, frames, rate)
    return f"{said}.{to_do(few_cores(_cores()), *wanted)}"


def gap_reasons(
    who: str, gaps: Array, ages: Array, rate: float, late: dict[str, float], *wanted: str
) -> list[str]:
    """Return why frames of a plain stream are missing, and what to do.

    Parameters
    ----------
    who : str
        The reader, as the beginning of a sentence.
    gaps : ndarray of int
        Frames missing in each gap.
    ages : ndarray of float
        See `not_the_reader`.
    rate : float
        Of `published_rate`.
    late : dict
        See `too_slow`.
    *wanted
        What to do if the reader was away.

    Returns
    -------
    list of str
        Sentences; empty if nothing is missing.
    """
    missing = int(gaps.sum())
    if not missing:
        return []
    if not rate > 0:
        return [f"{missing} frames are missing, and too few came to tell why."]
    found = []
    period = 1e6 / rate
    others = not_the_reader(gaps, ages, late.get("p50", np.nan), period)
    if others.any():
        age = float(np.median(ages[others]))
        found.append(left_out(int(gaps[others].sum()), missing, age, period))
        gaps = gaps[~others]
    short = int(gaps[gaps <= SHORT_GAP].sum())
    longest = int(gaps.max(initial=0))
    if int(gaps.sum()) - short >= WORTH * missing:
        found.append(away(who, longest / rate * 1e3, longest, rate, *wanted))
    if short >= WORTH * missing:
        spin = 'wait="spin" (--wait spin) sees them sooner, for a core of its own'
        found.append(f"{too_slow(short, missing, rate, rate, late)}; {spin}.")
    return found


def overwritten(gaps: Array, ages: Array, rate: float) -> list[str]:
    """Return why frames of a ring are missing, and what to do.

    Parameters
    ----------
    gaps, ages : ndarray
        See `not_the_reader`. A reader that was overrun finds frames that are as old as those it keeps.
    rate : float
        Of `published_rate`.

    Returns
    -------
    list of str
        Sentences; empty if nothing is missing.
    """
    missing, found = int(gaps.sum()), []
    period = 1e6 / rate if rate > 0 else 0.0
    others = (ages < period) & (gaps > 0)
    if others.any():
        age = float(np.median(ages[others]))
        found.append(
            f"{int(gaps[others].sum())} of the {missing} frames are missing by what the writer did: it left "
            f"their numbers out. The reader had the frames behind these gaps {age:.0f} us after they were "
            f"written, while a frame lasts {period:.0f} us: the ring was not overrun."
        )
    longest = int(gaps[~others].max(initial=0))
    if longest:
        time = f" ({longest / rate:.3g} s at {rate_text(rate)}/s)" if rate > 0 else ""
        found.append(
            f"The ring was overrun: frames were overwritten before they were read, up to {longest} in a "
            f"row{time}; read sooner, or from a deeper ring."
        )
    return found


def published_rate(rate: float, received: int, missing: int) -> float:
    """Return the writer's frames per second, from those that came and those that did not; 0: not known."""
    between = received - 1
    return rate * (between + missing) / between if between > 0 and rate == rate else 0.0
