"""`SmartAttributesFPS`: an FPS whose parameters are attributes of a class, made from its annotations.

class Loop(SmartAttributesFPS):
    gain: float
    on: bool
    _DICT_METADATA = {
        "gain": ("loop gain", ParameterType.FLOAT32, ParameterFlag.DEFAULT_INPUT),
        "on": ("loop closed", ParameterType.ONOFF, ParameterFlag.DEFAULT_INPUT),
    }

loop = Loop.create("loop")
loop.gain = 0.3
"""

from __future__ import annotations

import inspect
import typing
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import FPSError, FPSTypeError
from .fps import FPS
from .words import NUMBER_TYPES, TEXT_TYPES, ParameterFlag, ParameterType

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AutomaticMetadata", "Metadata", "SmartAttributes", "SmartAttributesFPS", "SmartFPSInitError"]

#: Comment, type and flags of an attribute.
Metadata = tuple[str, ParameterType, ParameterFlag]

#: Types of parameters that an annotation stands for.
_FITTING: dict[type, frozenset[ParameterType]] = {
    bool: frozenset((ParameterType.ONOFF,)),
    int: NUMBER_TYPES - {ParameterType.FLOAT32, ParameterType.FLOAT64} | {ParameterType.PID},
    float: frozenset((ParameterType.FLOAT32, ParameterType.FLOAT64, ParameterType.TIMESPEC)),
    str: TEXT_TYPES,
}

#: Type that a parameter gets where only the annotation is given.
_USUAL: dict[type, ParameterType] = {
    bool: ParameterType.ONOFF,
    int: ParameterType.INT64,
    float: ParameterType.FLOAT64,
    str: ParameterType.STRING,
}


class SmartFPSInitError(FPSError, TypeError):
    """A class with parameters as attributes is not defined as it has to be."""


class SmartAttributes:
    """Attributes of a class as parameters; a mixin for classes of FPS.

    A subclass annotates its attributes with bool, int, float or str, and describes each of them in
    ``_DICT_METADATA``: comment, type, flags. Both have to name the same attributes.

    Raises
    ------
    SmartFPSInitError
        When the first object is made: they do not, or a type does not fit its annotation.
    """

    _DICT_METADATA: ClassVar[dict[str, Metadata]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "_cls_find_annotations" in cls.__dict__:
            raise SmartFPSInitError(f"class {cls.__name__} must not define _cls_find_annotations")

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Check the class, and give it its properties."""
        cls._prepare()
        return super().__new__(cls)

    @classmethod
    def _cls_find_annotations(cls) -> dict[str, type]:
        """Return the attributes that are annotated, those of base classes first."""
        found: dict[str, type] = {}
        for each in reversed(cls.__mro__):
            if issubclass(each, SmartAttributes) and each.__module__ != __name__:
                hints, own = typing.get_type_hints(each), inspect.get_annotations(each)
                found |= {name: hints[name] for name in own if not name.startswith("_")}
        return found

    @classmethod
    def _metadata(cls) -> dict[str, Metadata]:
        """Return comment, type and flags of each attribute, those of base classes too."""
        found: dict[str, Metadata] = {}
        for each in reversed(cls.__mro__):
            found |= each.__dict__.get("_DICT_METADATA", {})
        return found

    @classmethod
    def _prepare(cls) -> None:
        """Check annotations against metadata, and make properties of the attributes."""
        annotated, described = cls._cls_find_annotations(), cls._metadata()
        if set(annotated) != set(described):
            only = sorted(set(annotated) ^ set(described))
            raise SmartFPSInitError(
                f"class {cls.__name__}: {', '.join(only)} is not both annotated and in _DICT_METADATA"
            )
        for name, python in annotated.items():
            kind = described[name][1]
            if python not in _FITTING:
                raise SmartFPSInitError(
                    f"class {cls.__name__}: {name} is annotated with {python!r}; parameters are bool, "
                    "int, float or str"
                )
            if ParameterType(int(kind)) not in _FITTING[python]:
                raise SmartFPSInitError(
                    f"class {cls.__name__}: {name} is annotated with {python.__name__}, which is no "
                    f"{kind.name}"
                )
            if not isinstance(cls.__dict__.get(name), property):
                setattr(cls, name, _property(name, described[name][0]))

    @classmethod
    def create(cls, *args: Any, **options: Any) -> Self:
        """Make the FPS with a parameter for each attribute.

        Parameters are those of `create` of the class of FPS.
        """
        cls._prepare()
        fps: Any = super().create(*args, **options)  # type: ignore[misc]
        for attribute, (comment, kind, flags) in cls._metadata().items():
            fps._add_attribute(attribute, comment, ParameterType(int(kind)), ParameterFlag(int(flags)))
        return typing.cast("Self", fps)

    @classmethod
    def smartfps_downcast(cls, fps: FPS) -> Self:
        """Return an object of this class for an FPS that is attached.

        Raises
        ------
        FPSTypeError
            It lacks a parameter, or has one of another type.
        """
        for name, (_, kind, _) in cls._metadata().items():
            found = fps.param(name).type if name in fps else None
            if found != kind:
                has = "no such parameter" if found is None else found.name
                raise FPSTypeError(
                    f"fps {fps.name!r} is no {cls.__name__}: {name!r} has to be {kind.name}, and it has "
                    f"{has}",
                    fps=fps.name,
                    key=name,
                    expected=kind.name,
                    found=has,
                )
        return cls(fps.name)


def _property(name: str, comment: str) -> property:
    """Make the property of one parameter."""

    def read(self: Any) -> Any:
        return self[name]

    def write(self: Any, value: Any) -> None:
        self[name] = value

    return property(read, write, doc=comment)


class AutomaticMetadata(SmartAttributes):
    """Mixin that describes attributes by their annotations alone: ONOFF, INT64, FLOAT64 or STRING; inputs."""

    @classmethod
    def _metadata(cls) -> dict[str, Metadata]:
        found = {
            name: ("", _USUAL[python], ParameterFlag.DEFAULT_INPUT)
            for name, python in cls._cls_find_annotations().items()
            if python in _USUAL
        }
        return found | super()._metadata()


class SmartAttributesFPS(SmartAttributes, FPS):
    """An `FPS` whose parameters are attributes: see `SmartAttributes`."""

    def _add_attribute(self, key: str, comment: str, kind: ParameterType, flags: ParameterFlag) -> None:
        """Add one parameter."""
        self.add_param(key, type=kind, flags=flags, description=comment)


class SmartAttributesFPSAutoMetadata(AutomaticMetadata, SmartAttributesFPS):
    """An `FPS` whose parameters are attributes, described by their annotations alone."""
