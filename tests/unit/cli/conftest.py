"""A cube on the disk."""

from __future__ import annotations

from support.cubes import recorded as recorded
