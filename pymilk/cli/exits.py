"""How commands end: exit codes, messages on stderr, signals."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from types import FrameType

import click

from .._interpreter import is_command
from ..errors import StreamError
from ..system.causes import ended_resources
from ..system.files import NO_ROOM, file_error
from ..system.latch import Latch
from ..system.signals import ENDS
from .output import print_error

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_STREAM_ERROR",
    "clean_exit",
    "end_without_output",
    "told_to_end",
    "until_interrupted",
]

#: Exit codes: 0 done, 1 a stream error (its message is on stderr), 2 wrong usage, 130 Ctrl-C, and, as shells
#: count, 143 SIGTERM, 129 SIGHUP.
EXIT_STREAM_ERROR = 1
EXIT_INTERRUPTED = 130
_EXIT_SIGNAL = 128

#: Seconds within which further signals say the same as the first one: a terminal that closes sends two, and
#: who presses Ctrl-C twice wants no clean-up to be torn apart.
_SAME_SECONDS = 2.0

#: Seconds after which an interrupt that got lost is raised again.
_AGAIN_SECONDS = 1.0

#: Errors of output: a full disk, a quota, a limit, a broken device.
_NO_OUTPUT = (*NO_ROOM, errno.EIO)


class _Ended(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP arrived; handled like Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Ending:
    """The signal that ends a command, and those behind it."""

    def __init__(self) -> None:
        self._same_until = 0.0
        self._inside = False
        self._early = self._number = 0
        self._raised: weakref.ref[_Ended] | None = None

    @property
    def begun(self) -> bool:
        """Whether a signal has come."""
        return self._same_until > 0

    def begins(self) -> bool:
        """Note a signal; returns whether it says more than the one before."""
        now = time.monotonic()
        if now < self._same_until:
            return False
        self._same_until = now + _SAME_SECONDS
        return True

    def interrupt(self, number: int) -> None:
        """Raise within the block; before and behind it, where nothing would catch that, keep the signal."""
        if self.begins():
            if self._inside:
                raise self._noted(_Ended(number))
            self._early = number

    def _noted(self, error: _Ended) -> _Ended:
        """Keep an eye on an interrupt that is raised; the caller keeps no reference to it."""
        self._number, self._raised = error.number, weakref.ref(error, self._gone)
        return error

    def _gone(self, _: object) -> None:
        """Set the alarm: the interrupt did its work, or came within a destructor, and got lost there."""
        if self._inside and is_command():
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)

    def heed(self) -> None:
        """The interrupt did its work: it is not lost when it goes."""
        self._raised = None

    def again(self, number: int, frame: object) -> None:
        """Interrupt what goes on: the alarm came."""
        if self._inside:
            raise self._noted(_Ended(self._number))

    def enter(self) -> None:
        """Begin the block: raise what came just before it."""
        self._inside = True
        if self._early:
            raise self._noted(_Ended(self._early))

    def leave(self) -> None:
        """End the block."""
        self._inside, self._early = False, 0
        if is_command():
            signal.setitimer(signal.ITIMER_REAL, 0)

    def act(self) -> None:
        """Let what came just behind the block act, by the handlers that are set now."""
        if self._early:
            signal.raise_signal(self._early)

    def wait_out(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal at the end of the process: it ends already."""
        if self.begins():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


def _say_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Say what got lost in a destructor, but not an interrupt, which is raised again."""
    if not isinstance(unraisable.exc_value, _Ended):
        sys.__unraisablehook__(unraisable)


#: That of the block of `clean_exit` which runs.
_running = _Ending()


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
def _upon(act: Callable[[int], object], ending: _Ending | None = None) -> Iterator[None]:
    """Handle the signals that end a command within a block.

    An ignored one stays ignored, as SIGHUP under nohup, and SIGINT of what a shell runs in the background.
    A command whose end has begun is not interrupted until its process has ended.
    """

    def handle(number: int, frame: object) -> None:
        if number == signal.SIGHUP:
            _leave_lost_terminal()
        act(number)

    found = {number: signal.getsignal(number) for number in ENDS}
    before = {number: handler for number, handler in found.items() if handler != signal.SIG_IGN}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        over = ending.wait_out if ending is not None and ending.begun and is_command() else None
        for number, handler in before.items():
            signal.signal(number, over or handler)


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

    The signals raise a KeyboardInterrupt in the block, so that it can clean up. Those that follow within two
    seconds, as from a second Ctrl-C, do not; later ones do, if it has not ended by then.
    """
    global _running
    ending = _running = _Ending()
    if is_command():
        signal.signal(signal.SIGALRM, ending.again)
        sys.unraisablehook = _say_unraisable
    with _upon(ending.interrupt, ending):
        try:
            with _told_errors():
                ending.enter()
                yield
        except _Ended as error:
            interrupted = error.number == signal.SIGINT
            name = signal.Signals(error.number).name
            click.echo(f"pymilk: {'interrupted' if interrupted else f'ended by {name}'}", err=True)
            sys.exit(_EXIT_SIGNAL + error.number)
        except KeyboardInterrupt:  # of a terminal, which had handlers of its own
            ending.begins()
            click.echo("pymilk: interrupted", err=True)
            sys.exit(EXIT_INTERRUPTED)
        finally:
            ending.leave()
    ending.act()


@contextlib.contextmanager
def _told_errors() -> Iterator[None]:
    """Turn errors into a line on stderr and an exit code."""
    try:
        yield
    except StreamError as error:
        print_error(error)
        sys.exit(EXIT_STREAM_ERROR)
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
def until_interrupted() -> Iterator[None]:
    """Let the interrupt that `clean_exit` raises end a block, and nothing behind it."""
    try:
        yield
    except KeyboardInterrupt:
        _running.heed()


@contextlib.contextmanager
def told_to_end(end: Latch) -> Iterator[None]:
    """Make SIGINT, SIGTERM and SIGHUP set an event only, so that running code is not interrupted."""

    def tell(number: int) -> None:
        _running.begins()
        end.set()

    with _upon(tell):
        yield
