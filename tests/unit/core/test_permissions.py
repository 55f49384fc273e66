"""Umask and modes, names and links, and what is removed."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymilk
from pymilk import SHM
from pymilk._core import Stream
from pymilk.errors import (
    StreamArgumentError,
    StreamError,
    StreamExistsError,
    StreamNameError,
    StreamNotFoundError,
    StreamReplacedError,
)
from pymilk.ImageStreamIOWrap import Image

Make = Callable[..., SHM]


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def umask_now() -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1], 8) for line in lines if line.startswith("Umask:"))


def mode_of(path: Any) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


# -- umask and mode -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0, 0o002, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("mode", [None, 0o600, 0o640, 0o644, 0o666])
def test_mode_is_as_asked_and_the_umask_untouched(
    umask: Callable[[int], int], shm_dir: Path, mask: int, mode: int | None
) -> None:
    umask(mask)
    for number, create in enumerate(
        (
            lambda name: Stream.create(name, (2, 2), "u1", mode=mode),
            lambda name: SHM(name, np.zeros((2, 2), "u1"), mode=mode),
            lambda name: SHM(name, ((2, 2), "u1"), ring=4, mode=mode),
        )
    ):
        with create(f"cam{number}") as stream:
            path = shm_dir / f"cam{number}.im.shm"
            assert mode_of(path) == (0o666 & ~mask if mode is None else mode)
            assert umask_now() == mask
        with create(f"cam{number}") as stream:  # made anew
            assert mode_of(path) == (0o666 & ~mask if mode is None else mode)
            stream.destroy()
        assert umask_now() == mask


def test_other_ways_to_make_streams_leave_the_umask_alone(
    umask: Callable[[int], int], make: Make, shm_dir: Path
) -> None:
    umask(0o027)
    image = Image()
    assert image.create("image", np.zeros((2, 2), "f4")) == 0
    shm = make("cam", np.zeros((2, 2), "f4"))
    with pymilk.Relay("cam", "cam_ring", 4):
        assert mode_of(shm_dir / "cam_ring.im.shm") == 0o640
    pymilk.create_stream("made", (2, 2), "f4")
    for name in ("image", "cam", "made"):
        assert mode_of(shm_dir / f"{name}.im.shm") == 0o640
    shm.keywords["A"] = 1
    shm.capture(1, timeout=0.0, background=True).stop()
    assert umask_now() == 0o027
    assert image.destroy() == 0


@pytest.mark.parametrize("mode", [-1, 0o1000, 0o4755, "600", 1.5, 2**70])
def test_mode_that_cannot_be(shm_dir: Path, mode: Any) -> None:
    for create in (
        lambda: Stream.create("cam", (2,), "u1", mode=mode),
        lambda: SHM("cam", ((2,), "u1"), mode=mode),
    ):
        with pytest.raises(StreamArgumentError, match="mode") as caught:
            create()
        assert (caught.value.argument, caught.value.found) == ("mode", mode)
    assert list(shm_dir.iterdir()) == []


# -- names and links ----------------------------------------------------------------------------------

NAMES = ["", ".", "..", "../x", "a/b", "/x", "a\0b", "a\nb", "a\rb", "a\tb", "\x1b[2J", "a\x7f", "x" * 80]


@pytest.mark.parametrize("name", NAMES)
def test_name_cannot_leave_the_directory(tmp_path: Path, shm_dir: Path, name: str) -> None:
    def tree() -> set[str]:
        return {str(path) for path in [*shm_dir.parent.glob("*"), *shm_dir.rglob("*")]}

    before = tree()
    image = Image()
    for call in (
        lambda: SHM(name),
        lambda: SHM(name, np.zeros((2, 2))),
        lambda: Stream.local(name, (2, 2), "u1"),
        lambda: Stream.create(name, (2, 2), "u1"),
        lambda: Stream.attach(name),
        lambda: pymilk.RingReader(name),
        lambda: pymilk.create_stream(name, (2, 2), "u1"),
        lambda: pymilk.remove_stream(name, force=True),
    ):
        with pytest.raises(StreamNameError):
            call()
    assert image.create(name, np.zeros((2, 2), "f4")) != 0
    # Other tests make directories of theirs beside ours meanwhile.
    assert {path for path in tree() - before if not Path(path).name.startswith("pymilk-test-")} == set()


def test_file_with_a_name_that_no_stream_can_have(make: Make, shm_dir: Path) -> None:
    shm = make("cam", np.zeros((2, 2)))
    os.link(shm.FILEPATH, shm_dir / "a\nb.im.shm")
    found = pymilk.list_streams()
    assert [entry["name"] for entry in found] == ["a\nb", "cam"]
    assert "control character" in found[0]["error"]


def outside(tmp_path: Path) -> Path:
    target = tmp_path / "outside.im.shm"
    with Stream.create(target, (2, 2), "u1") as stream:
        stream.publish(np.full((2, 2), 7, "u1"))
    return target


@pytest.mark.parametrize("kind", ["stream", "text", "dangling", "directory"])
def test_creating_replaces_a_link_and_not_what_it_leads_to(
    make: Make, shm_dir: Path, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "outside.im.shm"
    if kind == "stream":
        outside(tmp_path)
    elif kind == "text":
        target.write_text("precious")
    elif kind == "directory":
        target.mkdir()
    before = target.read_bytes() if target.is_file() else target.exists()
    link = shm_dir / "cam.im.shm"
    link.symlink_to(target)
    with pytest.raises(StreamExistsError):
        Stream.create("cam", (2, 2), "u1", exist_ok=False)
    assert link.is_symlink()
    make("cam", np.full((2, 2), 1, "u1"))
    assert not link.is_symlink()
    assert link.is_file()
    assert (target.read_bytes() if target.is_file() else target.exists()) == before


def test_link_is_removed_and_not_what_it_leads_to(shm_dir: Path, tmp_path: Path) -> None:
    target = outside(tmp_path)
    for remove in (
        lambda: pymilk.remove_stream("cam", force=True),
        lambda: Stream.attach("cam").destroy(),
        lambda: SHM("cam").destroy(),
    ):
        (shm_dir / "cam.im.shm").symlink_to(target)
        with Stream.attach(target) as stream:
            remove()
            assert not os.path.lexists(shm_dir / "cam.im.shm")
            assert not stream.replaced()  # nobody was told that it is gone
            assert stream.inode == os.stat(target).st_ino


def test_directory_behind_a_link_is_allowed(
    shm_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(shm_dir)
    monkeypatch.setenv("MILK_SHM_DIR", str(tmp_path / "link"))
    with SHM("cam", np.full((2, 2), 3, "u1")) as shm:
        assert (shm_dir / "cam.im.shm").is_file()
        with SHM("cam") as other:
            assert (other.get_data() == 3).all()
        shm.destroy()
    assert list(shm_dir.iterdir()) == []


# -- content --------------------------------------------------------------------------------------------

FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}


def test_nothing_executable_is_read_from_files() -> None:
    """No module that unpickles, no `eval` or `exec`, and NumPy only with pickles refused."""
    root = Path(pymilk.__file__).parent
    found, loads = [], 0
    for path in [*root.rglob("*.py"), *root.rglob("*.pyx")]:
        text = path.read_text()
        if path.suffix == ".pyx":
            assert not any(f"import {name}\n" in text for name in FORBIDDEN_MODULES)
            assert "np.load" not in text
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = {(node.module or "").split(".")[0]}
            else:
                names = set()
            if names & FORBIDDEN_MODULES:
                found.append((path.name, node.lineno, "import"))
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called in ("eval", "exec", "compile", "__import__", "os.system", "yaml.load"):
                found.append((path.name, node.lineno, called))
            options = {keyword.arg: keyword.value for keyword in node.keywords}
            if "shell" in options or called.endswith("set_local_open_pickle"):
                found.append((path.name, node.lineno, called))
            if called in ("np.load", "numpy.load", "np.lib.format.read_array", "read_array"):
                loads += 1
                if ast.unparse(options.get("allow_pickle", ast.Constant(None))) != "False":
                    found.append((path.name, node.lineno, called))
            elif isinstance(options.get("allow_pickle"), ast.Constant):
                assert options["allow_pickle"].value is False, (path.name, node.lineno)
    assert found == []


# -- removing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
def test_destroy_leaves_a_stream_that_comes_at_the_last_moment(
    make: Make, shm_dir: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The file is replaced between the look at it and its removal, by pymilk or by another program."""
    shm = make("cam", np.full((2, 2), 1, "u1"))
    rename, made = os.rename, []

    def replaced_meanwhile(source: Any, target: Any) -> None:
        monkeypatch.setattr(os, "rename", rename)
        if when == "before":
            made.append(make("cam", np.full((2, 2), 2, "u1")))
            rename(source, target)
        else:
            rename(source, target)
            made.append(make("cam", np.full((2, 2), 2, "u1")))

    monkeypatch.setattr(os, "rename", replaced_meanwhile)
    if when == "before":
        with pytest.raises(StreamReplacedError, match="it was not deleted"):
            shm._stream.destroy()
        shm.destroy()  # silent, as in older interfaces
    else:
        shm.destroy()
    assert os.listdir(shm_dir) == ["cam.im.shm"]
    [new] = made
    assert not new._stream.replaced()
    assert not new._stream.deleted
    with SHM("cam") as other:
        assert (other.get_data() == 2).all()
    new.set_data(np.full((2, 2), 3, "u1"))
    assert new._stream.inode == os.stat(new.FILEPATH).st_ino


def test_destroy_twice_and_of_what_others_put_there(make: Make, shm_dir: Path) -> None:
    first = make("cam", np.zeros((2, 2), "u1"))
    second = Stream.attach("cam")
    first.destroy()
    with pytest.raises(StreamNotFoundError):
        second.destroy()
    (shm_dir / "cam.im.shm").write_text("precious")
    with pytest.raises(StreamReplacedError):
        second.destroy()
    for name in ("cam", "text"):
        (shm_dir / f"{name}.im.shm").write_text("precious")
        with pytest.raises(StreamError):
            pymilk.remove_stream(name, force=True)
        assert (shm_dir / f"{name}.im.shm").read_text() == "precious"


def test_fix_removes_what_was_left_and_no_stream(make: Make, shm_dir: Path, tmp_path: Path) -> None:
    from pymilk.inspection.doctor import fix

    make("cam", np.zeros((2, 2), "u1"))
    (shm_dir / "text.im.shm").write_text("precious")
    left = shm_dir / ".cam.im.shm.4194303.0123abcd.new"  # the number is above those that processes get
    left.write_bytes(b"x")
    alive = shm_dir / f".cam.im.shm.{os.getpid()}.0123abcd.new"
    alive.write_bytes(b"x")
    assert fix() == [str(left)]
    assert fix() == []
    assert sorted(os.listdir(shm_dir)) == sorted(["cam.im.shm", "text.im.shm", alive.name])
    alive.unlink()


@pytest.mark.parametrize("ring", [[], ["--ring", "4"], ["--ring", "4", "--temporal"]])
def test_create_command_with_a_mode(shm_dir: Path, ring: list[str]) -> None:
    testing = pytest.importorskip("click.testing", reason="extra cli")
    pytest.importorskip("rich", reason="extra cli")
    from pymilk.cli.commands.streams import create

    run = testing.CliRunner().invoke
    result = run(create, ["cam", "4", "6", "--mode", "640", *ring])
    assert result.exit_code == 0, result.output
    assert (shm_dir / "cam.im.shm").stat().st_mode & 0o7777 == 0o640
    for mode in ("888", "1777", "rw", "-1"):
        result = run(create, ["other", "4", "6", f"--mode={mode}"])
        assert result.exit_code == 2
        assert "octal digits" in result.output
    assert not (shm_dir / "other.im.shm").exists()
