"""Streams of events have no picture, and say so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from click.testing import CliRunner

from pymilk import SHM
from pymilk.cli.app import app
from pymilk.errors import StreamUnsupportedError
from pymilk.native.formats import EVENT
from pymilk.view import Feed


def test_no_picture_of_events(make: Callable[..., SHM]) -> None:
    camera = make("events", ((4, 5), EVENT))
    with pytest.raises(StreamUnsupportedError, match="'events' holds events"):
        Feed("events")
    shown = CliRunner().invoke(app, ["show", "events", "--once"])
    assert (shown.exit_code, "holds events (u1,u1,u2,u1)" in shown.output) == (1, True)
    assert "<img" not in camera._repr_html_()
    assert "u1,u1,u2,u1" in CliRunner().invoke(app, ["ls"]).output


def test_stream_made_anew_with_events_keeps_its_last_picture(make: Callable[..., SHM]) -> None:
    make("cam", np.ones((4, 5), np.uint16))
    with Feed("cam") as feed:
        feed.look()
        feed.take()
        make("cam", ((4, 5), EVENT), replace=True)
        feed.look()
        assert "holds events" in feed.trouble
        assert (feed.take() == 1).all()
