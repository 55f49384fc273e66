"""What could be imported from the core before it had rooms can be imported from there still."""

from __future__ import annotations

import pytest

import pymilk.shm  # which hands on what stands above the core
from pymilk import _core

NAMES = """
    ArrayExporter Block CaptureMemoryError Claim FLAG_COUNTER_RESET FLAG_FROM_RING FLAG_NEW_FILE
    FLAG_REPEATED_POST FLAG_TORN FLAG_VERIFIED FRAME_OPTIONS FRAME_ROW FrameAccess FrameFeed
    FrameLostError FrameMismatchError IMAGETYPES Keyword KeywordError KeywordNotFoundError
    KeywordTableFullError Mapping PrivateRing Reader Region RingCursor Stream StreamArgumentError
    StreamBusyError StreamChangedError StreamClosedError StreamDamagedError StreamError
    StreamExistsError StreamFormatError StreamNameError StreamNotFoundError StreamNotReadyError
    StreamPermissionError StreamReadOnlyError StreamReplacedError StreamShapeChangedError
    StreamStorageError StreamTimeoutError StreamTypeChangedError StreamUnsupportedError allocate
    aside_path build_info check_free check_name check_stream checked_timeout free_memory lock_stream
    lock_writer mark_busy mark_idle positional_too prefault process_alive read_header remove_abandoned
    stream_name stream_path temporary_path turn_copy wait_for_any
    _DTYPES _MATH_DATA _NELEMENT_MAX _SECTION_DTYPES _Snapshot _TIMESPEC _errno _stat _time _warn_of_tear math
    namedtuple np operator os threading
"""


@pytest.mark.parametrize("name", NAMES.split())
def test_name(name: str) -> None:
    assert getattr(_core, name) is not None


def test_classes_are_those_of_their_rooms() -> None:
    assert pymilk.Reader is _core.Reader
    assert pymilk.errors.StreamError is _core.StreamError
    assert issubclass(pymilk.SHM, _core.FrameAccess)
