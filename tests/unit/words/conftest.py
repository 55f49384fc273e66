"""A small stream that wrong calls must not change."""

from __future__ import annotations

from support.refusals import stream as stream
