"""An engine without a network, and a sender on it."""

from __future__ import annotations

import pytest

from pymilk.bridge import Sender
from support.waiting import until
from support.wires import Wires


@pytest.fixture
def wires():
    return Wires()


@pytest.fixture
def sender(wires, source):
    """Send `source`, a stream "wfs" of the test, as host "rtc"."""
    with Sender(("wfs",), host="rtc", engine=wires) as made:
        until(lambda: wires.here and made.report.streams)
        yield made
