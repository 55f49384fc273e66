"""The writer of a benchmark: a process that publishes frames at a steady rate, and says how steady it was.

`BenchWriter` runs `main` in a process of its own. Orders come as lines of JSON on its standard input, answers
go to its standard output. It deletes its stream when it ends in any way, and also the directory of the stream
if its parent is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import errors
from .._core import IMAGETYPES, Stream
from ..errors import StreamError, StreamPermissionError, StreamTimeoutError
from ..system.signals import held_signals, unbroken
from ..system.threads import check_scheduling, schedule_thread
from .frames import SelfCheckingFrame

__all__ = ["COMMAND", "KINDS", "BenchWriter", "WriterDied"]

#: Command that starts a writer; options follow.
COMMAND = (sys.executable, "-c", "from pymilk.bench.writer import main; main()")

#: Kinds of streams.
KINDS = ("plain", "fast", "temporal")

#: Nanoseconds before a frame is due from which on the writer watches the clock instead of sleeping.
_SPIN_NS = 100_000

#: Nanoseconds between two checks whether the parent is alive.
_LOOK_NS = 200_000_000

#: Seconds that the process may take to start, and to end.
_START_SECONDS = 20.0
_END_SECONDS = 0.5

#: File with the time of each frame, beside the stream: nanoseconds of CLOCK_MONOTONIC.
_TIMES = "published.bin"


class WriterDied(StreamError):
    """The writer ended before it was told to; the message says how."""


class BenchWriter:
    """A writer process, and the pipe to it.

    Parameters
    ----------
    folder : Path
        Private directory for the stream. The writer removes it if the parent dies.
    kind : {"plain", "fast", "temporal"}
    shape : (int, int)
    dtype : dtype
    depth : int
        Slots of the ring; not used for "plain".
    cpu, priority : int, optional
        Core and SCHED_FIFO priority of the process.

    Attributes
    ----------
    path : Path
        The stream.

    Raises
    ------
    StreamError
        The process could not create its stream.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        depth: int,
        cpu: int | None = None,
        priority: int | None = None,
    ) -> None:
        self.path = folder / f"bench_{kind}.im.shm"
        self._heard = b""
        options = [f"--kind={kind}", f"--shape={shape[0]}x{shape[1]}", f"--dtype={dtype.str}"]
        options += [f"--depth={depth}", f"--parent={os.getpid()}"]
        options += [] if cpu is None else [f"--cpu={cpu}"]
        options += [] if priority is None else [f"--priority={priority}"]
        with contextlib.ExitStack() as undo:
            with held_signals():  # until it is sure to be ended
                self._process = subprocess.Popen(
                    [*COMMAND, str(self.path), *options],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    # Safe path: a checkout in the working directory must not hide the installed package.
                    env={**os.environ, "PYTHONSAFEPATH": "1"},
                    # Ctrl-C in a terminal goes to the parent only, which ends the writer after the account.
                    start_new_session=True,
                )
                undo.callback(unbroken, self.end)
            self._begin()
            undo.pop_all()

    def _begin(self) -> None:
        """Wait until the stream is there."""
        answer = None
        deadline = time.monotonic() + _START_SECONDS
        while answer is None:
            if time.monotonic() > deadline:
                raise StreamTimeoutError(
                    f"the writer process did not make its stream within {_START_SECONDS:g} s",
                    stream=self.path.name,
                    timeout=_START_SECONDS,
                )
            try:
                answer = self.answer(0.1)
            except WriterDied as died:
                raise StreamError(f"the writer process did not start: {died}") from None
        if "error" in answer:
            raise getattr(errors, answer["error"])(answer["message"], **answer["attributes"])

    @property
    def pid(self) -> int:
        """Process number."""
        return self._process.pid

    def go(self, rate: float, count: int, seconds: float) -> None:
        """Have it publish `count` frames, or fewer if they take longer than `seconds`."""
        pipe = self._process.stdin
        assert pipe is not None
        order = {"rate": rate, "count": count, "seconds": seconds}
        if not pipe.closed:
            with contextlib.suppress(BrokenPipeError):  # it died; answer() tells
                pipe.write(json.dumps(order).encode() + b"\n")
                pipe.flush()

    def answer(self, timeout: float) -> dict[str, Any] | None:
        """Return its next answer, or None if there is none within `timeout` seconds.

        Raises
        ------
        WriterDied
        """
        pipe = self._process.stdout
        assert pipe is not None
        ready = select.poll()  # select.select takes no descriptors from 1024 on
        ready.register(pipe, select.POLLIN)
        while b"\n" not in self._heard:
            if not ready.poll(max(0.0, timeout) * 1000):
                return None
            piece = os.read(pipe.fileno(), 65536)
            if not piece:
                raise WriterDied(self._last_words())
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def published_ns(self) -> npt.NDArray[np.int64]:
        """Return when each frame of the last order was out: nanoseconds of CLOCK_MONOTONIC."""
        return np.fromfile(self.path.parent / _TIMES, np.int64)

    def _last_words(self) -> str:
        _, said = self._process.communicate()
        code = self._process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        lines = said.decode(errors="replace").strip().splitlines()
        return f"it ended with {how}" + (f": {lines[-1]}" if lines else "")

    def end(self) -> None:
        """End the process, within a second, and reap it."""
        process = self._process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


# -- the process -------------------------------------------------------------------------------------


def _create(path: Path, kind: str, shape: tuple[int, int], dtype: np.dtype[Any], depth: int) -> Stream:
    if kind == "temporal":
        circular = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]
        return Stream.create(path, (depth, *shape), dtype, imagetype=circular)
    return Stream.create(path, shape, dtype, cb_size=depth if kind == "fast" else 0)


class _Pacer:
    """Publishes numbered frames at their times."""

    def __init__(self, stream: Stream, parent: int) -> None:
        self._stream = stream
        self._parent = parent
        self._frame = SelfCheckingFrame(stream.frame_shape, stream.dtype)

    def warm_up(self, count: int) -> None:
        """Publish frames as fast as possible, so that all pages are there."""
        for n in range(self._stream.counter + 1, self._stream.counter + 1 + count):
            self._stream.publish(self._frame.number(n))

    def run(self, rate: float, count: int, seconds: float) -> tuple[dict[str, Any], npt.NDArray[np.int64]]:
        """Publish; returns the report and the times of the frames.

        A frame is prepared before it is due, as in a camera. A frame that is late by more than an interval
        shifts the following ones: there are no bursts.
        """
        number, clock, sleep = self._frame.number, time.monotonic_ns, time.sleep
        publish = self._stream.publish
        times = np.zeros(count, np.int64)
        lateness = np.zeros(count, np.int64)
        interval = round(1e9 / rate)
        first = n = self._stream.counter + 1
        done = 0
        usage = resource.getrusage(resource.RUSAGE_SELF)
        began = clock()
        due = began + 2_000_000
        end = began + round(seconds * 1e9)
        look = min(began + _LOOK_NS, end)
        while done < count:
            frame = number(n)
            now = clock()
            while due - now > _SPIN_NS and now < look:
                sleep(max(0, min(due, look) - _SPIN_NS - now) / 1e9)
                now = clock()
            if now >= look:
                if now >= end:
                    break
                look = min(now + _LOOK_NS, end)
                self._check_parent()
                continue
            while now < due:
                now = clock()
            counter = publish(frame)
            times[done] = clock()
            lateness[done] = now - due
            if counter != n:
                raise StreamError(
                    f"{self._stream.name!r}: frame {n} was counted as {counter}: another writer is here"
                )
            done += 1
            n += 1
            due = due + interval if now - due < interval else now + interval
        used = resource.getrusage(resource.RUSAGE_SELF)
        times = times[:done]
        late_us = lateness[:done] / 1e3
        took = (int(times[-1]) - int(times[0])) / 1e9 if done > 1 else 0.0
        pauses = np.diff(times)
        return {
            "first": first,
            "published": done,
            "rate": (done - 1) / took if took > 0 else float(done),
            "late_p50_us": round(float(np.median(late_us)), 3) if done else 0.0,
            "late_p99_us": round(float(np.percentile(late_us, 99)), 3) if done else 0.0,
            "longest_holdup_us": round(max(0, int(pauses.max()) - interval) / 1e3, 3) if done > 1 else 0.0,
            "cpu_share": (
                used.ru_utime + used.ru_stime - usage.ru_utime - usage.ru_stime
            ) / max((clock() - began) / 1e9, 1e-9),
            "preempted": used.ru_nivcsw - usage.ru_nivcsw,
        }, times

    def _check_parent(self) -> None:
        if os.getppid() != self._parent:
            raise EOFError


def _say(**answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _terminated(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not interrupt the clean-up
    raise SystemExit(0)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench writer", description=__doc__)
    parser.add_argument("path", type=Path, help="stream file to make")
    parser.add_argument("--kind", choices=KINDS, default="plain")
    parser.add_argument("--shape", default="120x120", help="HEIGHTxWIDTH")
    parser.add_argument("--dtype", default="uint16")
    parser.add_argument("--depth", type=int, default=1024, help="slots of the ring")
    parser.add_argument("--cpu", type=int, help="core to run on")
    parser.add_argument("--priority", type=int, help="SCHED_FIFO priority")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="ends with this process")
    return parser.parse_args(arguments)


def _serve(chosen: argparse.Namespace) -> None:
    """Make the stream, and publish as told until the input ends; EOFError if the parent is gone."""
    height, _, width = chosen.shape.partition("x")
    shape, path = (int(height), int(width)), chosen.path
    try:
        check_scheduling(chosen.cpu, chosen.priority)
        refused = schedule_thread(chosen.cpu, chosen.priority)
        if refused:
            raise StreamPermissionError(f"the writer: {refused}", path=str(path))
        stream = _create(path, chosen.kind, shape, np.dtype(chosen.dtype), chosen.depth)
    except StreamError as error:
        attributes = {field: getattr(error, field) for field in error.fields}
        shown = {key: value for key, value in attributes.items() if isinstance(value, (int, str))}
        _say(error=type(error).__name__, message=str(error), attributes=shown)
        return
    try:
        pacer = _Pacer(stream, chosen.parent)
        pacer.warm_up(2 if chosen.kind == "plain" else chosen.depth + 1)
        gc.collect()
        gc.disable()
        _say(ready=stream.counter)
        for line in sys.stdin:
            report, times = pacer.run(**json.loads(line))
            times.tofile(path.parent / _TIMES)
            _say(**report)
        raise EOFError  # the parent ends its writers with a signal; it is gone
    finally:
        stream.destroy()
        with contextlib.suppress(FileNotFoundError):
            os.remove(path.parent / _TIMES)


def main(arguments: list[str] | None = None) -> None:
    """Run the process."""
    chosen = _parse(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        _serve(chosen)
    except (EOFError, BrokenPipeError):
        # The parent is gone and cannot do it.
        with contextlib.suppress(OSError):
            os.rmdir(chosen.path.parent)


if __name__ == "__main__":
    main()
