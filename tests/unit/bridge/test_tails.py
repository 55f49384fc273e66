"""Message logs over an engine within this process: what comes, what is asked for again, what is counted."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pymilk.bridge import Sender, Tail, directory
from pymilk.bridge.log_wire import LogAnswer, LogQuestion, LogRecord
from pymilk.channels import MessageLog
from pymilk.errors import (
    BridgeError,
    BridgeMessageError,
    StreamArgumentError,
    StreamBusyError,
    StreamTimeoutError,
)
from support.waiting import until


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr("pymilk.bridge.tail._AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("pymilk.bridge.tail._NEWS_SECONDS", 0.05)
    monkeypatch.setattr("pymilk.bridge.log_desk._LOOK_SECONDS", 0.05)
    monkeypatch.setattr("pymilk.bridge.log_desk._WAIT_SECONDS", 0.05)


@pytest.fixture
def log(shm_dir):
    with MessageLog.create("app", 8192) as made:
        yield made


@pytest.fixture
def sending(wires, shm_dir):
    """Send logs as host "rtc"."""
    with Sender((), host="rtc", log=("app*",), engine=wires) as made:
        until(lambda: made.report.logs and any(each.key.endswith("/log") for each in wires.answers))
        yield made


def tail(wires, **given):
    return Tail("rtc/app", engine=wires, **given)


def texts(found):
    return [each.data for each in found]


def read(reader, count):
    return [reader.read(30) for _ in range(count)]


def asked_in_vain(reader):
    with pytest.raises(StreamTimeoutError):
        reader.read(0)
    return True


def account(reader):
    report = reader.report
    return report.received, report.before, report.on_way, report.away, report.remade, report.cut_short


def test_messages_come_with_their_numbers_times_and_types(log, wires, sending):
    log.append_many(["one", b"\x00two", "thr\u00e9e"])
    with tail(wires, last=3) as reader, MessageLog.attach("app", start="oldest") as near:
        log.append("four")
        found, local = read(reader, 3), [near.read() for _ in range(4)][1:]
        assert texts(found) == [b"\x00two", "thr\u00e9e", "four"]
        assert [(each.data, each.number, each.time_ns) for each in local] == [each[:3] for each in found]
        assert account(reader) == (3, 0, 0, 0, 0, 0)


def test_logs_are_listed_with_streams(log, wires, make_stream):
    """One of each has the same name; the clock is that of the host."""
    log.append_many(["one", "two"])
    make_stream("app", (4, 6), np.uint16)
    with Sender(("app",), host="rtc", log=("app*",), engine=wires) as made, tail(wires) as reader:
        until(lambda: made.report.logs and made.report.streams)
        read(reader, 2)
        found = directory(engine=wires)
        assert [(each.host, each.stream, each.kind) for each in found] == [
            ("rtc", "app", "log"), ("rtc", "app", "stream")
        ]  # fmt: skip
        first, second = found
        assert (first.counter, first.sent, first.shape, first.dtype) == (2, 2, (), "")
        assert first.age is not None
        assert first.age >= 0
        assert second.shape == (4, 6)
        assert first.clock_offset == second.clock_offset
        assert first.clock_offset is not None
        log.remove()
        assert directory(engine=wires)[0].counter == 0  # there was one


def test_those_that_are_there_and_no_more(log, wires, sending):
    log.append_many(str(number) for number in range(30))
    with tail(wires, follow=False) as reader:
        assert texts(reader) == [str(number) for number in range(20, 30)]
    with tail(wires, follow=False, last=1000) as reader:
        assert texts(reader) == [str(number) for number in range(30)]
    with tail(wires, follow=False, last=0) as reader:
        assert texts(reader) == []


def test_news_is_told(log, wires, sending, monkeypatch):
    """Without that the next question would come after an hour."""
    monkeypatch.setattr("pymilk.bridge.tail._NEWS_SECONDS", 3600.0)
    with tail(wires, last=0) as reader:
        until(lambda: sending.report.logs[0].wanted)
        assert asked_in_vain(reader)
        log.append("news")
        assert reader.read(30).data == "news"


def test_what_was_overwritten_before_it_was_read_is_counted(log, wires, sending):
    with tail(wires) as reader:
        log.append("first")
        assert reader.read(30).number == 1
        log.append_many("x" * 100 for _ in range(500))
        found = reader.read(30)
        assert found.lost == found.number - 2 > 0
        rest = read(reader, 501 - found.number)
        assert [each.lost for each in rest] == [0] * len(rest)
        assert account(reader) == (2 + len(rest), found.lost, 0, 0, 0, 0)


def test_what_was_lost_on_the_way_is_asked_for_again(log, wires, sending):
    """As long as the log has it; what it has no more was lost on the way, and not before."""
    ask, drop = wires.ask, []

    def losing(key, timeout, question=b""):
        answers = ask(key, timeout, question)
        return [] if drop and drop.pop() else answers

    wires.ask = losing
    with tail(wires) as reader:
        log.append("first")
        read(reader, 1)
        log.append_many(["second", "third"])
        drop.append(True)
        assert texts(read(reader, 2)) == ["second", "third"]
        assert reader.report.again == 1
        log.append_many(["fourth", "fifth"])
        drop.append(True)
        until(lambda: asked_in_vain(reader) and not drop)
        log.append_many("x" * 100 for _ in range(500))
        found = reader.read(30)
        report = reader.report
        assert (report.on_way, report.away) == (2, found.lost - 2)
        assert report.lost == found.lost == found.number - 4


def test_a_sender_that_comes_again(log, wires):
    with tail(wires) as reader:
        with Sender((), host="rtc", log=("app",), engine=wires):
            log.append("first")
            assert reader.read(30).data == "first"
        log.append_many(["second", "third"])
        with pytest.raises(StreamTimeoutError):
            reader.read(0.02)
        assert "nobody answers for rtc/app" in reader.report.trouble
        with Sender((), host="rtc", log=("app",), engine=wires):
            assert texts(read(reader, 2)) == ["second", "third"]
        assert account(reader) == (3, 0, 0, 0, 0, 0)
        log.append_many("x" * 100 for _ in range(500))
        with pytest.raises(StreamTimeoutError):
            reader.read(0.02)
        with Sender((), host="rtc", log=("app",), engine=wires):
            found = reader.read(30)
        assert account(reader) == (4, 0, 0, found.number - 4, 0, 0)


def test_a_log_that_is_made_anew_is_read_to_its_end_first(log, wires, sending):
    with tail(wires) as reader:
        log.append_many(["first", "second"])
        read(reader, 2)
        log.append("last of the old")
        log.close()
        with MessageLog.create("app", replace=True) as new:
            new.append_many(["a", "b"])
            found = read(reader, 3)
            assert texts(found) == ["last of the old", "a", "b"]
            assert [each.new_log for each in found] == [False, True, False]
            assert [each.number for each in found] == [3, 1, 2]
        assert account(reader) == (5, 0, 0, 0, 1, 0)


def test_the_first_messages_of_a_new_log_are_lost_on_the_way(log, wires, sending):
    """The old one was read to its end, which is still known when they are asked for again."""
    ask = wires.ask
    with tail(wires) as reader:
        log.append("first")
        read(reader, 1)
        log.close()
        with MessageLog.create("app", replace=True) as new:
            new.append("anew")
            lost = []

            def losing(key, timeout, question=b""):
                answers = ask(key, timeout, question)
                if not lost and b"anew" in answers[0].message:
                    lost.append(answers)
                    return []
                return answers

            wires.ask = losing
            assert reader.read(30).new_log
        assert lost
        assert account(reader) == (2, 0, 0, 0, 1, 0)


def test_the_end_of_a_log_that_nobody_read_is_not_known(log, wires):
    with tail(wires) as reader:
        with Sender((), host="rtc", log=("app",), engine=wires):
            log.append("first")
            read(reader, 1)
        log.append("never read")
        log.close()
        with (
            MessageLog.create("app", 8192, replace=True) as new,
            Sender((), host="rtc", log=("app",), engine=wires),
        ):
            new.append("anew")
            assert reader.read(30).new_log
        assert account(reader) == (2, 0, 0, 0, 1, 1)
        assert "is not known" in reader.report.reasons()[0]


def test_a_log_that_is_away_for_a_while(log, wires, sending):
    """Its end was read: nothing is unknown when it comes again."""
    with tail(wires) as reader:
        log.append("first")
        read(reader, 1)
        log.remove()
        with pytest.raises(StreamTimeoutError):
            reader.read(0.02)
        with MessageLog.create("app") as new:
            new.append("anew")
            assert reader.read(30).new_log
        assert account(reader) == (2, 0, 0, 0, 1, 0)


def test_more_readers_than_places_are_kept(log, wires, sending, monkeypatch):
    monkeypatch.setattr("pymilk.bridge.log_desk._ASKERS_MOST", 2)
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(tail(wires)) for _ in range(5)]
        for number in range(1, 4):
            log.append(str(number))
            for each in readers:
                assert each.read(30).number == number
        assert {account(each) for each in readers} == {(3, 0, 0, 0, 0, 0)}
        assert len(sending._logs._places) == 2


def test_many_messages_in_pieces(log, wires, sending, monkeypatch):
    monkeypatch.setattr("pymilk.bridge.log_desk._ANSWER_NBYTES", 64)
    log.append_many("x" * 10 for _ in range(50))
    with tail(wires, last=50, follow=False) as reader:
        assert [each.number for each in reader] == list(range(1, 51))
    assert sending.report.logs[0].asked >= 7


def test_what_is_wrong(log, wires, monkeypatch):
    with pytest.raises(StreamArgumentError):
        Sender((), engine=wires)
    with pytest.raises(StreamArgumentError):
        Sender((), log="app", engine=wires)
    with pytest.raises(StreamArgumentError):
        Tail("rtc/app", last=-1)
    monkeypatch.setattr("pymilk.bridge.tail._FIRST_SECONDS", 0.1)
    with tail(wires, follow=False) as reader, pytest.raises(BridgeError, match="nobody answers for rtc/app"):
        next(iter(reader))
    with (
        Sender((), host="rtc", log=("other",), engine=wires) as sender,
        Tail("rtc/other", engine=wires, follow=False) as reader,
    ):
        until(lambda: sender.report.logs)
        with pytest.raises(BridgeError, match="the sender of rtc/other refuses"):
            next(iter(reader))
    with pytest.raises(StreamArgumentError):
        reader.read(0)


def answer(**given):
    records = [LogRecord("a", 4, 1), LogRecord(b"bc", 5, 2)]
    made = LogAnswer(log=7, longest=100, written=5, sender=1, lost=0, on_way=0, whole=False, records=records)
    return made._replace(**given)


ASKED = LogQuestion(asker=1, log=7, after=3, last=10, nbytes=100)


def test_answers_are_checked():
    assert LogAnswer.decode(answer().encode(), ASKED) == answer()
    data = answer().encode()
    wrong = [data[:-1], data + b"x", data[:20], b"", b"XXXX" + data[4:], data[:4] + b"\x02" + data[5:],
             data[:8] + b"\xff\xff\xff\xff" + data[12:]]  # fmt: skip
    wrong += [answer(**each).encode() for each in (
        {"log": 0}, {"lost": 1}, {"on_way": 1}, {"written": 4}, {"written": 2**63}, {"longest": 2**63},
        {"records": answer().records[1:]}, {"records": answer().records[::-1]}, {"log": 8},
    )]  # fmt: skip
    for each in wrong:
        with pytest.raises(BridgeMessageError):
            LogAnswer.decode(each, ASKED)


@pytest.mark.parametrize("question", [b"", b"[]", b"{}", b"null", b'{"asker": 1}', b"\xff", b"[" * 100_000])
def test_questions_are_checked(question, log, wires, sending):
    (said,) = wires.ask("pymilk/1/rtc/app/log", 1, question)
    assert said.message.startswith(b"PMNO")
    with pytest.raises(StreamArgumentError):
        LogQuestion.read(question)


def test_a_log_here_with_the_messages_of_there(log, wires, sending):
    log.append_many(["a", b"b", "x" * log.longest])
    with tail(wires, follow=False) as reader:
        for message in reader:
            with reader.local_log("far") as far:
                far.append(message.data)
    with MessageLog.attach("far", start="oldest") as far:
        assert [far.read(0).data for _ in range(3)] == ["a", b"b", "x" * log.longest]
        far.remove()


def test_a_second_thread_that_reads_is_told(log, wires, sending):
    with tail(wires) as reader, ThreadPoolExecutor(1) as pool:
        reads = pool.submit(reader.read, 30)
        until(reader._alone.locked)
        for other in (lambda: reader.read(0), lambda: next(iter(reader))):
            with pytest.raises(StreamBusyError, match="tail of rtc/app: another thread is reading"):
                other()
        log.append("one")
        assert reads.result(30).data == "one"
        log.append("two")
        assert reader.read(30).data == "two"
