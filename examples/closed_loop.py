"""Close a loop in Python: measure a response, invert it, integrate; and measure the latency of each turn.

    python closed_loop.py [ITERATIONS]
"""

import sys

import numpy as np

import pymilk
from pymilk import SHM, times

iterations = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
GAIN, POKE = 0.4, 0.1
LENSLETS, PITCH = 10, 12

place = np.arange(PITCH) - (PITCH - 1) / 2


def slopes(frame):
    """Return the centres of light of all lenslets, down and right, shape (200,)."""
    spots = frame.reshape(LENSLETS, PITCH, LENSLETS, PITCH).astype(np.float32)
    spots -= spots.min(axis=(1, 3), keepdims=True)
    light = spots.sum(axis=(1, 3))
    down = np.einsum("aybx,y->ab", spots, place) / light
    right = np.einsum("aybx,x->ab", spots, place) / light
    return np.concatenate([down.ravel(), right.ravel()])


def smooth_modes(side):
    """Return shapes of the mirror, cosines of low order, shape (modes, side * side)."""
    y, x = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    orders = [(m, n) for m in range(4) for n in range(4) if 0 < m + n < 5]
    modes = [np.cos(np.pi * m * y) * np.cos(np.pi * n * x) for m, n in orders]
    return np.reshape(modes, (-1, side * side))


def response(wfs, dm, modes):
    """Poke each mode up and down, in an order in which what the air does cancels."""
    columns = []
    for mode in modes:
        column = np.zeros(2 * LENSLETS**2)
        for sign in (1, -1, -1, 1) * 2:
            dm.set_data((sign * POKE * mode).reshape(dm.shape).astype(np.float32))
            wfs.get_data(check=True, on_timeout="raise")  # was exposed before the poke
            column += sign * slopes(wfs.get_data(check=True, on_timeout="raise"))
        columns.append(column / (8 * POKE))
    return np.array(columns).T


def close(wfs, dm, res, inverse, modes):
    """Run the loop; returns of each turn the latency from frame to command, us, and the rms that is left."""
    amplitudes, latency, left = np.zeros(len(modes)), np.empty(iterations), np.empty((iterations, 2))
    for turn in range(iterations):
        frame = wfs.get_data(check=True, on_timeout="raise")
        came = wfs.mtdata["wtime_ns"]
        amplitudes -= GAIN * (inverse @ slopes(frame))
        dm.set_data((amplitudes @ modes).reshape(dm.shape).astype(np.float32))
        latency[turn] = (times.now_ns() - came) / 1e3
        left[turn] = res.get_data()
    return latency, left


# gain=0: the mirror of the simulated loop does what we write.
loop = pymilk.simulate.SimulatedLoop("ao", rate=300, gain=0)
with loop, SHM("ao_wfs") as wfs, SHM("ao_dm") as dm, SHM("ao_res") as res:
    modes = smooth_modes(dm.shape[0])
    inverse = np.linalg.pinv(response(wfs, dm, modes), rcond=0.1)
    dm.set_data(np.zeros(dm.shape, np.float32))
    latency, left = close(wfs, dm, res, inverse, modes)
    behind, before = left[iterations // 3 :].mean(axis=0)
    print(f"{len(modes)} modes; wavefront {before:.2f} um rms before the mirror, {behind:.2f} behind it")
    median, worst = np.median(latency), np.percentile(latency, 99)
    print(f"frame to command: median {median:.0f} us, 99 % within {worst:.0f} us")
