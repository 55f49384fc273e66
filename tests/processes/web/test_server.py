"""The server of the page: frames for credit, and people who try what they should not."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from pymilk import SHM, Stream
from pymilk.errors import StreamStorageError
from pymilk.web import Settings, WebServer
from support.pages import Page, get, views
from support.waiting import until


@pytest.fixture
def server(shm_dir):
    with WebServer(Settings(port=0)) as made:
        yield made


@pytest.fixture
def cam(shm_dir):
    with SHM("cam", np.arange(6 * 4, dtype=np.uint16).reshape(6, 4)) as shm:
        yield shm


WRITER = """
import select, sys
import numpy as np
from pymilk import SHM
with SHM("ramp", ((16, 16), np.uint32)) as shm:
    print("ready", flush=True)
    number = 0
    while not select.select([sys.stdin], [], [], 0.0005)[0]:
        number += 1
        shm.set_data(np.full((16, 16), number, np.uint32))
"""


def test_every_frame_is_shown_or_skipped(server, spawn):
    """By the numbers in the pixels of a second process, not by what the server says."""
    child = spawn(WRITER)
    child.expect("ready")
    page = Page(server, "ramp")
    numbers, header = [], {}
    for _ in range(40):
        header, pixels = page.next()
        assert (pixels == pixels[0, 0]).all()
        assert pixels[0, 0] == header["cnt0"] - 1  # the first frame is that of its creation
        numbers.append(int(pixels[0, 0]))
    assert numbers == sorted(set(numbers))
    assert header["shown"] == len(numbers) - 1  # those before it
    assert header["shown"] - 1 + header["skipped"] == numbers[-2] - numbers[0]
    page.credit()
    until(lambda: views(server)[0]["last"] == numbers[-1] + 1)
    (view,) = views(server)
    assert (view["shown"], view["shown"] - 1 + view["skipped"]) == (len(numbers), numbers[-1] - numbers[0])
    page.close()
    child.tell()
    assert child.finish()[0] == 0


def test_no_frame_without_credit(server, cam):
    page = Page(server, "cam")
    page.next()
    for _ in range(5):
        cam.set_data(cam.get_data() + 1)
    with pytest.raises(TimeoutError):
        page.socket.recv(0.3)
    header, _ = page.next()
    assert (header["cnt0"], header["shown"], header["skipped"]) == (6, 1, 0)
    said = page.state()
    assert (said["shown"], said["skipped"]) == (2, 4)
    page.close()


def test_frames_are_not_compressed(server, cam):
    with connect(f"ws://127.0.0.1:{server.port}/view") as socket_of_a_browser:  # which offers to
        assert "Sec-WebSocket-Extensions" in socket_of_a_browser.request.headers
        assert "Sec-WebSocket-Extensions" not in socket_of_a_browser.response.headers


def test_a_new_region_of_the_same_frame(server, cam):
    page = Page(server, "cam")
    page.next()
    header, pixels = page.next(left=1, right=3, bottom=2, top=4, width=100, height=100)
    assert pixels.tolist() == cam.get_data()[2:4, 1:3].tolist()
    header = page.state()
    assert (header["shown"], header["skipped"]) == (1, 0)
    page.close()


def test_between_frames_it_says_what_is_known(server, cam):
    page = Page(server, "cam")
    page.next()
    said = page.state()
    assert (said["kind"], said["shown"], said["skipped"]) == ("state", 1, 0)
    page.close()


def test_the_same_region_has_to_wait_for_the_next_frame(server, cam):
    page = Page(server, "cam")
    page.next(width=2)
    assert page.state()["kind"] == "state"
    page.close()


def test_stream_is_made_again_with_another_shape(server, cam):
    page = Page(server, "cam")
    page.next()
    with SHM("cam", np.ones((3, 5), np.float32)):
        header, pixels = page.next()
        assert (pixels.shape, header["sent"]) == ((3, 5), "float32")
        assert page.state()["lives"] == 2
    page.close()


def test_the_writer_is_not_disturbed(server, cam):
    pages = [Page(server, "cam") for _ in range(5)]
    for page in pages:
        page.next()
    with Stream.attach("cam", writable=False) as stream:
        assert (stream.section("sem_read_pid") <= 0).all()
    for page in pages:
        page.close()


def test_lists_details_files_and_accounts(server, cam):
    code, body, _ = get(server, "/api/streams")
    assert (code, [each["name"] for each in json.loads(body)]) == (200, ["cam"])
    assert json.loads(get(server, "/api/streams/cam")[1])["dtype"] == "uint16"
    assert np.array_equal(np.load(io.BytesIO(get(server, "/api/streams/cam/frame.npy")[1])), cam.get_data())
    assert get(server, "/api/streams/cam/frame.png")[1].startswith(b"\x89PNG")
    assert get(server, "/api/streams/cam/frame.fits")[1].startswith(b"SIMPLE")
    page = Page(server, "cam")
    page.next()
    (view,) = views(server)
    assert (view["stream"], view["shown"], view["last"], view["file"]) == ("cam", 0, None, None)
    page.state()
    (view,) = views(server)
    assert (view["stream"], view["shown"], view["skipped"], view["last"]) == ("cam", 1, 0, 1)
    page.close()
    described = json.loads(get(server, "/api/openapi.json")[1])
    assert "/api/streams/{name}/frame.fits" in described["paths"]


def test_the_page_itself(server):
    for name, kind in (("", "text/html"), ("main.js", "javascript"), ("style.css", "text/css")):
        code, body, headers = get(server, f"/{name}", authorization="")
        assert (code, kind in headers["content-type"]) == (200, True)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert server.settings.token.encode() not in body


@pytest.mark.parametrize(
    "path",
    ["/api/streams/..%2f..%2fetc%2fpasswd", "/api/streams/.hidden", "/api/streams/%00",
     "/api/streams/no/frame.npy", "/../../../../etc/passwd", "/%2e%2e/%2e%2e/pyproject.toml",
     "/static/../server.py", "//etc/passwd",
     "/api/streams/" + "a" * 5000],
)  # fmt: skip
def test_paths_that_lead_elsewhere(server, path):
    code, body, _ = get(server, path)
    assert code in (400, 404)
    assert b"root:" not in body


def test_patterns_hide_other_streams(shm_dir, cam):
    with SHM("wfs", ((2, 2), np.uint8)) as wfs, WebServer(Settings(port=0, patterns=("wf*",))) as server:
        wfs.set_data(np.ones((2, 2), np.uint8))
        assert [each["name"] for each in json.loads(get(server, "/api/streams")[1])] == ["wfs"]
        assert get(server, "/api/streams/cam/frame.npy")[0] == 404
        page = Page(server, "cam")
        assert page.ended() == 4404
        Page(server, "wfs").close()


@pytest.mark.parametrize("first", [{"token": "wrong"}, {"token": None}, {"token": 7}, {"token": "\ud800"}])
def test_views_without_the_token(server, cam, first):
    page = Page(server, "cam", **first)
    assert page.ended() == 4401


@pytest.mark.parametrize(
    "said", ["{", "[]", "7", "[" * 5000, '{"view": 7}', '{"view": {"left": "x"}}',
             '{"ready": null, "view": {"slice": 9}}'],
)  # fmt: skip
def test_messages_that_are_none(server, cam, said):
    page = Page(server, "cam")
    page.next()
    page.say(said)
    assert page.ended() in (4400, 4404)
    assert get(server, "/api/streams")[0] == 200


@pytest.mark.parametrize("sign", ["", "-"])
def test_numbers_larger_than_any_float(server, cam, caplog, sign):
    """JSON has whole numbers of any size: they count as the largest, or as none."""
    huge = sign + "1" + "0" * 400
    whole = cam.get_data()
    for name in ("left", "bottom", "right", "top", "width", "height"):
        page = Page(server, "cam")
        page.next()
        page.say({"view": {name: int(huge)}})
        page.close()
        page = Page(server, "cam")
        header, pixels = page.next(**{name: int(huge)})
        assert header["size"] == list(pixels.shape)
        assert np.isin(pixels, whole).all() or name in ("width", "height")
        page.close()
    for said in (
        '{"view": {"slice": %s}}',
        '{"ready": {"cnt0": %s, "file": "1"}}',
        '{"cut": {"id": 1, "frame": %s}}',
    ):
        page = Page(server, "cam")
        page.next()
        page.say(said % huge)
        if "cut" in said:
            assert json.loads(page.socket.recv(10))["gone"]
            page.close()
        else:
            assert page.ended() == 4400
    assert caplog.records == []


def test_a_message_that_is_too_large(server, cam):
    page = Page(server, "cam")
    page.say("x" * 200_000)
    assert page.ended() == 1009


def test_foreign_pages_get_no_view(server, cam):
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}):
        address = f"ws://127.0.0.1:{server.port}/view"
        with pytest.raises(InvalidStatus) as caught, connect(address, additional_headers=headers):
            pass
        assert caught.value.response.status_code == 403
    assert get(server, "/api/streams", host="evil.example")[0] == 403


def page_in_time(server: WebServer) -> Page:
    """Open a page that the server lets in; one that was held up for too long is sent away."""
    deadline = time.monotonic() + 30
    while True:
        page = Page(server, "cam")
        try:
            page.next()
            return page
        except ConnectionClosed:
            page.close()
            assert time.monotonic() < deadline


def test_those_who_ask_for_nothing_are_sent_away(shm_dir, cam):
    with WebServer(Settings(port=0, opening=0.3)) as server:
        silent = socket.create_connection(("127.0.0.1", server.port))
        slow = socket.create_connection(("127.0.0.1", server.port))
        slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        began = time.monotonic()
        with connect(f"ws://127.0.0.1:{server.port}/view") as wordless:
            with pytest.raises(ConnectionClosed) as caught:
                wordless.recv(5)
            assert caught.value.rcvd.code == 4401
        for each in (silent, slow):
            each.settimeout(5)
            while each.recv(100):
                pass
            each.close()
        assert time.monotonic() - began < 4
        page = page_in_time(server)
        time.sleep(0.6)
        page.next(width=2)  # a view that is at work stays
        page.close()


def test_a_thousand_connections(shm_dir, cam):
    with WebServer(Settings(port=0, opening=0.5, connections=50)) as server:
        many = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(1000)]
        for each in many[::7]:
            each.sendall(b"GET /api/streams HTTP/1.1\r\n")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if get(server, "/api/streams")[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        else:
            pytest.fail("nobody is let in any more")
        for each in many:
            each.close()


def test_views_are_bounded(shm_dir, cam):
    with WebServer(Settings(port=0, viewers=2)) as server:
        pages = [Page(server, "cam") for _ in range(2)]
        for page in pages:
            page.next()
        third = Page(server, "cam")
        assert third.ended() == 4429
        pages[0].close()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                Page(server, "cam").next()
                break
            except ConnectionClosed:
                time.sleep(0.05)
        else:
            pytest.fail("the place of a page that has gone stays taken")


def test_those_without_the_token_take_nobodys_place(shm_dir, cam):
    with WebServer(Settings(port=0, viewers=2)) as server, contextlib.ExitStack() as wordless:
        for _ in range(6):
            wordless.enter_context(connect(f"ws://127.0.0.1:{server.port}/view", open_timeout=10))
        pages = [Page(server, "cam") for _ in range(2)]
        for page in pages:
            page.next()
        assert Page(server, "cam").ended() == 4429
        for page in pages:
            page.close()


def test_control_only_where_it_was_asked_for(server, cam):
    for path, method in (("/api/streams/cam/keywords", "POST"), ("/api/streams/cam/record", "POST")):
        assert get(server, path, method=method, body={"A": 1})[0] in (404, 405)
    assert dict(cam.get_keywords()) == {}


def recorded(server: WebServer) -> int:
    return int(json.loads(get(server, "/api/recorders")[1])["cam"]["streams"]["cam"]["recorded"])


def test_keywords_and_recordings(shm_dir, cam, tmp_path):
    with WebServer(Settings(port=0, control=True), folder=str(tmp_path)) as server:
        assert get(server, "/api/streams/cam/keywords", method="POST", body={"GAIN": 2.5})[0] == 200
        assert cam.get_keywords()["GAIN"] == 2.5
        for file in ("../x.npy", "/tmp/x.npy", ".x.npy", "x.txt", "x", 7):
            assert get(server, "/api/streams/cam/record", method="POST", body={"file": file})[0] == 400
        began = {"file": "cam.npy", "frames": 3}
        assert get(server, "/api/streams/cam/record", method="POST", body=began)[0] == 201
        assert get(server, "/api/streams/cam/record", method="POST", body=began)[0] == 400
        for count in range(1, 4):
            cam.set_data(cam.get_data())
            until(lambda count=count: recorded(server) == count)
        code, body, _ = get(server, "/api/streams/cam/record", method="DELETE")
        assert (code, json.loads(body)["streams"]["cam"]["recorded"]) == (200, 3)
        assert np.load(tmp_path / "cam.npy").shape == (3, 6, 4)


def test_port_in_use(server):
    with pytest.raises(StreamStorageError, match="choose another port"):
        WebServer(Settings(port=server.port)).start()


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--port", None], "--port"), (["--host", "203.0.113.7"], "--host"), (["--name", "http://x"], "--name"),
     (["--cert", "x.pem"], "--cert"), (["--port", "0", "--cert", "no.pem", "--key", "no.pem"], "no.pem")],
)  # fmt: skip
def test_the_command_says_which_option(server, options, said):
    given = [str(server.port) if each is None else each for each in options]
    done = subprocess.run(
        [sys.executable, "-m", "pymilk", "web", *given], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_ends_with_its_views(shm_dir, cam):
    before = threading.active_count()
    with WebServer(Settings(port=0)) as server:
        page, address = Page(server, "cam"), server.address
        page.next()
    assert not server.running
    assert server.address == address
    with pytest.raises((ConnectionClosed, OSError)):
        page.next()
    page.close()
    until(lambda: threading.active_count() <= before)


def test_the_command(cam, tmp_path):
    opens = tmp_path / "browser"  # it writes what it is to open, at once
    opens.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/new && mv {tmp_path}/new {tmp_path}/opened\n')
    opens.chmod(0o755)
    child = subprocess.Popen(
        [sys.executable, "-m", "pymilk", "web", "--port", "0", "--open"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "BROWSER": f"{opens} %s"},
    )  # fmt: skip
    address = child.stdout.readline()
    assert "/#token=" in address
    until((tmp_path / "opened").exists)
    assert (tmp_path / "opened").read_text() == address
    port = int(address.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    child.send_signal(signal.SIGINT)
    assert child.wait(10) == 0
    child.stdout.close()
