"""Code as users write it; type-checked, not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import pymilk
from pymilk.errors import MultiCaptureError, RecordError, StreamTimeoutError
from pymilk.interfacing.isio_shmlib import SHM as OldPathSHM
from pymilk.recording import StreamReport
from pymilk.view import Display, Feed, save_png


def write(frame: npt.NDArray[np.uint16]) -> int:
    """Create a stream and publish."""
    with pymilk.SHM("typed", frame, symcode=4, triDim=pymilk.Which3DState.LAST2LAST) as shm:
        shm.set_data(frame)
        shm["EXPTIME"] = 0.001
        counter: int = shm.get_counter()
        shape: tuple[int, ...] = shm.shape
        return counter + len(shape)


def read() -> npt.NDArray[Any] | None:
    """Wait for a frame and capture some."""
    shm = OldPathSHM("typed")
    frame = shm.get_data(check=True, timeout=1.0)
    frame = shm.get_data(check=True, timeout=1.0, on_timeout="raise")
    missed: int = shm.timeouts
    frames: list[npt.NDArray[Any]] = shm.multi_recv_data(10)
    try:
        capture = shm.capture(100, wait="spin", background=True).join()
    except StreamTimeoutError as error:
        return error.capture.frames if error.capture else None
    lost: int = capture.report.lost
    rows = capture.info["cnt0"]
    print(lost, rows, len(frames), frame, missed)
    return capture.frames


def several(shm: pymilk.SHM) -> npt.NDArray[Any]:
    """Capture several streams, and look up the frames that belong together."""
    try:
        many = pymilk.capture_many({"wfs": 1000, "psf": shm, "dm": None}, {"psf": 100, "dm": 5})
        many = pymilk.capture_many(["wfs", shm], seconds=10.0, background=True).join()
    except MultiCaptureError as error:
        print({label: str(reason) for label, reason in error.errors.items()})
        many = error.captures
    lost: int = many.report.streams["wfs"].lost
    rows: pymilk.Alignment = many.aligned("time", key={"wfs": "atime_ns", "psf": "arrival_ns"}).complete()
    index: npt.NDArray[np.int64] = rows["psf"]
    print(lost, rows.lost["psf"].sum(), [capture.received for capture in many.values()])
    return many["psf"].frames[index]


def pictures(path: str) -> dict[str, Any]:
    """Draw a stream without a terminal."""
    display = Display(log=True, levels=(0.0, 100.0), colours="heat", row=None)
    with Feed("typed") as feed:
        while feed.look():
            display.show(feed.take())
        lost: int = feed.lost
    save_png(path, display.picture())
    lines: list[str] = display.text(24, 80, "256")
    print(lost, feed.rate, lines)
    return display.statistics()


def low_level() -> int:
    """Use the compiled layer."""
    with pymilk.Stream.create("typed", (4, 4), np.float32, nbkw=5, layout="default") as stream:
        with stream.claim() as pixels:
            pixels[:] = 1
        reader = stream.reader()
        out = np.empty((10, *stream.shape), stream.dtype)
        info = np.zeros(10, pymilk.FRAME_ROW)
        received: int = reader.receive(out, info, timeout=None)
        stream.write_keywords([pymilk.Keyword("A", 1, "comment"), ("B", 2.5)])
        return received


def to_disk() -> tuple[int, npt.NDArray[Any]]:
    """Record, and read back."""
    with pymilk.Recorder("typed", "typed.npy", frames=100) as recorder:
        report: pymilk.RecordReport = recorder.wait()
    lost: int = pymilk.record({"wfs": "wfs.npy"}, seconds=1.0).streams["wfs"].lost
    with pymilk.load("typed.npy") as recording:
        gaps: npt.NDArray[Any] = recording.gaps
    return report.lost + lost, gaps


def to_several_files(wfs: pymilk.SHM, folder: Path) -> list[str]:
    """Record with all there is to choose, and look at what came of it."""
    recorder = pymilk.Recorder(
        [wfs, "dm"],
        folder / "night_{stream}.h5",
        frames=1000,
        seconds=60.0,
        max_frames_per_file=100,
        force=True,
        compress=True,
        depth=512,
        start="oldest",
        timeout=5.0,
        wait="sleep",
        cpu=0,
        priority=None,
    )
    try:
        recorder.start().wait(timeout=1)
    except RecordError as error:
        print({name: str(reason) for name, reason in error.errors.items()}, error.report)
    running: bool = recorder.running
    report = recorder.stop()
    one: StreamReport = report.streams["dm"]
    age: float | None = one.last_age
    unwritten: int = report.unwritten
    print(running, age, unwritten, one.to_dict()["ring_peak"], report.complete)
    return one.paths


def from_disk(folder: Path) -> tuple[npt.NDArray[Any] | None, dict[str, Any]]:
    """Load a series, a list of files, and what is in them."""
    with pymilk.load(folder / "night_dm.h5") as whole, pymilk.load([folder / "a.npy", "b.npy"]) as two:
        first: npt.NDArray[Any] = whole.frames[0]
        every: npt.NDArray[Any] = np.asarray(two.frames)
        info: npt.NDArray[Any] | None = whole.info
        print(first, every, len(whole), whole.complete, whole.paths)
        return info, whole.header


def saved(shm: pymilk.SHM, folder: Path) -> str:
    """Save a capture."""
    capture = shm.capture(100)
    with pymilk.Stream.attach("typed") as stream:
        keywords = stream.read_keywords()
    path: str = pymilk.save(capture, folder / "out.zarr", keywords=keywords, force=True, compress=True)
    return pymilk.save(capture, path, keywords=[("GAIN", 2.5, "as set")])


def played(folder: Path) -> float:
    """Play recordings, arrays and images."""
    report: pymilk.PlayReport = pymilk.play(folder / "out.fits", "again", rate=500, ring=64, force=True)
    with pymilk.load(folder / "out.fits") as recording, pymilk.Player(recording, loop=True) as player:
        count: int = player.published
        frames: int | None = player.frames
        player.stop()
        report = player.wait(timeout=5)
    pymilk.play(np.zeros((10, 4, 5), np.uint16), "zeros", rate=0, remove=True, cpu=0, priority=10)
    pymilk.play(["a.npy", folder / "b.npy"], ring_kind="temporal", ring=8)
    print(count, frames, report.jitter_us["rms"], report.to_dict())
    return report.rate
