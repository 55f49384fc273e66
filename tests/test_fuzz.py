"""The fuzz target in small: bounded numbers of damaged files, and every file that once was too much."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import target
from fuzz.inputs import make_input, seeds

MALFORMED = Path(__file__).parent / "data" / "malformed"

#: What is quick: the parts that wait for frames are for the runs by hand and for the found cases.
QUICK = ("core", "frames", "keywords", "writers")


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


@settings(max_examples=30, deadline=None, database=None)
@given(st.randoms(use_true_random=False), st.binary(max_size=600))
def test_anything(rng: object, data: bytes, work: Path) -> None:
    target.drive(data, work, parts=QUICK)


@pytest.mark.parametrize("path", sorted(MALFORMED.glob("*.bin")), ids=lambda path: path.stem)
def test_found_cases(path: Path, work: Path) -> None:
    """In a process of its own: what was found was its end."""
    command = [sys.executable, "-m", "fuzz", "files", str(path)]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_seed_is_a_stream(work: Path) -> None:
    assert all(target.drive(seed.data, work, parts=()) for seed in seeds())
