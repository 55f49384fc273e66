"""Names with letters that headers, addresses and text have other uses for; and what has no body."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from pymilk import SHM
from pymilk.web import Settings, WebServer
from support.pages import Page, get

NAMES = ["sp ace", "ünï", "per%cent", "a%2Fb", "q?x#y", 'quo"te', "semi;colon", "日本"]
#: Of other programs: they stand in lists, and are asked for in vain.
GARBLED = ["tab\tx", "new\nline"]


@pytest.fixture
def server(shm_dir: Any) -> Iterator[WebServer]:
    """Serve streams of all these names: some only other programs can make."""
    folder = Path(os.environ["MILK_SHM_DIR"])
    with SHM("cam", np.arange(6, dtype="u2").reshape(2, 3)):
        for name in (*NAMES, *GARBLED):
            shutil.copy(folder / "cam.im.shm", folder / f"{name}.im.shm")
        with WebServer(Settings(port=0)) as made:
            yield made


def test_streams_of_all_names(server: WebServer) -> None:
    listed = [each["name"] for each in json.loads(get(server, "/api/streams")[1])]
    assert {*NAMES, *GARBLED} <= set(listed)
    for name in GARBLED:
        code, body, _ = get(server, f"/api/streams/{urllib.parse.quote(name)}/frame.npy")
        assert code in (400, 404)
        assert body
    for name in NAMES:
        part = urllib.parse.quote(name, safe="")
        code, body, headers = get(server, f"/api/streams/{part}/frame.npy")
        assert (code, body[:6]) == (200, b"\x93NUMPY"), name
        said = headers["content-disposition"]
        assert said.isprintable()
        assert said.isascii()
        given = said.partition("filename*=UTF-8''")[2]
        assert urllib.parse.unquote(given) == f"{name}.npy" or f'filename="{name}.npy"' in said
        for rest in ("", "/keywords", "/frame.png", "/frame.fits"):
            assert get(server, f"/api/streams/{part}{rest}")[0] == 200, (name, rest)
        page = Page(server, name)
        page.next()
        page.close()


def test_a_name_that_is_no_text_hides_no_other(server: WebServer, shm_dir: Any) -> None:
    folder = os.fsencode(os.environ["MILK_SHM_DIR"])
    shutil.copy(folder + b"/cam.im.shm", folder + b"/raw\xff.im.shm")
    code, body, _ = get(server, "/api/streams")
    assert code == 200
    assert {"cam", "raw\udcff"} <= {each["name"] for each in json.loads(body)}
    code, body, headers = get(server, "/api/streams/raw%FF/frame.npy")
    assert (code, body[:6]) == (200, b"\x93NUMPY")
    assert headers["content-disposition"].endswith("filename*=UTF-8''raw%FF.npy")
    assert get(server, "/api/streams/raw%FE/frame.npy")[0] == 404
    page = Page(server, "raw\udcff")
    page.next()
    page.close()


def test_head_ends_everywhere(server: WebServer) -> None:
    """Also of what goes on and on; the connection can be used for the next question."""
    bearer = {"authorization": f"Bearer {server.settings.token}"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for path in json.loads(get(server, "/api/openapi.json")[1])["paths"]:
        connection.request("HEAD", path.format(name="cam"), headers=bearer)
        answer = connection.getresponse()
        assert answer.read() == b""
        assert answer.status == (404 if path == "/api/fps/{name}" else 200), path
    connection.close()
