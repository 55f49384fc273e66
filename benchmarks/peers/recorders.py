"""Recording beside other ways: by hand with h5py, zarr, NumPy and astropy, as their manuals do.

    python -m benchmarks.peers.recorders [--directory DIR] [--repeats 9]

Each peer takes pieces of 1 MB from the same full ring as pymilk, in a plain loop that copies them out, or of
an array in memory, which shows the limit of the library itself. None of them keeps rows, finds gaps, follows
a stream or survives a kill by itself. All are measured as in `benchmarks/recording.py`, beside a plain write
of the same bytes in the same run, and each file is read back: exit code 1 if a frame is missing or wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pymilk import SHM
from pymilk.bench.frames import check_frames

from ..recording import clear, compare, stock, sustained

#: What writes pieces of frames of a shape and dtype into a new file: path, pieces, number, an example.
Write = Callable[[Path, Iterable[np.ndarray], int, np.ndarray], None]

#: Bytes of a piece, and of a chunk of HDF5 and Zarr.
PIECE_NBYTES = 1 << 20


def rows_of(frame: np.ndarray) -> int:
    """Return how many frames a piece has."""
    return max(1, PIECE_NBYTES // frame.nbytes)


def pieces_of_array(frames: np.ndarray) -> Iterator[np.ndarray]:
    """Go through frames that are in memory, without a copy: what the library itself costs."""
    rows = rows_of(frames[0])
    for first in range(0, len(frames), rows):
        yield frames[first : first + rows]


def pieces_of_stream(shm: SHM, count: int) -> Iterator[np.ndarray]:
    """Copy frames out of the ring of a stream, from the oldest on, in a plain loop."""
    memory = np.empty((rows_of(shm.get_data()), *shm.shape), shm.nptype)
    with shm.ring_reader(start="oldest") as ring:
        for first in range(0, count, len(memory)):
            piece = memory[: count - first]
            yield ring.read(len(piece), out=piece, timeout=10.0).frames


def tofile(path: Path, pieces: Iterable[np.ndarray], count: int, frame: np.ndarray) -> None:
    """Write a file without a header with `numpy.ndarray.tofile`."""
    with open(path, "wb") as file:
        for piece in pieces:
            piece.tofile(file)


def memmap(path: Path, pieces: Iterable[np.ndarray], count: int, frame: np.ndarray) -> None:
    """Copy into a map of an NPY file."""
    cube = np.lib.format.open_memmap(str(path), "w+", frame.dtype, (count, *frame.shape))
    done = 0
    for piece in pieces:
        cube[done : done + len(piece)] = piece
        done += len(piece)


def h5py(path: Path, pieces: Iterable[np.ndarray], count: int, frame: np.ndarray) -> None:
    """Assign pieces to a chunked data set that grows."""
    import h5py

    with h5py.File(path, "w") as file:
        shape = (0, *frame.shape)
        chunks = (rows_of(frame), *frame.shape)
        cube = file.create_dataset("frames", shape, frame.dtype, maxshape=(None, *frame.shape), chunks=chunks)
        for piece in pieces:
            done = len(cube)
            cube.resize(done + len(piece), axis=0)
            cube[done:] = piece


def zarr(path: Path, pieces: Iterable[np.ndarray], count: int, frame: np.ndarray) -> None:
    """Assign pieces to an array without compression, a chunk each."""
    import zarr

    cube: Any = zarr.create_array(
        str(path),
        shape=(count, *frame.shape),
        chunks=(rows_of(frame), *frame.shape),
        dtype=frame.dtype,
        compressors=None,
    )
    done = 0
    for piece in pieces:
        cube[done : done + len(piece)] = piece
        done += len(piece)


def streaming_hdu(path: Path, pieces: Iterable[np.ndarray], count: int, frame: np.ndarray) -> None:
    """Write unsigned frames of 16 bits through `astropy.io.fits.StreamingHDU`."""
    from astropy.io import fits

    header = fits.Header([("SIMPLE", True), ("BITPIX", 16), ("NAXIS", 1 + frame.ndim)])
    for number, length in enumerate((count, *frame.shape)[::-1], 1):
        header[f"NAXIS{number}"] = length
    header["BSCALE"], header["BZERO"] = 1, 32768
    hdu = fits.StreamingHDU(str(path), header)
    for piece in pieces:
        hdu.write((piece ^ np.uint16(0x8000)).view(np.int16))
    hdu.close()


def frames_in(path: Path, count: int, frame: np.ndarray) -> np.ndarray:
    """Read a file back."""
    if path.suffix == ".raw":
        return np.fromfile(path, frame.dtype).reshape(-1, *frame.shape)
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".h5":
        import h5py

        with h5py.File(path) as file:
            return np.asarray(file["frames"][:])
    if path.suffix == ".zarr":
        import zarr

        return np.asarray(zarr.open_array(str(path), mode="r")[:])
    from astropy.io import fits

    return np.ascontiguousarray(fits.getdata(path))


def verify(path: Path, frames: np.ndarray) -> bool:
    """Return whether a file has these frames, each whole and with the number that it carries."""
    found = frames_in(path, len(frames), frames[0])
    numbers, whole = check_frames(np.ascontiguousarray(found, frames.dtype))
    return bool(whole.all()) and numbers.tolist() == check_frames(frames)[0].tolist()


#: Names, suffixes, and what writes.
PEERS: dict[str, tuple[str, Write]] = {
    "tofile": (".raw", tofile),
    "np.memmap": (".npy", memmap),
    "h5py": (".h5", h5py),
    "zarr": (".zarr", zarr),
    "StreamingHDU": (".fits", streaming_hdu),
}


def measured(write: Write, path: Path, shm: SHM | None, frames: np.ndarray) -> tuple[float, float]:
    """Write frames of a stream, or without one of memory; returns bytes a second and processor time."""
    began, worked = time.perf_counter(), time.process_time()
    pieces = pieces_of_array(frames) if shm is None else pieces_of_stream(shm, len(frames))
    write(path, pieces, len(frames), frames[0])
    took, worked = time.perf_counter() - began, time.process_time() - worked
    return frames.nbytes / took, worked


def main() -> None:
    """Measure all, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.recorders", description=__doc__)
    parser.add_argument("--directory", help="where to record; default: a temporary directory")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--frames", type=int, default=8000)
    parser.add_argument("--quick", action="store_true", help="a look whether it works")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.repeats, chosen.frames = 1, 1000
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    good = True
    with (
        tempfile.TemporaryDirectory(prefix="pymilk-recorders-", dir=memory) as streams,
        tempfile.TemporaryDirectory(prefix="pymilk-recorders-", dir=chosen.directory) as folder,
    ):
        os.environ["MILK_SHM_DIR"] = streams
        print("recorder               MB/s  plain write MB/s  ratio (median, smallest to largest)  of CPU")
        with stock(chosen.frames) as (shm, frames):
            for suffix in (".npy", ".fits", ".h5", ".zarr"):
                path = Path(folder) / f"pymilk{suffix}"
                record = partial(sustained, path, shm, chosen.frames)
                print(compare(f"pymilk {suffix:13}", path, frames, record, chosen.repeats), flush=True)
            for name, (suffix, write) in PEERS.items():
                for feed, given in (("stream", shm), ("array", None)):
                    path = Path(folder) / f"peer{suffix}"
                    record = partial(measured, write, path, given, frames)
                    record()
                    well = verify(path, frames)
                    clear(path)
                    line = compare(f"{name:13}{feed:7}", path, frames, record, chosen.repeats)
                    print(f"{line}{'' if well else ', frames WRONG'}", flush=True)
                    good &= well
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
