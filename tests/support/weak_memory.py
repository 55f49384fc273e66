"""Two small models of weak memory, and the exhaustive runs of short programs in them.

Short programs are lists of `Load`, `Store`, `Change` and `Fence`, one list a thread. Each step names its
site. A table `orders` says which order a site has; where it says nothing, a load or store is relaxed, and a
fence missing.

`run_views`
    The C11 model without promises. Each thread has a view: for each word, the oldest value that it may
    still load. A release store hands its view on, an acquire load takes it. A load returns any value that
    is not older than the view: loads may be satisfied early, and stores may arrive late. Threads need not
    agree on the order of two stores, as on POWER. No load is satisfied behind a later store of its thread.

`run_reordered`
    One memory, as on ARM and RISC-V, and steps out of order. A step waits for an earlier one of its thread
    only where an order, a fence, the same word or a dependency says so: loads may be satisfied behind later
    stores as well. A `Change` that stores nothing holds back later steps all the same.

`Views` is the first model for readers that store nothing. Their writer does the same whatever they do, so
all its stores are there from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

Word = Hashable
Registers = dict[str, Any]
View = tuple[int, ...]


class Order(Enum):
    ACQUIRE = "__ATOMIC_ACQUIRE"
    RELEASE = "__ATOMIC_RELEASE"
    FULL = "__ATOMIC_SEQ_CST"


Orders = Mapping[str, Order]


class Load(NamedTuple):
    """Load a word; a short program keeps it in a register."""

    word: Word
    site: str = ""
    register: str = ""


class Store(NamedTuple):
    """Store a value, or what a function makes of the registers; only if `when` says so.

    `needs` names the registers that value and condition depend on.
    """

    word: Word
    value: Any
    site: str = ""
    when: Callable[[Registers], bool] | None = None
    needs: tuple[str, ...] = ()

    def stored(self, registers: Registers) -> Any:
        return self.value(registers) if callable(self.value) else self.value


class Change(NamedTuple):
    """Load and store in one step: `change` returns the new value, or None to store nothing.

    The order belongs to the step that stores; one that stores nothing is a relaxed load.
    """

    word: Word
    change: Callable[[Any, Registers], Any]
    site: str = ""
    register: str = ""
    when: Callable[[Registers], bool] | None = None
    needs: tuple[str, ...] = ()


class Fence(NamedTuple):
    site: str


Step = Load | Store | Change | Fence
Program = Sequence[Step]
#: What a run ended with: the registers of each thread, and the memory.
Outcome = tuple[tuple[Registers, ...], dict[Word, Any]]


def joined(a: View, b: View) -> View:
    return tuple(map(max, a, b))


# --------------------------------------------------------------------------------------------------
# Views, frozen: one writer, and readers that store nothing
# --------------------------------------------------------------------------------------------------


class Sight(NamedTuple):
    """What a reader has seen, and what the next acquire fence adds to that."""

    seen: View
    pending: View


class Views:
    """The stores of one writer, and for each the view that it hands on."""

    def __init__(self, initial: Mapping[Word, Any], stores: Iterable[Store | Fence], orders: Orders) -> None:
        self.orders = orders
        self.place = {word: i for i, word in enumerate(initial)}
        bottom: View = (0,) * len(self.place)
        self.stored: list[list[tuple[Any, View]]] = [[(value, bottom)] for value in initial.values()]
        #: The view of the writer behind each of its steps.
        self.written = [bottom]
        fenced = now = bottom
        for step in stores:
            order = orders.get(step.site)
            if isinstance(step, Fence):
                fenced = now if order in (Order.RELEASE, Order.FULL) else fenced
            else:
                at = self.place[step.word]
                own = self._moved(bottom, at, len(self.stored[at]))
                now = joined(now, own)
                handed = now if order is Order.RELEASE else joined(fenced, own)
                self.stored[at].append((step.value, handed))
            self.written.append(now)
        self.complete = Sight(now, now)
        self.known: dict[tuple[Load, Sight], list[tuple[Any, Sight]]] = {}

    @staticmethod
    def _moved(view: View, at: int, index: int) -> View:
        return (*view[:at], index, *view[at + 1 :])

    def at(self, step: int) -> Sight:
        """Return what a reader has seen that begins behind this step of the writer."""
        return Sight(self.written[step], self.written[step])

    def loads(self, load: Load, sight: Sight) -> list[tuple[Any, Sight]]:
        """Return what a load can get, and what the reader has seen then."""
        key = (load, sight)
        known = self.known.get(key)
        if known is None:
            known = self.known[key] = self._loads(load, sight)
        return known

    def _loads(self, load: Load, sight: Sight) -> list[tuple[Any, Sight]]:
        at = self.place[load.word]
        acquire = self.orders.get(load.site) is Order.ACQUIRE
        found: list[tuple[Any, Sight]] = []
        stored = self.stored[at]
        for index in range(sight.seen[at], len(stored)):
            value, handed = stored[index]
            seen = self._moved(sight.seen, at, index)
            pending = joined(sight.pending, handed)
            if acquire:
                seen = joined(seen, handed)
            now = Sight(seen, pending)
            if not any(value == other and self.covers(before, now) for other, before in found):
                found.append((value, now))
        return found

    def fence(self, fence: Fence, sight: Sight) -> Sight:
        if self.orders.get(fence.site) in (Order.ACQUIRE, Order.FULL):
            return Sight(sight.pending, sight.pending)
        return sight

    def count(self, word: Word, sight: Sight) -> int:
        """Return how many stores of a word the reader knows of."""
        return sight.seen[self.place[word]]

    @staticmethod
    def covers(a: Sight, b: Sight) -> bool:
        """Tell whether all that can follow sight b can follow a too."""
        return all(map(int.__le__, a.seen, b.seen)) and all(map(int.__le__, a.pending, b.pending))


# --------------------------------------------------------------------------------------------------
# Readers as generators
# --------------------------------------------------------------------------------------------------

#: What a reader may ask for besides a `Load` and a `Fence`: either way, or to begin the operation again.
EITHER = ("either",)
AGAIN = ("again",)

Loads = Generator[Any, Any, Any]


class Run(NamedTuple):
    """Ask for the result of another operation, which is explored once for all who ask."""

    operation: Callable[..., Loads]
    args: tuple[Any, ...] = ()


def again(*args: Any) -> tuple[Any, ...]:
    """Begin the operation again, with other arguments."""
    return (*AGAIN, *args)


class Frontier:
    """States that were met, less those that are covered by others."""

    def __init__(self, covers: Callable[[Any, Any], bool]) -> None:
        self.covers = covers
        self.met: dict[Any, list[Any]] = {}

    def add(self, key: Any, state: Any) -> bool:
        """Note a state; False if one that covers it was there before."""
        states = self.met.get(key)
        if states is None:
            self.met[key] = [state]
            return True
        covers = self.covers
        for other in states:
            if covers(other, state):
                return False
        states[:] = [other for other in states if not covers(state, other)]
        states.append(state)
        return True

    def items(self) -> Iterator[tuple[Any, Any]]:
        return ((key, state) for key, states in self.met.items() for state in states)


class Point:
    """Where an operation is behind some loads: what it asks for next, or its result.

    An operation follows from its arguments and from what its loads got: each of its points is found by
    running it once, however many states of the memory lead there.
    """

    __slots__ = ("_following", "_loaded", "_run", "args", "ended", "operation", "result", "wanted")

    def __init__(
        self, operation: Callable[..., Loads], args: tuple[Any, ...], loaded: tuple[Any, ...] = (),
        before: Loads | None = None,
    ) -> None:  # fmt: skip
        self.operation, self.args, self._loaded = operation, args, loaded
        self._following: dict[Any, Point] = {}
        #: What it asks for; None if it has ended.
        self.wanted: Any = None
        self.result: Any = None
        #: Of the first point: what its runs ended with, for each state of the memory that they began in.
        self.ended: dict[Any, list[tuple[Any, Any]]] = {}
        #: The operation where it stopped here, for the first that goes on.
        self._run: Loads | None = None
        try:
            if before is None:
                before = operation(*args)
                self.wanted = next(before)
                for value in loaded:
                    self.wanted = before.send(value)
            else:
                self.wanted = before.send(loaded[-1])
            self._run = before
        except StopIteration as end:
            self.wanted, self.result = None, end.value

    def behind(self, value: Any) -> Point:
        """Return where it is if it gets this value."""
        found = self._following.get(value)
        if found is None:
            run, self._run = self._run, None
            found = Point(self.operation, self.args, (*self._loaded, value), run)
            self._following[value] = found
        return found


class Explorer:
    """Runs operations of a reader in all ways that a memory has for its loads."""

    def __init__(self, memory: Any) -> None:
        self.memory = memory
        self._begins: dict[Any, Point] = {}

    def runs(self, operation: Callable[..., Loads], *args: Any, state: Any) -> list[tuple[Any, Any]]:
        """Return the state of the memory behind each run of an operation, each with the result."""
        return [(then, result) for result, then in self.results(self._begin(operation, args), state)]

    def results(self, first: Point, state: Any) -> list[tuple[Any, Any]]:
        """Return the results of an operation, each with the state of the memory behind it."""
        found = first.ended.get(state)
        if found is None:
            found = first.ended[state] = self._runs(first, state)
        return found

    def _runs(self, first: Point, state: Any) -> list[tuple[Any, Any]]:
        covers, loads = self.memory.covers, self.memory.loads
        results, visited = Frontier(covers), Frontier(covers)
        stack = [(state, first)]
        while stack:
            now, point = stack.pop()
            if not visited.add(point, now):
                continue
            # One way is followed at once; where there are several, each from its own state.
            while (wanted := point.wanted) is not None:
                if type(wanted) is Load:
                    ways = loads(wanted, now)
                elif wanted[:1] == AGAIN:
                    stack.append((now, self._begin(point.operation, wanted[1:] or point.args)))
                    break
                else:
                    ways = self._ways(wanted, now)
                if len(ways) > 1:
                    for value, then in ways:
                        stack.append((then, point.behind(value)))
                    break
                ((value, now),) = ways
                point = point.behind(value)
            else:
                results.add(point.result, now)
        return list(results.items())

    def _begin(self, operation: Callable[..., Loads], args: tuple[Any, ...]) -> Point:
        key = (operation.__name__, args)
        found = self._begins.get(key)
        if found is None:
            found = self._begins[key] = Point(operation, args, ())
        return found

    def _ways(self, wanted: Any, state: Any) -> list[tuple[Any, Any]]:
        """Return what a reader can get that asks for no load, each with the state of the memory behind it."""
        if isinstance(wanted, Fence):
            return [(None, self.memory.fence(wanted, state))]
        if isinstance(wanted, Run):
            return self.results(self._begin(wanted.operation, wanted.args), state)
        assert wanted == EITHER
        return [(False, state), (True, state)]

    def forget(self) -> None:
        """Keep nothing of the runs: results stay."""
        self._begins.clear()


# --------------------------------------------------------------------------------------------------
# Views, several threads
# --------------------------------------------------------------------------------------------------


class _Thread(NamedTuple):
    at: int
    registers: tuple[tuple[str, Any], ...]
    seen: View
    pending: View
    fenced: View


class _State(NamedTuple):
    threads: tuple[_Thread, ...]
    #: For each word its values, each with the view that it hands on.
    stored: tuple[tuple[tuple[Any, View], ...], ...]
    #: What full fences have seen.
    full: View


def run_views(initial: Mapping[Word, Any], programs: Sequence[Program], orders: Orders) -> list[Outcome]:
    """Run short programs in the C11 model. Words with several writers need `Change` for all stores."""
    place = {word: i for i, word in enumerate(initial)}
    bottom: View = (0,) * len(place)
    thread = _Thread(0, (), bottom, bottom, bottom)
    first = _State((thread,) * len(programs), tuple(((value, bottom),) for value in initial.values()), bottom)
    outcomes: list[Outcome] = []
    visited = {first}
    stack = [first]
    while stack:
        state = stack.pop()
        following: list[_State] = []
        for i, program in enumerate(programs):
            if state.threads[i].at < len(program):
                following += _view_steps(state, i, program[state.threads[i].at], place, orders)
        if not following:
            registers = tuple(dict(t.registers) for t in state.threads)
            outcomes.append((registers, {word: state.stored[at][-1][0] for word, at in place.items()}))
        for new in following:
            if new not in visited:
                visited.add(new)
                stack.append(new)
    return outcomes


def _view_steps(
    state: _State, i: int, step: Step, place: Mapping[Word, int], orders: Orders
) -> Iterator[_State]:
    """Do one step of a thread in all ways."""
    t = state.threads[i]._replace(at=state.threads[i].at + 1)
    order = orders.get(step.site)

    def behind(t: _Thread, stored: Any = state.stored, full: View = state.full) -> _State:
        return _State((*state.threads[:i], t, *state.threads[i + 1 :]), stored, full)

    if isinstance(step, Fence):
        if order in (Order.ACQUIRE, Order.FULL):
            t = t._replace(seen=t.pending)
        if order is Order.FULL:
            seen = joined(t.seen, state.full)
            t = t._replace(seen=seen, pending=joined(t.pending, seen))
            yield behind(t._replace(fenced=seen), full=seen)
            return
        if order is Order.RELEASE:
            t = t._replace(fenced=t.seen)
        yield behind(t)
        return
    registers = dict(t.registers)
    if not isinstance(step, Load) and step.when is not None and not step.when(registers):
        yield behind(t)
        return
    at = place[step.word]
    stored = state.stored[at]

    def store(t: _Thread, value: Any, base: View, release: bool) -> _State:
        own = Views._moved(base, at, len(stored))
        t = t._replace(
            seen=Views._moved(t.seen, at, len(stored)),
            pending=Views._moved(t.pending, at, len(stored)),
        )
        handed = joined(own, t.seen if release else t.fenced)
        return behind(t, (*state.stored[:at], (*stored, (value, handed)), *state.stored[at + 1 :]))

    bottom = (0,) * len(place)
    if isinstance(step, Store):
        yield store(t, step.stored(registers), bottom, order is Order.RELEASE)
        return
    for index in range(t.seen[at], len(stored)):
        value, handed = stored[index]
        new = step.change(value, registers) if isinstance(step, Change) else None
        if new is not None and index + 1 < len(stored):
            continue  # somebody changed it since
        acquire = order is Order.ACQUIRE and (isinstance(step, Load) or new is not None)
        seen = Views._moved(t.seen, at, index)
        got = t._replace(
            seen=joined(seen, handed) if acquire else seen,
            pending=joined(joined(t.pending, seen), handed),
            registers=_noted(registers, step.register, value),
        )
        if new is None:
            yield behind(got)
        else:
            # What stood there before goes on handing on its view.
            yield store(got, new, handed, order is Order.RELEASE)


def _noted(registers: Registers, name: str, value: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted({**registers, name: value}.items())) if name else tuple(registers.items())


# --------------------------------------------------------------------------------------------------
# One memory, steps out of order
# --------------------------------------------------------------------------------------------------


class _Part(NamedTuple):
    """A step, or one half of a `Change`: other threads cannot store to the word between its halves."""

    step: Step
    loads: bool
    stores: bool
    #: Parts of the same thread that have to be done before.
    behind: frozenset[int]


def run_reordered(
    initial: Mapping[Word, Any],
    programs: Sequence[Program],
    orders: Orders,
    *,
    x86: bool = False,
) -> list[Outcome]:
    """Run short programs in one memory, with steps out of order as far as `orders` allows.

    x86: only loads pass earlier stores, and a `Change` is a full fence, whatever `orders` says.
    """
    parts = [_parts(program, orders, x86) for program in programs]
    first = (
        tuple((frozenset[int](), ()) for _ in programs),
        tuple(initial.items()),
        frozenset[Any](),
    )
    outcomes: list[Outcome] = []
    visited = {first}
    stack = [first]
    while stack:
        threads, memory, locked = stack.pop()
        if all(len(done) == len(mine) for (done, _), mine in zip(threads, parts, strict=True)):
            outcomes.append((tuple(dict(registers) for _, registers in threads), dict(memory)))
        for i, mine in enumerate(parts):
            done, registers = threads[i]
            for k, part in enumerate(mine):
                if k in done or not part.behind <= done:
                    continue
                after = _part_done(part, i, dict(registers), dict(memory), locked)
                if after is None:
                    continue
                kept, words, locks = after
                new = (
                    (*threads[:i], (done | {k}, kept), *threads[i + 1 :]),
                    tuple(words.items()),
                    locks,
                )
                if new not in visited:
                    visited.add(new)
                    stack.append(new)
    return outcomes


def _part_done(
    part: _Part, thread: int, registers: Registers, memory: dict[Word, Any], locked: frozenset[Any]
) -> tuple[Any, dict[Word, Any], frozenset[Any]] | None:
    step = part.step
    kept = tuple(registers.items())
    if isinstance(step, Fence):
        return kept, memory, locked
    if not isinstance(step, Load) and step.when is not None and not step.when(registers):
        return kept, memory, locked
    if isinstance(step, Load):
        return _noted(registers, step.register, memory[step.word]), memory, locked
    holder = next((owner for word, owner in locked if word == step.word), None)
    if holder not in (None, thread):
        return None
    if isinstance(step, Store):
        return kept, memory | {step.word: step.stored(registers)}, locked
    hidden = f"{step.register} of {step.site}"
    if part.loads:
        old = memory[step.word]
        new = step.change(old, registers)
        kept = _noted(dict(_noted(registers, step.register, old)), hidden, new)
        return kept, memory, locked if new is None else locked | {(step.word, thread)}
    new = registers[hidden]
    if new is None:
        return kept, memory, locked
    return kept, memory | {step.word: new}, locked - {(step.word, thread)}


def _parts(program: Program, orders: Orders, x86: bool) -> list[_Part]:
    """Split changes into their halves, and say which parts each has to wait for."""
    parts: list[_Part] = []
    for step in program:
        halves = [(isinstance(step, Load), isinstance(step, Store))]
        if isinstance(step, Change):
            halves = [(True, False), (False, True)]
        for loads, stores in halves:
            behind = frozenset(
                k for k, before in enumerate(parts) if _waits(step, loads, stores, before, orders, x86)
            )
            parts.append(_Part(step, loads, stores, behind))
    return parts


def _waits(step: Step, loads: bool, stores: bool, before: _Part, orders: Orders, x86: bool) -> bool:
    """Tell whether a part has to wait for an earlier one of its thread."""
    earlier = before.step
    order, order_before = orders.get(step.site), orders.get(earlier.site)
    if isinstance(step, Fence):
        return order is not None and (before.loads or order is not Order.ACQUIRE)
    if isinstance(earlier, Fence):
        return order_before is not None and (stores or order_before is not Order.RELEASE)
    if step.word == earlier.word:  # also the halves of one change
        return True
    if x86:
        return not (loads and before.stores) or Change in (type(step), type(earlier))
    if (before.loads and order_before is Order.ACQUIRE) or (stores and order is Order.RELEASE):
        return True
    # A store is never tried out: it waits for what it depends on.
    return not isinstance(step, Load) and before.loads and _register(earlier) in step.needs


def _register(step: Step) -> str:
    return step.register if isinstance(step, Load | Change) else ""
