"""How commands end: their exit codes, and what is said on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click

from ..errors import StreamError
from .output import print_error

__all__ = ["EXIT_INTERRUPTED", "EXIT_STREAM_ERROR", "clean_exit"]

#: Exit codes: 0 done, 1 a stream error (its message is on stderr), 2 wrong usage, 130 Ctrl-C.
EXIT_STREAM_ERROR = 1
EXIT_INTERRUPTED = 130


@contextlib.contextmanager
def clean_exit() -> Iterator[None]:
    """Turn stream errors and Ctrl-C into a line on stderr and an exit code."""
    try:
        yield
    except StreamError as error:
        print_error(error)
        sys.exit(EXIT_STREAM_ERROR)
    except KeyboardInterrupt:
        click.echo("pymilk: interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
