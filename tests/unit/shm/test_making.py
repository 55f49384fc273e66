"""`SHM`: the lines that users write, names and places."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import pymilk
from pymilk import SHM
from pymilk.errors import StreamArgumentError, StreamClosedError, StreamNameError, StreamNotFoundError
from support.camera import Camera, numbers

# -- the familiar lines -------------------------------------------------------------------------------


def test_import_paths():
    from pymilk import SHM as first
    from pymilk.interfacing.isio_shmlib import SHM as second
    from pymilk.interfacing.shm import SHM as third

    assert first is second is third is pymilk.SHM


def test_familiar_reading_and_writing(make):
    make("shm_name", np.zeros((4, 6), np.float32))
    shm = make("shm_name")
    data = shm.get_data(check=False)
    assert (data == 0).all()
    with Camera("shm_name"):
        data = shm.get_data(check=True)
    assert (data > 0).all()
    shm.set_data(np.random.rand(*shm.shape).astype(shm.nptype))
    data = shm.get_data()
    assert data.shape == (4, 6)
    assert data.dtype == np.float32
    assert 0 <= data.min() <= data.max() < 1


def test_familiar_capture(make, capsys):
    make("ocam2d", ((120, 120), np.uint16))
    with Camera("ocam2d"):
        shm = SHM("ocam2d")
        output = shm.multi_recv_data(100, outputFormat=1, monitorCount=True)
        shm.close()
    assert output.shape == (100, 120, 120)
    assert output.dtype == np.uint16
    assert (output == output[:, :1, :1]).all()
    assert (np.diff(output[:, 0, 0].astype(int)) > 0).all()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Irregularities:"
    assert len(printed) == 4
    assert all(line.startswith("0 < 1, ") for line in printed[1:])


def test_familiar_creation(make):
    data = numbers((5, 7))
    one = make("new", data, location=-1, shared=True)
    np.testing.assert_array_equal(one.get_data(), data)
    assert one.get_counter() == 1
    two = make("new2", ((30, 30), np.int16))
    assert (two.shape, two.nptype, two.nDim) == ((30, 30), np.int16, 2)
    assert (two.get_data() == 0).all()


def test_familiar_metadata(make):
    shm = make("cam", ((20, 30), np.int16))
    assert shm.mtdata["size"] == shm.shape_c == (30, 20)
    assert shm.mtdata["cnt0"] == shm.get_counter() == 1
    assert shm.shape == (20, 30)
    assert shm.nptype == np.int16
    assert shm.FNAME == "cam"
    assert os.path.basename(shm.FILEPATH) == "cam.im.shm"
    metadata = shm.mtdata
    assert (metadata["x"], metadata["y"], metadata["z"]) == (30, 20, 0)
    assert (metadata["naxis"], metadata["nel"], metadata["atype"]) == (2, 600, 4)
    assert (metadata["imname"], metadata["version"]) == ("cam", "2.00")
    assert (metadata["crPID"], metadata["inode"]) == (os.getpid(), os.stat(shm.FILEPATH).st_ino)
    assert (metadata["sem"], metadata["nbkw"], metadata["loc"], metadata["shared"]) == (10, 50, -1, 1)
    assert 0 < metadata["crtime_ns"] <= metadata["wtime_ns"]
    json.dumps(metadata)


def test_familiar_keywords(make, capsys):
    shm = make("cam", ((2, 2), np.uint8))
    shm.set_keywords({"EXPTIME": (0.5, "seconds"), "MODE": "fast", "GAIN": 300})
    for kw in shm.get_keywords():
        print(kw["name"], kw["value"])
    assert capsys.readouterr().out == "EXPTIME 0.5\nMODE fast\nGAIN 300\n"
    assert shm.get_keywords() == {"EXPTIME": 0.5, "MODE": "fast", "GAIN": 300}
    assert shm.get_keywords(comments=True)["EXPTIME"] == (0.5, "seconds")


def test_familiar_with_statement(make):
    make("x", numbers((2, 2)))
    with SHM("x") as s:
        assert s.get_data().shape == (2, 2)
    with pytest.raises(StreamClosedError):
        s.get_data()
    with pytest.raises(StreamClosedError), s:
        pass


# -- names and places ---------------------------------------------------------------------------------


def test_name_file_name_and_path_are_the_same_stream(make, shm_dir):
    make("cam", numbers((2, 3)))
    for name in ("cam", "cam.im.shm", str(shm_dir / "cam.im.shm"), f"{shm_dir}/../{shm_dir.name}/cam.im.shm"):
        shm = make(name)
        assert shm.FNAME == "cam"
        assert shm.get_data()[1, 2] == 6


def test_path_outside_of_the_directory_is_refused(make, tmp_path):
    for name in (str(tmp_path / "cam.im.shm"), "../cam.im.shm", "/cam.im.shm"):
        for args in ((), (np.zeros((2, 2)),)):
            with pytest.raises(ValueError, match="stream directory") as caught:
                make(name, *args)
            assert isinstance(caught.value, StreamNameError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b", "x" * 80, "dir/", "dir/cam"])
def test_bad_name(make, name):
    with pytest.raises(StreamNameError):
        make(name, np.zeros((2, 2)))


def test_missing_stream(make):
    with pytest.raises(StreamNotFoundError, match="'nothing'") as caught:
        make("nothing")
    assert caught.value.path.endswith("nothing.im.shm")
    with pytest.raises(FileNotFoundError):
        make("nothing")


def test_directory_is_looked_up_at_each_call(make, shm_dir, monkeypatch):
    make("cam", numbers((2, 2)))
    other = shm_dir / "other"
    other.mkdir()
    monkeypatch.setenv("MILK_SHM_DIR", str(other))
    with pytest.raises(StreamNotFoundError):
        make("cam")
    shm = make("cam", numbers((3, 3)))
    assert Path(shm.FILEPATH) == other.joinpath("cam.im.shm")
    monkeypatch.setenv("MILK_SHM_DIR", str(shm_dir))
    assert make("cam").shape == (2, 2)
    monkeypatch.setenv("MILK_SHM_DIR", str(shm_dir / "missing"))
    with pytest.raises(StreamNotFoundError, match="MILK_SHM_DIR"):
        make("cam")


def test_creating_replaces_a_stream(make):
    old = make("cam", numbers((2, 2)))
    new = make("cam", numbers((2, 2)) * 10)
    assert new.mtdata["inode"] != 0
    np.testing.assert_array_equal(old.get_data(), numbers((2, 2)) * 10)
    assert old.mtdata["inode"] == new.mtdata["inode"]


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"location": 0}, "location"),
        ({"shared": False, "location": 0}, "location"),
        ({"symcode": 8}, None),
        ({"symcode": -1}, None),
        ({"triDim": 4}, None),
        ({"nbkw": -1}, None),
        ({"nbkw": 2**16}, None),
    ],
)
def test_bad_option_creates_nothing(make, shm_dir, options, argument):
    with pytest.raises(StreamArgumentError) as caught:
        make("cam", np.zeros((2, 2)), **options)
    assert argument is None or caught.value.argument == argument
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((2, 2, 2, 2)),
        np.zeros((0, 2)),
        np.zeros(3, "U4"),
        np.zeros(2, "M8[s]"),
        np.zeros(2, [("a", "f4")]),
        ((2, 2, 2, 2), np.int16),
        ((0,), np.int16),
        ((-1, 2), np.int16),
        ((2**32,), np.int8),
        ((2, 2), "nonsense"),
        "text",
        5,
        ((2, 2),),
        [[1, 2], [3, 4]],
    ],
    ids=lambda data: repr(data)[:30],
)
def test_data_that_is_no_stream(make, shm_dir, data):
    with pytest.raises(StreamArgumentError):
        make("cam", data)
    assert list(shm_dir.iterdir()) == []


def test_existing_calls_with_more_options_work(make):
    shm = make("cam", numbers((2, 2)), nbkw=3, shared=True, location=-1, verbose=True, packed=False)
    assert shm.mtdata["nbkw"] == 3
    assert make("cam", verbose=True, packed=True, autoSqueeze=False).shape == (2, 2)
