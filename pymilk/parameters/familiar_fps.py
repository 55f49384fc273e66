"""FPS under the names that scripts of pyMilk have, as `pymilk.interfacing.fps` hands them on."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

from ..errors import FPSError, FPSExistsError, FPSNotFoundError, FPSTimeoutError
from . import attributes
from . import wrapper as FpsWrap
from .attributes import SmartFPSInitError
from .manager import list_fps
from .parameter import Parameter
from .words import ParameterFlag, ParameterType
from .wrapper import FPS_flags, FPS_status, FPS_type

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "FPS",
    "FPSBaseError",
    "FPSDoesntExistError",
    "FPSErrnoError",
    "FPSManager",
    "FPSOverrideError",
    "FPS_flags",
    "FPS_status",
    "FPS_type",
    "FpsWrap",
    "SmartAttributesFPS",
    "SmartAttributesFPSAutoMetadata",
    "SmartFPSInitError",
]

FPSBaseError = FPSError
FPSDoesntExistError = FPSNotFoundError
FPSOverrideError = FPSExistsError


class FPSErrnoError(FPSBaseError, RuntimeError):
    """A call ended with a code that is not 0. pymilk raises more telling errors instead."""


class FPS:
    """Parameters of a process, as pyMilk has them.

    Parameters
    ----------
    name : str

    Attributes
    ----------
    name : str
    fps : FpsWrap.fps
        The binding.
    key_types : dict
        Keys and their types.

    Raises
    ------
    FPSDoesntExistError

    Notes
    -----
    As in pyMilk, writing heeds neither limits nor write permission; `pymilk.parameters.FPS` does.
    """

    _destroyed = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.fps = FpsWrap.fps(name)

    @classmethod
    def create(cls, name: str, force_recreate: bool = False) -> Self:
        """Make an FPS with one parameter, ``Name``.

        Raises
        ------
        FPSOverrideError
            There is one, and `force_recreate` is false.
        """
        if not force_recreate and name in list_fps():
            raise FPSOverrideError(
                f"there is an fps {name!r} already; force_recreate=True makes it anew", fps=name
            )
        FpsWrap.fps(name, True).disconnect()
        fps = cls(name)
        fps.fps.add_entry("Name", "Name of FPS", ParameterType.STRING, ParameterFlag.DEFAULT_OUTPUT)
        fps.fps["Name"] = name
        return fps

    @property
    def key_types(self) -> dict[str, Any]:
        """Keys and their types."""
        return {key: FPS_type(code) for key, code in self.fps.keys.items()}

    def __getitem__(self, key: str) -> Any:
        return self.get_param(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self.set_param(key, value)

    def __contains__(self, key: object) -> bool:
        return key in self.fps.attached

    def __str__(self) -> str:
        return f"{self.name} | CONF: {self.fps.CONFrunning} | RUN: {self.fps.RUNrunning}"

    def get_param(self, key: str) -> Any:
        """Read a parameter; a ValueError for an unknown key."""
        return self.fps[key]

    def set_param(self, key: str, value: Any) -> None:
        """Write a parameter; a ValueError for an unknown key."""
        self.fps[key] = value

    def add_param(
        self, key: str, comment: str, datatype: int, flags: int = ParameterFlag.DEFAULT_INPUT
    ) -> None:
        """Add a parameter."""
        self.fps.add_entry(key, comment, datatype, flags)

    def param(self, key: str) -> Parameter:
        """Return what pymilk knows of a parameter."""
        return self.fps.attached.param(key)

    def _add_attribute(self, key: str, comment: str, kind: ParameterType, flags: ParameterFlag) -> None:
        self.add_param(key, comment, kind, flags)

    def conf_start(self, timeoutsync: float | None = None) -> bool:
        """Start the conf process; tells whether it runs after `timeoutsync` seconds (None: at once)."""
        return self._done("conf_start", timeoutsync) and self.conf_isrunning()

    def conf_stop(self, timeoutsync: float | None = None) -> bool:
        """Stop the conf process; tells whether it has ended."""
        return self._done("conf_stop", timeoutsync) and not self.conf_isrunning()

    def run_start(self, timeoutsync: float | None = None) -> bool:
        """Start the run process; tells whether it runs after `timeoutsync` seconds (None: at once)."""
        return self._done("run_start", timeoutsync) and self.run_isrunning()

    def run_stop(self, timeoutsync: float | None = None) -> bool:
        """Stop the run process; tells whether it has ended."""
        return self._done("run_stop", timeoutsync) and not self.run_isrunning()

    def _done(self, what: str, timeoutsync: float | None) -> bool:
        try:
            getattr(self.fps.attached, what)(timeoutsync or 0)
        except FPSTimeoutError:
            return False
        return True

    def conf_isrunning(self) -> bool:
        """Tell whether the conf process runs."""
        return self.fps.CONFrunning == 1

    def run_isrunning(self) -> bool:
        """Tell whether the run process runs."""
        return self.fps.RUNrunning == 1

    def tmux_start(self) -> None:
        """Make the tmux session."""
        self.fps.attached.tmux_start()

    def tmux_stop(self) -> None:
        """End the tmux session."""
        self.fps.attached.tmux_stop()

    def tmux_isrunning(self) -> bool:
        """Tell whether the tmux session exists."""
        return self.fps.attached.tmux_isrunning()

    def disconnect(self) -> None:
        """Let go of the file."""
        self.fps.disconnect()

    def destroy(self) -> None:
        """Remove the file. A second call does nothing: scripts destroy in ``finally``."""
        if not self._destroyed:
            self.fps.attached.destroy()
            self._destroyed = True

    #: Before 2026.
    _destroy = destroy


class SmartAttributesFPS(attributes.SmartAttributes, FPS):
    """An `FPS` whose parameters are attributes: see `pymilk.parameters.attributes`."""


class SmartAttributesFPSAutoMetadata(attributes.AutomaticMetadata, FPS):
    """An `FPS` whose parameters are attributes, described by their annotations alone."""


class FPSManager:
    """All FPS of the directory, as pyMilk has them; those without labels are among them for ``"*"``.

    Parameters
    ----------
    fps_name_glob, fps_keyword_glob : str, default "*"
        For names and for labels.
    """

    def __init__(self, fps_name_glob: str = "*", fps_keyword_glob: str = "*") -> None:
        self.fps_name_glob = fps_name_glob
        self.fps_keyword_glob = fps_keyword_glob
        self.fps_cache: dict[str, FPS] = {}
        self.rescan_all()

    def rescan_all(self) -> None:
        """Look through the directory, and attach what is new."""
        self.purge_cache()
        for name in fnmatch.filter(list_fps(), self.fps_name_glob):
            try:
                fps = self.fps_cache.get(name) or FPS(name)
            except FPSError:
                continue  # no usable file
            labels = fps.fps.attached.labels
            if self.fps_keyword_glob == "*" or fnmatch.filter(labels, self.fps_keyword_glob):
                self.fps_cache[name] = fps

    def purge_cache(self) -> None:
        """Drop those whose file is gone or was made anew."""
        for name, fps in list(self.fps_cache.items()):
            if fps.fps.attached.closed or not fps.fps.attached.is_current():
                fps.disconnect()
                del self.fps_cache[name]

    def find_fps(self, fps_name: str) -> FPS:
        """Return one FPS; it is looked for if it is not attached yet.

        Raises
        ------
        FPSDoesntExistError
        """
        self.purge_cache()
        if fps_name not in self.fps_cache:
            self.fps_cache[fps_name] = FPS(fps_name)
        return self.fps_cache[fps_name]

    def get_param(self, fps_name: str, key: str) -> Any:
        """Read a parameter."""
        return self.find_fps(fps_name).get_param(key)

    def set_param(self, fps_name: str, key: str, value: Any) -> None:
        """Write a parameter."""
        self.find_fps(fps_name).set_param(key, value)

    def conf_start(self, fps_name: str, timeoutsync: float | None = None) -> bool:
        """Start the conf process."""
        return self.find_fps(fps_name).conf_start(timeoutsync)

    def conf_stop(self, fps_name: str, timeoutsync: float | None = None) -> bool:
        """Stop the conf process."""
        return self.find_fps(fps_name).conf_stop(timeoutsync)

    def conf_isrunning(self, fps_name: str) -> bool:
        """Tell whether the conf process runs."""
        return self.find_fps(fps_name).conf_isrunning()

    def run_start(self, fps_name: str, timeoutsync: float | None = None) -> bool:
        """Start the run process."""
        return self.find_fps(fps_name).run_start(timeoutsync)

    def run_stop(self, fps_name: str, timeoutsync: float | None = None) -> bool:
        """Stop the run process."""
        return self.find_fps(fps_name).run_stop(timeoutsync)

    def run_isrunning(self, fps_name: str) -> bool:
        """Tell whether the run process runs."""
        return self.find_fps(fps_name).run_isrunning()

    def tmux_start(self, fps_name: str) -> None:
        """Make the tmux session."""
        self.find_fps(fps_name).tmux_start()

    def tmux_stop(self, fps_name: str) -> None:
        """End the tmux session."""
        self.find_fps(fps_name).tmux_stop()

    def tmux_isrunning(self, fps_name: str) -> bool:
        """Tell whether the tmux session exists."""
        return self.find_fps(fps_name).tmux_isrunning()
