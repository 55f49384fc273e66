"""The wrapper as scripts use it: create, write, keywords, open in a loop."""

import time

import numpy as np
from ImageStreamIOWrap import Image, Image_kw, ImageStreamIODataType, ImageStreamIOType

TYPES = {np.float32: ImageStreamIODataType.FLOAT, np.uint16: ImageStreamIODataType.UINT16}

img = Image()
assert img.open("nothing_there") == 40
assert img.memsize == 0
while img.open("camera") != 0:
    time.sleep(0.1)
assert img.md.size[0] == 160
assert img.md.datatype == TYPES[np.uint16]
frame = np.array(img.copy())
assert frame.shape == (160, 120)
assert np.squeeze(img.copy()).flags.writeable
assert np.ascontiguousarray(img.copy().T).shape == (120, 160)
assert np.array(img, copy=False, order="F").T.shape == (120, 160)
index = img.getsemwaitindex(0)
assert index >= 0
img.semflush(-1)
while img.semtrywait(index) != 0:
    time.sleep(0.001)
assert len(img.semReadPID) == img.md.sem
img.close()

out = Image()
assert out.create("out", np.zeros((4, 6), np.float32)) == 0
assert out.create("out", np.zeros((6, 4), np.float32, order="F"), -1, 1, 5, 10) == 0
assert (out.used, out.md.sem, out.md.NBkw, out.md.cnt0) == (1, 5, 10, 1)
out.write(np.ones((6, 4), np.float32))
out.write(np.asfortranarray(np.arange(24).reshape(4, 6).T, dtype=np.float32))
assert out.semvalue(0) == 3
assert out.update() == 0
out.set_kws({"A": Image_kw("A", 1, "one"), "B": Image_kw("B", 2.5), "C": Image_kw("C", "text", "comment")})
assert {name: kw.value for name, kw in out.get_kws().items()} == {"A": 1, "B": 2.5, "C": "text"}
for kw in out.get_kws_list():
    if kw.type != "N":
        print(kw.name.strip(), kw.value, kw)
out.set_kws_list([Image_kw("LIST", np.int32(5))])
print(out.md)
assert ImageStreamIOType(out.md.imagetype).type == ImageStreamIOType.MATH_DATA_TYPE

reader = Image()
assert reader.open("out") == 0
assert reader.used == 0
assert reader.get_kws()["LIST"].value == 5
vector = Image()
vector.create("vector", np.zeros((1, 97), np.float32), imagetype=2, CBsize=1024)
command = np.random.rand(97).astype(np.float32)
vector.write(np.array([command]))
assert np.array_equal(np.array(vector)[0], command)
try:
    out.destroy()
    vector.destroy()
except RuntimeError:
    pass
assert Image().open("out") == 40
print("done")
