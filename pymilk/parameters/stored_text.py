"""Texts as files of milk hold them: bytes that end at a NUL, in fields of a fixed size."""

from __future__ import annotations

__all__ = ["cut", "decode"]


def decode(raw: bytes) -> str:
    """Return the text of a field: up to its NUL; bytes that are no UTF-8 come out as surrogates."""
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def cut(raw: bytes, most: int) -> bytes:
    """Cut a text to so many bytes, without leaving half a letter."""
    return raw if len(raw) <= most else raw[:most].decode("utf-8", "ignore").encode()
