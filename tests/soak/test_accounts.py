"""Every frame is received, or counted as lost, for seconds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pymilk import SHM
from pymilk.errors import FrameTornWarning
from support.foreign import SHAPE, STAMPED_WRITER, accounted


@pytest.mark.parametrize("rate", [1000, 5000, 10000, 0])
def test_every_frame_is_received_or_counted_as_lost_for_seconds(spawn, make_stream, rate):
    report = accounted(spawn, make_stream, rate, 3 * rate if rate else 100_000).report
    print(f"\n{rate or 'unthrottled'}: {report}")


def test_get_data_is_never_torn_unannounced_next_to_a_fast_writer(spawn, make_stream):
    """A machine that holds the writer up within a frame gives a warning; all else is whole."""
    make_stream("cam", SHAPE, np.uint32)
    total = 60_000
    writer = spawn(STAMPED_WRITER, 50_000, total)
    writer.expect("ready")
    writer.tell()
    last, whole, announced = 0, 0, set()
    with SHM("cam") as shm:
        while last < total:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                frame = shm.get_data()
            if not told:
                assert (frame == frame[0, 0]).all()
                assert frame[0, 0] >= last
                last = int(frame[0, 0])
                whole += 1
            for each in told:
                assert each.category is FrameTornWarning
                announced.add(str(each.message))
    writer.expect(str(total))
    writer.tell()
    assert writer.finish() == (0, "", "")
    # The writer was held up in each of them, or was making up for it without a pause.
    assert len(announced) <= whole / 100
