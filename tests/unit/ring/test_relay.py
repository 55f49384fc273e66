"""The relay: a plain stream becomes a ring stream."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

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
from support.waiting import until

SHAPE = (6, 8)


@pytest.fixture
def source() -> Iterator[SHM]:
    shm = SHM("src", np.full(SHAPE, 1, np.uint32))
    yield shm
    shm.close()


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
            until(lambda: target.get_counter() == 21)
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
        until(lambda: target.get_counter() == 1)
        with target.ring_reader() as ring:
            # Back to back: no reader on earth copies each of these.
            frames = np.arange(2, 3002, dtype=np.uint32).repeat(48).reshape(3000, *SHAPE)
            source.set_many(frames)
            publish(source, 3002, 3)
            until(lambda: target.get_counter() == 3004)
            received = lost = 0
            while received + lost < 3003:
                block = next(ring.blocks())
                assert np.array_equal(block.frames[:, 0, 0], block.info["cnt0"])
                assert (block.frames == block.frames[:, :1, :1]).all()
                received += len(block)
                lost += int(block.info["lost"].sum())
            assert relay.report.lost == lost
            assert relay.report.relayed == received + 1


def test_the_last_frame_of_a_burst_is_relayed(source: SHM) -> None:
    """Also where the tries of a copy were over just when the writer came to rest."""
    frames = np.zeros((1000, *SHAPE), np.uint32)
    with Relay("src", "dst", 64), SHM("dst") as target:
        for _ in range(200):
            source.set_many(frames)
            until(lambda: target.get_counter() == source.get_counter())


def test_restarted_source_is_followed(source: SHM) -> None:
    with Relay("src", "dst", 64) as relay, SHM("dst") as target:
        publish(source, 2, 3)
        until(lambda: target.get_counter() == 4)
        with SHM("src", np.full(SHAPE, 100, np.uint32)) as second:
            until(lambda: target.get_counter() >= 5)
            publish(second, 101, 5)
            until(lambda: target.get_counter() >= 10)
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

        until(ended)


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
