"""A stream in a napari window, ten times a second.

    python napari_live.py [SECONDS]      # QT_QPA_PLATFORM=offscreen without a screen
"""

import sys
import time

import pymilk

try:
    import napari
    from napari.qt.threading import thread_worker
except ImportError as error:
    sys.exit(f"not run: {error}")

seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0

with pymilk.SimulatedCamera("cam0", rate=1000), pymilk.SHM("cam0") as cam:
    # Row 0 at the bottom, as `pymilk show` and ds9 have it.
    viewer = napari.Viewer()
    layer = viewer.add_image(cam.get_data()[::-1], name="cam0")
    shown = 0

    @thread_worker
    def frames():
        """Give the newest frame ten times a second; runs beside the window."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            yield cam.get_data(check=True)[::-1]
            time.sleep(0.1)

    def show(frame):
        """Put a frame into the window, whose thread calls this."""
        global shown
        layer.data = frame
        shown += 1

    worker = frames()
    worker.yielded.connect(show)
    worker.finished.connect(viewer.close)
    worker.start()
    napari.run()
    print("frames were shown:", shown > 0)
