"""Enumerations as pybind11 makes them: any number is a member, and none equals an int."""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = ["Enumeration"]


class Enumeration:
    """A number with a name. Base of `errc`, `video_format`, `audio_format` and `pkt_kind`.

    Parameters
    ----------
    value : int
        One without a name is a member too; it is called ``???``.

    Notes
    -----
    Members of two enumerations never are equal, and have no order.
    """

    __members__: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, *, members: dict[str, int]) -> None:
        cls.__members__ = {name: cls(value) for name, value in members.items()}
        for name, member in cls.__members__.items():
            setattr(cls, name, member)

    def __init__(self, value: int) -> None:
        if not hasattr(value, "__index__"):
            raise TypeError(f"{type(self).__name__}(value): value is an int, not {type(value).__name__}")
        self._value = value.__index__()

    @property
    def value(self) -> int:
        """The number."""
        return self._value

    @property
    def name(self) -> str:
        """The name; ``???`` for a number that has none."""
        return next((name for name, each in self.__members__.items() if each._value == self._value), "???")

    def __int__(self) -> int:
        return self._value

    def __index__(self) -> int:
        return self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._value == self._value

    def __reduce__(self) -> tuple[type[Enumeration], tuple[int]]:
        return type(self), (self._value,)

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __repr__(self) -> str:
        return f"<{self}: {self._value}>"
