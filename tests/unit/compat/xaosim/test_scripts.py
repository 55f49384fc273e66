"""What scripts do with the xaosim interface."""

from __future__ import annotations

import glob

import numpy as np
import pytest

from support.xaosims import SHAPES, ramp


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
