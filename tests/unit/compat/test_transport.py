"""The transport engine of other builds: its names are there, and say what to do instead."""

from __future__ import annotations

import pytest

import pymilk
from pymilk.errors import StreamUnsupportedError


def test_names_are_there_and_refuse_in_words():
    from pyMilk.interfacing import transport
    from pyMilk.interfacing.transport import ComputeUnit, CopybackComputeUnit, Image_md

    assert transport.__name__ == "pymilk.interfacing.transport"
    assert Image_md is pymilk.image.Image_md
    for unit in (ComputeUnit, CopybackComputeUnit):
        with pytest.raises(StreamUnsupportedError, match=r"'cam'.*pymilk\.Relay.*pymilk\.play") as caught:
            unit("cam", "isio:cam", 0, "tcp:host:5000", "cpu")
        assert caught.value.stream == "cam"
