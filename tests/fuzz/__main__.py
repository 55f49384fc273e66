"""Run the fuzz target with very many files, or with some of somebody's own.

    python -m fuzz run --count 1000000 --seed 1      # in a process that is replaced when it dies
    python -m fuzz files SOME.im.shm A.fps.shm ...   # as they are, all parts
    python -m fuzz files --mutate 1000 SOME.im.shm   # and damaged in a thousand ways
    python -m fuzz shrink FOUND.bin --to SMALL.bin   # the least that still does it
    python -m fuzz guided CORPUS [libFuzzer options] # guided by coverage; needs atheris

Run in the directory ``tests``. docs/reliability.md says how to build the core with sanitizers.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzz.kinds import Kind

#: Exit code of a worker that found something, and saved it.
FOUND = 3

#: A worker that says nothing for so long hangs.
HANGS = 60.0


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a stream directory that is gone afterwards, and make it the one in use."""
    root = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder = Path(tempfile.mkdtemp(prefix="pymilk-fuzz-", dir=root))
    os.environ["MILK_SHM_DIR"] = str(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def work(seed: str, first: int, end: int, seconds: float, current: Path) -> int:
    """Drive inputs one after another; the one at work is in the file `current`, for when the process dies."""
    from fuzz.kinds import kind_of_number
    from fuzz.target import Finding

    stop = time.monotonic() + seconds
    accepted = 0
    with private_folder() as folder, open(current, "r+b", buffering=0) as note:
        for number in range(first, end):
            kind = kind_of_number(number)
            data = kind.make(seed, number)
            note.seek(0)
            note.write(number.to_bytes(8, "little") + accepted.to_bytes(8, "little"))
            note.truncate(16)
            note.write(data)
            try:
                accepted += kind.drive(data, folder, False)
            except Finding as finding:
                if " took " not in str(finding) or _is_slow(kind, data, folder):
                    print(f"input {number}: {finding}", flush=True)
                    return FOUND
            if time.monotonic() > stop:
                end = number + 1
                break
        note.seek(0)
        note.write(end.to_bytes(8, "little") + accepted.to_bytes(8, "little"))
    return 0


def _is_slow(kind: Kind, data: bytes, folder: Path) -> bool:
    """Tell whether a file takes too long by itself: again and again, and longer than one that is whole.

    A machine that held the process up looks like a hang; and `pymilk doctor` looks at all processes: where
    there is a browser among them, it takes a second under the sanitizers.
    """
    again = all(_fails_again(kind, data, folder) for _ in range(2))
    return again and not _fails_again(kind._replace(drive=kind.drive_whole), data, folder)


def _fails_again(kind: Kind, data: bytes, folder: Path) -> bool:
    from fuzz.target import Finding

    try:
        kind.drive(data, folder, False)
    except Finding:
        return True
    return False


def run(args: argparse.Namespace) -> int:
    """Start workers until all inputs are done; save what ends one."""
    from fuzz.kinds import kind_of_number

    found, accepted, at = 0, 0, args.first
    end, stop = args.first + args.count, time.monotonic() + args.seconds
    args.save.mkdir(parents=True, exist_ok=True)
    current = args.save / f"current-{os.getpid()}"
    while at < end and time.monotonic() < stop:
        current.write_bytes(at.to_bytes(8, "little") + bytes(8))
        # A fresh process now and then, so that a leak shows as an end and not as a slow machine.
        batch = min(at + args.batch, end)
        limit = stop - time.monotonic()
        numbers = [str(at), str(batch), str(limit)]
        command = [sys.executable, "-m", "fuzz", "work", args.seed, *numbers, str(current)]
        # It may repeat bytes of a file that are no text.
        worker = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="backslashreplace"
        )
        said = _watch(worker, current)
        state = current.read_bytes()
        at, ok = int.from_bytes(state[:8], "little"), int.from_bytes(state[8:16], "little")
        accepted += ok
        if worker.returncode:
            found += 1
            saved = args.save / f"found-{args.seed}-{at}{kind_of_number(at).suffix}"
            saved.write_bytes(state[16:])
            (args.save / f"found-{args.seed}-{at}.txt").write_text(said)
            how = "found" if worker.returncode == FOUND else f"ended with {worker.returncode}"
            print(f"{how} at input {at}: {said.strip().splitlines()[-1] if said.strip() else ''}", flush=True)
            at += 1
        print(f"{at - args.first} inputs, {accepted} accepted, {found} found", flush=True)
        if found >= args.most:
            break
    current.unlink()
    return 1 if found else 0


def _watch(worker: subprocess.Popen[str], current: Path) -> str:
    """Wait for the end of a worker, and end one that stays with one input."""
    seen, since = b"", time.monotonic()
    while True:
        try:
            return worker.communicate(timeout=5)[0]
        except subprocess.TimeoutExpired:
            state = current.read_bytes()[:8]
            if state != seen:
                seen, since = state, time.monotonic()
            elif time.monotonic() - since > HANGS:
                worker.send_signal(signal.SIGABRT)  # with faulthandler: says where
                return worker.communicate()[0] + "\nhung"


def files(args: argparse.Namespace) -> int:
    """Drive files as they are, and mutants of them."""
    from fuzz.kinds import kind_of_file

    with private_folder() as folder:
        for path in args.paths:
            kind = kind_of_file(path)
            accepted = kind.drive(path.read_bytes(), folder, True)
            print(f"{path}: {'accepted' if accepted else 'refused'}")
            if not args.mutate:
                continue
            for number in range(args.mutate):
                data = kind.mutate(random.Random(f"{args.seed}/{number}"), path)
                (folder.parent / f"{folder.name}.last").write_bytes(data)
                kind.drive(data, folder, False)
            (folder.parent / f"{folder.name}.last").unlink()
            print(f"{path}: {args.mutate} mutants")
    return 0


def _fails(data: bytes, name: str) -> bool:
    """Tell whether this file, whose name tells its kind, is too much for a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        command = [sys.executable, "-m", "fuzz", "files", str(path)]
        try:
            return subprocess.run(command, capture_output=True, timeout=HANGS, check=False).returncode != 0
        except subprocess.TimeoutExpired:
            return True


def shrink(args: argparse.Namespace) -> int:
    """Make zeros of whatever can be zero, in ever smaller pieces."""
    data = bytearray(args.path.read_bytes())
    if not _fails(data, args.path.name):
        print("nothing is wrong with this file")
        return 1
    piece = len(data) // 2
    while piece >= 1:
        for at in range(0, len(data), piece):
            part = data[at : at + piece]
            if any(part):
                data[at : at + piece] = bytes(len(part))
                if not _fails(data, args.path.name):
                    data[at : at + piece] = part
        piece = piece // 4 if piece > 4 else piece - 1
    args.to.write_bytes(data)
    print(f"{sum(map(bool, data))} of {len(data)} bytes are not 0")
    return 0


def guided(args: argparse.Namespace) -> int:
    """Let libFuzzer choose the inputs by the coverage of the core and of the Python code."""
    # libFuzzer ends its process itself, without Python's end: somebody else has to tidy up.
    with private_folder() as folder:
        fuzzer = os.fork()
        if not fuzzer:
            _choose_by_coverage(folder, Path(args.corpus), args.options)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(fuzzer, 0)[1])
    return code if code >= 0 else 128 - code


def _choose_by_coverage(folder: Path, corpus: Path, options: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["pymilk"]):
        import pymilk  # noqa: F401
    from fuzz.inputs import mutate, seeds
    from fuzz.target import drive, some_parts

    known = seeds()

    def vary(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, max_size))
        near = rng.choice(known)
        return mutate(rng, near._replace(data=data) if data and rng.random() < 0.7 else near)[:max_size]

    corpus.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(known):
        (corpus / f"seed-{number}").write_bytes(each.data)
    atheris.Setup(
        [sys.argv[0], str(corpus), "-max_len=16384", *options],
        lambda data: drive(data, folder, parts=some_parts(data)) and None,
        custom_mutator=vary,
    )
    atheris.Fuzz()


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    each = commands.add_parser("run", help="very many files")
    each.add_argument("--count", type=int, default=1_000_000)
    each.add_argument("--first", type=int, default=0, help="number of the first input")
    each.add_argument("--seed", default="1", help="name of the series of inputs")
    each.add_argument("--seconds", type=float, default=1e9)
    each.add_argument("--batch", type=int, default=20_000, help="inputs for one process")
    each.add_argument("--most", type=int, default=1000, help="stop when so many were found")
    each.add_argument("--save", type=Path, default=Path("found"))
    each.set_defaults(call=run)
    each = commands.add_parser("work")
    for name, kind in (("seed", str), ("first", int), ("end", int), ("seconds", float), ("current", Path)):
        each.add_argument(name, type=kind)
    each.set_defaults(call=lambda a: work(a.seed, a.first, a.end, a.seconds, a.current))
    each = commands.add_parser("files", help="files of your own")
    each.add_argument("paths", type=Path, nargs="+")
    each.add_argument("--mutate", type=int, default=0)
    each.add_argument("--seed", default="1")
    each.set_defaults(call=files)
    each = commands.add_parser("shrink", help="make a found file as plain as possible")
    each.add_argument("path", type=Path)
    each.add_argument("--to", type=Path, required=True)
    each.set_defaults(call=shrink)
    each = commands.add_parser("guided", help="by coverage")
    each.add_argument("corpus")
    each.add_argument("options", nargs=argparse.REMAINDER)
    each.set_defaults(call=guided)
    args = parser.parse_args()
    code: int = args.call(args)
    return code


if __name__ == "__main__":
    import faulthandler

    faulthandler.enable()
    sys.exit(main())
