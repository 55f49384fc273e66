"""Recordings mutated and damaged: `load` gives frames or a `StreamError`, soon and in little memory.

    python -m fuzz.recordings --count 100000 --seed 1        (in tests/)

Inputs are driven in a process of its own, which is replaced after some thousand, and when it dies or hangs.
The folder of an input that is too much is kept in ./found.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gzip
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fuzz.inputs import Random
from pymilk import SHM, Recorder, load
from pymilk.errors import StreamError
from pymilk.playback import open_footage
from pymilk.recording.details import recording_details
from pymilk.recording.sinks import fits_packed, hdf5, npy, zarr

__all__ = ["Seed", "drive", "make_seeds", "mutant_of", "mutate"]

#: Longest time of one input, in seconds, and memory that it may take, in bytes.
SECONDS = 1.0
NBYTES = 256 << 20

#: Seconds after which a process hangs, and exit code of one that found something.
HANGS = 15.0
FOUND = 3

#: Text that stands for a number in JSON and in cards of FITS.
_NUMBERS = (b"0", b"-1", b"300000000", b"1e999", b"NaN", b"Infinity", b"9" * 30, b"null", b"[]", b"1.5")

#: What is recorded: folder, file and options.
_RECORDED = (
    ("npy/a.npy", {}),
    ("fits/a.fits", {}),
    ("rice/a.fits", {"compress": True}),
    ("h5/a.h5", {}),
    ("gzip/a.h5", {"compress": True}),
    ("zarr/a.zarr", {}),
    ("blosc/a.zarr", {"compress": True}),
    ("series/a.npy", {"max_frames_per_file": 5}),
    ("series-fits/a.fits", {"max_frames_per_file": 5}),
    ("series-h5/a.h5", {"max_frames_per_file": 5}),
)

#: Modification time of all files: none of them looks as if somebody were writing it.
_LONG_AGO = (1e9, 1e9)


_DIGITS = re.compile(rb"[0-9]+")


class Seed(NamedTuple):
    """A recording to be damaged: its path, and the content of all its files."""

    path: Path
    files: dict[Path, bytes]


def make_seeds(folder: Path, stream: str = "fuzzed") -> list[Seed]:
    """Record a few frames in each format, plain, packed, unfinished and as a series; and files of others."""
    frames = np.arange(12 * 6, dtype=np.uint16).reshape(12, 2, 3)
    paths = []
    with _small(), SHM(stream, ((2, 3), np.uint16), ring=64) as shm:
        shm.set_keywords({"GAIN": (2.5, "of the camera")})
        for name, options in _RECORDED:
            path = folder / name
            path.parent.mkdir()
            with Recorder(shm, path, frames=12, **options) as recorder:  # type: ignore[arg-type]
                shm.set_many(frames)
                recorder.wait(60)
            paths.append(path)
        for kind, suffix, packed in (("npy", "npy", False), ("fits", "fits", False), ("rice", "fits", True)):
            path = folder / f"killed-{kind}" / f"a.{suffix}"  # as a recorder leaves it that is killed
            path.parent.mkdir()
            with Recorder(shm, folder / f"alive.{suffix}", frames=24, compress=packed) as recorder:
                shm.set_many(frames)
                while recorder.report.recorded < 12 or len(load(folder / f"alive.{suffix}")) < 12:
                    time.sleep(0.001)
                for file in folder.glob("alive.*"):
                    shutil.copy(file, path.parent / file.name.replace("alive", "a"))
                shm.set_many(frames)
                recorder.wait(60)
            for file in folder.glob("alive.*"):
                file.unlink()
            paths.append(path)
        shm.destroy()
    paths += _files_of_others(folder)
    seeds = []
    for path in paths:
        files = {each: each.read_bytes() for each in sorted(path.parent.rglob("*")) if each.is_file()}
        for file, content in files.items():
            _write(file, content)
        seeds.append(Seed(path, files))
    return seeds


@contextlib.contextmanager
def _small() -> Iterator[None]:
    """Make pieces and chunks small: four frames are a chunk."""
    sizes = {
        npy: {"_PIECE_NBYTES": 4096},
        fits_packed: {"_PACKED_NBYTES": 48},
        hdf5: {"_CHUNK_NBYTES": 48, "_PACKED_NBYTES": 48, "_CHUNK_ROWS": 5, "_RESERVE_NBYTES": 4096},
        zarr: {"_CHUNK_NBYTES": 48},
    }
    with contextlib.ExitStack() as stack:
        for module, values in sizes.items():
            for name, value in values.items():
                stack.callback(setattr, module, name, getattr(module, name))
                setattr(module, name, value)
        yield


def _files_of_others(folder: Path) -> list[Path]:
    from astropy.io import fits

    cube = np.arange(240, dtype=np.int16).reshape(4, 6, 10)
    scaled = fits.PrimaryHDU(cube)
    scaled.header["BLANK"] = 7
    scaled.scale("int16", bscale=2.0, bzero=10)
    (folder / "others").mkdir()
    np.save(folder / "others" / "cube.npy", cube)
    fits.PrimaryHDU(cube[0]).writeto(folder / "others" / "image.fits")
    scaled.writeto(folder / "others" / "scaled.fits")
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(cube, name="SCI"), fits.CompImageHDU(cube, name="RICE")]
    fits.HDUList(hdus).writeto(folder / "others" / "several.fits")
    packed = gzip.compress((folder / "others" / "image.fits").read_bytes())
    (folder / "others" / "image.fits.gz").write_bytes(packed)
    paths = []
    for file in sorted((folder / "others").iterdir()):
        path = folder / f"other-{file.name}" / file.name
        path.parent.mkdir()
        file.rename(path)
        paths.append(path)
    return paths


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    os.utime(file, _LONG_AGO)


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
            numbers = list(_DIGITS.finditer(made, 0, 20_000))
            if numbers:
                place, end = rng.choice(numbers).span()
                del numbers  # they keep the array from changing its length
                text = rng.choice(_NUMBERS)
                made[place:end] = text if kind == 5 else text[: end - place].rjust(end - place)
    return bytes(made)


def mutate(rng: Random, seed: Seed) -> str:
    """Damage one file of a recording, or delete one; returns which."""
    file = rng.choice(sorted(seed.files))
    if rng.random() < 0.05:
        file.unlink()
    else:
        _write(file, mutant_of(rng, seed.files[file]))
    return str(file.relative_to(seed.path.parent))


def restore(seed: Seed) -> None:
    """Undo `mutate`, whichever file it was."""
    for file, content in seed.files.items():
        if not file.exists() or file.stat().st_size != len(content) or file.read_bytes() != content:
            _write(file, content)


def drive(path: Path) -> bool:
    """Do with a recording what can be done; tell whether it was accepted."""
    for left in (2, 1, 0):  # a machine that held the process up looks like a hang: it has to be one again
        began, used, before = time.perf_counter(), time.process_time(), _forget_peak()
        accepted = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with load(path) as found:
                    _read(found)
                assert recording_details(path)["complete"] == found.complete
                footage = open_footage(path)
                next(footage.pieces(4), None)
                footage.close()
        except StreamError:
            accepted = False
        # Of the processor; and a tenth of the time as it goes by, for what waits.
        taken = max(time.process_time() - used, (time.perf_counter() - began) / 10)
        grown = _peak() - before
        if grown > NBYTES or (taken > SECONDS and not left):
            raise AssertionError(f"{path} took {taken:.2f} s and {grown >> 20} MiB")
        if taken <= SECONDS:
            break
    return accepted


def _read(found: object) -> None:
    gaps, frames = found.gaps, found.frames  # type: ignore[attr-defined]
    assert found.complete == (not found.missing)  # type: ignore[attr-defined]
    str(gaps), repr(found)
    for first in (0, max(0, len(frames) - 1)):
        if len(frames) and frames[first : first + 1].nbytes < 1 << 20:
            np.array(frames[first : first + 1]).sum()


def _forget_peak() -> int:
    """Make the kernel count the largest size of this process anew; returns its size now."""
    Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _peak() -> int:
    [line] = [each for each in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in each]
    return int(line.split()[1]) * 1024


def work(args: argparse.Namespace) -> int:
    """Drive inputs one after another; the number of the one at work is in the file `current`."""
    end, accepted, done = time.monotonic() + args.seconds, 0, 0
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        seeds = make_seeds(Path(name), f"fuzzed-{random.getrandbits(32):x}")
        for number in range(args.first, args.first + args.count):
            args.current.write_text(f"{number} {done} {accepted}")
            if time.monotonic() > end:
                break
            rng = Random(f"{args.seed}/{number}")
            seed = rng.choice(seeds)
            which = mutate(rng, seed)
            faulthandler.dump_traceback_later(HANGS, exit=True)
            try:
                accepted += drive(seed.path)
            except Exception as error:
                shutil.copytree(seed.path.parent, f"found/{args.seed}-{number}", dirs_exist_ok=True)
                what = f"{type(error).__name__}: {error}"
                print(f"{number} ({seed.path.parent.name}: {which}): {what}", flush=True)
                return FOUND
            faulthandler.cancel_dump_traceback_later()
            restore(seed)
            done += 1
        args.current.write_text(f"{args.first + args.count} {done} {accepted}")
    return 0


def main() -> int:
    """Drive many inputs; returns how many were too much."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--batch", type=int, default=5000, help="inputs for one process")
    parser.add_argument("--current", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.current is not None:
        return work(args)
    wrong = accepted = done = 0
    at, last, end = args.first, args.first + args.count, time.monotonic() + args.seconds
    with tempfile.TemporaryDirectory() as name:
        current = Path(name, "current")
        while at < last and time.monotonic() < end:
            current.write_text(f"{at} 0 0")
            numbers = [f"--first={at}", f"--count={min(args.batch, last - at)}", f"--seed={args.seed}"]
            limit = f"--seconds={end - time.monotonic()}"
            command = [sys.executable, "-m", "fuzz.recordings", *numbers, limit, f"--current={current}"]
            code = subprocess.run(command, check=False).returncode
            at, ran, good = map(int, current.read_text().split())
            done, accepted = done + ran, accepted + good
            if code:
                wrong, done, at = wrong + 1, done + 1, at + 1
                print(f"ended with {code} at input {at - 1}", flush=True)
            print(f"{done} inputs, {accepted} accepted, {wrong} found", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(), 1))
