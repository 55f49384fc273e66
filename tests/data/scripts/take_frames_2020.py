"""Take frames from a camera, in the calls of the first generations of pyMilk."""

from pyMilk.interfacing import isio_shmlib
from pyMilk.interfacing.isio_shmlib import SHM as shm

cam = shm("camera")
assert cam.get_data(True, True, timeout=1.0).shape == (120, 160)
assert cam.get_data(check=False, reform=True, sleepT=0.0).flatten().size == 120 * 160
assert cam.get_data(1, True, 0.001, 5.0).max() > 0
assert cam.get_data(check=True, reform=False, sleepT=0.001, timeout=2.0, checkSemAndFlush=True).any()

output = cam.multi_recv_data(100, outputFormat=1, monitorCount=True)
assert output.shape == (100, 120, 160)
assert cam.multi_recv_data(5, outputFormat=2).shape[0] == 5
assert len(cam.multi_recv_data(5, 0)) == 5
assert isinstance(cam.multi_recv_data(5), list)

for name in ("rename_img", "select_dtype", "select_atype"):
    try:
        getattr(cam, name)(*["x"] * (name == "rename_img"))
    except NotImplementedError:
        pass
    else:
        raise AssertionError(name)
try:
    cam.read_keywords()
except DeprecationWarning as warning:
    assert "get_keywords" in str(warning)
cam.read_meta_data(verbose=False)
assert isio_shmlib.SHM is shm
cam.close()
print("done")
