"""Golden files, metadata and counters by the xaosim interface."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pymilk.compat.xaosim import shm
from pymilk.errors import FrameTornWarning, StreamArgumentError, StreamFormatError
from support import golden, isio_format
from support.xaosims import ramp

Make = Callable[..., Any]


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
