"""Marks of tests that need more than Python."""

from __future__ import annotations

import shutil

import pytest

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
