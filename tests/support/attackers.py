"""A session of the engine that keeps to none of the bridge's rules: what somebody on the wire may send."""

from __future__ import annotations

import json
import os
from typing import Any


def raw_session(address: str, directory=None, name: str = "") -> Any:
    """Connect to an address, with the certificate of a name if there is a directory of them.

    A client sends what it puts to whom it is connected to, whether anybody there listens or not.
    """
    import zenoh

    config = zenoh.Config()
    values = {
        "mode": "client",
        "connect/endpoints": [address],
        "scouting/multicast/enabled": False,
        "scouting/gossip/enabled": False,
        "transport/shared_memory/enabled": False,
    }
    if directory is not None:
        begin = "transport/link/tls/"
        values[begin + "root_ca_certificate"] = os.path.join(directory, "ca.pem")
        values[begin + "enable_mtls"] = True
        values[begin + "connect_certificate"] = os.path.join(directory, f"{name}.pem")
        values[begin + "connect_private_key"] = os.path.join(directory, f"{name}.key")
    for key, value in values.items():
        config.insert_json5(key, json.dumps(value))
    return zenoh.open(config)


def messages(kind: str) -> list[bytes]:
    """Return messages to attack a receiver of frames of 48 bytes with.

    noise, cut, version, absurd (sizes that no memory has), large (a frame of 1.05 MB), huge (60 MB),
    rival (a valid message of another sender).
    """
    import numpy as np

    from pymilk.bridge.header import WIRE_ROW, Epoch, Message, encode

    def made(shape, sender=1) -> bytes:
        frames = np.zeros((1, *shape), np.uint16)
        rows = np.zeros(1, WIRE_ROW)
        rows["cnt0"] = 1
        return encode(
            Message(Epoch(bytes(16), 1, 1, 1), sender, 0, 0, shape, frames.dtype, 8, rows, [], frames, 1)
        )

    good = made((4, 6))
    if kind == "noise":
        return [os.urandom(size) for size in (0, 1, 103, 104, 5000)]
    if kind == "cut":
        return [good[:size] for size in range(104, len(good))]
    if kind == "version":
        return [good[:4] + b"\2\0" + good[6:]]
    if kind == "absurd":
        return [good[:20] + size * 2 + good[28:] for size in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f")]
    if kind == "large":
        return [made((700, 750))]
    if kind == "huge":
        return [bytes(60_000_000)]
    return [made((4, 6), sender) for sender in range(100)]
