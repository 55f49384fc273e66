"""Recordings mutated and damaged: `load` gives frames or a `StreamError`, soon and in little memory.

    python -m fuzz.recordings --count 100000 --seed 1        (in tests/)
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from fuzz.inputs import Random
from pymilk import SHM, Recorder, load
from pymilk.errors import StreamError

__all__ = ["drive", "make_seeds", "mutant_of"]

#: Longest time of one input, in seconds, and memory that it may take, in bytes.
SECONDS = 1.0
NBYTES = 256 << 20

#: Text that stands for a number in JSON and in cards of FITS.
_NUMBERS = (b"0", b"-1", b"300000000", b"1e999", b"NaN", b"Infinity", b"9" * 30, b"null", b"[]", b"1.5")


def make_seeds(folder: Path, stream: str = "fuzzed") -> list[Path]:
    """Record a few frames in each format, plain, compressed, and as a series; returns the paths."""
    frames = np.arange(12 * 6, dtype=np.uint16).reshape(12, 2, 3)
    paths = []
    with SHM(stream, ((2, 3), np.uint16), ring=64) as shm:
        shm.set_keywords({"GAIN": (2.5, "of the camera")})
        for name, options in (
            ("npy/a.npy", {}),
            ("fits/a.fits", {}),
            ("h5/a.h5", {}),
            ("gzip/a.h5", {"compress": True}),
            ("zarr/a.zarr", {}),
            ("blosc/a.zarr", {"compress": True}),
            ("series/a.npy", {"max_frames_per_file": 5}),
        ):
            path = folder / name
            path.parent.mkdir()
            with Recorder(shm, path, frames=12, **options) as recorder:
                shm.set_many(frames)
                recorder.wait(60)
            paths.append(path)
        shm.destroy()
    return paths


def mutant_of(rng: Random, data: bytes) -> bytes:
    """Return content with one to four things wrong with it."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        if not made:
            break
        kind, at = rng.randrange(7), rng.randrange(len(made))
        if kind == 0:
            made[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice((0, 1, 2**31 - 1, 2**31, 2**63 - 1, 2**64 - 1, rng.getrandbits(64)))
            made[at : at + width] = (number % 2 ** (8 * width)).to_bytes(width, rng.choice(("little", "big")))
        elif kind == 2:
            del made[at:]
        elif kind == 3:
            made[at:at] = rng.randbytes(rng.choice((1, 8, 80, 2880)))
        elif kind == 4:
            piece = made[at : at + rng.randrange(1, 200)]
            target = rng.randrange(len(made))
            made[target : target + len(piece)] = piece
        else:
            digits = [place for place in range(min(len(made), 20000)) if made[place : place + 1].isdigit()]
            if digits:
                place = rng.choice(digits)
                end = place
                while end < len(made) and made[end : end + 1].isdigit():
                    end += 1
                text = rng.choice(_NUMBERS)
                made[place:end] = text if kind == 5 else text[: end - place].rjust(end - place)
    return bytes(made)


def damage(rng: Random, folder: Path) -> str:
    """Damage one file of a recording, or delete one; returns which."""
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    file = rng.choice(files)
    if rng.random() < 0.05:
        file.unlink()
    else:
        file.write_bytes(mutant_of(rng, file.read_bytes()))
    return str(file.relative_to(folder))


def drive(path: Path) -> bool:
    """Do with a recording what can be done; tell whether it was accepted."""
    began, before = time.perf_counter(), _peak()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with load(path) as found:
                _read(found)
        accepted = True
    except StreamError:
        accepted = False
    taken, grown = time.perf_counter() - began, _peak() - before
    if taken > SECONDS or grown > NBYTES:
        raise AssertionError(f"{path} took {taken:.2f} s and {grown >> 20} MiB")
    return accepted


def _read(found: object) -> None:
    gaps, frames = found.gaps, found.frames  # type: ignore[attr-defined]
    assert found.complete == (not found.missing)  # type: ignore[attr-defined]
    str(gaps), repr(found)
    for first in (0, max(0, len(frames) - 1)):
        if len(frames) and frames[first : first + 1].nbytes < 1 << 20:
            np.array(frames[first : first + 1]).sum()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    """Drive many inputs; returns how many were too much."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--seconds", type=float, default=1e9)
    args = parser.parse_args()
    wrong = accepted = done = 0
    end = time.monotonic() + args.seconds
    with tempfile.TemporaryDirectory() as name:
        work = Path(name, "work")
        seeds = Path(name, "seeds")
        seeds.mkdir()
        paths = make_seeds(seeds, f"fuzzed-{random.getrandbits(32):x}")
        for number in range(args.first, args.first + args.count):
            if time.monotonic() > end:
                break
            rng = Random(f"{args.seed}/{number}")
            path = rng.choice(paths)
            shutil.copytree(path.parent, work)
            which = damage(rng, work)
            try:
                accepted += drive(work / path.name)
            except Exception as error:
                wrong += 1
                print(f"{number} ({path.parent.name}: {which}): {type(error).__name__}: {error}", flush=True)
            shutil.rmtree(work)
            done += 1
    print(f"{done} inputs, {accepted} accepted, {wrong} found")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(), 1))
