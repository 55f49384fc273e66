"""Wheels for every CPython of this machine, without a container: built, audited, tried where no compiler is.

    nox -s wheels                          # one for each Python that is here, and cp312-abi3, into dist/
    nox -s wheels -- 3.11 abi3             # some of them
    nox -s wheels -- 3.11 --unit           # run the unit tests against it as well

The C compiler is Zig's, from pip: it brings the symbols of each glibc. Wheels are for x86_64;
`wheels_arm.py` makes one for aarch64.

Run by nox, which installs what this needs: build, ziglang, auditwheel, abi3audit.
"""

from __future__ import annotations

import argparse
import email
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from platform import machine as platform_machine

from elftools.elf.elffile import ELFFile
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
SMOKE = ROOT / "tools" / "wheel_smoke.py"

#: The glibc of manylinux_2_28. Before 2.21 a semaphore had another layout: docs/decisions/wheels.md.
GLIBC = "2.28"

#: What ELF files call these processors.
MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}

VERSIONS = tuple(f"3.{minor}" for minor in range(10, 20))

#: The version whose limited API is used, as in setup.py; any interpreter from it on can compile the wheel.
FIRST_LIMITED = Version("3.12")

#: A CPython with a GIL and its headers says this; everything else says something else, or fails.
USABLE = """
import os, sys, sysconfig, venv
header = os.path.join(sysconfig.get_path("include"), "Python.h")
gil = not sysconfig.get_config_var("Py_GIL_DISABLED")
if sys.implementation.name == "cpython" and gil and os.path.isfile(header):
    print("%d.%d" % sys.version_info[:2])
"""


@dataclass(frozen=True)
class Wish:
    """A wheel to be built: with which interpreter, and whether for all later ones."""

    python: Path
    version: str
    limited: bool

    @property
    def name(self) -> str:
        """The tag that the wheel will have."""
        return "cp312-abi3" if self.limited else "cp" + self.version.replace(".", "")


def run(*command: object, **options: object) -> str:
    """Run a command; return its standard output. What it said is printed if it failed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return str(done.stdout)


def compiler(machine: str) -> str:
    """Return the C compiler for a processor."""
    return f"{sys.executable} -m ziglang cc -target {machine}-linux-gnu.{GLIBC}"


def platform(machine: str) -> str:
    """Return the platform tag for a processor."""
    return f"manylinux_{GLIBC.replace('.', '_')}_{machine}"


def candidates(version: str) -> Iterator[Path]:
    """Name the places where an interpreter of this version may be: the path, then pyenv's."""
    name = f"python{version}"
    on_path = shutil.which(name)
    if on_path:
        yield Path(on_path)
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    yield from sorted(root.glob(f"{version}.*/bin/{name}"), key=lambda path: Version(path.parent.parent.name))


def find_python(version: str) -> Path | None:
    """Find a CPython of this version with a GIL, headers and venv; a shim of pyenv may lead to none."""
    for path in candidates(version):
        done = subprocess.run([path, "-c", USABLE], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return path
    return None


def environment(folder: Path, python: Path, *requirements: object) -> Path:
    """Make an environment with these packages; return its interpreter."""
    run(python, "-m", "venv", folder)
    made = folder / "bin" / "python"
    if requirements:
        run(made, "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements)
    return made


def unpack_sources(folder: Path) -> Path:
    """Make a source distribution, which has to be enough to build from; return where it was unpacked."""
    run(sys.executable, "-m", "build", "--sdist", "--outdir", folder / "sdist", ROOT)
    (archive,) = (folder / "sdist").iterdir()
    with tarfile.open(archive) as packed:
        packed.extractall(folder)
    return folder / archive.name.removesuffix(".tar.gz")


def build_environment(wish: Wish, command: str) -> dict[str, str]:
    """Return the environment in which setup.py compiles with this compiler."""
    chosen = {
        "CC": command,
        "LDSHARED": f"{command} -shared",
        "LDFLAGS": "-Wl,-s",  # stripped
        "PYMILK_LIMITED_API": "1" if wish.limited else "0",
    }
    return {name: text for name, text in os.environ.items() if not name.startswith("PYMILK_")} | chosen


def build(wish: Wish, sources: Path, work: Path, variables: dict[str, str]) -> Path:
    """Build one wheel in an environment of these variables, as yet without a tag that says where it runs."""
    builder = environment(work / f"builder-{wish.name}", wish.python, "setuptools>=77", "cython>=3.1")
    # What another Python was given stays out of this wheel; the C files that Cython made serve all.
    shutil.rmtree(sources / "build", ignore_errors=True)
    target = work / f"raw-{wish.name}"
    options = ("--no-deps", "--no-build-isolation", "--no-cache-dir", "--disable-pip-version-check")
    run(builder, "-m", "pip", "wheel", *options, "-w", target, sources, env=variables)
    (wheel,) = target.iterdir()
    return wheel


def audit(raw: Path, wish: Wish, output: Path, machine: str = "x86_64") -> Path:
    """Check what a wheel needs of the machine, and give it its tag; return the wheel in `output`."""
    scratch = raw.parent / "audited"
    tag = platform(machine)
    # Tags of other processors cannot be asked for; "auto" gives the one that the wheel can have.
    only = ("--plat", tag if machine == platform_machine() else "auto", "--only-plat")
    run(sys.executable, "-m", "auditwheel", "repair", *only, "-w", scratch, raw)
    (audited,) = scratch.iterdir()
    if f"-{wish.name}" not in audited.name or not audited.stem.endswith(tag):
        sys.exit(f"{audited.name} is not for {wish.name} on {tag}")
    if wish.limited:
        run(sys.executable, "-m", "abi3audit", "--strict", "--verbose", audited)
    check_stripped(audited, MACHINES[machine])
    output.mkdir(exist_ok=True)
    return Path(shutil.copy(audited, output))


def check_stripped(wheel: Path, machine: str) -> None:
    """Check that every library in a wheel is for this machine, and has only the symbols that it exports."""
    with zipfile.ZipFile(wheel) as packed:
        names = [name for name in packed.namelist() if name.endswith(".so")]
        for name in names:
            with packed.open(name) as file:
                library = ELFFile(file)
                sections = [part.name for part in library.iter_sections()]
                left = [part for part in sections if part.startswith((".symtab", ".debug"))]
                built_for = library["e_machine"]
            if left or built_for != machine:
                sys.exit(f"{wheel.name}: {name} is for {built_for}, and has sections {left}")
        if not names or any(name.endswith(".c") for name in packed.namelist()):
            sys.exit(f"{wheel.name} has no compiled module, or C files that Cython made")


def numpy_versions(wheel: Path, python: Path) -> list[Version]:
    """Return the versions of NumPy that a wheel claims to serve, oldest first."""
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(packed.read(name))
    needs = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    (claim,) = (need.specifier for need in needs if need.name == "numpy")
    said = run(python, "-m", "pip", "index", "versions", "numpy")
    (line,) = (line for line in said.splitlines() if line.startswith("Available versions:"))
    return sorted(claim.filter(Version(text) for text in line.partition(":")[2].split(",")))


def install_oldest_numpy(wheel: Path, python: Path) -> Version:
    """Install the oldest NumPy that the wheel claims to serve and that has a wheel for this Python."""
    for version in numpy_versions(wheel, python):
        words = [str(python), "-m", "pip", "install", "-q", "--only-binary", ":all:", f"numpy=={version}"]
        if subprocess.run(words, capture_output=True, check=False).returncode == 0:
            return version
    sys.exit(f"no NumPy that {wheel.name} claims to serve has a wheel for {python}")


def try_wheel(wheel: Path, python: Path, work: Path, unit: bool) -> None:
    """Install a wheel into a fresh environment that finds no compiler, with its oldest NumPy, and use it."""
    fresh = environment(work / f"fresh-{wheel.stem}-{python.name}", python)
    numpy = install_oldest_numpy(wheel, fresh)
    without_compiler = {"PATH": str(fresh.parent), "CC": "false", "HOME": str(work), "LC_ALL": "C.UTF-8"}
    pip = {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
    binary = ("install", "-q", "--only-binary", ":all:", "--disable-pip-version-check", f"numpy=={numpy}")
    empty = work / "empty"
    empty.mkdir(exist_ok=True)
    options = {"env": {**without_compiler, **pip}, "cwd": empty}
    run(fresh, "-m", "pip", *binary, wheel, **options)
    run(fresh, "-m", "pymilk", "--version", **options)
    print(f"  {run(fresh, SMOKE, **options).strip()}", flush=True)
    if unit:
        run(fresh, "-m", "pip", *binary, f"{wheel}[test]", **options)
        beside = fresh.parent.parent
        for name in ("tests", "docs"):
            shutil.copytree(ROOT / name, beside / name)
        shutil.copy(ROOT / "pyproject.toml", beside)
        tests = ("-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "tests/unit")
        print(f"  {run(fresh, *tests, cwd=beside).strip().splitlines()[-1]}", flush=True)


def choose(names: list[str]) -> list[Wish]:
    """Return the wheels that these names stand for (versions, ``abi3``); without names all possible ones."""
    unknown = set(names) - {*VERSIONS, "abi3"}
    if unknown:
        sys.exit(f"{', '.join(sorted(unknown))}: give versions of Python (3.11), or abi3")
    here = {version: python for version in VERSIONS if (python := find_python(version)) is not None}
    lacking = set(names) - {*here, "abi3"}
    if lacking:
        sys.exit(f"no CPython {', '.join(sorted(lacking))} with headers; there are {', '.join(here)}")
    chosen = [version for version in here if not names or version in names]
    wishes = [Wish(here[version], version, False) for version in chosen]
    later = [version for version in here if Version(version) >= FIRST_LIMITED]
    if later and (not names or "abi3" in names):
        wishes.append(Wish(here[later[0]], later[0], True))
    elif "abi3" in names:
        sys.exit(f"abi3 needs a CPython {FIRST_LIMITED} or later, and there are {', '.join(here)}")
    return wishes


def users_of(wish: Wish) -> list[Path]:
    """Return the interpreters that a wheel is tried with: its own, or all that a later one serves."""
    if not wish.limited:
        return [wish.python]
    later = [version for version in VERSIONS if Version(version) >= FIRST_LIMITED]
    return [python for version in later if (python := find_python(version)) is not None]


def main() -> int:
    """Build, audit and try the wheels that are asked for."""
    parser = argparse.ArgumentParser(prog="nox -s wheels --")
    parser.add_argument("names", nargs="*", help="versions of Python, or abi3; all if none is given")
    parser.add_argument("--unit", action="store_true", help="run the unit tests against each wheel")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="where the wheels go (dist)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        sources = unpack_sources(work)
        for wish in choose(asked.names):
            variables = build_environment(wish, compiler("x86_64"))
            wheel = audit(build(wish, sources, work, variables), wish, asked.output)
            print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB", flush=True)
            for python in users_of(wish):
                try_wheel(wheel, python, work, asked.unit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
