"""A stream as a device of Bluesky: each point of a plan is the mean of the next frames.

    python bluesky_device.py [POINTS]

Bluesky asks of a device that can be read and triggered these methods, and no base class.
"""

import sys
import threading
import time

import pymilk

try:
    from bluesky import RunEngine
    from bluesky.plans import count
    from ophyd.status import Status
except ImportError as error:
    sys.exit(f"not run: {error}")

points = int(sys.argv[1]) if len(sys.argv) > 1 else 5


class StreamDetector:
    """The mean of `frames` new frames of a stream, and how many were lost meanwhile."""

    parent = None

    def __init__(self, stream, frames, name):
        self.name = name
        self.frames = frames
        self.shm = pymilk.SHM(stream)
        self.capture = None

    def trigger(self):
        """Begin; the status is done when the frames are there."""
        status = Status(obj=self, timeout=10)
        threading.Thread(target=self._expose, args=(status,), daemon=True).start()
        return status

    def _expose(self, status):
        try:
            self.capture = self.shm.capture(self.frames, timeout=5)
        except pymilk.StreamError as error:
            status.set_exception(error)
        else:
            status.set_finished()

    def read(self):
        """Return what the last trigger gave."""
        now = time.time()
        report = self.capture.report
        values = {"mean": float(self.capture.frames.mean()), "lost": report.lost}
        return {f"{self.name}_{key}": {"value": value, "timestamp": now} for key, value in values.items()}

    def describe(self):
        """Say what `read` returns."""
        source = f"pymilk:{self.shm.FNAME}"
        return {
            f"{self.name}_mean": {"source": source, "dtype": "number", "shape": []},
            f"{self.name}_lost": {"source": source, "dtype": "integer", "shape": []},
        }

    def read_configuration(self):
        """Return what does not change within a run."""
        return {f"{self.name}_frames": {"value": self.frames, "timestamp": time.time()}}

    def describe_configuration(self):
        """Say what `read_configuration` returns."""
        return {f"{self.name}_frames": {"source": "pymilk", "dtype": "integer", "shape": []}}


with pymilk.SimulatedCamera("cam0", rate=1000):
    rows = []

    def keep(kind, document):
        """Take the events of a run; Bluesky calls this with each document."""
        if kind == "event":
            rows.append(document["data"])

    engine = RunEngine({})
    engine(count([StreamDetector("cam0", 100, "cam")], num=points), keep)
    print(len(rows), "events with", sorted(rows[0]))
    print(f"mean {rows[-1]['cam_mean']:.1f}")
