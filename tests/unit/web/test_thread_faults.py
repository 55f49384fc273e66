"""The threads of the server and of live views fail: those who wait are told why."""

from __future__ import annotations

import logging
import socket
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

import uvicorn

from pymilk import SHM, Recorder
from pymilk.errors import StreamArgumentError, StreamError, StreamStorageError
from pymilk.web import Settings, WebServer
from pymilk.web.control import Control
from pymilk.web.listing import Listing
from support.faults import (
    FAULTS,
    Failing,
    comes_from,
    each_fault,
    raised_within,
    threads_of_pymilk,
    threads_run_out,
    within,
)
from support.pages import get
from support.waiting import until


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    return True


@each_fault
def test_a_server(shm_dir: object, monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    monkeypatch.setattr(uvicorn.Server, "serve", Failing(fault))
    server = WebServer(Settings(port=0)).start()
    error = raised_within(server.wait)
    assert isinstance(error, StreamError)
    assert comes_from(error, fault)
    assert server.error is error
    assert not server.running
    assert not server.report.running
    assert is_free(server.port)
    within(server.stop)
    assert not threads_of_pymilk()


def test_a_server_without_a_thread(shm_dir: object) -> None:
    server = WebServer(Settings(port=0))
    with threads_run_out(), pytest.raises(StreamStorageError, match="no thread"):
        server.start()
    assert not server.running
    assert is_free(server.port)
    with server:
        assert server.running


@pytest.mark.parametrize("timeout", [-1, float("nan"), "long"])
def test_no_time(shm_dir: object, timeout: Any) -> None:
    with WebServer(Settings(port=0)) as server, pytest.raises(StreamArgumentError, match="timeout"):
        server.wait(timeout)


def test_all_recordings_end_although_one_fails(
    shm_dir: object, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = Control(Listing(()), str(tmp_path), True)
    with SHM("one", ((2, 2), np.uint8)) as one, SHM("two", ((2, 2), np.uint8)) as two:
        made = {shm.FNAME: Recorder(shm, tmp_path / f"{shm.FNAME}.npy").start() for shm in (one, two)}
        control._recorders.update(made)
        stop = Recorder.stop
        with monkeypatch.context() as patched:
            patched.setattr(Recorder, "stop", Failing(KeyError("unforeseen"), stop, 1))
            with pytest.raises(KeyError, match="unforeseen"):
                control.close()
        assert not any(each.running for each in made.values())


@pytest.mark.parametrize("kind", ["memory", "disk", "library", "panic"])
def test_a_live_view(
    shm_dir: object, monkeypatch: pytest.MonkeyPatch, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("anywidget")
    from pymilk.web import notebook

    fault = FAULTS[kind]()
    caplog.set_level(logging.WARNING, "pymilk")
    with SHM("cam", ((4, 5), np.uint16)):
        with monkeypatch.context() as patched:
            patched.setattr(notebook.LiveView, "_serve_all", Failing(fault))
            patched.setattr(notebook.Sources, "close", Failing(KeyError("at the end")))
            error = raised_within(lambda: notebook.live("cam"))
            assert isinstance(error, StreamStorageError)
            assert comes_from(error, fault)
        with threads_run_out(), pytest.raises(StreamStorageError, match="no thread"):
            notebook.live("cam")
        until(lambda: not threads_of_pymilk())


def test_a_place_where_a_view_is_shown(
    shm_dir: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The page is told, in place of a picture that stands still; and so is the log."""
    pytest.importorskip("anywidget")
    from pymilk.web import notebook, viewer

    caplog.set_level(logging.WARNING, "pymilk")
    said: list[dict[str, Any]] = []
    with SHM("cam", ((4, 5), np.uint16)), notebook.live("cam") as view:
        monkeypatch.setattr(view.widget, "send", lambda told, buffers=None: said.append(told))
        monkeypatch.setattr(viewer.View, "_send", Failing(ZeroDivisionError("unforeseen")))
        view._take(view.widget, {"id": "1", "open": True}, [])
        until(lambda: any("unforeseen" in str(each.get("end")) for each in said))
        until(lambda: view.views == 0)
    assert "unforeseen" in caplog.text


@each_fault
def test_an_answer_that_fails_is_one(
    shm_dir: object, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """Who asks is told why, whatever it was."""
    if not isinstance(fault, Exception):
        pytest.skip("it ends the server")
    monkeypatch.setattr("pymilk.web.api.list_fps", Failing(fault))
    with WebServer(Settings(port=0)) as server:
        code, said, _ = get(server, "/api/fps")
    words = str(fault) or "no memory"
    assert (code, words in said.decode()) == (500 if isinstance(fault, MemoryError) else 400, True)
