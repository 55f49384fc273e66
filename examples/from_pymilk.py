"""A script of pyMilk, unchanged, and what it is with the names of pymilk.

    python from_pymilk.py
"""

import numpy as np

import pymilk

with pymilk.SimulatedCamera("cam0", rate=1000):
    # As it was.
    from pyMilk.interfacing.isio_shmlib import SHM

    old = SHM("cam0")
    frame = old.get_data(check=True)
    cube = old.multi_recv_data(100, outputFormat=2)
    print(type(old) is pymilk.SHM, frame.shape, cube.shape)

    # As it may be: the same object, and an account of what was missed.
    cam = pymilk.SHM("cam0")
    frame = cam.get_data(check=True, timeout=2, on_timeout="raise")  # an error in place of an old frame
    capture = cam.capture(100)
    print(capture.frames.shape, capture.info.dtype.names[:3])

    # Keywords: both spellings.
    writer = pymilk.SHM("mine", np.zeros((8, 8), np.float32), replace="if-free")
    writer.set_keywords({"EXPTIME": 0.5})
    writer["GAIN"] = 2
    print(writer.get_keywords())
    writer.destroy()
