"""Endurance: writers, readers, rings and a recorder for minutes, frames that check themselves, random kills.

    python benchmarks/soak.py --minutes 30

Every frame carries its number all over. Processes are killed with SIGKILL at random moments and started
again, streams are deleted, made anew and cut in use. Printed at the end: frames, what was lost and whether
the frames themselves say the same, torn frames that passed for whole (has to be 0), wrong numbers, crashes,
restarts, and what is left behind. Exit code 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import pymilk
from pymilk._core import FLAG_COUNTER_RESET, FLAG_NEW_FILE, FLAG_TORN, IMAGETYPES
from pymilk.bench.frames import SelfCheckingFrame, check_frames
from pymilk.errors import FrameTornWarning, StreamError, StreamTimeoutError

SHAPE = (120, 120)
DTYPE = np.dtype(np.uint16)
DEPTH = 512

#: What an actor counts, in memory that outlives it.
COUNTS = [
    "frames",
    "lost",
    "unexplained",  # lost, and the numbers in the frames say otherwise
    "torn_flagged",
    "torn_accepted",  # not whole, and not flagged
    "misnumbered",  # whole, under another number than it carries
    "restarts_survived",  # streams that were replaced, cut or deleted, and followed or attached anew
    "timeouts",
    "files",
]

#: stream, how it is made, and what works on it.
ACTORS = [
    ("plain", "write"),
    ("fast", "write"),
    ("temporal", "write"),
    ("plain", "capture"),
    ("plain", "get"),
    ("plain", "collect"),
    ("fast", "capture"),
    ("fast", "ring"),
    ("temporal", "ring"),
    ("fast", "record"),
]


class Counts:
    """The counts of one actor."""

    def __init__(self, table: Any, row: int) -> None:
        self._row = table[row]

    def add(self, name: str, amount: int = 1) -> None:
        """Count."""
        self._row[COUNTS.index(name)] += int(amount)


def open_counts(path: str, rows: int) -> Any:
    """Map the table of counts."""
    return np.memmap(path, np.int64, "r+", shape=(rows, len(COUNTS)))


# -- actors: each is a process of its own -----------------------------------------------------------


class Ended(Exception):
    """SIGTERM came."""


def on_term(number: int, frame: object) -> None:
    """End the actor."""
    raise Ended


def make(name: str) -> pymilk.Stream:
    """Make a stream, in the place of one that may be there."""
    if name == "temporal":
        kind = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]
        return pymilk.Stream.create(name, (DEPTH, *SHAPE), DTYPE, imagetype=kind, exist_ok=True)
    return pymilk.Stream.create(name, SHAPE, DTYPE, cb_size=DEPTH if name == "fast" else 0, exist_ok=True)


def write(name: str, rate: float, fresh: bool, counts: Counts) -> None:
    """Publish frames that carry the number they get; go on in a stream that is there."""
    frame = SelfCheckingFrame(SHAPE, DTYPE)
    while True:
        try:
            stream = make(name) if fresh else pymilk.Stream.attach(name)
        except StreamError:
            stream = make(name)
        fresh = True  # if this one is lost
        number, due = stream.counter + 1, time.monotonic()
        try:
            while True:
                number = stream.publish(frame.number(number)) + 1
                counts.add("frames")
                if stream.replaced():
                    break
                due = max(due + 1 / rate, time.monotonic() - 0.01)
                time.sleep(max(0.0, due - time.monotonic()))
        except StreamError:
            counts.add("restarts_survived")
        finally:
            stream.close()


class Judge:
    """Checks what a reader was given."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._last: int | None = None

    def new_stream(self) -> None:
        """Forget where the numbers were."""
        self._last = None

    def see(self, frames: Any, info: Any, intact: int | None = None) -> None:
        """Judge frames and their rows; `intact`: that many at the end are said to be whole in place."""
        numbers, whole = check_frames(np.ascontiguousarray(frames))
        said_whole = (info["flags"] & FLAG_TORN) == 0
        if intact is not None:
            said_whole[: len(frames) - intact] = False
        self._counts.add("frames", len(frames))
        self._counts.add("torn_flagged", (~said_whole).sum())
        self._counts.add("torn_accepted", (said_whole & ~whole).sum())
        self._counts.add("misnumbered", (said_whole & whole & (numbers != info["cnt0"])).sum())
        self._counts.add("lost", info["lost"].sum())
        for number, lost, flags, good in zip(
            numbers.tolist(), info["lost"].tolist(), info["flags"].tolist(), (said_whole & whole).tolist(),
            strict=True,
        ):
            if not good or flags & (FLAG_NEW_FILE | FLAG_COUNTER_RESET):
                self._last = None
                if not good:
                    continue
            elif self._last is not None:
                self._counts.add("unexplained", abs(number - self._last - 1 - lost))
            self._last = number


def attached(name: str) -> pymilk.SHM:
    """Attach a stream as soon as it is there."""
    while True:
        try:
            return pymilk.SHM(name)
        except StreamError:
            time.sleep(0.02)


def capture(name: str, counts: Counts) -> None:
    """Capture 300 frames at a time."""
    judge = Judge(counts)
    while True:
        shm = attached(name)
        try:
            while True:
                judge.new_stream()
                taken = shm.capture(300, timeout=2.0)
                judge.see(taken.frames, taken.info)
        except StreamTimeoutError as error:
            judge.see(error.capture.frames[: error.capture.received], error.capture.info)
            counts.add("timeouts")
        except StreamError:
            counts.add("restarts_survived")
        finally:
            shm.close()


def get(name: str, counts: Counts) -> None:
    """Wait for frames one by one."""
    while True:
        shm = attached(name)
        try:
            while True:
                with warnings.catch_warnings(record=True) as said:
                    warnings.simplefilter("always")
                    frame = shm.get_data(check=True, timeout=1.0)
                _, whole = check_frames(frame[np.newaxis])
                warned = any(issubclass(each.category, FrameTornWarning) for each in said)
                counts.add("frames")
                counts.add("torn_flagged", warned)
                counts.add("torn_accepted", not whole[0] and not warned)
        except StreamError:
            counts.add("restarts_survived")
        finally:
            shm.close()


def ring(name: str, counts: Counts, source: str = "auto") -> None:
    """Look at frames in place."""
    judge = Judge(counts)
    while True:
        shm = attached(name)
        judge.new_stream()
        try:
            with shm.ring_reader(depth=DEPTH, source=source) as reader:
                for block in reader.blocks(timeout=2.0):
                    frames = np.array(block.frames)
                    judge.see(frames, block.info, len(block) - block.overwritten)
        except StreamTimeoutError:
            counts.add("timeouts")
        except StreamError:
            counts.add("restarts_survived")
        finally:
            shm.close()


def record(name: str, counts: Counts, folder: Path) -> None:
    """Record to each format in turn, read the file, and judge it."""
    judge = Judge(counts)
    turn = 0
    while True:
        path = folder / f"soak{('.npy', '.fits', '.h5')[turn % 3]}"
        turn += 1
        try:
            pymilk.record(name, path, frames=500, timeout=2.0, force=True)
            recording = pymilk.load(path)
            judge.new_stream()
            judge.see(np.asarray(recording.frames).astype(DTYPE), recording.info)
            counts.add("files")
            del recording
        except StreamTimeoutError:
            counts.add("timeouts")
        except StreamError:
            counts.add("restarts_survived")
            time.sleep(0.05)


def act(options: argparse.Namespace) -> None:
    """Be one of the processes."""
    signal.signal(signal.SIGTERM, on_term)
    name, what = ACTORS[options.actor]
    counts = Counts(open_counts(options.counts, len(ACTORS)), options.actor)
    with contextlib.suppress(Ended):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # see Soak.start
        if what == "write":
            write(name, options.rate, options.fresh, counts)
        elif what == "capture":
            capture(name, counts)
        elif what == "get":
            get(name, counts)
        elif what == "record":
            record(name, counts, Path(options.folder))
        else:
            ring(name, counts, "collector" if what == "collect" else "auto")


# -- the process that starts and kills them ---------------------------------------------------------


@dataclass
class Life:
    """What a process that is spared has used: at 10 s of age, and when last looked at."""

    born: float
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None


@dataclass
class Result:
    """What a run came to."""

    seconds: float
    actors: dict[str, dict[str, int]] = field(default_factory=dict)
    killed: int = 0
    crashed: list[str] = field(default_factory=list)
    deleted: int = 0
    cut: int = 0
    longest_life_s: float = 0.0
    descriptors_gained: int = 0
    memory_gained_kib: int = 0
    temporary_files: int = 0
    semaphores_lost: int = 0

    @property
    def failures(self) -> list[str]:
        """Say what is not as it should be."""
        found = [f"{text} ({self.crashed.count(text)} times)" for text in dict.fromkeys(self.crashed)]
        for actor, counts in self.actors.items():
            for name in ("torn_accepted", "misnumbered", "unexplained"):
                if counts[name]:
                    found.append(f"{actor}: {name} {counts[name]}")
            if counts["frames"] == 0:
                found.append(f"{actor}: no frame")
        if self.descriptors_gained > 2:
            found.append(f"a process gained {self.descriptors_gained} descriptors")
        for name in ("temporary_files", "semaphores_lost"):
            if getattr(self, name):
                found.append(f"{name}: {getattr(self, name)}")
        return found

    def __str__(self) -> str:
        lines = [f"{self.seconds:.0f} s, {len(ACTORS)} processes", ""]
        head = ["actor", *COUNTS]
        rows = [head, *([name, *map(str, counts.values())] for name, counts in self.actors.items())]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines += [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        ]
        lines += [
            "",
            f"killed with SIGKILL and started again: {self.killed}; crashed: {len(self.crashed)}",
            f"streams deleted in use: {self.deleted}; cut in use: {self.cut}",
            f"those that were spared lived {self.longest_life_s:.0f} s, and gained after their first 10 s at "
            f"most {self.descriptors_gained} descriptors, {self.memory_gained_kib} KiB of memory",
            f"left behind: {self.temporary_files} temporary files, {self.semaphores_lost} semaphores",
            "",
            "as it should be" if not self.failures else "NOT as it should be: " + "; ".join(self.failures),
        ]
        return "\n".join(lines)


def usage(pid: int) -> tuple[int, int] | None:
    """Tell how many descriptors a process has, and how much memory of its own in KiB."""
    try:
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/status") as file:
            memory = next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))
    except (OSError, StopIteration):
        return None
    return descriptors, memory


class Soak:
    """The processes, and what happens to them."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.random = random.Random(options.seed)
        self.counts = str(folder / "counts")
        np.zeros((len(ACTORS), len(COUNTS)), np.int64).tofile(self.counts)
        self.processes: list[subprocess.Popen[str]] = []
        self.lives = [Life(0.0) for _ in ACTORS]
        self.result = Result(0.0)
        self.errors = [folder / f"errors-{i}" for i in range(len(ACTORS))]
        for i in range(len(ACTORS)):
            self.processes.append(self.start(i, fresh=True))
            if ACTORS[i][1] == "write":
                time.sleep(0.3)

    def start(self, actor: int, fresh: bool = False) -> subprocess.Popen[str]:
        """Start one process."""
        self.lives[actor] = Life(time.monotonic())
        command = [sys.executable, __file__, "--actor", str(actor), "--counts", self.counts]
        command += ["--rate", str(self.options.rate), "--folder", str(self.folder)]
        # The end may come before Python has started: SIGTERM waits until the actor knows what to do with it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            with open(self.errors[actor], "w") as errors:
                return subprocess.Popen(command + ["--fresh"] * fresh, stderr=errors, text=True)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def look(self) -> None:
        """Note crashes and what processes use, and start those that ended."""
        for i, process in enumerate(self.processes):
            life, age = self.lives[i], time.monotonic() - self.lives[i].born
            if process.poll() is not None:
                said = self.errors[i].read_text().strip().splitlines()[-1:]
                self.result.crashed.append(f"{' '.join(ACTORS[i])}: code {process.returncode} {said}")
                self.processes[i] = self.start(i, fresh=ACTORS[i][1] == "write")
            elif age > 10 and i in self.options.spared:
                life.last = usage(process.pid)
                life.first = life.first or life.last
                self.note(life)

    def note(self, life: Life) -> None:
        """Keep the most that a process gained."""
        result = self.result
        result.longest_life_s = max(result.longest_life_s, time.monotonic() - life.born)
        if life.first and life.last:
            result.descriptors_gained = max(result.descriptors_gained, life.last[0] - life.first[0])
            result.memory_gained_kib = max(result.memory_gained_kib, life.last[1] - life.first[1])

    def kill(self) -> None:
        """Kill one process, in the middle of whatever it does."""
        actor = self.random.randrange(len(ACTORS))
        if actor in self.options.spared:
            return
        self.processes[actor].kill()
        self.processes[actor].wait()
        self.result.killed += 1
        self.processes[actor] = self.start(actor)

    def delete(self) -> None:
        """Delete a stream in use, as `rm` does; its writer finds out and makes another one."""
        with contextlib.suppress(OSError):
            os.unlink(self.path())
            self.result.deleted += 1
            self.renew()

    def cut(self) -> None:
        """Cut a stream in use."""
        with contextlib.suppress(OSError):
            os.truncate(self.path(), self.random.choice([0, 200, 5000, 30_000]))
            self.result.cut += 1

    def path(self) -> Path:
        """Return the file of one of the streams."""
        return Path(os.environ["MILK_SHM_DIR"], f"{self.random.choice(ACTORS[:3])[0]}.im.shm")

    def renew(self) -> None:
        """Have the writers of streams that are gone make new ones."""
        for i, (name, what) in enumerate(ACTORS):
            if what == "write" and not Path(os.environ["MILK_SHM_DIR"], f"{name}.im.shm").exists():
                self.processes[i].kill()
                self.processes[i].wait()
                self.processes[i] = self.start(i, fresh=True)

    def run(self) -> Result:
        """Go on for as long as was asked for."""
        began = now = time.monotonic()
        end = began + self.options.minutes * 60
        next_kill = next_change = now
        next_word = now + 60
        while now < end:
            time.sleep(0.1)
            now = time.monotonic()
            self.look()
            if now > next_kill:
                self.kill()
                next_kill = now + self.random.uniform(0.2, 1.8) * self.options.kill_every
            if now > next_change:
                self.random.choice([self.delete, self.cut])()
                next_change = now + self.random.uniform(0.5, 1.5) * self.options.change_every
            if now > next_word and not self.options.json:
                print(f"{now - began:5.0f} s: {self.totals()}", file=sys.stderr, flush=True)
                next_word = now + 60
        self.stop()
        self.result.seconds = time.monotonic() - began
        return self.result

    def totals(self) -> dict[str, int]:
        """Add up what all actors counted so far."""
        table = open_counts(self.counts, len(ACTORS))
        return dict(zip(COUNTS, (int(total) for total in table.sum(axis=0)), strict=True))

    def stop(self) -> None:
        """End everything, and see what is left."""
        for process in self.processes:
            process.terminate()
        for i, process in enumerate(self.processes):
            try:
                code = process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = "none: it did not end"
            if code != 0:
                said = self.errors[i].read_text().strip().splitlines()[-1:]
                self.result.crashed.append(f"{' '.join(ACTORS[i])} at the end: code {code} {said}")
        table = open_counts(self.counts, len(ACTORS))
        for (name, what), row in zip(ACTORS, table.tolist(), strict=True):
            self.result.actors[f"{name} {what}"] = dict(zip(COUNTS, row, strict=True))
        directory = Path(os.environ["MILK_SHM_DIR"])
        for name in ("plain", "fast", "temporal"):
            with contextlib.suppress(StreamError):
                stream = pymilk.Stream.attach(name)
                # A killed reader gave nothing back: newcomers have to get all of them.
                readers = [stream.reader() for _ in range(stream.nbsem)]
                for reader in readers:
                    with contextlib.suppress(StreamTimeoutError):
                        reader.wait(0)
                self.result.semaphores_lost += sum(reader.sem_index is None for reader in readers)
                stream.close()
            # Whoever makes a stream clears away what those who died left of theirs.
            with contextlib.suppress(StreamError):
                make(name).destroy()
        pymilk.remove_stale()
        self.result.temporary_files = sum(path.name.startswith(".") for path in directory.iterdir())


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=500.0, help="frames per second of each writer")
    parser.add_argument("--kill-every", type=float, default=2.0, help="seconds between kills, on average")
    parser.add_argument("--change-every", type=float, default=10.0, help="seconds between changes")
    parser.add_argument("--spare", type=int, nargs="*", dest="spared", default=[3, 7],
                        help="actors that are never killed, to see what they gain over time")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--actor", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--counts", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--fresh", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.actor is not None:
        act(options)
        return 0
    root = "/dev/shm" if os.path.isdir("/dev/shm") else None
    os.environ["MILK_SHM_DIR"] = tempfile.mkdtemp(prefix="pymilk-soak-", dir=root)
    folder = Path(tempfile.mkdtemp(prefix="pymilk-soak-"))
    try:
        result = Soak(options, folder).run()
    finally:
        shutil.rmtree(os.environ["MILK_SHM_DIR"])
        shutil.rmtree(folder)
    if options.json:
        print(json.dumps({**asdict(result), "failures": result.failures}, indent=2))
    else:
        print(result)
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
