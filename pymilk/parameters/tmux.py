"""A tmux session for the processes of an FPS, as milk's control program makes it: windows ctrl, conf, run.

tmux is driven by its own command line. What is typed into a window is one line with a blank in front, which
keeps it out of the history of the shell, and then the return key.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess

from ..errors import FPSNameError, TmuxError, TmuxMissingError

__all__ = ["WINDOWS", "TmuxSession"]

#: In the order in which they are made.
WINDOWS = ("ctrl", "conf", "run")

#: Variables that say where streams, parameters and process information are.
_ENVIRONMENT = ("MILK_SHM_DIR", "MILK_PROC_DIR")

#: Names that tmux and the shell take as they are.
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=,-]+")

#: Seconds for tmux to answer; a server that hangs is an error.
_ANSWER_SECONDS = 10.0


class TmuxSession:
    """The session of one FPS; it is called exactly like the FPS. Making the object starts nothing.

    Parameters
    ----------
    name : str
        Of the FPS.

    Raises
    ------
    FPSNameError
        tmux or the shell would read the name in another way.
    """

    def __init__(self, name: str) -> None:
        if not _PLAIN.fullmatch(name):
            raise FPSNameError(
                f"fps {name!r} cannot have a tmux session: its name has characters that tmux or the shell "
                "read in "
                "their own way",
                fps=name,
                name=name,
            )
        self.name = name

    def _tmux(self, *arguments: str, check: bool = True) -> bool:
        """Run a command of tmux; tells whether it was done."""
        try:
            answer = subprocess.run(
                ["tmux", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_ANSWER_SECONDS,
            )
        except FileNotFoundError:
            raise TmuxMissingError(
                f"fps {self.name!r}: tmux is not installed, or not in PATH; it runs the processes of an fps "
                "(Debian and Ubuntu: apt install tmux)",
                fps=self.name,
            ) from None
        except subprocess.TimeoutExpired:
            raise TmuxError(
                f"fps {self.name!r}: tmux did not answer in {_ANSWER_SECONDS:g} s", fps=self.name, said=""
            ) from None
        if check and answer.returncode != 0:
            said = answer.stderr.strip()
            raise TmuxError(f"fps {self.name!r}: tmux {arguments[0]}: {said}", fps=self.name, said=said)
        return answer.returncode == 0

    def is_running(self) -> bool:
        """Tell whether the session exists."""
        return self._tmux("has-session", "-t", f"={self.name}", check=False)

    def need(self) -> None:
        """Raise if the session does not exist.

        Raises
        ------
        TmuxError, TmuxMissingError
        """
        if not self.is_running():
            raise TmuxError(
                f"fps {self.name!r} has no tmux session; start it with tmux_start()", fps=self.name, said=""
            )

    def start(self, workdir: str, conf: list[str], run: list[str]) -> None:
        """Make the session anew.

        Parameters
        ----------
        workdir : str
            Directory that the windows go to.
        conf, run : list of str
            Lines for the windows conf and run.

        Raises
        ------
        TmuxError, TmuxMissingError
        """
        self.kill()
        exports = self._begin()
        for window in WINDOWS[1:]:
            self._tmux("new-window", "-d", "-t", f"={self.name}:", "-n", window)
        for window in WINDOWS:
            self.type(window, "bash")
            for line in exports:
                self.type(window, line)
            self.type(window, f"cd {shlex.quote(workdir)}")
            for file in ("../fpstmuxenv", "fpstmuxenv"):
                self.type(window, f"if [ -f {file} ]; then source {file}; fi")
        for window, lines in (("conf", conf), ("run", run)):
            for line in lines:
                self.type(window, line)

    def _begin(self) -> list[str]:
        """Make the session with its first window; returns lines that set up the environment of each window.

        A tmux server that runs already has the environment it was started with.
        """
        ours = {each: os.environ[each] for each in _ENVIRONMENT if each in os.environ}
        command = ("new-session", "-d", "-s", self.name, "-n", WINDOWS[0])
        try:
            self._tmux(*command, *(f"-e{name}={value}" for name, value in ours.items()))
        except TmuxError:
            if not ours:
                raise
            # tmux before 3.2 does not know -e.
            self._tmux(*command)
            return [f"export {name}={shlex.quote(value)}" for name, value in ours.items()]
        return []

    def type(self, window: str, line: str) -> None:
        """Type a line into a window.

        Raises
        ------
        TmuxError, TmuxMissingError
        """
        target = f"={self.name}:{window}"
        self._tmux("send-keys", "-t", target, "-l", f" {line}")
        self._tmux("send-keys", "-t", target, "C-m")

    def interrupt(self, window: str) -> None:
        """Press Ctrl-C in a window.

        Raises
        ------
        TmuxError, TmuxMissingError
        """
        self._tmux("send-keys", "-t", f"={self.name}:{window}", "C-c")

    def stop(self) -> None:
        """Interrupt what runs in the windows, leave their shells, and end the session; none is fine too.

        Raises
        ------
        TmuxMissingError
        """
        for window in WINDOWS:
            target = f"={self.name}:{window}"
            self._tmux("send-keys", "-t", target, "C-c", check=False)
            self._tmux("send-keys", "-t", target, "-l", " exit", check=False)
            self._tmux("send-keys", "-t", target, "C-m", check=False)
        self.kill()

    def kill(self) -> None:
        """End the session, if there is one."""
        self._tmux("kill-session", "-t", f"={self.name}", check=False)
