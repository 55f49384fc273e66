"""Average frames into a dark, save it, and load it into a stream."""

import os

import numpy as np
from pyMilk.interfacing.fits import multi_read, multi_write
from pyMilk.interfacing.fits_lib import read_fits_load_shm, shm_to_fits
from pyMilk.interfacing.isio_shmlib import SHM
from pyMilk.interfacing.shm_functions import creashmim
from pyMilk.util import img_shapes

cam = SHM("camera")
dark = cam.multi_recv_data(10, True).mean(axis=0).astype(np.float32)
path = os.path.join(os.environ["MILK_SHM_DIR"], "dark.fits")
multi_write(path, dark)
assert np.array_equal(multi_read(path), dark)
assert np.array_equal(multi_read(path, symcode=0), img_shapes.image_encode(dark, 4))
loaded = read_fits_load_shm(path, "dark", symcode=4, create_shm=True)
assert np.array_equal(SHM("dark").get_data(), dark)
assert np.array_equal(loaded.get_data()[1:, :], dark[1:, :])

multi_write(path, [dark, dark * 2])
first, second = multi_read(path)
assert np.array_equal(second, first * 2)

loaded.set_keywords({"EXPTIME": (0.01, "seconds"), "DET-NSMP": 4})
assert loaded.save_as_fits(path) == 0
assert np.array_equal(multi_read(path), dark)
shm_to_fits("dark", path)
shm_to_fits(loaded, path)
assert np.array_equal(multi_read(path), dark)

flat = creashmim("flat", dark.shape, np.float32, nb_kw=50, attempt_reuse=True)
flat.set_data(dark + 1)
again = creashmim("flat", dark.shape, np.float32, nb_kw=50, attempt_reuse=True, do_zero=False)
assert np.array_equal(again.get_data(), dark + 1)
inode = again.IMAGE.md.inode
assert inode == flat.IMAGE.md.inode
larger = creashmim("flat", dark.shape, np.float32, nb_kw=100)
assert larger.IMAGE.md.inode != inode
os.remove(path)
print("done")
