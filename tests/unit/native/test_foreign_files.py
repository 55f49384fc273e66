"""Files that are no regular streams, are not ready, or belong to other programs."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pymilk._core import Stream, read_header
from pymilk.errors import StreamError, StreamFormatError, StreamNotFoundError, StreamTimeoutError
from support import isio_format as fmt
from support.bad_files import DOORS, attach_read_only, attach_writable, refuse
from support.codec import base, patched

# --- other programs' files ---------------------------------------------------------------------


@DOORS
@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.00", ("ImageStreamIO 1.00", "semaphores are separate files", "recreate it")),
        ("1.02", ("ImageStreamIO 1.02", "recreate it")),
        ("0.0.01", ("ImageStreamIO 0.0.01", "336 or 368 bytes", "recreate it")),
        ("0.0.02", ("ImageStreamIO 0.0.02",)),
        ("xaosim", ("xaosim", "336-byte header", "recreate it")),
        ("garbage", ("was not written by ImageStreamIO 2",)),
    ],
)
def test_other_version(
    door: Callable[[Path], object],
    version: str,
    words: tuple[str, ...],
    store: Callable[[bytes], Path],
) -> None:
    data = bytearray(2000)
    struct.pack_into("32s80s", data, 0, version.encode(), b"base")
    refuse(door, store(data), "version", repr(version), "'2.x'", *words)


def name_first(header: int, *, nbkw: int = 5, **fields: int) -> bytearray:
    """A file of the oldest kind, which begins with the name: 30 x 20 uint16."""
    values = {"naxis": 2, "nelement": 600, "datatype": 3} | fields
    data = bytearray(header + 1200 + 120 * nbkw)
    struct.pack_into("<80sB3x3I", data, 0, b"dao_wfs", values["naxis"], 30, 20, 0)
    struct.pack_into("<QB", data, 96, values["nelement"], values["datatype"])
    struct.pack_into("<H", data, 178, nbkw)
    return data


@DOORS
@pytest.mark.parametrize("header", [4296, 5344, 16400, 16448])
def test_durham_dao(
    door: Callable[[Path], object], header: int, store: Callable[[bytes], Path]
) -> None:
    for nbkw in (0, 5):
        path = store(name_first(header, nbkw=nbkw))
        refuse(door, path, "version", "'dao_wfs'", "Durham's DAO", "own reader")


@DOORS
@pytest.mark.parametrize("header", [184, 200, 4304])
def test_early_cacao(
    door: Callable[[Path], object], header: int, store: Callable[[bytes], Path]
) -> None:
    path = store(name_first(header))
    refuse(door, path, "version", "'dao_wfs'", "early CACAO", "without a version", "recreate it")


@DOORS
@pytest.mark.parametrize(
    "fields",
    [{"naxis": 0}, {"naxis": 4}, {"datatype": 0}, {"datatype": 13}, {"nelement": 601}],
    ids=repr,
)
def test_neither_old_nor_new(
    door: Callable[[Path], object], fields: dict[str, int], store: Callable[[bytes], Path]
) -> None:
    path = store(name_first(4296, **fields))
    refuse(door, path, "version", "'dao_wfs'", "was not written by ImageStreamIO 2")


def test_fits_file(store: Callable[[bytes], Path]) -> None:
    card = b"SIMPLE  =                    T".ljust(2880)
    error = refuse(attach_writable, store(card), "version", repr(card[:32].decode()))
    assert "was not written by ImageStreamIO 2" in str(error)


# --- not regular files -------------------------------------------------------------------------


@DOORS
def test_directory(door: Callable[[Path], object], shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    path.mkdir()
    with pytest.raises(StreamFormatError, match="a regular file") as caught:
        door(path)
    assert caught.value.field == "file"
    assert caught.value.path == str(path)
    assert caught.value.found == "a directory"


@DOORS
def test_fifo(door: Callable[[Path], object], shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    os.mkfifo(path, 0o600)
    with pytest.raises(StreamFormatError, match="a regular file") as caught:
        door(path)
    assert (caught.value.field, caught.value.found) == ("file", "a FIFO")


@DOORS
def test_character_device(door: Callable[[Path], object], shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    path.symlink_to("/dev/null")
    with pytest.raises(StreamFormatError, match="a regular file") as caught:
        door(path)
    assert caught.value.found == "a device"


@DOORS
def test_socket(door: Callable[[Path], object], shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    with pytest.raises(StreamFormatError, match="a regular file") as caught:
        door(path)
    assert caught.value.found == "a socket"
    assert str(path) in str(caught.value)
    assert caught.value.stream == "x"


@DOORS
def test_link_to_itself(door: Callable[[Path], object], shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    path.symlink_to(path)
    with pytest.raises(StreamError, match=os.strerror(errno.ELOOP)):
        door(path)


@DOORS
@pytest.mark.parametrize("target", ["nowhere.im.shm", "missing/x.im.shm"])
def test_link_to_nowhere(door: Callable[[Path], object], target: str, shm_dir: Path) -> None:
    path = shm_dir / "x.im.shm"
    path.symlink_to(shm_dir / target)
    with pytest.raises(StreamNotFoundError, match="does not exist") as caught:
        door(path)
    assert caught.value.path == str(path)


@DOORS
def test_file_in_the_place_of_the_directory(
    door: Callable[[Path], object], store: Callable[[bytes], Path]
) -> None:
    path = store(base()) / "x.im.shm"
    with pytest.raises(StreamNotFoundError) as caught:
        door(path)
    assert caught.value.path == str(path)


def test_link_to_a_stream(store: Callable[[bytes], Path], shm_dir: Path) -> None:
    link = shm_dir / "link.im.shm"
    link.symlink_to(store(base()))
    with Stream.attach(link) as stream:
        assert (stream.name, stream.stored_name) == ("link", "base")
        assert not stream.replaced()


# --- not ready ---------------------------------------------------------------------------------


def test_version_that_comes_in_time(
    store: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The creator finishes in another thread while attach waits for it."""
    path = store(patched(version="", name=""))

    def finish() -> None:
        with open(path, "r+b") as file:
            file.write(base())

    creator = threading.Thread(target=finish)
    pauses = []

    def pause(seconds: float) -> None:
        # Attach has found the version empty, or it would not pause.
        pauses.append(seconds)
        if len(pauses) == 3:
            creator.start()
            creator.join()

    monkeypatch.setattr(time, "sleep", pause)
    with Stream.attach(path) as stream:
        assert (stream.version, stream.stored_name, stream.shape) == ("2.00", "base", (4, 8))
    assert len(pauses) == 3
    assert sum(pauses) <= 0.1


@pytest.mark.parametrize("data", [patched(version=""), bytearray(1856)], ids=["version", "all"])
@pytest.mark.parametrize("door", [attach_writable, attach_read_only])
def test_version_that_stays_empty(
    door: Callable[[Path], object], data: bytearray, store: Callable[[bytes], Path]
) -> None:
    path = store(data)
    began = time.monotonic()
    refuse(door, path, "version", "empty", "'2.x'", "still being created", "its creator died")
    assert time.monotonic() - began >= 0.1


def test_read_header_does_not_wait_for_the_version(
    store: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store(patched(version=""))
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", lambda seconds: pytest.fail("waited"))
        refuse(read_header, path, "version", "empty", "still being created")


def test_file_that_grows_while_its_version_is_empty(
    store: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A creator that fills its file in two steps, the size in the second."""
    path = store(patched(600, version=""))
    monkeypatch.setattr(time, "sleep", lambda seconds: path.write_bytes(base()))
    with Stream.attach(path) as stream:
        assert stream.file_nbytes == 1856


def test_version_that_comes_out_wrong(
    store: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store(patched(version=""))
    monkeypatch.setattr(time, "sleep", lambda seconds: path.write_bytes(patched(version="1.05")))
    with pytest.raises(StreamFormatError, match=r"ImageStreamIO 1\.05") as caught:
        Stream.attach(path)
    assert caught.value.field == "version"


# --- creating where such a file is -------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", patched(naxis=7), patched(version="1.00")], ids=len)
def test_create_replaces_what_is_no_stream(data: bytes, store: Callable[[bytes], Path]) -> None:
    path = store(data)
    inode = path.stat().st_ino
    with Stream.create(path, (2, 3), np.uint16) as stream:
        assert path.stat().st_ino != inode
        assert stream.publish(np.ones((2, 3), np.uint16)) == 1
    assert list(path.parent.iterdir()) == [path]


def test_opened_file_is_closed_again(store: Callable[[bytes], Path]) -> None:
    path = store(patched(naxis=7))
    opened = os.listdir("/proc/self/fd")
    for door in (attach_writable, attach_read_only, read_header):
        refuse(door, path, "naxis", 7)
    assert os.listdir("/proc/self/fd") == opened


# --- semaphores that another program has overwritten --------------------------------------------


@pytest.mark.parametrize("word", [1, 6, 137, 2**31, 2**32 - 1])
def test_overwritten_semaphore_is_left_alone(word: int, store: Callable[[bytes], Path]) -> None:
    """Its third word goes into the number of a system call; the C library ends the process."""
    whole = fmt.fresh("base", [8, 4], 9, nbkw=4, nbsem=3)
    bad = struct.pack("<III20x", 0, 2**32 - 1, word)
    good = fmt.semaphore_word()
    whole.semaphores, whole.semlog = [bad, good, bad], bad
    path = store(fmt.encode(whole))
    with Stream.attach(path) as stream:
        assert stream.publish(np.ones((4, 8), np.float32)) == 1
        assert stream.sem_values() == [0, 1, 0]
        assert not stream.sem_wait(0, 0.01)
        stream.post(0)
        assert stream.sem_value(0) == 0
        assert stream.take_semaphore(0) == 1
        began = time.monotonic()
        with pytest.raises(StreamTimeoutError):
            stream.wait(0.01)
        assert time.monotonic() - began >= 0.01
    after = fmt.decode(path.read_bytes())
    assert after.semaphores[0] == after.semaphores[2] == after.semlog == bad
    # A stream that has no usable one is watched for its counter.
    whole.semaphores = [bad, bad, bad]
    path = store(fmt.encode(whole))
    with Stream.attach(path) as stream, Stream.attach(path) as writer:
        reader = stream.reader()
        assert reader.sem_index is None
        publisher = threading.Timer(0.01, writer.publish, [np.ones((4, 8), np.float32)])
        publisher.start()
        assert reader.wait(30, after=0) == 1
        assert reader.sem_index is None
        publisher.join()
