"""Other users: who may read, who may write, who may remove."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pymilk import SHM
from support.children import Child

Spawn = Callable[..., Child]
Make = Callable[..., SHM]
NOBODY = 65534
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become a second user")


@pytest.fixture
def open_dir(shm_dir: Path) -> Iterator[Path]:
    """The stream directory, which every user may enter."""
    shm_dir.chmod(0o755)
    yield shm_dir
    shm_dir.chmod(0o700)


# -- other users --------------------------------------------------------------------------------------

AS_NOBODY = f"""
import os, sys
import numpy as np
import pymilk
from pymilk import SHM
from pymilk.errors import *
for name in pymilk.__all__:  # loaded when first asked for, and nobody may not enter a private checkout
    getattr(pymilk, name)
import pymilk.inspection, pymilk.capture.capture, pymilk.ring.reader, pymilk.ring.reading
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})

def say(*words):
    print(*words, flush=True)
"""


@needs_root
@pytest.mark.parametrize("ring", [None, 16])
def test_user_who_may_only_read_reads_and_polls(
    make: Make, open_dir: Path, spawn: Spawn, ring: int | None
) -> None:
    options = {} if ring is None else {"ring": ring}
    shm = make("cam", np.full((3, 4), 1, np.uint16), mode=0o644, **options)
    shm.keywords["GAIN"] = 7
    before = Path(shm.FILEPATH).read_bytes()
    child = spawn(
        AS_NOBODY
        + """
shm = SHM("cam")
say(shm, dict(shm.keywords), shm.get_data()[0, 0], shm.semID if shm._stream.writable else None)
for call in (lambda: shm.set_data(np.zeros((3, 4), np.uint16)), lambda: shm.claim().__enter__(),
             lambda: shm.keywords.update(GAIN=8), lambda: shm._stream.post(), lambda: shm._stream.flush(),
             lambda: shm.set_many(np.zeros((1, 3, 4), np.uint16))):
    try:
        call()
    except StreamReadOnlyError as error:
        assert isinstance(error, PermissionError)
    else:
        raise AssertionError("it was allowed")
say(pymilk.survey()[0]["counter"])
input()
say("waits")
say(shm.get_data(check=True, timeout=60, checkSemAndFlush=False)[0, 0])
with shm.ring_reader(8) as ring:
    capture = shm.capture(1, timeout=60, background=True)
    say("waits", ring.source)
    say(capture.join().frames[0, 0, 0], ring.read(1, timeout=60).frames[0, 0, 0])
    say("waits")
    say(pymilk.wait_any([ring], 60))
try:
    shm.destroy()
except StreamPermissionError:
    say("kept")
"""
    )
    said = child.hear()
    assert "read-only: the file does not permit writing" in said
    assert said.endswith("{'GAIN': 7} 1 None")
    child.expect("1")
    assert Path(shm.FILEPATH).read_bytes() == before  # not one byte by a reader
    child.tell()
    child.expect("waits")
    shm.set_data(np.full((3, 4), 2, np.uint16))
    child.expect("2")
    child.expect(f"waits {'collector' if ring is None else 'fast'}")
    shm.set_data(np.full((3, 4), 3, np.uint16))
    child.expect("3 3")
    child.expect("waits")
    shm.set_data(np.full((3, 4), 4, np.uint16))
    child.expect("[0]")
    child.expect("kept")
    assert child.finish() == (0, "", "")
    assert set(shm._stream.section("sem_read_pid")) <= {-1, os.getpid()}
    assert [path.name for path in open_dir.iterdir()] == ["cam.im.shm"]


@needs_root
def test_private_stream_keeps_other_users_out(make: Make, open_dir: Path, spawn: Spawn) -> None:
    shm = make("cam", np.full((3, 4), 1, np.uint16), mode=0o600)
    make("seen", np.full((3, 4), 1, np.uint16), mode=0o666)
    before = os.stat(shm.FILEPATH)
    child = spawn(
        AS_NOBODY
        + """
from pymilk._core import read_header
from pymilk.inspection import remove_stream
for call in (lambda: SHM("cam"), lambda: pymilk.Stream.attach("cam", writable=False),
             lambda: read_header("cam"), lambda: pymilk.RingReader("cam"),
             lambda: pymilk.Relay("cam", "other", 4),
             lambda: remove_stream("cam", force=True), lambda: SHM("cam", np.zeros((3, 4), np.uint16)),
             lambda: SHM("new", np.zeros((3, 4), np.uint16))):
    try:
        call()
    except StreamPermissionError as error:
        assert error.path
    else:
        raise AssertionError("it was allowed")
found = {entry["name"]: entry for entry in pymilk.survey()}
say(sorted(found), "no permission" in found["cam"]["error"], found["seen"]["counter"])
with SHM("seen") as shm:
    shm.set_data(np.full((3, 4), 5, np.uint16))
say(pymilk.remove_stale())
"""
    )
    child.expect("['cam', 'seen'] True 1")
    child.expect("[]")
    assert child.finish() == (0, "", "")
    after = os.stat(shm.FILEPATH)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert (shm.get_data() == 1).all()


@needs_root
def test_in_a_directory_of_all_a_stream_belongs_to_its_maker(
    make: Make, shm_dir: Path, spawn: Spawn
) -> None:
    """In a directory with the sticky bit, as /tmp is."""
    shm_dir.chmod(0o1777)
    shm = make("cam", np.full((3, 4), 1, np.uint16), mode=0o666)
    left = shm_dir / ".cam.im.shm.4194303.0123abcd.new"  # the number is above those that processes get
    left.write_bytes(b"x")
    child = spawn(
        AS_NOBODY
        + """
shm = SHM("cam")
shm.set_data(np.full((3, 4), 2, np.uint16))
for call in (shm.destroy, lambda: SHM("cam", np.zeros((3, 4), np.uint16))):
    try:
        call()
    except StreamPermissionError as error:
        pass
    else:
        raise AssertionError("it was allowed")
own = SHM("own", np.zeros((3, 4), np.uint16))
own.destroy()
say(sorted(os.listdir(os.environ["MILK_SHM_DIR"])))
"""
    )
    child.expect(str(sorted([left.name, "cam.im.shm"])))
    assert child.finish() == (0, "", "")
    assert (shm.get_data() == 2).all()
    assert not shm._stream.replaced()
    left.unlink()


# -- removing -------------------------------------------------------------------------------------------


def test_doctor_fix_command(make: Make, shm_dir: Path, spawn: Spawn) -> None:
    pytest.importorskip("click", reason="extra cli")
    pytest.importorskip("rich", reason="extra cli")
    make("cam", np.zeros((2, 2), "u1"))
    left = shm_dir / ".cam.im.shm.4194303.0123abcd.new"
    left.write_bytes(b"x")
    code = "import sys; from pymilk.cli import main; sys.argv = ['pymilk', 'doctor', *sys.argv[1:]]; main()"
    _, said, _ = spawn(code).finish()
    assert f"{left}, of a creator that died" in said
    assert "pymilk doctor --fix" in said
    _, said, _ = spawn(code, "--fix").finish()
    assert f"removed {left}" in said
    assert os.listdir(shm_dir) == ["cam.im.shm"]
