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
