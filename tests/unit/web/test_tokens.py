"""Tokens that a file keeps."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pymilk.errors import StreamArgumentError, StreamNotFoundError, StreamPermissionError
from pymilk.web.settings import Settings
from pymilk.web.tokens import TOKEN, kept_token


def test_a_file_is_made_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    token = kept_token(file)
    assert TOKEN.fullmatch(token)
    assert len(token) == 32
    assert kept_token(str(file)) == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["token"]
    assert kept_token(tmp_path / "other") != token


@pytest.mark.parametrize("content", ["", "short", "with blanks in between", "öööööööööööööööö", "a" * 2000])
def test_files_without_a_token(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(StreamArgumentError, match="there is no token in"):
        kept_token(file)


def test_a_file_that_all_may_read(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    file.chmod(0o644)
    with pytest.raises(StreamPermissionError, match="chmod 600"):
        kept_token(file)
    file.chmod(0o640)
    assert kept_token(file) == "0123456789abcdef"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StreamNotFoundError, match="token"):
        kept_token(tmp_path / "nothing" / "token")
    with pytest.raises(StreamArgumentError, match="token"):
        kept_token(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "token",
    ["0123456789 abcdef", "0123456789abcdeö", "0123456789abcde\n", 16 * b"a", "a" * 1025, "0123456789"],
)
def test_tokens_that_no_header_can_have(token: Any) -> None:
    with pytest.raises(StreamArgumentError, match="at least 16 letters, digits and signs") as caught:
        Settings(token=token)
    assert "0123456789" not in str(caught.value)
    assert "at most 1024" in str(caught.value)
    assert "short" not in str(caught.value)  # what is wrong with it may be something else


def test_an_address_has_the_token_whatever_signs_it_has() -> None:
    from pymilk.web.server import WebServer

    server = WebServer(Settings(token="a+b&c=d%20#e/?f;g"))
    assert server.address.endswith("/#token=a%2Bb%26c%3Dd%2520%23e%2F%3Ff%3Bg")
