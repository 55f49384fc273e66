# Types of access.pyx.
from contextlib import AbstractContextManager
from typing import Any, Literal, overload

from numpy.typing import NDArray

from .._core import Stream

__all__ = ["FrameAccess"]

class FrameAccess:
    _stream: Stream | None
    _view: Any  # an array, or None once it is closed
    _plain: bool
    _seen: int
    @overload
    def get_data(
        self,
        check: bool = ...,
        timeout: float | None = ...,
        copy: bool = ...,
        checkSemAndFlush: bool = ...,
        autorelink_if_need: bool = ...,
        return_none_on_timeout: bool = ...,
        *,
        cube: bool = ...,
        out: Any = ...,
        on_timeout: Literal["old", "raise", "none"] = ...,
        reform: bool = ...,
        sleepT: float = ...,
    ) -> Any: ...
    @overload
    def get_data(
        self,
        check: bool,
        reform: bool,
        sleepT: float = ...,
        timeout: float | None = ...,
        copy: bool = ...,
        checkSemAndFlush: bool = ...,
        autorelink_if_need: bool = ...,
    ) -> Any: ...
    def set_data(
        self, data: Any, check_dt: bool = False, autorelink_if_need: bool = False
    ) -> None: ...
    def claim(
        self, *, atime_ns: int | None = None, autorelink_if_need: bool = False
    ) -> AbstractContextManager[NDArray[Any]]: ...
