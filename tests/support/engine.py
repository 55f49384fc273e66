"""What the engine of the bridge says when it fails within itself."""

from __future__ import annotations

import re

#: Its threads write this to stderr, also long after links were cut, and in processes that are about to end.
_FAILED = re.compile(
    r"\s*(?:note: Some details are omitted[^\n]*\s*)?thread '[^\n]*panicked at [^\n]*zenoh.*", re.DOTALL
)


def without_engine(text: str) -> str:
    """Return what was written to stderr without what a failed engine said, and what follows that."""
    return _FAILED.sub("", text)
