"""Settings of a live view in a notebook: those that the address of the page has."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymilk import SHM
from pymilk.errors import StreamArgumentError
from pymilk.web import notebook


def test_settings_are_those_of_the_page() -> None:
    words = (Path(notebook.__file__).parent / "static" / "words.js").read_text()
    usual = words[words.index("USUAL") :]
    assert set(re.findall(r"(\w+): \"", usual)) == set(notebook._SETTINGS)


def test_a_setting_that_there_is_not(make: Callable[..., SHM]) -> None:
    shm: Any = make("cam", ((4, 5), np.uint16))
    with pytest.raises(StreamArgumentError, match=r"'strech'.*stretch") as caught:
        shm.live(strech="log")
    assert (caught.value.argument, caught.value.found) == ("strech", "log")


def test_settings_become_texts(make: Callable[..., SHM], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "LiveView", lambda path, settings: settings)
    shm: Any = make("cam", ((4, 5), np.uint16))
    given = {"auto": True, "north": np.False_, "low": np.float32(0.5), "turn": 3, "stretch": "log"}
    assert shm.live(**given) == {"auto": "1", "north": "0", "low": "0.5", "turn": "3", "stretch": "log"}
    for wrong in (None, [1], 10**5000):
        with pytest.raises(StreamArgumentError, match="low is a text or a number, as in the address"):
            shm.live(low=wrong)
