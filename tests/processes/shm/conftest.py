"""A stream that one writer has to itself; optional modules."""

from __future__ import annotations

from support.exclusive import cam as cam
from support.familiar import fits_module as fits_module
