"""Parameters under the path and the names that scripts of pyMilk have; see `pymilk.parameters`."""

from ..parameters.familiar_fps import (
    FPS,
    FPS_flags,
    FPS_status,
    FPS_type,
    FPSBaseError,
    FPSDoesntExistError,
    FPSErrnoError,
    FPSManager,
    FPSOverrideError,
    FpsWrap,
    SmartAttributesFPS,
    SmartAttributesFPSAutoMetadata,
    SmartFPSInitError,
)

__all__ = [
    "FPS",
    "FPSBaseError",
    "FPSDoesntExistError",
    "FPSErrnoError",
    "FPSManager",
    "FPSOverrideError",
    "FPS_flags",
    "FPS_status",
    "FPS_type",
    "FpsWrap",
    "SmartAttributesFPS",
    "SmartAttributesFPSAutoMetadata",
    "SmartFPSInitError",
]
