"""Handles that several threads have: who reads what, and a close between two looks at what is open."""

from __future__ import annotations

import threading

import pytest

from pymilk.compat.pymembus import (
    audio_format,
    errc,
    last_error,
    memaud,
    memcmd,
    memkv,
    memmap,
    memmsg,
    mempkt,
    memvid,
    video_format,
)
from support.waiting import PATIENCE


class Slow:
    """The log of a handle; what it took is handed over only when that is allowed."""

    def __init__(self, log):
        self.log, self.taken, self.allowed = log, threading.Event(), threading.Event()

    def read_many(self):
        batch = self.log.read_many()
        if len(batch) and not self.taken.is_set():
            self.taken.set()
            self.allowed.wait(PATIENCE)
        return batch

    def __getattr__(self, name):
        return getattr(self.log, name)


def opened(kind):
    handle = kind()
    assert handle.open("/log", 1024, True, True)
    return handle


@pytest.mark.parametrize("kind", [memmsg, memcmd])
def test_threads_that_share_a_handle_get_messages_in_order(kind, shm_dir):
    handle, got = opened(kind), {}
    slow = handle._reader = Slow(handle._reader)

    def read(who):
        got[who] = handle.read_bytes(1000 * int(PATIENCE))

    first, second = (threading.Thread(target=read, args=(who,)) for who in ("first", "second"))
    assert handle.write("one")
    first.start()
    assert slow.taken.wait(PATIENCE)
    assert handle.write("two")
    second.start()
    second.join(0.1)
    assert got == {}, "the second message is not handed over before the first one"
    slow.allowed.set()
    for thread in (first, second):
        thread.join(PATIENCE)
    assert got == {"first": b"one", "second": b"two"}
    handle.close()


def closed_after_a_look(kind, attribute):
    """Return a kind of handles that are closed by another thread behind each first look at what is open."""

    def look(self):
        found = self.__dict__.get("open_now")
        if self.__dict__.get("closing"):
            self.__dict__["open_now"] = None
        return found

    def become(self, found):
        self.__dict__["open_now"] = found

    return type(kind.__name__, (kind,), {attribute: property(look, become)})


RING = [
    ("getBufs",), ("getPtr", 0), ("getSeq",), ("getSessionId",), ("getVersion",), ("getFourcc",),
    ("getGuid",), ("getMeta",), ("getMetaSize",), ("getFrameSeq", 0), ("waitForFrame", 0, -1), ("__repr__",),
]  # fmt: skip
MEDIA = [
    *RING, ("getAlign",), ("getFrameExtra",), ("setUserData", 0, b"x"), ("getUserLen", 0), ("getUserData", 0),
    ("getFormat",), ("getFormatName",), ("getFps",), ("fill", 0, 1), ("setPtr", 0), ("getPtrErr", 0, 0),
    ("next", 1), ("getBuf", 0),
]  # fmt: skip
CASES = {
    memvid: (
        "_ring",
        lambda handle: handle.open("/v", True, 4, 2, video_format.rgb24, 30, 3, frameextra=8, meta=b"m"),
        [*MEDIA, ("getWidth",), ("getHeight",), ("getBpp",), ("setVpts", 0, 1), ("getVpts", 0)],
    ),
    memaud: (
        "_ring",
        lambda handle: handle.open("/a", True, 1, audio_format.s16le, 80, 10, 3, frameextra=8, meta=b"m"),
        [*MEDIA, ("getChannels",), ("getBitRate",), ("getBufSize",), ("setPts", 0, 1), ("getPts", 0)],
    ),
    mempkt: (
        "_ring",
        lambda handle: handle.open("/p", True, 4, 1024, 64, meta=b"m"),
        [*RING, ("write", b"x"), ("getRecord", 0), ("getWcursor",), ("getArenaSize",), ("getMaxRec",)],
    ),
    memmap: (
        "_share",
        lambda handle: handle.open("/m", 64, True, True),
        [("write", "x"), ("read",), ("read_bytes",), ("size",), ("name",), ("__repr__",)],
    ),
    memmsg: (
        "_reader",
        lambda handle: handle.open("/g", 1024, True, True),
        [("write", "x"), ("read",), ("read_bytes", 1), ("poll",), ("getSessionId",), ("__repr__",)],
    ),
    memcmd: (
        "_reader",
        lambda handle: handle.open("/c", 1024, True, True),
        [("write", "x"), ("read",), ("read_bytes", 1), ("readerCount",), ("getSessionId",), ("__repr__",)],
    ),
    memkv: (
        "_state",
        lambda handle: handle.create("/k", 2, 15, 63, True),
        [
            ("getEpoch",), ("getAll",), ("getValue", 0), ("setValue", 0, "x"), ("setAll", {}),
            ("setName", 0, "n"), ("findName", "n"), ("getName", 0), ("waitForChange", 1, 0),
            ("getChanged", 1, 0), ("getSessionId",), ("__repr__",),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "call"),
    [(kind, call) for kind, (_, _, calls) in CASES.items() for call in calls],
    ids=lambda each: each.__name__ if isinstance(each, type) else each[0],
)
def test_a_close_between_two_looks_is_no_error_of_the_handle(kind, call, shm_dir):
    attribute, open_it, _ = CASES[kind]
    handle = closed_after_a_look(kind, attribute)()
    assert open_it(handle)
    handle.__dict__["closing"] = True
    name, *arguments = call
    getattr(handle, name)(*arguments)


@pytest.mark.parametrize("call", [("write", "x"), ("read",), ("getSessionId",)], ids=lambda each: each[0])
@pytest.mark.parametrize("kind", [memmsg, memcmd])
def test_a_log_that_another_thread_closed(kind, call, shm_dir):
    """The handle still has it: the other thread is in the middle of `close`."""
    handle = opened(kind)
    for log in (handle._reader, handle._writer):
        log.close()
    name, *arguments = call
    assert not getattr(handle, name)(*arguments)
    if name == "read":
        assert last_error() == errc.not_open
    handle.close()
