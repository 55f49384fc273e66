"""Streams that are not there, that go, and images that have no usual shape or values."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from websockets.exceptions import ConnectionClosed

from pymilk import SHM
from pymilk.errors import StreamStorageError
from pymilk.web import Settings, WebServer
from support.pages import Page, get

IMAGES = {
    "pixel": np.ones((1, 1), "f4"),
    "mixed": np.array([[np.nan, np.inf], [-np.inf, 1.0]], "f4"),
    "nothing": np.full((3, 3), np.nan, "f8"),
    "equal": np.full((5, 5), 7, "u1"),
    "column": np.ones((7, 1), "u2"),
    "cube": np.ones((3, 4, 5), "u2"),
}


def test_images_of_all_kinds(shm_dir: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A warning would be an error here, and an answer of 500."""
    with WebServer(Settings(port=0)) as server:
        for name, image in IMAGES.items():
            with SHM(name, image):
                page = Page(server, name)
                header, pixels = page.next(width=800, height=600)
                rows, columns = header["size"]
                assert rows <= 600
                assert columns <= 800
                if header["exact"] and image.ndim == 2 and 1 not in image.shape:
                    assert np.array_equal(pixels, image, equal_nan=image.dtype.kind == "f")
                assert page.raw(width=80, height=60, jpeg="99")[0]["sent"] in ("jpeg", "uint16")
                page.close()
                for kind in ("fits", "npy", "png"):
                    assert get(server, f"/api/streams/{name}/frame.{kind}")[0] == 200, (name, kind)
    assert caplog.records == []


def test_the_mean_of_a_large_image(shm_dir: Any) -> None:
    image = np.add.outer(np.arange(4000), np.zeros(4000)).astype("u2")
    with SHM("large", image), WebServer(Settings(port=0)) as server:
        page = Page(server, "large")
        header, pixels = page.next(width=1000, height=1000)
        page.close()
    assert header["bins"] == [4, 4]
    assert np.array_equal(pixels, np.add.outer(np.arange(1000) * 4 + 2, np.zeros(1000)))


def test_streams_that_are_not_there_and_that_go(shm_dir: Any) -> None:
    with WebServer(Settings(port=0)) as server:
        assert json.loads(get(server, "/api/streams")[1]) == []
        page = Page(server, "cam")
        with pytest.raises(ConnectionClosed, match="start its writer, or check MILK_SHM_DIR"):
            page.socket.recv(30)
        page.close()
        with SHM("cam", np.ones((2, 2), "u1")) as cam:
            page = Page(server, "cam")
            page.next()
            cam.destroy()
            assert page.state()["trouble"] == "deleted, this is its last frame"
            for path in ("", "/keywords", "/frame.npy", "/frame.png", "/frame.fits"):
                assert get(server, f"/api/streams/cam{path}")[0] == 404
        page.close()


def test_an_address_of_another_machine() -> None:
    with pytest.raises(StreamStorageError, match="choose an address of this machine"):
        WebServer(Settings(host="203.0.113.7", port=0)).start()
