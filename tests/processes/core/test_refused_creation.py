"""Streams that cannot be created: no permission, no room."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymilk._core import Stream
from pymilk.errors import StreamPermissionError, StreamStorageError

Make = Callable[..., Stream]
Spawn = Callable[..., Any]
NOBODY = 65534


# --- names, directories ------------------------------------------------------------------------

#: What a child runs as an ordinary user; root may write anywhere. It says what was raised, which
#: lets the test look at class, attributes and message.
AS_USER = f"""
import os, pickle, sys
from pathlib import Path
from pymilk import errors
from pymilk._core import Stream, read_header
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
path = Path(sys.argv[1])
what = {{
    "attach": lambda: Stream.attach(path),
    "look": lambda: Stream.attach(path, writable=False),
    "read_header": lambda: read_header(path),
    "create": lambda: Stream.create(path, (2, 3), "u1"),
    "destroy": lambda: Stream.attach(path).destroy(),
}}[sys.argv[2]]
try:
    answer = repr(what())
except errors.StreamError as error:
    answer = error
print(pickle.dumps(answer).hex())
"""


@pytest.fixture
def as_user(spawn: Spawn, shm_dir: Path) -> Callable[[Path, str], Any]:
    """Do something as an ordinary user; returns what was raised, or the repr of the result."""
    shm_dir.chmod(0o755)

    def run(path: Path, what: str) -> Any:
        child = spawn(AS_USER, path, what)
        answer = pickle.loads(bytes.fromhex(child.hear()))
        assert child.finish()[::2] == (0, "")
        return answer

    yield run
    shm_dir.chmod(0o700)


def check_permission_error(error: Any, path: Path, words: str) -> None:
    assert type(error) is StreamPermissionError
    assert isinstance(error, PermissionError)
    assert (error.stream, error.path) == ("cam0", str(path))
    assert words in str(error)
    assert str(path) in str(error)


def test_directory_that_is_not_writable(
    make_stream: Make, as_user: Callable[[Path, str], Any], shm_dir: Path
) -> None:
    shm_dir.chmod(0o555)
    path = shm_dir / "cam0.im.shm"
    check_permission_error(as_user(path, "create"), shm_dir, "create files")
    assert list(shm_dir.iterdir()) == []

    shm_dir.chmod(0o755)
    with make_stream(path, (2, 3), "u1", mode=0o666):
        shm_dir.chmod(0o555)
        check_permission_error(as_user(path, "create"), shm_dir, "create files")
        check_permission_error(as_user(path, "destroy"), path, "delete")
        assert path.stat().st_size
        assert as_user(path, "attach") == "<Stream 'cam0' shape=(2, 3) dtype=uint8 counter=0>"


def test_stream_of_someone_else(
    make_stream: Make, as_user: Callable[[Path, str], Any], shm_dir: Path
) -> None:
    path = shm_dir / "cam0.im.shm"
    owner = os.getuid() != 0  # not root, the tests own the file: then they lack its permission bits
    with make_stream(path, (2, 3), "u1", mode=0o400 if owner else 0o644):
        # What may not be written is attached for reading, and says so.
        assert as_user(path, "attach") == (
            "<Stream 'cam0' shape=(2, 3) dtype=uint8 counter=0, "
            "read-only: the file does not permit writing, waiting watches the counter>"
        )
        assert "read-only as asked" in as_user(path, "look")
        path.chmod(0o000 if owner else 0o600)
        for what, words in (
            ("attach", "reading"),
            ("look", "reading"),
            ("read_header", "reading"),
        ):
            check_permission_error(
                as_user(path, what), path, f"no permission to open it for {words}"
            )


# --- storage -----------------------------------------------------------------------------------

#: A tmpfs of 256 KiB in a mount namespace that ends with the child.
ON_SMALL_TMPFS = """
import ctypes, os, pickle, sys
from pathlib import Path
from pymilk import errors
from pymilk._core import Stream
NEWNS, NEWUSER, REC_PRIVATE = 0x20000, 0x10000000, 0x44000
libc = ctypes.CDLL(None, use_errno=True)
folder = Path(sys.argv[1])
if (
    libc.unshare(NEWNS if os.getuid() == 0 else NEWNS | NEWUSER)
    or libc.mount(b"none", b"/", None, REC_PRIVATE, None)
    or libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=256k")
):
    print(os.strerror(ctypes.get_errno()))
    sys.exit()
print("mounted")
small = Stream.create(folder / "small.im.shm", (100, 100), "u1")
small.publish(__import__("numpy").ones((100, 100), "u1"))
for name in ("large", "small"):
    try:
        Stream.create(folder / f"{name}.im.shm", (1000, 1000), "u1")
    except errors.StreamError as error:
        print(pickle.dumps(error).hex())
    room = os.statvfs(folder)
    print(room.f_bavail * room.f_frsize)
    print(sorted(path.name for path in folder.iterdir()))
print(Stream.attach(folder / "small.im.shm").view().sum(), small.replaced())
"""


def check_storage_error(error: Any, name: str, folder: Path, available: int) -> None:
    assert type(error) is StreamStorageError
    assert isinstance(error, OSError)
    assert (error.stream, error.path) == (name, str(folder))
    assert error.needed == 384 + 1_000_000 + 50 * 128 + 10 * 32 + 32 + 4 * 40 + 640
    assert error.available == available
    assert f"needs {error.needed} bytes in {folder}" in str(error)
    assert f"{available} are free" in str(error)


def test_full_file_system(spawn: Spawn, shm_dir: Path) -> None:
    child = spawn(ON_SMALL_TMPFS, shm_dir)
    said = child.hear()
    if said != "mounted":
        pytest.skip(f"a tmpfs cannot be mounted here: {said}")
    for name in ("large", "small"):
        error = pickle.loads(bytes.fromhex(child.hear()))
        check_storage_error(error, name, shm_dir, int(child.hear()))
        # No temporary file is left, and the stream that was to be replaced is untouched.
        assert child.hear() == "['small.im.shm']"
    assert child.hear() == "10000 False"
    assert child.finish()[::2] == (0, "")
