"""Recorders whose threads fail where nobody foresaw it: waits end with the cause, and nothing is held."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Recorder
from pymilk.errors import StreamStorageError
from pymilk.recording import job, restarting
from pymilk.recording.sinks import npy, packers
from pymilk.ring import RingReader
from support.faults import (
    Failing,
    comes_from,
    each_fault,
    raised_within,
    threads_of_pymilk,
    threads_run_out,
    within,
)
from support.waiting import until

MakeSHM = Callable[..., SHM]

#: What the thread calls: while it records, at the end, and while it deals with another fault.
PLACES: dict[str, tuple[Any, str]] = {
    "taking": (job.Job, "_take"),
    "writing": (npy.NpySink, "commit"),
    "finishing": (job.Job, "_finish"),
    "closing": (RingReader, "close"),
    "telling": (job.GapTeller, "tend"),
    "unlocking": (job.Job, "_unlock"),
}


def frames(shm: SHM, count: int) -> None:
    shm.set_many(np.ones((count, *shm.shape), shm.nptype))


def records_again(shm: SHM, path: Path) -> None:
    """See that nothing of a recording that failed is in the way of the next one."""
    until(lambda: not threads_of_pymilk())
    assert not job._running
    recorder = Recorder(shm, path, frames=3, force=True).start()
    frames(shm, 3)
    assert within(recorder.wait).streams["cam"].recorded == 3
    assert pymilk.load(path).complete


@pytest.mark.parametrize("place", PLACES)
@each_fault
def test_the_cause_comes_to_who_waits(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException, place: str
) -> None:
    path = tmp_path / "cam.npy"
    where, name = PLACES[place]
    recorder = Recorder(cam, path, frames=3).start()
    with monkeypatch.context() as patched:
        calls = 1 if place == "closing" else None  # of the recorder; then of its reader, by itself
        done = None if place == "taking" else getattr(where, name)
        patched.setattr(where, name, Failing(fault, done, calls, "pymilk-record"))
        frames(cam, 3)
        assert comes_from(raised_within(recorder.wait), fault)
        assert not recorder.running
        report = within(recorder.stop)
    assert report.streams["cam"].ended == "error"
    records_again(cam, path)


def test_a_fault_in_saying_what_went_wrong(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = OSError("a disk")
    recorder = Recorder(cam, tmp_path / "cam.npy").start()
    with monkeypatch.context() as patched:
        patched.setattr(job.Job, "_take", Failing(fault))
        patched.setattr(job, "file_error", Failing(MemoryError()))
        frames(cam, 3)
        assert comes_from(raised_within(recorder.wait), fault)
    records_again(cam, tmp_path / "cam.npy")


@pytest.mark.parametrize("several", [False, True])
def test_others_go_on(make: MakeSHM, cam: SHM, tmp_path: Path, several: bool) -> None:
    """One stream fails: the others are recorded to their end, and each error has its stream."""
    other = make("other", ((2, 2), np.uint16), ring=64)
    recorder = Recorder([cam, other], tmp_path / "{stream}.npy", frames=3).start()
    with pytest.MonkeyPatch.context() as patched:
        failing, take = Failing(KeyError("one of them")), job.Job._take

        def sometimes(self: job.Job, *given: Any) -> int:
            return int(failing() if self.name == "cam" else take(self, *given))

        patched.setattr(job.Job, "_take", sometimes)
        frames(cam, 3)
        frames(other, 3)
        error = raised_within(recorder.wait)
    assert isinstance(error, pymilk.errors.RecordError)
    assert list(error.errors) == ["cam"]
    assert recorder.report.streams["other"].recorded == 3


@pytest.mark.parametrize("after", [0, 1])
def test_without_a_thread(make: MakeSHM, cam: SHM, tmp_path: Path, after: int) -> None:
    """Neither the first nor the last of several can begin: all of them end, and no file is left."""
    make("other", ((2, 2), np.uint16), ring=64)
    with threads_run_out(after, "pymilk-record"):
        recorder = Recorder(["cam", "other"], tmp_path / "{stream}.npy")
        with pytest.raises(StreamStorageError, match="no thread"):
            within(recorder.start)
        within(recorder.stop)
        with pytest.raises(StreamStorageError, match="no thread"):
            within(lambda: pymilk.record(["cam", "other"], tmp_path / "{stream}.npy", frames=2))
    assert os.listdir(tmp_path) == []
    records_again(cam, tmp_path / "cam.npy")


def test_undoing_a_start_that_fails_too(
    make: MakeSHM, cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second stream cannot begin, and the first one cannot be undone: all are ended nevertheless."""
    make("other", ((2, 2), np.uint16), ring=64)
    with monkeypatch.context() as patched, threads_run_out(1, "pymilk-record"):
        patched.setattr(job.Job, "_remove", Failing(KeyError("undoing"), job.Job._remove, 1))
        recorder = Recorder(["cam", "other"], tmp_path / "{stream}.npy")
        raised_within(recorder.start)
        within(recorder.stop)
    assert not recorder.running
    records_again(cam, tmp_path / "cam.npy")


@each_fault
def test_going_on_after_a_restart_fails(
    make: MakeSHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    with make("cam", ((2, 2), np.uint16), ring=64) as old:
        recorder = Recorder("cam", tmp_path / "cam.npy", restart=True).start()
        frames(old, 3)
        until(lambda: recorder.report.streams["cam"].recorded == 3)
        with monkeypatch.context() as patched:
            patched.setattr(restarting, "restart_path", Failing(fault))
            make("cam", ((3, 3), np.uint16), ring=64)
            assert comes_from(raised_within(recorder.wait), fault)
    assert within(recorder.stop).streams["cam"].ended == "error"
    assert not recorder.running
    assert pymilk.load(tmp_path / "cam.npy").complete


def test_watching_for_a_restart_fails(make: MakeSHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recording does not go on without anybody who waits for it."""
    fault = MemoryError()
    cam = make("cam", ((2, 2), np.uint16), ring=64)
    with monkeypatch.context() as patched:
        wait = job.Latch.wait

        def fails(self: Any, timeout: float | None = None) -> bool:
            if restarting.threading.current_thread().name.startswith("pymilk-restart") and not failed:
                failed.append(True)
                raise fault
            return wait(self, timeout)

        failed: list[bool] = []
        patched.setattr(job.Latch, "wait", fails)
        recorder = Recorder("cam", tmp_path / "cam.npy", restart=True).start()
        assert comes_from(raised_within(recorder.wait), fault)
    assert not recorder.running
    records_again(cam, tmp_path / "other.npy")


@pytest.mark.parametrize("suffix", ["h5", "zarr"])
def test_packing_threads_that_end(
    cam: SHM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Chunks that nobody packs are stored as they are."""
    for library in {"h5": ["h5py", "hdf5plugin"], "zarr": ["zarr"]}[suffix]:
        pytest.importorskip(library)
    path = tmp_path / f"cam.{suffix}"
    with monkeypatch.context() as patched:
        patched.setattr(packers, "_work", Failing(MemoryError()))
        patched.setattr("threading.excepthook", lambda _: None)
        recorder = Recorder(cam, path, compress=True).start()
        expected = np.arange(600 * 35, dtype=np.uint16).reshape(600, 5, 7)
        cam.set_many(expected)
        until(lambda: recorder.report.streams["cam"].recorded == 600)
        report = within(recorder.stop)
        within(recorder.wait)
    assert report.streams["cam"].ended == "stopped"
    np.testing.assert_array_equal(pymilk.load(path).frames[:], expected)
