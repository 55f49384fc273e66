"""Writer and readers in processes of their own."""

from __future__ import annotations

import numpy as np
import pytest

from pymilk.compat.ndsharray import NdShArray
from pymilk.errors import StreamInUseError

WRITER = """
import sys
import numpy as np
from pymilk.compat.ndsharray import NdShArray
writer = NdShArray("tag", np.zeros(3), "w")
print(writer.ndarray_mmap_name)
for line in sys.stdin:
    array = eval(line, {"np": np})
    writer.write(array)
    print(writer.ndarray_mmap_name)
"""


def test_layouts_change_under_a_reader(spawn):
    child = spawn(WRITER)
    names = [child.hear()]
    reader = NdShArray("tag", r_w="r")
    assert reader.read()[1].tolist() == [0, 0, 0]
    for text in (
        "np.ones(3)",
        "np.arange(8).reshape(2, 2, 2, 1)",
        "np.array(True)",
        "np.zeros((0, 5))",
        "np.ones(3)",
    ):
        child.tell(text)
        names.append(child.hear())
        status, found = reader.read()
        assert status
        expected = eval(text)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert np.array_equal(found, expected)
        assert reader.ndarray_mmap_name == names[-1]
        assert 0 < reader.read_time_ms < 60_000
    assert names[0] == names[1]
    assert len(set(names)) == 5


def test_reader_that_comes_after_the_writer_ended(spawn):
    child = spawn(WRITER)
    child.hear()
    assert child.finish()[0] == 0
    reader = NdShArray("tag", r_w="r")
    assert reader.read()[0] is True
    spawn(WRITER).hear()
    assert reader.read()[0] is True


def test_writer_that_is_killed_and_starts_again(spawn):
    child = spawn(WRITER)
    child.hear()
    reader = NdShArray("tag", r_w="r")
    reader.read()
    child.kill()
    assert reader.read()[0] is False
    again = spawn(WRITER)
    again.hear()
    again.tell("np.full((2, 2), 7)")
    again.hear()
    assert reader.read()[1].tolist() == [[7, 7], [7, 7]]


def test_two_writing_processes(spawn):
    first, second = spawn(WRITER), spawn(WRITER)
    first.hear()
    reader = NdShArray("tag", r_w="r")
    second.hear()
    for number, child in enumerate([first, second, second, first, first, second]):
        child.tell(f"np.full(3, {number}.0)")
        child.hear()
        status, found = reader.read()
        assert status
        assert found.tolist() == [number] * 3


def test_writer_that_another_one_is_just_ahead_of(spawn, monkeypatch):
    """There was no array when it looked, and there is one when it makes its own."""
    spawn(WRITER).hear()
    look, seen = NdShArray._holds_array, []

    def late(self):
        seen.append(bool(seen) and look(self))
        return seen[-1]

    monkeypatch.setattr(NdShArray, "_holds_array", late)
    NdShArray("tag", np.ones(3), "w")
    assert seen == [False, True]
    assert NdShArray("tag", r_w="r").read()[1].tolist() == [1] * 3


def test_no_frame_is_torn_while_a_process_writes(spawn):
    child = spawn("""
import sys
import numpy as np
from pymilk.compat.ndsharray import NdShArray
writer = NdShArray("tag", np.zeros((64, 64)), "w")
print("ready", flush=True)
for number in range(1, 20_001):
    shape = (64, 64) if number // 500 % 2 else (8, 8, 8, 8)
    writer.write(np.full(shape, float(number)))
""")
    child.expect("ready")
    reader = NdShArray("tag", r_w="r")
    last, new = -1.0, 0
    while last < 20_000:
        status, found = reader.read()
        if status:
            value = found.flat[0]
            assert (found == value).all()
            assert value > last
            last, new = value, new + 1
    assert new > 10
    assert child.finish()[0] == 0


def test_stream_that_a_camera_writes_is_not_replaced(spawn):
    child = spawn("""
import sys
import numpy as np
from pymilk import SHM
shm = SHM("tag", ((2, 2), np.uint8))
print("ready", flush=True)
sys.stdin.readline()
""")
    child.expect("ready")
    with pytest.raises(StreamInUseError):
        NdShArray("tag", np.zeros(3), "w")
    assert NdShArray("tag", r_w="r").read()[1].shape == (2, 2)
    child.tell()
    assert child.finish()[0] == 0


@pytest.mark.parametrize("installed", [True, False])
def test_install(spawn, tmp_path, installed):
    if installed:
        (tmp_path / "ndsharray.py").write_text("NdShArray = 'the real one'")
    child = spawn(
        """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from pymilk.compat import ndsharray as ours
ours.install()
ours.install()
import ndsharray
from ndsharray import NdShArray, supported_types
from ndsharray.ndsharray import NdShArray as again, n_bytes_for_int
print(NdShArray is again is ours.NdShArray, ndsharray.__version__, len(ndsharray.supported_types))
writer = ndsharray.NdShArray("my_tag", array=np.ones((4, 2)), r_w='w')
print(ndsharray.NdShArray("my_tag", r_w='r').read()[0])
""",
        tmp_path,
    )
    assert child.finish() == (0, "True 1.1.4 14\nTrue\n", "")
