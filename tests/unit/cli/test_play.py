"""``pymilk play``: options and refusals."""

from __future__ import annotations

import json

import pytest

from pymilk import Stream
from support.calling import call, done


def test_play_as_json_into_new_streams(recorded):
    report = json.loads(done("play", recorded, "--rate", 0, "--ring", 8, "--json"))
    assert (report["stream"], report["published"], report["ended"]) == ("cam", 40, "complete")
    with Stream.attach("cam") as stream:
        assert (stream.cb_size, stream.counter) == (8, 40)
    done("play", recorded, "--stream", "cube", "--rate", 0, "--ring", 8, "--temporal", "--json")
    with Stream.attach("cube") as stream:
        assert stream.temporal
    done("play", recorded, "--stream", "gone", "--rate", 0, "--remove", "--json")
    assert call("info", "gone").returncode == 1


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 1, "as possible (option --rate)\n"),
        (["--original-timing"], 1, "has no times"),
        (["--original-timing", "--rate", "5"], 2, "exclude each other"),
        (["--rate", "-1"], 2, "--rate"),
        (["--rate", "1", "--temporal"], 2, "--ring"),
    ],
)
def test_play_wrong_usage(recorded, shm_dir, options, code, words):
    said = call("play", recorded, *options)
    assert said.returncode == code
    assert words in said.stderr
    assert list(shm_dir.iterdir()) == []
