"""Words at places where users stumbled: patterns without a match, wrong templates and headers, many gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from pymilk.cli.describing import GAPS_SHOWN, recording_report
from pymilk.cli.output import table_lines
from pymilk.errors import RecordError, StreamExistsError, StreamShapeChangedError
from pymilk.recording import Recorder
from support.calling import call


@pytest.mark.parametrize("patterns", [["cam*"], ["cam*", "dm"], []])
def test_watch_says_which_patterns_match_nothing(patterns: list[str], shm_dir: Path) -> None:
    said = call("watch", *patterns, "--once", "--interval", "0.05")
    assert said.stderr == f"pymilk: no stream in {shm_dir} matches {(patterns or ['*'])[0]!r} so far\n"
    assert said.returncode == ("dm" in patterns)


def test_watch_says_nothing_of_patterns_that_match(make) -> None:
    make("wfs1", ((3, 4), np.uint16))
    assert call("watch", "wfs*", "--once", "--interval", "0.05").stderr == ""
    assert call("watch", "--once", "--interval", "0.05").stderr == ""


def test_wrong_field_of_a_template_names_the_option(make) -> None:
    make("cam", ((3, 4), np.uint16))
    said = call("record", "cam", "-o", "{strm}.npy", "-n", 1)
    assert said.returncode == 1
    assert said.stderr.startswith("pymilk: '{strm}.npy' has a field {strm} that is not known here; known are")
    assert said.stderr.endswith(" (option --output)\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("A = {b = 1}", "keywords: 'A' cannot be {'b': 1}: names have 1 to 16 letters"),
        ("LONGER_THAN_IT_MAY_BE = 1", "keywords: 'LONGER_THAN_IT_MAY_BE' cannot be 1: names have 1 to 16"),
        ("A = 9223372036854775808", "keywords: 'A' cannot be 9223372036854775808"),
    ],
)
def test_wrong_keyword_of_a_header_is_named(line: str, words: str, make, tmp_path: Path) -> None:
    make("cam", ((3, 4), np.uint16))
    header = tmp_path / "night.toml"
    header.write_text(line)
    said = call("record", "cam", "-o", tmp_path / "a.npy", "-n", 1, "--header", header)
    assert (said.returncode, said.stderr.startswith(f"pymilk: {words}")) == (1, True), said.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ls"], "no stream in {} (MILK_SHM_DIR)"),
        (["graph"], "no stream in {} (MILK_SHM_DIR)"),
        (["fps", "ls"], "no FPS in {} (MILK_SHM_DIR)"),
        (["fps", "ls", "aol*", "--label", "x"], "no FPS in {} (MILK_SHM_DIR) matches 'aol*' or 'x'"),
        (["ps", "--once"], "no process information in {}"),
        (["ps", "--once", "loop"], "no process information in {} matches 'loop'"),
    ],
)
def test_lists_of_nothing_say_where(arguments: list[str], words: str, shm_dir: Path, monkeypatch) -> None:
    monkeypatch.setattr("pymilk.cli.commands.ps.process_directories", lambda: [str(shm_dir)])
    monkeypatch.setattr("pymilk.cli.commands.ps.list_processes", list)
    said = call(*arguments)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", words.format(shm_dir) + "\n")


def test_stream_without_keywords_says_so(make) -> None:
    make("cam", ((3, 4), np.uint16))
    said = call("kw", "cam")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "stream 'cam' has no keywords\n")
    assert (call("kw", "cam", "--json").stdout, call("kw", "cam", "--json").stderr) == ("[]\n", "")


def test_name_that_is_right_is_not_proposed(make, tmp_path: Path) -> None:
    make("cam", ((3, 4), np.uint16))
    make("cams", ((3, 4), np.uint16))
    said = call("record", "cam", "-o", tmp_path / "none" / "a.npy", "-n", 1)
    folder = str(tmp_path / "none")
    assert said.stderr == f"pymilk: there is no directory {folder!r} to record stream 'cam' in; create it\n"
    assert call("info", "camz").stderr.endswith("did you mean cam or cams?\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lss"], "No such command 'lss'. Did you mean 'ls'?"),
        (["recrod"], "No such command 'recrod'. Did you mean 'record'?"),
        (["fps", "gett"], "No such command 'gett'. Did you mean 'get'?"),
        (["xyzzy"], "No such command 'xyzzy'."),
    ],
)
def test_command_that_was_almost_right(arguments: list[str], words: str) -> None:
    said = call(*arguments)
    assert said.returncode == 2
    assert said.stderr.splitlines()[-1] == f"Error: {words}"


@pytest.mark.parametrize("option", [[], ["--delete"]])
def test_keyword_that_was_almost_right(option: list[str], make) -> None:
    shm = make("cam", ((3, 4), np.uint16))
    shm.set_keywords({"EXPTIME": 0.5, "GAIN": 1})
    for given in ("EXPTME", "exptime"):
        said = call("kw", "cam", given, *option)
        words = f"pymilk: stream 'cam' has no keyword '{given}'; did you mean EXPTIME?\n"
        assert (said.returncode, said.stderr) == (1, words)
    assert "did you mean" not in call("kw", "cam", "TELESCOP", *option).stderr


def test_recording_that_is_there_names_the_option(make, tmp_path: Path) -> None:
    make("cam", ((3, 4), np.uint16), ring=4)
    there = tmp_path / "a.npy"
    there.write_bytes(b"of others")
    said = call("record", "cam", "-o", there, "-n", 1)
    assert said.returncode == 1
    assert f"pymilk: {there} exists already; " in said.stderr
    assert said.stderr.endswith("or replace it with --force\n")
    with pytest.raises(StreamExistsError, match=r"replace it with force=True$"):
        Recorder("cam", str(there))


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "cam", "--shape", "5x5"],
        ["relay", "other", "cam", "--ring", "8"],
        ["play", "{}/a.npy", "--stream", "cam", "--rate", "0"],
    ],
    ids=lambda each: each[0],
)
def test_stream_that_is_there_names_the_option(arguments: list[str], make, tmp_path: Path) -> None:
    make("cam", ((3, 4), np.uint16))
    make("other", ((3, 4), np.uint16))
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 5), np.uint16))
    said = call(*(each.format(tmp_path) for each in arguments))
    assert said.returncode == 1
    assert said.stderr.splitlines()[-1].endswith("or force it (option --force)")


@pytest.mark.parametrize("several", [False, True])
def test_recording_that_a_new_shape_ends_says_what_goes_on(
    several: bool, make, tmp_path: Path, monkeypatch
) -> None:
    changed = StreamShapeChangedError("it was recreated", stream="cam")
    error = RecordError("1 of 2", errors={"cam": changed, "dm": OSError()}) if several else changed
    make("cam", ((3, 4), np.uint16))
    make("dm", ((3, 4), np.uint16))

    def fail(self: Recorder) -> None:
        raise error

    monkeypatch.setattr(Recorder, "wait", fail)
    names = ["cam", "dm"] if several else ["cam"]
    said = call("record", *names, "-o", tmp_path / "{stream}.npy", "--seconds", 0.01)
    assert "pymilk: with --restart a recording goes on in a new file then\n" in said.stderr


@pytest.mark.parametrize("count", [0, 3, GAPS_SHOWN, GAPS_SHOWN + 5])
def test_info_shows_a_screen_of_gaps_behind_the_keywords(count: int) -> None:
    # The later a gap, the larger: 1, 2, ... frames before rows 0, 10, ...
    gaps = [[10 * at, at + 1, 100 * at, 100 * at + at + 2] for at in range(count)]
    nothing = ("missing", "stream", "ended", "axes", "times", "times_in", "torn")
    details: dict[str, Any] = dict.fromkeys(nothing)
    details |= {"paths": ["cam.npy"], "frames": 1000, "shape": (3, 4), "dtype": "uint16", "complete": True}
    details |= {"uncertain": 0, "gaps": gaps, "keywords": [("GAIN", 2.5, "as set")]}
    lines = recording_report(details, table_lines)
    told = lines[lines.index("keywords:") :]
    title = "gaps" if count <= GAPS_SHOWN else f"the {GAPS_SHOWN} largest of {count} gaps"
    assert (f"{title}:" if count else "gaps: none") in told
    shown = [words for words in map(str.split, told) if len(words) == 4 and words[0].isdigit()]
    assert [list(map(int, each)) for each in shown if "-" not in each] == gaps[max(1, count - GAPS_SHOWN) :]
    assert ["0", "1", "-", "2"] in shown or not 1 <= count <= GAPS_SHOWN
    last = f"{count * (count + 1) // 2} frames are missing in all"
    assert told[-1] == {0: "gaps: none", GAPS_SHOWN + 5: f"{last}; --json has every gap"}.get(count, last)
