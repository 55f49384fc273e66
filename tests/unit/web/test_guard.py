"""Who is let in, and who is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pymilk.errors import StreamArgumentError
from pymilk.web.guard import Guard
from pymilk.web.settings import Settings

TOKEN = "0123456789abcdef"
HOST = (b"host", b"127.0.0.1:8347")
BEARER = (b"authorization", b"Bearer " + TOKEN.encode())


def asked(
    path: str, *headers: tuple[bytes, bytes], kind: str = "http", raw: bytes | None = None, **settings: Any
) -> tuple[int, dict[str, str]]:
    """Ask for something; returns the code (of a WebSocket less 4000) and the headers of the answer."""
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if kind == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        else:
            told.append({"code": 4200})

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        told.append(message)

    guard = Guard(app, Settings(token=TOKEN, **settings))
    scope = {"type": kind, "path": path, "headers": list(headers), "raw_path": raw}
    asyncio.run(guard(scope, receive, send))
    if kind == "websocket":
        return told[0]["code"] - 4000, {}
    given = {name.decode(): value.decode() for name, value in told[0]["headers"]}
    return told[0]["status"], given


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("host", "code"),
    [(b"127.0.0.1:8347", 200), (b"localhost", 200), (b"[::1]:8347", 200), (b"evil.example:8347", 403),
     (b"", 403), (b"127.0.0.1.evil.example", 403), (b"LOCALHOST:1", 200)],
)  # fmt: skip
def test_names_of_the_server(kind: str, host: bytes, code: int) -> None:
    assert asked("/", (b"host", host), kind=kind)[0] == code


def test_further_names() -> None:
    assert asked("/", (b"host", b"rtc.local:80"), hosts=("rtc.local",))[0] == 200
    assert asked("/", (b"host", b"10.1.2.3:8347"), host="10.1.2.3")[0] == 200
    assert asked("/", (b"host", b"0.0.0.0:8347"), host="0.0.0.0")[0] == 403


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("origin", "code"),
    [(b"http://127.0.0.1:8347", 200), (b"https://127.0.0.1:8347", 403), (b"http://evil.example", 403),
     (b"null", 403), (b"http://127.0.0.1:9999", 403)],
)  # fmt: skip
def test_pages_of_others(kind: str, origin: bytes, code: int) -> None:
    assert asked("/", HOST, (b"origin", origin), kind=kind)[0] == code


@pytest.mark.parametrize(
    "bearer", [None, b"", b"Bearer ", b"Bearer " + TOKEN[:-1].encode(), TOKEN.encode(), b"Bearer \xff\xfe"]
)
def test_wrong_tokens(bearer: bytes | None) -> None:
    headers = [HOST] if bearer is None else [HOST, (b"authorization", bearer)]
    for path in ("/api", "/api/streams", "/api/streams/cam/frame.fits"):
        code, given = asked(path, *headers)
        assert (code, given["www-authenticate"]) == (401, "Bearer")
    assert asked("/api/streams", HOST, BEARER)[0] == 200


@pytest.mark.parametrize("raw", [b"/api/streams", b"/%61pi/streams", b"/ap%69", b"/api/streams/\xff"])
def test_what_is_judged_is_what_is_answered(raw: bytes) -> None:
    """Whatever the server below made of the bytes of the path."""
    assert asked("/index.html", HOST, raw=raw)[0] == 401
    assert asked("/index.html", HOST, BEARER, raw=raw)[0] == 200


def test_headers_that_are_there_twice() -> None:
    assert asked("/api/streams", HOST, BEARER, BEARER)[0] == 400
    assert asked("/", HOST, (b"host", b"evil.example"))[0] == 400


def test_bodies_are_bounded() -> None:
    assert asked("/api/streams", HOST, BEARER, (b"content-length", b"70000"))[0] == 413


def test_every_answer_has_the_headers() -> None:
    for headers in ((HOST,), (HOST, (b"origin", b"http://evil.example"))):
        given = asked("/", *headers)[1]
        assert "default-src 'none'" in given["content-security-policy"]
        assert "unsafe" not in given["content-security-policy"]
        assert given["x-content-type-options"] == "nosniff"
        assert given["referrer-policy"] == "no-referrer"
        assert given["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "given", [{"port": -1}, {"port": 65536}, {"cert": "x"}, {"key": "x"}, {"token": "short"},
              {"hosts": ("a b",)}, {"hosts": ("a:80",)}]
)  # fmt: skip
def test_bad_settings(given: dict[str, Any]) -> None:
    with pytest.raises(StreamArgumentError):
        Settings(**given)


BAD_KINDS: list[tuple[str, Any]] = [
    *(("port", given) for given in ("8347", 80.5, True, None, [1])),
    *(("host", given) for given in (5, b"127.0.0.1", None)),
    *((name, given) for name in ("hosts", "patterns") for given in (5, "cam", [1], None)),
    *((name, given) for name in ("viewers", "connections") for given in ("8", 1.5, -1, None)),
    *((name, given) for name in ("rate", "opening") for given in ("8", 0, -1.0, float("nan"), None)),
    ("connections", 0),
]


@pytest.mark.parametrize(("argument", "given"), BAD_KINDS)
def test_settings_of_other_types(argument: str, given: Any) -> None:
    with pytest.raises(StreamArgumentError, match=f"^{argument} is ") as caught:
        Settings(**{argument: given})
    assert (caught.value.argument, caught.value.found) == (argument, given) or given != given


def test_descriptors_are_no_certificates() -> None:
    with pytest.raises(StreamArgumentError, match="the path of a file for TLS is a str or PathLike, not 5"):
        Settings(cert=5, key="key.pem")  # type: ignore[arg-type]


def test_names_from_an_iterator() -> None:
    assert Settings(hosts=iter(["rtc.local"])).hosts == ("rtc.local",)  # type: ignore[arg-type]


def test_tokens_are_new_and_not_shown() -> None:
    assert Settings().token != Settings().token
    assert len(Settings().token) == 32
    assert Settings().token not in repr(Settings(token=TOKEN))
    assert TOKEN not in repr(Settings(token=TOKEN))
