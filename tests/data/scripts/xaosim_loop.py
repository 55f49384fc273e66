"""A control loop written for xaosim."""

import glob
import os

import numpy as np

from pymilk.compat import xaosim

xaosim.install()

from xaosim.shmlib import shm  # noqa: E402

folder = os.environ["MILK_SHM_DIR"]
cam = shm(glob.glob(f"{folder}/camera*.im.shm")[0], verbose=False)
count = cam.get_counter()
image = cam.get_data(check=count, reform=True)
assert image.shape == (cam.mtdata["y"], cam.mtdata["x"]) == (120, 160)
assert cam.get_counter() > count
assert cam.mtdata["size"][1:] == (120, 160)
assert cam.get_data(False, True).mean(0).shape == (160,)

with_sem = shm(f"{folder}/camera.im.shm", nosem=False)
with_sem.catch_up_with_sem(5)
assert with_sem.get_latest_data(5).shape == (120, 160)

dm = shm(f"{folder}/dm1disp01.im.shm", data=np.zeros((12, 12), np.float32), nbkw=3, verbose=False)
dm.set_data(np.ones((12, 12), np.float32))
dm.set_data(np.ones((12, 12)), True)
dm.update_keyword(0, "gain", 0.5, "of the loop")
assert dm.kwds[0]["value"] == 0.5
assert shm(f"{folder}/dm1disp01.im.shm").get_counter() == 3
cube = shm(f"{folder}/cube.im.shm", data=np.zeros((3, 4, 5), np.int16))
if cube.mtdata["naxis"] == 3:
    assert cube.get_latest_data_slice(semid=None).copy().shape == (4, 5)
cam.close(erase_file=False)
assert os.path.exists(f"{folder}/camera.im.shm")
dm.close()
cube.close()
assert shm(f"{folder}/dm1disp01.im.shm").empty
print("done")
