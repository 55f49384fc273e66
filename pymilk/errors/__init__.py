"""Every exception and warning of pymilk.

All exceptions derive from `StreamError`. Each one is also the builtin that callers would catch anyway
(`FileNotFoundError`, `TimeoutError`, `ValueError`, ...), carries its numbers as attributes, so that messages
need no parsing, and survives pickling, because exceptions cross processes.
"""

from typing import TYPE_CHECKING

from ..late import late_names
from . import streams
from .streams import *  # noqa: F403
from .streams import carry as carry

if TYPE_CHECKING:
    from .bridge import *  # noqa: F403
    from .channels import *  # noqa: F403
    from .parameters import *  # noqa: F403

#: Rooms that are loaded with the first of their names.
_ROOMS = {
    "bridge": (
        "BridgeAddressError",
        "BridgeError",
        "BridgeForbiddenError",
        "BridgeKeyError",
        "BridgeMessageError",
        "BridgeUnreachableError",
    ),
    "channels": (
        "ChannelArgumentError",
        "ChannelClosedError",
        "ChannelDamagedError",
        "ChannelError",
        "ChannelExistsError",
        "ChannelFormatError",
        "ChannelFullError",
        "ChannelInUseError",
        "ChannelKeyError",
        "ChannelNotFoundError",
        "ChannelPermissionError",
        "ChannelReadOnlyError",
        "ChannelRemovedError",
        "ChannelStorageError",
        "ChannelTimeoutError",
        "RecordTooLongError",
    ),
    "parameters": (
        "FPSArgumentError",
        "FPSCheckError",
        "FPSClosedError",
        "FPSDamagedError",
        "FPSError",
        "FPSExistsError",
        "FPSFormatError",
        "FPSFullError",
        "FPSInUseError",
        "FPSKeyError",
        "FPSLimitError",
        "FPSNameError",
        "FPSNotFoundError",
        "FPSPermissionError",
        "FPSReadOnlyError",
        "FPSReplacedError",
        "FPSStorageError",
        "FPSTextError",
        "FPSTimeoutError",
        "FPSTypeError",
        "ProcessGoneError",
        "ProcessInfoArgumentError",
        "ProcessInfoClosedError",
        "ProcessInfoDamagedError",
        "ProcessInfoError",
        "ProcessInfoExistsError",
        "ProcessInfoFormatError",
        "ProcessInfoNameError",
        "ProcessInfoNotFoundError",
        "ProcessInfoPermissionError",
        "ProcessInfoStorageError",
        "ProcessListFullError",
        "ProcessTimeoutError",
        "TmuxError",
        "TmuxMissingError",
    ),
}

__all__ = [*streams.__all__, *(name for names in _ROOMS.values() for name in names)]

__getattr__ = late_names(__name__, _ROOMS)
