"""The relay: a plain stream becomes a ring stream."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from conftest import Child
from pymilk import SHM, Relay, Stream
from pymilk.errors import (
    FrameMismatchError,
    StreamArgumentError,
    StreamBusyError,
    StreamChangedError,
    StreamClosedError,
    StreamExistsError,
    StreamFormatError,
    StreamNotFoundError,
    StreamTimeoutError,
)

SHAPE = (6, 8)


@pytest.fixture
def source() -> Iterator[SHM]:
    shm = SHM("src", np.full(SHAPE, 1, np.uint32))
    yield shm
    shm.close()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds; the watchdog ends a wait that never does."""
    while not condition():
        time.sleep(0.002)


def publish(shm: SHM, first: int, count: int) -> None:
    """Publish frames whose pixels are their numbers, slowly enough for a relay to get each one."""
    for number in range(first, first + count):
        shm.set_data(np.full(SHAPE, number, np.uint32))
        time.sleep(0.001)


@pytest.mark.parametrize("kind", ["fast", "temporal"])
def test_frames_numbers_times_and_keywords(kind: str, source: SHM) -> None:
    source.set_keywords({"EXPTIME": (0.5, "seconds")})
    with Relay("src", "dst", 64, kind=kind) as relay, SHM("dst") as target:
        assert target.shape == SHAPE
        with target.ring_reader(start="oldest") as ring:
            assert (ring.source, ring.depth) == (kind, 64)
            stamps = np.arange(2, 22, dtype=np.int64) * 10**9
            for number, stamp in zip(range(2, 22), stamps, strict=True):
                source.set_many(np.full((1, *SHAPE), number, np.uint32), atimes=[int(stamp)])
                time.sleep(0.001)
            wait_for(lambda: target.get_counter() == 21)
            report = relay.report
            # The first frame relayed is the one that was there: number 1 in both streams.
            got = ring.read(21 - report.lost)
        assert np.array_equal(got.frames[:, 0, 0], got.info["cnt0"])
        assert int(got.info["lost"].sum()) == report.lost
        assert got.info["cnt0"][-1] == 21
        later = got.info[got.info["cnt0"] > 1]
        assert np.array_equal(later["atime_ns"], later["cnt0"].astype(np.int64) * 10**9)
        assert target.get_keywords(comments=True) == {"EXPTIME": (0.5, "seconds")}
        assert report.relayed + report.lost == 21
        source.set_keywords({"EXPTIME": 0.25})
        relay.tend()
        assert target.get_keyword("EXPTIME") == 0.25
        assert "src -> dst" in str(relay.report)
        assert relay.report.to_dict()["target"] == "dst"


def test_target_is_deleted_at_the_end(source: SHM, shm_dir: Path) -> None:
    with Relay("src", "dst", 4):
        reader = SHM("dst")
    assert sorted(path.name for path in shm_dir.iterdir()) == ["src.im.shm"]
    assert reader.get_data().shape == SHAPE  # what a reader holds stays
    reader.close()


def test_source_without_frames_gives_the_first_number() -> None:
    with (
        Stream.create("src", SHAPE, np.uint32) as source,
        Relay("src", "dst", 8),
        SHM("dst") as target,
        target.ring_reader() as ring,
    ):
        assert target.get_counter() == 0
        source.publish(np.full(SHAPE, 1, np.uint32))
        got = ring.read(1)
        assert (got.info["cnt0"][0], got.info["lost"][0]) == (1, 0)


def test_lost_frames_leave_a_gap_in_the_numbers(source: SHM) -> None:
    """What the relay could not copy is lost for the readers of the target too, and counted."""
    with Relay("src", "dst", 4096) as relay, SHM("dst") as target:
        wait_for(lambda: target.get_counter() == 1)
        with target.ring_reader() as ring:
            # Back to back: no reader on earth copies each of these.
            frames = np.arange(2, 3002, dtype=np.uint32).repeat(48).reshape(3000, *SHAPE)
            source.set_many(frames)
            publish(source, 3002, 3)
            wait_for(lambda: target.get_counter() == 3004)
            received = lost = 0
            while received + lost < 3003:
                block = next(ring.blocks())
                assert np.array_equal(block.frames[:, 0, 0], block.info["cnt0"])
                assert (block.frames == block.frames[:, :1, :1]).all()
                received += len(block)
                lost += int(block.info["lost"].sum())
            assert relay.report.lost == lost
            assert relay.report.relayed == received + 1


def test_restarted_source_is_followed(source: SHM) -> None:
    with Relay("src", "dst", 64) as relay, SHM("dst") as target:
        publish(source, 2, 3)
        wait_for(lambda: target.get_counter() == 4)
        with SHM("src", np.full(SHAPE, 100, np.uint32)) as second:
            wait_for(lambda: target.get_counter() >= 5)
            publish(second, 101, 5)
            wait_for(lambda: target.get_counter() >= 10)
            with target.ring_reader(start="oldest") as ring:
                got = ring.read(target.get_counter() - relay.report.lost)
            assert got.frames[-1, 0, 0] == 105
            # Numbers go on: nobody sees the counter of the target go back.
            assert (np.diff(got.info["cnt0"].astype(np.int64)) > 0).all()
            relay.tend()


def test_source_that_changes_its_shape_ends_the_relay(source: SHM) -> None:
    with Relay("src", "dst", 8) as relay, SHM("src", np.zeros((3, 3), np.uint32)):

        def ended() -> bool:
            try:
                relay.tend()
            except StreamChangedError:
                return True
            return False

        wait_for(ended)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("none", "dst", 8), StreamNotFoundError),
        (("src", "src", 8), StreamArgumentError),
        (("src", "dst", 0), StreamArgumentError),
        (("src", "dst", 2.5), StreamArgumentError),
        (("cube", "dst", 8), StreamArgumentError),
    ],
)
def test_what_cannot_be_relayed(
    arguments: tuple[object, ...], error: type[Exception], source: SHM, shm_dir: Path
) -> None:
    with SHM("cube", (SHAPE, np.uint32), ring=4, ring_kind="temporal"), pytest.raises(error):
        Relay(*arguments)
    assert not (shm_dir / "dst.im.shm").exists()
    with pytest.raises(StreamArgumentError):
        Relay("src", "dst", 8, kind="slow")


def test_living_target_is_not_replaced(source: SHM) -> None:
    with SHM("dst", np.zeros(SHAPE, np.uint32)) as taken:
        with pytest.raises(StreamExistsError, match=str(os.getpid())):
            Relay("src", "dst", 8)
        with Relay("src", "dst", 8, force=True):
            assert taken._stream is not None
            assert taken._stream.replaced()


def test_temporal_ring_of_a_cube_is_refused() -> None:
    with SHM("src", np.zeros((2, 3, 4), np.uint32)):
        with pytest.raises(StreamArgumentError, match="2 axes"):
            Relay("src", "dst", 8, kind="temporal")
        with Relay("src", "dst", 8) as relay:
            assert relay.target.shape == relay.source.shape


def test_closed_relay(source: SHM) -> None:
    relay = Relay("src", "dst", 8)
    relay.close()
    relay.close()
    with pytest.raises(StreamClosedError):
        relay.tend()
    assert relay.report.duration > 0


def test_reader_relay_refuses_what_does_not_fit() -> None:
    with (
        Stream.create("a", SHAPE, np.uint32) as a,
        Stream.create("b", SHAPE, np.uint16) as b,
        Stream.create("c", (3, *SHAPE), np.uint32, imagetype=0x20001) as c,
    ):
        with pytest.raises(FrameMismatchError):
            a.reader().relay(b, timeout=0)
        with pytest.raises(StreamFormatError):
            c.reader().relay(a, timeout=0)
        with pytest.raises(FrameMismatchError):
            b.publish_from(a.reader(), timeout=0)
        for target in (None, a.reader(), "b"):
            with pytest.raises((TypeError, AttributeError)):
                a.reader().relay(target, timeout=0)  # type: ignore[arg-type]


def test_a_stream_publishes_from_a_reader() -> None:
    with (
        Stream.create("a", SHAPE, np.uint32) as a,
        Stream.create("b", SHAPE, np.uint32) as b,
        Stream.create("c", SHAPE, np.uint32) as c,
    ):
        reader, other = a.reader(), a.reader()
        after = reader.arm(), other.arm()
        a.publish(np.full(SHAPE, 7, np.uint32), atime_ns=123)
        with pytest.raises(StreamTimeoutError, match="'a'"):
            b.publish_from(reader, after=after[0], timeout=0)
        with pytest.raises(StreamTimeoutError, match="'a'"):
            other.relay(c, after=after[1], timeout=0)
        for target, source in ((b, reader), (c, other)):
            assert (target.counter, source.received, source.progress) == (1, 1, 1)
            assert (target.view() == 7).all()
            assert target.acquisition_time_ns == 123
        with pytest.raises(StreamBusyError), b.claim():
            b.publish_from(reader, timeout=0)
        # Both sides are free again.
        a.publish(np.full(SHAPE, 8, np.uint32))
        with pytest.raises(StreamTimeoutError):
            b.publish_from(reader, after=1, timeout=0)
        assert b.counter == reader.progress == 2


# -- the command -------------------------------------------------------------------------------


@pytest.fixture
def command(
    start_command: Callable[..., subprocess.Popen[str]],
) -> Callable[..., subprocess.Popen[str]]:
    pytest.importorskip("click", reason="extra cli")
    pytest.importorskip("rich", reason="extra cli")
    return partial(start_command, "relay")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_ends_cleanly(
    number: int,
    command: Callable[..., subprocess.Popen[str]],
    spawn: Callable[..., Child],
    shm_dir: Path,
) -> None:
    camera = spawn(
        """
import sys, numpy as np
from pymilk import SHM
with SHM("cam", ((6, 8), np.uint32)) as shm:
    print("ready", flush=True)
    sys.stdin.readline()
    frames = np.arange(2, 502, dtype=np.uint32).repeat(48).reshape(500, 6, 8)
    shm.set_many(frames, rate=1000)
    print("done", flush=True)
    sys.stdin.readline()
    shm.destroy()
"""
    )
    camera.expect("ready")
    relay = command("cam", "ring", "--depth", 1024, "--json", "--cpu", min(os.sched_getaffinity(0)))
    assert relay.stderr is not None
    assert "relaying cam to ring" in relay.stderr.readline()
    with SHM("ring") as shm, shm.ring_reader(start="oldest") as ring:
        camera.tell("go")
        camera.expect("done")
        wait_for(lambda: shm.get_counter() == 501)
        relay.send_signal(signal.SIGUSR1)
        assert relay.stdout is not None
        asked = json.loads(relay.stdout.readline())
        relay.send_signal(number)
        out, _ = relay.communicate(timeout=30)
        assert relay.returncode == 0
        last = json.loads(out.splitlines()[-1])
        received = lost = 0
        while received + lost < 501:
            block = next(ring.blocks(timeout=5))
            received += len(block)
            lost += int(block.info["lost"].sum())
            assert np.array_equal(block.frames[1:, 0, 0], block.info["cnt0"][1:])
    assert asked["relayed"] == last["relayed"] == received
    assert asked["lost"] == last["lost"] == lost
    assert sorted(path.name for path in shm_dir.iterdir()) == ["cam.im.shm"]
    camera.tell("end")
    assert camera.finish()[0] == 0


def test_command_says_what_is_wrong(command: Callable[..., subprocess.Popen[str]]) -> None:
    relay = command("none", "ring", "--depth", 8)
    _, said = relay.communicate(timeout=30)
    assert relay.returncode == 1
    assert said.startswith("pymilk: no stream 'none'")
    assert "Traceback" not in said
