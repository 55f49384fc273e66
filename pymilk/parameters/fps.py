"""`FPS`: the parameters of a process as a mapping, live in both directions; and control of the process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..arguments import check_mapping, shown, whole_number
from ..errors import FPSArgumentError, FPSFullError, FPSTypeError
from . import control
from .check import check_all
from .control import State
from .files import DEFAULT_SLOTS, create_file, locked, remove_file
from .header import Message, messages, read_field, read_header
from .layout import LAYOUTS
from .naming import check_fps_name, fps_name, fps_path, full_keyword
from .parameter import Parameter
from .records import Header, Program, initial_elements, slot_bytes
from .running import Running
from .standard import StandardEntries, standard_slots
from .table import ParameterTable
from .tmux import TmuxSession
from .watching import Watch, keys_of, wait_for_change
from .words import ParameterFlag, ParameterType, Signal, Status

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FPS"]

#: Program behind an FPS that says no other.
_MILK = Program()

#: Type of a parameter whose first value is of a Python type.
_TYPES_OF_VALUES: tuple[tuple[type, ParameterType], ...] = (
    (bool, ParameterType.ONOFF),
    (int, ParameterType.INT64),
    (float, ParameterType.FLOAT64),
    (str, ParameterType.STRING),
)


class FPS(Mapping[str, Any]):
    """Parameters of a process: a function parameter structure of milk, in shared memory.

    A mapping of keys to values. A key is exact: the keyword, with or without the name of the FPS in front.

    Parameters
    ----------
    name : str or PathLike
        Name of the FPS, or path of its file.
    writable : bool or None, default None
        None: if this user may.

    Raises
    ------
    FPSNotFoundError, FPSPermissionError, FPSNameError
    FPSFormatError
        The file is none of parameters, or its layout is not known.

    Notes
    -----
    Values have the Python type of their declared type: int, float, bool (ONOFF), str, and `Timespec`; None
    where a type has none. Reading never writes. Nothing in the format is atomic: a text that is read while
    another process writes it may be half of each.

    Calls of a closed object raise `FPSClosedError`. Where the file was cut, or its header rewritten, they
    raise `FPSDamagedError`.

    Examples
    --------
    >>> from pymilk.parameters import FPS
    >>> with FPS.create("doc_loop", directories=False) as fps:
    ...     _ = fps.add_param("gain", default=0.1, limits=(0.0, 1.0))
    ...     fps["gain"] = 0.3
    ...     print(fps["doc_loop.gain"], fps.param("gain").limits)
    ...     fps.destroy()
    0.3 (0.0, 1.0)
    """

    #: By identity: comparing all values would read the file.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(self, name: str | os.PathLike[str], *, writable: bool | None = None) -> None:
        path = fps_path(name)
        self._table = ParameterTable(path, fps_name(path), writable)
        self._owned = False

    @classmethod
    def create(
        cls,
        name: str | os.PathLike[str],
        slots: int = DEFAULT_SLOTS,
        *,
        description: str = "",
        labels: Iterable[str] | None = None,
        program: Program = _MILK,
        standard: StandardEntries | bool = False,
        replace: bool = False,
        directories: bool = True,
    ) -> Self:
        """Make a new FPS, as milk would leave it, and attach it.

        Parameters
        ----------
        name : str or PathLike
        slots : int, default 200
            Most parameters that it can have.
        description : str, default ""
        labels : iterable of str, optional
            Labels that managers select by. Default: those of ``$FPS_KEYWORDARRAY``, or none.
        program : Program, optional
            What its control program starts, and where.
        standard : StandardEntries or bool, default False
            Add the 16 entries ``conf.*`` and ``procinfo.*`` that programs of milk have.
        replace : bool, default False
            Replace an FPS of that name. Processes that have the old one attached keep it, and see no change.
        directories : bool, default True
            Make the directories ``fps.<name>.datadir`` and ``.confdir`` where the program works, as milk
            does.

        Returns
        -------
        FPS

        Raises
        ------
        FPSExistsError
            There is one, and `replace` is false.
        FPSNameError, FPSArgumentError, FPSTextError, FPSFullError
        FPSPermissionError, FPSStorageError, FPSNotFoundError

        Notes
        -----
        The permissions of the file are 0600, as milk has them.
        """
        path = fps_path(name)
        _check_kinds(description, program, standard)
        folder = os.path.abspath(program.workdir or os.getcwd())
        plain = check_fps_name(fps_name(path))
        header = Header(plain, slots, description, _labels(labels), folder, program)
        chosen = StandardEntries() if standard is True else standard
        entries = standard_slots(plain, chosen, LAYOUTS[0].slot_nbytes) if chosen else []
        create_file(path, header, entries, replace=replace, directories=directories)
        fps = cls(path, writable=True)
        fps._owned = True
        return fps

    # -- a mapping

    def __getitem__(self, key: str) -> Any:
        return self._table.get(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._table.put(key, value)

    def set(self, key: str, value: Any, *, force: bool = False) -> None:
        """Write a parameter: the value, then its counter, then the request to the process to check again.

        Parameters
        ----------
        key : str
        value : int, float, bool, str, Timespec
            Of the type of the parameter. A TIMESPEC takes seconds, or seconds and nanoseconds.
        force : bool, default False
            Write also outside of the limits, and where the flags do not permit it.

        Raises
        ------
        FPSKeyError
        FPSTypeError, FPSTextError
            It is of another type; or a text has more than 63 bytes.
        FPSLimitError
            It is outside of the limits that are in force, or does not fit the type.
        FPSReadOnlyError
            The flags WRITE, WRITECONF or WRITERUN, whichever counts in the present state of the processes,
            do not permit it; or the FPS is attached read-only.
        FPSReplacedError
            The file is not the one any more that the name leads to.

        Notes
        -----
        Where an error is raised nothing was written. Takes about 0.7 us: see docs/parameters.md.
        """
        self._table.put(key, value, force)

    def update(self, values: Mapping[str, Any], *, force: bool = False) -> None:
        """Write several parameters: all of them, or none if one is refused.

        Parameters
        ----------
        values : mapping of key to value
        force : bool, default False
            See `set`.

        Raises
        ------
        FPSKeyError, FPSTypeError, FPSTextError, FPSLimitError, FPSReadOnlyError, FPSReplacedError
            As `set`.
        StreamArgumentError
            `values` is not a mapping.
        """
        check_mapping("values", values, "a mapping of keys to values")
        for key, value in values.items():
            self._table.verify(key, value, force)
        for key, value in values.items():
            self._table.put(key, value, force)

    def __contains__(self, key: object) -> bool:
        try:
            self._table.entry(key)  # type: ignore[arg-type]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter([entry.key for entry in self._table.entries()])

    def __len__(self) -> int:
        return len(self._table.entries())

    def as_dict(self) -> dict[str, Any]:
        """Read all values as they are now, one after the other."""
        return self._table.as_dict()

    def tree(self) -> dict[str, Any]:
        """Read all values as dicts in dicts, one for each part of the keywords.

        A keyword that is also the beginning of others has its value there under the key ``""``.
        """
        root: dict[str, Any] = {}
        for key, value in self.as_dict().items():
            node = root
            *parents, last = key.split(".")
            for part in parents:
                below = node.get(part)
                if not isinstance(below, dict):
                    below = node[part] = {} if part not in node else {"": below}
                node = below
            if isinstance(node.get(last), dict):
                node[last][""] = value
            else:
                node[last] = value
        return root

    def param(self, key: str) -> Parameter:
        """Return a parameter with its limits, type, flags, description and counter.

        Raises
        ------
        FPSKeyError
        """
        return Parameter(self._table, self._table.entry(key), self._owned)

    def params(self) -> list[Parameter]:
        """Return all parameters, in the order of their slots."""
        return [Parameter(self._table, entry, self._owned) for entry in self._table.entries()]

    def add_param(
        self,
        key: str,
        type: ParameterType | str | None = None,
        default: Any = None,
        limits: tuple[float | None, float | None] | None = None,
        flags: ParameterFlag | int = ParameterFlag.DEFAULT_INPUT,
        description: str = "",
    ) -> Parameter:
        """Add a parameter.

        Parameters
        ----------
        key : str
            With or without the name of the FPS in front.
        type : ParameterType or its name, optional
            Default: of `default`: ONOFF, INT64, FLOAT64 or STRING.
        default : bool, int, float, str, Timespec, tuple of four numbers, or None
            First value, of the type of the parameter. None: zero (also outside of the limits), off, or
            milk's word for an empty text; it counts as never written. Of a number also all four elements as
            the file has them, and unchecked: value, lower and upper limit, current value; the flags then say
            whether the limits are in force.
        limits : tuple of two numbers, optional
            Lowest and highest value; None for one that there is not.
        flags : ParameterFlag or int, default DEFAULT_INPUT
            DEFAULT_INPUT may be written by others; DEFAULT_OUTPUT not.
        description : str, default ""
            63 bytes are kept.

        Returns
        -------
        Parameter
            One that exists already is returned as it is: milk changes nothing then.

        Raises
        ------
        FPSFullError
            All slots are in use.
        FPSNameError
            The key cannot be stored.
        FPSTypeError
            There is one of that key with another type; or the default does not fit.
        FPSLimitError, FPSTextError, FPSReadOnlyError
        """
        keyword = full_keyword(key, self.name)
        kind = self._kind(keyword, default, type)
        low, high = _limits(limits)
        _check_bits("flags", flags, 64)
        _check_kinds(description)
        flags = int(flags) | (0 if low is None else ParameterFlag.MINLIMIT)
        flags |= 0 if high is None else ParameterFlag.MAXLIMIT
        initial = initial_elements(kind, default, (low, high), keyword, self.name)
        content = slot_bytes(
            keyword,
            kind,
            flags,
            description,
            initial,
            fps=self.name,
            nbytes=self._table.layout.slot_nbytes,
            counted=default is not None,
        )
        with locked(self.path):
            if keyword in self:
                return self._existing(keyword, kind)
            if self._table.add(content) < 0:
                raise FPSFullError(
                    f"fps {self.name!r}: all {self.slots} slots are in use; create it anew with more",
                    fps=self.name,
                    path=self.path,
                    slots=self.slots,
                )
        entry = self._table.entry(keyword)
        if kind is ParameterType.ONOFF and default:
            self._table.store(entry, 0, True)  # the first value of milk's own switches is always off
        return Parameter(self._table, entry, True)

    def _kind(self, keyword: str, default: Any, given: ParameterType | str | None) -> ParameterType:
        """Return the type of a new parameter."""
        if given is not None:
            try:
                # A plain number is no type: it is a default in the wrong place.
                return ParameterType[given if isinstance(given, str) else given.name]
            except (KeyError, AttributeError):
                known = ", ".join(kind.name for kind in ParameterType)
                raise FPSArgumentError(
                    f"fps {self.name!r}: {shown(given)} is not a type of parameters; known are {known}",
                    fps=self.name,
                    argument="type",
                    found=given,
                ) from None
        for python, kind in _TYPES_OF_VALUES:
            if isinstance(default, python):
                return kind
        raise FPSTypeError(
            f"fps {self.name!r}: the type of {keyword!r} does not follow from {shown(default)}; give it with "
            "type=",
            fps=self.name,
            key=keyword,
            expected="bool, int, float or str",
            found=default,
        )

    def _existing(self, keyword: str, kind: ParameterType) -> Parameter:
        found = self.param(keyword)
        if found.type is not kind:
            raise FPSTypeError(
                f"fps {self.name!r} has {keyword!r} already, as {found.type_name}; it cannot become "
                f"{kind.name}",
                fps=self.name,
                key=keyword,
                expected=found.type_name,
                found=kind.name,
            )
        return found

    # -- changes

    def wait_for_change(
        self,
        keys: str | Iterable[str] | None = None,
        timeout: float | None = None,
        *,
        since: dict[str, int] | None = None,
    ) -> dict[str, Any]:
        """Wait until one or more parameters are written.

        Parameters
        ----------
        keys : str or iterable of str, optional
            Default: all that there are.
        timeout : float or None, default None
            Seconds; None waits for ever.
        since : dict, optional
            Counters (`Parameter.cnt0`) that are known by key: a write since then counts. Default: those of
            now.

        Returns
        -------
        dict
            Those that were written, and their values.

        Raises
        ------
        FPSTimeoutError
        FPSArgumentError
            `keys` are no keys, `timeout` is no number of seconds, `since` is no mapping of keys to counters,
            or the FPS has no parameter.
        FPSKeyError, FPSClosedError, FPSReplacedError, FPSDamagedError

        Notes
        -----
        Other threads run meanwhile. A write is seen in about 1 ms, at about 2 % of a core: see
        docs/parameters.md.
        """
        wanted = self if keys is None else keys_of(keys, self.name)
        return wait_for_change(self._table, wanted, timeout, since)

    def watch(self, *keys: str, timeout: float | None = None) -> Watch:
        """Follow changes, in a ``for`` or an ``async for`` loop, from now on.

        Parameters
        ----------
        *keys : str
            Default: all, also those that are added later.
        timeout : float or None, default None
            The loop ends when nothing is written for so many seconds.

        Returns
        -------
        Watch
            Gives a `Change` each: key, value, counter, and how many writes were missed. `Watch.close` ends
            the loop from elsewhere.

        Raises
        ------
        FPSKeyError, FPSArgumentError
            Of the keys and the timeout.

        Examples
        --------
        ::

            for change in fps.watch("gain", "mode"):
                print(change.key, change.value)
        """
        return Watch(self._table, keys, timeout)

    # -- the processes behind it

    @property
    def status(self) -> Status:
        """Status bits as the file has them; they may be those of processes that died."""
        return Status(self._table.status)

    @property
    def signal(self) -> Signal:
        """Requests that are pending."""
        return Signal(self._table.signal)

    @property
    def status_text(self) -> str:
        """The state of both processes and the last check in words: "conf running, run stopped, check ok"."""
        return control.status_text(self._table)

    @property
    def conf_state(self) -> State:
        """State of the conf process, by its PID and start time: running, starting, died or stopped."""
        return control.process_state(self._table, "conf")

    @property
    def run_state(self) -> State:
        """State of the run process."""
        return control.process_state(self._table, "run")

    def messages(self) -> list[Message]:
        """Return what the last check found."""
        return messages(self._table)

    def check(self) -> list[Message]:
        """Check all parameters as the conf process does, and store the result; returns what is wrong."""
        return check_all(self._table)

    def request(self, set: Signal | int = 0, clear: Signal | int = 0) -> None:
        """Set and clear request bits.

        Parameters
        ----------
        set, clear : Signal or int, default 0
            Bits that become 1, and 0.

        Raises
        ------
        FPSArgumentError
            An argument is not an int of 64 bits.
        """
        for argument, bits in (("set", set), ("clear", clear)):
            _check_bits(argument, bits, 64)
        self._table.change_signal(set, clear)

    def change_status(self, set: Status | int = 0, clear: Status | int = 0) -> None:
        """Set and clear status bits; they belong to the processes behind the FPS.

        Parameters
        ----------
        set, clear : Status or int, default 0
            Bits that become 1, and 0.

        Raises
        ------
        FPSArgumentError
            An argument is not an int of 63 bits.
        """
        for argument, bits in (("set", set), ("clear", clear)):
            _check_bits(argument, bits, 63)
        self._table.change_status(set, clear)

    def tmux_start(self) -> None:
        """Make the tmux session of the FPS anew, with the windows ctrl, conf and run.

        Raises
        ------
        TmuxMissingError, TmuxError
        FPSArgumentError
            The header of the FPS says no program or function that could be started.
        """
        control.tmux_start(self._table)

    def tmux_stop(self) -> None:
        """End the tmux session and what runs in it.

        Raises
        ------
        TmuxMissingError
        """
        TmuxSession(self.name).stop()

    def tmux_isrunning(self) -> bool:
        """Tell whether the tmux session exists.

        Raises
        ------
        TmuxMissingError
        """
        return TmuxSession(self.name).is_running()

    def conf_start(self, timeout: float | None = 5.0) -> None:
        """Start the conf process, which checks parameters, and wait for it.

        Parameters
        ----------
        timeout : float or None, default 5.0
            Seconds; 0 does not wait, None waits for ever.

        Raises
        ------
        FPSTimeoutError
        TmuxMissingError, TmuxError
            There is no tmux, or no session: see `tmux_start`.
        """
        control.conf_start(self._table, timeout)

    def conf_stop(self, timeout: float | None = 5.0) -> None:
        """Tell the conf process to end, and wait for it.

        Parameters
        ----------
        timeout : float or None, default 5.0
            Seconds; 0 does not wait, None waits for ever.

        Raises
        ------
        FPSTimeoutError
            It goes on.
        """
        control.conf_stop(self._table, timeout)

    def run_start(self, timeout: float | None = 5.0) -> None:
        """Start the run process, and wait for it.

        Parameters
        ----------
        timeout : float or None, default 5.0
            Seconds; 0 does not wait, None waits for ever.

        Raises
        ------
        FPSCheckError
            The last check found errors, or there was none.
        FPSTimeoutError, TmuxMissingError, TmuxError
        """
        control.run_start(self._table, timeout)

    def run_stop(self, timeout: float | None = 5.0) -> None:
        """Stop the run process, and wait for it.

        Parameters
        ----------
        timeout : float or None, default 5.0
            Seconds; 0 does not wait, None waits for ever.

        Raises
        ------
        FPSTimeoutError
            It goes on.
        TmuxMissingError
        """
        control.run_stop(self._table, timeout)

    def running(self, *, conf: bool | None = None, run: bool = True) -> Running:
        """Make this process the one behind the FPS, within a ``with`` block.

        Parameters
        ----------
        conf : bool or None, default None
            Check parameters when asked to. None: if no other process does.
        run : bool, default True
            Be the run process.

        Returns
        -------
        Running

        Raises
        ------
        FPSInUseError
            On entering: another process has this part.

        Examples
        --------
        ::

            with fps.running() as run:
                while run.going:
                    step(run.read("gain"))
        """
        return Running(self._table, conf, run)

    # -- the file

    @property
    def table(self) -> ParameterTable:
        """The file in memory, for other rooms of this wing."""
        return self._table

    @property
    def name(self) -> str:
        """Name."""
        return self._table.name

    @property
    def path(self) -> str:
        """Path of the file."""
        return self._table.path

    @property
    def slots(self) -> int:
        """Most parameters that it can have."""
        return self._table.slots

    @property
    def layout(self) -> str:
        """Name of the layout: "v1", or one of milk's development branch."""
        return str(self._table.layout.name)

    @property
    def writable(self) -> bool:
        """Whether this object may write."""
        return self._table.writable

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._table.closed

    @property
    def description(self) -> str:
        """What its creator says about it."""
        return str(read_field(self._table, "description"))

    @property
    def labels(self) -> list[str]:
        """Labels that managers select by."""
        return [each for each in read_field(self._table, "keywordarray").split(":") if each]

    def header(self) -> dict[str, Any]:
        """Return all members of the header under milk's names, but for the messages."""
        return read_header(self._table)

    def is_current(self) -> bool:
        """Tell whether the name still leads to this file: False if it was removed or made anew."""
        return self._table.is_current()

    def destroy(self) -> None:
        """Remove the file, and close. Processes that have it attached keep what they have.

        Raises
        ------
        FPSPermissionError, FPSStorageError
        """
        if self._table.is_current():
            remove_file(self.path)
        self.close()

    def close(self) -> None:
        """Let go of the file. It stays, and so do its processes."""
        self._table.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)

    def __repr__(self) -> str:
        if self.closed:
            return f"<{type(self).__name__} {self.name} (closed)>"
        return (
            f"<{type(self).__name__} {self.name}: {len(self)} of {self.slots} parameters, {self.status_text}>"
        )


def _check_bits(argument: str, found: Any, count: int) -> None:
    """Raise `FPSArgumentError` if that is no int of so many bits."""
    bits = whole_number(found)
    if bits is None or not 0 <= bits < 1 << count:
        raise FPSArgumentError(
            f"{argument} is an int of {count} bits, not {shown(found)}", argument=argument, found=found
        )


def _limits(given: Any) -> tuple[Any, Any]:
    """Return the lower and the upper limit that a parameter is to have."""
    if given is None:
        return None, None
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise FPSArgumentError(
            f"limits are the lowest and the highest value, either may be None, not {shown(given)}",
            argument="limits",
            found=given,
        )
    return given[0], given[1]


def _check_kinds(description: Any, program: Any = _MILK, standard: Any = False) -> None:
    """Raise `FPSArgumentError` for what a new FPS cannot have."""
    for argument, found, kind, wanted in (
        ("description", description, str, "a text"),
        ("program", program, Program, "a pymilk.parameters.Program"),
        ("standard", standard, (bool, StandardEntries, type(None)), "True, False or StandardEntries"),
    ):
        if not isinstance(found, kind):
            raise FPSArgumentError(
                f"{argument} is {wanted}, not {shown(found)}", argument=argument, found=found
            )


def _labels(labels: Iterable[str] | None) -> str:
    """Return the labels as a header has them."""
    if labels is None:
        return os.environ.get("FPS_KEYWORDARRAY") or ":"
    given: list[Any]
    try:
        given = [labels] if isinstance(labels, str) else list(labels)
    except TypeError:
        given = [labels]
    if not all(isinstance(each, str) for each in given):
        raise FPSArgumentError(f"labels are texts, not {shown(labels)}", argument="labels", found=labels)
    return f":{':'.join(given)}:" if given else ":"
