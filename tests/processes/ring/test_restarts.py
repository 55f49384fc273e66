"""Ring writers that start again with a new file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pymilk import RingReader
from pymilk._core import FLAG_NEW_FILE, FLAG_TORN
from pymilk.errors import StreamChangedError, StreamTimeoutError
from support.ring_writers import MOMENT, SHAPE, published
from support.waiting import PATIENCE, until

#: As `PATIENCE`, for a frame that is published already, so that a failure does not take long.
WAIT = 10.0


# -- checks -------------------------------------------------------------------------------------------


def next_rows(reader: RingReader, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Wait for so many frames; like `drain`."""
    try:
        capture = reader.read(count, timeout=WAIT)
    except StreamTimeoutError as error:
        pytest.fail(f"{error.capture.info['cnt0'].tolist()} and no more: {reader!r}, {reader.report}")
    pixels = capture.frames.reshape(count, -1)
    assert (pixels == pixels[:, :1]).all()
    return capture.info, pixels[:, 0].copy()


# -- new files ----------------------------------------------------------------------------------------

MAKERS = {
    "foreign": """
from support.foreign_writer import create_foreign
def make(kind, depth, shape):
    create_foreign(path, shape, depth, kind)
""",
    "pymilk": """
def make(kind, depth, shape):
    options = {"ring": depth, "ring_kind": kind} if depth else {}
    SHM("cam", (shape, np.uint64), **options).close()
""",
}

#: Told "make <kind> <depth> <rows> <columns>" or "unlink".
MAKER = """
from __future__ import annotations
import contextlib, os, sys
from typing import Any
import numpy as np
from support import isio_format
from pymilk import SHM
path = os.path.join(os.environ["MILK_SHM_DIR"], "cam.im.shm")
{make}
print("ready", flush=True)
for line in sys.stdin:
    what, *args = line.split()
    if what == "make":
        make(args[0], int(args[1]), (int(args[2]), int(args[3])))
    else:
        os.unlink(path)
    print("done", flush=True)
"""


class Maker:
    def __init__(self, child: Any) -> None:
        self.child = child
        child.expect("ready")

    def make(self, kind: str, depth: int, shape: Any = SHAPE) -> None:
        self.child.tell(f"make {kind} {depth} {shape[0]} {shape[1]}")
        self.child.expect("done")

    def unlink(self) -> None:
        self.child.tell("unlink")
        self.child.expect("done")


@pytest.fixture(params=sorted(MAKERS))
def maker(request, spawn) -> Maker:
    """A second process that makes the stream "cam" anew, in its own way."""
    return Maker(spawn(MAKER.format(make=MAKERS[request.param])))


CHANGES = [
    ("fast 4", "fast 4"),
    ("fast 4", "fast 9"),
    ("fast 9", "fast 2"),
    ("fast 4", "temporal 4"),
    ("temporal 4", "fast 4"),
    ("temporal 4", "temporal 4"),
    ("temporal 4", "temporal 9"),
    ("fast 4", "plain 0"),
    ("temporal 4", "plain 0"),
    ("plain 0", "fast 4"),
    ("plain 0", "temporal 4"),
    ("plain 0", "plain 0"),
]


def options_of(kind: str) -> str:
    return "ws" if kind == "temporal" else "w"


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_writer_that_restarts_with_a_new_file(maker, start_writer, old, new):
    kind, depth = old.split()
    maker.make(kind, int(depth))
    writer = start_writer(options_of(kind))
    published(writer)
    with RingReader("cam", depth=8) as reader:
        assert reader.source == ("collector" if kind == "plain" else kind)
        for number in (2, 3):
            assert writer.publish() == number
            rows, values = next_rows(reader, 1)
            assert rows["cnt0"].tolist() == values.tolist() == [number]
        # One more, which is read after the file was replaced: it is still there.
        assert writer.publish() == 4
        if kind == "plain":
            until(lambda: reader.lag == 1)
        kind, depth = new.split()
        maker.make(kind, int(depth))
        successor = start_writer(options_of(kind), tag=5)
        first = published(successor)
        assert first == 1
        rows, values = next_rows(reader, 1)
        assert rows["cnt0"].tolist() == values.tolist() == [4]
        assert rows["flags"][0] & FLAG_NEW_FILE == 0
        rows, values = next_rows(reader, 1)
        assert rows["cnt0"].tolist() == [1]
        assert rows["lost"].tolist() == [0]
        assert rows["flags"][0] & FLAG_NEW_FILE
        for number in range(2, 12):
            assert successor.publish() == number
            rows, values = next_rows(reader, 1)
            assert rows["cnt0"].tolist() == [number]
            assert values.tolist() == [5 << 32 | number]
            assert rows["lost"].tolist() == [0]
            assert rows["flags"][0] & FLAG_NEW_FILE == 0
        if old != "plain 0":  # a collector follows by itself, and stays
            assert reader.source == ("collector" if kind == "plain" else kind)
        report = reader.report
        assert (report.received, report.lost, report.new_files) == (14, 0, 1)


@pytest.mark.parametrize(
    ("old", "new", "had"),
    [
        ("fast 4", "fast 4", 3),
        ("fast 4", "fast 9", 6),
        ("temporal 4", "temporal 6", 5),
        ("fast 4", "temporal 4", 3),
        ("temporal 4", "fast 2", 1),
        ("fast 4", "plain 0", 1),
        ("temporal 4", "plain 0", 1),
    ],
)
def test_gap_between_two_files_is_counted(maker, start_writer, old, new, had):
    """What the old file counted and its ring does not show, and what the new ring has no room for."""
    kind, depth = old.split()
    maker.make(kind, int(depth))
    writer = start_writer(options_of(kind))
    published(writer)
    with RingReader("cam", depth=8) as reader:
        assert writer.publish() == 2
        rows, _ = next_rows(reader, 1)
        assert rows["cnt0"].tolist() == [2]
        writer.set("cnt0", 7)  # five frames that never came
        kind, depth = new.split()
        maker.make(kind, int(depth))
        successor = start_writer(options_of(kind))
        published(successor)
        assert successor.publish(5) == 6
        rows, values = next_rows(reader, had)
        assert rows["cnt0"].tolist() == list(range(7 - had, 7))
        assert values[1:].tolist() == rows["cnt0"][1:].tolist()
        assert rows["lost"].tolist() == [5 + 6 - had] + [0] * (had - 1)
        assert [bool(flag & FLAG_NEW_FILE) for flag in rows["flags"]] == [True] + [False] * (had - 1)
        assert reader.report.new_files == 1
        assert reader.lost == 5 + 6 - had


@pytest.mark.parametrize("kind", ["fast", "temporal", "plain"])
def test_account_over_many_new_files(maker, start_writer, kind):
    maker.make(kind, 0 if kind == "plain" else 4)
    writer = start_writer(options_of(kind))
    published(writer)
    rows = []
    with RingReader("cam", depth=4) as reader:
        for tag in range(1, 5):
            writer.run(300, 30)
            while True:
                block = next(reader.blocks(timeout=PATIENCE))
                numbers = block.info["cnt0"] + np.uint64((tag - 1) << 32)
                pixels = block.frames.reshape(len(block), -1)
                right = (pixels == numbers[:, None]).all(axis=1) | (numbers & 0xFFFFFFFF == 1)
                # A writer that leaves no time for a copy gets its frame collected as torn, and said so.
                right |= (block.info["flags"] & FLAG_TORN) != 0
                gone = block.overwritten
                assert right[gone:].all()
                rows.append(block.info)
                if block.info["cnt0"][-1] == 301:
                    break
            assert writer.ran() == 301
            if tag < 4:
                writer.kill()
                maker.make(kind, 0 if kind == "plain" else 4)
                writer = start_writer(options_of(kind), tag)
                published(writer)
        info = np.concatenate(rows)
        assert len(info) + info["lost"].sum() == 4 * 301 - 1
        assert np.count_nonzero(info["flags"] & FLAG_NEW_FILE) == 3
        report = reader.report
        assert (report.received, report.lost, report.new_files) == (len(info), info["lost"].sum(), 3)


@pytest.mark.parametrize("call", ["blocks", "read"])
@pytest.mark.parametrize("kind", ["fast", "temporal", "plain"])
def test_new_file_with_another_shape(maker, start_writer, kind, call):
    maker.make(kind, 0 if kind == "plain" else 4)
    writer = start_writer(options_of(kind))
    published(writer)
    with RingReader("cam", depth=4) as reader:
        writer.publish()
        rows, _ = next_rows(reader, 1)
        assert rows["cnt0"].tolist() == [2]
        maker.make("fast", 4, (8, 4))
        for _ in range(2):
            with pytest.raises(StreamChangedError) as caught:
                next(reader.blocks(timeout=5)) if call == "blocks" else reader.read(1, timeout=5)
            assert caught.value.stream == "cam"
        assert (reader.report.received, reader.report.new_files) == (1, 0)


@pytest.mark.parametrize("kind", ["fast", "temporal", "plain"])
def test_deleted_stream_is_a_timeout(maker, start_writer, kind):
    maker.make(kind, 0 if kind == "plain" else 4)
    writer = start_writer(options_of(kind))
    published(writer)
    with RingReader("cam", depth=4) as reader:
        writer.publish()
        if kind == "plain":
            until(lambda: reader.lag == 1)
        maker.unlink()
        rows, values = next_rows(reader, 1)
        assert rows["cnt0"].tolist() == values.tolist() == [2]
        for _ in range(2):
            with pytest.raises(StreamTimeoutError):
                next(reader.blocks(timeout=MOMENT))
        # It comes back later.
        maker.make("fast", 5)
        successor = start_writer(tag=1)
        published(successor)
        assert successor.publish() == 2
        rows, values = next_rows(reader, 2)
        assert rows["cnt0"].tolist() == [1, 2]
        assert values[1] == 1 << 32 | 2
        assert rows["flags"][0] & FLAG_NEW_FILE
