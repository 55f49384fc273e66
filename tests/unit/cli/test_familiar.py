"""Commands of existing scripts: their texts and options."""

from __future__ import annotations

import pytest

from support.calling import call, done

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")


@pytest.mark.parametrize(
    "command", ["ls", "info", "kw", "create", "rm", "doctor", "top", "play", "capture"]
)
def test_help_has_an_example(command):
    assert f"Example: pymilk {command}" in done(command, "--help")


@pytest.mark.parametrize("arguments", [
    ["ls", "--rate", "nan"], ["top", "--interval", "nan"], ["info", "cam", "--measure", "nan"],
    ["show", "cam", "--rate", "nan"], ["show", "cam", "--zoom", "nan", "--once"],
    ["record", "cam", "-o", "cam.npy", "--seconds", "nan"], ["play", "cam.npy", "--rate", "nan"],
    ["capture", "cam", "-n", "1", "-o", "cam.npy", "--timeout", "inf"], ["demo", "--rate", "nan"],
    ["bench", "--seconds", "nan"], ["relay", "cam", "other", "--stats", "nan"],
])  # fmt: skip
def test_no_number_is_wrong_usage(make_stream, arguments):
    make_stream("cam", (2, 2), "u1")
    said = call(*arguments)
    assert said.returncode == 2
    assert "is not a finite number" in said.stderr
