"""The engine: Zenoh. The only file that knows it.

What is set here, and why (measured with Zenoh 1.10 on two cores): docs/decisions/bridge.md.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from ..arguments import check_kind
from ..errors import BridgeError
from ..system.extras import optional_library
from ..system.faults import words_of_fault
from ..system.forks import tell_after_fork
from ..system.journal import warn
from ..system.signals import held_signals
from ..times import now_ns
from .access import Allow
from .credentials import check_private
from .engine import Answer, Echo, Engine, Neighbour, Outlet, Registration
from .keys import (
    ABOUT,
    COMMAND,
    READ,
    SET,
    TURN,
    echo_key,
    key_like,
    key_of,
    parameter_key,
    parameter_key_like,
)
from .links import Links

__all__ = ["open_engine"]

#: Microseconds that a message waits for a full link before it is dropped; one in several parts longer.
_WAIT_US, _WAIT_PARTS_US = 20_000, 1_000_000

#: A link on which nothing is heard for so many milliseconds is dead.
_LEASE_MS = 3000

#: Milliseconds until a connection that does not get as far as messages is given up: the end waits for that.
_OPEN_MS = 3000

#: Milliseconds between attempts to connect: the first, and the most.
_RETRY_MS = {"period_init_ms": 100, "period_max_ms": 1000, "period_increase_factor": 1.5}

#: Answers to a question that are heard.
_ANSWERS_MOST = 10_000

#: Where in its own files the engine met an error.
_PLACE = re.compile(r"\s+at \S+\.rs:\d+\.?")

#: Bytes of a message of the engine besides what is sent: key, sizes.
_AROUND = 4096


def open_engine(links: Links, most: int) -> Engine:
    """Open a session.

    Parameters
    ----------
    links : Links
        Where to listen, and whom to connect to. Those that cannot be reached are tried again and again.
    most : int
        Bytes of the largest message; what is larger is not even put together.

    Raises
    ------
    LibraryMissingError
        Zenoh is not installed.
    BridgeKeyError
        A certificate, a key or the file of passwords is not usable.
    BridgeError
        It cannot listen there.
    """
    zenoh = optional_library("zenoh", "net", "streams across machines")
    check_kind("links", links, Links, "a pymilk.bridge.Links")
    if links.tls is not None:
        links.tls.context()
    if links.passwords is not None:
        check_private(links.passwords)

    def opened() -> Any:
        try:
            return zenoh.open(_config(zenoh, links, most))
        except BaseException as error:
            if not (isinstance(error, zenoh.ZError) or _is_panic(error)):
                raise
            listening = ", ".join(links.listen) or "nothing"
            raise BridgeError(
                f"the engine cannot start, listening on {listening}: {_words(error)}"
            ) from error

    return _Session(zenoh, opened)


def _config(zenoh: Any, links: Links, most: int) -> Any:
    drop = "transport/link/tx/queue/congestion_control/drop/"
    config = zenoh.Config()
    values = {
        # Two peers of a router do not hear each other through it, two clients do.
        # Peers and clients do not hear each other through a router in all topologies, routers do; and only
        # routers and peers go on without those whom they connect to.
        "mode": "router",
        "listen/endpoints": list(links.listen),
        "connect/endpoints": list(links.connect),
        "connect/timeout_ms": -1,
        "connect/exit_on_failure": False,
        "connect/retry": _RETRY_MS,
        "open/return_conditions/connect_scouted": False,
        "scouting/multicast/enabled": False,
        "scouting/gossip/enabled": False,
        "transport/shared_memory/enabled": False,
        "transport/unicast/open_timeout": _OPEN_MS,
        "transport/unicast/accept_timeout": _OPEN_MS,
        "transport/link/tx/lease": _LEASE_MS,
        "transport/link/rx/max_message_size": most + _AROUND,
        drop + "wait_before_drop": _WAIT_US,
        drop + "max_wait_before_drop_fragments": _WAIT_PARTS_US,
        **_protection(links),
    }
    for key, value in values.items():
        config.insert_json5(key, json.dumps(value))
    return config


def _protection(links: Links) -> dict[str, Any]:
    """Return what of the configuration says who may connect, and what they may do."""
    values: dict[str, Any] = {}
    tls = links.tls
    if tls is not None:
        begin = "transport/link/tls/"
        values |= {
            begin + "root_ca_certificate": os.path.abspath(tls.ca),
            begin + "enable_mtls": tls.mutual,
            begin + "verify_name_on_connect": True,
            begin + "close_link_on_expiration": True,
        }
        if tls.cert is not None and tls.key is not None:
            for end in ("listen", "connect"):
                values[f"{begin}{end}_certificate"] = os.path.abspath(tls.cert)
                values[f"{begin}{end}_private_key"] = os.path.abspath(tls.key)
    if links.login is not None or links.passwords is not None:
        values["transport/auth/usrpwd"] = {
            "user": links.login and links.login.user,
            "password": links.login and links.login.password,
            "dictionary_file": links.passwords and os.path.abspath(links.passwords),
        }
    revoked = links.tls.revoked_names() if links.tls is not None else frozenset()
    if links.allow or revoked:
        values["access_control"] = _access(links, revoked)
    return values


#: Kinds of messages: of one who sends a stream, and of one who receives it.
_SENDING = ["put", "delete", "reply", "declare_queryable", "liveliness_token"]
_RECEIVING = ["declare_subscriber", "query", "declare_liveliness_subscriber", "liveliness_query"]


def _access(links: Links, revoked: frozenset[str]) -> dict[str, Any]:
    """Return the rules as the engine has them: they are about messages that come in or go out.

    Questions about all streams are asked of everybody; answers, about one each, are subject to the rules.
    The engine lets pass what any of the rules that fit somebody allows, so names that were revoked are left
    out of all of them; `Links` has no rules for all names then.
    """
    rules, subjects, policies = [], [], []
    lists = [key_of(None, None, ABOUT)]
    for number, allow in enumerate(links.allow):
        ids: list[str] = []
        # Who sends: what senders say comes in, what receivers say goes out to them.
        for does, sources, (sent, received) in (
            ("send", allow.send, ("ingress", "egress")),
            ("receive", allow.receive, ("egress", "ingress")),
        ):
            keys = [f"{key_like(each)}/**" for each in sources]
            for flow, messages, about in (
                (sent, _SENDING, keys), (received, _RECEIVING, keys), (received, ["query"], lists),
            ):  # fmt: skip
                if keys:
                    ids.append(f"{number} {does} {len(ids)}")
                    rules.append({"id": ids[-1], "permission": "allow", "flows": [flow],
                                  "messages": messages, "key_exprs": about})  # fmt: skip
        for each in _about_parameters(allow):
            ids.append(f"{number} parameters {len(ids)}")
            rules.append({"id": ids[-1], "permission": "allow", **each})
        who = tuple(each for each in allow.who if each not in revoked)
        if who:
            subjects.append({"id": f"{number}", **_subject(links, who)})
            policies.append({"rules": ids, "subjects": [f"{number}"]})
    if policies:
        # Whether connections hand anything on: who may do anything may ask that.
        asking = ["query", "reply", "declare_queryable"]
        rules.append({"id": "echo", "permission": "allow", "flows": ["ingress", "egress"],
                      "messages": asking, "key_exprs": [echo_key("*")]})  # fmt: skip
        for each in policies:
            each["rules"].append("echo")
    if not links.allow:
        rules.append({"id": "revoked", "permission": "deny", "flows": ["ingress", "egress"],
                      "messages": [*_SENDING, *_RECEIVING], "key_exprs": ["**"]})  # fmt: skip
        subjects.append({"id": "revoked", "cert_common_names": sorted(revoked)})
        policies.append({"rules": ["revoked"], "subjects": ["revoked"]})
    return {"enabled": True, "default_permission": "deny" if links.allow else "allow", "rules": rules,
            "subjects": subjects, "policies": policies}  # fmt: skip


def _about_parameters(allow: Allow) -> list[dict[str, Any]]:
    """Return rules about parameters: what each kind of right lets come in, and go out."""
    lists = [parameter_key(None, None, READ, ABOUT)]
    rules: list[dict[str, Any]] = []

    def let(flow: str, messages: list[str], keys: list[str]) -> None:
        if keys:
            rules.append({"flows": [flow], "messages": messages, "key_exprs": keys})

    offered = [parameter_key_like(each) for each in allow.offer]
    let("ingress", _SENDING, offered)
    let("egress", _RECEIVING, offered)
    let("egress", ["query"], lists if offered else [])
    # Those who may write may read as well: values are read by their types.
    acting = [each.rpartition("/")[0] for each in (*allow.set, *allow.command)]
    sources = sorted({*allow.read, *acting})
    let("egress", _SENDING, [parameter_key_like(each) for each in sources])
    let("ingress", _RECEIVING, [parameter_key_like(each, READ) for each in sources])
    let("ingress", ["query"], lists if sources else [])
    let("ingress", ["query"], [parameter_key_like(each, TURN) for each in sorted(set(acting))])
    for does, names in ((SET, allow.set), (COMMAND, allow.command)):
        let("ingress", ["query"], [parameter_key_like(each, does) for each in names])
    return rules


def _subject(links: Links, who: tuple[str, ...]) -> dict[str, Any]:
    if links.named == "certificate":
        return {"link_protocols": ["tls"]} if "*" in who else {"cert_common_names": list(who)}
    return {} if "*" in who else {"usernames": list(who)}


def _words(error: BaseException) -> str:
    """Return what the engine says of an error, without the places in its own files."""
    return _PLACE.sub("", str(error))


def _is_panic(error: BaseException) -> bool:
    """Return whether the engine failed within itself: its locks may be useless from then on."""
    return type(error).__module__ == "pyo3_runtime"  # nothing of this name can be imported


def _keep(what: Any) -> None:
    """Never free an object."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(what))


class _Closing:
    """Something that was told to the others, and can be taken back.

    Parameters
    ----------
    of : _Session
    declare : callable
        Tells it in a session of Zenoh; returns what takes it back.
    """

    def __init__(self, of: _Session, declare: Callable[[Any], tuple[Any, ...]]) -> None:
        self._of, self._declare = of, declare
        self._what: tuple[Any, ...] = ()
        self.session: Any = None

    @property
    def told(self) -> bool:
        """Whether it was told in the present session."""
        return bool(self._what)

    def begin(self, session: Any) -> None:
        """Tell it in a session."""
        self.session, self._what = session, ()
        self._what = self._declare(session)

    def close(self) -> None:
        self._of.forget(self)  # first: another session would tell it again
        what, self._what = self._what, ()
        for each in what:
            with self._of.shielded(self.session):  # it may have ended
                each.undeclare()

    def leave(self) -> None:
        """Forget it, and never free it."""
        what, self._what = self._what, ()
        for each in what:
            _keep(each)


_T = TypeVar("_T", bound=_Closing)


class _Outlet(_Closing):
    """A publisher, and behind it what listens for its listeners."""

    @property
    def wanted(self) -> bool:
        try:
            return any(each.matching_status.matching for each in self._what[:1])
        except BaseException as error:  # noqa: BLE001 (raised if it is not the engine's)
            self._of.take(error, self.session)
            return False

    def put(self, message: bytes) -> None:
        before = self.session
        try:
            for publisher in self._what[:1]:
                publisher.put(message)
        except BaseException as error:
            self._of.check(error, before, "sends nothing")
            if self._of.ended:
                raise BridgeError("the engine sends nothing: it has ended") from error


class _Session:
    """A session of Zenoh as an `Engine`."""

    def __init__(self, zenoh: Any, opened: Callable[[], Any]) -> None:
        self.zenoh, self._opened = zenoh, opened
        self._session = opened()
        self._all: dict[_Closing, None] = {}
        self._lock = threading.RLock()
        self.renewing = self.ended = self.failed = False
        self._unheard = b""  # what echoes say: numbers of others, with spaces between

        def say(query: Any) -> None:
            with query:
                query.reply(query.key_expr, self._unheard)

        def echo(session: Any) -> tuple[Any, ...]:
            own = echo_key(str(session.zid()))
            return (session.declare_queryable(own, self._at_once(say), complete=True),)

        self._tell(_Closing(self, echo))
        tell_after_fork(self)

    def _after_fork(self) -> None:
        # Its threads stayed with the parent: to free anything of it would wait for them forever.
        self._lock, self.ended = threading.RLock(), True
        for each in self._all:
            each.leave()
        session, self._session = self._session, None
        _keep(session)

    def _tell(self, what: _T) -> _T:
        """Tell something to the others, now or when the next session is there."""
        with held_signals(), self._lock:  # it is told whole, and what is called meanwhile does not raise
            self._all[what] = None
            if not self.renewing:
                try:
                    what.begin(self._session)
                except BaseException as error:  # noqa: BLE001 (raised if it is not the engine's)
                    del self._all[what]
                    self.check(error, self._session, "tells nothing")
                    self._all[what] = None  # it is told in the next session
            return what

    def check(self, error: BaseException, session: Any, what: str) -> None:
        """Raise an error that the engine raised in a session, in words, unless another session follows it.

        Then messages get lost, as on a link that is cut. What is no error of the engine is raised as it is.
        """
        self.take(error, session)
        if not (self.failed or self.renewing or session is not self._session):
            raise BridgeError(f"the engine {what}: {_words(error)}") from error

    @contextlib.contextmanager
    def shielded(self, session: Any) -> Iterator[None]:
        """Go on behind the block if the engine raises an error in a session."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 (raised if it is not the engine's)
            self.take(error, session)

    def take(self, error: BaseException, session: Any) -> None:
        """Take an error of the engine, and note whether it failed within itself; others are raised again."""
        if _is_panic(error):
            self.failed = self.failed or session is self._session
        elif not isinstance(error, self.zenoh.ZError):
            raise error

    def forget(self, what: _Closing) -> None:
        """Tell it no more."""
        with self._lock:
            self._all.pop(what, None)

    def renew(self) -> None:
        with self._lock:
            self.renewing = True
            session, self._session = self._session, None
        if session is not None:  # without the lock: calls that it waits for may need it
            with self.shielded(session):
                session.close()
        if self.ended:
            return
        session = self._opened()
        with self._lock:
            self._session, self.failed = session, False
            while others := [each for each in self._all if each.session is not session]:
                for each in others:
                    with self.shielded(session):
                        each.begin(session)
            self.failed = self.failed or not all(each.told for each in self._all)
            self.renewing = False
        if self.ended:
            self.close()

    def _at_once(self, call: Callable[[Any], object]) -> Any:
        """Return a handler that runs in the thread that receives.

        The other kind has a thread of Python's and a queue without limit, and such a thread that still lives
        when the interpreter ends aborts the process.
        """

        def guarded(given: Any) -> None:
            try:
                call(given)
            except BaseException as error:  # noqa: BLE001 (the engine would print it)
                warn("bridge: a message was left out: %s", words_of_fault(error))

        return self.zenoh.handlers.Callback(guarded, indirect=False)

    def _priority(self, urgent: bool) -> Any:
        return self.zenoh.Priority.INTERACTIVE_HIGH if urgent else self.zenoh.Priority.DATA

    def outlet(self, key: str, heard: Callable[[], object], *, urgent: bool = False) -> Outlet:
        def declare(session: Any) -> tuple[Any, ...]:
            publisher = session.declare_publisher(
                key,
                congestion_control=self.zenoh.CongestionControl.DROP,
                priority=self._priority(urgent),
                reliability=self.zenoh.Reliability.RELIABLE,
            )
            return publisher, publisher.declare_matching_listener(self._at_once(lambda _: heard()))

        return self._tell(_Outlet(self, declare))

    def listen(self, key: str, take: Callable[[bytes], object]) -> Registration:
        def taken(sample: Any) -> None:
            take(sample.payload.to_bytes())

        return self._tell(
            _Closing(self, lambda session: (session.declare_subscriber(key, self._at_once(taken)),))
        )

    def answer(self, key: str, say: Callable[[str, bytes], bytes | None]) -> Registration:
        def asked(query: Any) -> None:
            with query:
                question = query.payload
                answer = say(str(query.key_expr), b"" if question is None else question.to_bytes())
                # A key that stands for many is no key of an answer.
                if answer is not None:
                    query.reply(query.key_expr if "*" in key else key, answer)

        def declare(session: Any) -> tuple[Any, ...]:
            return (session.declare_queryable(key, self._at_once(asked), complete=True),)

        return self._tell(_Closing(self, declare))

    def ask(self, key: str, timeout: float, question: bytes = b"", *, urgent: bool = False) -> list[Answer]:
        session = self._session
        if session is None:
            if self.renewing:
                return []
            raise BridgeError("the engine asks nobody: it has ended")
        try:
            replies = session.get(
                key, target=self.zenoh.QueryTarget.ALL, consolidation=self.zenoh.ConsolidationMode.NONE,
                timeout=timeout, payload=question, priority=self._priority(urgent),
                congestion_control=self.zenoh.CongestionControl.DROP,  # of the answers as well
            )  # fmt: skip
            return [
                Answer(str(reply.ok.key_expr), reply.ok.payload.to_bytes(), now_ns())
                for reply in itertools.islice(replies, _ANSWERS_MOST)
                if reply.ok is not None
            ]
        except BaseException as error:  # noqa: BLE001 (raised if it is not the engine's)
            self.check(error, session, "asks nobody")
            return []

    def appear(self, key: str) -> Registration:
        return self._tell(_Closing(self, lambda session: (session.liveliness().declare_token(key),)))

    def notice(self, key: str, changed: Callable[[str, bool], object]) -> Registration:
        put = self.zenoh.SampleKind.PUT
        there: set[str] = set()

        def told(sample: Any) -> None:
            name, here = str(sample.key_expr), sample.kind == put
            (there.add if here else there.discard)(name)
            changed(name, here)

        def declare(session: Any) -> tuple[Any, ...]:
            gone = there.copy()  # with the session before; who is still there is told of again
            there.clear()
            for name in gone:
                changed(name, False)
            watch = session.liveliness().declare_subscriber
            return (watch(key, self._at_once(told), history=True),)

        return self._tell(_Closing(self, declare))

    def neighbours(self) -> list[Neighbour]:
        session = self._session
        if session is None:
            return []
        with self.shielded(session):  # it may have ended
            return [
                Neighbour(str(each.dst), each.auth_identifier or "", str(each.src), str(each.zid))
                for each in session.info.links()
            ]
        return []

    def ask_echo(self, neighbour: Neighbour, timeout: float) -> Echo | None:
        session = self._session
        if session is None:
            return None
        answers = self.ask(echo_key(neighbour.number), timeout, urgent=True)
        if not answers:
            return None
        return Echo(str(session.zid()).encode() not in answers[0].message.split())

    def tell_unheard(self, numbers: Iterable[str]) -> None:
        self._unheard = " ".join(sorted(numbers)).encode()

    def close(self) -> None:
        self.ended = True
        session, self._session = self._session, None
        if session is not None:
            with self.shielded(session):
                session.close()
