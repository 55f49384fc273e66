"""Record two streams for a night: a file every so many frames, and a line about losses every minute.

    python record_night.py [SECONDS [FRAMES_PER_FILE]]
"""

import sys
import time

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
    streams = recorder.report.streams
    print({stream: report.ended for stream, report in streams.items()}, recorder.report.lost, "lost")

for stream, report in streams.items():
    # All files as one recording. pymilk.load("night/2026-11-29/wfs.npy") gives the same.
    with pymilk.load(report.paths) as night:
        print(f"{stream}: complete {night.complete}, gaps {len(night.gaps)}")
