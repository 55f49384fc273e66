"""Keywords of a stream as a mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

from .._core import Keyword, Stream
from ..arguments import check_mapping, shown
from ..errors import KeywordError, KeywordNotFoundError

__all__ = ["TABLE", "KeywordName", "Keywords", "kind_of_value", "value_of_text"]

Value = int | float | str | None

#: What `Keywords.merge` takes, for messages.
TABLE = "a dict of name to value, or to (value, comment)"


class KeywordName(str):
    """Name of a keyword that also gives its fields: ``kw["name"]``, ``kw["value"]``, ``kw["comment"]``.

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
    stream : Stream or callable
        A callable is called at each access; it may follow a replaced stream.

    Notes
    -----
    Every access reads or writes the shared table. No lock is taken: two processes that write at the
    same time may lose one of their changes.
    """

    def __init__(self, stream: Stream | Callable[[], Stream]) -> None:
        self._source = stream

    def _stream(self) -> Stream:
        return self._source if isinstance(self._source, Stream) else self._source()

    def _find(self, name: str) -> Keyword:
        stream = self._stream()
        for keyword in stream.read_keywords():
            if keyword.name == name:
                return keyword
        raise KeywordNotFoundError(
            f"stream {stream.name!r} has no keyword {shown(name)}", stream=stream.name, keyword=name
        )

    def __getitem__(self, name: str) -> Value:
        return self._find(name).value

    def __setitem__(self, name: str, value: Any) -> None:
        self.merge({name: value})

    def __delitem__(self, name: str) -> None:
        self.delete([name])

    def delete(self, names: Iterable[str]) -> None:
        """Delete several keywords; if one of them is not there, none is deleted.

        Raises
        ------
        KeywordNotFoundError
        """
        wanted = list(names)
        for name in wanted:
            self._find(name)
        stream = self._stream()
        stream.write_keywords([keyword for keyword in stream.read_keywords() if keyword.name not in wanted])

    def __iter__(self) -> Iterator[str]:
        return iter([keyword.name for keyword in self._stream().read_keywords()])

    def __len__(self) -> int:
        return len(self._stream().read_keywords())

    def __repr__(self) -> str:
        return f"Keywords({dict(self)!r})"

    def named(self) -> dict[str, Keyword]:
        """Return all keywords by name; the names are `KeywordName`."""
        return {KeywordName(keyword): keyword for keyword in self._stream().read_keywords()}

    def comment(self, name: str) -> str:
        """Return the comment of a keyword."""
        return self._find(name).comment

    def merge(
        self, changes: dict[str, Any], *, keep_comments: bool = True, tables: bool = False
    ) -> None:
        """Change and add several keywords; if one of them cannot be stored, none is.

        Parameters
        ----------
        changes : dict
            Name to value, to ``(value,)``, or to ``(value, comment)``; a comment of None keeps the one
            that the keyword has.
        keep_comments : bool, default True
            False empties the comment of a keyword that is given without one.
        tables : bool, default False
            Take entries of old camera servers too: ``(value, comment, format, short)``, of which the first
            two are stored.

        Raises
        ------
        KeywordError
        StreamArgumentError
            `changes` is not a mapping.
        """
        check_mapping("keywords", changes, TABLE)
        stream = self._stream()
        table = {keyword.name: keyword for keyword in stream.read_keywords()}
        absent = None if keep_comments else ""
        given = {name: _split(stream, name, entry, absent, tables) for name, entry in changes.items()}
        if len(given) == 1:
            # The usual case: one keyword that exists. One store, no rewriting of the table.
            [(name, (value, comment))] = given.items()
            if name in table:
                stream.update_keyword(name, value, comment)
                return
        for name, (value, comment) in given.items():
            if comment is None:
                comment = table[name].comment if name in table else ""
            table[name] = Keyword(name, value, comment)
        # Counts of keywords that do not change stay as they are.
        stream.write_keywords(table.values())

    def replace(self, keywords: dict[str, Any], *, tables: bool = False) -> None:
        """Replace all keywords by these; arguments as for `merge`."""
        check_mapping("keywords", keywords, TABLE)
        stream = self._stream()
        entries = []
        for name, entry in keywords.items():
            value, comment = _split(stream, name, entry, tables=tables)
            entries.append(Keyword(name, value, comment or ""))
        stream.write_keywords(entries)


def kind_of_value(value: Value) -> str:
    """Return the type of a value in words, to follow "is"."""
    if value is None:
        return "without a value"
    return {int: "an integer", float: "a floating-point number"}.get(type(value), "text")


def value_of_text(text: str) -> int | float | str:
    """Return the value of a typed keyword: a number if the text is one, else the text.

    Integers beyond 64 bits become floats. Python's underscores in numbers are text.
    """
    if "_" in text:
        return text
    try:
        number = int(text)
    except ValueError:
        pass
    else:
        return number if -(2**63) <= number < 2**63 else float(text)
    try:
        return float(text)
    except ValueError:
        return text


def _split(
    stream: Stream, name: str, entry: Any, absent: str | None = None, tables: bool = False
) -> tuple[Any, str | None]:
    """Take ``value``, ``(value,)`` or ``(value, comment)`` apart; `absent`: the comment if none is given.

    With `tables` also ``(value, comment, format, short)``: the last two are texts.
    """
    if not isinstance(entry, tuple):
        return entry, absent
    if tables and len(entry) == 4 and all(isinstance(each, str) for each in entry[2:]):
        return entry[0], entry[1]
    if not 1 <= len(entry) <= 2:
        raise KeywordError(
            f"stream {stream.name!r}: keyword {name!r} is a value, (value,) or (value, comment), "
            f"not {shown(entry)}",
            stream=stream.name,
            keyword=name,
        )
    return entry[0], entry[1] if len(entry) == 2 else absent
