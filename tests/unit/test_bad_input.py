"""Bad input is refused in words, by the errors of pymilk, at every door where such a kind comes in."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM, Capture, RingReader, Stream, axes, bridge, channels, parameters, times
from pymilk._core import FRAME_ROW, PrivateRing
from pymilk.arguments import check_number, shown, whole_number
from pymilk.bridge.parameters.wire import plain_value, read_value
from pymilk.errors import (
    BridgeAddressError,
    FPSArgumentError,
    FPSKeyError,
    FrameMismatchError,
    StreamArgumentError,
    StreamError,
    StreamNameError,
)
from pymilk.multi import Watcher, align
from pymilk.names import check_name, stream_name, stream_path
from pymilk.simulate import SimulatedLoop
from pymilk.web.refusing import bad_value
from support.descriptors import many_allowed, moved_up

HUGE = 10**400
FRAME = np.zeros((4, 6), np.uint16)


@pytest.fixture
def cam() -> Any:
    with SHM("cam", FRAME) as shm:
        shm.set_keywords({"gain": 1})
        yield shm


def stream_of(shm: SHM) -> Stream:
    return Stream.attach(shm.FNAME)


# -- whole numbers -----------------------------------------------------------------------------------

#: Objects that have ``__index__`` and are no number: a class, an array of several, one of text.
NO_NUMBERS = [
    int, np.zeros(3, np.uint16), np.zeros((4, 6)), np.array(["a", "b"]), np.array(["2020"], "M8[s]")
]  # fmt: skip

WHOLE: dict[str, Callable[[SHM, Any], object]] = {
    "frames": lambda shm, given: shm.capture(given),
    "nbkw": lambda shm, given: SHM("other", FRAME, nbkw=given),
    "ring": lambda shm, given: SHM("other", FRAME, ring=given),
    "mode": lambda shm, given: SHM("other", FRAME, mode=given),
    "location": lambda shm, given: SHM("other", FRAME, location=given),
    "symcode": lambda shm, given: SHM("other", FRAME, symcode=given),
    "layout": lambda shm, given: Stream.create("other", (4, 6), "u2", layout=given),
    "place": lambda shm, given: Stream.create("other", (4, 6), "u2", location=given),
    "atime_ns": lambda shm, given: stream_of(shm).publish(FRAME, atime_ns=given),
    "index": lambda shm, given: stream_of(shm).flush(given),
    "count": lambda shm, given: stream_of(shm).publish_many(FRAME[None], given),
    "room": lambda shm, given: Capture(stream_of(shm), 2, room=given),
    "depth": lambda shm, given: shm.ring_reader(depth=given),
    "nbytes": lambda shm, given: channels.MessageLog.create("log", given),
    "channel mode": lambda shm, given: channels.MessageLog.create("log", mode=given),
    "slots": lambda shm, given: parameters.FPS.create("fps", given),
    "frame_axes": lambda shm, given: pymilk.load("never.fits", frame_axes=given),
    "hdu": lambda shm, given: pymilk.load("never.fits", hdu=given),
    "offset": lambda shm, given: times.to_utc(10**18, given),
}


@pytest.mark.parametrize("given", NO_NUMBERS, ids=["class", "array", "floats", "text", "dates"])
@pytest.mark.parametrize("door", WHOLE)
def test_what_has_an_index_and_is_no_number(cam, door, given):
    with pytest.raises(StreamError, match=r"not|count|leave location at -1") as caught:
        WHOLE[door](cam, given)
    assert isinstance(caught.value, ValueError)
    assert cam.get_counter() == 1


@pytest.mark.parametrize("given", ["", "abc", "3", b"\0", float("inf"), float("nan"), 1.5, HUGE, -1])
def test_count_of_publish_many(cam, given):
    with pytest.raises(StreamArgumentError, match="whole numbers from 0 on"):
        stream_of(cam).publish_many(FRAME[None], given)
    assert cam.get_counter() == 1


@pytest.mark.parametrize(
    "given",
    ["", "3", 1.5, float("nan"), None, -1, 2**62, HUGE, np.zeros(2), 10**5000],
    ids=lambda each: type(each).__name__,
)
def test_interval_of_publish_many(cam, given):
    with pytest.raises(StreamArgumentError, match=r"interval .* ns; it needs at least one frame, and whole"):
        stream_of(cam).publish_many(FRAME[None], interval_ns=given)
    assert cam.get_counter() == 1


def test_whole_numbers():
    assert [whole_number(each) for each in (3, np.int8(-1), np.array(5), HUGE)] == [3, -1, 5, HUGE]
    assert {whole_number(each) for each in (True, np.True_, 1.0, "1", None, *NO_NUMBERS)} == {None}


def test_integers_that_are_no_float(cam):
    with pytest.raises(StreamArgumentError, match="rate is a number, not 1000"):
        check_number("rate", HUGE, "a number", 0.0, float("inf"))
    with pytest.raises(StreamArgumentError, match="atime is a datetime or seconds since 1970"):
        cam.repost(HUGE)
    with pytest.raises(FrameMismatchError, match="cannot be converted to uint16"):
        cam.set_data(HUGE, check_dt=True)
    with SHM("rings", FRAME, ring=4) as shm, shm.ring_reader() as reader:
        shm.set_data(FRAME + 1)
        assert [len(reader.peek(HUGE)), reader.skip(HUGE), reader.rewind(HUGE)] == [1, 1, 2]


# -- times -------------------------------------------------------------------------------------------

def reader_of_log() -> channels.MessageLog:
    channels.MessageLog.create("log", 8192, replace=True).close()
    return channels.MessageLog.attach("log")


TIMEOUTS: dict[str, Callable[[SHM, Any], object]] = {
    "get_data": lambda shm, given: shm.get_data(check=True, timeout=given),
    "capture": lambda shm, given: shm.capture(1, timeout=given),
    "wait": lambda shm, given: stream_of(shm).wait(given),
    "wait_any": lambda shm, given: pymilk.wait_any([shm], given),
    "read": lambda shm, given: reader_of_log().read(given),
    "join": lambda shm, given: shm.capture(1, background=True).join(given),
    "call": lambda shm, given: channels.CommandQueue.create("queue", 4, 64, replace=True).call(b"", given),
    "wait_end": lambda shm, given: shm.capture(1, background=True).wait_end(given),
    "join many": lambda shm, given: pymilk.capture_many([shm], 1, background=True).join(given),
    "sender": lambda shm, given: bridge.Sender(("cam",)).wait(given),
    "receiver": lambda shm, given: bridge.Receiver("rtc/cam").wait(given),
    "router": lambda shm, given: bridge.Router(bridge.Links()).wait(given),
}


@pytest.mark.parametrize("given", ["3 s", b"3 s", "", "nan", float("nan"), {}, np.zeros(3), object()])
@pytest.mark.parametrize("door", TIMEOUTS)
def test_timeouts(cam, door, given):
    wanted = r"timeout is seconds \(0 or more\) or None for ever, not "
    with pytest.raises(StreamArgumentError, match=wanted) as caught:
        TIMEOUTS[door](cam, given)
    assert caught.value.argument == "timeout"


def test_captures_go_on_after_a_bad_timeout(cam):
    many = pymilk.capture_many([cam], 1, background=True)
    with pytest.raises(StreamArgumentError, match="timeout is seconds"):
        many.join("3 s")
    cam.set_data(FRAME)
    assert many.join(60).report.ended == {"cam": "complete"}


@pytest.mark.parametrize("given", ["abc", "", b"37", [1], float("nan"), {}, 2**64])
def test_offsets_of_clocks(given):
    with pytest.raises(StreamArgumentError, match="offset is whole seconds"):
        times.to_utc(10**18, given)


@pytest.mark.parametrize("given", ["abc", None, 1.5, [1], np.zeros(2, int)])
def test_stored_times(given):
    with pytest.raises(StreamArgumentError, match="stamp_ns is a number of nanoseconds"):
        times.to_local(given)


# -- containers --------------------------------------------------------------------------------------

LISTS: dict[str, Callable[[Any], object]] = {
    "items": lambda given: pymilk.wait_any(given, 0),
    "source": lambda given: pymilk.record(given, "never.fits", frames=1),
    "path": lambda given: pymilk.load(given),
    "pattern": lambda given: pymilk.open_mfrecording(given),
    "streams": lambda given: pymilk.capture_many(given, 1),
    "patterns": lambda given: Watcher(given),
    "listen": lambda given: bridge.Links(listen=given),
    "connect": lambda given: bridge.Links(connect=given),
    "shape": lambda given: axes.Orientation(given),
    "infos": lambda given: align(given),
    "hosts": lambda given: bridge.make_certificates("never", given),
}


@pytest.mark.parametrize("given", [np.array(5), 5, 1.5, object(), int, True])
@pytest.mark.parametrize("door", LISTS)
def test_what_is_no_list(cam, door, given):
    with pytest.raises(StreamArgumentError, match=rf"^{door} (is|takes) ") as caught:
        LISTS[door](given)
    assert caught.value.found is given


@pytest.mark.parametrize("given", [None, "ab", 5, [1], {1}, np.zeros(3)], ids=repr)
def test_tables_of_keywords(cam, given):
    for argument, call in (
        ("kw_dict", cam.set_keywords),
        ("kw_dict", cam.reset_keywords),
        ("keywords", cam.keywords.merge),
        ("keywords", cam.keywords.replace),
    ):
        with pytest.raises(StreamArgumentError, match=f"{argument} is a dict of name to value"):
            call(given)
    assert dict(cam.keywords) == {"gain": 1}


@pytest.mark.parametrize("given", [5, "ab", [1], [(1, 2, 3)]], ids=repr)
def test_values_of_a_state(given):
    with pytest.raises(StreamError, match="values is a mapping of keys to values"):
        channels.SharedState.create("state", given, 8192)
    with channels.SharedState.create("state", {"a": 1}, 8192) as state:
        with pytest.raises(StreamError, match="values is a mapping of keys to values"):
            state.update(given)
        assert dict(state) == {"a": 1}


def test_messages():
    with channels.MessageLog.create("log", 8192) as log:
        with pytest.raises(StreamError, match="messages is an iterable of messages, not None"):
            log.append_many(None)
        with pytest.raises(StreamError, match="contiguous buffer"):
            log.append(np.zeros((4, 6))[::-1, ::-1])
        assert log.count == 0


def test_addresses_from_an_iterator():
    """They are not used up by looking at them."""
    links = bridge.Links(listen=iter(["tcp/127.0.0.1:7447"]), connect=(f"tcp/127.0.0.1:{n}" for n in (1, 2)))
    assert (links.listen, links.connect) == (("tcp/127.0.0.1:7447",), ("tcp/127.0.0.1:1", "tcp/127.0.0.1:2"))


# -- objects and paths -------------------------------------------------------------------------------

KINDS: dict[str, Callable[[Any], object]] = {
    "stream is a Stream": lambda given: Capture(given, 1),
    "stream is the name of a stream or a Stream": lambda given: RingReader(given),
    "tls is a pymilk": lambda given: bridge.Links(tls=given),
    "allow is a tuple of pymilk": lambda given: bridge.Links(allow=given),
    "program is a pymilk": lambda given: parameters.FPS.create("fps", program=given, directories=False),
    "standard is True, False": lambda given: parameters.FPS.create("fps", standard=given, directories=False),
    "labels are texts": lambda given: parameters.FPS.create("fps", labels=given, directories=False),
    "description is a text": lambda given: parameters.FPS.create("fps", description=given, directories=False),
    "faults is a pymilk": lambda given: pymilk.SimulatedCamera("sim", faults=given),
    "shape is a tuple": lambda given: pymilk.SimulatedCamera("sim", given),
    "dtype is a NumPy dtype": lambda given: pymilk.SimulatedCamera("sim", dtype=given),
    "rate is frames": lambda given: pymilk.SimulatedCamera("sim", rate=given),
    "rate is iterations": lambda given: SimulatedLoop("sim", given),
    "gain is a gain": lambda given: SimulatedLoop("sim", gain=given),
}


@pytest.mark.parametrize("given", [object(), b"\xff\0", {0}, [[1], [1, 2]], np.zeros(3), np.array(5)])
@pytest.mark.parametrize("door", KINDS)
def test_objects_of_another_kind(door, given):
    with pytest.raises(StreamError, match=door) as caught:
        KINDS[door](given)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("given", [None, 5, b"h/cam", object()], ids=["None", "int", "bytes", "object"])
def test_names(given):
    with pytest.raises(StreamNameError, match="a stream name is a str"):
        pymilk.names.stream_name(given)
    with pytest.raises(BridgeAddressError, match="HOST/STREAM, a str"):
        bridge.Receiver(given)


def test_numbers_are_no_paths(tmp_path: Path):
    """Nor descriptors of open files, which `open` and `os.listdir` take numbers for."""
    config = tmp_path / "bridge.toml"
    config.write_text('listen = ["tcp/127.0.0.1:7447"]\n')
    fd = os.open(config, os.O_RDONLY)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        for call in (bridge.links_of, bridge.log_of, bridge.offer_of):
            with pytest.raises(StreamArgumentError, match="the path of a TOML file is a str or PathLike"):
                call(fd)
        with pytest.raises(StreamArgumentError, match="the path of the certificates is a str or PathLike"):
            bridge.list_certificates(folder)
        with pytest.raises(StreamArgumentError, match="the path of a directory of process information is"):
            parameters.list_processes(folder)
        with pytest.raises(StreamArgumentError, match="the path of a directory is"):
            parameters.list_fps(folder)
        os.fstat(fd), os.fstat(folder)  # still open
    finally:
        os.close(fd)
        os.close(folder)


# -- results -----------------------------------------------------------------------------------------


@pytest.fixture
def recording(cam: SHM, tmp_path: Path) -> Any:
    np.save(tmp_path / "cube.npy", np.arange(48, dtype=np.uint16).reshape(2, 4, 6))
    with pymilk.load(tmp_path / "cube.npy") as found:
        yield found


@pytest.mark.parametrize(
    "given", ["", "abc", "f4,,", "\udcff", "M8[ns]", {"a": 1}, [("a", "u2")], object()]
)
def test_types_of_results(recording, given):
    for call in (recording.sum, recording.mean, recording.var, recording.std):
        with pytest.raises(StreamArgumentError, match=r"dtype is a (NumPy dtype|type of numbers)"):
            call(dtype=given)


DTYPES: dict[str, Callable[[Any], object]] = {
    "stream": lambda given: Stream.create("other", (4, 6), given),
    "camera": lambda given: pymilk.SimulatedCamera("sim", dtype=given),
    "ring": lambda given: PrivateRing(2, (4, 6), given),
    "table": lambda given: channels.Table.create("table", given),
}


@pytest.mark.parametrize(
    "given", ["f4,,", "f4,(", "abc", {"a": 1}, 10**5000], ids=lambda each: shown(each)[:9]
)
@pytest.mark.parametrize("door", DTYPES)
def test_types_of_pixels(door, given):
    """NumPy raises a SyntaxError for some texts."""
    with pytest.raises(StreamError, match=r"dtype (is a NumPy dtype|of its rows cannot be)"):
        DTYPES[door](given)


def test_memory_and_freedoms_of_results(recording):
    for given in ("abc", [1], np.float32(1)):
        with pytest.raises(StreamArgumentError, match="out is an array"):
            recording.mean(out=given)
    for given in (None, "1", float("nan"), [1], HUGE):
        with pytest.raises(StreamArgumentError, match="ddof is a number"):
            recording.std(ddof=given)
    assert recording.std(ddof=1) == pytest.approx(np.arange(48).std(ddof=1))


@pytest.mark.parametrize(
    "given",
    ["ab", 5, (1, None), (2, 1), {}, np.zeros((4, 6)), (0, np.inf), ([1, 2], 3), (HUGE, 1), (0, HUGE)],
)
def test_levels_of_pictures(given):
    with pytest.raises(StreamArgumentError, match="levels are two finite numbers, the lower one first, not"):
        pymilk.view.Display(levels=given)


@pytest.mark.parametrize("given", [None, 5, b"gray", ["gray"], {}], ids=repr)
def test_colours_of_pictures(given):
    with pytest.raises(StreamArgumentError, match="colours is the name of a colour map"):
        pymilk.view.Display(colours=given)


# -- how values are shown ----------------------------------------------------------------------------


class Silent:
    """An object whose own repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (10**5000, "an object of the class int"),
        (Silent(), "an object of the class Silent"),
        ("x" * 5000, r"'x{399}\.\.\. \(5002 characters\)"),
    ],
    ids=["digits", "silent", "long"],
)
def test_values_that_cannot_be_shown(cam, given, told):
    for call in (
        lambda: cam.capture(given),
        lambda: cam.get_data(check=True, timeout=given),
        lambda: Stream.create("other", (4, 6), "u2", nbkw=given),
        lambda: stream_of(cam).publish_many(FRAME[None], given),
        lambda: cam.set_keywords(given),
    ):
        with pytest.raises(StreamArgumentError, match=told) as caught:
            call()
        assert len(str(caught.value)) < 700
        assert caught.value.found is given


@pytest.mark.parametrize(
    "call",
    [
        lambda given: Stream.create("other", (4, 6), "u2", layout=given),
        lambda given: Stream.create("other", (4, 6), "u2", version=given),
        lambda given: Stream.create("other", (4, 6), "u2", keywords=[("a", 1, "", given)]),
        lambda given: pymilk.load(given),
        lambda given: channels.MessageLog.create("log", mode=given),
        lambda given: channels.MessageLog.create("log", given),
        lambda given: channels.MessageLog.create("log", writers=given),
        lambda given: parameters.FPS.create("fps", given, directories=False),
        lambda given: parameters.FPS.create("fps", description=given, directories=False),
        lambda given: parameters.FPS.create("fps", directories=False).add_param(given, "FLOAT64"),
        lambda given: bridge.Receiver(given),
        lambda given: channels.SharedState.create("state").update({given: 1}),
    ],
)
def test_numbers_with_more_digits_than_are_written(call):
    with pytest.raises(StreamError, match="not an object of the class int"):
        call(10**5000)


@pytest.mark.parametrize("name", ["\ud800" + "x" * 10**5, "/tmp/" + "x" * 10**5, "x" * 10**5, "\n" * 10**5])
def test_of_long_names_the_beginning_is_shown(name):
    with pytest.raises(StreamNameError, match=r"\.\.\. \(\d+ characters\)") as caught:
        stream_path(name)
    assert len(str(caught.value)) < 1000


def cam_keyword(given: Any) -> object:
    with SHM("cam") as shm:
        return shm.keywords[given]


@pytest.mark.parametrize(
    "call",
    [
        lambda given: pymilk.Player(np.array(given, object)),
        lambda given: channels.SharedState.create("state")[given],
        lambda given: channels.Table.create(given, "f4,,"),
        lambda given: parameters.FPS.create("fps", directories=False).add_param("gain", given),
        lambda given: parameters.FPS.create("fps", directories=False).add_param("gain", default=[given]),
        lambda given: cam_keyword(given),
        lambda given: pymilk.live([given]),
        lambda given: pymilk.live("cam", low=given),
        lambda given: align({"cam": np.zeros(2, FRAME_ROW)}, key={given: given}),
        lambda given: plain_value([given] * 3, "loop", "gain"),
        lambda given: read_value(parameters.ParameterType.STRING, given),
    ],
)
def test_what_holds_such_numbers(cam, call):
    for name in (stream_name, check_name, parameters.FPS.create):
        with pytest.raises(StreamError, match="is a str, not int") as caught:
            name(10**5000)
        assert vars(caught.value)["name"] == "an object of the class int"
    assert str(bad_value("width", 10**5000, "a number")).endswith("not an object of the class int")
    with pytest.raises(StreamError, match=r"an object of the class (int|list|ndarray|dict)"):
        call(10**5000)


# -- parameters --------------------------------------------------------------------------------------


def test_parameters():
    with parameters.FPS.create("fps", directories=False) as fps, fps.running(conf=False, run=False) as run:
        calls: dict[str, Callable[[Any], object]] = {
            "limits are the lowest": lambda given: fps.add_param(".gain", "FLOAT64", 1.0, given),
            "flags is an int": lambda given: fps.add_param(".gain", "FLOAT64", flags=given),
            "description is a text": lambda given: fps.add_param(".gain", "FLOAT64", description=given),
            "set is an int of 63 bits": lambda given: fps.change_status(set=given),
            "clear is an int of 64 bits": lambda given: fps.request(clear=given),
            "values is a mapping": lambda given: fps.update(given),
            "timeout is seconds": lambda given: fps.conf_stop(given),
            "or None for ever": lambda given: run.wait(given),
        }
        for told, call in calls.items():
            for given in (object(), {1}, [1], b"\xff", -1.5, (1, 2, 3)):
                with pytest.raises(StreamError, match=told):
                    call(given)
        with pytest.raises(StreamError, match="timeout is seconds"):
            fps.conf_stop(HUGE)
        assert len(fps) == 0


@pytest.mark.parametrize("given", [5, [1], {1}, None, b"gain"], ids=repr)
def test_keys_of_parameters(given: Any):
    """A key that is no text is one that there is not, whatever it is; dicts cannot look for lists."""
    with parameters.FPS.create("fps", directories=False) as fps:
        fps.add_param("gain", "FLOAT64", 0.5)
        calls = [
            lambda: fps[given], lambda: fps.param(given), lambda: fps.set(given, 1.0),
            lambda: fps.watch(given), lambda: fps.wait_for_change([given], 0),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(FPSKeyError, match="a key is a str, not"):
                call()
        assert given not in fps
        assert fps.get(given, 2) == 2
        if not isinstance(given, (list, set, bytes)) and given is not None:
            with pytest.raises(FPSArgumentError, match="keys is a key, or several of them, not 5"):
                fps.wait_for_change(given, 0)
        if given is not None:
            with pytest.raises(FPSArgumentError, match="since is a mapping of keys to counters, not "):
                fps.wait_for_change("gain", 0, since=given)


@pytest.mark.parametrize("given", [[1], {1}, 5, None, b"trace"], ids=repr)
def test_names_of_sections(given: Any):
    told = r"no section .*; there are keywords, sem_read_pid"
    with Stream.create("core", (4, 6), "u2") as stream, pytest.raises(StreamArgumentError, match=told):
        stream.section(given)


@pytest.mark.parametrize("given", ["0", None, [0], 1.5, NO_NUMBERS[1]], ids=repr)
def test_preferred_semaphores(given: Any):
    with Stream.create("core", (4, 6), "u2") as stream:
        with pytest.raises(StreamArgumentError, match="preferred is the index of a semaphore"):
            stream.take_semaphore(given)
        assert stream.take_semaphore(-1) == 0


@pytest.mark.parametrize("endless", ["/dev/zero", "/dev/full", "/dev/urandom"])
def test_devices_are_no_toml_files(endless: str):
    """They are not read without end."""
    for call in (bridge.links_of, bridge.log_of, bridge.offer_of):
        with pytest.raises(StreamArgumentError, match=f"{endless} is no TOML file: it is longer than"):
            call(endless)


def test_a_toml_file_may_be_a_pipe(tmp_path: Path):
    os.mkfifo(tmp_path / "bridge.toml")
    text = 'listen = ["tcp/127.0.0.1:7447"]\n'
    writer = threading.Thread(target=lambda: (tmp_path / "bridge.toml").write_text(text))
    writer.start()
    assert bridge.links_of(tmp_path / "bridge.toml").listen == ("tcp/127.0.0.1:7447",)
    writer.join()


def test_folders_are_no_toml_files(tmp_path: Path):
    """And nothing of them stays open."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(StreamError, match="cannot be read: Is a directory"):
        bridge.links_of(tmp_path)
    assert os.listdir("/proc/self/fd") == before


def test_a_toml_file_where_many_files_are_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usual = os.open
    (tmp_path / "bridge.toml").write_text('listen = ["tcp/127.0.0.1:7447"]\n')
    monkeypatch.setattr(os, "open", lambda *given, **named: moved_up(usual(*given, **named)))
    with many_allowed():
        assert bridge.links_of(tmp_path / "bridge.toml").listen == ("tcp/127.0.0.1:7447",)


@pytest.mark.parametrize("bad", [{}, "1", 1.5, True, np.zeros(2), object(), -1, 2**70])
@pytest.mark.parametrize("argument", ["cpu", "priority"])
def test_cores_and_priorities(cam: SHM, argument: str, bad: Any):
    with pytest.raises(StreamArgumentError, match=rf"{argument} is"):
        cam.ring_reader(source="collector", **{argument: bad})
