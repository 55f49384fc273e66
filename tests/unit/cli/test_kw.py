"""``pymilk kw``: options and refusals."""

from __future__ import annotations

import json
import subprocess

import pytest

from support.calling import call, done

click = pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk.cli.commands.familiar import updatekw  # noqa: E402


def test_json_has_no_words_that_are_not_json(make_stream):
    make_stream("cam", (2, 2), "u1").write_keywords([("A", float("nan")), ("B", float("inf")), ("C", 1.5)])

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    told = json.loads(done("kw", "cam", "--json"), parse_constant=refuse)
    assert [each["value"] for each in told] == [None, None, 1.5]
    everything = json.loads(done("info", "cam", "--measure", 0, "--json"), parse_constant=refuse)
    assert everything["keywords"] == told
    assert done("kw", "cam", "B") == "inf\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("-7", -7), ("2.5", 2.5), ("1e3", 1000.0), ("1_000", "1_000"), ("text", "text"), ("", ""),
     (str(2**63 - 1), 2**63 - 1), (str(2**63), float(2**63))],
)  # fmt: skip
def test_values_of_text(text, value):
    from pymilk.streams.keywords import value_of_text

    found = value_of_text(text)
    assert (type(found), found) == (type(value), value)


def test_blanks_around_the_equals_sign_do_not_count(make_stream):
    stream = make_stream("cam", (2, 2), "u1", nbkw=8)
    assert done("kw", "cam", "EXPTIME = 3", " GAIN =2.5", "OBJ= HD 1 ", "CODE = 12") == ""
    assert done("kw", "cam", "CODE= 12", "--text", function=quiet) == ""
    assert [(each.name, each.value) for each in stream.read_keywords()] == [
        ("EXPTIME", 3), ("GAIN", 2.5), ("OBJ", "HD 1 "), ("CODE", "12"),
    ]  # fmt: skip
    assert done("kw", "cam", " EXPTIME ") == "3\n"
    assert json.loads(done("kw", "cam", "EXPTIME = 4", "--json"))[0]["value"] == 4


def test_names_with_blanks_are_refused(make_stream):
    stream = make_stream("cam", (2, 2), "u1", nbkw=8)
    for wrong in ("EXP TIME=3", "EXP\tTIME = 3", " =3", "=3"):
        said = call("kw", "cam", "A=1", wrong)
        assert said.returncode == 2
        assert repr(wrong.partition("=")[0].strip())[1:-1] in said.stderr
    assert call("EXP TIME", "3", command=updatekw_of("cam")).returncode == 2
    assert stream.read_keywords() == []


def test_names_of_others_with_blanks_can_be_used(make_stream):
    stream = make_stream("cam", (2, 2), "u1", nbkw=8)
    stream.write_keywords([("EXP TIME", 1, ""), ("PAD ", 2, "")])
    assert done("kw", "cam", "EXP TIME=3", "EXP TIME", "PAD ") == "3\n2\n"
    assert done("kw", "cam", "--delete", "PAD ", "EXP TIME") == ""
    assert stream.read_keywords() == []


def test_keywords_are_deleted_together_or_not_at_all(make_stream):
    stream = make_stream("cam", (2, 2), "u1", nbkw=8)
    done("kw", "cam", "A=1", "B=2", "C=3", "D=4")
    missing = call("kw", "cam", "--delete", "A", "X")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "no keyword 'X'" in missing.stderr
    assert len(stream.read_keywords()) == 4
    assert done("kw", "cam", "A", " C ", "--delete") == ""
    assert [(each.name, each.value) for each in stream.read_keywords()] == [("B", 2), ("D", 4)]
    for wrong in ([], ["A", "--json"], ["A", "--text"], ["A", "--comment", "x"]):
        assert call("kw", "cam", "--delete", *wrong).returncode == 2
    assert call("kw", "cam", "--delete", "B=2").returncode == 1  # no such keyword
    assert len(stream.read_keywords()) == 2


def test_change_of_type_is_said(make_stream):
    make_stream("cam", (2, 2), "u1", nbkw=8).write_keywords(
        [("GAIN", 2.5, "kept"), ("N", 1, ""), ("OBJ", "HD 1", ""), ("NONE", None, "")]
    )
    said = call("kw", "cam", "GAIN=high", "N=1.5", "OBJ=7", "NONE=x", "NEW=1")
    assert (said.returncode, said.stdout) == (0, "")
    assert said.stderr.splitlines() == [
        "pymilk: keyword GAIN was a floating-point number (2.5) and is text (high) now",
        "pymilk: keyword N was an integer (1) and is a floating-point number (1.5) now",
        "pymilk: keyword OBJ was text (HD 1) and is an integer (7) now",
        "pymilk: keyword NONE was without a value (None) and is text (x) now",
    ]
    assert done("kw", "cam", "GAIN=low", "N=2.5", "OBJ=8", "NEW=2") == ""
    said = call("OBJ ", "text", command=updatekw_of("cam"))
    assert (said.returncode, said.stdout) == (0, "")
    assert "OBJ was an integer (8) and is text (text) now" in said.stderr


def quiet(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Call a command, and drop what it says of types."""
    said = call(*arguments)
    said.stderr = ""
    return said


def updatekw_of(stream: str) -> click.Command:
    """Return updatekw with its first argument given."""
    context = click.Command("updatekw")
    context.main = lambda arguments, **more: updatekw.main([stream, *arguments], **more)
    return context


def test_parameters_of_an_fps_have_no_blanks_either(shm_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # directories are made there
    assert done("fps", "create", "loop", "gain = 0.5", "modes : INT64 = 7") == ""
    assert done("fps", "set", "loop", "gain = 0.25") == ""
    assert done("fps", "get", "loop", "gain", "modes") == "0.25\n7\n"
    assert call("fps", "set", "loop", " = 1").returncode == 2
    assert call("fps", "set", "loop", "gain").returncode == 2


def test_an_integer_that_loses_digits_is_said(make_stream):
    make_stream("cam", (3, 4), "u2", nbkw=4)
    found = call("kw", "cam", "A=12345678901234567891")
    words = "12345678901234567891 has more than 64 bits and is stored as the floating-point number"
    assert (found.returncode, found.stderr) == (0, f"pymilk: {words} 1.2345678901234567e+19\n")
    assert "more than 64 bits" not in call("kw", "cam", "A=1e30").stderr
