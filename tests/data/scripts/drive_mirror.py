"""Write to a deformable mirror: create or attach, commands, in-place filling, keywords."""

import datetime
import time

import numpy as np
from pyMilk.interfacing.shm import SHM, check_SHM_name

name = check_SHM_name("dm00disp")
try:
    dm = SHM(name, symcode=0)
    dm.set_data(np.zeros(dm.shape, np.float32))
except Exception:
    dm = SHM(name, np.zeros((50, 50), np.float32), nbkw=10, symcode=0)
assert dm.IMAGE.md.cnt0 == dm.get_counter() == 1

dm.set_data(np.random.rand(*dm.shape).astype(dm.nptype))
dm.set_data(dm.get_data() * 0 + 2)
dm.set_data(dm.get_data() + 1)
dm.set_data((np.random.rand(100, 100).astype(np.float32))[::2, ::2])
dm.set_data(np.ones((50, 50)), check_dt=True)

surface = dm.get_data(copy=False)
surface[...] = 5
dm.repost()
other = SHM("dm00disp.im.shm", symcode=0)
assert (other.get_data() == 5).all()
now = datetime.datetime.now()
dm.repost(now)
assert abs((dm.md.acqtime - now).total_seconds()) < 1e-6
dm.repost(time.time())

dm.set_keywords({"MFRATE": (0.0, "frame rate"), "_MAQTIME": (int(time.time() * 1e6), "time"), "LOOP": "ON"})
dm.set_keywords({f"{k:08x}": k for k in range(3)})
kws = other.get_keywords(True)
kws.update({"LOOP": ("OFF", "state")})
other.set_keywords(kws)
assert dm["LOOP"] == "OFF"
dm["LOOP"] = "ON"
assert other.get_keywords()["LOOP"].strip() == "ON"
assert dm.get_keyword("MFRATE", comment=True) == (0.0, "frame rate")
try:
    dm.update_keyword("DETECTOR", "CRED2")
except AssertionError:
    dm.set_keywords({"DETECTOR": "CRED2"})
dm.update_keyword("DETECTOR", np.float64(3.5), "text")
assert dict(dm.get_keywords())["DETECTOR"] == 3.5
assert np.all(dm.IMAGE.md.size == other.IMAGE.md.size)
assert (dm.get_expt(), dm.get_fps(), dm.get_ndr(), dm.get_crop()) == (0.1234, 0.0, 1, (0, 0, 50, 50))

one = SHM("gain", ((1,), np.float32), location=-1, shared=1)
one.set_data(np.array(0.5, dtype=np.float32))
measured = SHM("vector", np.zeros((7, 1), np.float32))
measured.set_data(SHM("line", np.arange(7, dtype=np.float32)).get_data()[:, None])
assert SHM("vector").shape == (7,)

with SHM("dm00disp") as again:
    again.print_meta_data()
dm.destroy()
print("done")
