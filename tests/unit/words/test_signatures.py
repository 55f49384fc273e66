"""Functions that make an object and wait for it take the same parameters as its class, spelled out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

import pymilk
from pymilk.playback import player
from pymilk.recording import recorder


@pytest.mark.parametrize(
    ("function", "kind"),
    [(pymilk.record, pymilk.Recorder), (pymilk.play, pymilk.Player)],
    ids=["record", "play"],
)
def test_same_parameters(function: Callable[..., Any], kind: type) -> None:
    mine, its = (inspect.signature(each).parameters for each in (function, kind))
    assert {name: (each.kind, each.default) for name, each in mine.items()} == {
        name: (each.kind, each.default) for name, each in its.items()
    }


@pytest.mark.parametrize(
    ("function", "room", "kind"),
    [(pymilk.record, recorder, "Recorder"), (pymilk.play, player, "Player")],
    ids=["record", "play"],
)
def test_each_is_passed_on(
    function: Callable[..., Any], room: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = mock.MagicMock()
    monkeypatch.setattr(room, kind, made)
    given = {name: object() for name in inspect.signature(function).parameters}
    positional = list(given.values())[:2]
    named = dict(list(given.items())[2:])
    function(*positional, **named)
    made.assert_called_once_with(*positional, **named)
