"""Objects of the ImageStreamIOWrap interface."""

from __future__ import annotations

from support.images import make as make
