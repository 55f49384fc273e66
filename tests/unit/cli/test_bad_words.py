"""Bad values on the command line: refused before the work, in the words of the command line."""

from __future__ import annotations

import errno
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

import pymilk
from pymilk import SHM
from pymilk.errors import StreamArgumentError
from pymilk.parameters import FPS, program
from support.calling import call

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib"
)

#: Texts that NumPy reads with errors of other types than TypeError.
NO_DTYPES = ["1e-300", "f4,,", "f4,(", "(99999999999,9999999999)f4", "\udcff"]


@pytest.mark.parametrize("text", NO_DTYPES)
@pytest.mark.parametrize(
    "command",
    [["create", "new", "--shape", "4x4"], ["simulate", "new"], ["demo"], ["bench"]],
    ids=lambda each: each[0],
)
def test_text_that_is_no_dtype(text: str, command: list[str], shm_dir: Path) -> None:
    said = call(*command, "--dtype", text)
    assert said.returncode == 2, said.stderr
    assert f"{text!r} is not a NumPy dtype, for example uint16" in " ".join(said.stderr.split())
    assert list(shm_dir.iterdir()) == []


@pytest.mark.parametrize("text", NO_DTYPES)
def test_text_that_is_no_dtype_in_python(text: str, shm_dir: Path) -> None:
    with pytest.raises(StreamArgumentError, match="data is an array or"):
        SHM("new", ((4, 4), text))


@needs_matplotlib
@pytest.mark.parametrize("name", ["out", "out.5", "out.npy", "out."])
@pytest.mark.parametrize(
    "command", [["capture", "cam", "-n", "1"], ["demo"], ["bench"]], ids=lambda each: each[0]
)
def test_picture_without_a_format_is_refused_before_the_work(
    name: str, command: list[str], make, tmp_path: Path
) -> None:
    make("cam", ((3, 4), np.uint16))
    said = call(*command, "--plot", tmp_path / name)
    assert said.returncode == 2, said.stderr
    assert "the suffix chooses the format of a picture, and is one of" in " ".join(said.stderr.split())
    assert "--plot" in said.stderr
    assert said.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--width", "--height"])
@pytest.mark.parametrize("value", ["32768", "99999999999999999999999999"])
def test_picture_larger_than_any_screen(option: str, value: str, make) -> None:
    make("cam", ((3, 4), np.uint16))
    said = call("show", "cam", "--once", option, value)
    assert said.returncode == 2, said.stderr
    assert f"{value} is not in the range 1<=x<=32767" in " ".join(said.stderr.split())


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--max-frames-per-file", 2**63, f"--max-frames-per-file is a number of frames, 1 to {2**62 - 1}"),
        ("--max-seconds-per-file", "1e18", "--max-seconds-per-file is a time of more than 0 and up to"),
        ("--ring", 2**63, f"--ring is a number of frames, 1 to {2**62 - 1}, not"),
    ],
)
def test_argument_is_called_as_its_option(
    option: str, value: object, words: str, make, tmp_path: Path
) -> None:
    make("cam", ((3, 4), np.uint16))
    said = call("record", "cam", "-o", tmp_path / "a.npy", "-n", 1, option, value)
    assert said.returncode == 1
    assert said.stderr.startswith(f"pymilk: {words}")
    assert "(option" not in said.stderr


@pytest.mark.parametrize("command", ["record", "capture"])
def test_force_is_an_option_here(command: str, make, tmp_path: Path) -> None:
    make("cam", ((3, 4), np.uint16))
    there = tmp_path / "a.npy"
    there.touch()
    said = call(command, "cam", "-o", there, "-n", 1)
    words = "exists already; choose another name, or replace it with --force\n"
    assert (said.returncode, said.stderr) == (1, f"pymilk: {there} {words}")


def test_count_that_is_too_large_says_the_largest() -> None:
    words = f"frames is a number of frames, 1 to {2**62 - 1}, not {2**63}"
    with pytest.raises(StreamArgumentError, match=words):
        pymilk.recording.Recorder("cam", "a.npy", frames=2**63)


def test_nothing_is_advised_that_the_command_has_not(tmp_path: Path) -> None:
    (tmp_path / "a.npy").touch()
    said = call("bridge", "fetch", "rtc/cam", "--connect", "tcp/127.0.0.1:9", "-o", tmp_path / "a.npy")
    words = "exists already; choose another name"
    assert (said.returncode, said.stderr) == (1, f"pymilk: {tmp_path / 'a.npy'} {words}\n")


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    there = tmp_path / "cam.txt"
    there.touch()
    monkeypatch.setattr("pymilk.cli.commands.info.content_of", refuse)
    said = call("info", there)
    assert (said.returncode, said.stderr) == (1, f"pymilk: {there} cannot be read: Permission denied\n")


def test_cut_fits_file_is_told_in_words(tmp_path: Path) -> None:
    pytest.importorskip("astropy", reason="extra fits")
    cut = tmp_path / "cut.fits"
    cut.write_bytes(b"SIMPLE  =                    T")
    said = call("info", cut)
    assert said.returncode == 1
    assert said.stderr.startswith(f"pymilk: {cut} is no FITS file, or it is damaged: ")
    assert "Error(" not in said.stderr


@pytest.mark.parametrize("kind", ["msg", "cmd", "state"])
@pytest.mark.parametrize(("make_it", "words"), [(os.mkfifo, "a pipe, a socket or a device"), (os.mkdir, "")])
def test_channel_that_is_no_file(kind: str, make_it, words: str, shm_dir: Path) -> None:
    there = shm_dir / f"odd.{kind}.shm"
    make_it(there)
    reading = {"msg": ["tail", "odd"], "cmd": ["send", "odd", "x"], "state": ["state", "odd"]}[kind]
    for command in (reading, ["rm", there.name], ["info", there.name]):
        said = call(*command)
        assert said.returncode == 1, said.stderr
        assert said.stderr.startswith("pymilk: ")
        assert str(there) in said.stderr
        assert words in said.stderr
    assert there.exists()
    assert there.name in call("ls").stdout


@pytest.mark.parametrize("target", ["..:x", ".x:x", "os..path:join", ":x", "os:"])
def test_function_that_has_no_full_name(
    target: str, shm_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FPS.create("loop", directories=False):
        assert program.main(["-n", "loop", f"{target} _RUNSTART_"]) == 1
    words = f"pymilk-exec: fps 'loop': {target!r} is not package.module:function\n"
    assert capsys.readouterr().err == words


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_of_the_program_of_an_fps(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([word]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("usage: pymilk-exec -n FPS ")
    assert said.err == ""


@pytest.mark.parametrize(
    "command", [["play", "{}/a.npy", "--stream", "new"], ["simulate", "new"], ["simulate", "new", "--loop"]]
)
def test_rate_whose_interval_is_longer_than_any_clock(
    command: list[str], shm_dir: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 5), np.uint16))
    said = call(*(each.format(tmp_path) for each in command), "--rate", "1e-300")
    assert said.returncode == 1, said.stderr
    assert "; the least is 1e-06, not 1e-300" in said.stderr
    assert said.stderr.startswith("pymilk: --rate is ")
    assert list(shm_dir.iterdir()) == []


def test_rate_whose_interval_is_longer_than_any_clock_in_python(make) -> None:
    shm = make("cam", ((3, 4), np.uint16))
    with pytest.raises(StreamArgumentError, match="the least is 1e-06, not 1e-300"):
        shm.set_many(np.zeros((2, 3, 4), np.uint16), rate=1e-300)


def test_host_with_letters_of_no_name(shm_dir: Path) -> None:
    pytest.importorskip("uvicorn", reason="extra web")
    said = call("web", "--port", 0, "--host", "\udcff")
    assert said.returncode == 1
    assert said.stderr.startswith("pymilk: --host is an address of this machine, not ")


def test_ring_of_what_is_played(tmp_path: Path) -> None:
    said = call("play", tmp_path / "a.npy", "--ring", 2**63)
    assert said.returncode == 2
    assert "is not in the range 0<=x<=4294967295" in " ".join(said.stderr.split())
