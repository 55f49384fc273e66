"""The past of a stream: asked for piece by piece by those who come late, out of the ring of the source."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from .._core import Stream
from ..arguments import check_count
from ..errors import BridgeError, StreamError, StreamTimeoutError
from ..ring import RingReader
from ..times import now_ns
from .disbelief import json_in
from .header import FRAMES_MOST, TOGETHER_NBYTES, Message, decode, encode
from .numbers import family_of, past_number
from .options import Options
from .telling import epoch_of, like, refusal, refused, slots_of, wire_rows, words_of

__all__ = ["Held", "PastQuestion", "ask_past", "past"]

#: Most bytes of frames of an answer, unless one frame has more.
_PIECE_NBYTES = 4 << 20

#: Most bytes of live messages that are held while the past comes.
_HELD_NBYTES = 256 << 20


class PastQuestion(NamedTuple):
    """What is asked.

    Attributes
    ----------
    last : int
        Frames, up to the newest one.
    after : int
        Counter of the last frame that is there already; 0 if none is.
    nbytes : int
        Most bytes of frames of the answer, unless one frame has more.
    options : Options
        How frames are to be made.
    """

    last: int
    after: int
    nbytes: int
    options: Options

    @classmethod
    def read(cls, question: bytes) -> PastQuestion:
        """Check a question.

        Raises
        ------
        StreamArgumentError
        """
        given = json_in(question)
        numbers = {}
        for name in ("last", "after", "nbytes"):
            found = given.pop(name, None) if isinstance(given, dict) else None
            numbers[name] = check_count(name, found, least=0, below=2**62)
        options = Options.read(json.dumps(given).encode())
        return cls(**numbers, options=options)

    @property
    def question(self) -> bytes:
        """How a sender is asked."""
        asked = {"last": self.last, "after": self.after, "nbytes": self.nbytes}
        return json.dumps(json.loads(self.options.question) | asked).encode()


def past(name: str, sender: int, question: bytes) -> bytes:
    """Return the next frames of the past as a message, or a refusal; never raises.

    The message has no frames if there are none behind the last one, or the stream has no ring in shared
    memory. `lost` of its first row counts frames that are gone since the last answer.
    """
    try:
        asked = PastQuestion.read(question)
        with Stream.attach(name) as stream:
            if stream.ring_cursor() is None:
                return like(name, sender, asked.options)
            return _piece(stream, sender, asked)
    except (StreamError, MemoryError) as error:
        return refusal(str(error))


def _piece(stream: Stream, sender: int, asked: PastQuestion) -> bytes:
    frame_nbytes = max(1, math.prod(stream.frame_shape) * stream.dtype.itemsize)
    with RingReader(stream, start="oldest", wait="sleep") as reader:
        if asked.after:
            unread = reader.peek(1).info["cnt0"]
            reader.skip(max(0, asked.after + 1 - int(unread[0])) if len(unread) else 0)
        else:
            reader.skip(max(0, reader.lag - asked.last))
        most = max(1, min(_PIECE_NBYTES, asked.nbytes) // frame_nbytes)
        try:
            capture = reader.read(max(1, min(most, FRAMES_MOST, reader.lag)), timeout=0)
        except StreamTimeoutError:
            return like(stream.name, sender, asked.options)
        chosen = capture.info["cnt0"] > asked.after
        rows, frames = wire_rows(capture.info[chosen]), asked.options.made_of(capture.frames[chosen])
        if len(rows):
            rows["lost"][0] = max(0, int(rows["cnt0"][0]) - asked.after - 1) if asked.after else 0
        message = Message(
            epoch_of(stream), sender, 0, 0, frames.shape[1:], frames.dtype, slots_of(stream), rows,
            words_of(stream), frames, now_ns(),
        )  # fmt: skip
        return encode(message, asked.options.compress is not None)


def ask_past(
    ask: Callable[[bytes], list[bytes]], options: Options, most: int, enough: Callable[[Message], bool]
) -> Iterator[Message]:
    """Go through the past, oldest first, as messages of one number of its sender that nobody else has.

    Parameters
    ----------
    ask : callable
        Asks a question; returns the answers. Of several senders, the first counts from then on.
    options : Options
        `history` says how many frames.
    most : int
        Bytes that a frame may have.
    enough : callable
        Gets each message, and returns whether what comes behind it is there already.

    Raises
    ------
    BridgeError
        The sender refuses, or does not answer.
    BridgeMessageError
    """
    number = sent = missing = after = 0
    epoch = None
    nbytes = max(most, TOGETHER_NBYTES)
    while True:
        answers = ask(PastQuestion(options.history, after, nbytes, options.line).question)
        message = _of_family(answers, most, family_of(number) if number else None)
        number = number or past_number(message.sender)
        rows = message.rows
        if not len(rows) or epoch not in (None, message.epoch):  # the stream was made anew meanwhile
            return
        yield replace(message, sender=number, sent=sent, missing=missing, skipped=0)
        epoch, after = message.epoch, int(rows["cnt0"][-1])
        sent, missing = sent + len(rows), missing + int(rows["lost"].sum())
        if enough(message):
            return


def _of_family(answers: list[bytes], most: int, family: int | None) -> Message:
    """Return the answer of a sender, or of any of them."""
    why = ""
    for answer in answers:
        why = refused(answer)
        if not why:
            message = decode(answer, most)
            if family in (None, family_of(message.sender)):
                return message
    if why:
        raise BridgeError(f"the sender refuses the past: {why}")
    raise BridgeError("the sender does not answer what was asked of the past")


class Held:
    """Live messages that wait until the past has come."""

    def __init__(self) -> None:
        self._messages: deque[tuple[bytes, int]] = deque()
        self._nbytes = 0
        self.first: Message | None = None

    def put(self, data: bytes, arrived: int, message: Message) -> None:
        """Keep a message; one that there is no room for is lost on the way, and counted with the next one."""
        if self.first is None and len(message.rows):
            self.first = message
        if self._nbytes + len(data) <= _HELD_NBYTES:
            self._nbytes += len(data)
            self._messages.append((data, arrived))

    def reached(self, message: Message) -> bool:
        """Tell whether the past has come as far as what is held."""
        first = self.first
        if first is None:
            return False
        return first.epoch != message.epoch or int(message.rows["cnt0"][-1]) + 1 >= int(first.rows["cnt0"][0])

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        return iter(self._messages)
