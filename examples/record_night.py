"""Record two streams for a night: a file every so many frames, and a line about losses every minute.

    python record_night.py [SECONDS [FRAMES_PER_FILE]]
"""

import sys
import time
from pathlib import Path

import pymilk

seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10
per_file = int(sys.argv[2]) if len(sys.argv) > 2 else 1000

with (
    pymilk.SimulatedCamera("wfs", rate=500, ring=2048),
    pymilk.SimulatedCamera("psf", rate=100, kind="psf", ring=2048),
):
    recorder = pymilk.Recorder(
        ["wfs", "psf"],
        "night/{date}/{stream}.npy",
        seconds=seconds,
        max_frames_per_file=per_file,
        force=True,
        keywords={"TELESCOP": "mine", "OBJECT": "sky"},
    )
    with recorder:
        while recorder.running:
            time.sleep(min(60, seconds / 2))
            print(f"lost so far: {recorder.report.lost}")
    ended = {stream: report.ended for stream, report in recorder.report.streams.items()}
    print(ended, recorder.report.lost, "lost")

for stream in ("wfs", "psf"):
    first = next(Path("night").glob(f"*/{stream}_000000.npy"))
    # Without the number the name means the whole series.
    with pymilk.load(first.with_name(f"{stream}.npy")) as night:
        print(f"{stream}: complete {night.complete}, gaps {len(night.gaps)}")
