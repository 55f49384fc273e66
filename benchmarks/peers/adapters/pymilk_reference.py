"""The reference pyMilk, where it is installed: not the package of this name that pymilk brings."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from ..peer import DTYPE, Array, Peer, Reader, Writer, not_installed
from .pymilk_stream import StreamWriter

PROBE = "import sys, {0}; print('pymilk._core' in sys.modules)"


def own(module: str) -> str:
    """Return why a module is not the reference, or an empty string.

    What pymilk brings under the old names is backed by pymilk: importing it imports pymilk's core.
    """
    answer = subprocess.run(
        [sys.executable, "-c", PROBE.format(module)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    if answer.returncode:
        said = answer.stderr.strip().splitlines() or ["no reason given"]
        return f"cannot be imported: {said[-1]}"
    if answer.stdout.split()[-1] == "True":
        return "what is installed under this name is pymilk's own"
    return ""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep what the library prints out of the report."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


class ReferenceWriter(Writer):
    """`set_data`. Series are written as for all ISIO peers, by `StreamWriter`."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        from pyMilk.interfacing.isio_shmlib import SHM

        with quietly():
            self._shm = SHM(channel, np.zeros(shape, DTYPE))

    def write(self, frame: Array) -> None:
        self._shm.set_data(frame)

    def close(self) -> None:
        self._shm.IMAGE.destroy()


class ReferenceReader(Reader):
    """`get_data` and `multi_recv_data`."""

    def __init__(self, channel: str, shape: tuple[int, int], depth: int, wait: str) -> None:
        from pyMilk.interfacing.isio_shmlib import SHM

        with quietly():
            self._shm = SHM(channel)
        self._seen = self._shm.get_counter()
        self.copy = self._shm.get_data  # type: ignore[method-assign]

    def view(self) -> Array:
        return self._shm.get_data(copy=False)

    def next(self, timeout: float) -> Array | None:
        deadline = time.monotonic() + timeout
        while True:
            with quietly():
                frame = self._shm.get_data(check=True, timeout=timeout, copy=False, checkSemAndFlush=False)
            counter = self._shm.get_counter()
            if counter != self._seen:
                self._seen = counter
                return frame
            if time.monotonic() > deadline:
                return None

    def prepare(self, out: Array) -> None:
        self._out = out

    def receive(self, timeout: float) -> int:
        with quietly():
            self._out[:] = self._shm.multi_recv_data(len(self._out), outputFormat=1)
        return len(self._out)

    def close(self) -> None:
        self._shm.close()


class ReferencePymilk(Peer):
    """Its own writer for single writes; streams of other tasks are written as for all ISIO peers."""

    key = "reference-pymilk"
    title = "reference pyMilk"
    margin = 2.0  # its multi-frame receive waits 5 s for each frame that never comes
    writer_class = StreamWriter
    single_class = ReferenceWriter
    reader_class = ReferenceReader

    def missing(self) -> str:
        return not_installed("pyMilk", "build it from its sources") or own("pyMilk.interfacing.isio_shmlib")

    def version(self) -> str:
        # The package index knows one name for this and for pymilk: their metadata cannot be told apart.
        import pyMilk

        return getattr(pyMilk, "__version__", "")


PEER = ReferencePymilk()
