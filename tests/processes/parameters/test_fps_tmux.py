"""Conf and run processes of an FPS in a real tmux: started, stopped, and refusing to stop."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from pymilk.errors import (
    FPSArgumentError,
    FPSCheckError,
    FPSTimeoutError,
    TmuxError,
    TmuxMissingError,
)
from pymilk.interfacing import fps as familiar
from pymilk.parameters import FPS, Program, Status
from pymilk.parameters.words import Signal

TMUX = shutil.which("tmux") or "tmux"

pytestmark = pytest.mark.skipif(shutil.which(TMUX) is None, reason="needs tmux")

#: The program behind the FPS: a module in its working directory.
PROGRAM = """
import signal, time

def step(running):
    while running.going:
        running.write("seen", running.read("gain"))
        running.wait(0.002)

def stubborn(running):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        time.sleep(0.05)
"""

#: Seconds for a Python process to start or stop on a machine under load.
LONG = 60.0


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmux_server: None) -> Path:
    """A working directory with a program in it, and a tmux server of the test's own."""
    (tmp_path / "loopmod.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fpstmuxenv").write_text("export PYTHONSAFEPATH=1 SOURCED=yes\n")
    return tmp_path


def make(function: str = "loopmod:step", program: str = "pymilk") -> FPS:
    fps = FPS.create("loop-1", program=Program(program, function), standard=True)
    fps.add_param("gain", default=0.5, limits=(0.0, 1.0))
    fps.add_param("seen", default=0.0, flags=7)
    return fps


def screen(fps: FPS, window: str) -> str:
    answer = subprocess.run(
        [TMUX, "capture-pane", "-p", "-J", "-t", f"={fps.name}:{window}", "-S", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout


def windows() -> list[str]:
    answer = subprocess.run(
        [TMUX, "list-windows", "-t", "=loop-1", "-F", "#{window_name}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.split()


def test_a_whole_day() -> None:
    with make() as fps:
        assert not fps.tmux_isrunning()
        fps.tmux_start()
        assert fps.tmux_isrunning()
        assert windows() == ["ctrl", "conf", "run"]
        with pytest.raises(FPSCheckError, match="start conf first"):
            fps.run_start()
        fps.conf_start(LONG)
        assert fps.conf_state == "running"
        pid = fps.header()["confpid"]
        os.kill(pid, 0)
        fps.conf_start(LONG)  # once more changes nothing
        assert fps.header()["confpid"] == pid
        fps.run_start(LONG)
        assert fps.run_state == "running"
        assert Status.CONF | Status.RUN | Status.CMDCONF | Status.CMDRUN in fps.status
        fps.set("gain", 0.25, force=True)
        assert fps.wait_for_change("seen", LONG, since={"seen": -1}) is not None
        while fps["seen"] != 0.25:
            fps.wait_for_change("seen", LONG)
        assert fps.param("gain").current == 0.25
        assert fps["conf.timestring"] != "undef"
        assert Path("fps.loop-1.datadir").is_dir()
        fps.run_stop(LONG)
        assert (fps.run_state, fps.conf_state) == ("stopped", "running")
        assert Status.CMDRUN not in fps.status
        fps.conf_stop(LONG)
        assert (fps.run_state, fps.conf_state) == ("stopped", "stopped")
        assert Signal.CONFRUN not in fps.signal
        said = screen(fps, "run")
        assert " fpsrunstart" in said
        assert "export TCSETCMDPREFIX='tsetpmove \"1-127\";'" in said
        assert "export OMP_NUM_THREADS=1" in said
        assert "Traceback" not in said
        fps.tmux_stop()
        assert not fps.tmux_isrunning()
        fps.destroy()


def test_functions_are_as_milk_has_them() -> None:
    with FPS.create("loop-1-32", program=Program("milk", "aloop", ["milkinfo", "cacaoloop"])) as fps:
        fps.tmux_start()
        said = {window: screen(fps, window) for window in ("conf", "run")}
        while "_RUNSTOP_" not in said["run"] or "_CONFSTART_" not in said["conf"]:
            said = {window: screen(fps, window) for window in ("conf", "run")}
        front, rest = "MILK_FPSPROCINFO=1 milk-exec -n loop-1-32", "mload milkinfo;mload cacaoloop; aloop"
        assert f' function fpsconfstart {{ {front} "{rest} _CONFSTART_ 1 32"; }}' in said["conf"]
        start = f'"${{TCSETCMDPREFIX}} {rest} _RUNSTART_ 1 32"'
        assert f" function fpsrunstart {{ {front} {start}; }}" in said["run"]
        assert f' function fpsrunstop {{ {front} "{rest} _RUNSTOP_ 1 32"; }}' in said["run"]
        fps.tmux_stop()


def test_a_program_gets_the_cores_in_its_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As milk's control program would set them: commands of the program, which its shell must not run."""
    program = folder / "bin" / "fake-exec"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '<%s>' \"$@\" >>{folder}/calls\n")
    program.chmod(0o755)
    (folder / "fpstmuxenv").write_text(f"export PATH={program.parent}:$PATH\n")
    with FPS.create("loop-1", program=Program("fake", "aloop"), standard=True) as fps:
        fps.set("procinfo.cset", "ao", force=True)
        fps.tmux_start()
        fps.change_status(set=Status.CHECKOK)
        fps.run_start(0)
        expected = '<-n><loop-1><csetpmove ao; tsetpmove "1-127"; aloop _RUNSTART_ 1>'
        while not (folder / "calls").exists() or expected not in (folder / "calls").read_text():
            pass
        fps.tmux_stop()


def test_errors_of_the_check_keep_run_from_starting() -> None:
    with make() as fps:
        fps.tmux_start()
        fps.set("gain", 3.0, force=True)
        fps.conf_start(LONG)
        with pytest.raises(FPSCheckError, match=r"float64 value 3.000000 above max 1.000000") as caught:
            fps.run_start(LONG)
        assert caught.value.messages == ["float64 value 3.000000 above max 1.000000"]
        assert fps.run_state == "stopped"
        fps["gain"] = 1.0  # the conf process checks again
        fps.run_start(LONG)
        fps.tmux_stop()


def test_a_process_that_ignores_stop() -> None:
    with make("loopmod:stubborn") as fps:
        fps.tmux_start()
        fps.conf_start(LONG)
        fps.run_start(LONG)
        pid = fps.header()["runpid"]
        with pytest.raises(FPSTimeoutError, match=r"did not stop in 0\.3 s") as caught:
            fps.run_stop(0.3)
        assert (caught.value.pid, caught.value.timeout) == (pid, 0.3)
        assert f"process {pid}" in str(caught.value)
        os.kill(pid, signal.SIGKILL)
        fps.run_stop(LONG)
        assert fps.run_state == "stopped"


def test_a_process_that_dies_shows() -> None:
    with make() as fps:
        fps.tmux_start()
        fps.conf_start(LONG)
        os.kill(fps.header()["confpid"], signal.SIGKILL)
        while fps.conf_state == "running":
            pass
        assert fps.conf_state == "died"
        assert fps.status_text.startswith("conf died, run stopped")


def test_a_program_that_cannot_start() -> None:
    with make("loopmod:nothing") as fps:
        fps.tmux_start()
        fps.conf_start(LONG)
        with pytest.raises(FPSTimeoutError, match="did not start"):
            fps.run_start(1.0)
        while "cannot be imported" not in screen(fps, "run"):
            pass


def test_without_session() -> None:
    with make() as fps:
        with pytest.raises(TmuxError, match=r"no tmux session; start it with tmux_start\(\)"):
            fps.conf_start()
        assert fps.status == 0
        fps.conf_stop()
        fps.run_stop()


def test_without_tmux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with make() as fps:
        before = Path(fps.path).read_bytes()
        for call in (fps.tmux_start, fps.conf_start, fps.tmux_stop, fps.run_stop, fps.tmux_isrunning):
            with pytest.raises(TmuxMissingError, match="apt install tmux") as caught:
                call()
            assert isinstance(caught.value, FileNotFoundError)
        assert Path(fps.path).read_bytes() == before


@pytest.mark.parametrize("program", ["", "milk; rm -rf", "$(id)"])
def test_programs_that_are_no_words_are_not_typed(program: str) -> None:
    with make(program=program) as fps:
        with pytest.raises(FPSArgumentError, match="plain word"):
            fps.tmux_start()
        assert not fps.tmux_isrunning()


def test_the_older_names() -> None:
    loop = familiar.FPS.create("loop")
    assert not loop.tmux_isrunning()
    assert not loop.conf_isrunning()
    assert not loop.run_isrunning()
    assert loop.conf_stop() is True
    with FPS("loop").running():
        assert loop.conf_isrunning()
        assert str(loop) == "loop | CONF: 1 | RUN: 1"
        assert loop.run_stop(timeoutsync=0.01) is False  # it goes on until its block ends
    assert loop.run_stop(timeoutsync=1) is True
    with make() as fps:
        other = familiar.FPS(fps.name)
        other.tmux_start()
        assert other.tmux_isrunning()
        assert other.conf_start(timeoutsync=LONG) is True
        assert other.fps.CONFrunning == 1
        assert other.run_start(timeoutsync=LONG) is True
        assert other.run_stop(timeoutsync=LONG) is True
        assert other.fps.CONFstop() == 0
        other.tmux_stop()


def test_a_tmux_that_takes_no_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 3.2 new-session knew no -e; the server has the environment of somebody else."""
    other = {**os.environ, "MILK_SHM_DIR": "/tmp"}
    subprocess.run([TMUX, "new-session", "-d", "-s", "before"], check=True, env=other)
    old = folder / "old" / "tmux"
    old.parent.mkdir()
    old.write_text(
        '#!/bin/sh\nfor each; do case "$each" in -e*) echo "unknown option -- e" >&2; exit 1;; esac; done\n'
        f'exec {TMUX} "$@"\n'
    )
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:{os.environ['PATH']}")
    with make() as fps:
        fps.tmux_start()
        assert windows() == ["ctrl", "conf", "run"]
        fps.conf_start(LONG)
        assert fps.conf_state == "running"
        fps.tmux_stop()
