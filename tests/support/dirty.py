"""How much of a file waits in the page cache for the disk: cachestat(2) of Linux 6.5."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from pymilk.system.machine import file_system_of, in_memory

#: The same number on every processor.
_CACHESTAT = 451


def dirty_or_skip(folder: Path) -> None:
    """Skip the test if this kernel or this file system does not tell."""
    if in_memory(file_system_of(str(folder))):
        pytest.skip("this file system has no disk")
    probe = folder / "probe"
    probe.write_bytes(b"probe")
    try:
        dirty_nbytes(probe)
    except OSError as error:
        pytest.skip(f"this kernel does not count pages of a file: {error}")
    finally:
        probe.unlink()


def dirty_nbytes(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder, that nobody has begun to write out."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(_dirty_pages(each) for each in files) * os.sysconf("SC_PAGESIZE")


def _dirty_pages(path: Path) -> int:
    whole = (ctypes.c_uint64 * 2)(0, 0)
    found = (ctypes.c_uint64 * 5)()  # cached, dirty, being written, evicted, evicted lately
    descriptor = os.open(path, os.O_RDONLY)
    try:
        call = ctypes.CDLL(None, use_errno=True).syscall
        if call(_CACHESTAT, descriptor, ctypes.byref(whole), ctypes.byref(found), 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
    return int(found[1])
