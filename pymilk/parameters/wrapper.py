"""The binding of milk's parameters under its own names: class `fps`, its metadata and enums. Thin, on `FPS`.

Scripts know it as ``pyMilk.FpsWrap``, and as part of ``CacaoProcessTools``. As there, writing heeds neither
limits nor flags; unlike there, keys are exact, numbers have their own width, and reading writes nothing.
"""

from __future__ import annotations

import enum
from typing import Any

from ..errors import FPSNotFoundError
from .control import conf_start, conf_stop, process_state, run_start, run_stop
from .familiar_times import timespec
from .fps import FPS
from .header import read_field
from .running import conf_step
from .words import TEXT_TYPES, ParameterFlag, ParameterType, Signal, Status, Timespec

__all__ = [
    "MEMBERS",
    "FPS_flags",
    "FPS_md",
    "FPS_status",
    "FPS_type",
    "fps",
    "suited",
    "timespec",
]


class FPS_status(enum.IntFlag):
    """Status bits of the binding."""

    CONF = Status.CONF
    RUN = Status.RUN
    CMDCONF = Status.CMDCONF
    CMDRUN = Status.CMDRUN
    RUNLOOP = Status.RUNLOOP
    CHECKOK = Status.CHECKOK
    TMUXCONF = Status.TMUXCONF
    TMUXRUN = Status.TMUXRUN
    TMUXCTRL = Status.TMUXCTRL


class FPS_type(enum.IntEnum):
    """Types of the binding."""

    AUTO = ParameterType.AUTO
    UNDEF = ParameterType.UNDEF
    INT32 = ParameterType.INT32
    UINT32 = ParameterType.UINT32
    INT64 = ParameterType.INT64
    UINT64 = ParameterType.UINT64
    FLOAT32 = ParameterType.FLOAT32
    FLOAT64 = ParameterType.FLOAT64
    PID = ParameterType.PID
    TIMESPEC = ParameterType.TIMESPEC
    FILENAME = ParameterType.FILENAME
    FITSFILENAME = ParameterType.FITSFILENAME
    EXECFILENAME = ParameterType.EXECFILENAME
    DIRNAME = ParameterType.DIRNAME
    STREAMNAME = ParameterType.STREAMNAME
    STRING = ParameterType.STRING
    ONOFF = ParameterType.ONOFF
    PROCESS = ParameterType.PROCESS
    FPSNAME = ParameterType.FPSNAME


class FPS_flags(enum.IntFlag):
    """Flags of the binding: what kinds of parameters have."""

    DEFAULT_INPUT = ParameterFlag.DEFAULT_INPUT
    DEFAULT_OUTPUT = ParameterFlag.DEFAULT_OUTPUT
    DEFAULT_INPUT_STREAM = ParameterFlag.DEFAULT_INPUT_STREAM
    DEFAULT_OUTPUT_STREAM = ParameterFlag.DEFAULT_OUTPUT_STREAM
    DEFAULT_STATUS = ParameterFlag.DEFAULT_STATUS


#: Members of all three, which are names of the old modules too.
MEMBERS: dict[str, enum.IntEnum | enum.IntFlag] = {
    **FPS_status.__members__,
    **FPS_type.__members__,
    **FPS_flags.__members__,
}

#: What a running process, one that never ran, and one that died are called.
_RUNNING = {"running": 1, "stopped": 0, "starting": -1, "died": -1}


class MissingError(FPSNotFoundError, RuntimeError):
    """There is no FPS of that name."""


def _member(name: str) -> Any:
    """Make the property of one member of the header."""

    def read(self: FPS_md) -> Any:
        value = read_field(self._fps.table, name)
        return timespec(*value) if isinstance(value, Timespec) else value

    return property(read, doc=f"Member {name} of the header.")


class FPS_md:
    """The header of an FPS, as it is when an attribute is read."""

    def __init__(self, of: FPS) -> None:
        self._fps = of

    name = _member("name")
    description = _member("description")
    workdir = _member("workdir")
    datadir = _member("datadir")
    confdir = _member("confdir")
    sourcefname = _member("sourcefname")
    sourceline = _member("sourceline")
    pname = _member("pname")
    callprogname = _member("callprogname")
    NBnameindex = _member("NBnameindex")
    confpid = _member("confpid")
    confpidstarttime = _member("confpidstarttime")
    runpid = _member("runpid")
    runpidstarttime = _member("runpidstarttime")
    signal = _member("signal")
    confwaitus = _member("confwaitus")
    status = _member("status")
    NBparamMAX = _member("NBparamMAX")
    msgcnt = _member("msgcnt")
    conferrcnt = _member("conferrcnt")
    kwarray = _member("keywordarray")

    @property
    def msgpindex(self) -> list[int]:
        """Slot of the parameter that each message is about."""
        return [message.slot for message in self._fps.messages()]

    @property
    def msgcode(self) -> list[int]:
        """Kind of each message."""
        return [int(message.code) for message in self._fps.messages()]

    def __repr__(self) -> str:
        return f"<FPS_md {self.name}: {self.NBparamMAX} slots>"


def suited(of: FPS, key: str, value: Any) -> Any:
    """Return a value as the binding turns it into the type of a parameter: number to text, float to int."""
    kind = of.param(key).type
    if kind in TEXT_TYPES:
        return value if isinstance(value, str) else str(value)
    if kind is ParameterType.TIMESPEC:
        return (value.tv_sec, value.tv_nsec) if isinstance(value, timespec) else value
    if isinstance(value, str):
        return value  # refused: no number
    if kind is ParameterType.ONOFF:
        return bool(value)
    if kind in (ParameterType.FLOAT32, ParameterType.FLOAT64):
        return float(value)
    return int(value)


class TypedCalls:
    """Calls that builds after 2024 have not: values of one type, which are given as text."""

    def __getitem__(self, key: str) -> Any:
        raise NotImplementedError

    def __setitem__(self, key: str, value: Any) -> None:
        raise NotImplementedError

    def get_param_value_onoff(self, key: str) -> bool:
        """Read a switch."""
        return bool(self[key])

    def get_param_value_int(self, key: str) -> int:
        """Read an integer."""
        return int(self[key])

    def get_param_value_float(self, key: str) -> float:
        """Read a number."""
        return float(self[key])

    def get_param_value_double(self, key: str) -> float:
        """Read a number."""
        return float(self[key])

    def get_param_value_string(self, key: str) -> str:
        """Read a text."""
        return str(self[key])

    def set_param_value_onoff(self, key: str, value: str) -> int:
        """Write a switch: ``"ON"``, ``"1"`` or ``"True"`` turn it on; returns 0."""
        self[key] = str(value).lower() in ("on", "1", "true")
        return 0

    def set_param_value_int(self, key: str, value: str) -> int:
        """Write an integer; returns 0."""
        self[key] = int(value)
        return 0

    def set_param_value_float(self, key: str, value: str) -> int:
        """Write a number; returns 0."""
        self[key] = float(value)
        return 0

    def set_param_value_double(self, key: str, value: str) -> int:
        """Write a number; returns 0."""
        self[key] = float(value)
        return 0

    def set_param_value_string(self, key: str, value: str) -> int:
        """Write a text; returns 0."""
        self[key] = str(value)
        return 0


class fps(TypedCalls):
    """An FPS as milk's binding has it.

    Parameters
    ----------
    name : str
    create : bool, default False
        Make it, in the place of one that there is.
    NBparamMAX : int, default 200

    Raises
    ------
    MissingError
        A RuntimeError: there is none of that name.
    """

    def __init__(self, name: str, create: bool = False, NBparamMAX: int = 200) -> None:
        if create:
            self._fps = FPS.create(name, NBparamMAX, replace=True)
            return
        try:
            self._fps = FPS(name)
        except FPSNotFoundError as error:
            raise MissingError("FPS does not exist", fps=name, path=error.path) from error

    @property
    def attached(self) -> FPS:
        """The `FPS` of pymilk behind it."""
        return self._fps

    def __getitem__(self, key: str) -> Any:
        value = self._fps[key]
        return float(value) if isinstance(value, Timespec) else value

    def __setitem__(self, key: str, value: Any) -> None:
        self._fps.set(key, suited(self._fps, key, value), force=True)

    def asdict(self) -> dict[str, Any]:
        """Read all values."""
        return {key: self[key] for key in self._fps}

    @property
    def keys(self) -> dict[str, int]:
        """Keys and their types."""
        return {each.key: int(each.type) for each in self._fps.params()}

    def get_levelKeys(self, level: int = 1) -> list[str]:
        """Return the parts of keywords at a level; level 0 is the name of the FPS."""
        parts = [each.keyword.split(".") for each in self._fps.params()]
        return list(dict.fromkeys(each[level] for each in parts if len(each) > level))

    def md(self) -> FPS_md:
        """Return the header."""
        return FPS_md(self._fps)

    def add_entry(
        self, entry_name: str, entry_desc: str, fptype: int, fpflag: int = ParameterFlag.DEFAULT_INPUT
    ) -> int:
        """Add a parameter; returns 0."""
        self._fps.add_param(
            entry_name, type=ParameterType(int(fptype)), flags=int(fpflag), description=entry_desc
        )
        return 0

    def get_status(self) -> int:
        """Return the status bits."""
        return int(self._fps.status)

    def set_status(self, status: int) -> int:
        """Store the status bits; returns 0."""
        self._fps.change_status(set=int(status), clear=~int(status) & 0xFFFFFFFF)
        return 0

    def signal_update(self) -> int:
        """Ask for a check; returns 0."""
        self._fps.request(set=Signal.UPDATE)
        return 0

    def disconnect(self) -> int:
        """Let go of the file; returns 0."""
        self._fps.close()
        return 0

    def CONFstart(self) -> int:
        """Start the conf process without waiting for it; returns 0."""
        conf_start(self._fps.table, 0)
        return 0

    def CONFstop(self) -> int:
        """Tell the conf process to end; returns 0."""
        conf_stop(self._fps.table, 0)
        return 0

    def FPCONFexit(self) -> int:
        """End the part of a conf process; returns 0."""
        self._fps.change_status(clear=Status.CMDCONF)
        return self.disconnect()

    def FPCONFloopstep(self) -> int:
        """Do one step of a conf process; returns 1 if it is to go on, else 0."""
        return int(conf_step(self._fps.table))

    def RUNstart(self) -> int:
        """Start the run process without waiting for it; returns 0."""
        run_start(self._fps.table, 0)
        return 0

    def RUNstop(self) -> int:
        """Stop the run process without waiting for it; returns 0."""
        run_stop(self._fps.table, 0)
        return 0

    def RUNexit(self) -> int:
        """End the part of a run process; returns 0."""
        self._fps.change_status(clear=Status.CMDRUN)
        return self.disconnect()

    @property
    def CONFrunning(self) -> int:
        """1: the conf process runs; 0: it does not; -1: it ended without saying so."""
        return _RUNNING[process_state(self._fps.table, "conf")]

    @property
    def RUNrunning(self) -> int:
        """1: the run process runs; 0: it does not; -1: it ended without saying so."""
        return _RUNNING[process_state(self._fps.table, "run")]
