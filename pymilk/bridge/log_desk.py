"""Message logs of a sender: whoever listens is told that there is news, and asks for it."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..channels import MessageLog
from ..channels.files import Kind, channel_name, suffix
from ..errors import (
    BridgeError,
    ChannelNotFoundError,
    ChannelRemovedError,
    ChannelTimeoutError,
    StreamError,
    StreamTimeoutError,
)
from ..multi import wait_any
from ..names import is_pattern, matches, stream_directory
from ..system.faults import words_of_fault
from ..system.latch import Latch
from ..system.threads import do_all, join_thread, start_thread
from .engine import Engine, Outlet, Registration
from .header import MAX_FRAME
from .keys import ABOUT, LOG, NEWS, key_of
from .log_reports import LogReport
from .log_wire import LogAnswer, LogQuestion, LogRecord
from .telling import refusal

__all__ = ["LogDesk"]

#: Seconds between two looks for new logs, of one wait for news, and between two pieces of news of a log.
_LOOK_SECONDS, _WAIT_SECONDS, _BETWEEN_SECONDS = 0.5, 0.2, 0.005

#: Most of those who ask whose place in a log is kept; others are answered as well, and cost more.
_ASKERS_MOST = 64

#: Most bytes of messages of an answer, and most messages, unless one is longer.
_ANSWER_NBYTES, _ANSWER_MOST = 1 << 20, 8192


class _Place:
    """A reader of a log, and what was handed out of it.

    Parameters
    ----------
    name : str
    follows : tuple of (int, int)
        File and number of the last message of the log before it, if all of that was handed out.
    """

    def __init__(self, name: str, follows: tuple[int, int] = (0, 0)) -> None:
        self.follows = follows
        self.log = MessageLog.attach(name, start="oldest")
        self.file = self.log.identity
        self._next = 0  # number of the message that is read next; 0: of the oldest one
        self._sent = 0  # the last one that was ever handed out

    def records_behind(self, after: int, nbytes: int) -> list[LogRecord]:
        """Read the messages behind one, as many as go into one answer."""
        if self._next != after + 1:
            self._skip(after)
        found: list[LogRecord] = []
        left = nbytes
        while len(found) < _ANSWER_MOST and left > 0:
            try:
                message = self.log.read(0)
            except (ChannelTimeoutError, ChannelRemovedError):
                break
            size = len(message.data)
            if size > MAX_FRAME:
                raise BridgeError(f"message {message.number} has {size} bytes, and {MAX_FRAME} are the most")
            if found and message.number != found[-1].number + 1:
                self._next = 0  # overwritten meanwhile: the next answer counts that
                return found
            left -= size
            found.append(LogRecord(message.data, message.number, message.time_ns))
        self._next = found[-1].number + 1 if found else after + 1
        return found

    def count_on_way(self, after: int, records: list[LogRecord]) -> int:
        """Return how many of those before these records were handed out once; take down these."""
        gone = max(0, min(self._sent, records[0].number - 1) - after) if records else 0
        self._sent = max(self._sent, records[-1].number if records else 0)
        return gone

    def gone(self) -> bool:
        """Tell whether the file was removed or replaced, and all was read."""
        try:
            self.log.wait(0)
        except ChannelRemovedError:
            return True
        return False

    def _skip(self, after: int) -> None:
        """Read on from the oldest message up to one, or leave off before the first one behind it."""
        self.log.join_oldest()
        oldest = self.log.read_many(1)
        self.log.join_oldest()
        if not len(oldest):
            return
        at = int(oldest.rows["number"][0])
        while at <= after:
            batch = self.log.read_many(after + 1 - at)
            if not len(batch) or int(batch.rows["number"][-1]) > after:
                self.log.join_oldest()  # overwritten meanwhile, and all that is there comes behind
                return
            at = int(batch.rows["number"][-1]) + 1


class LogDesk:
    """Answer questions about logs, and tell those who listen when there are new messages.

    Parameters
    ----------
    patterns : tuple of str
        Names of logs, or patterns of them. Logs that come later are there as well.
    host : str
    number : int
        Of the sender.
    engine : Engine
    """

    def __init__(self, patterns: tuple[str, ...], host: str, number: int, engine: Engine) -> None:
        self._patterns, self._host, self._number, self._engine = patterns, host, number, engine
        self._lock = threading.Lock()
        self._places: dict[tuple[str, int], _Place] = {}
        self._reports: dict[str, LogReport] = {}
        self._outlets: dict[str, Outlet] = {}
        self._watched: dict[str, MessageLog] = {}
        self._said: list[Registration] = []
        self._ending = False
        self._fault = ""  # of the thread
        self._news = Latch()
        self._thread = threading.Thread(target=self._run, name="pymilk-bridge-logs", daemon=True)
        start_thread(self._thread)

    @property
    def reports(self) -> list[LogReport]:
        """What was sent of each log, by name."""
        reports = dict(self._reports)
        return [
            replace(each, trouble=each.trouble or self._fault) if self._fault else each
            for _, each in sorted(reports.items())
        ]

    def close(self) -> None:
        """End."""
        self._ending = True
        self._news.set()
        join_thread(self._thread)
        fault = do_all(*(each.close for each in (*self._said, *self._outlets.values())), self._leave)
        if fault is not None:
            raise fault

    def _leave(self) -> None:
        """Close the logs that were read for those who asked."""
        with self._lock:
            for place in self._places.values():
                place.log.close()
            self._places.clear()

    # -- answers, in threads of the engine ---------------------------------------------------------

    def _answer(self, name: str, question: bytes) -> bytes:
        """Answer a question about a log; never raises."""
        report = self._reports[name]
        try:
            asked = LogQuestion.read(question)
            with self._lock:
                if self._ending:
                    return refusal("the sender ends")
                answer = self._found(name, asked)
                data = answer.encode()
        except Exception as error:  # noqa: BLE001 (who asks would wait for an answer)
            report.trouble = words_of_fault(error)
            return refusal(report.trouble)
        report.trouble = ""
        report.asked += 1
        report.sent += len(answer.records)
        report.on_way += answer.on_way
        report.nbytes += len(data)
        return data

    def _found(self, name: str, asked: LogQuestion) -> LogAnswer:
        key = (name, asked.asker)
        place, whole = self._places.pop(key, None), False
        if place is not None and place.file != asked.log:
            whole = place.follows == (asked.log, asked.after) != (0, 0)
            if not whole:
                place.log.close()
                place = None
        try:
            place = place or _Place(name)
            answer = self._answer_of(place, asked, whole)
            if not answer.records and place.gone():
                with contextlib.suppress(ChannelNotFoundError):
                    old, place = place, _Place(name, (asked.log, asked.after))
                    old.log.close()
                    answer = self._answer_of(place, asked, True)
        except StreamError:
            if place is not None:
                place.log.close()
            raise
        self._places[key] = place
        while len(self._places) > _ASKERS_MOST:
            self._places.pop(next(iter(self._places))).log.close()
        return answer

    def _answer_of(self, place: _Place, asked: LogQuestion, whole: bool) -> LogAnswer:
        after, count = asked.after if place.file == asked.log else 0, place.log.count
        if not asked.log:
            after = max(0, count - asked.last)
        records = place.records_behind(after, min(asked.nbytes, _ANSWER_NBYTES))
        on_way = place.count_on_way(after, records)
        lost = records[0].number - after - 1 if records and asked.log else 0
        if records:
            count = max(count, records[-1].number)
        return LogAnswer(
            place.file, place.log.longest, count, self._number, lost, on_way if lost else 0, whole, records
        )

    def _about(self, name: str) -> bytes:
        """Return what is known of a log, as JSON; never raises."""
        report = self._reports[name]
        told: dict[str, Any] = {
            "kind": "log", "pid": os.getpid(), "sent": report.sent, "wanted": report.wanted,
            "trouble": report.trouble or self._fault,
        }  # fmt: skip
        with contextlib.suppress(StreamError), MessageLog.attach(name) as log:
            last = log.last_ns
            told |= {"counter": log.count, "age": max(0.0, (time.time_ns() - last) / 1e9) if last else None}
        return json.dumps(told).encode()

    # -- news, in a thread of its own --------------------------------------------------------------

    def _run(self) -> None:
        due = 0.0
        while not self._ending:
            try:
                told, now = self._news.is_set(), time.monotonic()
                if told or now >= due:
                    self._news.clear()
                    due = now + _LOOK_SECONDS
                    self._look()
                self._tell()
                self._fault = ""
            # Also what is no Exception, as when the engine fails within itself: a thread that ends in silence
            # looks like a log without news.
            except BaseException as error:  # noqa: BLE001
                self._fault = words_of_fault(error)
                self._news.wait(_LOOK_SECONDS)
        do_all(*(log.close for log in self._watched.values()))

    def _look(self) -> None:
        """Begin with logs that are new; watch those that somebody listens for."""
        for name in self._names():
            if name not in self._reports:
                self._begin(name)
        for name, outlet in self._outlets.items():
            if outlet.wanted and name not in self._watched:
                with contextlib.suppress(StreamError):  # it is not there now
                    self._watched[name] = MessageLog.attach(name)
                    outlet.put(b"")
            elif not outlet.wanted and name in self._watched:
                self._watched.pop(name).close()
            self._reports[name].wanted = outlet.wanted

    def _tell(self) -> None:
        """Wait for new messages for a while, and tell of them."""
        if not self._watched:
            self._news.wait(_LOOK_SECONDS)
            return
        names, logs = list(self._watched), list(self._watched.values())
        try:
            found = wait_any(logs, _WAIT_SECONDS)
        except StreamTimeoutError:
            return
        except StreamError:
            found = list(range(len(logs)))
        for index in found:
            try:
                if logs[index].wait(0):
                    logs[index].join_now()
                    self._outlets[names[index]].put(b"")
            except StreamError:  # removed, or made anew
                self._watched.pop(names[index]).close()
        self._news.wait(_BETWEEN_SECONDS)

    def _names(self) -> list[str]:
        """Return the logs to tell of: those that there are, and those that were named."""
        named = [each for each in self._patterns if not is_pattern(each)]
        end = suffix(Kind.msg)
        try:
            files = [each for each in os.listdir(stream_directory()) if each.endswith(end)]
        except (OSError, StreamError):
            files = []  # the directory is gone, or not there yet
        found = [channel_name(each, Kind.msg) for each in files if not each.startswith(".") and each != end]
        return sorted({*named, *(name for name in found if matches(name, self._patterns))})

    def _begin(self, name: str) -> None:
        self._reports[name] = LogReport(log=name)

        def say(_: str, question: bytes) -> bytes:
            return self._answer(name, question)

        def about(_: str, question: bytes) -> bytes:
            return self._about(name)

        heard: Callable[[], object] = self._news.set
        self._outlets[name] = self._engine.outlet(key_of(self._host, name, NEWS), heard)
        self._said.append(self._engine.answer(key_of(self._host, name, LOG), say))
        self._said.append(self._engine.answer(key_of(self._host, name, ABOUT), about))
