"""Frames as tensors of torch, CuPy or JAX, whichever is there.

    python gpu_frame.py
"""

import importlib

import numpy as np

import pymilk


def library():
    """Return the first of the libraries that is installed."""
    for name in ("torch", "cupy", "jax.numpy"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise SystemExit("not run: neither torch nor cupy nor jax is installed")


with pymilk.SimulatedCamera("cam0", rate=1000), pymilk.SHM("cam0") as cam:
    there = library()
    # The newest frame, as a copy: CuPy's lies on the device, the others' in memory of the processor.
    tensor = there.asarray(cam.get_data()) if there.__name__ == "cupy" else there.from_dlpack(cam)
    print(tuple(tensor.shape), str(tensor.dtype).rpartition(".")[2])

    # A capture is handed over without a copy.
    capture = cam.capture(100)
    if there.__name__ != "cupy":
        same = np.asarray(there.from_dlpack(capture)).sum() == capture.frames.sum()
        print("capture:", capture.shape, "same sum", same)
