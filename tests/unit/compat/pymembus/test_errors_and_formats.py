"""Enumerations, error codes, names of formats, `select`."""

from __future__ import annotations

import copy
import pickle
import sys
import threading

import pytest

from pymilk.compat import pymembus
from pymilk.compat.pymembus import (
    audio_format,
    errc,
    last_error,
    last_error_message,
    memmap,
    memmsg,
    pkt_kind,
    select,
    video_format,
)
from pymilk.errors import StreamArgumentError

TEXTS = [
    "ok",
    "invalid argument",
    "open failed",
    "create failed",
    "map failed",
    "size mismatch",
    "invalid shared-memory layout",
    "not open",
    "access denied",
    "message too large",
    "lock timeout",
    "timeout",
    "overrun",
]


def test_error_codes():
    assert [member.value for member in errc.__members__.values()] == list(range(13))
    assert errc.overrun.value == 12
    assert [last_error_message(errc(number)) for number in range(13)] == TEXTS
    assert last_error_message(errc(99)) == "unknown error"
    with pytest.raises(TypeError, match="errc"):
        last_error_message(3)


def test_last_error_is_of_the_thread_and_reset_by_each_object():
    assert not memmap().open("/absent", 0)
    assert last_error() == errc.open_failed
    assert last_error_message() == "open failed"
    seen = []
    thread = threading.Thread(target=lambda: seen.append(last_error()))
    thread.start()
    thread.join()
    assert seen == [errc.ok]
    assert last_error() == errc.open_failed
    for kind in (memmap, memmsg):
        assert not memmap().open("/absent", 0)
        kind()
        assert last_error() == errc.ok


@pytest.mark.parametrize("kind", [errc, video_format, audio_format, pkt_kind])
def test_enumerations(kind):
    for name, member in kind.__members__.items():
        assert member is getattr(kind, name)
        assert member.name == name
        assert int(member) == member.value
        assert kind(member.value) == member
        assert hash(kind(member.value)) == hash(member)
        assert pickle.loads(pickle.dumps(member)) == member
        assert member != member.value
        assert str(member) == f"{kind.__name__}.{name}"
        assert repr(member) == f"<{kind.__name__}.{name}: {member.value}>"
    assert kind(77).name == "???"
    with pytest.raises(TypeError):
        assert kind(0) < kind(1)
    with pytest.raises(TypeError, match="is an int"):
        kind("ok")


def test_members_of_two_enumerations_differ():
    assert video_format(1) != audio_format(1)
    assert pkt_kind.data != errc.ok


def test_formats():
    video = {"gray8": 1, "rgb24": 3, "bgr24": 3, "rgba32": 4, "bgra32": 4, "yuyv422": 2, "uyvy422": 2}
    audio = {"u8": 1, "s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4, "f64le": 8}
    for kind, sizes, size_of, name_of in (
        (video_format, video, pymembus.video_format_bytes_per_pixel, pymembus.video_format_name),
        (audio_format, audio, pymembus.audio_format_bytes_per_sample, pymembus.audio_format_name),
    ):
        assert list(kind.__members__) == [*sizes, "userType"]
        values = [member.value for member in kind.__members__.values()]
        assert values == [*range(1, len(sizes) + 1), 4096]
        for name, size in sizes.items():
            member = kind.__members__[name]
            assert (size_of(member), name_of(member)) == (size, name.upper())
        assert (size_of(kind.userType), name_of(kind.userType)) == (0, "USERTYPE")
        assert (size_of(kind(99)), name_of(kind(99))) == (0, "unknown")
        for wrong in (1, "gray8", errc.ok):
            with pytest.raises(TypeError):
                size_of(wrong)
    assert {name: member.value for name, member in pkt_kind.__members__.items()} == {
        "data": 0,
        "video": 1,
        "audio": 2,
    }


def test_select():
    assert select(0, [lambda: False, lambda: True, lambda: 1 / 0]) == 1
    assert select(0, [lambda: 0]) == -1
    assert select(5, []) == -1
    asked = []
    assert select(60_000, [lambda: asked.append(1) or len(asked) > 3]) == 0
    assert len(asked) == 4
    with pytest.raises(ZeroDivisionError):
        select(0, [lambda: 1 / 0])
    with pytest.raises(TypeError):
        select(-1, [lambda: True])


def test_versions():
    assert pymembus.__version__ == pymembus.version() == "2.2.0"
    assert pymembus.__build__ == pymembus.build()


def test_what_does_not_exist_says_so():
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        _ = pymembus.other


def test_install_replaces_nothing_that_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymembus", sys)
    with pytest.raises(StreamArgumentError, match="pymembus itself is imported"):
        pymembus.install()


def test_handles_and_views_are_neither_pickled_nor_copied():
    video, log, state = pymembus.memvid(), memmsg(), pymembus.memkv()
    assert video.open("/video", True, 4, 2, video_format.gray8, 30, 2)
    assert log.open("/log", 64, True, True)
    assert state.create("/state", 2, 15, 63)
    closed = [memmap(), memmsg(), pymembus.memcmd(), pymembus.memkv(), pymembus.memaud(), pymembus.mempkt()]
    for each in (video, video[0], log, state, *closed):
        for call in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match=f"cannot pickle '{type(each).__name__}' object"):
                call(each)
    del each
    video.close()
