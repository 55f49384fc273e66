"""The server with a certificate, and clients that check it; and bodies that come too slowly."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from websockets.sync.client import connect

from pymilk import SHM
from pymilk.errors import StreamStorageError
from pymilk.web import Settings, WebServer, operations
from pymilk.web.credit import PROTOCOL


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=pymilk", "-addext",
         "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_with_a_certificate(shm_dir: Any, certificate: tuple[str, str]) -> None:
    cert, key = certificate
    trusting = ssl.create_default_context(cafile=cert)
    with SHM("cam", np.arange(6, dtype="u2").reshape(2, 3)), \
            WebServer(Settings(port=0, cert=cert, key=key)) as server:  # fmt: skip
        assert server.address.startswith(f"https://127.0.0.1:{server.port}/#token=")
        bearer = {"authorization": f"Bearer {server.settings.token}"}
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=trusting, timeout=30)
        connection.request("GET", "/api/streams/cam/frame.npy", headers=bearer)
        assert connection.getresponse().read().startswith(b"\x93NUMPY")
        connection.close()
        with connect(f"wss://127.0.0.1:{server.port}/view", ssl=trusting, compression=None,
                     origin=f"https://127.0.0.1:{server.port}") as page:  # fmt: skip
            page.send(json.dumps({"token": server.settings.token, "stream": "cam", "protocol": PROTOCOL}))
            page.send('{"ready": null}')
            content = page.recv(30)
            assert content[-12:] == np.arange(6, dtype="<u2").tobytes()
        # A client that trusts others only gets nothing, and neither does one that speaks plainly.
        with pytest.raises(ssl.SSLCertVerificationError), ssl.create_default_context().wrap_socket(
            socket.create_connection(("127.0.0.1", server.port)), server_hostname="127.0.0.1"
        ):  # fmt: skip
            pass
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert not plain.recv(100).startswith(b"HTTP")


def test_certificates_that_are_none(shm_dir: Any, certificate: tuple[str, str]) -> None:
    cert, key = certificate
    for given in ((cert, "/no/such/file"), ("/no/such/file", key), (key, key)):
        with pytest.raises(StreamStorageError, match="certificate"):
            WebServer(Settings(port=0, cert=given[0], key=given[1])).start()


def test_a_body_that_does_not_come(shm_dir: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_BODY_SECONDS", 0.1)
    with WebServer(Settings(port=0, control=True)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.putrequest("POST", "/api/streams/cam/keywords")
        connection.putheader("authorization", f"Bearer {server.settings.token}")
        connection.putheader("content-length", "10")
        connection.endheaders(b"{")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (400, b"the body did not come in time")
        connection.close()


def test_a_key_that_wants_a_password(shm_dir: Any, certificate: tuple[str, str], tmp_path: Path) -> None:
    """It is refused in words; the library would ask for one on the terminal."""
    cert, key = certificate
    locked = str(tmp_path / "locked.pem")
    subprocess.run(
        ["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:secret", "-out", locked],
        check=True, capture_output=True,
    )  # fmt: skip
    for wrong in (locked, cert):
        with pytest.raises(StreamStorageError, match="enciphered, or of another certificate, or one of the"):
            WebServer(Settings(port=0, cert=cert, key=wrong)).start()
