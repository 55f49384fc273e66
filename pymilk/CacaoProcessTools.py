"""The names of milk's ``CacaoProcessTools``, on `pymilk.parameters`.

The three terminal views are pymilk's own. Names of parameters (`fps`, `FPS_type`, ...) are those of
`pymilk.FpsWrap`.
"""

import os as _os
import subprocess as _subprocess
import sys as _sys

from .parameters.familiar import cacao_processinfo as processinfo
from .parameters.wrapper import MEMBERS as _MEMBERS
from .parameters.wrapper import FPS_flags, FPS_md, FPS_status, FPS_type, fps, timespec

__all__ = [
    "FPS_flags",
    "FPS_md",
    "FPS_status",
    "FPS_type",
    "fparamCTRL",
    "fps",
    "processCTRL",
    "processinfo",
    "streamCTRL",
    "timespec",
]

globals().update(_MEMBERS)
__all__ += list(_MEMBERS)


def _view(*command: str) -> None:
    """Run a command of pymilk on this terminal, until the user ends it."""
    _subprocess.run(
        [_sys.executable, "-m", "pymilk", *command], env={**_os.environ, "PYTHONSAFEPATH": "1"}, check=False
    )


def processCTRL() -> None:
    """Show and control the loops that have process information: ``pymilk ps``."""
    _view("ps")


def streamCTRL() -> None:
    """Show the streams: ``pymilk top``."""
    _view("top")


def fparamCTRL() -> None:
    """Show the function parameter structures: ``pymilk fps ls --watch``."""
    _view("fps", "ls", "--watch")
