"""Take frames from a camera, newest generation of pyMilk."""

import os

import numpy as np
from pyMilk.interfacing.isio_shmlib import SHM

camera = SHM(os.environ["MILK_SHM_DIR"] + "/camera.im.shm", verbose=False)
print(camera.shape, camera.nptype, camera.FNAME)

frame = camera.get_data(check=True, timeout=5.0).astype(float)
assert frame.shape == camera.shape == (120, 160)

before = camera.get_counter()
frame = camera.get_data(True, checkSemAndFlush=True, timeout=5.0)
assert camera.get_counter() > before
assert (frame == frame[0, 0]).all()

frames = camera.multi_recv_data(20)
mean = np.array(frames).mean(0)
assert mean.shape == camera.shape

cube = camera.multi_recv_data(20, output_as_cube=True)
assert cube.shape == (20, 120, 160)
assert cube.dtype == camera.nptype
numbers = cube[:, 0, 0].astype(int)
assert (np.diff(numbers) > 0).all()

cube = camera.multi_recv_data(10, True, monitorCount=True, timeout=5.0)
assert camera.multi_recv_data(n=3, output_as_cube=1).shape[0] == 3
assert isinstance(camera.multi_recv_data(2, False), list)

view = camera.get_data(copy=False)
assert view.base is not None
region = camera.get_data(False, copy=True)[10:20, :]
assert region.shape == (10, 160)
print("done")
