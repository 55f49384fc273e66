"""Sub-interpreters, free-threaded Python, tracers."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable

import pytest

from pymilk import SHM
from support.children import Child
from support.timed_calls import PRELUDE

Spawn = Callable[..., Child]


# -- sub-interpreters, free threads -------------------------------------------------------------------

#: Run `code` in a sub-interpreter of each kind.
IN_EACH_KIND = """
try:
    import _interpreters
    for kind in ("legacy", "isolated"):
        number = _interpreters.create(kind)
        assert _interpreters.exec(number, code) is None
        _interpreters.destroy(number)
except ImportError:
    import _xxsubinterpreters
    for isolated in (False, True):
        number = _xxsubinterpreters.create(isolated=isolated)
        _xxsubinterpreters.run_string(number, code)
        _xxsubinterpreters.destroy(number)
"""

#: The compiled core alone, without the look of the package at the interpreter.
CORE = """
import pymilk._core
code = f'''
import importlib.machinery, importlib.util
path = {pymilk._core.__file__!r}
loader = importlib.machinery.ExtensionFileLoader("pymilk._core", path)
try:
    spec = importlib.util.spec_from_file_location("pymilk._core", path, loader=loader)
    importlib.util.module_from_spec(spec)
except ImportError as error:
    print("refused:", error, flush=True)
else:
    print("loaded", flush=True)
'''
""" + IN_EACH_KIND

SUB = """
import sys
if sys.argv[1] == "loaded":
    import pymilk
code = '''
try:
    import pymilk
except ImportError as error:
    print(str(error).split(",")[0], flush=True)
'''
""" + IN_EACH_KIND + """
import pymilk  # the main one has it all the same
with pymilk.SHM("cam") as shm:
    print(shm.get_data().shape)
"""


def has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


needs_sub_interpreters = pytest.mark.skipif(
    not (has("_interpreters") or has("_xxsubinterpreters")), reason="a Python without sub-interpreters"
)


@needs_sub_interpreters
def test_core_refuses_sub_interpreters(cam: SHM, spawn: Spawn) -> None:
    child = spawn(CORE)
    for _ in range(2):
        assert child.hear().startswith("refused:")
    assert child.finish()[::2] == (0, "")


@needs_sub_interpreters
@pytest.mark.parametrize("when", ["loaded", "not loaded"])
def test_sub_interpreters_are_refused(cam: SHM, spawn: Spawn, when: str) -> None:
    child = spawn(SUB, when)
    for _ in range(2):
        child.expect("pymilk works in the main interpreter of a process only")
    child.expect("(4, 6)")
    assert child.finish()[::2] == (0, "")


free_threaded = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python is not a free-threaded build"
)

#: What a user sees who imports pymilk and uses it.
USE = """
import sys, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    try:
        import pymilk
    except ImportError as error:
        print(str(error).partition(":")[0])
        sys.exit()
print([each.category.__name__ for each in said if "pymilk._core" in str(each.message)], sys._is_gil_enabled())
with pymilk.SHM("cam") as shm:
    print(shm.get_data().shape)
"""
REFUSED = "pymilk works with the GIL only, and this free-threaded Python was told to leave it off"


@free_threaded
@pytest.mark.parametrize(
    ("variable", "options", "said"),
    [
        (None, [], "['RuntimeWarning'] True\n(4, 6)\n"),
        ("1", [], "[] True\n(4, 6)\n"),
        (None, ["-Xgil=1"], "[] True\n(4, 6)\n"),
        ("0", [], REFUSED),
        (None, ["-Xgil=0"], REFUSED),
    ],
)
def test_free_threaded_python(cam: SHM, variable: str | None, options: list[str], said: str) -> None:
    """It turns its GIL on for pymilk, and says so; where it was told not to, pymilk says what to do."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    environment["PYTHONSAFEPATH"] = "1"
    if variable is not None:
        environment["PYTHON_GIL"] = variable
    command = [sys.executable, *options, "-c", USE]
    child = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout.startswith(said)


def test_without_the_gil_is_refused(spawn: Spawn) -> None:
    """The same on any Python, which is made to say that it has no GIL."""
    child = spawn("import sys; sys._is_gil_enabled = lambda: False\n" + USE)
    assert child.hear().startswith(REFUSED)
    assert child.finish() == (0, "", "")


# -- tracing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["settrace", "setprofile"])
def test_threads_under_a_tracer(cam: SHM, spawn: Spawn, how: str) -> None:
    child = spawn(
        PRELUDE
        + """
seen = set()
def tracer(frame, event, arg):
    seen.add(threading.current_thread().name)
    return tracer
how = sys.argv[1]
getattr(threading, how)(tracer)
getattr(sys, how)(tracer)
shm = SHM("cam")
with shm.ring_reader(64) as ring:
    capture = shm.capture(2, timeout=60, background=True)
    for number in range(2):
        shm.set_data(frame(number))
        while capture.received <= number or ring.lag <= number:
            time.sleep(0.001)
    say(capture.join().report.lost, ring.read(2, timeout=60).report.received)
getattr(sys, how)(None)
say({"pymilk-capture-cam", "pymilk-receiver-cam"} <= seen)
os._exit(0)  # Python 3.13.0 complains of its own threads at exit, under a tracer
""",
        how,
    )
    child.expect("0 2")
    child.expect("True")
    assert child.finish() == (0, "", "")
