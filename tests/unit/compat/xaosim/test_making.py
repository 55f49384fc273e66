"""Names and signatures of the xaosim interface; attaching and creating."""

from __future__ import annotations

import inspect
import os
import time
from typing import Any

import numpy as np
import pytest

from pymilk._core import Stream
from pymilk.compat import xaosim
from pymilk.compat.xaosim import shm
from pymilk.errors import (
    StreamArgumentError,
    StreamClosedError,
    StreamFormatError,
    StreamNameError,
    StreamNotFoundError,
)
from support.xaosims import SHAPES, TOUCHING, ramp

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
