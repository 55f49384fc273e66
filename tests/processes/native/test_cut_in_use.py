"""Streams whose file another process cuts while somebody looks at them, by each way of looking.

What is asked for is either what stood there, or an error of ours: no zeros that nobody wrote, and no end
of the process. `test_damaged.py` does the same for reads, waits, captures, rings and writers.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Player, errors
from pymilk._core import IMAGETYPES, FrameFeed, Stream
from pymilk.compat.xaosim import shm as XaosimStream
from pymilk.image import Image
from pymilk.inspection import describe_stream, measure_stream, stream_details, survey
from pymilk.streams.keywords import Keywords
from pymilk.streams.metadata import metadata_of
from pymilk.view.feed import Feed
from support.children import Child

#: How long each way of looking is tried at random moments.
SECONDS = float(os.environ.get("PYMILK_CUT_SECONDS", "0.1"))

SHAPE = (64, 64)
TEMPORAL = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]
TABLE = [("EXPTIME", 0.25, "s"), ("GAIN", 7, ""), ("FILTER", "H", "band")]

CUTTER = """
import os, sys, time
for line in sys.stdin:
    path, nbytes, delay = line.rsplit(" ", 2)
    time.sleep(float(delay))
    os.truncate(path, int(nbytes))
    print("cut", flush=True)
"""


class Cutter:
    """A second process that cuts files, at once or a little later."""

    def __init__(self) -> None:
        self._child = Child(CUTTER)

    def begin(self, stream: Stream, nbytes: int, delay: float = 0.0) -> None:
        self._child.tell(f"{stream.path} {nbytes} {delay}")

    def end(self) -> None:
        self._child.expect("cut")

    def cut(self, stream: Stream, nbytes: int) -> None:
        self.begin(stream, nbytes)
        self.end()

    def close(self) -> None:
        assert self._child.finish()[0] == 0


@pytest.fixture(scope="module")
def cutter() -> Any:
    cutter = Cutter()
    yield cutter
    cutter.close()


def new_cam(kind: str = "plain") -> Stream:
    """Make a stream, none of whose pixels, numbers, times and keywords is zero."""
    if kind == "cube":
        stream = Stream.create("cam", (3, *SHAPE), np.uint16, nbkw=4, nbsem=3)
    elif kind == "temporal":
        stream = Stream.create("cam", (3, *SHAPE), np.uint16, imagetype=TEMPORAL, nbkw=4, nbsem=3)
    else:
        stream = Stream.create("cam", SHAPE, np.uint16, nbkw=4, nbsem=3)
    stream.write_keywords(TABLE)
    stream.section("sem_read_pid", writable=True)[1:] = os.getppid()
    stream.section("trace", writable=True)["procwrite_PID"] = os.getpid()
    stream.section("trace", writable=True)["cnt0"] = 5
    for value in range(7, 11):
        stream.publish(np.full(stream.frame_shape, value, np.uint16))
    stream.cnt1 = 2
    stream.cnt2 = 3
    return stream


def image(name: str = "cam") -> Image:
    opened = Image()
    assert opened.open(name) == 0
    return opened


def xaosim(name: str = "cam") -> XaosimStream:
    return XaosimStream(name, nosem=False)


def without(found: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Leave out what changes by itself."""
    return {key: value for key, value in found.items() if key not in keys}


def copied(stream: Stream) -> Any:
    out = np.zeros(stream.frame_shape, stream.dtype)
    stream.copy_frame(out)
    return out.tolist()


def surveyed(name: str) -> Any:
    """Look at all streams: one that is cut is told as an error."""
    [found] = survey()
    if "error" in found:
        raise errors.StreamFormatError(found["error"])
    return without(found, "age", "looked_ns")


class Way(NamedTuple):
    """A way of looking at a stream."""

    bind: Callable[[str], Any]
    look: Callable[[Any], Any]
    kind: str = "plain"


def attached(look: Callable[[Stream], Any], kind: str = "plain") -> Way:
    return Way(lambda name: Stream.attach(name, writable=False), look, kind)


#: All of these only look: what they say is the same each time, as long as nobody writes.
WAYS: dict[str, Way] = {
    **{
        f"Stream.{name}": attached(lambda s, name=name: getattr(s, name))
        for name in (
            *("counter", "cnt1", "cnt2", "version", "stored_name", "shared", "inode", "creator_pid"),
            *("creation_time_ns", "write_time_ns", "acquisition_time_ns"),
        )
    },
    "read": attached(lambda s: s.read()[0].tolist()),
    "read, temporal": attached(lambda s: s.read()[0].tolist(), "temporal"),
    "copy_frame": attached(copied),
    "SHM.get_data": Way(SHM, lambda shm: shm.get_data().tolist()),
    "SHM.get_data(out=)": Way(SHM, lambda shm: shm.get_data(out=np.zeros(SHAPE, np.uint16)).tolist()),
    "sem_value": attached(lambda s: s.sem_value(1)),
    "sem_values": attached(lambda s: s.sem_values()),
    "try_wait": attached(lambda s: s.try_wait(0)),
    "read_keywords": attached(lambda s: s.read_keywords()),
    "describe_stream": attached(lambda s: without(describe_stream(s), "age", "looked_ns")),
    "stream_details": attached(lambda s: without(stream_details(s), "age", "looked_ns")),
    "stream_details, temporal": attached(
        lambda s: without(stream_details(s), "age", "looked_ns"), "temporal"
    ),
    "measure_stream": attached(lambda s: measure_stream(s, 0.001)["frames"]),
    "clock_write": attached(lambda s: s.clock_write(0.0002)),
    "metadata_of": attached(metadata_of),
    "survey": Way(str, surveyed),
    "Keywords, all": attached(lambda s: dict(Keywords(s))),
    "Keywords, one": attached(lambda s: Keywords(s)["GAIN"]),
    "Keywords, in": attached(lambda s: "GAIN" in Keywords(s)),
    "Keywords, len": attached(lambda s: len(Keywords(s))),
    "Keywords, comment": attached(lambda s: Keywords(s).comment("EXPTIME")),
    "Keywords, named": attached(lambda s: Keywords(s).named()),
    "SHM.keywords": Way(SHM, lambda shm: dict(shm.keywords)),
    "SHM.mtdata": Way(SHM, lambda shm: shm.mtdata["cnt2"]),
    "Image.copy": Way(lambda name: image(), lambda i: i.copy().tolist()),
    "Image.copy, temporal": Way(lambda name: image(), lambda i: i.copy().tolist(), "temporal"),
    "Image.md": Way(lambda name: image(), lambda i: repr(i.md)),
    "Image.md.cnt0": Way(lambda name: image(), lambda i: i.md.cnt0),
    "Image.md.writetime": Way(lambda name: image(), lambda i: i.md.writetime),
    "Image.get_kws": Way(lambda name: image(), lambda i: [repr(each) for each in i.get_kws().values()]),
    "Image.get_kws_list": Way(lambda name: image(), lambda i: [repr(each) for each in i.get_kws_list()]),
    "Image.semReadPID": Way(lambda name: image(), lambda i: i.semReadPID),
    "Image.semWritePID": Way(lambda name: image(), lambda i: i.semWritePID),
    "Image.semvalue": Way(lambda name: image(), lambda i: i.semvalue(1)),
    "Image.cntarray": Way(lambda name: image(), lambda i: i.cntarray, "temporal"),
    "Image.acqtimearray": Way(lambda name: image(), lambda i: i.acqtimearray, "temporal"),
    "Image.writetimearray": Way(lambda name: image(), lambda i: i.writetimearray, "temporal"),
    "Image.streamproctrace0": Way(lambda name: image(), lambda i: i.streamproctrace0.pid_write),
    "xaosim.get_data": Way(lambda name: xaosim(), lambda x: x.get_data().tolist()),
    "xaosim.get_data(check=)": Way(lambda name: xaosim(), lambda x: x.get_data(0, timeout=0.0).tolist()),
    "xaosim.get_latest_data_slice": Way(
        lambda name: xaosim(), lambda x: x.get_latest_data_slice().tolist(), "cube"
    ),
    "xaosim.get_counter": Way(lambda name: xaosim(), lambda x: x.get_counter()),
    "xaosim.read_meta_data": Way(lambda name: xaosim(), lambda x: x.read_meta_data(False) or dict(x.mtdata)),
    "xaosim.read_keywords": Way(lambda name: xaosim(), lambda x: x.read_keywords() or list(x.kwds)),
    "xaosim.read_keyword": Way(lambda name: xaosim(), lambda x: x.read_keyword(1) or dict(x.kwds[1])),
    "xaosim.sems": Way(lambda name: xaosim(), lambda x: [each.value for each in x.sems]),
    "Feed.take": Way(Feed, lambda f: f.look() is not None and f.take().tolist()),
    "Feed.take, slice": Way(Feed, lambda f: f.take(1).tolist(), "cube"),
    "Feed.take, newest slice": Way(Feed, lambda f: f.take().tolist(), "temporal"),
}


#: What is left of a file: so many bytes, or all up to shortly before the end of a section, within a page.
CUTS = [0, 100, 4096, "pixels", "keywords", "trace"]

#: After this time what is left of a page is looked at as well; in seconds.
LOOK_SECONDS = 0.02


def left_of(stream: Stream, cut: int | str) -> int:
    if isinstance(cut, int):
        return cut
    [section] = [each for each in stream_details(stream)["sections"] if each["name"] == cut]
    return int(section["offset"] + section["nbytes"] - min(100, section["nbytes"] // 4))


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("what", WAYS)
def test_looking_at_a_stream_that_was_cut(cutter: Cutter, what: str, cut: int | str) -> None:
    """Already the first look finds it, or still sees what stood there."""
    way = WAYS[what]
    with new_cam(way.kind) as stream:
        bound = way.bind("cam")
        before = way.look(bound)
        nbytes = left_of(stream, cut)
        cutter.cut(stream, nbytes)
        if nbytes % 4096:
            time.sleep(LOOK_SECONDS)
        try:
            found = way.look(bound)
        except errors.StreamError as error:
            assert str(error)
        else:
            # Nothing of the header went with the tail of the file.
            assert nbytes >= 4096
            assert found == before
        close(bound)


@pytest.mark.parametrize("what", WAYS)
def test_looking_while_a_stream_is_cut(cutter: Cutter, what: str) -> None:
    """Again and again, at any moment: in a look, or between two."""
    way, until = WAYS[what], time.monotonic() + SECONDS
    while time.monotonic() < until:
        with new_cam(way.kind) as stream:
            bound = way.bind("cam")
            before = way.look(bound)
            began = time.monotonic()
            cutter.begin(stream, random.choice([0, 4096]), random.uniform(0, 0.002))
            try:
                while time.monotonic() < began + 20:
                    assert way.look(bound) == before
                    # What is told from a header that is there still may stay, until the file is looked at.
                    if os.path.getsize(stream.path) < stream.file_nbytes and isinstance(bound, Stream):
                        bound.check_whole()
                    elif os.path.getsize(stream.path) == 4096:
                        break
                else:
                    raise AssertionError("it was never told of the cut")
            except errors.StreamError as error:
                assert os.path.getsize(stream.path) < stream.file_nbytes, error
            cutter.end()
            close(bound)


def close(bound: Any) -> None:
    """Let go of what `Way.bind` gave."""
    if hasattr(bound, "close"):
        bound.close()


#: What changes a stream: none of it may pass for done.
CHANGES: dict[str, tuple[Callable[[str], Any], Callable[[Any], Any]]] = {
    "write_keywords": (Stream.attach, lambda s: s.write_keywords(TABLE[:1])),
    "update_keyword": (Stream.attach, lambda s: s.update_keyword("GAIN", 8)),
    "post": (Stream.attach, lambda s: s.post(0)),
    "flush": (Stream.attach, lambda s: s.flush()),
    "sem_try_wait": (Stream.attach, lambda s: s.sem_try_wait(0)),
    "take_semaphore": (Stream.attach, lambda s: s.take_semaphore(0)),
    "Keywords, set": (Stream.attach, lambda s: Keywords(s).__setitem__("GAIN", 8)),
    "Keywords, add": (Stream.attach, lambda s: Keywords(s).__setitem__("NEW", 8)),
    "Keywords, del": (Stream.attach, lambda s: Keywords(s).__delitem__("GAIN")),
    "Keywords, replace": (Stream.attach, lambda s: Keywords(s).replace({"A": 1})),
    "publish_feed": (Stream.attach, lambda s: s.publish_feed(feed_of_one())),
    "Image.write": (lambda name: image(), lambda i: i.write(np.ones(SHAPE, np.uint16))),
    "Image.update": (lambda name: image(), lambda i: i.update()),
    "Image.set_kws_list": (lambda name: image(), lambda i: i.set_kws_list([])),
    "Image.getsemwaitindex": (lambda name: image(), lambda i: i.getsemwaitindex(0)),
    "Image.sempost": (lambda name: image(), lambda i: i.sempost(0)),
    "Image.semflush": (lambda name: image(), lambda i: i.semflush(-1)),
    "Image.semtrywait": (lambda name: image(), lambda i: i.semtrywait(0)),
    "Image.semtimedwait": (lambda name: image(), lambda i: i.semtimedwait(0, 1.0)),
    "xaosim.set_data": (lambda name: xaosim(), lambda x: x.set_data(np.ones(SHAPE, np.uint16))),
    "xaosim.increment_counter": (lambda name: xaosim(), lambda x: x.increment_counter()),
    "xaosim.update_keyword": (lambda name: xaosim(), lambda x: x.update_keyword(0, "A", 1, "")),
    "xaosim.write_keywords": (lambda name: xaosim(), lambda x: x.write_keywords()),
    "xaosim.post_sems": (lambda name: xaosim(), lambda x: x.post_sems()),
    "xaosim.catch_up_with_sem": (lambda name: xaosim(), lambda x: x.catch_up_with_sem(0)),
    "xaosim.acquire": (lambda name: xaosim(), lambda x: x.sems[0].acquire(0.05)),
}


def feed_of_one() -> FrameFeed:
    feed = FrameFeed(2, SHAPE, np.dtype(np.uint16), None)
    feed.slots[0] = 1
    feed.steps[0] = 0
    feed.hand_over(1)
    feed.end()
    return feed


@pytest.mark.parametrize("nbytes", [0, 100, 4096])
@pytest.mark.parametrize("what", CHANGES)
def test_what_is_changed_in_a_stream_that_was_cut(cutter: Cutter, what: str, nbytes: int) -> None:
    bind, change = CHANGES[what]
    with new_cam() as stream:
        bound = bind("cam")
        cutter.cut(stream, nbytes)
        with pytest.raises(errors.StreamError):
            change(bound)
        assert os.path.getsize(stream.path) == nbytes
        close(bound)


@pytest.mark.parametrize("nbytes", [0, 100, 4096])
def test_a_player_whose_stream_is_cut(cutter: Cutter, nbytes: int) -> None:
    cube = np.ones((16, *SHAPE), np.uint16)
    player = Player(cube, "cam", rate=5000, loop=True).start()
    stream = Stream.attach("cam")
    while player.published < 20:
        time.sleep(0.001)
    cutter.cut(stream, nbytes)
    with pytest.raises(errors.StreamReplacedError) as caught:
        player.wait(20)
    assert caught.value.report.published >= 20
    assert player.report.ended == "error"
    player.close()
    stream.close()


def watch(stream: Stream) -> None:
    for _ in range(100):
        stream.clock_write(0.2)


def test_a_clock_that_watches_while_a_stream_is_cut(cutter: Cutter) -> None:
    """The watch ends when its time is over at the latest, and says so."""
    with new_cam() as stream, Stream.attach("cam", writable=False) as watcher:
        cutter.begin(stream, 0, 0.05)
        with pytest.raises(errors.StreamDamagedError):
            watch(watcher)
        cutter.end()


def test_a_measurement_while_a_stream_is_cut(cutter: Cutter) -> None:
    with new_cam() as stream, Stream.attach("cam", writable=False) as watcher:
        cutter.begin(stream, 4096, 0.05)
        with pytest.raises(errors.StreamDamagedError):
            measure_stream(watcher, 20.0)
        cutter.end()


def test_what_was_captured_before_is_saved(cutter: Cutter, tmp_path: Path) -> None:
    """Frames of a capture are copies: that the stream is cut then, or meanwhile, changes nothing."""
    with new_cam() as stream, SHM("cam") as shm:
        capture = shm.capture(3, timeout=20, background=True)
        for value in (1, 2, 3):
            stream.publish(np.full(SHAPE, value, np.uint16))
            while capture.received < value:
                time.sleep(0.0005)
        capture.join()
        keywords = stream.read_keywords()
        cutter.begin(stream, 0)
        pymilk.save(capture, tmp_path / "during.npy", keywords=keywords)
        cutter.end()
        pymilk.save(capture, tmp_path / "behind.npy", keywords=keywords)
        for name in ("during.npy", "behind.npy"):
            with pymilk.load(tmp_path / name) as loaded:
                assert loaded.complete
                assert loaded.frames[:, 0, 0].tolist() == [1, 2, 3]
                assert (loaded.frames == loaded.frames[:, :1, :1]).all()
                assert np.array_equal(loaded.info, capture.info)
                assert [each[0] for each in loaded.header["keywords"]] == [each[0] for each in TABLE]
        with pytest.raises(errors.StreamDamagedError):
            pymilk.save(capture, tmp_path / "not.npy", keywords=stream.read_keywords())
        assert not (tmp_path / "not.npy").exists()


def save_again_and_again(shm: SHM, path: Path) -> None:
    from astropy.io import fits

    for _ in range(10_000):
        shm.save_as_fits(path)
        assert (fits.getdata(path) == 10).all()
        path.unlink()


def test_a_fits_file_of_a_stream_that_is_cut(cutter: Cutter, tmp_path: Path) -> None:
    """There is the whole frame in it, or there is no file."""
    pytest.importorskip("astropy")
    path = tmp_path / "cam.fits"
    with new_cam() as stream, SHM("cam") as shm:
        cutter.begin(stream, random.choice([0, 4096]), random.uniform(0, 0.005))
        with pytest.raises(errors.StreamError):
            save_again_and_again(shm, path)
        cutter.end()
        assert list(tmp_path.iterdir()) == []
