"""A stream of milk in pyRTC, by pyRTC's own bridge.

    python pyrtc_bridge.py

The bridge imports ImageStreamIOWrap, which is pymilk here: nothing is compiled.
"""

import sys

import numpy as np

import pymilk

try:
    import pyrtc
    from pyrtc.isio_bridge import IsioBridge
except ImportError as error:
    sys.exit(f"not run: {error}")

with pymilk.SimulatedCamera("cam0", rate=200), pymilk.SHM("cam0") as cam:
    bridge = IsioBridge(
        {
            "direction": "from_isio",
            "isio_name": "cam0",
            "output_streams": {"output": "cam_rtc"},
            "functions": ["mirror"],
        }
    )
    bridge.start()
    try:
        stream = pyrtc.open_stream("cam_rtc")
        first = np.array(stream.read_new(timeout=5))
        second = np.array(stream.read_new(timeout=5))
        print("pyRTC has", first.shape, first.dtype, "of", cam.shape)
        print("frames follow each other:", not np.array_equal(first, second))
    finally:
        bridge.stop()
        bridge.close()
        pyrtc.clear_shms(["cam_rtc"])
