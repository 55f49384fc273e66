"""The adapters of `peers`, those that need nothing but pymilk, the standard library and a C compiler.

Run with the other benchmarks, ``pytest benchmarks``.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.adapters import PEERS
from benchmarks.peers.adapters.pymilk_reference import own
from benchmarks.peers.goals import figures
from benchmarks.peers.measure import QUICK, SHAPE, Live, Results, account, connected
from benchmarks.peers.peer import DTYPE, not_installed, offers, stamp_of
from benchmarks.peers.second import STAMPS, Second

KEYS = ["pymilk", "pymilk-ring", "pymilk-collector", "c-loop", "c-ring", "shared-memory-ring"]
KEYS += ["multiprocessing-queue"]

#: Those that lose nothing at a rate that they can keep up with.
LOSSLESS = {"pymilk-ring", "c-ring", "shared-memory-ring", "multiprocessing-queue"}

FRAMES = 60


@pytest.fixture(params=KEYS)
def peer(request: pytest.FixtureRequest):
    found = PEERS[request.param]
    if missing := found.missing():
        pytest.skip(missing)
    return found


def test_one_frame(peer) -> None:
    if "access" not in peer.tasks:
        pytest.skip("not for single calls")
    with ExitStack() as stack:
        writer, reader = connected(stack, peer, SHAPE, 32)
        for number in (1, 2, 3):
            frame = np.full(SHAPE, number, DTYPE)
            writer.write(frame)
            if peer.queue or peer.key == "shared-memory-ring":
                assert np.array_equal(reader.next(5.0), frame)
                continue
            if offers(type(reader), "view"):
                assert np.array_equal(reader.view(), frame)
            if "copy" in vars(reader):
                assert np.array_equal(reader.copy(), frame)
            if offers(type(reader), "into"):
                target = np.zeros_like(frame)
                reader.into(target)
                assert np.array_equal(target, frame)
        if peer.key != "pymilk":  # to whom 0 is no timeout
            while reader.next(0.0) is not None:
                pass
            assert reader.next(0.01) is None


def test_two_processes(peer) -> None:
    wait = peer.live_waits[0]
    cpu = min(os.sched_getaffinity(0))
    out = np.zeros((FRAMES, *SHAPE), DTYPE)
    with (
        Second(peer, SHAPE, 128, wait, cpu) as second,
        peer.reader(second.channel, SHAPE, 128, wait) as reader,
    ):
        second.tell("listen")
        for _ in range(2):  # again, with what was left over the first time
            reader.prepare(out)
            second.tell("series", FRAMES + (10 if peer.key in LOSSLESS else 3 * FRAMES), 2000.0)
            received = reader.receive(5.0)
            assert second.hear() >= FRAMES / 2000
            found = account(out[:received], 0, reader.flags())
            if peer.key in LOSSLESS:
                assert received == FRAMES
                assert (found.lost, found.repeated, found.torn) == (0, 0, 0)
            assert received  # on a busy machine some peers get less than all
            if reader.told() is not None:
                assert reader.told() == found.lost
            assert found.unflagged in (None, 0)


@pytest.mark.parametrize("key", ["pymilk", "pymilk-ring", "c-loop", "shared-memory-ring"])
def test_latencies(key: str) -> None:
    peer = PEERS[key]
    if missing := peer.missing():
        pytest.skip(missing)
    wait = peer.waits[-1] if key == "c-loop" else peer.waits[0]
    with (
        Second(peer, SHAPE, 128, wait, min(os.sched_getaffinity(0))) as second,
        peer.reader(second.channel, SHAPE, 128, wait) as reader,
    ):
        second.tell("listen")
        second.tell("stamps", 300, 2000.0)  # more than asked for: the reader may be late
        rows = reader.latencies(20, 1.0)
        second.hear()
    assert len(rows) == 20
    late, steps = rows[:, 0] <= rows[:, 1], np.diff(rows[:, 1])
    if key == "pymilk":  # it looks at the frame in place: when it is held up, at one that came later
        assert late.mean() < 0.5
        assert (steps >= 0).all()
    else:
        assert not late.any()
        assert (steps > 0).all()
    if key != "shared-memory-ring":
        assert (rows[:, 2] >= rows[:, 1]).all()


def frames_of(numbers: list[int]) -> np.ndarray:
    frames = np.zeros((len(numbers), 4, 6), DTYPE)
    frames[:] = (np.array(numbers) % STAMPS)[:, None, None]
    return frames


def test_account_of_a_perfect_capture() -> None:
    found = account(frames_of(list(range(3 * STAMPS))), 0, None)
    assert (found.received, found.lost, found.repeated, found.torn) == (3 * STAMPS, 0, 0, 0)


def test_account_of_what_went_wrong() -> None:
    # 0 is missing, 2 and 3 too, 5 comes twice, 4 comes back after 5.
    frames = frames_of([1, 4, 5, 5, 4, 6, 7])
    frames[-1, 2:] = 8
    found = account(frames, 0, np.zeros(7, bool))
    assert (found.lost, found.repeated, found.torn, found.unflagged) == (3, 2, 1, 1)
    assert account(frames, 0, np.arange(7) == 6).unflagged == 0
    assert found.lost_share == 3 / 8


def test_account_of_an_early_end() -> None:
    assert account(frames_of([0, 1, 2]), 10, None).lost == 7
    assert account(frames_of([]), 10, None).lost == 10


def test_stamp_of() -> None:
    frame = np.zeros(SHAPE, DTYPE)
    frame.reshape(-1)[:4].view(np.int64)[0] = 1234567890123456789
    assert stamp_of(frame) == 1234567890123456789


def test_what_is_not_installed_is_named() -> None:
    assert not_installed("no_such_module", "build it") == "not installed; build it"
    assert not_installed("numpy", "build it") == ""


def test_what_pymilk_brings_under_old_names_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "backed.py").write_text("from pymilk import SHM\n")
    (tmp_path / "real.py").write_text("import numpy\n")
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "pymilk's own" in own("backed")
    assert own("real") == ""
    assert "no_such_module" in own("broken")


def test_verdicts_are_computed() -> None:
    results = Results()
    results.import_ms = [20.0, 24.0, 30.0]
    results.access[28_800, "numpy", "copy"] = [1.0e-6]
    results.access[28_800, "pymilk", "copy"] = [1.05e-6]
    results.access[28_800, "pymilk", "into"] = [0.9e-6]
    plain = Live(100, 1, 0, 0, 0, 1, 0.1, 1000.0)
    c = Live(100, 1, 0, 0, None, None, 0.1, 1000.0)
    for rate in QUICK.live:
        results.live["pymilk", "auto", rate].append(plain)
        results.live["c-loop", "sleep", rate].append(c)
    results.live["pymilk-ring", "auto", 1000.0].append(Live(100, 2, 0, 0, 0, 2, 0.1, 1000.0))
    verdicts = {row.what: row.verdict for row in figures(results, QUICK)}
    assert verdicts["read with copy, new array, 28.8 kB"] == "yes"
    assert verdicts["read into a given array, 28.8 kB"] == "no"
    assert verdicts["read with copy, 8 MB"] == "not measured"
    assert verdicts["live capture of a plain stream, wait 'auto'"] == "yes"
    assert verdicts["live capture from a ring, wait 'auto': lost, torn or repeated"] == "no"
    assert verdicts["wake-up, sleeping"] == "not measured"
    assert verdicts["import pymilk beyond NumPy"] == "yes"
