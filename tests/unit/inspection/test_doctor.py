"""What the doctor finds, in a directory with known troubles and on a machine that is short of things."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from pymilk._core import Stream
from pymilk.inspection import doctor
from pymilk.inspection.doctor import examine
from support.findings import about


def test_healthy_directory(make, shm_dir):
    make("cam", ((4, 4), "u2"))
    findings = examine()
    assert {finding["topic"] for finding in findings} >= {"directory", "room", "memory", "streams", "time"}
    assert [finding["found"] for finding in findings if finding["topic"] == "streams"] == ["1 usable"]
    for finding in findings:
        assert set(finding) == {"topic", "level", "found", "todo"}
        assert (finding["level"] == "ok") == (finding["todo"] == "")
        assert finding["topic"] not in ("writer", "semaphores", "left over", "file", "permission")
    assert str(shm_dir) in findings[0]["found"]


def test_frame_in_the_making_is_no_trouble(make_stream, monkeypatch):
    monkeypatch.setattr(doctor, "_QUIET", 0.0)
    stream = make_stream("cam", (4, 4), "u2")
    with stream.claim(), Stream.attach("cam", writable=False) as other:
        assert other.write
        assert about("writer") == []


@pytest.mark.parametrize(
    ("name", "value", "topic", "level"),
    [
        ("free_memory", 1_000_000, "memory", "note"),
        ("file_system_of", "ext4", "directory", "note"),
        ("huge_pages", "never", "huge pages", "note"),
        ("tai_offset", 0, "time", "note"),
        ("tai_offset", 37, "time", "ok"),
        ("huge_pages", "madvise", "huge pages", "ok"),
    ],
)
def test_machine_that_is_short_of_something(monkeypatch, name, value, topic, level):
    monkeypatch.setattr(doctor, name, lambda *_: value)
    [finding] = about(topic)
    assert finding["level"] == level


@pytest.mark.parametrize(("free", "level"), [(10**7, "problem"), (10**8, "note"), (10**9, "ok")])
def test_room(monkeypatch, free, level):
    monkeypatch.setattr(
        doctor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free, total=2 * 10**9)
    )
    [finding] = about("room")
    assert finding["level"] == level
    assert f"{free // 10**6} of 2000 MB" in finding["found"]


@pytest.mark.parametrize("error", [PermissionError(1, "no"), OSError(22, "not here")])
def test_no_real_time(monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    [finding] = about("real time")
    assert finding["found"] == "not permitted to this user"


def test_scheduling_is_as_before():
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    examine()
    assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before
