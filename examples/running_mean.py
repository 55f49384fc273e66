"""A running mean of a live camera, as a stream of its own, with every frame in it.

    python running_mean.py [FRAMES]
"""

import sys

import numpy as np

import pymilk

frames = int(sys.argv[1]) if len(sys.argv) > 1 else 2000

#: Weight of a new frame: the mean forgets with a time constant of 1/WEIGHT frames.
WEIGHT = 0.01

with pymilk.SimulatedCamera("cam0", rate=1000, ring=4096), pymilk.SHM("cam0") as cam:
    mean = cam.get_data().astype(np.float32)
    out = pymilk.SHM("cam0_mean", mean, replace="if-free")
    # The ring of the stream holds what comes while this loop is busy, 4 seconds here. A stream that has none
    # gets one by `pymilk relay cam0 cam0_ring --ring 4096`.
    with out, cam.ring_reader() as ring:
        done = 0
        for block in ring.blocks(frames=64):
            # All frames of a block at once: the newest has weight WEIGHT, the one before it a little less.
            weights = WEIGHT * (1 - WEIGHT) ** np.arange(len(block.frames), dtype=np.float32)[::-1]
            mean *= (1 - WEIGHT) ** len(block.frames)
            mean += np.tensordot(weights, block.frames, axes=1)
            assert block.intact()
            out.set_data(mean)
            done += len(block.frames)
            if done >= frames:
                break
        print(f"{done} frames in the mean, {ring.report.lost} lost")
        print(f"cam0_mean: {out.shape} {np.dtype(out.nptype)}")
        out.destroy()
