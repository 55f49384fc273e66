"""Take a dark, store it, and subtract it from live frames.

    python dark.py [FRAMES]
"""

import sys

import numpy as np

import pymilk

frames = int(sys.argv[1]) if len(sys.argv) > 1 else 1000

# Beside a camera of yours this line goes, and "cam0" is its name.
with pymilk.SimulatedCamera("cam0", rate=1000), pymilk.SHM("cam0") as cam:
    capture = cam.capture(frames, timeout=10)
    dark = capture.frames.mean(axis=0)
    noise = capture.frames.std(axis=0)
    np.save("dark.npy", dark.astype(np.float32))
    print(f"dark of {len(capture)} frames: mean {dark.mean():.1f}, noise {np.median(noise):.2f}")

    # Frames without it, as a stream that every viewer and recorder can read.
    with pymilk.SHM("cam0_sub", (cam.shape, np.float32), replace="if-free") as out:
        for _ in range(10):
            with out.claim() as pixels:
                np.subtract(cam.get_data(check=True, on_timeout="raise"), dark, out=pixels)
        print(f"cam0_sub: {out.shape}, 10 frames, mean of the last {abs(out.get_data().mean()):.0f}")
        out.destroy()
