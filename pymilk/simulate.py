"""A simulated camera: a process that publishes frames at a steady rate.

Run as ``python -m pymilk.simulate NAME``. The frames are computed before the first one is published, so
that the process does nothing but publish, as a camera's own would.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core import Stream
from .errors import StreamArgumentError, StreamError, StreamNotFoundError

__all__ = ["SimulatedCamera", "shack_hartmann"]

#: Frames that are computed; the camera goes round them.
FRAMES = 256

#: Brightest spot, in counts, where the dtype holds it.
PEAK = 3000.0


def shack_hartmann(
    shape: tuple[int, int], dtype: npt.DTypeLike, count: int, seed: int = 1
) -> npt.NDArray[Any]:
    """Compute frames like those of a Shack-Hartmann sensor: a grid of moving spots, and noise.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels, at least 4 each.
    dtype : dtype
        Of the frames; spots are scaled to what it holds.
    count : int
    seed : int, default 1
        The same seed gives the same frames.

    Returns
    -------
    ndarray, shape (count, *shape)
        C-contiguous. The motion is periodic, so that the last frame is followed by the first.
    """
    height, width = shape
    kind = np.dtype(dtype)
    if min(shape) < 4 or kind.kind not in "uif":
        raise StreamArgumentError(
            f"simulated frames are at least 4x4 pixels of an integer or float dtype, "
            f"not {height}x{width} {kind}",
            argument="shape",
            found=shape,
        )
    top = PEAK if kind.kind == "f" else min(PEAK, float(np.iinfo(kind).max) * 0.6)
    random = np.random.default_rng(seed)
    pitch = max(4, min(shape) // 10)
    rows, columns = height // pitch, width // pitch
    # Each lenslet's spot wanders around its centre with two slow periodic motions: one common to all
    # (tip and tilt), one of its own.
    turn = 2 * np.pi * np.arange(count)[:, None] / count
    phase = random.uniform(0, 2 * np.pi, (2, 1, rows * columns))
    reach = pitch * 0.12
    common = np.stack([np.sin(2 * turn), np.cos(3 * turn)])
    shift = reach * (common + np.sin(turn + phase))  # (axis, frame, lenslet)
    pixel = np.arange(pitch) - (pitch - 1) / 2
    profile = np.exp(-(((pixel - shift[..., None]) / (pitch * 0.1)) ** 2) / 2)
    brightness = random.uniform(0.6, 1.0, rows * columns) * top
    frames = np.zeros((count, height, width), kind)
    floor = top * 0.03
    for k in range(count):
        spots = brightness[:, None, None] * profile[0, k, :, :, None] * profile[1, k, :, None, :]
        image = np.full((height, width), floor)
        image[: rows * pitch, : columns * pitch] += (
            spots.reshape(rows, columns, pitch, pitch)
            .swapaxes(1, 2)
            .reshape(rows * pitch, columns * pitch)
        )
        # Photon noise of a bright pixel is close to normal.
        image += random.standard_normal((height, width)) * np.sqrt(image)
        frames[k] = np.clip(image, 0, top / 0.6)
    return frames


class SimulatedCamera:
    """A camera process, for the time of a ``with`` block.

    Parameters
    ----------
    name : str
        Stream that it creates, in the stream directory, and deletes at its end. One that a living process
        writes is not replaced.
    shape : (int, int), default (120, 120)
    dtype : dtype, default uint16
    rate : float, default 2000
        Frames per second; 0 is as fast as possible.
    frames : int, optional
        Stop publishing after so many; the stream stays until the end of the block.

    Notes
    -----
    Entering returns once the stream exists. The process ends with its parent, however that ends.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, int] = (120, 120),
        dtype: npt.DTypeLike = np.uint16,
        rate: float = 2000.0,
        frames: int | None = None,
    ) -> None:
        self.name = name
        self._command = [
            sys.executable,
            "-m",
            __name__,
            name,
            f"--shape={shape[0]}x{shape[1]}",
            f"--dtype={np.dtype(dtype).name}",
            f"--rate={rate}",
            "--end-with-stdin",
        ]
        if frames is not None:
            self._command.append(f"--frames={frames}")
        self._process: subprocess.Popen[str] | None = None
        self._maker = 0

    def __enter__(self) -> SimulatedCamera:
        self._maker = os.getpid()
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # Safe path: a checkout in the working directory must not hide the installed package.
                env={**os.environ, "PYTHONSAFEPATH": "1"},
            )
            assert self._process.stdout is not None
            if self._process.stdout.readline() != "ready\n":
                _, said = self._process.communicate()
                raise StreamNotFoundError(
                    f"the simulated camera {self.name!r} did not start: {said.strip()}",
                    stream=self.name,
                    path=self.name,
                )
        except BaseException:
            self.__exit__()
            raise
        return self

    @property
    def pid(self) -> int:
        """Process number of the camera."""
        assert self._process is not None
        return self._process.pid

    def __exit__(self, *exc: object) -> None:
        process, self._process = self._process, None
        # A child after fork leaves the camera to its parent.
        if process is not None and self._maker == os.getpid() and process.returncode is None:
            process.communicate()  # closes its stdin, which ends it


def _parse_shape(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width)


#: Signals that end the camera.
_ENDS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def _end_once(number: int, frame: object) -> None:
    """Interrupt the camera; a second signal, of either kind, must not interrupt its clean-up."""
    for each in _ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_stdin() -> None:
    """End the process when its parent closes the pipe, or dies."""

    def watch() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="pymilk-stdin", daemon=True).start()


def main(arguments: list[str] | None = None) -> None:
    """Run the camera: create the stream, say ``ready``, publish until told to end."""
    parser = argparse.ArgumentParser(prog="python -m pymilk.simulate", description=__doc__)
    parser.add_argument("name", help="stream to create")
    parser.add_argument("--shape", type=_parse_shape, default=(120, 120), help="HEIGHTxWIDTH")
    parser.add_argument("--dtype", default="uint16")
    parser.add_argument("--rate", type=float, default=2000.0, help="frames/s; 0: as fast as possible")
    parser.add_argument("--frames", type=int, help="stop publishing after so many")
    parser.add_argument("--end-with-stdin", action="store_true", help="end when stdin is closed")
    chosen = parser.parse_args(arguments)
    frames = shack_hartmann(chosen.shape, chosen.dtype, FRAMES)
    interval = round(1e9 / chosen.rate) if chosen.rate > 0 else 0
    # Held back until the stream is sure to be deleted at the end.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    for number in _ENDS:
        signal.signal(number, _end_once)
    try:
        stream = Stream.create(chosen.name, frames.shape[1:], frames.dtype, replace="if-free")
    except StreamError as error:
        sys.exit(str(error))
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
        if chosen.end_with_stdin:
            _end_with_stdin()
        print("ready", flush=True)
        left = sys.maxsize if chosen.frames is None else chosen.frames
        stream.publish_many(frames, left, interval_ns=interval)
        signal.pause()
    except KeyboardInterrupt:
        pass  # the way to end it, by Ctrl-C, SIGTERM, SIGHUP or the end of stdin
    finally:
        stream.destroy()


if __name__ == "__main__":
    main()
