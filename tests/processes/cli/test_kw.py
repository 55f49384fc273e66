"""``pymilk kw``, as a user runs it."""

from __future__ import annotations

import json

import pytest

from support.calling import call, done
from support.commands import run

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")


def test_kw_sets_lists_and_reads(make_stream):
    stream = make_stream("cam", (2, 2), "u1", nbkw=6)
    said = call("kw", "cam")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "stream 'cam' has no keywords\n")
    assert done("kw", "cam", "GAIN=2.5", "N=7", "OBJ=HD 1", "--comment", "first", function=run) == ""
    assert done("kw", "cam", "CODE=12", "--text") == ""
    assert [(each.name, each.value, each.comment) for each in stream.read_keywords()] == [
        ("GAIN", 2.5, "first"), ("N", 7, "first"), ("OBJ", "HD 1", "first"), ("CODE", "12", ""),
    ]  # fmt: skip
    assert done("kw", "cam", "OBJ", "N") == "HD 1\n7\n"
    assert done("kw", "cam", "N=-8", "N") == "-8\n"
    assert stream.read_keywords()[1][:3] == ("N", -8, "first")
    lines = done("kw", "cam").splitlines()
    assert lines[0].split() == ["keyword", "value", "comment"]
    assert [line.split()[0] for line in lines[1:]] == ["GAIN", "N", "OBJ", "CODE"]
    [shown] = json.loads(done("kw", "cam", "GAIN", "--json"))
    assert shown == {"name": "GAIN", "value": 2.5, "comment": "first"}


def test_kw_failures(make_stream):
    stream = make_stream("cam", (2, 2), "u1", nbkw=1)
    stream.write_keywords([("A", 1, "")])
    missing = run("kw", "cam", "A", "B")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "no keyword 'B'" in missing.stderr
    full = call("kw", "cam", "A=2", "B=3")
    assert full.returncode == 1
    assert stream.read_keywords()[0].value == 1  # all or nothing
    assert call("kw", "cam", "=3").returncode == 2
    assert call("kw", "cam", "A", "--comment", "x").returncode == 2
    assert call("kw", "nowhere").returncode == 1
