"""The import name ``xaosim``, given to pymilk or not."""

from __future__ import annotations

import pytest


def test_install(spawn):
    child = spawn("""
import importlib.util
import sys
from pymilk.compat import xaosim as ours
print("xaosim" in sys.modules)
ours.install()
ours.install()
from xaosim.shmlib import shm, all_dtypes, mtkeys
from xaosim import shmlib
import xaosim.shmlib as again
import xaosim
print(shm is ours.shm, all_dtypes is ours.all_dtypes, shmlib is again is xaosim.shmlib)
print(importlib.util.find_spec("xaosim").name)
try:
    import xaosim.pupil
except ModuleNotFoundError as error:
    print(error)
""")
    out = "False\nTrue True True\nxaosim\nNo module named 'xaosim.pupil'\n"
    assert child.finish() == (0, out, "")


@pytest.mark.parametrize("imported", [True, False])
def test_install_does_not_hide_the_real_one(spawn, tmp_path, imported):
    (tmp_path / "xaosim").mkdir()
    (tmp_path / "xaosim" / "__init__.py").write_text("")
    (tmp_path / "xaosim" / "shmlib.py").write_text("shm = 'the real one'")
    child = spawn(
        """
import sys
sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "True":
    import xaosim
from pymilk.compat.xaosim import install
from pymilk.errors import StreamArgumentError
try:
    install()
except StreamArgumentError as error:
    print(error.argument, error.found)
from xaosim.shmlib import shm
print(shm)
""",
        tmp_path,
        imported,
    )
    out = f"xaosim {tmp_path}/xaosim/__init__.py\nthe real one\n"
    assert child.finish() == (0, out, "")
