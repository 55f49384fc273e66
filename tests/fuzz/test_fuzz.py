"""The fuzz target in small: bounded numbers of damaged files, and every file that once was too much."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import target
from fuzz.inputs import Seed, make_input, seeds
from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import StreamInUseWarning
from pymilk.native import lifecycle
from pymilk.system.living import Writers
from support.paths import MALFORMED

#: What takes milliseconds. The other parts wait for frames that do not come, or look through all processes.
QUICK = ("core", "shm", "image", "xaosim", "frames", "keywords", "writers")
CASES = sorted(MALFORMED.glob("*.bin"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stream directory of the target's own: it is emptied again and again."""
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(autouse=True)
def _in_work(work: Path, shm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILK_SHM_DIR", str(work))


@settings(max_examples=60, deadline=None, database=None)
@given(number=st.integers(0, 2**63), part=st.sampled_from(("core", "core", "frames", "keywords")))
def test_damaged_files(number: int, part: str, work: Path) -> None:
    target.drive(make_input("hypothesis", number), work, parts=(part,))


@settings(max_examples=40, deadline=None, database=None)
@given(
    seed=st.sampled_from(seeds()),
    changes=st.lists(st.tuples(st.integers(0, 8000), st.binary(min_size=1, max_size=16)), max_size=4),
)
def test_changed_bytes(seed: Seed, changes: list[tuple[int, bytes]], work: Path) -> None:
    data = bytearray(seed.data)
    for at, piece in changes:
        at %= len(data)
        data[at : at + len(piece)] = piece
    target.drive(bytes(data), work, parts=("core",))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_found_cases(path: Path, work: Path) -> None:
    target.drive(path.read_bytes(), work, parts=QUICK)


def test_every_seed_is_a_stream(work: Path) -> None:
    assert all(target.drive(seed.data, work, parts=()) for seed in seeds())


def test_the_same_number_is_the_same_file() -> None:
    assert [make_input("s", n) for n in range(50)] == [make_input("s", n) for n in range(50)]
    assert len({make_input("s", n) for n in range(50)}) > 40


def drive_broken(broken: object, name: str, monkeypatch: pytest.MonkeyPatch, work: Path) -> str:
    """Drive a good file through a library with one fault in it; return what was found."""
    with monkeypatch.context() as patch:
        patch.setattr(target, name, broken)
        with pytest.raises(target.Finding) as caught:
            target.drive(seeds()[-1].data, work, parts=("core",))
    return str(caught.value)


def test_the_target_sees_foreign_exceptions(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    def broken(stream: object) -> None:
        raise IndexError("out of range")

    assert "IndexError, which is not ours" in drive_broken(broken, "metadata_of", monkeypatch, work)


def test_the_target_sees_views_elsewhere(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    said = drive_broken(lambda path: [(4096, 8192)], "mappings", monkeypatch, work)
    assert "outside of the file" in said


def test_the_target_sees_writing_readers(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    def broken(stream: Stream) -> None:
        with Stream.attach(stream.path) as other:
            other.flag = 12345

    assert "changed the file" in drive_broken(broken, "describe_stream", monkeypatch, work)


def test_the_target_sees_doors_that_disagree(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    assert "disagree" in drive_broken(lambda path: None, "read_header", monkeypatch, work)


def test_a_stream_in_use_may_be_replaced(monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    """The number of a living process whose mappings cannot be read is in the file: a warning is due."""
    monkeypatch.setattr(lifecycle, "living_writers", lambda *args, **more: Writers([1]))
    with SHM("warns", ((2, 3), np.uint16)), pytest.warns(StreamInUseWarning):
        SHM("warns", ((2, 3), np.uint16)).close()
    assert target.drive(seeds()[-1].data, work, parts=("around",))
