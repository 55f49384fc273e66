"""Keywords of a stream as a mapping."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from ._core import Keyword, Stream
from .errors import KeywordNotFoundError

__all__ = ["KeywordName", "Keywords"]

Value = int | float | str | None


class KeywordName(str):
    """Name of a keyword that also knows the rest of it: ``kw["name"]``, ``kw["value"]``, ``kw["comment"]``.

    It is the plain name in every other respect; other indices are those of a str.
    """

    __slots__ = ("_keyword",)
    _keyword: Keyword

    def __new__(cls, keyword: Keyword) -> KeywordName:
        """Make the name of this keyword."""
        name = super().__new__(cls, keyword.name)
        name._keyword = keyword
        return name

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            if index not in Keyword._fields:
                raise KeyError(index)
            return getattr(self._keyword, index)
        return super().__getitem__(index)

    def __reduce__(self) -> tuple[Any, ...]:
        return KeywordName, (self._keyword,)


class Keywords(MutableMapping[str, Value]):
    """The keywords of a stream: name to value, live in both directions.

    Assign a value, or ``(value, comment)``. A keyword that exists keeps its place and, unless a new one
    is given, its comment; a new one goes to the end.

    Parameters
    ----------
    stream : Stream

    Notes
    -----
    Every access reads or writes the shared table. No lock is taken: two processes that write at the
    same time may lose one of their changes.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def _find(self, name: str) -> Keyword:
        for keyword in self._stream.read_keywords():
            if keyword.name == name:
                return keyword
        raise KeywordNotFoundError(
            f"stream {self._stream.name!r} has no keyword {name!r}",
            stream=self._stream.name,
            keyword=name,
        )

    def __getitem__(self, name: str) -> Value:
        return self._find(name).value

    def __setitem__(self, name: str, value: Value | tuple[Value, str] | tuple[Value]) -> None:
        self.merge({name: value})

    def __delitem__(self, name: str) -> None:
        self._find(name)
        self._stream.write_keywords(
            [keyword for keyword in self._stream.read_keywords() if keyword.name != name]
        )

    def __iter__(self) -> Iterator[str]:
        return iter([keyword.name for keyword in self._stream.read_keywords()])

    def __len__(self) -> int:
        return len(self._stream.read_keywords())

    def __repr__(self) -> str:
        return f"Keywords({dict(self)!r})"

    def comment(self, name: str) -> str:
        """Return the comment of a keyword."""
        return self._find(name).comment

    def merge(self, changes: dict[str, Any]) -> None:
        """Change and add several keywords; if one of them cannot be stored, none is.

        Parameters
        ----------
        changes : dict
            Name to value, to ``(value,)``, or to ``(value, comment)``.

        Raises
        ------
        KeywordError
        """
        table = {keyword.name: keyword for keyword in self._stream.read_keywords()}
        if len(changes) == 1:
            # The usual case: one keyword that exists. One store, no rewriting of the table.
            [(name, value)] = changes.items()
            if name in table:
                parts = value if isinstance(value, tuple) else (value,)
                self._stream.update_keyword(name, *parts)
                return
        for name, value in changes.items():
            parts = value if isinstance(value, tuple) else (value,)
            old = table.get(name)
            comment = parts[1] if len(parts) > 1 else (old.comment if old else "")
            table[name] = Keyword(name, parts[0], comment)
        # Counts of keywords that do not change stay as they are.
        self._stream.write_keywords(table.values())

    def replace(self, keywords: dict[str, Any]) -> None:
        """Replace all keywords by these; arguments as for `merge`."""
        entries = []
        for name, value in keywords.items():
            parts = value if isinstance(value, tuple) else (value,)
            entries.append(Keyword(name, *parts))
        self._stream.write_keywords(entries)

    def named(self) -> dict[str, Keyword]:
        """Return all keywords by name, whose keys are `KeywordName`."""
        return {KeywordName(keyword): keyword for keyword in self._stream.read_keywords()}
