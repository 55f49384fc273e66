"""Pixels of a frame that a view was sent, asked for afterwards."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from pymilk import SHM
from pymilk.web import Settings, WebServer
from support.pages import Page


def cut(page: Page, frame: int) -> tuple[dict[str, Any], np.ndarray | None]:
    page.say({"cut": {"id": 5, "frame": frame, "left": 1, "bottom": 0, "right": 3, "top": 1}})
    while True:
        content = page.socket.recv(10)
        if isinstance(content, str):
            if json.loads(content)["kind"] == "cut":
                return json.loads(content), None
            continue
        (length,) = struct.unpack_from("<I", content)
        return json.loads(content[4 : 4 + length]), np.frombuffer(content, "<i8", offset=4 + length)


def test_the_last_two_frames_can_be_asked_for(shm_dir: Any) -> None:
    image = np.arange(12).reshape(3, 4) + 2**60
    with SHM("cam", image) as cam, WebServer(Settings(port=0)) as server:
        page = Page(server, "cam")
        numbers = [page.next(width=1, height=1)[0]["frame"]]
        for k in (1, 2):
            cam.set_data(image + k)
            numbers.append(page.next()[0]["frame"])
        for k in (1, 2):
            header, pixels = cut(page, numbers[k])
            assert pixels is not None
            assert pixels.tolist() == [2**60 + k + 1, 2**60 + k + 2]
            assert (header["kind"], header["id"], header["cnt0"]) == ("cut", 5, k + 1)
        assert cut(page, numbers[0]) == ({"kind": "cut", "id": 5, "gone": True}, None)
        page.close()


@pytest.mark.parametrize(
    "wrong", [7, {"id": "a", "frame": 1}, {"id": 1, "frame": []}, {"id": 1, "frame": 1, "left": "x"}]
)
def test_a_cut_that_is_none_ends_the_view(shm_dir: Any, wrong: object) -> None:
    with SHM("cam", np.zeros((2, 2))), WebServer(Settings(port=0)) as server:
        page = Page(server, "cam")
        page.next()
        page.say({"cut": wrong})
        assert page.ended() == 4400
