"""What becomes of a stream when another one of its name is made, within one process."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import StreamArgumentError, StreamExistsError

FRAME = np.ones((4, 4), np.uint16)


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize("replace", [True, "if-free", None])
def test_stream_of_this_process_is_replaced_in_silence(make, replace):
    old = make("cam", FRAME)
    inode = os.stat(old.FILEPATH).st_ino
    new = make("cam", FRAME, replace=replace)
    assert os.stat(new.FILEPATH).st_ino != inode


def test_false_never_replaces(make):
    old = make("cam", FRAME, replace=False)
    with pytest.raises(StreamExistsError, match="replace=True") as caught:
        SHM("cam", FRAME, replace=False)
    assert caught.value.stream == "cam"
    assert not old._stream.replaced()


@pytest.mark.parametrize("word", ["false", "no", "0", "False"])
def test_environment_decides_where_nothing_is_said(make, monkeypatch, word):
    make("cam", FRAME)
    monkeypatch.setenv("PYMILK_REPLACE", word)
    for create in (lambda: SHM("cam", FRAME), lambda: Stream.create("cam", (2,), "u1")):
        with pytest.raises(StreamExistsError):
            create()
    make("cam", FRAME, replace=True)


def test_wrong_words(monkeypatch, make):
    for wrong in ("yes", 1, "free", b"if-free"):
        with pytest.raises(StreamArgumentError, match="replace is True, False or 'if-free'") as caught:
            SHM("cam", FRAME, replace=wrong)
        assert caught.value.argument == "replace"
    make("cam", FRAME)
    with pytest.raises(StreamArgumentError, match="leave replace out"):
        SHM("cam", replace=False)
    with pytest.raises(StreamArgumentError, match="exist_ok"):
        Stream.create("cam", (2,), "u1", exist_ok=False, replace=True)
    monkeypatch.setenv("PYMILK_REPLACE", "perhaps")
    with pytest.raises(StreamArgumentError, match="PYMILK_REPLACE is 'if-free'") as caught:
        SHM("cam", FRAME)
    assert caught.value.argument == "PYMILK_REPLACE"


def test_mode_is_kept(make):
    path = make("cam", FRAME, mode=0o640).FILEPATH
    make("cam", FRAME)
    assert mode_of(path) == 0o640
    os.chmod(path, 0o600)
    make("cam", np.zeros((2, 2), np.uint8), replace="if-free")
    assert mode_of(path) == 0o600
    make("cam", FRAME, mode=0o664)
    assert mode_of(path) == 0o664


def test_mode_of_what_a_link_leads_to_is_not_taken(make, shm_dir):
    target = shm_dir / "else"
    target.write_bytes(b"x")
    target.chmod(0o600)
    os.symlink(target, shm_dir / "cam.im.shm")
    umask = os.umask(0o022)
    try:
        path = make("cam", FRAME).FILEPATH
    finally:
        os.umask(umask)
    assert mode_of(path) == 0o644
    assert mode_of(str(target)) == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give files away")
def test_root_keeps_the_owner(make):
    path = Path(make("cam", FRAME).FILEPATH)
    os.chown(path, 65534, 65534)
    make("cam", FRAME, mode=0o600)
    found = path.stat()
    assert (found.st_uid, found.st_gid) == (65534, 65534)
    assert mode_of(str(path)) == 0o600
