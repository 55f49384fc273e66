"""The lock of a writer where a signal handler raises: its descriptor is closed once."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest

from pymilk.system.locks import lock_writer
from support.interrupts import Interrupt, interrupted


def test_descriptor_is_never_closed_twice(tmp_path: Path) -> None:
    """Another thread may have opened a file of that number by then."""
    path = tmp_path / "cam"
    path.write_bytes(b"pixels")
    for step in range(1, 200):
        fd, lock = os.open(path, os.O_RDWR), None
        with interrupted(step, "/pymilk/system/locks") as passed:
            try:
                lock = lock_writer(fd, "cam", str(path))
            except Interrupt:
                with contextlib.suppress(OSError):
                    os.close(fd)  # the handler came before the lock was made
            except OSError as error:
                assert error.errno != errno.EBADF, "closed once more"
                raise
        if len(passed) < step:
            assert lock is not None
            assert lock.held
            lock.release()
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(fd)
            return
        del lock
    pytest.fail("taking a lock has more places than that")
