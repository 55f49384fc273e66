"""All adapters, in the order in which they are measured and shown."""

from __future__ import annotations

from ..peer import Peer
from . import (
    c_reference,
    iceoryx2,
    imagestreamiowrap,
    multiprocessing_queue,
    multiprocessing_shared_memory,
    ndsharray,
    posix_ipc,
    pymilk_collector,
    pymilk_reference,
    pymilk_ring,
    pymilk_stream,
    pyzmq,
    sharedarray,
)

PEERS: dict[str, Peer] = {
    peer.key: peer
    for peer in (
        pymilk_stream.PEER,
        pymilk_ring.PEER,
        pymilk_collector.PEER,
        c_reference.LOOP,
        c_reference.RING,
        pymilk_reference.PEER,
        imagestreamiowrap.PEER,
        iceoryx2.PEER,
        multiprocessing_shared_memory.PEER,
        multiprocessing_queue.PEER,
        posix_ipc.PEER,
        pyzmq.PEER,
        sharedarray.PEER,
        ndsharray.PEER,
    )
}
