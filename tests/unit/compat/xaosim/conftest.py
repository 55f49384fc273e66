"""Objects of the xaosim interface."""

from __future__ import annotations

from support.xaosims import make as make
from support.xaosims import silence as silence
