"""The small types of `pymilk.image`: codes of pixels and streams, and single keywords.

Their names, members and texts are those of the ImageStreamIOWrap module, which existing scripts compare
with and print.
"""

from __future__ import annotations

import operator
from enum import IntEnum
from typing import Any

import numpy as np

from .._core import Keyword
from ..arguments import shown
from ..errors import ImageUnsupportedError, KeywordError, StreamArgumentError

__all__ = ["ImageStreamIODataType", "ImageStreamIOType", "Image_kw"]


class _Code(IntEnum):
    """Codes that are numbers, show their names, and may be unknown: ``<Type.???: 3>``."""

    @classmethod
    def _missing_(cls, value: object) -> _Code:
        try:
            number = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            raise TypeError(f"{cls.__qualname__} is made from an int, not {shown(value)}") from None
        code = int.__new__(cls, number)
        code._name_ = "???"
        code._value_ = number
        return code

    def __repr__(self) -> str:
        return f"<Type.{self.name}: {int(self)}>"

    def __str__(self) -> str:
        return f"Type.{self.name}"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), (int(self),)


class ImageStreamIODataType:
    """Pixel type of a stream: its code and its size.

    Parameters
    ----------
    datatype : int
        Code, 1 to 13; the members of `Type` are attributes of this class too.

    Attributes
    ----------
    type : Type
    size : int
        Bytes of a pixel.
    dtype : numpy.dtype

    Raises
    ------
    StreamArgumentError
        There is no such code.

    Examples
    --------
    >>> ImageStreamIODataType.FLOAT, ImageStreamIODataType(9).size
    (<Type.FLOAT: 9>, 4)
    """

    class Type(_Code):
        """Codes of pixel types, as stored in streams."""

        UINT8 = 1
        INT8 = 2
        UINT16 = 3
        INT16 = 4
        UINT32 = 5
        INT32 = 6
        UINT64 = 7
        INT64 = 8
        HALF = 13
        FLOAT = 9
        DOUBLE = 10
        COMPLEX_FLOAT = 11
        COMPLEX_DOUBLE = 12

    UINT8 = Type.UINT8
    INT8 = Type.INT8
    UINT16 = Type.UINT16
    INT16 = Type.INT16
    UINT32 = Type.UINT32
    INT32 = Type.INT32
    UINT64 = Type.UINT64
    INT64 = Type.INT64
    HALF = Type.HALF
    FLOAT = Type.FLOAT
    DOUBLE = Type.DOUBLE
    COMPLEX_FLOAT = Type.COMPLEX_FLOAT
    COMPLEX_DOUBLE = Type.COMPLEX_DOUBLE

    def __init__(self, datatype: int) -> None:
        code = operator.index(datatype)
        if not 1 <= code <= 13:
            raise StreamArgumentError(
                f"pixel types have the codes 1 to 13, not {code}", argument="datatype", found=code
            )
        self._type = self.Type(code)

    @property
    def type(self) -> Type:
        """The code."""
        return self._type

    @property
    def size(self) -> int:
        """Bytes of a pixel."""
        return self.dtype.itemsize

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type of the pixels."""
        return np.dtype(_DTYPES[self._type - 1])

    def __repr__(self) -> str:
        return f"datatype: {int(self._type)}\nsize: {self.size}\n"


#: In the order of the codes, from 1 on.
_DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "c8", "c16", "f2")


class ImageStreamIOType:
    """What a stream is for, and what its third axis means.

    Parameters
    ----------
    type : int
        Bits as stored in the metadata of a stream, below 2**64.

    Attributes
    ----------
    type : Type
        The low 4 bits.
    axis : Type
        Meaning of the third axis (bits 0xF0000).

    Raises
    ------
    StreamArgumentError
        It is negative or too large.

    Examples
    --------
    >>> ImageStreamIOType(0x20001).type, ImageStreamIOType(0x20001).axis
    (<Type.CIRCULAR_BUFFER_TYPE: 1>, <Type.ZAXIS_TEMPORAL_TYPE: 131072>)
    """

    class Type(_Code):
        """Bits of the type of a stream; the names are spelt as everywhere."""

        CIRCULAR_BUFFER_TYPE = 1
        MATH_DATA_TYPE = 2
        IMG_RECV_TYPE = 4
        IMG_SENT_TYPE = 8
        ZAXIS_UNDEF_TYPE = 0
        ZAXIS_SPACIAL_TYPE = 0x10000
        ZAXIS_TEMPORAL_TYPE = 0x20000
        ZAXIS_WAVELENGTH_TYPE = 0x30000
        ZAXIS_MAPPING_TYPE = 0x40000

    CIRCULAR_BUFFER_TYPE = Type.CIRCULAR_BUFFER_TYPE
    MATH_DATA_TYPE = Type.MATH_DATA_TYPE
    IMG_RECV_TYPE = Type.IMG_RECV_TYPE
    IMG_SENT_TYPE = Type.IMG_SENT_TYPE
    ZAXIS_UNDEF_TYPE = Type.ZAXIS_UNDEF_TYPE
    ZAXIS_SPACIAL_TYPE = Type.ZAXIS_SPACIAL_TYPE
    ZAXIS_TEMPORAL_TYPE = Type.ZAXIS_TEMPORAL_TYPE
    ZAXIS_WAVELENGTH_TYPE = Type.ZAXIS_WAVELENGTH_TYPE
    ZAXIS_MAPPING_TYPE = Type.ZAXIS_MAPPING_TYPE

    def __init__(self, type: int) -> None:
        self._bits = operator.index(type)
        if not 0 <= self._bits < 2**64:
            raise StreamArgumentError(
                f"the type of a stream is 64 bits, not {self._bits}", argument="type", found=self._bits
            )

    @property
    def type(self) -> Type:
        """The low 4 bits."""
        return self.Type(self._bits & 0xF)

    @property
    def axis(self) -> Type:
        """Meaning of the third axis."""
        return self.Type(self._bits & 0xF0000)

    def __repr__(self) -> str:
        return f"type: {int(self.type)}\naxis: {int(self.axis)}\n"


class Image_kw:
    """A keyword: name, value, comment. It cannot be changed.

    Parameters
    ----------
    name : str
        At most 16 bytes of UTF-8.
    value : int, float or str
        Integers (and bool) of 64 bits are stored as such, larger ones and every float as 64-bit float,
        text of at most 16 bytes as text.
    comment : str, default ''
        At most 80 bytes.
    numl, numf, valstr : int, float, str
        The value by the name of its type, in place of `value`.

    Attributes
    ----------
    type : str
        "L" (int), "D" (float), "S" (text), "N" (no value), or NUL for an empty one.

    Raises
    ------
    KeywordError
        A ValueError: a text is too long, has a NUL in it, or cannot be encoded.
    TypeError
        The value is of no such type.

    Notes
    -----
    Wherever text is taken, bytes are too. ``Image_kw()`` is an empty keyword.

    Examples
    --------
    >>> keyword = Image_kw("EXPTIME", 0.5, "seconds")
    >>> keyword.name, keyword.type, keyword.value, keyword.comment
    ('EXPTIME', 'D', 0.5, 'seconds')
    """

    __slots__ = ("_keyword", "_type")

    _type: str
    _keyword: Keyword

    def __init__(
        self,
        name: str | None = None,
        value: Any = None,
        comment: str = "",
        *,
        numl: int | None = None,
        numf: float | None = None,
        valstr: str | None = None,
    ) -> None:
        values = {"value": value, "numl": numl, "numf": numf, "valstr": valstr}
        given = {what: each for what, each in values.items() if each is not None}
        if name is None and not given and not comment:
            self._type, self._keyword = "\0", Keyword("", None, "")
            return
        if name is None or len(given) != 1:
            raise TypeError("Image_kw takes a name and one value (int, float or str), and a comment")
        key = _text("name", name, 16, name)
        ((what, each),) = given.items()
        self._type, stored = _typed(each)
        if what == "numf" and self._type == "L":
            self._type, stored = "D", float(stored)
        if self._type not in {"numl": "L", "numf": "D", "valstr": "S"}.get(what, "LDS"):
            raise TypeError(f"keyword {key!r}: {what} cannot be {each!r}")
        if self._type == "S":
            stored = _text("valstr", stored, 16, key)
        self._keyword = Keyword(key, stored, _text("comment", comment, 80, key))

    @classmethod
    def _of(cls, keyword: Keyword) -> Image_kw:
        """Make one from what a stream holds."""
        made = cls.__new__(cls)
        made._keyword = keyword
        made._type = "N" if keyword.value is None else _typed(keyword.value)[0]
        return made

    @property
    def name(self) -> str:
        """The name."""
        return self._keyword.name

    @property
    def type(self) -> str:
        """One letter."""
        return self._type

    @property
    def value(self) -> int | float | str:
        """The value; `ImageUnsupportedError`, a RuntimeError, if there is none."""
        value: int | float | str | None = self._keyword.value
        if value is None:
            raise ImageUnsupportedError(
                f"Unknown format: keyword {self.name!r} of type {self._type!r} has no value"
            )
        return value

    @property
    def comment(self) -> str:
        """The comment."""
        return self._keyword.comment

    def __repr__(self) -> str:
        value = self._keyword.value
        if value is None:
            shown = "Unknown format"
        else:
            shown = f"{value:g}" if isinstance(value, float) else str(value)
        return f"{shown} {self.comment}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self._type, tuple(self._keyword))


def _again(cls: type[Image_kw], kind: str, parts: tuple[Any, ...]) -> Image_kw:
    """Make a keyword again from its pickled parts."""
    made = cls.__new__(cls)
    made._type, made._keyword = kind, Keyword(*parts)
    return made


def _text(what: str, text: object, limit: int, keyword: object) -> str:
    """Return a text that fits into a keyword; bytes are taken as they are."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if not isinstance(text, str):
        raise TypeError(f"the {what} of keyword {keyword!r} is a str, not {shown(text)}")
    try:
        encoded = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        problem, nbytes = "cannot be stored: it is not UTF-8", len(text)
    else:
        nbytes = len(encoded)
        if b"\0" not in encoded and nbytes <= limit:
            return str(text)
        problem = "too long" if nbytes > limit else "cannot be stored: NUL ends it"
    raise KeywordError(
        f"{what} {problem}: {text!r} has {nbytes} bytes, a keyword takes {limit} without NUL",
        keyword=str(keyword),
        limit=limit,
        found=nbytes,
    )


def _typed(value: object) -> tuple[str, Any]:
    """Return the type letter of a value, and the value as it is stored."""
    if isinstance(value, (str, bytes)):
        return "S", value
    if isinstance(value, np.bool_):
        value = bool(value)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        pass  # no integer
    else:
        return ("L", number) if -(2**63) <= number < 2**63 else ("D", float(number))
    if np.ndim(value) == 0 and hasattr(value, "__float__"):  # type: ignore[arg-type]
        return "D", float(value)
    raise TypeError(f"the value of a keyword is an int, a float or a str, not {shown(value)}")
