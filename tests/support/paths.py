"""Where things are: the tests, their data, the sources, and memory file systems."""

from __future__ import annotations

import os
from pathlib import Path

#: The directory ``tests``; second processes import `support` from there.
TESTS = Path(__file__).parent.parent

#: The checkout, if the tests are in one.
ROOT = TESTS.parent

#: Files that once were too much.
MALFORMED = TESTS / "data" / "malformed"

#: Where there is one, the memory file system, as in real use.
SHM_ROOT = "/dev/shm" if os.path.isdir("/dev/shm") else None
