"""The names of milk's ``CacaoProcessTools``, on `pymilk.parameters`.

The three terminal views are pymilk's own. Names of parameters (`fps`, `FPS_type`, ...) are those of
`pymilk.FpsWrap`.
"""

import importlib as _importlib
import importlib.util as _util
import os as _os
import subprocess as _subprocess
import sys as _sys
from typing import Any as _Any

from .parameters.familiar import cacao_processinfo as processinfo
from .parameters.familiar import timespec

__all__ = ["fparamCTRL", "processCTRL", "processinfo", "streamCTRL", "timespec"]


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


def __getattr__(name: str) -> _Any:
    # Only what is asked for loads the parameters.
    if not name.startswith("_") and _util.find_spec(f"{__package__}.FpsWrap") is not None:
        wrap = _importlib.import_module(".FpsWrap", __package__)
        if hasattr(wrap, name):
            return getattr(wrap, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
