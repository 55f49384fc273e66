"""The server of the page reports what it did, as all that works in the background."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from pymilk.reports import Report
from pymilk.web import Settings, WebReport, WebServer
from support.pages import get
from support.waiting import until


def test_from_start_to_end(shm_dir):
    server = WebServer(Settings(port=0))
    before = server.report
    assert (before.running, before.requests, before.connections, before.duration) == (False, 0, 0, 0.0)
    with server:
        assert isinstance(server.report, WebReport)
        assert server.report.running
        for number in (1, 2, 3):
            get(server, "/api/about")
            until(lambda number=number: server.report.requests == number)
        assert server.settings.token not in str(server.report) + repr(server.report)
    ended = server.report
    assert isinstance(ended, Report)
    assert (ended.running, ended.requests, ended.connections) == (False, 3, 0)
    assert ended.duration == server.report.duration > 0
    assert ended.address.startswith("http://127.0.0.1:")
    told = json.loads(json.dumps(ended.to_dict()))
    assert told == {
        "address": ended.address, "running": False, "connections": 0, "requests": 3,
        "duration": ended.duration,
    }  # fmt: skip
    assert "no, it has ended" in str(ended)
