"""Captures of several streams in notebooks, and as what they are not: one array."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import pymilk
from pymilk import SHM


def test_a_picture_for_each_stream(make: Callable[..., SHM]) -> None:
    pytest.importorskip("PIL")
    cam, dm = make("cam", ((4, 6), np.uint16)), make("dm", ((3,), np.float32))
    many = pymilk.capture_many({"<wfs>": cam, "dm": dm}, 1, background=True)
    # Nothing has come yet: it does not wait.
    assert "0 of 1, running" in many._repr_html_()
    assert "<img" not in many._repr_html_()
    cam.set_data(np.ones((4, 6), np.uint16))
    dm.set_data(np.zeros(3, np.float32))
    many.join()
    text = many._repr_html_()
    assert text.count("<img") == 2
    assert "1 of 4 x 6, uint16" in text
    assert "1 of 3, float32" in text
    assert "&lt;wfs&gt;" in text
    assert "<wfs>" not in text
    assert re.findall("complete", text) == ["complete", "complete"]


def test_it_is_not_one_array(make: Callable[..., SHM]) -> None:
    cam = make("cam", ((4, 6), np.uint16))
    many = pymilk.capture_many({"wfs": cam}, 1, background=True)
    cam.set_data(np.zeros((4, 6), np.uint16))
    many.join()
    with pytest.raises(TypeError, match="by its label: wfs"):
        np.asarray(many)
    assert np.asarray(many["wfs"]).shape == (1, 4, 6)
