"""Mean and spread of a recording that is larger than memory: with pymilk alone, and with dask on all cores.

    python dask_mean.py [FRAMES]
"""

import sys

import numpy as np

import pymilk

frames = int(sys.argv[1]) if len(sys.argv) > 1 else 2000

with pymilk.SimulatedCamera("cam0", rate=1000, ring=4096):
    pymilk.record("cam0", "cam0.h5", frames=frames, force=True)

with pymilk.load("cam0.h5") as cam:
    # Block by block, in constant memory.
    mean = cam.mean(axis=0)
    print(f"{cam.shape}: mean {mean.mean():.1f}")

    try:
        lazy = cam.to_dask()  # nothing is read yet; chunks of whole frames, 32 MiB
    except ImportError as error:
        sys.exit(f"not run: {error}")
    same = np.allclose(lazy.mean(axis=0).compute(), mean)
    spread = lazy[:, 40:80, 40:80].std(axis=0).compute()
    print(f"dask: {lazy.numblocks[0]} chunks, same mean {same}, spread {spread.mean():.1f}")
