"""Parameters (FPS) of another machine as a mapping; and which there are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...arguments import bad_argument, check_mapping, check_number, shown
from ...errors import FPSKeyError, FPSTimeoutError, StreamClosedError, StreamError
from ...names import check_name
from ...parameters.naming import fps_name
from ...parameters.watching import keys_of
from ...system.ending import close_at_exit
from ...system.forks import left_with_parent, tell_after_fork
from ...system.signals import unbroken
from ...system.single import Single
from ..connections import Connections
from ..engine import Engine
from ..keys import COMMAND, SET
from ..links import Links
from ..zenoh import open_engine
from .asking import Asking, ask_about
from .watching import RemoteWatch
from .wire import ANSWER_MOST, COMMAND_SECONDS, RemoteParameter, plain_value, value_of

__all__ = ["RemoteParameters", "remote_fps"]

#: Most letters of a key. Those of parameters have fewer.
_KEY_MOST = 400

#: Longest time to wait for an answer.
_LONGEST = 3600.0


@contextlib.contextmanager
def _engine_of(engine: Engine | None, links: Links) -> Iterator[tuple[Engine, Connections | None]]:
    """Use the engine of the caller, or one of its own."""
    if engine is not None:
        yield engine, None
        return
    own = open_engine(links, ANSWER_MOST)
    with contextlib.closing(own), contextlib.closing(Connections(links, own)) as connections:
        connections.watch()
        yield own, connections


def remote_fps(
    links: Links | None = None, *, host: str = "*", timeout: float = 1.0, engine: Engine | None = None
) -> list[dict[str, Any]]:
    """Return the parameters (FPS) that other machines offer.

    Parameters
    ----------
    links : Links, optional
        Whom to connect to.
    host : str, default "*"
        A machine; ``*`` for all.
    timeout : float, default 1.0
        Seconds to wait for the first answer.
    engine : Engine, optional
        Instead of one of its own; it stays the caller's.

    Returns
    -------
    list of dict
        Sorted by host and name: ``host``, ``name``, and ``description``, ``labels``, ``parameters``,
        ``slots``, ``layout``, ``conf``, ``run``, ``conf_pid``, ``run_pid``, ``check``, ``status``,
        ``messages``, or ``error``. Empty if nobody answers.

    Raises
    ------
    StreamArgumentError, StreamNameError, LibraryMissingError, BridgeError, BridgeKeyError
    BridgeUnreachableError
        There are addresses to connect to, and none lets this process in.
    """
    limit = check_number("timeout", timeout, "a time of 0 to 3600 seconds", 0.0, _LONGEST)
    check_name(host)
    with _engine_of(engine, links or Links()) as (asked, connections):
        answers = ask_about(asked, None if host == "*" else host, limit)
        if not answers and connections is not None:
            connections.check()
    return [{"host": at, "name": name, **_described(name, about)} for at, name, about in answers]


def _described(name: str, about: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of an FPS, each value of the type that it should have."""
    if "error" in about:
        return {"error": str(about.get("message"))[:1000]}

    def texts(key: str) -> list[str]:
        given = about.get(key)
        return [str(each)[:200] for each in given[:200]] if isinstance(given, list) else []

    def count(key: str) -> int:
        given = about.get(key)
        return given if type(given) is int and 0 <= given < 2**31 else 0

    words = ("description", "layout", "conf", "run", "check")
    return {
        **{key: str(about.get(key, ""))[:200] for key in words},
        **{key: count(key) for key in ("parameters", "slots", "conf_pid", "run_pid")},
        **{key: texts(key) for key in ("labels", "status", "messages")},
    }


class RemoteParameters(Single, Mapping[str, Any]):
    """The parameters of an FPS of another machine: a mapping of keys to values, as `FPS` is.

    A context manager. Each access asks the other machine: what is returned is what its file had when it
    answered. A key is exact, with or without the name of the FPS in front.

    Parameters
    ----------
    host, name : str
        What the machine is called, and the FPS.
    links : Links, optional
        Whom to connect to.
    timeout : float, default 10.0
        Seconds to wait for an answer.
    engine : Engine, optional
        Instead of one of its own; it stays the caller's.

    Raises
    ------
    StreamNameError, FPSNameError, StreamArgumentError
    LibraryMissingError, BridgeError, BridgeKeyError
        The engine cannot start.

    Notes
    -----
    An access costs a round trip. It raises `BridgeUnreachableError` if there is no connection,
    `FPSNotFoundError` if the machine is there and does not offer this FPS, `BridgeError` if nobody answers,
    and what `FPS` raises there: `FPSKeyError`, `FPSLimitError` and so on. Writing needs the permission of the
    host (``--allow-set``) and of rules on the way, else `BridgeForbiddenError`; limits and flags are heeded
    always. One thread at a time may use it.

    Examples
    --------
    ::

        with RemoteParameters("rtc", "loop", Links(connect=("tcp/127.0.0.1:7447",))) as loop:
            print(loop["gain"])
            loop["gain"] = 0.3
    """

    _single = "its connection belongs to this process; make another one"

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(
        self,
        host: str,
        name: str,
        links: Links | None = None,
        *,
        timeout: float = 10.0,
        engine: Engine | None = None,
    ) -> None:
        self.host, self.name = check_name(host), fps_name(name)
        limit = check_number("timeout", timeout, "a time of 0 to 3600 seconds", 0.0, _LONGEST)
        self._stack = contextlib.ExitStack()
        used, connections = self._stack.enter_context(_engine_of(engine, links or Links()))
        self._asked: Asking | None = Asking(used, self.host, self.name, limit, connections)
        self._watches: list[RemoteWatch] = []
        self._end: StreamError | None = None
        tell_after_fork(self)
        close_at_exit(self)

    @property
    def _asking(self) -> Asking:
        if self._asked is None:
            raise self._end or StreamClosedError(f"the parameters of {self.host}/{self.name} were closed")
        return self._asked

    def _after_fork(self) -> None:
        # The connection stayed with the parent.
        if self._asked is not None:
            self._end = left_with_parent("access to parameters of another machine", self.name)
            self._asked, self._watches = None, []
        self._left = self._stack.pop_all()  # not ended here: it is the parent's

    def __getitem__(self, key: str) -> Any:
        return self.param(key).value

    def __contains__(self, key: object) -> bool:
        try:
            self.param(key)  # type: ignore[arg-type]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter([each.key for each in self.params()])

    def __len__(self) -> int:
        return len(self.params())

    def as_dict(self) -> dict[str, Any]:
        """Read all values."""
        return {each.key: each.value for each in self.params()}

    def param(self, key: str) -> RemoteParameter:
        """Read a parameter with its limits, type, flags, description and counter.

        Raises
        ------
        FPSKeyError
        """
        return self._asking.params([self._text(key)])[1][0]

    def _text(self, key: object) -> str:
        """Return a key that can be asked for: the engine ends at names that it cannot send."""
        if isinstance(key, str) and len(key) <= _KEY_MOST:
            return key
        wanted = f"a str of up to {_KEY_MOST} letters" if isinstance(key, str) else "a str"
        raise FPSKeyError(
            f"fps {self.name!r}: a key is {wanted}, not {shown(key, 100)}", fps=self.name, key=key, similar=[]
        )

    def params(self) -> list[RemoteParameter]:
        """Read all parameters, in the order of their slots."""
        return self._asking.params()[1]

    def describe(self) -> dict[str, Any]:
        """Return what is known of the FPS: see `remote_fps`."""
        return {"host": self.host, "name": self.name, **_described(self.name, self._asking.about())}

    def __setitem__(self, key: str, value: Any) -> None:
        self.set(key, value)

    def set(self, key: str, value: Any) -> Any:
        """Write a parameter, once, also if an answer is lost and it is asked for again; see `FPS.set`.

        Returns
        -------
        object
            The value as it is there now, which the type may have rounded.

        Raises
        ------
        FPSKeyError, FPSTypeError, FPSTextError, FPSLimitError, FPSReadOnlyError
            Nothing was written.
        BridgeForbiddenError
            The host, or rules on the way, do not let this machine write it. Nothing was written.
        BridgeError
            Nobody answers: whether it was written is not known.
        """
        return self._write(key, value, False)

    def update(self, values: Mapping[str, Any]) -> None:
        """Write several parameters: each is checked first, and none is written if one is refused.

        Raises
        ------
        FPSKeyError, FPSTypeError, FPSTextError, FPSLimitError, FPSReadOnlyError, BridgeError
            As `set`.
        StreamArgumentError
            `values` is not a mapping.
        """
        check_mapping("values", values, "a mapping of keys to values")
        for check in (True, False):
            for key, value in values.items():
                self._write(key, value, check)

    def _write(self, key: str, value: Any, check: bool) -> Any:
        key = self._text(key)
        plain = plain_value(value, self.name, key)
        short = key.removeprefix(f"{self.name}.")
        return value_of(self._asking.act(SET, short, {"value": plain, "check": check}))

    def wait_for_change(
        self, keys: str | Iterable[str] | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """Wait until one or more parameters are written; returns those, and their values.

        Raises
        ------
        FPSTimeoutError, FPSArgumentError, FPSKeyError, FPSReplacedError, BridgeError
        StreamClosedError
            It was closed meanwhile, by another thread.
        """
        wanted = () if keys is None else keys_of(keys, self.name)
        with self.watch(*wanted, timeout=timeout) as watch:
            for change in watch:
                return {each.key: each.value for each in (change, *watch.take())}
        host = self._asking.host  # raises if another thread closed it
        assert timeout is not None
        raise FPSTimeoutError(
            f"fps {self.name!r} of {host}: nothing was written in {float(timeout):g} s", fps=self.name,
            timeout=timeout,
        )  # fmt: skip

    def watch(self, *keys: str, timeout: float | None = None) -> RemoteWatch:
        """Follow changes, in a ``for`` loop, from now on.

        Parameters
        ----------
        *keys : str
            Default: all.
        timeout : float or None, default None
            The loop ends when nothing is written for so many seconds.

        Returns
        -------
        RemoteWatch
            Gives a `Change` each: key, value, counter, and how many writes were missed. The host looks 50
            times a second; of several writes between two looks the last one is told.
        """
        made = RemoteWatch(self._asking, tuple(map(self._text, keys)), timeout)
        self._watches = [*(each for each in self._watches if not each.closed), made]
        return made

    @property
    def conf_state(self) -> str:
        """State of the conf process there: running, starting, died or stopped."""
        return str(self.describe()["conf"])

    @property
    def run_state(self) -> str:
        """State of the run process there."""
        return str(self.describe()["run"])

    def conf_start(self, timeout: float = 5.0) -> None:
        """Start the conf process there, and wait for it; see `FPS.conf_start`."""
        self.command("confstart", timeout)

    def conf_stop(self, timeout: float = 5.0) -> None:
        """Tell the conf process there to end, and wait for it."""
        self.command("confstop", timeout)

    def run_start(self, timeout: float = 5.0) -> None:
        """Start the run process there, and wait for it."""
        self.command("runstart", timeout)

    def run_stop(self, timeout: float = 5.0) -> None:
        """Stop the run process there, and wait for it."""
        self.command("runstop", timeout)

    def command(self, command: str, timeout: float = 5.0) -> None:
        """Give the processes of the FPS a command, and wait until it is done.

        Parameters
        ----------
        command : str
            confstart, confstop, runstart or runstop. A start makes the tmux session if there is none.
        timeout : float, default 5.0
            Seconds that the process may take, up to 60; 0 does not wait.

        Raises
        ------
        FPSCheckError, FPSTimeoutError, TmuxError, TmuxMissingError
            As `FPS` raises them there.
        BridgeForbiddenError, BridgeError
            As `set`.
        """
        if not isinstance(command, str) or len(command) > _KEY_MOST:
            raise bad_argument("command", command, "confstart, confstop, runstart or runstop")
        wanted = f"0 to {COMMAND_SECONDS:g} seconds"
        seconds = check_number("timeout", timeout, wanted, 0.0, COMMAND_SECONDS)
        self._asking.act(COMMAND, command, {"timeout": seconds}, seconds)

    def close(self) -> None:
        """End the connection, and all watches."""
        self._asked = None  # first: whose wait the watches end sees why
        for each in self._watches:
            each.close()
        self._watches.clear()
        self._stack.close()

    def __enter__(self) -> RemoteParameters:
        return self

    def __exit__(self, *exc: object) -> None:
        unbroken(self.close)

    def __repr__(self) -> str:
        return f"<RemoteParameters {self.name} of {self.host}>"
