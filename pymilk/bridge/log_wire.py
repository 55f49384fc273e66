"""Questions about a message log of another machine, and answers with its messages, as they are sent."""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

import numpy as np

from .._types import Array
from ..arguments import check_count
from ..errors import BridgeMessageError
from .disbelief import json_in

__all__ = ["LogAnswer", "LogQuestion", "LogRecord"]

#: Magic, version, flags, messages here; file, its longest message, messages ever written; sender; lost, and
#: how many of these on the way.
_HEADER = struct.Struct("<4sHHIQQQQQQ")
_MAGIC, _VERSION = b"PMLG", 1

#: Flag of an answer: of the log that was made anew, all messages were read.
_WHOLE = 1

#: Flag of a message: it is text.
TEXT = 1

_ROW = np.dtype([("number", "<u8"), ("time_ns", "<i8"), ("length", "<u4"), ("flags", "<u4")])


class LogRecord(NamedTuple):
    """A message of a log of another machine.

    Attributes
    ----------
    data : bytes or str
        As it was written.
    number : int
        Its own, from 1.
    time_ns : int
        When it was written, by the clock there: nanoseconds UTC since 1970.
    lost : int
        Messages of this log missing directly before it.
    new_log : bool
        It is the first one of a log that was made anew since the message before.
    """

    data: bytes | str
    number: int
    time_ns: int
    lost: int = 0
    new_log: bool = False


class LogQuestion(NamedTuple):
    """What is asked.

    Attributes
    ----------
    asker : int
        A random number of the one who asks.
    log : int
        Which file the messages came from so far; 0: none did.
    after : int
        Number of the last one.
    last : int
        Messages to begin with, if none came.
    nbytes : int
        Most bytes of messages of the answer, unless one message is longer.
    """

    asker: int
    log: int
    after: int
    last: int
    nbytes: int

    @classmethod
    def read(cls, question: bytes) -> LogQuestion:
        """Check a question.

        Raises
        ------
        StreamArgumentError
        """
        given = json_in(question)
        said = given if isinstance(given, dict) else {}
        return cls(*(check_count(name, said.get(name), least=0, below=2**64) for name in cls._fields))

    @property
    def question(self) -> bytes:
        """How a sender is asked."""
        return json.dumps(self._asdict()).encode()


class LogAnswer(NamedTuple):
    """What is answered.

    Attributes
    ----------
    log : int
        Which file it is: a random number that the log got when it was made.
    longest : int
        Most bytes that a message of it can have.
    written : int
        Messages that were ever written to it.
    sender : int
        A random number of the one who answers.
    lost : int
        Messages missing between the one that was named in the question and the first of these.
    on_way : int
        Those of them that this sender had sent.
    whole : bool
        If it is another log than that of the question: all messages of that one were sent.
    records : list of LogRecord
        One after the other; `lost` is in none of them.
    """

    log: int
    longest: int
    written: int
    sender: int
    lost: int
    on_way: int
    whole: bool
    records: list[LogRecord]

    def encode(self) -> bytes:
        """Return the bytes of an answer."""
        rows = np.zeros(len(self.records), _ROW)
        parts = []
        for row, record in zip(rows, self.records, strict=True):
            text = isinstance(record.data, str)
            # Text is what a writer said is text, which need not be UTF-8: what is none has become U+FFFD.
            parts.append(record.data.encode("utf-8") if isinstance(record.data, str) else record.data)
            row["number"], row["time_ns"] = record.number, record.time_ns
            row["length"], row["flags"] = len(parts[-1]), TEXT if text else 0
        head = _HEADER.pack(
            _MAGIC, _VERSION, _WHOLE if self.whole else 0, len(rows), self.log, self.longest, self.written,
            self.sender, self.lost, self.on_way,
        )  # fmt: skip
        return b"".join((head, rows.tobytes(), *parts))

    @classmethod
    def decode(cls, data: bytes, question: LogQuestion) -> LogAnswer:
        """Check an answer against what was asked; its lengths before anything is made of it.

        Raises
        ------
        BridgeMessageError
        """
        if len(data) < _HEADER.size:
            raise _refused("it is too short")
        magic, version, flags, count, log, longest, written, sender, lost, on_way = _HEADER.unpack_from(data)
        if magic != _MAGIC or version != _VERSION or flags & ~_WHOLE:
            raise _refused("it is none, or of another version")
        begin = _HEADER.size + count * _ROW.itemsize
        if len(data) < begin:
            raise _refused(f"it has no room for {count} messages")
        rows: Array = np.frombuffer(data, _ROW, count, _HEADER.size)
        if begin + int(rows["length"].sum(dtype="u8")) != len(data):
            raise _refused("its length is not that of its messages")
        same = log == question.log
        before = question.after if same else 0
        if log == 0 or not on_way <= lost < 2**62 or max(written, longest) >= 2**62 or written < before:
            raise _refused("its numbers are those of no log")
        # A log that is new to the asker begins anywhere: with the last messages that were asked for.
        first = int(rows["number"][0]) if count and not question.log else before + lost + 1
        wanted = np.arange(first, first + count, dtype="u8")
        if first < 1 or (rows["number"] != wanted).any() or first + count - 1 > written:
            raise _refused("its messages do not follow each other")
        records, at = [], begin
        for number, time_ns, length, kind in rows.tolist():
            content = data[at : at + length]
            at += length
            records.append(
                LogRecord(content.decode("utf-8", "replace") if kind & TEXT else content, number, time_ns)
            )
        return cls(log, longest, written, sender, lost, on_way, bool(flags & _WHOLE), records)


def _refused(why: str) -> BridgeMessageError:
    return BridgeMessageError(f"an answer about a log was refused: {why}")
