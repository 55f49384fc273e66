"""Files that are not what they say: refused, or read within their limits; cut and rewritten in use."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from fuzz.fps import damaged, drive
from pymilk.errors import (
    FPSDamagedError,
    FPSError,
    FPSFormatError,
    FPSKeyError,
    FPSLimitError,
    FPSStorageError,
)
from pymilk.parameters import FPS, FPSManager, ParameterType
from pymilk.parameters.layout import LAYOUTS, SLOT_FIELDS
from support.fps import golden_bytes, lay_down, other_layout, store

SLOTS_AT = LAYOUTS[0].fields["NBparamMAX"].offset
FIRST = LAYOUTS[0].header_nbytes


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_is_read_and_written(layout: Any, shm_dir: Path) -> None:
    path = other_layout(layout, shm_dir)
    before = path.read_bytes()
    with FPS("other") as fps:
        assert (fps.layout, fps.slots) == (layout.name, 4)
        assert fps.as_dict() == {"gain": 0.5, "on": False, "text": "abc"}
        assert (fps.header()["workdir"], fps.status_text) == (
            "/tmp",
            "conf stopped, run stopped, check not done",
        )
        assert path.read_bytes() == before
        fps["gain"], fps["on"], fps["text"] = 0.25, True, "xyz"
        with pytest.raises(FPSLimitError):
            fps["gain"] = 2
        assert fps.as_dict() == {"gain": 0.25, "on": True, "text": "xyz"}
        assert [each.cnt0 for each in fps.params()] == [2, 2, 2]
        if layout.counts_values:
            at = fps.table.slot_offset(0) + 4112
            assert fps.table.read(at, 8) == (1).to_bytes(8, "little")
        fps.add_param("new", default=7)
        assert fps["new"] == 7
        assert fps.check() == []


def test_a_later_layout_may_grow(shm_dir: Path) -> None:
    layout = LAYOUTS[-1]
    path = other_layout(layout, shm_dir)
    with FPS("other") as fps:
        with path.open("r+b") as file:
            file.truncate(layout.size(6))
        store(path, layout.fields["NBparamMAX"].offset, "<q", 6)
        assert fps["gain"] == 0.5  # what was there stays
        for number in range(3):
            fps.add_param(f"n{number}", default=number)
        assert fps.slots == 6
        assert fps["n2"] == 2


@pytest.mark.parametrize("nbytes", [0, 1, 8, 4096, FIRST, FIRST + 1, FIRST + 4112, FIRST + 3 * 4112])
def test_a_size_that_fits_no_layout(nbytes: int, shm_dir: Path) -> None:
    path = shm_dir / "cut.fps.shm"
    path.write_bytes(golden_bytes("goldwrite.fps.shm")[:nbytes])
    with pytest.raises(FPSFormatError, match=r"cut.fps.shm is not a parameter file") as caught:
        FPS("cut")
    assert (caught.value.field, caught.value.found, caught.value.fps) == ("file size", nbytes, "cut")
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("slots", [0, -1, 1, 11, 2**31, 2**62, -(2**63)])
def test_a_count_that_does_not_fit(slots: int, shm_dir: Path) -> None:
    path = lay_down("goldwrite.fps.shm", shm_dir)
    store(path, SLOTS_AT, "<q", slots)
    with pytest.raises(FPSFormatError, match="fits no known layout"):
        FPS("goldwrite")


def test_more_slots_than_anybody_has(shm_dir: Path) -> None:
    path = shm_dir / "huge.fps.shm"
    with path.open("wb") as file:
        file.truncate(LAYOUTS[0].size(1_000_000))  # sparse
    store(path, SLOTS_AT, "<q", 1_000_000)
    with pytest.raises(FPSFormatError):
        FPS("huge")


def test_what_is_no_file(shm_dir: Path) -> None:
    (shm_dir / "dir.fps.shm").mkdir()
    os.mkfifo(shm_dir / "pipe.fps.shm")
    (shm_dir / "gone.fps.shm").symlink_to("nowhere")
    for name, error in (
        ("dir", (FPSFormatError, FPSStorageError)),
        ("pipe", FPSFormatError),
        ("gone", FPSError),
    ):
        with pytest.raises(error):
            FPS(name)
    manager = FPSManager()
    assert (list(manager), sorted(manager.unusable)) == ([], ["dir", "gone", "pipe"])


def test_texts_without_an_end(shm_dir: Path) -> None:
    path = lay_down("goldwrite.fps.shm", shm_dir)
    for offset, nbytes in (
        (0, SLOTS_AT),
        (SLOTS_AT + 8, FIRST - SLOTS_AT - 8),
        (FIRST + 16, 2560),
        (FIRST + 2580, 1344),
    ):
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(b"\xfe" * nbytes)
    with FPS("goldwrite") as fps:
        keys = list(fps)
        assert len(keys) == 10
        assert len(keys[0]) == 1280
        assert fps[keys[0]] == fps.as_dict()[keys[0]]
        fps.header()
        fps.messages()
        assert fps.param(keys[0]).description == "\udcfe" * 64
        repr(fps)
        fps.tree()


def test_types_that_are_not_known(shm_dir: Path) -> None:
    path = lay_down("goldwrite.fps.shm", shm_dir)
    for number, code in enumerate((0, 1, 3, 0xFFFFFFFF, 65536)):
        store(path, FIRST + number * 4112 + SLOT_FIELDS["type"].offset, "<I", code)
    with FPS("goldwrite") as fps:
        values = list(fps.as_dict().values())[:5]
        assert values[:4] == [None] * 4
        assert fps.params()[2].type is ParameterType.UNDEF
        for param in fps.params()[:5]:
            with pytest.raises(TypeError, match="no value that can be set"):
                param.set(1, force=True)


@pytest.mark.parametrize("nbytes", [0, 4096, FIRST, 90000])
def test_a_file_that_is_cut_in_use(nbytes: int, shm_dir: Path) -> None:
    path = lay_down("goldwrite.fps.shm", shm_dir)
    fps = FPS("goldwrite")
    watch = fps.watch()
    assert fps["f64"] == 1.1
    os.truncate(path, nbytes)
    calls = (
        fps.as_dict, lambda: list(fps), lambda: fps.set("strm", "x", force=True), fps.header, fps.messages,
        fps.check, lambda: fps.status_text, lambda: next(watch), lambda: fps.wait_for_change(timeout=5),
        lambda: fps.add_param("n", default=1),
    )  # fmt: skip
    raised = 0
    for call in calls:
        try:
            call()
        except FPSDamagedError as error:
            assert "cut" in str(error)
            raised += 1
    assert raised >= len(calls) - 3  # the header may be whole
    with pytest.raises(FPSDamagedError):
        fps.as_dict()
    with pytest.raises(FPSDamagedError):
        fps["strm"]
    fps.close()


def test_a_file_that_gets_another_table_in_use(shm_dir: Path) -> None:
    path = lay_down("goldwrite.fps.shm", shm_dir)
    with FPS("goldwrite") as fps:
        store(path, SLOTS_AT, "<q", 11)
        before = path.read_bytes()
        for call in (lambda: fps["i32"], lambda: fps.set("i32", 1), fps.as_dict):
            with pytest.raises(FPSDamagedError, match="rewritten") as caught:
                call()
            assert caught.value.found == "NBparamMAX 11"
        assert path.read_bytes() == before


@pytest.mark.parametrize("seed", range(60))
def test_damaged_in_any_way(seed: int, shm_dir: Path) -> None:
    """Whatever a file holds: values come out or an error of ours does, and looking changes nothing."""
    drive(damaged(random.Random(seed)), shm_dir)


def test_keys_do_not_leak_between_files(shm_dir: Path) -> None:
    lay_down("goldwrite.fps.shm", shm_dir)
    lay_down("goldtypes.fps.shm", shm_dir)
    with FPS("goldwrite") as one, FPS("goldtypes") as other, pytest.raises(FPSKeyError):
        one[next(iter(other))]
