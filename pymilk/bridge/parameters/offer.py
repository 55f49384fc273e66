"""Which parameters of this machine are offered to others, and which of them others may change."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from ...arguments import shown
from ...errors import StreamArgumentError
from ..keys import check_names

__all__ = ["COMMANDS", "ParameterOffer"]

#: What can be told to the processes of an FPS: which one, and what it shall do.
COMMANDS = {
    "confstart": ("conf", "start"),
    "confstop": ("conf", "stop"),
    "runstart": ("run", "start"),
    "runstop": ("run", "stop"),
}


@dataclass(frozen=True)
class ParameterOffer:
    """Parameters (FPS) of this machine that others may read, and what they may change.

    Parameters
    ----------
    fps : tuple of str
        Names of FPS, or patterns of them (``loop*``). FPS that come later are offered as well.
    set : tuple of str
        Parameters that others may write, ``FPS/PARAMETER`` each, or patterns. Default: none.
    command : tuple of str
        What others may tell its processes, ``FPS/COMMAND`` each, or patterns; a command is confstart,
        confstop, runstart or runstop. Default: none.

    Raises
    ------
    StreamArgumentError

    Notes
    -----
    In patterns ``*``, ``?`` and ``[...]`` are as shells have them. This is what the host lets be done at all;
    rules (`Allow`) of the machine that others connect to say who may.
    """

    fps: tuple[str, ...]
    set: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_names(self)
        if not self.fps:
            raise StreamArgumentError(
                "what others may set or command has to be offered first (--params PATTERN; fps=)",
                argument="fps", found=self.fps,
            )  # fmt: skip
        for name in (*self.set, *self.command):
            parts = name.split("/", 1)
            if len(parts) != 2 or not all(parts):
                raise StreamArgumentError(
                    "what others may set or command is FPS/NAME, as in loop/gain or 'loop/*', not "
                    f"{shown(name, 100)}", argument="set", found=name,
                )  # fmt: skip
        for name in self.command:
            what = name.split("/", 1)[1]
            if not any(fnmatchcase(each, what) for each in COMMANDS):
                raise StreamArgumentError(
                    f"{shown(what, 100)} is no command; known are {', '.join(COMMANDS)}",
                    argument="command",
                    found=name,
                )

    def offers(self, fps: str) -> bool:
        """Tell whether others may read an FPS."""
        return any(fnmatchcase(fps, each) for each in self.fps)

    def may_set(self, fps: str, key: str) -> bool:
        """Tell whether others may write a parameter."""
        return self.offers(fps) and _fits(fps, key, self.set)

    def may_command(self, fps: str, command: str) -> bool:
        """Tell whether others may give the processes of an FPS a command."""
        return self.offers(fps) and command in COMMANDS and _fits(fps, command, self.command)


def _fits(fps: str, name: str, patterns: tuple[str, ...]) -> bool:
    parts = (each.split("/", 1) for each in patterns)
    return any(fnmatchcase(fps, front) and fnmatchcase(name, last) for front, last in parts)
