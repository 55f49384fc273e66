"""Golden files as an `Image`, and its metadata."""

from __future__ import annotations

import datetime
import os
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk.ImageStreamIOWrap as ISIO
from pymilk import Stream
from pymilk.errors import FrameTornWarning, ImageUnsupportedError, StreamFormatError
from pymilk.image import image_over
from support import golden
from support import isio_format as fmt
from support.images import BUFFERS, CALLS, Image_kw, Image_md, ramp

TEMPORAL = 0x20001
Make = Callable[..., Any]


def text(stored: str) -> str:
    """Text as it stands in a golden file, in hexadecimal digits."""
    return bytes.fromhex(stored).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def local_time(stamp: Any) -> datetime.datetime:
    """A stored time as datetime, by another way than pymilk's."""
    start = datetime.datetime.fromtimestamp(stamp[0])
    return start + datetime.timedelta(microseconds=stamp[1] // 1000)


# -- golden files -------------------------------------------------------------------------------------

ENTRIES = {entry["name"]: entry for entry in golden.entries()}
ON_DISK = [name for name, entry in ENTRIES.items() if entry["array"] is not None]

#: Fields of the metadata that are shown as they stand in the file.
AS_STORED = (
    "version",
    "name",
    "naxis",
    "nelement",
    "shared",
    "location",
    "status",
    "inode",
    "logflag",
    "cnt0",
    "cnt1",
    "cnt2",
    "write",
    "flag",
    "sem",
    "NBkw",
)


@pytest.fixture
def golden_image(shm_dir: Path, make: Make) -> Callable[[str], Any]:
    def opened(name: str) -> Any:
        shutil.copy(golden.path(name), shm_dir / f"{name}.im.shm")
        return make(name)

    return opened


@pytest.mark.parametrize("name", ON_DISK)
def test_golden(golden_image: Callable[[str], Any], name: str) -> None:
    image, entry = golden_image(name), ENTRIES[name]
    expected, md = entry["metadata"], image.md
    for field in AS_STORED:
        assert getattr(md, field) == expected[field], field
        assert type(getattr(md, field)) is type(expected[field]), field
    assert md.size == expected["size"][: md.naxis]
    assert isinstance(md.size, list)
    assert image.shape == tuple(md.size)
    assert isinstance(md.datatype, ISIO.ImageStreamIODataType.Type)
    assert isinstance(md.imagetype, ISIO.ImageStreamIOType.Type)
    assert (md.datatype, md.imagetype) == (expected["datatype"], expected["imagetype"] & 0xF)
    assert md.location_str == "CPU RAM"
    for mine, theirs in {
        "creationtime": "creationtime",
        "lastaccesstime": "lastaccesstime",
        "acqtime": "atime",
        "writetime": "writetime",
    }.items():
        moment = getattr(md, mine)
        assert isinstance(moment, datetime.datetime)
        assert moment.tzinfo is None
        assert moment == local_time(expected[theirs])
        assert abs(float(moment) - expected[theirs][0] - expected[theirs][1] / 1e9) < 2e-6
    assert (image.memsize, image.used) == (entry["file_size"], 0)

    pixels = golden.expected_array(entry).T
    array_of_it = np.array(image)
    assert array_of_it.dtype == pixels.dtype
    assert array_of_it.tobytes() == pixels.tobytes()  # NaNs too
    np.testing.assert_array_equal(image.view(), pixels)

    stored = entry["semaphores"]
    assert image.semReadPID == stored["semReadPID"]
    assert image.semWritePID == stored["semWritePID"]
    assert [image.semvalue(k) for k in range(md.sem)] == stored["values"]

    keywords = entry["keywords"]["list"]
    texts = [(text(each["name_hex"]), each["type"], text(each["comment_hex"])) for each in keywords]
    assert [(each.name, each.type, each.comment) for each in image.get_kws_list()] == texts
    for kind, code, number in (("L", "<q", int), ("D", "<d", float)):
        values = {text(each["name_hex"]): each["value_hex"][:16] for each in keywords if each["type"] == kind}
        found = {name: kw.value for name, kw in image.get_kws().items() if kw.type == kind}
        assert {type(value) for value in found.values()} <= {number}
        assert {name: struct.pack(code, value).hex() for name, value in found.items()} == values
    words = {text(each["name_hex"]): text(each["value_hex"]) for each in keywords if each["type"] == "S"}
    assert {key: kw.value for key, kw in image.get_kws().items() if kw.type == "S"} == words
    names = {bytes.fromhex(each["name_hex"]).rstrip(b"\0") for each in keywords}
    assert [name.encode("utf-8", "surrogateescape") for name in image.get_kws()] == sorted(names)


def test_golden_repr(golden_image: Callable[[str], Any]) -> None:
    image = golden_image("ga_types_recv")
    md = ENTRIES["ga_types_recv"]["metadata"]
    shown = {
        "Name": "ga_types_recv",
        "Version": "2.00",
        "Size": "[2, 3, 2]",
        "nelement": "12",
        "creationtime": time.ctime(md["creationtime"][0]),
        "lastaccesstime": time.ctime(md["lastaccesstime"][0]),
        "acqtime": time.ctime(md["atime"][0]),
        "shared": "1",
        "location": "CPU RAM",
        **{name: str(md[name]) for name in ("flag", "logflag", "sem", "cnt0", "cnt1", "cnt2")},
    }
    assert len(shown) == 15
    assert repr(image.md) == str(image.md) == "\n".join(f"{key}: {value}" for key, value in shown.items())


def test_golden_temporal(golden_image: Callable[[str], Any]) -> None:
    image, slices = golden_image("ga_temporal"), ENTRIES["ga_temporal"]["temporal"]
    assert image.cntarray == slices["cntarray"]
    assert image.acqtimearray == [local_time(stamp) for stamp in slices["atimearray"]]
    assert image.writetimearray == [local_time(stamp) for stamp in slices["writetimearray"]]
    assert [len(image.cntarray), image.md.cnt1] == [image.md.size[2], slices["last_slice_cnt1"]]
    # The newest frame, as scripts find it.
    newest = np.array(image, copy=False).T[image.md.cnt1]
    np.testing.assert_array_equal(newest, golden.expected_array(ENTRIES["ga_temporal"])[2])


@pytest.mark.parametrize("what", ["acqtimearray", "writetimearray", "cntarray"])
def test_no_slices(make: Make, what: str) -> None:
    with pytest.raises(RuntimeError, match=f"^{what} not initialized") as caught:
        getattr(make("x", ramp(4, 3, 2)), what)
    assert type(caught.value) is ImageUnsupportedError


def test_golden_trace(golden_image: Callable[[str], Any]) -> None:
    trace, entry = golden_image("ga_trace").streamproctrace0, ENTRIES["ga_trace"]
    stored = entry["streamproctrace_nondefault"][0]
    assert isinstance(trace, ISIO.Proc_trace)
    for mine, theirs in {
        "triggermode": "triggermode",
        "pid_write": "procwrite_PID",
        "trigger_inode": "trigger_inode",
        "trigger_semindex": "trigsemindex",
        "trigger_status": "triggerstatus",
        "cnt0": "cnt0",
    }.items():
        assert getattr(trace, mine) == stored[theirs]
        assert type(getattr(trace, mine)) is int
        with pytest.raises(AttributeError):
            setattr(trace, mine, 1)
    assert trace.ts_procstart == local_time(stored["ts_procstart"])
    assert trace.ts_streamupdate == local_time(stored["ts_streamupdate"])
    with pytest.raises(TypeError, match=r"Image\.streamproctrace0"):
        ISIO.Proc_trace()


def test_no_trace(foreign: Any, make: Make) -> None:
    stream = fmt.fresh("x", (4,), 9)
    stream.trace = []
    foreign(stream)
    with pytest.raises(RuntimeError, match="streamproctrace0 not initialized"):
        _ = make("x").streamproctrace0


def test_golden_torn_frame(golden_image: Callable[[str], Any]) -> None:
    image = golden_image("ga_midwrite")
    assert image.md.write == 1
    with pytest.warns(FrameTornWarning, match="ga_midwrite") as seen:
        found = image.copy()
    assert seen[0].filename == __file__
    np.testing.assert_array_equal(found, golden.expected_array(ENTRIES["ga_midwrite"]).T)
    image.write(found)
    assert image.md.write == 0
    np.testing.assert_array_equal(image.copy(), found)


def test_golden_gpu() -> None:
    """`open` refuses it; an SHM of such a stream has an Image all the same."""
    with Stream.attach(golden.path("ga_gpu"), writable=False) as stream:
        image = image_over(stream, False)
        assert image.md.location_str == f"GPU{stream.location} RAM"
        assert image.shape == tuple(image.md.size)
        for name in ("copy", "view"):
            with pytest.raises(RuntimeError, match=r"unsupported location.*ga_gpu"):
                CALLS[name](image)
        for read in BUFFERS.values():
            with pytest.raises(RuntimeError, match="unsupported location"):
                read(image)


@pytest.mark.parametrize("layout", fmt.LAYOUTS)
def test_other_layouts(foreign: Any, make: Make, layout: str) -> None:
    foreign(fmt.fresh("x", (4, 3), 9, layout=layout, nbkw=2, nbsem=3, cbsize=3))
    image = make("x")
    image.write(ramp(4, 3))
    image.set_kws_list([Image_kw("A", 1), Image_kw("B", "b")])
    image.sempost(2)
    found = fmt.decode(Path(os.environ["MILK_SHM_DIR"], "x.im.shm").read_bytes(), layout=layout)
    assert found.pixels == ramp(4, 3).tobytes("F") == found.ring_slots[1]
    assert (found.cnt0, found.cnt1, found.write, found.CBindex) == (1, 1, 0, 1)
    assert found.sem_values == [1, 1, 2]
    assert [each.name for each in found.used_keywords()] == [b"A", b"B"]


# -- metadata -----------------------------------------------------------------------------------------


def test_metadata_is_live_and_read_only(make: Make) -> None:
    image = make("x", ramp(3))
    md = image.md
    image.write(ramp(3))
    assert (md.cnt0, md.cnt1) == (2, 2)
    names = [name for name in dir(Image_md) if not name.startswith("_")]
    assert len(names) == 24
    for name in [*names, "something"]:
        with pytest.raises(AttributeError):
            setattr(md, name, 1)
    with pytest.raises(TypeError, match=r"Image\.md"):
        Image_md()


def test_times_that_are_none(foreign: Any, make: Make) -> None:
    stream = fmt.fresh("x", (4, 3, 2), 9, imagetype=TEMPORAL)
    stream.atimearray = [(0, 0), (2**60, 5)]
    foreign(stream)
    image = make("x")
    assert image.md.acqtime == image.md.lastaccesstime == datetime.datetime.fromtimestamp(0)
    assert image.writetimearray == [datetime.datetime.fromtimestamp(0)] * 2
    assert time.ctime(0) in repr(image.md)
    with pytest.raises(StreamFormatError, match="out of range"):
        _ = image.acqtimearray
