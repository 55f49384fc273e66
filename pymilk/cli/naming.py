"""Names of streams on the command line: patterns, completion in the shell, names that were almost right."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

import click
from click.shell_completion import CompletionItem

from .._core import Stream
from ..channels.listing import list_channels
from ..errors import KeywordNotFoundError, StreamError, StreamNotFoundError
from ..foreign.hdus import split_hdu
from ..names import is_pattern, stream_directory
from ..streams.directory import list_streams

__all__ = [
    "close_names",
    "complete_streams",
    "complete_streams_or_files",
    "completes_channels",
    "matching",
]


def _streams() -> list[str]:
    return [entry["name"] for entry in list_streams() if "error" not in entry]


def _channels() -> list[str]:
    return [os.path.basename(entry["path"]) for entry in list_channels()]


def matching(names: Iterable[str], *, channels: bool = False) -> list[str]:
    """Put the names that match in the place of each pattern.

    Parameters
    ----------
    names : iterable of str
        Names, which are passed on as they are, and patterns.
    channels : bool, default False
        Patterns are for files of channels as well.

    Returns
    -------
    list of str
        Each once, those of a pattern sorted.

    Raises
    ------
    StreamNotFoundError
        Nothing matches a pattern.
    """
    found: dict[str, None] = {}
    for name in names:
        if not is_pattern(name) or os.path.isfile(split_hdu(name)[0]):
            found[name] = None
            continue
        known = sorted(_streams() + (_channels() if channels else []))
        fitting = [each for each in known if fnmatchcase(each, name)]
        if not fitting:
            folder = stream_directory()
            raise StreamNotFoundError(f"no stream in {folder} matches {name!r}", stream=name, path=folder)
        found.update(dict.fromkeys(fitting))
    return list(found)


def close_names(error: Exception) -> str:
    """Return what to add to a message about a missing stream or keyword.

    Channels of the name of the stream, or names like that of the stream, or of the keyword.
    """
    name = getattr(error, "stream", None)
    if isinstance(error, KeywordNotFoundError):
        return _proposal(str(error.keyword), _keywords(str(name)))
    if not isinstance(error, StreamNotFoundError) or not name or is_pattern(str(name)):
        return ""
    with contextlib.suppress(StreamError, OSError):
        channels = [os.path.basename(each["path"]) for each in list_channels() if each["name"] == str(name)]
        if channels:
            return f"; there is a channel of that name: {', '.join(channels)}"
        known = _streams()
        # The stream may be there, and something else is missing: the folder of its recording.
        return "" if str(name) in known else _proposal(str(name), known)
    return ""


def _keywords(stream: str) -> list[str]:
    with contextlib.suppress(StreamError, OSError), Stream.attach(stream, prefault=False) as found:
        return [str(each.name) for each in found.read_keywords()]
    return []


def _proposal(name: str, known: Iterable[str]) -> str:
    """Return the names like this one, as the end of a message; "" if there is none."""
    # Upper and lower case are no difference here: EXPTIME is meant by exptime.
    folded = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), folded, 3, 0.6)
    return f"; did you mean {' or '.join(folded[each] for each in close)}?" if close else ""


def complete_streams(
    context: click.Context, parameter: click.Parameter, start: str
) -> list[CompletionItem]:
    """Complete the name of a stream in the shell."""
    found: list[dict[str, Any]] = []
    with contextlib.suppress(StreamError, OSError):
        found = [entry for entry in list_streams() if "error" not in entry]
    return [
        CompletionItem(entry["name"], help=f"{'x'.join(map(str, entry['shape']))} {entry['dtype']}")
        for entry in found
        if entry["name"].startswith(start)
    ]


def complete_streams_or_files(
    context: click.Context, parameter: click.Parameter, start: str
) -> list[CompletionItem]:
    """Complete the name of a stream in the shell, or that of a file where no stream is called so."""
    return complete_streams(context, parameter, start) or [CompletionItem(start, type="file")]


def completes_channels(
    kind: str,
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return what completes the name of a channel of this kind in the shell."""

    def complete(context: click.Context, parameter: click.Parameter, start: str) -> list[CompletionItem]:
        names: list[str] = []
        with contextlib.suppress(StreamError, OSError):
            names = [each["name"] for each in list_channels() if each["kind"] == kind and "error" not in each]
        return [CompletionItem(name) for name in names if name.startswith(start)]

    return complete
