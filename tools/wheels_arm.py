"""A wheel for aarch64, compiled here and tried in an emulated processor: on Debian and Ubuntu, x86_64.

    nox -s wheels-arm                      # built, audited, its unit tests run under QEMU, into dist/
    nox -s wheels-arm -- tests/unit/ring   # these tests alone

The C compiler is Zig's. CPython for aarch64 is that of the distribution, unpacked into a temporary folder by
apt and dpkg with lists of their own: nothing is installed and no root is needed, but `qemu-user-static` has
to be there (apt install qemu-user-static), and a CPython of the same version with headers. NumPy and the
other libraries are the wheels for aarch64 that pip finds.

Run by nox, which installs what this needs, as for `wheels.py`.
"""

from __future__ import annotations

import argparse
import getpass
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from wheels import (
    ROOT,
    SMOKE,
    Wish,
    audit,
    build,
    build_environment,
    compiler,
    find_python,
    run,
    unpack_sources,
)

MACHINE = "aarch64"

#: What the distribution calls the processor.
DEBIAN = "arm64"

#: Libraries of C and C++ that wheels of others find in every distribution.
LIBRARIES = ("libstdc++6", "tzdata")

#: Wings whose tests are run: those of the compiled modules. What `protocol` explores, in plain Python and for
#: long, is the same on every processor.
WINGS = tuple(f"tests/unit/{wing}" for wing in ("core", "native", "system", "ring", "streams"))

#: Tests that fail for the emulator, and why.
NOT_THERE = {
    "core/test_many_streams.py::test_nothing_leaks": "the memory of the process has the emulator's in it",
    "streams/test_buffers.py::test_frames_go_into_whatever_has_memory[shared memory]": "starts a program",
    "streams/test_buffers.py::test_file_that_is_too_short_for_its_mapping": "madvise says yes to everything",
}

#: Tags of wheels that run there.
PLATFORMS = tuple(f"manylinux{version}_{MACHINE}" for version in ("_2_28", "_2_17", "2014"))


def fetch_python(root: Path, work: Path) -> str:
    """Unpack the distribution's CPython for aarch64 with its headers; return its version."""
    state = work / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True)
    (state / "status").touch()
    options = {
        "APT::Architecture": DEBIAN,
        "APT::Architectures": DEBIAN,
        "APT::Sandbox::User": getpass.getuser(),
        "Acquire::Languages": "none",
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
    }
    apt = ("apt-get", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")))
    run(*apt, "update")
    said = run(*apt, "install", "--simulate", "--no-install-recommends", "python3-minimal")
    (version,) = set(re.findall(r"^Inst python(3\.[0-9]+)-minimal ", said, re.MULTILINE))
    wanted = (f"python{version}", f"libpython{version}-dev", *LIBRARIES)
    run(*apt, "install", "--download-only", "--yes", "--no-install-recommends", *wanted)
    for archive in sorted((state / "cache" / "archives").glob("*.deb")):
        run("dpkg", "-x", archive, root)
    return str(version)


def cross_environment(wish: Wish, root: Path, work: Path) -> dict[str, str]:
    """Return the environment in which the Python of this machine builds for the one in `root`."""
    (facts,) = (root / "usr" / "lib" / f"python{wish.version}").glob(f"_sysconfigdata__{MACHINE}*.py")
    place = work / "facts"
    place.mkdir()
    shutil.copy(facts, place)
    headers = root / "usr" / "include"
    command = f"{compiler(MACHINE)} -I{headers / f'python{wish.version}'} -idirafter {headers}"
    return build_environment(wish, command) | {
        # What sysconfig says of names of modules, and of the platform.
        "_PYTHON_SYSCONFIGDATA_NAME": facts.stem,
        "_PYTHON_HOST_PLATFORM": f"linux-{MACHINE}",
        "PYTHONPATH": str(place),
    }


def install(wheel: Path, version: str, site: Path) -> None:
    """Install a wheel and what its tests need, as for a machine of that kind."""
    abis = (f"cp{version.replace('.', '')}", "abi3", "none")
    kinds = ("--implementation", "cp", *(f"--abi={abi}" for abi in abis))
    target = ("--target", site, "--python-version", version, *(f"--platform={each}" for each in PLATFORMS))
    run(
        sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary=:all:",
        *target, *kinds, f"{wheel}[test]",
    )  # fmt: skip


def make(root: Path, work: Path, output: Path) -> tuple[Path, str]:
    """Build a wheel and audit it; return it, and the version of the Python in `root`."""
    version = fetch_python(root, work)
    python = find_python(version)
    if python is None:
        sys.exit(f"no CPython {version} with headers is here to build with")
    wish = Wish(python, version, False)
    variables = cross_environment(wish, root, work)
    return audit(build(wish, unpack_sources(work), work, variables), wish, output, MACHINE), version


def try_it(python: tuple[object, ...], site: Path, tests: Sequence[str], folder: Path) -> None:
    """Run the smoke test and these unit tests in the emulator, against what is installed in `site`."""
    folder.mkdir()
    for name in ("tests", "docs", "examples"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    options = {"env": {**os.environ, "PYTHONPATH": str(site)}, "cwd": folder}
    run(*python, "-m", "pymilk", "--version", **options)
    print(f"  {run(*python, SMOKE, **options).strip()}", flush=True)
    # One process: the emulator cannot start programs of its kind by their name.
    left_out = (f"--deselect=tests/unit/{name}" for name in NOT_THERE)
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *left_out, *tests)
    print(f"  {run(*python, *words, **options).strip().splitlines()[-1]}", flush=True)


def main() -> int:
    """Build a wheel, audit it, and run its unit tests."""
    parser = argparse.ArgumentParser(prog="nox -s wheels-arm --")
    parser.add_argument("tests", nargs="*", default=WINGS, help="which ones (those of compiled modules)")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="where the wheel goes (dist)")
    asked = parser.parse_args()
    emulator = shutil.which(f"qemu-{MACHINE}-static")
    if emulator is None:
        sys.exit(f"there is no qemu-{MACHINE}-static to try the wheel with: apt install qemu-user-static")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        root, site = work / "root", work / "site"
        wheel, version = make(root, work, asked.output)
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB", flush=True)
        install(wheel, version, site)
        python = (emulator, "-L", root, root / "usr" / "bin" / f"python{version}")
        try_it(python, site, asked.tests, work / "beside")
    return 0


if __name__ == "__main__":
    sys.exit(main())
