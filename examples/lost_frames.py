"""Which frames were lost, when, and whose doing it was.

    python lost_frames.py [FRAMES]
"""

import sys

import numpy as np

import pymilk
from pymilk.simulate import Faults

frames = int(sys.argv[1]) if len(sys.argv) > 1 else 2000

# A camera that leaves out a fiftieth of its frames, on purpose.
camera = pymilk.SimulatedCamera("cam0", rate=1000, ring=4096, faults=Faults(drop=0.02))
with camera, pymilk.SHM("cam0") as cam, cam.ring_reader() as ring:
    capture = ring.read(frames)

report, info = capture.report, capture.info
print(f"{report.received} received, {report.lost} lost, {report.torn} torn")

# Each gap: the row behind it, how many frames are missing, and when.
gaps = np.flatnonzero(info["lost"])
for row in gaps[:3]:
    utc = pymilk.times.to_utc(info["writetime_ns"][row])
    print(f"before frame {info['cnt0'][row]}: {info['lost'][row]} missing, {utc}")

# The reader lost none of them if its ring never ran over: what is missing was not published.
print(f"gaps add up to all that was lost: {int(info['lost'].sum()) == report.lost}")
