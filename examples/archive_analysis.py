"""Dark, mean and power spectrum of a night in many files, on all cores of this machine or of a cluster.

    python archive_analysis.py "night/wfs_*.h5" --dark "night/dark_*.h5"
    python archive_analysis.py "night/wfs_*.h5" --scheduler tcp://archive:8786
    python archive_analysis.py                            # makes a small night of simulated frames first

Workers get paths and read the files themselves: the paths have to be the same on all machines.
"""

import argparse

import numpy as np

import pymilk

parser = argparse.ArgumentParser()
parser.add_argument("night", nargs="?", default="wfs_*.h5")
parser.add_argument("--dark", default="dark_*.h5")
parser.add_argument("--scheduler", help="address; else a cluster on this machine")
parser.add_argument("--workers", type=int, default=2, help="processes of that cluster")
parser.add_argument("--frames", type=int, default=2048, help="of a simulated night")
parser.add_argument("--segment", type=int, default=256, help="frames of one spectrum")


def simulate(frames):
    """Record a dark and a night, in files of a quarter each."""
    with pymilk.SimulatedCamera("cam0", rate=1000, shape=(24, 24), ring=4096):
        for name, count in (("dark.h5", frames // 4), ("wfs.h5", frames)):
            pymilk.record("cam0", name, frames=count, max_frames_per_file=frames // 4, force=True)


def spectrum(pixels, rate):
    """Return frequencies and the power of the mean pixel, averaged over segments (Hann window)."""
    segments = pixels.reshape(-1, chosen.segment)
    window = np.hanning(chosen.segment)
    lines = np.fft.rfft((segments - segments.mean(axis=1, keepdims=True)) * window, axis=1)
    power = np.mean(np.abs(lines) ** 2, axis=0) / (rate * np.sum(window**2))
    return np.fft.rfftfreq(chosen.segment, 1 / rate), power


def analyse(client):
    """Compute on the workers; only the results come here."""
    dark = pymilk.open_mfrecording(chosen.dark)
    night = pymilk.open_mfrecording(chosen.night)
    lazy = night.to_dask()
    background = dark.to_dask().mean(axis=0)
    mean = lazy.mean(axis=0) - background
    curve = (lazy - background).mean(axis=(1, 2))
    mean, curve = client.gather(client.compute([mean, curve]))
    seconds = np.diff(night.utc()) / np.timedelta64(1, "s")
    used = len(curve) // chosen.segment * chosen.segment
    frequencies, power = spectrum(curve[:used], 1 / np.median(seconds))
    print(f"{len(night)} frames of {len(night.paths)} files, in {lazy.numblocks[0]} chunks")
    print(f"mean of the night, dark subtracted: pixels differ by {mean.std():.2f}")
    print(f"spectrum: {len(power)} lines, the strongest at {frequencies[np.argmax(power)]:.1f} Hz")


if __name__ == "__main__":  # workers import this file
    chosen = parser.parse_args()
    from dask.distributed import Client, LocalCluster

    if chosen.night == "wfs_*.h5" and chosen.scheduler is None:
        simulate(chosen.frames)
    if chosen.scheduler:
        with Client(chosen.scheduler) as client:
            analyse(client)
    else:
        local = LocalCluster(n_workers=chosen.workers, threads_per_worker=1, dashboard_address=None)
        with local as cluster, Client(cluster) as client:
            analyse(client)
