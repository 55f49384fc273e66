"""The kinds of files of the fuzz run: streams and parameter files, made, driven and told apart."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fuzz import fps, target
from fuzz.__main__ import FOUND, work
from fuzz.kinds import EACH, PARAMETERS, STREAM, kind_of_file, kind_of_number
from pymilk.parameters import FPS
from support.fps import golden_bytes


def numbers(state: bytes) -> tuple[int, int]:
    return int.from_bytes(state[:8], "little"), int.from_bytes(state[8:16], "little")


@pytest.fixture
def current(tmp_path: Path, shm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MILK_SHM_DIR", str(shm_dir))  # the run sets another one, which goes with the test
    path = tmp_path / "current"
    path.write_bytes(bytes(16))
    return path


def test_a_run_drives_both_kinds(current: Path) -> None:
    assert work("kinds", EACH - 4, EACH + 4, 60.0, current) == 0
    assert numbers(current.read_bytes())[0] == EACH + 4


@pytest.mark.parametrize(("whole", "code"), [("slow", 0), ("quick", FOUND)])
def test_a_step_that_takes_long_with_every_file_is_no_finding(
    whole: str, code: int, current: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `pymilk doctor`, where there are very many processes; one that does with this file only is one."""
    files = {fps.seeds()[0]} if whole == "quick" else set()

    def drive(data: bytes, folder: Path) -> bool:
        if data in files:
            return True
        raise target.Finding("pymilk doctor took 1.2 s")

    monkeypatch.setattr(fps, "drive", drive)
    assert work("kinds", EACH - 1, EACH, 60.0, current) == code


def test_what_is_found_in_a_parameter_file_is_saved(current: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes, folder: Path) -> bool:
        raise target.Finding("set: KeyError, which is not ours")

    monkeypatch.setattr(fps, "drive", broken)
    assert work("kinds", EACH - 2, 2 * EACH, 60.0, current) == FOUND
    state = current.read_bytes()
    assert numbers(state)[0] == EACH - 1
    assert state[16:] == PARAMETERS.make("kinds", EACH - 1)


def test_kinds_by_number_and_name() -> None:
    assert [kind_of_number(number) for number in (0, EACH - 2, EACH - 1, EACH)] == [
        STREAM,
        STREAM,
        PARAMETERS,
        STREAM,
    ]
    for name, kind in (("a.im.shm", STREAM), ("found-1-2.bin", STREAM), ("found-1-15.fps.bin", PARAMETERS),
                       ("loop.fps.shm", PARAMETERS)):  # fmt: skip
        assert kind_of_file(Path(name)) is kind
    assert PARAMETERS.make("s", 7) == PARAMETERS.make("s", 7) != PARAMETERS.make("s", 8)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "goldwrite.fps.shm"
    path.write_bytes(golden_bytes(path.name))
    assert PARAMETERS.mutate(random.Random(3), path) != path.read_bytes()


def test_the_target_sees_readers_that_write(shm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: FPS) -> dict[str, object]:
        self.set("i32", 1, force=True)
        return {}

    monkeypatch.setattr(FPS, "as_dict", broken)
    with pytest.raises(target.Finding, match="looking changed the file"):
        fps.drive(golden_bytes("goldwrite.fps.shm"), shm_dir)
