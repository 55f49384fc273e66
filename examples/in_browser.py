"""A camera in a browser, and its newest frame over the network, for a program that has no pymilk.

    python in_browser.py [SECONDS]
"""

import io
import json
import sys
import time
import urllib.request

import numpy as np

import pymilk
from pymilk.web import Settings, WebServer

seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0


def ask(path: str) -> bytes:
    """Get something from the server, as any client does; curl has -H for the header."""
    request = urllib.request.Request(base + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


# What `pymilk simulate cam0` and `pymilk web` do, in one process. Port 0 is a free one, 8347 the usual one.
with pymilk.SimulatedCamera("cam0", rate=500, ring=512), WebServer(Settings(port=0)) as server:
    print(f"for {seconds:g} s: {server.address}", file=sys.stderr)  # open this: it has the token
    base, _, token = server.address.partition("/#token=")
    streams = json.loads(ask("/api/streams"))
    for each in streams:
        print(f"{each['name']}: {each['shape']} {each['dtype']}")
    frame = np.load(io.BytesIO(ask("/api/streams/cam0/frame.npy")))
    fits = ask("/api/streams/cam0/frame.fits")
    print(f"a frame of {frame.shape} {frame.dtype}, and {len(fits)} bytes of FITS")
    time.sleep(seconds)
