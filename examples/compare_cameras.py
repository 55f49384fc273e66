"""Which frames of two cameras belong together, and how well they agree.

    python compare_cameras.py [FRAMES]
"""

import sys

import numpy as np

import pymilk

frames = int(sys.argv[1]) if len(sys.argv) > 1 else 1000

one = pymilk.SimulatedCamera("left", rate=500, ring=1024)
other = pymilk.SimulatedCamera("right", rate=250, ring=1024)
with one, other:
    many = pymilk.capture_many({"left": frames, "right": frames // 2}, timeout=5)

# For each frame of the slow camera the frame of the fast one that was taken nearest to it, within 2 ms.
pairs = many.aligned("time", reference="right", tolerance=2e-3).complete()
left, right = many["left"], many["right"]
a, b = left.frames[pairs["left"]], right.frames[pairs["right"]]
apart = left.info["atime_ns"][pairs["left"]] - right.info["atime_ns"][pairs["right"]]
print(f"{len(left)} and {len(right)} frames, {len(a)} pairs")
print(f"apart: median {np.median(np.abs(apart)) / 1e6:.2f} ms, at most {np.abs(apart).max() / 1e6:.2f} ms")

together = np.corrcoef(a.mean(axis=0).ravel(), b.mean(axis=0).ravel())[0, 1]
print(f"correlation of the mean images: {together:.3f}")
