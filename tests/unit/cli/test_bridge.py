"""``pymilk bridge``: what is refused before anything is opened."""

from __future__ import annotations

import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from pymilk.bridge import zenoh
from pymilk.errors import LibraryMissingError
from support.calling import call


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("send", "x", "--listen", "tcp/0.0.0.0:7447"), "--insecure"),
        (("recv", "rtc/x", "--connect", "tcp/rtc:7447"), "ssh -L"),
        (("ls", "--connect", "rtc"), "tcp/HOST:PORT"),
        (("router", "--listen", "tcp/10.0.0.1:7447"), "leaves this machine"),
        (("recv", "wfs"), "HOST/STREAM"),
        (("recv", "rtc/x", "--as", "a/b"), "a/b"),
    ],
)
def test_wrong_addresses_and_names(arguments, why):
    result = call("bridge", *arguments)
    assert result.returncode == 1
    assert why in result.stderr


def test_without_the_engine_it_says_what_to_install(monkeypatch):
    def missing(module, extra, purpose):
        raise LibraryMissingError(f"{purpose} need eclipse-zenoh: pip install eclipse-zenoh", extra=extra)

    monkeypatch.setattr(zenoh, "optional_library", missing)
    result = call("bridge", "ls")
    assert result.returncode == 1
    assert "pip install eclipse-zenoh" in result.stderr
