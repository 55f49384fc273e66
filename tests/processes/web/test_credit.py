"""The credit of a page, and attacks on it: what it says to have painted is true, or its view ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from pymilk import SHM
from pymilk.web import Settings, WebServer
from support.pages import Page, views
from support.waiting import until

IMAGE = np.zeros((4, 4), "u2")


@pytest.mark.parametrize(
    ("change", "value"),
    [("cnt0", 99), ("cnt0", 0), ("cnt0", -1), ("cnt0", None), ("file", "1"), ("file", 1), ("file", "x")],
)
def test_credit_for_a_frame_that_was_not_sent(shm_dir: Any, change: str, value: object) -> None:
    with SHM("cam", IMAGE), WebServer(Settings(port=0)) as server:
        page, other = Page(server, "cam"), Page(server, "cam")
        page.next()
        other.next()
        assert page.painted is not None
        page.say({"ready": {**page.painted, change: value}})
        assert page.ended() == 4400
        assert other.state()["shown"] == 1  # the others go on


@pytest.mark.parametrize("ready", [True, False, 1, "yes", []])
def test_credit_that_is_none(shm_dir: Any, ready: object) -> None:
    with SHM("cam", IMAGE), WebServer(Settings(port=0)) as server:
        page = Page(server, "cam")
        page.next()
        page.say({"ready": ready})
        assert page.ended() == 4400


@pytest.mark.parametrize(
    "first",
    [{"protocol": 1}, {"protocol": None}, {"protocol": "2"}, {"account": 7}, {"account": {}},
     {"account": {"cnt0": 1, "file": "1", "shown": 1, "skipped": -1, "lives": 1}}],
)  # fmt: skip
def test_pages_of_another_version_and_accounts_that_are_none(shm_dir: Any, first: dict[str, Any]) -> None:
    with SHM("cam", IMAGE), WebServer(Settings(port=0)) as server:
        page = Page(server, "cam", **first)
        assert page.ended() == 4400


def test_credit_without_painting_brings_two_frames(shm_dir: Any) -> None:
    with SHM("cam", IMAGE) as cam, WebServer(Settings(port=0)) as server:
        page = Page(server, "cam")
        for counter in (1, 2):
            page.say({"ready": None})
            content = page.socket.recv(30)
            assert isinstance(content, bytes)
            cam.set_data(IMAGE + counter)
        for _ in range(50):
            page.say({"ready": None})
        with pytest.raises(TimeoutError):
            page.socket.recv(0.2)
        (view,) = views(server)
        assert (view["shown"], view["skipped"], view["last"]) == (0, 0, None)
        page.close()


def test_the_account_goes_on_when_the_page_comes_back(shm_dir: Any) -> None:
    with SHM("cam", IMAGE) as cam, WebServer(Settings(port=0)) as server:
        page = Page(server, "cam")
        page.next()
        for _ in range(3):
            cam.set_data(IMAGE)
        page.next()
        said, last = page.state(), page.painted
        assert last is not None
        page.close()
        until(lambda: views(server) == [])
        for _ in range(5):
            cam.set_data(IMAGE)
        account = {**last, **{name: said[name] for name in ("shown", "skipped", "lives")}}
        page = Page(server, "cam", account=account)
        page.painted = last
        header, _ = page.next()
        assert (header["cnt0"], header["shown"], header["skipped"]) == (9, 2, 2)
        page.state()
        (view,) = views(server)
        assert (view["last"], view["shown"], view["skipped"], view["lives"]) == (9, 3, 6, 1)
        assert view["shown"] + view["skipped"] == 9
        page.close()
