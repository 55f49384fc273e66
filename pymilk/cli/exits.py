"""How commands end: exit codes, messages on stderr, signals."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator

import click

from .._interpreter import let_interrupts_raise
from ..errors import StreamError
from ..system.causes import ended_resources
from ..system.files import NO_ROOM, file_error
from ..system.latch import Latch
from .output import print_error

__all__ = ["EXIT_INTERRUPTED", "EXIT_STREAM_ERROR", "clean_exit", "end_without_output", "told_to_end"]

#: Exit codes: 0 done, 1 a stream error (its message is on stderr), 2 wrong usage, 130 Ctrl-C, and, as shells
#: count, 143 SIGTERM, 129 SIGHUP.
EXIT_STREAM_ERROR = 1
EXIT_INTERRUPTED = 130
_EXIT_SIGNAL = 128

#: Errors of output: a full disk, a quota, a limit, a broken device.
_NO_OUTPUT = (*NO_ROOM, errno.EIO)


class _Ended(KeyboardInterrupt):
    """SIGTERM or SIGHUP arrived; handled like Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _leave_lost_terminal() -> None:
    """Discard further output if the terminal is gone, where writing would fail."""
    for descriptor in (1, 2):
        if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):  # or it is /dev/null
            _leave(descriptor)


def _leave(descriptor: int) -> None:
    """Discard further output to this descriptor."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextlib.contextmanager
def _upon(numbers: tuple[int, ...], act: Callable[[int], object]) -> Iterator[None]:
    """Handle these signals within a block.

    An ignored SIGHUP, as under nohup, stays ignored.
    """

    def handle(number: int, frame: object) -> None:
        if number == signal.SIGHUP:
            _leave_lost_terminal()
        act(number)

    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if number != signal.SIGHUP or handler != signal.SIG_IGN:
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_without_output(error: OSError) -> None:
    """End the program with a sentence if an error says that the output cannot be written; else return."""
    if error.errno not in _NO_OUTPUT:
        return
    _leave(1)  # flushing the rest of the buffer at exit would fail again
    with contextlib.suppress(OSError):
        click.echo(f"pymilk: the output cannot be written: {error.strerror or error}", err=True)
    sys.exit(EXIT_STREAM_ERROR)


@contextlib.contextmanager
def clean_exit() -> Iterator[None]:
    """Turn stream errors, Ctrl-C, SIGTERM and SIGHUP into a line on stderr and an exit code.

    The signals raise a KeyboardInterrupt in the block, so that it can clean up. Only the first one does: a
    closing terminal may send SIGHUP twice.
    """
    ended = False
    let_interrupts_raise()

    def end(number: int) -> None:
        nonlocal ended
        if not ended:
            ended = True
            raise _Ended(number)

    try:
        with _upon((signal.SIGTERM, signal.SIGHUP), end):
            yield
    except StreamError as error:
        print_error(error)
        sys.exit(EXIT_STREAM_ERROR)
    except _Ended as error:
        click.echo(f"pymilk: ended by {signal.Signals(error.number).name}", err=True)
        sys.exit(_EXIT_SIGNAL + error.number)
    except KeyboardInterrupt:
        click.echo("pymilk: interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except MemoryError:
        text = "there is no memory for this, or this process may not have so much (ulimit -v)"
        click.echo(f"pymilk: {text}", err=True)
        sys.exit(EXIT_STREAM_ERROR)
    except ImportError as error:  # no memory or no file descriptors for it; or it is damaged
        click.echo(f"pymilk: a library cannot be loaded: {error}", err=True)
        sys.exit(EXIT_STREAM_ERROR)
    except OSError as error:
        cause = ended_resources(error)
        if cause is not None:
            print_error(file_error(cause, str(cause.filename or "a file"), "opened"))
            sys.exit(EXIT_STREAM_ERROR)
        # Errors about streams and files are StreamErrors: this one is about the output.
        end_without_output(error)
        raise  # EPIPE among them: click ends quietly


@contextlib.contextmanager
def told_to_end(end: Latch) -> Iterator[None]:
    """Make SIGINT, SIGTERM and SIGHUP set an event only, so that running code is not interrupted."""
    with _upon((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda _: end.set()):
        yield
