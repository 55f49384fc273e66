"""What stands for the scripts that send streams over a network as pickles."""

import sys
from typing import NoReturn

__all__ = ["refuse"]


def refuse() -> NoReturn:
    """End the program with the reason, and with what to do instead."""
    sys.exit(
        "pymilk does not send or receive streams as the zmq scripts do: each message is a pickle, and "
        "reading one runs whatever code its sender put in. Record the stream (pymilk record), copy the file "
        "and play it there (pymilk play); for a live stream run the original scripts, in an own environment"
    )
