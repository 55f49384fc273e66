"""Message logs within one process: what goes in comes out, in order, and what was overwritten is counted."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import random
from pathlib import Path

import pytest

from pymilk import errors
from pymilk.channels import MessageLog
from pymilk.channels.files import Kind
from pymilk.channels.log import HEADER_NBYTES, longest_record, new_header
from support.waiting import until

SMALL = HEADER_NBYTES + 1024


def drained(log: MessageLog) -> list[tuple[int, bytes | str]]:
    """Read what is there, one by one."""
    found = []
    while True:
        try:
            message = log.read(timeout=0)
        except errors.ChannelTimeoutError:
            return found
        found.append((message.number, message.data))


def test_messages_come_out_as_they_went_in():
    sent = [b"", b"x", "text", "\u00b5m", b"\0" * 9, bytearray(b"abc"), memoryview(b"de")]
    with MessageLog.create("log") as log, MessageLog.attach("log") as reader:
        assert [log.append(each) for each in sent] == list(range(1, 8))
        found = [reader.read(timeout=1) for _ in sent]
    assert [each.data for each in found] == [b"", b"x", "text", "\u00b5m", b"\0" * 9, b"abc", b"de"]
    assert [each.number for each in found] == list(range(1, 8))
    assert all(each.lost == 0 for each in found)
    assert [each.time_ns for each in found] == sorted(each.time_ns for each in found)


def test_each_reader_has_a_place_of_its_own():
    with MessageLog.create("log") as log:
        log.append("old")
        now, all_of_it = MessageLog.attach("log"), MessageLog.attach("log", start="oldest")
        log.append("new")
        assert drained(now) == [(2, "new")]
        assert drained(all_of_it) == [(1, "old"), (2, "new")]
        now.close()
        all_of_it.close()


def test_lapped_reader_is_told_how_many():
    with MessageLog.create("log", SMALL) as log, MessageLog.attach("log") as reader:
        for number in range(100):
            log.append(b"%03d" % number)
        first = reader.read(timeout=0)
        # A message takes 40 bytes here.
        assert first.number == 100 - 25 + 1
        assert first.lost == first.number - 1 == reader.lost
        assert [number for number, _ in drained(reader)] == list(range(first.number + 1, 101))


@pytest.mark.parametrize("seed", range(8))
def test_any_lengths_in_any_order(seed):
    """Against a model: every message that is read is right, and those that are not are counted."""
    choice = random.Random(seed)
    size = HEADER_NBYTES + choice.choice((1024, 1032, 2000, 4096))
    with (
        MessageLog.create("log", size) as log,
        MessageLog.attach("log") as one,
        MessageLog.attach("log") as many,
    ):
        sent: list[bytes] = []
        seen = {one: 0, many: 0}
        for _ in range(3000):
            step = choice.randrange(8)
            if step < 6:
                sent.append(choice.randbytes(choice.choice((0, 1, 7, 8, 40, 200, log.longest))))
                assert log.append(sent[-1]) == len(sent)
            elif step == 6 and seen[one] < len(sent):
                message = one.read(timeout=0)
                assert message.number == seen[one] + message.lost + 1
                assert message.data == sent[message.number - 1]
                seen[one] = message.number
            elif step == 7:
                batch = many.read_many(choice.choice((None, 1, 3)))
                for index, row in enumerate(batch.rows):
                    assert row["number"] == seen[many] + batch.lost + 1 + index
                    assert batch[index] == sent[int(row["number"]) - 1]
                if len(batch):
                    seen[many] = int(batch.rows["number"][-1])
        for reader in (one, many):
            rest = reader.read_many()
            seen[reader] += len(rest) + rest.lost
            assert seen[reader] == len(sent)
            assert reader.lost > 0


def test_longest_message_and_one_more():
    with MessageLog.create("log", SMALL) as log, MessageLog.attach("log") as reader:
        assert log.longest == longest_record(1024) == 480
        for _ in range(5):
            log.append(b"x" * log.longest)
        with pytest.raises(errors.RecordTooLongError, match=r"481 bytes .*, 480 are the most") as caught:
            log.append(b"x" * 481)
        assert (caught.value.nbytes, caught.value.longest) == (481, 480)
        assert log.count == 5
        assert len(reader.read_many()) == 2


def test_one_writer():
    with MessageLog.create("log") as log:
        with pytest.raises(errors.ChannelInUseError, match="another object of this process writes it"):
            MessageLog.attach("log", write=True)
        log.append("first")
    with MessageLog.attach("log", write=True) as again:
        assert again.append("second") == 2


def test_reader_does_not_write():
    with (
        MessageLog.create("log"),
        MessageLog.attach("log") as reader,
        pytest.raises(errors.ChannelReadOnlyError, match="write=True"),
    ):
        reader.append("x")


def test_removed_log_is_read_to_its_end():
    log, reader = MessageLog.create("log"), MessageLog.attach("log")
    log.append("last")
    log.remove()
    assert reader.read(timeout=1).data == "last"
    with pytest.raises(errors.ChannelRemovedError):
        reader.read()
    reader.close()


def test_replaced_log():
    with MessageLog.create("log") as log:
        reader = MessageLog.attach("log")
        with pytest.raises(errors.ChannelExistsError, match="replace=True"):
            MessageLog.create("log")
        with pytest.raises(errors.ChannelInUseError):
            MessageLog.create("log", replace=True)
        log.append("kept")
    with MessageLog.create("log", replace=True) as new:
        assert new.count == 0
        assert reader.read(timeout=1).data == "kept"
        with pytest.raises(errors.ChannelRemovedError):
            reader.read()
        reader.close()


def test_closed():
    log = MessageLog.create("log")
    log.close()
    log.close()
    calls = (
        log.read_many, log.join_now, log.join_oldest, lambda: log.append("x"), lambda: log.read(timeout=0),
        lambda: log.count, lambda: log.wait(0), lambda: log.last_ns, lambda: log.identity,
        lambda: log.longest,
    )  # fmt: skip
    for call in calls:
        with pytest.raises(errors.ChannelClosedError, match="channel 'log' is closed"):
            call()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: MessageLog.attach("none"), errors.ChannelNotFoundError, "does not exist"),
        (lambda: MessageLog.attach("a/b"), errors.ChannelArgumentError, "end in '.msg.shm'"),
        (lambda: MessageLog.create(""), errors.StreamNameError, "must not be empty"),
        (lambda: MessageLog.create("x" * 80), errors.StreamNameError, "80 bytes"),
        (lambda: MessageLog.create(7), errors.StreamNameError, "is a str"),
        (lambda: MessageLog.create("log", 100), errors.ChannelArgumentError, "nbytes is a number from 5120"),
        (lambda: MessageLog.create("log", "1"), errors.ChannelArgumentError, "nbytes is a number"),
        (lambda: MessageLog.create("log", True), errors.ChannelArgumentError, "nbytes is a number"),
        (lambda: MessageLog.attach("log", start="last"), errors.ChannelArgumentError, "'now' or 'oldest'"),
        (MessageLog, TypeError, "MessageLog.create"),
    ],
)
def test_bad_arguments(shm_dir, call, error, words):
    with pytest.raises(error, match=words):
        call()
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize("bad", [7, None, ["a"], "\ud800", memoryview(b"abcd")[::2]])
def test_bad_data(bad):
    with MessageLog.create("log") as log:
        with pytest.raises(errors.ChannelArgumentError, match="a message is bytes, text that UTF-8 has"):
            log.append(bad)
        assert log.count == 0


def test_bad_limits():
    with MessageLog.create("log"), MessageLog.attach("log") as reader:
        for bad in (0, -1, 1.5, "2", True):
            with pytest.raises(errors.StreamArgumentError, match="limit"):
                reader.read_many(bad)
        for bad in (-1, "x", float("nan")):
            for call in (reader.read, reader.wait):
                with pytest.raises(errors.StreamArgumentError, match="timeout"):
                    call(bad)


def test_message_that_is_longer_than_a_batch():
    with MessageLog.create("log", 32 << 20) as log, MessageLog.attach("log") as reader:
        sent = [bytes([number]) * (6 << 20) for number in range(6)]
        for each in sent:
            log.append(each)
        found = []
        while len(batch := reader.read_many()):
            found += list(batch)
        assert found == sent[-len(found) :]
        assert len(found) == 6 - reader.lost >= 4


@pytest.mark.parametrize("how", ["deleted", "replaced", "removed"])
def test_writer_learns_that_its_file_is_gone(shm_dir, how):
    with MessageLog.create("log") as log, MessageLog.attach("log") as other:
        log.append("seen")
        path = shm_dir / "log.msg.shm"
        if how == "removed":
            other.remove()
        else:
            path.unlink()
        if how == "replaced":
            path.write_bytes(b"x")

        def told() -> bool:
            try:
                log.append("not seen")
            except errors.ChannelRemovedError:
                return True
            return False

        until(told)
        with pytest.raises(errors.ChannelRemovedError):
            log.append("not seen either")


def damage(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", "file size"),
        (new_header(Kind.msg, SMALL), "file size"),
        (b"x" * SMALL, "magic"),
        (new_header(2, SMALL).ljust(SMALL, b"\0"), "kind"),
        (new_header(Kind.msg, SMALL + 8).ljust(SMALL, b"\0"), "nbytes"),
        ((b"PYMILKCH\x07\0\0\0" + new_header(Kind.msg, SMALL)[12:]).ljust(SMALL, b"\0"), "version"),
    ],
)
def test_files_that_are_no_log(shm_dir, content, field):
    path = shm_dir / "log.msg.shm"
    path.write_bytes(content)
    for write in (False, True):
        with pytest.raises(errors.ChannelFormatError) as caught:
            MessageLog.attach("log", write=write)
        assert caught.value.field == field
    assert path.read_bytes() == content


def test_file_that_is_cut_while_it_is_read(shm_dir):
    with MessageLog.create("log") as log, MessageLog.attach("log") as reader:
        log.append("x" * 5000)
        os.truncate(shm_dir / "log.msg.shm", HEADER_NBYTES)
        for call in (lambda: reader.read(timeout=0), reader.read_many, lambda: log.append("y")):
            with pytest.raises(errors.ChannelDamagedError):
                call()


def test_records_that_are_overwritten(shm_dir):
    path = shm_dir / "log.msg.shm"
    with MessageLog.create("log") as log, MessageLog.attach("log") as reader:
        log.append("x" * 100)
        damage(path, HEADER_NBYTES, b"\xff" * 32)
        for call in (lambda: reader.read(timeout=0), reader.read_many):
            with pytest.raises(errors.ChannelDamagedError):
                call()


def test_message_has_its_facts_in_its_text():
    with MessageLog.create("log") as log, MessageLog.attach("log") as reader:
        log.append("hello")
        assert repr(reader.read(timeout=0)) == "Message('hello', number=1)"
        assert repr(reader) == "<MessageLog 'log' reading>"
        assert repr(reader.read_many()) == "<Batch of 0 messages, 0 lost before>"


def test_a_writer_that_is_forgotten_lets_others_write():
    before = len(os.listdir("/proc/self/fd"))
    MessageLog.create("forgotten", 8192).append(b"one")
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
    with MessageLog.attach("forgotten", write=True) as log:
        assert log.append(b"two") == 2


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_messages_travel(shm_dir, again):
    """They are values, which programs hand to other processes."""
    with MessageLog.create("log", 5120) as log, MessageLog.attach("log") as reader:
        log.append_many([b"x" * 400] * 9)
        log.append("text")
        batch = again(reader.read_many())
        assert (batch[-1], batch.lost, len(batch)) == ("text", batch.rows["number"][0] - 1, len(batch.rows))
        log.append(b"bytes")
        message = reader.read(0)
        travelled = again(message)
        for name in ("data", "number", "time_ns", "lost"):
            assert getattr(travelled, name) == getattr(message, name)
        assert repr(travelled) == repr(message) == "Message(b'bytes', number=11)"
