"""Every method on a read-only stream and on a closed one."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk import _core
from pymilk._core import FRAME_ROW, FrameFeed, PrivateRing, Reader, Stream
from pymilk.errors import StreamClosedError, StreamReadOnlyError, StreamTimeoutError
from support.refusals import OUT, content, ramp

Make = Callable[..., Stream]


# --- read-only ---------------------------------------------------------------------------------

#: Everything that writes.
WRITING: dict[str, Callable[[Stream], object]] = {
    "publish": lambda s: s.publish(ramp(3)),
    "publish_many": lambda s: s.publish_many(ramp(3)[None]),
    "claim": lambda s: s.claim(),
    "writable view": lambda s: s.view(writable=True),
    "writable section": lambda s: s.section("trace", writable=True),
    "post": lambda s: s.post(),
    "post one": lambda s: s.post(0),
    "flush": lambda s: s.flush(),
    "flush one": lambda s: s.flush(0),
    "sem_try_wait": lambda s: s.sem_try_wait(0),
    "sem_wait": lambda s: s.sem_wait(0, 0),
    "write_keywords": lambda s: s.write_keywords([]),
    "update_keyword": lambda s: s.update_keyword("FIRST", 2),
    "clear_keywords": lambda s: s.clear_keywords(),
    "cnt1": lambda s: setattr(s, "cnt1", 1),
    "cnt2": lambda s: setattr(s, "cnt2", 1),
    "status": lambda s: setattr(s, "status", 1),
    "flag": lambda s: setattr(s, "flag", 1),
    "logflag": lambda s: setattr(s, "logflag", 1),
    "owner_pid": lambda s: setattr(s, "owner_pid", 1),
    "cuda_handle": lambda s: setattr(s, "cuda_handle", bytes(64)),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("call", WRITING.values(), ids=WRITING)
def test_read_only_stream_is_not_written(stream: Stream, call: Callable[[Stream], object]) -> None:
    with Stream.attach("cam0", writable=False) as view:
        with pytest.raises(StreamReadOnlyError, match="attached read-only") as caught:
            call(view)
        assert type(caught.value) is StreamReadOnlyError
        assert isinstance(caught.value, PermissionError)
        assert caught.value.stream == "cam0"


def test_read_only_stream_is_read(stream: Stream) -> None:
    with Stream.attach("cam0", writable=False) as view:
        out, info = OUT.copy(), np.zeros(1, FRAME_ROW)
        assert view.receive(out, info, timeout=0, after=1) == 1
        assert out[0].tolist() == ramp(2).tolist()
        assert view.copy_frame(out) == _core.FLAG_VERIFIED
        assert view.wait(0, after=1) == 2
        assert view.try_wait(2) is None
        assert view.sem_index is None
        assert view.reader().flush() == 0
        assert view.sem_values() == [2] * 10
        assert [keyword.name for keyword in view.read_keywords()] == ["FIRST", "SECOND"]
        with pytest.raises(StreamTimeoutError):
            view.wait(0)
        # A writer elsewhere is seen at once.
        stream.publish(ramp(3))
        assert view.view().tolist() == ramp(3).tolist()


def test_views_of_a_reader_cannot_be_made_writable(stream: Stream) -> None:
    with Stream.attach("cam0", writable=False) as view:
        arrays = [view.view(), view.section("ring_slots"), stream.view(), stream.section("trace")]
        for array in arrays:
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_read_only_stream_can_be_destroyed(stream: Stream) -> None:
    # Deleting a file needs permission of its directory, not of the file.
    with Stream.attach("cam0", writable=False) as view:
        view.destroy()
        assert view.closed
    assert stream.deleted


# --- after close -------------------------------------------------------------------------------

#: Every method of Stream. Class methods and close are tested by name below.
CALLS: dict[str, Callable[[Stream], object]] = {
    "destroy": lambda s: s.destroy(),
    "check_whole": lambda s: s.check_whole(),
    "read": lambda s: s.read(),
    "announce": lambda s: s.announce(),
    "take_semaphore": lambda s: s.take_semaphore(0),
    "replaced": lambda s: s.replaced(),
    "traces": lambda s: s.traces(),
    "successor": lambda s: s.successor(),
    "view": lambda s: s.view(),
    "copy_frame": lambda s: s.copy_frame(OUT),
    "publish": lambda s: s.publish(ramp(3)),
    "claim": lambda s: s.claim(),
    "publish_many": lambda s: s.publish_many(OUT),
    "reader": lambda s: s.reader(),
    "wait": lambda s: s.wait(0),
    "try_wait": lambda s: s.try_wait(0),
    "receive": lambda s: s.receive(OUT, timeout=0),
    "post": lambda s: s.post(),
    "flush": lambda s: s.flush(),
    "sem_value": lambda s: s.sem_value(0),
    "sem_values": lambda s: s.sem_values(),
    "ring_cursor": lambda s: s.ring_cursor(),
    "free_reader": lambda s: s.free_reader(),
    "sem_try_wait": lambda s: s.sem_try_wait(0),
    "sem_wait": lambda s: s.sem_wait(0, 0),
    "section": lambda s: s.section("trace"),
    "read_keywords": lambda s: s.read_keywords(),
    "write_keywords": lambda s: s.write_keywords([]),
    "update_keyword": lambda s: s.update_keyword("FIRST", 1),
    "clear_keywords": lambda s: s.clear_keywords(),
    "clock_write": lambda s: s.clock_write(0.0),
    "publish_feed": lambda s: s.publish_feed(FrameFeed(2, (2, 3), np.dtype("f4"), None)),
    "publish_from": lambda s: s.publish_from(Stream.local("other", (2, 3), "f4").reader()),
}

#: What the handle still knows without its memory.
STILL_KNOWN = {
    "name": "cam0",
    "told": 0,
    "shape": (2, 3),
    "frame_shape": (2, 3),
    "size": (3, 2),
    "dtype": np.dtype("f4"),
    "naxis": 2,
    "ndim": 2,
    "nelement": 6,
    "nbytes": 24,
    "datatype": 9,
    "imagetype": 2,
    "temporal": False,
    "exclusive": False,
    "location": -1,
    "layout": "default",
    "file_nbytes": 384 + 24 + 4 * 128 + 320 + 32 + 4 * 40 + 640 + 2 * 48 + 2 * 24,
    "nbsem": 10,
    "nbkw": 4,
    "nbproctrace": 10,
    "cb_size": 2,
    "note": "",
    "closed": True,
    "damaged": False,
    "writable": False,
}


def public(cls: type) -> dict[str, Any]:
    """Return what a class and its bases offer."""
    found = {name: item for base in reversed(cls.__mro__[:-1]) for name, item in vars(base).items()}
    return {name: item for name, item in found.items() if not name.startswith("_")}


def is_data(item: object) -> bool:
    return inspect.isdatadescriptor(item) or inspect.ismemberdescriptor(item)


def test_every_method_is_in_the_table() -> None:
    methods = {name for name, item in public(Stream).items() if not is_data(item)}
    assert methods - {"attach", "create", "local", "close"} == set(CALLS)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_use_after_close(stream: Stream, call: Callable[[Stream], object]) -> None:
    before = content(stream)
    stream.close()
    with pytest.raises(StreamClosedError, match="'cam0': the handle is closed; attach") as caught:
        call(stream)
    assert type(caught.value) is StreamClosedError
    assert isinstance(caught.value, ValueError)
    assert caught.value.stream == "cam0"
    assert content(stream) == before


def test_fields_after_close(stream: Stream) -> None:
    path = stream.path
    stream.close()
    known = {}
    for name, item in public(Stream).items():
        if not is_data(item):
            continue
        with contextlib.suppress(StreamClosedError):
            known[name] = getattr(stream, name)
    assert known.pop("path") == path
    known.pop("frame_counter")
    known.pop("frame_flags")
    assert known == STILL_KNOWN
    for name in ("cnt1", "cnt2", "status", "flag", "logflag", "owner_pid", "cuda_handle"):
        with pytest.raises(StreamClosedError):
            setattr(stream, name, bytes(64) if name == "cuda_handle" else 1)
    assert repr(stream) == "<Stream 'cam0' closed>"


def test_close_twice(stream: Stream) -> None:
    assert not stream.closed
    stream.close()
    stream.close()
    assert stream.closed
    with pytest.raises(StreamClosedError), stream:
        pass
    with Stream.attach("cam0") as other:
        other.close()
    assert other.closed


def test_views_outlive_the_handle(stream: Stream) -> None:
    frame, slots = stream.view(), stream.section("ring_slots")
    stream.close()
    assert frame.tolist() == ramp(2).tolist()
    assert slots[1].tolist() == ramp(1).tolist()


@pytest.mark.parametrize("whose", ["reader", "stream"])
def test_reader_after_close(stream: Stream, make_stream: Make, whose: str) -> None:
    target = make_stream("target", (2, 3), np.float32)
    reader = stream.reader()
    reader.flush()
    assert (reader.closed, reader.sem_index) == (False, 0)
    if whose == "stream":
        stream.close()
    else:
        reader.close()
        reader.close()
    assert reader.closed
    for call in (
        lambda: reader.wait(0),
        lambda: reader.try_wait(0),
        lambda: reader.flush(),
        lambda: reader.arm(),
        lambda: reader.receive(OUT, timeout=0),
        lambda: reader.collect(PrivateRing(2, (2, 3), np.float32), timeout=0),
        lambda: reader.relay(target, timeout=0),
    ):
        with pytest.raises(StreamClosedError, match="'cam0'"):
            call()
    reader.stop()
    assert (reader.name, reader.received, reader.repeated, reader.torn) == ("cam0", 0, 0, 0)
    assert target.counter == 0
    assert stream.closed == (whose == "stream")


def test_every_method_of_a_reader_is_tested() -> None:
    methods = {name for name, item in public(Reader).items() if not is_data(item)}
    assert methods == {
        "wait",
        "try_wait",
        "flush",
        "arm",
        "receive",
        "collect",
        "relay",
        "stop",
        "close",
    }
