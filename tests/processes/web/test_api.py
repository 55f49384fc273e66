"""The document of the API and what it describes: the same operations, and answers to whatever is asked."""

from __future__ import annotations

import http.client
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from pymilk import SHM
from pymilk.parameters import FPS
from pymilk.web import Settings, WebServer
from support.pages import get


@pytest.fixture
def cam(shm_dir: Any) -> Iterator[SHM]:
    with SHM("cam", np.arange(24, dtype="u2").reshape(6, 4)) as shm:
        yield shm


@pytest.fixture
def server(cam: SHM, tmp_path: Any) -> Iterator[WebServer]:
    with WebServer(Settings(port=0, control=True), folder=str(tmp_path)) as made:
        yield made


def document(server: WebServer) -> dict[str, Any]:
    code, body, headers = get(server, "/api/openapi.json")
    assert (code, headers["content-type"]) == (200, "application/json")
    return json.loads(body)


def operations(server: WebServer) -> list[tuple[str, str, dict[str, Any]]]:
    paths = document(server)["paths"]
    return [(method, path, said) for path, methods in paths.items() for method, said in methods.items()]


def check_schema(schema: dict[str, Any]) -> None:
    """Check that a schema is one, as far as schemas go here."""
    kinds = {"object", "array", "string", "number", "integer", "boolean", "null"}
    given = schema.get("type", [])
    assert set([given] if isinstance(given, str) else given) <= kinds
    for each in schema.get("properties", {}).values():
        check_schema(each)
    for name in ("items", "additionalProperties"):
        if schema.get(name):
            check_schema(schema[name])
    assert set(schema.get("required", ())) <= set(schema.get("properties", {}))
    re.compile(schema.get("pattern", ""))


def test_the_document_is_one(server: WebServer) -> None:
    whole = document(server)
    assert whole["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(whole["info"])
    assert set(whole["security"][0]) <= set(whole["components"]["securitySchemes"])
    names = []
    for method, path, said in operations(server):
        assert method in ("get", "post", "delete")
        assert said["summary"]
        names.append(said["operationId"])
        assert [each["name"] for each in said["parameters"]] == re.findall(r"{(\w+)}", path)
        assert all(each["in"] == "path" and each["required"] for each in said["parameters"])
        assert {"400", "401", "403"} <= set(said["responses"])
        assert ("requestBody" in said) == (method == "post")
        assert all(each["description"] for each in said["responses"].values())
        taken = [said["requestBody"]] if "requestBody" in said else []
        for content in (*said["responses"].values(), *taken):
            for kind, each in content["content"].items():
                assert "/" in kind
                check_schema(each["schema"])
    assert len(names) == len(set(names))


def test_each_operation_of_the_document_is_there(server: WebServer) -> None:
    """And gives the code and the type of content that the document says."""
    with FPS.create("loop", directories=False) as fps:
        fps.add_param("gain", default=0.1)
        bodies = {"set_keywords": {"A": 1}, "set_parameters": {"gain": 0.5},
                  "record": {"file": "cam.npy", "frames": 1}}  # fmt: skip
        for method, path, said in operations(server):
            if said["operationId"] == "events":
                continue
            name = "loop" if "fps" in path else "cam"
            code, body, headers = get(
                server, path.format(name=name), method=method.upper(), body=bodies.get(said["operationId"])
            )
            (good,) = (each for each in said["responses"] if each.startswith("2"))
            assert (code, headers["content-type"]) == (int(good), *said["responses"][good]["content"]), path
            if headers["content-type"] == "application/json":
                wanted = said["responses"][good]["content"]["application/json"]["schema"]["type"]
                assert isinstance(json.loads(body), dict if wanted == "object" else list)
            assert get(server, path.format(name=name), method=method.upper(), authorization="")[0] == 401
            if "{name}" in path and said["operationId"] != "stop":
                given = bodies.get(said["operationId"])
                assert get(server, path.format(name="nothing"), method=method.upper(), body=given)[0] == 404


def test_every_path_that_is_answered_is_in_the_document(shm_dir: Any) -> None:
    """By the routes of the application itself, with and without control."""
    from pymilk.web.app import make_app

    for control in (True, False):
        guard = make_app(Settings(control=control), lambda: False)
        (mount,) = (each for each in guard._app.routes if getattr(each, "path", "") == "/api")
        routed = {
            (method.lower(), f"/api{route.path}")
            for route in mount.routes
            for method in route.methods - {"HEAD"}
        }
        with WebServer(Settings(port=0, control=control)) as server:
            assert routed == {(method, path) for method, path, _ in operations(server)}
        assert any(method == "post" for method, _ in routed) == control


def test_events_are_sent_again_and_again(server: WebServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/api/events", headers={"authorization": f"Bearer {server.settings.token}"})
    answer = connection.getresponse()
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    for _ in range(2):
        line = answer.readline()
        assert line.startswith(b"data: ")
        (entry,) = json.loads(line[6:])
        assert {"name", "dtype", "rate", "age", "writer_pid", "writer_alive", "readers"} <= set(entry)
        assert answer.readline() == b"\n"
    connection.close()


def test_keywords_and_parameters(server: WebServer, cam: SHM) -> None:
    cam.set_keywords({"GAIN": 2.5, "NAME": "it"})
    assert json.loads(get(server, "/api/streams/cam/keywords")[1]) == {"GAIN": 2.5, "NAME": "it"}
    with FPS.create("loop", directories=False) as fps:
        fps.add_param("gain", default=0.1, limits=(0.0, 1.0))
        fps.add_param("on", default=True)
        assert json.loads(get(server, "/api/fps")[1]) == ["loop"]
        assert get(server, "/api/fps/loop", method="POST", body={"gain": 0.25, "on": False})[0] == 200
        assert (fps["gain"], fps["on"]) == (0.25, False)
        # All of them, or none.
        code, body, _ = get(server, "/api/fps/loop", method="POST", body={"on": True, "gain": 7.0})
        assert (code, b"gain" in body, fps["on"]) == (400, True, False)
        assert json.loads(get(server, "/api/fps/loop")[1]) == {"gain": 0.25, "on": False}


def test_patterns_hide_parameters_as_well(shm_dir: Any) -> None:
    with FPS.create("loop", directories=False), WebServer(Settings(port=0, patterns=("wfs*",))) as server:
        assert json.loads(get(server, "/api/fps")[1]) == []
        assert get(server, "/api/fps/loop")[0] == 404


#: Bodies that are none anywhere, and those that only one path refuses.
NONE = (b"", b"[", b"[]", b"7", b"null", b"[" * 60000, b"\xff\xfe", b'{"A": [1]}', b'{"A": {}}')
REFUSED = {
    "streams/cam/keywords": (b'{"": 1}',),
    "fps/loop": (b'{"": 1}', b'{"gain": "x"}', b'{"gain": null}', b'{"nothing": 1}'),
    "streams/cam/record": (
        b'{"file": "x.npy", "frames": "many"}', b'{"file": "x.npy", "frames": true}',
        b'{"file": "x.npy", "seconds": -1}', b'{"file": "..npy"}', b'{"file": "x.npy\\u0000"}',
    ),
}  # fmt: skip


def test_bodies_that_are_none(
    server: WebServer, cam: SHM, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with FPS.create("loop", directories=False) as fps:
        fps.add_param("gain", default=0.1)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        headers = {"authorization": f"Bearer {server.settings.token}"}
        for path, refused in REFUSED.items():
            for body in (*NONE, *refused):
                connection.request("POST", f"/api/{path}", body, headers)
                answer = connection.getresponse()
                assert (answer.status, len(answer.read()) > 5) == (400, True), (path, body[:40])
        connection.close()
        assert dict(fps) == {"gain": 0.1}
    assert caplog.records == []
    assert dict(cam.get_keywords()) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_body_that_is_longer_than_it_may_be(server: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"authorization": f"Bearer {server.settings.token}", "transfer-encoding": "chunked"}
    pieces = (b"%x\r\n%s\r\n" % (8192, b" " * 8192) for _ in range(12))
    connection.request("POST", "/api/streams/cam/keywords", pieces, headers, encode_chunked=False)
    assert connection.getresponse().status == 413
    connection.close()
    assert caplog.records == []


def test_frames_are_those_of_the_stream(server: WebServer, cam: SHM) -> None:
    fits = pytest.importorskip("astropy.io.fits")
    image = pytest.importorskip("PIL.Image")
    cam.set_keywords({"GAIN": 2.5})
    content = get(server, "/api/streams/cam/frame.fits")[1]
    with fits.open(io.BytesIO(content)) as file:
        assert np.array_equal(file[0].data, cam.get_data())
        assert file[0].header["GAIN"] == 2.5
    picture = np.asarray(image.open(io.BytesIO(get(server, "/api/streams/cam/frame.png")[1])))
    assert picture.shape == (6, 4, 3)
    assert picture[-1, 0, 0] < picture[0, -1, 0]  # row 0 at the bottom
