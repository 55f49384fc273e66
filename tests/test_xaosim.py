"""The interface of xaosim: what its scripts call, on streams of 1 to 3 axes, alone and between processes."""

from __future__ import annotations

import glob
import inspect
import os
import shutil
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import golden
import isio_format
from pymilk import SHM
from pymilk._core import IMAGETYPES, Stream
from pymilk.axes import Which3DState
from pymilk.compat import xaosim
from pymilk.compat.xaosim import shm
from pymilk.errors import (
    FrameMismatchError,
    FrameTornWarning,
    KeywordError,
    StreamArgumentError,
    StreamClosedError,
    StreamFormatError,
    StreamNameError,
    StreamNotFoundError,
    StreamNotReadyError,
    StreamReadOnlyError,
    StreamReplacedError,
    StreamShapeChangedError,
    StreamTimeoutError,
    StreamTypeChangedError,
    StreamUnsupportedError,
)
from pymilk.fits import multi_read

#: Nothing here takes so long, unless it hangs.
PATIENCE = 30.0

SHAPES = [(5,), (3, 4), (2, 3, 4)]

TEMPORAL = IMAGETYPES["CIRCULAR_BUFFER"] | IMAGETYPES["ZAXIS_TEMPORAL"]

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing is printed, but what a test has read by then."""
    yield
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def make() -> Iterator[Make]:
    """Make objects of the interface that are closed after the test."""
    made: list[shm] = []

    def start(*args: Any, kind: type[shm] = shm, **kwargs: Any) -> shm:
        made.append(kind(*args, **kwargs))
        return made[-1]

    yield start
    for each in made:
        each.close(erase_file=False)


def ramp(shape: tuple[int, ...], dtype: Any = np.float32, first: int = 0) -> np.ndarray:
    """A frame in which every pixel differs."""
    return (np.arange(np.prod(shape)) + first).astype(dtype).reshape(shape)


def owners(stream: Stream) -> list[int]:
    """The processes that hold a semaphore, by index."""
    return stream.section("sem_read_pid").tolist()


def until(condition: Callable[[], Any]) -> None:
    """Look until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.0005)


def state(pid: int | str) -> str:
    """What a process, or a task of one, does: "S" while it sleeps."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start work in a thread; the list gets what it returns or raises."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


# -- names and signatures -----------------------------------------------------------------------------

SIGNATURES = {
    "__init__": lambda fname=None, data=None, verbose=False, packed=False, nbkw=0, nosem=True: 0,
    "create": lambda fname, data, nbkw=0: 0,
    "rename_img": lambda newname: 0,
    "read_meta_data": lambda verbose=True: 0,
    "print_meta_data": lambda: 0,
    "create_keyword_list": lambda: 0,
    "read_keywords": lambda: 0,
    "write_keywords": lambda: 0,
    "read_keyword": lambda ii: 0,
    "write_keyword": lambda ii: 0,
    "update_keyword": lambda ii, name, value, comment: 0,
    "select_dtype": lambda: 0,
    "select_atype": lambda: 0,
    "get_counter": lambda ii=0: 0,
    "increment_counter": lambda ii=0: 0,
    "catch_up_with_sem": lambda semid: 0,
    "get_data": lambda check=False, reform=True, sleepT=0.001, timeout=5: 0,
    "get_latest_data": lambda semid=None, reform=True: 0,
    "get_latest_data_slice": lambda semid=None, reform=True: 0,
    "set_data": lambda data, check_dt=False: 0,
    "post_sems": lambda index=-1: 0,
    "save_as_fits": lambda fitsname: 0,
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    def shown(function: Any) -> list[tuple[Any, ...]]:
        parameters = inspect.signature(function).parameters.values()
        return [(each.name, each.default, each.kind) for each in parameters if each.name != "self"]

    assert shown(getattr(shm, name)) == shown(SIGNATURES[name])


def test_module_names():
    assert np.dtype(xaosim.all_dtypes[0]) == np.uint8
    assert xaosim.all_dtypes.index(np.float32) + 1 == 9
    assert xaosim.all_dtypes.index(np.complex128) + 1 == 12
    assert xaosim.mtkeys[:6] == ["bversion", "bimname", "naxis", "x", "y", "z"]
    assert xaosim.mtkeys[-1] == "bcudamem"


# -- attach and create --------------------------------------------------------------------------------

TOUCHING = [
    lambda s: s.get_data(),
    lambda s: s.get_data(check=0),
    lambda s: s.get_latest_data(),
    lambda s: s.get_latest_data(3),
    lambda s: s.get_latest_data_slice(),
    lambda s: s.set_data(np.zeros(3)),
    lambda s: s.get_counter(),
    lambda s: s.increment_counter(),
    lambda s: s.read_meta_data(),
    lambda s: s.read_keywords(),
    lambda s: s.read_keyword(0),
    lambda s: s.write_keywords(),
    lambda s: s.write_keyword(0),
    lambda s: s.update_keyword(0, "A", 1, ""),
    lambda s: s.catch_up_with_sem(0),
    lambda s: s.post_sems(),
    lambda s: s.nsem,
]


@pytest.mark.parametrize("nosem", [True, False])
def test_hollow_object(make, shm_dir, nosem):
    missing = str(shm_dir / "missing.im.shm")
    for s in (make(nosem=nosem), make(missing, nosem=nosem), make("missing", verbose=True, nosem=nosem)):
        assert s.empty
        assert (s.mtdata, s.kwds, s.npdtype) == ({}, [], None)
        assert s.kwd == {"name": "", "type": "N", "value": "", "comment": ""}
        filled = (shm.print_meta_data, shm.select_dtype, shm.select_atype, shm.create_keyword_list)
        for touch in (*TOUCHING, *filled):
            with pytest.raises(StreamClosedError, match="no such stream"):
                touch(s)
        assert s.mtdata == {}
        assert s.close() == 0
    assert make(missing).fname == missing
    assert not os.listdir(shm_dir)


def test_hollow_object_creates(make):
    s = make()
    s.create("cam", ramp((3, 4)), nbkw=2)
    assert (s.fname, s.empty, s.mtdata["nbkw"], len(s.kwds)) == ("cam", False, 2, 2)
    assert make("cam").get_data().tolist() == ramp((3, 4)).tolist()


def test_what_is_no_stream_is_not_taken_for_a_missing_one(make, shm_dir, monkeypatch):
    (shm_dir / "text.im.shm").write_text("no stream")
    with pytest.raises(StreamFormatError):
        make("text")
    with pytest.raises(StreamNameError):
        make(str(shm_dir / "cam.shm"))
    monkeypatch.setenv("MILK_SHM_DIR", str(shm_dir / "mistyped"))
    with pytest.raises(StreamNotFoundError, match="MILK_SHM_DIR"):
        make("cam")


@pytest.mark.parametrize("shape", SHAPES)
def test_create_and_attach(make, shm_dir, shape):
    path = str(shm_dir / "cam.im.shm")
    before = time.clock_gettime(11)  # CLOCK_TAI
    s = make(path, data=ramp(shape, np.uint16), nbkw=3, verbose=False)
    axes = (*shape[::-1], 0, 0)[:3]
    assert s.mtdata["size"] == axes  # (x, y, z)
    reader = make(path, verbose=True, packed=True)
    assert reader.mtdata["size"] == axes[::-1]
    for each in (s, reader):
        assert not each.empty
        assert each.fname == path
        assert each.nosem is True
        assert each.npdtype == np.uint16
        frame = each.get_data()
        assert (frame.shape, frame.dtype, frame.tolist()) == (shape, np.uint16, ramp(shape).tolist())
        assert each.get_data(reform=False).tolist() == list(range(frame.size))
        md = each.mtdata
        assert (md["x"], md["y"], md["z"]) == axes
        assert (md["naxis"], md["nel"], md["atype"], md["imtype"]) == (len(shape), frame.size, 3, 2)
        assert (md["cnt0"], md["sem"], md["nbkw"], md["write"]) == (1, 10, 3, 0)
        assert (md["shared"], md["loc"], md["status"], md["flag"], md["logflag"]) == (1, -1, 0, 0, 0)
        assert (md["version"], md["imname"]) == ("2.00", "cam")
        assert md["bversion"] == b"2.00" + bytes(28)
        assert md["bimname"] == b"cam" + bytes(77)
        assert (md["bcudamem"], md["cudamem"]) == (bytes(64), "")
        assert [md[f"{key}arr"] for key in ("atime", "wtime", "flag", "cnt")] == [0] * 4
        for key in ("crtime", "atime", "wtime"):
            assert md[key] == (md[f"{key}_sec"], md[f"{key}_ns"])
            assert before - 1 < md[key][0] + md[key][1] / 1e9 < time.clock_gettime(11) + 1
            assert 0 <= md[key][1] < 1_000_000_000
        assert len(md["latime"]) == 2
        assert set(xaosim.mtkeys) < set(md)
    s.read_meta_data(verbose=False)
    assert s.mtdata["size"] == axes[::-1]
    with Stream.attach("cam") as other:
        assert other.shape == shape
        assert other.view().tolist() == ramp(shape).tolist()


@pytest.mark.parametrize("dtype", [*xaosim.all_dtypes, np.bool_, np.dtype(">i4")])
def test_pixel_types(make, dtype):
    given = (ramp((3, 4)) % 2).astype(dtype)
    stored = np.uint8 if dtype is np.bool_ else np.dtype(dtype).newbyteorder("=")
    s = make("cam", data=given)
    assert s.npdtype == stored
    assert s.get_data().dtype == stored
    assert np.array_equal(s.get_data(), given)
    s.set_data(given[::-1])
    assert np.array_equal(s.get_data(), given[::-1])
    code = xaosim.all_dtypes.index(np.dtype(stored).type) + 1
    assert s.select_dtype() == s.select_atype() == s.mtdata["atype"] == code


def test_types_and_codes_on_demand(make):
    s = make("cam", data=ramp((3, 4)))
    s.mtdata["atype"] = 3
    assert s.select_dtype() == 3
    assert s.npdtype == np.uint16
    s.npdtype = np.float64
    assert s.select_atype() == s.mtdata["atype"] == 10
    s.npdtype = np.dtype("M8[s]")
    with pytest.raises(StreamArgumentError, match="datetime64"):
        s.select_atype()


@pytest.mark.parametrize("data", [np.zeros((1, 2, 3, 4)), np.zeros(0), np.array(["text"]), np.array([None])])
def test_data_that_no_stream_can_have(make, shm_dir, data):
    with pytest.raises(StreamArgumentError):
        make("cam", data=data)
    assert not os.listdir(shm_dir)


def test_create_replaces_and_lets_go_of_the_stream_before(make, shm_dir):
    first = make("one", data=ramp((3, 4)))
    reader = make("one")
    first.create("one", ramp((3, 4), first=50))
    assert reader.get_data()[0, 0] == 50  # the same shape: followed
    first.create("two", ramp((2, 2)))
    assert sorted(os.listdir(shm_dir)) == ["one.im.shm", "two.im.shm"]
    assert first.close() == 0
    assert os.listdir(shm_dir) == ["one.im.shm"]


def test_rename_is_refused(make):
    s = make("cam", data=ramp((3, 4)))
    with pytest.raises(NotImplementedError, match=r"'cam'.*'other'"):
        s.rename_img("other")
    assert make("cam").mtdata["version"] == "2.00"


# -- close --------------------------------------------------------------------------------------------


def test_close_by_a_reader_keeps_the_stream(make, shm_dir, make_stream):
    make_stream("cam", (3, 4), np.float32)
    reader = make("cam")
    assert reader.close() == 0
    assert reader.close() == 0
    assert os.listdir(shm_dir) == ["cam.im.shm"]
    for touch in TOUCHING:
        with pytest.raises(StreamClosedError, match="closed"):
            touch(reader)
    assert reader.mtdata["x"] == 4


@pytest.mark.parametrize(
    ("created", "options", "left"),
    [
        (True, {}, False),
        (True, {"erase_file": True}, False),
        (True, {"erase_file": False}, True),
        (False, {"erase_file": True}, False),
        (False, {"erase_file": False}, True),
    ],
)
def test_close_erases(make, shm_dir, created, options, left):
    writer = make("cam", data=ramp((3, 4)))
    s = writer if created else make("cam")
    frame = s.get_data()
    assert s.close(**options) == 0
    assert os.path.exists(shm_dir / "cam.im.shm") == left
    assert frame.tolist() == ramp((3, 4)).tolist()


def test_close_leaves_what_another_process_has_put_there(make, spawn, shm_dir):
    one, two = make("cam", data=ramp((3, 4))), make("cam")
    child = spawn("import numpy as np, pymilk; pymilk.SHM('cam', np.ones((3, 4), 'f4')).close()")
    assert child.finish() == (0, "", "")
    assert one.close() == 0
    with pytest.raises(StreamReplacedError, match="not deleted"):
        two.close(erase_file=True)
    with pytest.raises(StreamClosedError):
        two.get_counter()
    assert make("cam").get_data()[0, 0] == 1


def test_close_does_not_own_a_stream_that_was_followed(make, spawn):
    s = make("cam", data=ramp((3, 4)))
    child = spawn("import numpy as np, pymilk; pymilk.SHM('cam', np.ones((3, 4), 'f4')).close()")
    assert child.finish() == (0, "", "")
    assert s.get_data()[0, 0] == 1
    s.close()
    assert not make("cam").empty


@pytest.mark.parametrize("options", [{}, {"erase_file": True}])
def test_close_of_a_stream_that_is_deleted_already(make, shm_dir, options):
    s = make("cam", data=ramp((3, 4)))
    (shm_dir / "cam.im.shm").unlink()
    assert s.get_data().tolist() == ramp((3, 4)).tolist()
    assert s.close(**options) == 0


def test_close_by_a_child_after_fork_keeps_the_stream(spawn, shm_dir):
    parent = spawn("""
import os
import numpy as np
from pymilk.compat.xaosim import shm
s = shm("cam", data=np.zeros((3, 4)))
pid = os.fork()
if pid == 0:
    os._exit(s.close())
print(os.waitpid(pid, 0)[1], os.path.exists(os.environ["MILK_SHM_DIR"] + "/cam.im.shm"))
print(s.close(), os.listdir(os.environ["MILK_SHM_DIR"]))
""")
    assert parent.finish() == (0, "0 True\n0 []\n", "")


def test_an_object_that_is_forgotten_warns_and_keeps_the_stream(shm_dir):
    s = shm("cam", data=ramp((3, 4)))
    with pytest.warns(ResourceWarning, match="unclosed.*shm 'cam'"):
        del s
    assert os.listdir(shm_dir) == ["cam.im.shm"]


def test_exit_without_closing_is_silent(spawn, shm_dir):
    child = spawn("""
import numpy as np
from pymilk.compat.xaosim import shm
s = shm("cam", data=np.zeros((3, 4)), nosem=False)
s.catch_up_with_sem(5)
s.get_data(check=1, timeout=0)
""")
    assert child.finish() == (0, "", "")
    assert os.listdir(shm_dir) == ["cam.im.shm"]


# -- golden files -------------------------------------------------------------------------------------


@pytest.fixture(params=[entry["name"] for entry in golden.entries()])
def entry(request: pytest.FixtureRequest) -> dict[str, Any]:
    return golden.entry(request.param)


@pytest.fixture
def attached(entry: dict[str, Any], make: Make, shm_dir: Any) -> shm:
    path = shm_dir / golden.path(entry["name"]).name
    shutil.copyfile(golden.path(entry["name"]), path)
    return make(str(path), nosem=False)


def test_golden_frames(entry, attached):
    if entry["array"] is None:
        with pytest.raises(StreamFormatError, match="GPU"):
            attached.get_data()
        return
    if entry["metadata"]["write"]:
        with pytest.warns(FrameTornWarning):
            frame = attached.get_data()
    else:
        frame = attached.get_data()
    expected = golden.expected_array(entry)
    assert (frame.shape, frame.dtype) == (expected.shape, expected.dtype)
    assert frame.tobytes() == expected.tobytes()
    if entry["temporal"]:
        newest = expected[entry["metadata"]["cnt1"]]
    elif frame.ndim == 3:
        newest = expected[(entry["metadata"]["cnt0"] - 1) % len(expected)]
    else:
        with pytest.raises(StreamArgumentError, match="no slices"):
            attached.get_latest_data_slice()
        return
    assert attached.get_latest_data_slice().tobytes() == newest.tobytes()
    assert attached.get_latest_data_slice(reform=False).shape == (newest.size,)


def test_golden_metadata(entry, attached):
    md, stored = attached.mtdata, entry["metadata"]
    names = {
        "version": "version",
        "imname": "name",
        "naxis": "naxis",
        "nel": "nelement",
        "atype": "datatype",
        "imtype": "imagetype",
        "shared": "shared",
        "loc": "location",
        "status": "status",
        "flag": "flag",
        "logflag": "logflag",
        "sem": "sem",
        "cnt0": "cnt0",
        "cnt1": "cnt1",
        "cnt2": "cnt2",
        "write": "write",
        "nbkw": "NBkw",
    }
    assert {key: md[key] for key in names} == {key: stored[name] for key, name in names.items()}
    assert [md["x"], md["y"], md["z"]] == stored["size"]
    assert md["size"] == tuple(stored["size"][::-1])
    for key, name in [("crtime", "creationtime"), ("latime", "lastaccesstime"), ("atime", "atime")]:
        assert list(md[key]) == stored[name]
    assert list(md["wtime"]) == stored["writetime"]
    assert md["bcudamem"].hex() == stored["cudaMemHandle"]
    assert attached.nsem == len(attached.sems) == stored["sem"]
    assert [sem.value for sem in attached.sems] == entry["semaphores"]["values"]


def test_golden_keywords(entry, attached):
    stored = entry["keywords"]["list"] + entry["keywords"].get("slots_beyond_terminator_with_content", [])
    expected = {each["index"]: each for each in stored}
    assert len(attached.kwds) == entry["metadata"]["NBkw"]
    for ii, found in enumerate(attached.kwds):
        if ii not in expected:
            assert found == attached.kwd
            continue
        slot = expected[ii]
        raw = bytes.fromhex(slot["value_hex"])
        assert found["name"].encode("utf-8", "surrogateescape") == text(slot["name_hex"])
        assert found["comment"].encode("utf-8", "surrogateescape") == text(slot["comment_hex"])
        assert found["type"] == slot["type"]
        if slot["type"] == "L":
            assert (type(found["value"]), found["value"]) == (int, struct.unpack("<q8x", raw)[0])
        elif slot["type"] == "D":
            assert type(found["value"]) is float
            assert struct.pack("<d", found["value"]) == raw[:8]
        else:
            assert found["value"].encode("utf-8", "surrogateescape") == text(slot["value_hex"])


def text(raw: str) -> bytes:
    """A stored text, from its hex digits."""
    return bytes.fromhex(raw).split(b"\0")[0]


def test_golden_keywords_are_written_back_as_they_were(entry, attached, shm_dir):
    path = shm_dir / golden.path(entry["name"]).name
    before = isio_format.decode(path.read_bytes()).keyword_slots
    attached.write_keywords()
    after = isio_format.decode(path.read_bytes()).keyword_slots
    for old, new in zip(before, after, strict=True):
        assert new.name_text == old.name_text
        assert new.cnt == (old.cnt + 1) % 2**64
        if old.name:
            assert (new.type, new.comment_text) == (old.type, old.comment_text)
            # As text: not-a-number is not equal to itself.
            assert repr(new.decoded) == repr(old.decoded)


# -- metadata, counters -------------------------------------------------------------------------------


def test_metadata_is_read_on_demand_only(make):
    writer, s = make("cam", data=ramp((3, 4))), make("cam")
    writer.set_data(ramp((3, 4)))
    assert writer.mtdata["cnt0"] == 2
    assert s.mtdata["cnt0"] == 1
    assert s.get_counter() == s.mtdata["cnt0"] == 2
    writer.set_data(ramp((3, 4)))
    was = s.mtdata["wtime"]
    s.read_meta_data(verbose=False)
    assert s.mtdata["cnt0"] == 3
    assert s.mtdata["wtime"] > was


def test_metadata_is_printed(make, capfd):
    s = make("cam", data=ramp((2, 3, 4), np.int16), nbkw=7)
    capfd.readouterr()
    s.mtdata["status"] = 99
    s.print_meta_data()
    lines = capfd.readouterr().out.splitlines()
    order = "bversion bimname naxis x y z nel atype imtype crtime_sec crtime_ns latime_sec latime_ns"
    order += " atime_sec atime_ns wtime_sec wtime_ns shared loc status flag logflag sem cnt0 cnt1 cnt2"
    order += " write nbkw bcudamem"
    assert [line.split()[0] for line in lines] == order.split()
    assert lines[2:7] == ["naxis 3", "x 4", "y 3", "z 2", "nel 24"]
    assert lines[-2] == "nbkw 7"
    assert "status 99" in lines
    s.read_meta_data()
    again = capfd.readouterr().out.splitlines()
    assert [line.replace("status 0", "status 99") for line in again] == lines


def test_counters(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam")
    stream.publish(ramp((3, 4)))
    stream.cnt1, stream.cnt2 = 7, 2**64 - 1
    assert s.mtdata["cnt1"] == 0
    assert [s.get_counter(ii) for ii in (0, 1, 2)] == [1, 7, 2**64 - 1]
    assert [s.mtdata[key] for key in ("cnt0", "cnt1", "cnt2")] == [1, 7, 2**64 - 1]
    for bad in (3, -1, "cnt0", None):
        with pytest.raises(StreamArgumentError, match="counters are 0, 1 and 2"):
            s.get_counter(bad)


@pytest.mark.parametrize("ii", [0, 1, 2])
def test_increment_counter(make, make_stream, ii):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam")
    assert s.increment_counter(ii) == s.mtdata["cnt0"] == stream.counter == 1
    assert (stream.cnt1, stream.cnt2) == (0, 0)
    assert stream.sem_values() == [1] * 10
    assert stream.write_time_ns > 0


# -- keywords -----------------------------------------------------------------------------------------

VALUES = [
    (5, "L", 5),
    (-(2**63), "L", -(2**63)),
    (True, "L", 1),
    (np.uint16(9), "L", 9),
    (np.bool_(True), "L", 1),
    (1.5, "D", 1.5),
    (float("inf"), "D", float("inf")),
    (np.float32(0.25), "D", 0.25),
    ("text", "S", "text"),
    ("", "S", ""),
    ("16 bytes of text", "S", "16 bytes of text"),
    ("caf\u00e9", "S", "caf\u00e9"),
    (np.str_("np"), "S", "np"),
    (None, "N", ""),
    ([1, 2], "N", "[1, 2]"),
    (1j, "N", "1j"),
]


@pytest.mark.parametrize(("value", "kind", "kept"), VALUES)
def test_keyword_of_every_type_in_every_slot(make, make_stream, value, kind, kept):
    stream = make_stream("cam", (3, 4), np.float32, nbkw=4)
    s, other = make("cam"), make("cam")
    for ii in (2, 0, 3, 1):
        expected = {"name": f"KEY{ii}", "type": kind, "value": kept, "comment": "what it is"}
        assert s.update_keyword(ii, f"KEY{ii}", value, "what it is") is None
        assert s.kwds[ii] == expected
        assert other.kwds[ii] == other.kwd
        assert other.read_keyword(ii) is None
        assert other.kwds[ii] == expected
        assert type(other.kwds[ii]["value"]) is type(kept)
        assert stream.section("keywords")["cnt"][ii] == 1
    # Readers of another kind find them now that there is no gap before the last.
    shown = None if kind == "N" else kept
    assert [tuple(each) for each in stream.read_keywords()] == [
        (f"KEY{ii}", shown, "what it is", 1) for ii in range(4)
    ]


def test_all_slots_at_once(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32, nbkw=5)
    s = make("cam")
    s.kwds[0] = {"name": "A", "type": "L", "value": 3, "comment": "first"}
    s.kwds[2] = {"name": "B", "type": "D", "value": 4, "comment": "behind a gap"}
    s.kwds[4]["name"] = "C"
    assert s.write_keywords() is None
    assert [each.name for each in stream.read_keywords()] == ["A"]
    reader = make("cam")
    assert reader.kwds == s.kwds
    assert type(reader.kwds[2]["value"]) is float
    reader.create_keyword_list()
    assert reader.kwds == [reader.kwd] * 5
    reader.kwds[0]["name"] = "mine"  # entries do not share
    assert reader.kwds[1:] == [reader.kwd] * 4
    assert reader.read_keywords() is None
    assert reader.kwds == s.kwds


def test_a_slot_is_freed_by_an_empty_name(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32, nbkw=2)
    s = make("cam")
    s.update_keyword(0, "A", "a long old text", "old comment")
    s.update_keyword(0, "", None, "")
    assert stream.read_keywords() == []
    assert make("cam").kwds[0] == s.kwd
    s.update_keyword(0, "B", 1, "")
    assert [tuple(each) for each in stream.read_keywords()] == [("B", 1, "", 3)]


def test_single_keyword_is_written_as_it_stands(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32, nbkw=2)
    s = make("cam")
    s.update_keyword(1, "EXPTIME", 0.5, "seconds")
    s.kwds[1]["value"] = 2  # the type is D: stored as float
    s.kwds[0] = {"name": "not", "type": "S", "value": "written", "comment": ""}
    assert s.write_keyword(1) is None
    found = make("cam").kwds
    assert found == [s.kwd, {"name": "EXPTIME", "type": "D", "value": 2.0, "comment": "seconds"}]
    assert stream.section("keywords")["cnt"].tolist() == [0, 2]


@pytest.mark.parametrize("ii", [2, -1, 2**40, "0", 1.0, None])
def test_slot_that_is_not_there(make, make_stream, ii):
    make_stream("cam", (3, 4), np.float32, nbkw=2)
    s = make("cam")
    for touch in (
        lambda: s.update_keyword(ii, "A", 1, ""),
        lambda: s.write_keyword(ii),
        lambda: s.read_keyword(ii),
    ):
        with pytest.raises(KeywordError, match=r"room for 2 keywords.*no slot"):
            touch()
    assert s.kwds == make("cam").kwds == [s.kwd] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"name": "17 bytes of name."},
        {"name": "NUL\0"},
        {"value": "17 bytes of text."},
        {"value": "NUL\0"},
        {"value": 2**63},
        {"value": [1000000, 10000000]},
        {"comment": "c" * 81},
        {"comment": "\ud800"},
    ],
)
def test_keyword_that_cannot_be_stored(make, make_stream, change):
    stream = make_stream("cam", (3, 4), np.float32, nbkw=2)
    s = make("cam")
    s.update_keyword(0, "A", 1, "one")
    before, table = [dict(each) for each in s.kwds], stream.section("keywords").tobytes()
    with pytest.raises(KeywordError, match="'cam'"):
        s.update_keyword(0, **{"name": "B", "value": 2, "comment": "two", **change})
    assert s.kwds == before
    # The good entry before the bad one is not written either.
    kind = "S" if isinstance(change.get("value"), str) else "L"
    s.kwds[1] = {"name": "B", "type": kind, "value": "" if kind == "S" else 2, "comment": "two", **change}
    s.kwds[0]["value"] = 77
    with pytest.raises(KeywordError):
        s.write_keywords()
    assert stream.section("keywords").tobytes() == table


@pytest.mark.parametrize(
    ("kind", "value"),
    [("L", 1.5), ("L", "1"), ("D", "1"), ("S", 1), ("N", 1), ("X", "x"), ("", ""), ([], ""), ("LL", 1)],
)
def test_type_that_does_not_fit_the_value(make, make_stream, kind, value):
    make_stream("cam", (3, 4), np.float32, nbkw=1)
    s = make("cam")
    s.kwds[0] = {"name": "A", "type": kind, "value": value, "comment": ""}
    with pytest.raises(KeywordError, match="slot 0 cannot store"):
        s.write_keyword(0)
    assert make("cam").kwds == [s.kwd]


def test_more_entries_than_slots(make, make_stream):
    make_stream("cam", (3, 4), np.float32, nbkw=1)
    s = make("cam")
    s.kwds = [{"name": "A", "type": "L", "value": 1, "comment": ""}] * 2
    with pytest.raises(KeywordError, match="no slot 1"):
        s.write_keywords()
    assert make("cam").kwds == [s.kwd]


# -- semaphores ---------------------------------------------------------------------------------------


def test_without_semaphores(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam")
    assert s.sems == []
    assert s.nsem == 10
    assert s.catch_up_with_sem(5) == -1
    assert s.post_sems() is None
    assert stream.sem_values() == [0] * 10
    assert s.get_latest_data(5).tolist() == np.zeros((3, 4)).tolist()
    s.set_data(ramp((3, 4)))  # others are told in any case
    assert stream.sem_values() == [1] * 10
    assert set(owners(stream)) == {-1}


def test_semaphores(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32, nbsem=3)
    s = make("cam", nosem=False)
    assert s.nsem == len(s.sems) == 3
    s.post_sems(1)
    s.post_sems()
    assert [sem.value for sem in s.sems] == stream.sem_values() == [1, 2, 1]
    s.sems[0].release()
    assert s.sems[0].value == 2
    assert s.sems[0].acquire() is None
    s.sems[0].acquire(timeout=0)
    assert s.sems[0].value == 0
    assert s.catch_up_with_sem(1) == 0
    assert stream.sem_values() == [0, 0, 1]
    with pytest.raises(StreamTimeoutError, match=r"no post of semaphore 1 within 0\.01 s") as caught:
        s.sems[1].acquire(0.01)
    assert (caught.value.timeout, caught.value.counter) == (0.01, 0)
    with pytest.raises(StreamTimeoutError):
        s.sems[1].acquire(-1)
    for bad in (3, -1, "1", None):
        with pytest.raises(StreamArgumentError):
            s.catch_up_with_sem(bad)
    with pytest.raises(StreamArgumentError):
        s.get_latest_data(3)
    for bad in (3, "1", 0.5):
        with pytest.raises(StreamArgumentError):
            s.post_sems(bad)
    with pytest.raises(StreamArgumentError):
        s.sems[1].acquire("soon")
    assert stream.sem_values() == [0, 0, 1]


def test_a_semaphore_that_is_waited_for_belongs_to_the_object(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    s.catch_up_with_sem(5)
    assert owners(stream)[5] == os.getpid()
    with SHM("cam") as other:  # takes another one
        assert other.semID == 0
    s.close()
    assert set(owners(stream)) == {-1}


@pytest.mark.parametrize("first", ["wait", "reserve"])
def test_get_data_leaves_the_posts_of_that_semaphore(make, make_stream, first):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    if first == "wait":
        s.get_data(check=0, timeout=0)
        assert owners(stream)[0] == os.getpid()
    assert s.catch_up_with_sem(0) == 0
    thread, results = in_thread(lambda: s.get_data(check=0))
    until(lambda: owners(stream).count(os.getpid()) == 2)
    stream.publish(ramp((3, 4), first=1))
    thread.join()
    assert results[0][0, 0] == 1
    assert s.sems[0].value == 1
    assert s.get_latest_data(0)[0, 0] == 1  # the frame has come: no wait
    assert s.sems[0].value == 0


def test_a_thread_that_waits_gives_that_semaphore_up(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    thread, results = in_thread(lambda: s.get_data(check=0, timeout=None)[0, 0])
    until(lambda: owners(stream)[0] == os.getpid())
    assert s.catch_up_with_sem(0) == 0
    until(lambda: owners(stream)[:3] == [os.getpid()] * 2 + [-1])
    stream.publish(ramp((3, 4), first=7))
    thread.join()
    assert results == [7.0]
    assert s.sems[0].value == 1


def test_read_only_stream(make, shm_dir):
    make("cam", data=ramp((3, 4)), nbkw=1).close(erase_file=False)
    path = shm_dir / "cam.im.shm"
    # Root opens anything for writing: a read-only handle is what others get.
    s = make(str(path), nosem=False)
    s._adopt(Stream.attach(path, writable=False))
    assert s.get_data(check=0).tolist() == ramp((3, 4)).tolist()
    assert s.sems[0].value == 1
    for touch in (
        lambda: s.set_data(ramp((3, 4))),
        lambda: s.increment_counter(),
        lambda: s.update_keyword(0, "A", 1, ""),
        lambda: s.write_keywords(),
        lambda: s.post_sems(),
        lambda: s.catch_up_with_sem(0),
        lambda: s.get_latest_data(0),
    ):
        with pytest.raises(StreamReadOnlyError, match="read-only"):
            touch()


# -- reading ------------------------------------------------------------------------------------------


def test_check_is_a_counter_to_exceed(make):
    s = make("cam", data=ramp((3, 4)))
    s.set_data(ramp((3, 4), first=1))
    for check in (False, 0, 1, True, 1.5, np.int64(1), np.True_, -3):
        assert s.get_data(check=check, timeout=None)[0, 0] == 1


@pytest.mark.parametrize("check", [2, np.uint64(2), 10**30])
def test_old_data_after_the_timeout(make, check):
    s = make("cam", data=ramp((3, 4)))
    s.set_data(ramp((3, 4), first=1))
    began = time.monotonic()
    assert s.get_data(check, timeout=0.05)[0, 0] == 1
    assert time.monotonic() - began >= 0.05
    assert s.get_data(check, True, 0.001, 0)[0, 0] == 1
    assert s.get_data(check, timeout=-1)[0, 0] == 1


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"check": "1"}, "check"),
        ({"check": None}, "check"),
        ({"check": 1j}, "check"),
        ({"check": 5, "timeout": "soon"}, "timeout"),
        ({"check": 5, "timeout": float("nan")}, "timeout"),
    ],
)
def test_bad_arguments_of_get_data(make, options, argument):
    s = make("cam", data=ramp((3, 4)))
    with pytest.raises(StreamArgumentError, match=argument) as caught:
        s.get_data(**options)
    assert caught.value.argument == argument


def test_frames_are_copies(make):
    s = make("cam", data=ramp((3, 4)))
    for frame in (s.get_data(), s.get_data(reform=False), s.get_latest_data()):
        frame[:] = 99
        assert s.get_data().tolist() == ramp((3, 4)).tolist()


@pytest.mark.parametrize("call", ["get_data", "get_latest_data"])
def test_torn_frame_warns_in_the_name_of_the_script(make, shm_dir, call):
    shutil.copyfile(golden.path("ga_midwrite"), shm_dir / "ga_midwrite.im.shm")
    read = getattr(make("ga_midwrite"), call)
    with pytest.warns(FrameTornWarning, match="'ga_midwrite': frame 2 may be torn") as caught:
        read()
    assert [each.filename for each in caught] == [__file__]


def test_slices_of_a_circular_cube(make, make_stream):
    stream = make_stream("cam", (3, 2, 4), np.float32, imagetype=TEMPORAL)
    s = make("cam", nosem=False)
    for k in range(1, 6):
        s.set_data(ramp((2, 4), first=10 * k))
        assert s.get_latest_data_slice()[0, 0] == 10 * k
        assert s.get_latest_data_slice(2)[0, 0] == 10 * k  # its post is there
        assert s.get_latest_data_slice(reform=False).tolist() == ramp((8,), first=10 * k).tolist()
    assert s.get_data()[:, 0, 0].tolist() == [30, 40, 50]  # the first frame went to slice 1
    assert s.get_data(reform=False).shape == (24,)
    assert stream.section("slice_cnt0").tolist() == [3, 4, 5]
    assert (s.get_counter(), s.get_counter(1)) == (5, 2)
    s.set_data(ramp((3, 2, 4)))  # all slices at once
    assert s.get_data().tolist() == ramp((3, 2, 4)).tolist()


def test_slices_of_another_cube(make):
    s = make("cam", data=ramp((3, 2, 4)))
    for k in range(5):  # counter k + 1
        newest = s.get_latest_data_slice()
        assert newest.tolist() == ramp((3, 2, 4), first=k)[k % 3].tolist()
        assert s.get_latest_data_slice(reform=False).tolist() == newest.ravel().tolist()
        s.set_data(ramp((3, 2, 4), first=k + 1))


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_no_slices(make, shape):
    s = make("cam", data=ramp(shape))
    with pytest.raises(StreamArgumentError, match=f"{len(shape)} axes and no slices") as caught:
        s.get_latest_data_slice()
    assert isinstance(caught.value, ValueError)


# -- writing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_set_data(make, shape):
    writer, reader = make("cam", data=np.zeros(shape, np.float32)), make("cam")
    frame = ramp(shape, first=7)
    before = time.clock_gettime_ns(11)
    assert writer.set_data(frame) is None
    reader.read_meta_data(verbose=False)
    assert reader.mtdata["cnt0"] == 2
    assert reader.mtdata["wtime_sec"] * 10**9 + reader.mtdata["wtime_ns"] >= before
    assert reader.mtdata["atime"] == reader.mtdata["wtime"]
    assert reader.get_data().tolist() == frame.tolist()
    # As many pixels, in C order; any memory and byte order.
    for given in (frame.ravel(), np.asfortranarray(frame), frame.astype(">f4"), frame[..., None]):
        writer.set_data(np.zeros(shape, np.float32))
        writer.set_data(given)
        assert reader.get_data().tolist() == frame.tolist()
    writer.set_data(frame.astype(int) + 1, check_dt=True)
    assert reader.get_data().tolist() == (frame + 1).tolist()


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (np.zeros((3, 5), np.float32), {}),
        (np.zeros((3, 5), np.int32), {"check_dt": True}),
        (np.zeros((3, 4), np.int32), {}),  # as many bytes
        (np.zeros((3, 4), np.float64), {}),
        (np.full((3, 4), "text"), {"check_dt": True}),
        ("text", {"check_dt": True}),
        (None, {}),
        ({"a": 1}, {"check_dt": True}),
        ([[1, 2], [3]], {}),
    ],
)
def test_data_that_does_not_fit(make, data, options):
    s = make("cam", data=ramp((3, 4)))
    with pytest.raises(FrameMismatchError, match="'cam'") as caught:
        s.set_data(data, **options)
    assert isinstance(caught.value, ValueError)
    assert s.get_counter() == 1
    assert s.get_data().tolist() == ramp((3, 4)).tolist()


# -- two processes ------------------------------------------------------------------------------------

READER = """
import sys
import numpy as np
from pymilk.compat.xaosim import shm
def say(*words):
    print(*words, flush=True)
s = shm("cam", nosem=False)
"""


@pytest.mark.parametrize(("ahead", "value"), [(0, 2), (1, 3), (3, 5)])
def test_get_data_is_woken_by_another_process(spawn, make, ahead, value):
    s = make("cam", data=ramp((3, 4), first=1))
    child = spawn(
        READER
        + """
cnt = s.get_counter()
say(s.get_data(check=cnt + int(sys.argv[1]), reform=True, timeout=None)[0, 0])
s.close()
""",
        ahead,
    )
    with Stream.attach("cam") as stream:
        until(lambda: child.pid in owners(stream))
        for k in range(2, value + 1):
            s.set_data(ramp((3, 4), first=k))
        child.expect(f"{value}.0")
        assert child.finish() == (0, "", "")
        assert set(owners(stream)) == {-1}


@pytest.mark.parametrize("shape", SHAPES)
def test_latest_data_frame_by_frame(spawn, make, shape):
    s = make("cam", data=ramp(shape))
    child = spawn(
        READER
        + """
semid = 5
say(s.catch_up_with_sem(semid))
for _ in range(5):
    frame = s.get_latest_data_slice(semid) if s.mtdata["naxis"] == 3 else s.get_latest_data(semid)
    say(int(frame.flat[0]), frame.ndim)
s.close()
"""
    )
    child.expect("0")
    for k in range(1, 6):
        s.set_data(ramp(shape, first=100 * k))
        first = int(s.get_latest_data_slice().flat[0]) if len(shape) == 3 else 100 * k
        child.expect(f"{first} {min(len(shape), 2)}")
    assert child.finish() == (0, "", "")


def test_post_from_another_process(spawn, make, make_stream):
    make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    child = spawn(READER + "input(); s.post_sems(7); s.close()")
    thread, results = in_thread(lambda: s.sems[7].acquire(PATIENCE))
    child.tell()
    thread.join()
    assert results == [None]
    assert child.finish() == (0, "", "")


def test_writer_of_another_process_is_followed_to_its_new_file(spawn, make, make_stream):
    make_stream("cam", (3, 4), np.float32, nbkw=1)
    s = make("cam")
    s.set_data(ramp((3, 4)))
    child = spawn("""
import numpy as np
from pymilk.compat.xaosim import shm
s = shm("cam", data=np.full((3, 4), 7, np.float32), nbkw=3)
s.update_keyword(2, "NEW", 1, "")
s.close(erase_file=False)
""")
    assert child.finish() == (0, "", "")
    with pytest.raises(StreamReplacedError, match="replaced by a new file"):
        s.set_data(ramp((3, 4)))
    with pytest.raises(StreamReplacedError):
        s.update_keyword(0, "A", 1, "")
    with pytest.raises(StreamReplacedError):
        s.increment_counter()
    assert s.get_data()[0, 0] == 7
    assert (s.mtdata["cnt0"], s.mtdata["nbkw"], s.kwds[2]["name"]) == (1, 3, "NEW")
    s.set_data(ramp((3, 4)))
    assert make("cam").get_data().tolist() == ramp((3, 4)).tolist()


@pytest.mark.parametrize(
    ("shape", "dtype", "imagetype", "error"),
    [
        ((3, 5), np.float32, None, StreamShapeChangedError),
        ((3, 4), np.int32, None, StreamTypeChangedError),
        ((2, 3, 4), np.float32, TEMPORAL, StreamShapeChangedError),  # its slices have the old shape
    ],
)
def test_another_shape_or_type_raises_until_the_user_acts(
    make, make_stream, shm_dir, shape, dtype, imagetype, error
):
    make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    options = {} if imagetype is None else {"imagetype": imagetype}
    make_stream("cam", shape, dtype, **options)
    for _ in range(2):
        for touch in (s.get_data, s.get_counter, s.get_latest_data, lambda: s.catch_up_with_sem(1)):
            with pytest.raises(error, match="recreated with another"):
                touch()
        with pytest.raises(error):
            s.get_data(check=5)
        with pytest.raises(StreamReplacedError):
            s.set_data(ramp((3, 4)))
    assert make("cam").get_data().shape == shape


@pytest.mark.parametrize("wait", ["get_data(check=3, timeout=None)", "get_latest_data(5)"])
def test_wait_goes_on_in_a_new_file(spawn, make_stream, wait):
    old = make_stream("cam", (3, 4), np.float32)
    for _ in range(3):
        old.publish(ramp((3, 4)))
    child = spawn(READER + f"s.catch_up_with_sem(5); say(int(s.{wait}[0, 0])); s.close()")
    waits = 2 if "check" in wait else 1  # semaphores that it holds by then
    until(lambda: owners(old).count(child.pid) == waits)
    new = make_stream("cam", (3, 4), np.float32)
    for k in range(1, 5):
        new.publish(ramp((3, 4), first=10 * k))
    assert int(child.hear()) in ([40] if "check" in wait else [10, 20, 30, 40])
    assert child.finish() == (0, "", "")


def test_the_post_that_tells_of_a_new_file_is_not_taken_for_a_frame(make, make_stream):
    make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    was = s.mtdata["crtime"]
    thread, results = in_thread(lambda: s.get_latest_data(5)[0, 0])
    until(lambda: state(f"self/task/{thread.native_id}") == "S")
    new = make_stream("cam", (3, 4), np.float32)
    until(lambda: s.mtdata["crtime"] != was)
    new.publish(ramp((3, 4), first=7))
    thread.join()
    assert results == [7.0]


class Watching(shm):
    """An object that tells when it has met a file that is not ready."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.met = threading.Event()
        super().__init__(*args, **kwargs)

    def _live(self) -> Stream:
        try:
            return super()._live()
        except StreamNotReadyError:
            self.met.set()
            raise


@pytest.mark.parametrize("wait", ["counter", "semaphore"])
def test_wait_puts_up_with_a_file_that_is_being_made(make, make_stream, shm_dir, wait):
    """As other programs make it: unlink, create, fill, and the version last."""
    make_stream("cam", (3, 4), np.float32)
    s = make("cam", kind=Watching, nosem=False)
    sem = s.sems[0]
    path = shm_dir / "cam.im.shm"
    made = isio_format.fresh("cam", (4, 3), 9)
    path.unlink()
    path.touch()
    made.inode = path.stat().st_ino
    data = isio_format.encode(made)
    path.write_bytes(bytes(32) + data[32:])
    with pytest.raises(StreamTimeoutError):
        sem.acquire(0.01)
    with pytest.raises(StreamNotReadyError):
        s.get_data(check=0, timeout=0.01)
    s.met.clear()
    work = (lambda: s.get_data(0, timeout=None)[0, 0]) if wait == "counter" else sem.acquire
    thread, results = in_thread(work)
    assert s.met.wait(PATIENCE)
    with open(path, "r+b") as file:
        file.write(data[:32])
    with Stream.attach(path) as stream:
        stream.publish(ramp((3, 4), first=7))
    thread.join()
    assert results == ([7.0] if wait == "counter" else [None])


@pytest.mark.parametrize(
    "call",
    [
        "get_data(check=0, timeout=None)",
        "catch_up_with_sem(5); s.get_latest_data(5)",
        "catch_up_with_sem(2); s.sems[2].acquire()",
    ],
)
def test_interrupt_ends_a_wait(spawn, make_stream, call):
    stream = make_stream("cam", (3, 4), np.float32)
    child = spawn(
        READER
        + f"""
try:
    s.{call}
except KeyboardInterrupt:
    say("interrupted", s.get_data()[0, 0])
s.close()
"""
    )
    until(lambda: child.pid in owners(stream) and state(child.pid) == "S")
    os.kill(child.pid, signal.SIGINT)
    child.expect("interrupted 0.0")
    assert child.finish() == (0, "", "")
    assert set(owners(stream)) == {-1}


@pytest.mark.parametrize("call", ["get_data", "acquire"])
def test_close_in_another_thread_ends_a_wait(make, make_stream, call):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam", nosem=False)
    if call == "get_data":
        thread, results = in_thread(lambda: s.get_data(0, timeout=None))
        until(lambda: os.getpid() in owners(stream))
    else:
        s.catch_up_with_sem(3)
        thread, results = in_thread(s.sems[3].acquire)
    s.close()
    thread.join(PATIENCE)
    assert isinstance(results[0], StreamClosedError)
    assert set(owners(stream)) == {-1}


def test_threads_wait_with_one_object(make, make_stream):
    stream = make_stream("cam", (3, 4), np.float32)
    s = make("cam")
    waits = [in_thread(lambda: s.get_data(0, timeout=None)[0, 0]) for _ in range(3)]
    until(lambda: owners(stream).count(os.getpid()) == 3)
    stream.publish(ramp((3, 4), first=7))
    for thread, results in waits:
        thread.join()
        assert results == [7.0]
    s.close()
    assert set(owners(stream)) == {-1}


# -- FITS ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float32])
def test_save_as_fits(make, tmp_path, shape, dtype):
    fits = pytest.importorskip("astropy.io.fits")
    s = make("cam", data=ramp(shape, dtype))
    path = str(tmp_path / "cam.fits")
    for k in range(2):  # the second one overwrites
        s.set_data(ramp(shape, dtype, first=k))
        assert s.save_as_fits(path) == 0
        with fits.open(path) as file:
            # As it is, so that [0, 0] is at the lower left: x runs first in the file.
            assert file[0].header["NAXIS1"] == shape[-1]
            assert file[0].data.tolist() == ramp(shape, dtype, first=k).tolist()
            assert file[0].data.dtype.newbyteorder("=") == dtype
        back = multi_read(path, 4, Which3DState.FRONT2LAST)
        assert back.tolist() == s.get_data().tolist()


@pytest.mark.parametrize("dtype", [np.complex64, np.float16])
def test_pixels_that_fits_has_not(make, tmp_path, dtype):
    pytest.importorskip("astropy")
    s = make("cam", data=ramp((3, 4), dtype))
    with pytest.raises(StreamUnsupportedError, match=np.dtype(dtype).name):
        s.save_as_fits(str(tmp_path / "cam.fits"))
    with pytest.raises(StreamNotFoundError, match="missing"):
        make("other", data=ramp((3, 4))).save_as_fits(tmp_path / "missing" / "cam.fits")
    assert not os.listdir(tmp_path)


def test_fits_without_astropy(make, tmp_path, spawn):
    make("cam", data=ramp((3, 4)))
    child = spawn(
        READER
        + """
sys.modules["astropy"] = None
try:
    s.save_as_fits(sys.argv[1])
except ImportError as error:
    say(error)
s.close()
""",
        tmp_path / "cam.fits",
    )
    assert "pip install 'pymilk[fits]'" in child.hear()
    assert child.finish() == (0, "", "")


# -- the name xaosim ----------------------------------------------------------------------------------


def test_install(spawn):
    child = spawn("""
import importlib.util
import sys
from pymilk.compat import xaosim as ours
print("xaosim" in sys.modules)
ours.install()
ours.install()
from xaosim.shmlib import shm, all_dtypes, mtkeys
from xaosim import shmlib
import xaosim.shmlib as again
import xaosim
print(shm is ours.shm, all_dtypes is ours.all_dtypes, shmlib is again is xaosim.shmlib)
print(importlib.util.find_spec("xaosim").name)
try:
    import xaosim.pupil
except ModuleNotFoundError as error:
    print(error)
""")
    out = "False\nTrue True True\nxaosim\nNo module named 'xaosim.pupil'\n"
    assert child.finish() == (0, out, "")


@pytest.mark.parametrize("imported", [True, False])
def test_install_does_not_hide_the_real_one(spawn, tmp_path, imported):
    (tmp_path / "xaosim").mkdir()
    (tmp_path / "xaosim" / "__init__.py").write_text("")
    (tmp_path / "xaosim" / "shmlib.py").write_text("shm = 'the real one'")
    child = spawn(
        """
import sys
sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "True":
    import xaosim
from pymilk.compat.xaosim import install
from pymilk.errors import StreamArgumentError
try:
    install()
except StreamArgumentError as error:
    print(error.argument, error.found)
from xaosim.shmlib import shm
print(shm)
""",
        tmp_path,
        imported,
    )
    out = f"xaosim {tmp_path}/xaosim/__init__.py\nthe real one\n"
    assert child.finish() == (0, out, "")


# -- what scripts do ----------------------------------------------------------------------------------


def test_scripts_open_deformable_mirror_channels(make, shm_dir):
    for k in range(3):
        make(str(shm_dir / f"dm1disp{k:02d}.im.shm"), data=np.zeros((50, 50), np.float32), nbkw=2)
    paths = sorted(glob.glob(f"{shm_dir}/dm1disp*.im.shm"))
    channels = [make(path, nosem=False) for path in paths]
    assert [each.mtdata["x"] for each in channels] == [50] * 3
    channels[1].set_data(np.full((50, 50), 0.5, np.float32))
    channels[1].post_sems(1)
    assert [each.get_data().mean() for each in channels] == [0, 0.5, 0]
    assert [sem.value for sem in channels[1].sems] == [2, 3, *[2] * 8]  # one of them since creation
    for each in channels:
        each.close(erase_file=False)
    assert sorted(glob.glob(f"{shm_dir}/dm1disp*.im.shm")) == paths


def test_scripts_read_the_next_frame_by_its_counter(make):
    s = make("cam", data=ramp((3, 4)), nbkw=1, verbose=False)
    other = make("cam")
    cnt = s.get_counter()
    other.set_data(ramp((3, 4), first=1))
    im = s.get_data(check=cnt, reform=True)
    assert im[0, 0] == 1
    assert s.get_counter() == cnt + 1


def test_scripts_average_a_cube(make):
    s = make("cube", data=ramp((5, 3, 4)))
    assert s.get_data(False, True).mean(0).tolist() == ramp((5, 3, 4)).mean(0).tolist()


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_scripts_read_the_latest_frame(make, shape):
    s = make("cam", data=ramp(shape), nosem=False)
    camera = make("cam")
    semid = 5
    s.catch_up_with_sem(semid)
    camera.set_data(ramp(shape, first=3))
    if s.mtdata["naxis"] == 3:
        frame = s.get_latest_data_slice(semid)
        assert np.array_equal(s.get_latest_data_slice(semid=None).copy(), frame)
        expected = ramp(shape, first=3)[1]
    else:
        frame, expected = s.get_latest_data(semid), ramp(shape, first=3)
    assert np.array_equal(frame, expected)
    assert s.sems[semid].value == 0


def test_scripts_ask_for_the_size(make):
    make("cam", data=ramp((3, 4)))
    make("cube", data=ramp((2, 3, 4)))
    s, cube = make("cam"), make("cube")
    assert (s.mtdata["x"], s.mtdata["y"], s.mtdata["z"], s.mtdata["naxis"]) == (4, 3, 0, 2)
    assert (cube.mtdata["x"], cube.mtdata["y"], cube.mtdata["z"], cube.mtdata["naxis"]) == (4, 3, 2, 3)
    assert cube.mtdata["size"][:2] == (2, 3)
