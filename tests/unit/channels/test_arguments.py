"""Masks are never dropped without a word, and permissions and names are checked by every channel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk.channels import AudioStream, CommandQueue, MessageLog, SharedState, Table, VideoStream
from pymilk.errors import ChannelArgumentError, ChannelTimeoutError, StreamArgumentError, StreamNameError

MASKED = np.ma.masked_equal(np.arange(4.0).reshape(2, 2), 1.0)
FILLED = np.array([[0, np.nan], [2, 3]])
COLUMNS = [("a", "f8"), ("b", "i4"), ("c", "f8", (2, 2))]


@pytest.fixture
def table(shm_dir: Any) -> Iterator[Table]:
    with Table.create("rows", COLUMNS, 8) as made:
        yield made


def test_masked_values_of_a_row_are_nan_or_refused(table: Table) -> None:
    table.append((np.ma.masked, 1, MASKED))
    [row] = table.last(1).data
    assert np.isnan(row["a"])
    np.testing.assert_array_equal(row["c"], FILLED)
    with pytest.raises(ChannelArgumentError, match="NaN"):
        table.append((1.0, np.ma.masked, MASKED))
    with pytest.raises(StreamArgumentError, match="b: 1 pixels are masked"):
        table.append((1.0, np.ma.masked_equal(1, 1), FILLED))
    assert table.count == 1


@pytest.mark.parametrize("field", ["a", "b", "c"])
def test_masked_rows_are_refused(field: str, table: Table) -> None:
    rows = np.ma.zeros(3, np.dtype(COLUMNS))
    assert table.append(rows) == 3  # nothing is masked
    rows.mask[field][1] = True
    for given in (rows, rows[1]):
        with pytest.raises(StreamArgumentError, match="masked"):
            table.append(given)
    assert table.count == 3


def test_masks_of_other_channels(shm_dir: Any) -> None:
    whole = MASKED.astype(np.int32)
    with SharedState.create("state", {"a": 1}) as state:
        state["m"] = MASKED
        np.testing.assert_array_equal(state["m"], FILLED)
        with pytest.raises(StreamArgumentError, match="k: 1 pixels are masked"):
            state["k"] = whole
        assert "k" not in state
    sound = AudioStream.create("sound", 2, 2, "s24le")
    with sound, pytest.raises(StreamArgumentError, match="masked"):
        sound.write(whole)
    with MessageLog.create("log") as log, CommandQueue.create("queue") as queue:
        assert np.frombuffer(_last(log, MASKED)).tolist()[2:] == [2, 3]
        for send in (log.append, queue.send):
            with pytest.raises(StreamArgumentError, match="data: 1 pixels are masked"):
                send(whole)
        assert (log.count, queue.count) == (1, 0)


def _last(log: MessageLog, data: Any) -> Any:
    with MessageLog.attach("log") as reader:
        log.append(data)
        return reader.read(timeout=0).data


def test_masked_frame_is_not_converted_to_integers(make: Callable[..., SHM]) -> None:
    shm = make("cam", np.ones((2, 2), np.uint8))
    with pytest.raises(StreamArgumentError, match="uint8 has no value for that"):
        shm.set_data(MASKED, check_dt=True)
    assert (shm.get_data() == 1).all()


KINDS: list[Callable[..., Any]] = [
    MessageLog.create,
    CommandQueue.create,
    SharedState.create,
    lambda name, **options: Table.create(name, COLUMNS, **options),
    lambda name, **options: VideoStream.create(name, 4, 4, **options),
    lambda name, **options: AudioStream.create(name, 4, **options),
]


@pytest.mark.parametrize("create", KINDS)
def test_permissions(create: Callable[..., Any], shm_dir: Any) -> None:
    for mode in (-1, 0o4755, 1.5, "rw"):
        with pytest.raises((ChannelArgumentError, StreamArgumentError), match="mode is an int of 0 to"):
            create("made", mode=mode)
    assert not os.listdir(shm_dir)
    with create("made", mode=0o600):
        [file] = os.listdir(shm_dir)
        assert os.stat(os.path.join(shm_dir, file)).st_mode & 0o7777 == 0o600


@pytest.mark.parametrize("create", KINDS)
@pytest.mark.parametrize("name", [5, None, b"name", ["a"]])
def test_names_that_are_no_text(create: Callable[..., Any], name: Any, shm_dir: Any) -> None:
    with pytest.raises(StreamNameError):
        create(name)


@pytest.mark.parametrize("timeout", [Fraction(1, 1000), Decimal("0.001"), np.float32(0.001), "0.001"])
def test_times_of_other_types(timeout: Any, shm_dir: Any) -> None:
    with MessageLog.create("log") as log, SharedState.create("state", {"a": 1}) as state:
        with MessageLog.attach("log") as reader, pytest.raises(ChannelTimeoutError, match=r"within 0.001 s"):
            reader.read(timeout)
        with pytest.raises(ChannelTimeoutError, match=r"within 0.001 s"):
            state.wait_for_change(state.epoch, timeout)
        assert log.count == 0
