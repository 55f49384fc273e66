"""A stream to be captured."""

from __future__ import annotations

from support.captures import stream as stream
