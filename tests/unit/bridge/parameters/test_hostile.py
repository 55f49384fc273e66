"""What somebody may send who keeps to no rule: refused, counted, and nothing is changed."""

from __future__ import annotations

import struct

import pytest

from pymilk.bridge import ParameterOffer, RemoteParameters, Sender
from pymilk.bridge.keys import CHANGES, COMMAND, READ, SET, TABLE, TURN, parameter_key
from pymilk.bridge.parameters import account, asking, turns
from pymilk.bridge.parameters.turns import Turns, UnknownAskerError
from pymilk.bridge.parameters.wire import QUESTION_MOST, decode, encode, error_of, parameter_of, value_of
from pymilk.errors import BridgeError, BridgeForbiddenError, BridgeMessageError, FPSKeyError
from pymilk.parameters import FPS, ParameterType
from pymilk.parameters.words import FIXED_TYPES
from support.waiting import until


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch):
    monkeypatch.setattr(asking, "_AGAIN_SECONDS", 0.002)
    monkeypatch.setattr(asking, "_CANCEL_SECONDS", 0.0)


@pytest.fixture
def loop(shm_dir):
    with FPS.create("loop", directories=False) as made:
        made.add_param("gain", default=0.25, limits=(0.0, 1.0))
        yield made


@pytest.fixture
def sender(wires, loop):
    offer = ParameterOffer(("loop",), set=("loop/*",), command=("loop/*",))
    with Sender((), host="rtc", engine=wires, params=offer) as made:
        until(lambda: made.report.parameters.fps)
        yield made


@pytest.fixture
def ask(wires, sender):
    """Ask under a key of the FPS; returns what is answered."""

    def asked(does, what, question):
        (answer,) = wires.ask(parameter_key("rtc", "loop", does, what), 1, question)
        return decode(answer.message, 1 << 20)

    return asked


def message(text: bytes, **head) -> bytes:
    given = {"magic": b"PMFP", "version": 1, "nbytes": len(text)} | head
    return struct.pack("<4sHHI", given["magic"], given["version"], 0, given["nbytes"]) + text


ALL = b'{"first":0}'

BAD = {
    "nothing": b"",
    "short": b"PMFP\1\0",
    "pickle": b"\x80\x04K\x01.",
    "magic": message(ALL, magic=b"PMBR"),
    "version": message(ALL, version=2),
    "longer": message(ALL, nbytes=2**32 - 1),
    "shorter": message(ALL + b" ", nbytes=len(ALL)),
    "no json": message(b"{"),
    "no object": message(b"[1]"),
    "no text": message(b"\xff\xfe"),
    "deep": message(b"[" * 5000),
    "large number": message(b'{"number":' + b"9" * 5000 + b"}"),
    "large": message(b'{"first":0,"a":"' + b"x" * QUESTION_MOST + b'"}'),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize(("does", "what"), [(READ, TABLE), (SET, "gain"), (COMMAND, "runstop")])
def test_what_is_no_question(ask, sender, loop, does, what, name):
    assert ask(does, what, BAD[name])["error"] == "BridgeMessageError"
    assert sender.report.parameters.refused == 1
    assert loop["gain"] == 0.25


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"first": -1},
        {"first": True},
        {"first": "0"},
        {"first": 0, "keys": "gain"},
        {"first": 0, "keys": [1]},
    ],
)
def test_questions_that_ask_nothing(ask, sender, asked):
    assert ask(READ, TABLE, encode(asked))["error"] == "BridgeMessageError"
    assert sender.report.parameters.refused == 1


@pytest.mark.parametrize("number", [0, -1, 1.5, True, None, "1", 2**63])
def test_numbers_that_are_none(ask, loop, number):
    turn = ask(TURN, "new", b"")["turn"]
    asked = encode({"turn": turn, "number": number, "value": 0.5})
    assert ask(SET, "gain", asked)["error"] == "BridgeMessageError"
    assert loop["gain"] == 0.25


def test_a_question_that_comes_again_is_not_done_again(ask, loop, sender):
    turn = ask(TURN, "new", b"")["turn"]
    first, second = (encode({"turn": turn, "number": each, "value": each / 10}) for each in (1, 2))
    assert ask(SET, "gain", first)["value"] == 0.1
    loop["gain"] = 0.9
    assert ask(SET, "gain", first)["value"] == 0.1  # the answer, again
    assert loop["gain"] == 0.9
    assert sender.report.parameters.repeated == 1
    assert ask(SET, "gain", second)["value"] == 0.2
    loop["gain"] = 0.9
    assert "came before" in ask(SET, "gain", first)["message"]
    assert "came before" in ask(SET, "other", second)["message"]  # the same under another key
    changed = encode({"turn": turn, "number": 2, "value": 0.7})
    assert "came before" in ask(SET, "gain", changed)["message"]
    assert loop["gain"] == 0.9
    assert (sender.report.parameters.written, sender.report.parameters.refused) == (2, 3)


def test_a_question_of_another_host_or_run_is_not_done(ask, loop, wires):
    asked = encode({"turn": "0" * 32, "number": 1, "value": 0.5})
    assert ask(SET, "gain", asked)["error"] == "UnknownAskerError"
    assert loop["gain"] == 0.25


def test_a_cancelled_question_that_comes_late_is_not_done(ask, loop):
    turn = ask(TURN, "new", b"")["turn"]
    mine = {"turn": turn, "number": 1}
    assert ask(TURN, "new", encode(mine)) == {"cancelled": True}
    assert "came before" in ask(SET, "gain", encode(mine | {"value": 0.5}))["message"]
    assert loop["gain"] == 0.25
    assert ask(SET, "gain", encode(mine | {"number": 2, "value": 0.5}))["value"] == 0.5
    assert ask(TURN, "new", encode(mine | {"number": 2})) == {"cancelled": False}


def test_who_asks_goes_on_after_the_host_began_anew(wires, loop, sender):
    offer = ParameterOffer(("loop",), set=("loop/*",))
    with RemoteParameters("rtc", "loop", engine=wires, timeout=0.05) as remote:
        remote["gain"] = 0.5
        sender.stop()
        with Sender((), host="rtc", engine=wires, params=offer) as second:
            until(lambda: second.report.parameters.fps)
            remote["gain"] = 0.75
    assert loop["gain"] == 0.75


def test_an_answer_that_is_lost_is_asked_for_again(wires, loop, sender, monkeypatch):
    """The value is written once."""
    plain, lost = wires.ask, []

    def lose(key, timeout, question=b"", *, urgent=False):
        answers = plain(key, timeout, question)
        if f"/{SET}/" in key and len(lost) < 3:
            lost.append(key)
            return []
        return answers

    monkeypatch.setattr(wires, "ask", lose)
    with RemoteParameters("rtc", "loop", engine=wires, timeout=5) as remote:
        remote["gain"] = 0.5
    assert (loop["gain"], loop.param("gain").cnt0, len(lost)) == (0.5, 2, 3)
    assert sender.report.parameters.repeated == 3


def test_rules_on_the_way_are_told_from_a_lost_answer(wires, loop, sender, monkeypatch):
    """Rules drop a question without a word; the host says that it did not come, and takes it no more."""
    plain = wires.ask

    def refuse(key, timeout, question=b"", *, urgent=False):
        return [] if f"/{SET}/" in key else plain(key, timeout, question)

    monkeypatch.setattr(wires, "ask", refuse)
    with RemoteParameters("rtc", "loop", engine=wires, timeout=0.01) as remote:
        with pytest.raises(BridgeForbiddenError, match="access rules do not let this machine set 'gain'"):
            remote["gain"] = 0.5
        monkeypatch.setattr(wires, "ask", lambda *given, **more: [])
        with pytest.raises(BridgeError, match="nobody offers"):
            remote["gain"] = 0.5
    assert loop["gain"] == 0.25


def test_a_host_that_began_anew_meanwhile_is_not_asked_again(wires, loop, sender, monkeypatch):
    """The answer was lost: whether the value was written is not known, and it is not written twice."""
    plain, lost = wires.ask, []

    def begin_anew(key, timeout, question=b"", *, urgent=False):
        if f"/{SET}/" in key and not lost:
            lost.append(plain(key, timeout, question))
            monkeypatch.setattr(sender._desk._acts, "_turns", Turns())
            return []
        return plain(key, timeout, question)

    monkeypatch.setattr(wires, "ask", begin_anew)
    with (
        RemoteParameters("rtc", "loop", engine=wires, timeout=5) as remote,
        pytest.raises(BridgeError, match="whether set 'gain' of fps 'loop' was done is not known"),
    ):
        remote["gain"] = 0.5
    assert (loop["gain"], loop.param("gain").cnt0) == (0.5, 2)


VALUES = [None, True, -1, 10**400, 2**64, 1e308, "", "x" * 5000, "a\0b", "\ud800", [], [[]], [1], [1, 2],
          [1, 2, 3], [1e300, 2], [None, None], {}, {"a": [1]}]  # fmt: skip


@pytest.mark.parametrize("kind", [each for each in ParameterType if each not in FIXED_TYPES])
def test_no_value_breaks_the_host(ask, loop, kind):
    loop.add_param("x", kind)
    turn = ask(TURN, "new", b"")["turn"]
    for number, value in enumerate(VALUES, 1):
        before = loop["x"]
        said = ask(SET, "x", encode({"turn": turn, "number": number, "value": value}))
        if "error" in said:
            assert said["error"] in ("FPSTypeError", "FPSLimitError", "FPSTextError"), (value, said)
            assert loop["x"] == before
        else:
            assert value_of(said) == loop["x"]


def test_a_flood_is_refused_and_others_work_after_it(ask, sender, monkeypatch, loop):
    monkeypatch.setattr(account, "_RATE", 5.0)
    said = [ask(READ, TABLE, encode({"first": 0})) for _ in range(50)]
    refused = sum("questions a second" in each.get("message", "") for each in said)
    assert refused >= 30
    assert sender.report.parameters.refused == refused
    # Those that change something are counted for themselves.
    turn = ask(TURN, "new", b"")["turn"]
    assert ask(SET, "gain", encode({"turn": turn, "number": 1, "value": 0.5}))["value"] == 0.5


def test_new_askers_without_end_push_out_none_that_works(monkeypatch):
    monkeypatch.setattr(turns, "_ASKERS_MOST", 4)
    made = Turns()
    mine = made.give()
    assert made.begin(mine, 1, b"a") == (True, None)
    others = [made.give() for _ in range(100)]
    assert made.begin(mine, 2, b"b") == (True, None)
    with pytest.raises(UnknownAskerError):
        made.begin(others[0], 1, b"a")
    assert len(made._askers) == 4


def test_a_key_that_stands_for_many_changes_nothing(wires, sender, loop):
    turn = wires.ask(parameter_key("rtc", "loop", TURN, "new"), 1)[0].message.partition(b'turn":"')[2][:32]
    asked = encode({"turn": turn.decode(), "number": 1, "value": 0.5})
    (answer,) = wires.ask(parameter_key("rtc", "loop", SET, None), 1, asked)
    assert b"a change is of one parameter" in answer.message
    assert loop["gain"] == 0.25


@pytest.mark.parametrize("name", BAD)
def test_answers_that_are_none(wires, shm_dir, name):
    wires.answer(parameter_key("rtc", "loop", READ, TABLE), lambda key, question: BAD[name])
    with pytest.raises(BridgeMessageError):
        RemoteParameters("rtc", "loop", engine=wires, timeout=0.01).as_dict()


GOOD = {"key": "gain", "keyword": "loop.gain", "type": "FLOAT64", "value": 0.5, "current": 0.5, "low": None,
        "high": 1.0, "flags": 7, "count": 3, "description": "", "writable": True, "initialized": True,
        "error": False}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "COMPLEX"), ("type", 32), ("type", []), ("value", "x"), ("value", 1), ("value", True),
        ("key", 1), ("key", "k" * 3000), ("flags", -1), ("flags", 2**70), ("count", 1.5), ("count", True),
        ("writable", 1), ("low", "x"), ("high", [1]), ("current", {}), ("description", None),
    ],
)  # fmt: skip
def test_parameters_that_are_none(name, value):
    assert parameter_of(GOOD).value == 0.5
    with pytest.raises(BridgeMessageError):
        parameter_of(GOOD | {name: value})
    with pytest.raises(BridgeMessageError):
        parameter_of([GOOD])


@pytest.mark.parametrize(
    "said",
    [
        {"number": 2, "parameters": []},
        {"number": 2**40, "parameters": [GOOD]},
        {"number": 1, "parameters": {}},
        {"number": True, "parameters": [GOOD]},
    ],
)
def test_tables_that_never_end(wires, said):
    wires.answer(parameter_key("rtc", "loop", READ, TABLE), lambda key, question: encode({"file": ""} | said))
    with pytest.raises(BridgeError if said["number"] == 2 else BridgeMessageError):
        RemoteParameters("rtc", "loop", engine=wires, timeout=0.01).as_dict()


def test_errors_that_are_told_are_built_from_known_parts_alone():
    told = {
        "error": "FPSKeyError",
        "message": "a\x1b[2Jb",
        "fields": {"key": "gain", "path": "/etc", "evil": 1},
    }
    made = error_of(told, "loop")
    assert (type(made), str(made), made.key, made.path, made.fps) == (
        FPSKeyError,
        "a?[2Jb",
        "gain",
        None,
        "loop",
    )
    assert not hasattr(made, "evil")
    for name in ("SystemExit", "StreamError", "importlib", "FPSWhatever", 3, None, ["FPSKeyError"]):
        assert type(error_of({"error": name, "message": "x"}, "loop")) is BridgeError
    assert type(error_of({"error": "FPSKeyError"}, "loop")) is FPSKeyError
    assert (
        error_of({"error": "FPSKeyError", "fields": {"similar": [[1]], "key": {"a": 1}}}, "loop").key is None
    )


@pytest.mark.parametrize("name", [*BAD, "no number", "no list", "no change"])
def test_messages_about_changes_that_are_none(wires, loop, sender, name):
    bad = BAD | {
        "no number": encode({"changes": []}),
        "no list": encode({"number": 1, "changes": {}}),
        "no change": encode({"number": 1, "changes": [["gain", "FLOAT64", "x", 1]]}),
    }
    with RemoteParameters("rtc", "loop", engine=wires, timeout=0.05) as remote, remote.watch() as watch:
        until(lambda: wires.messages)
        wires.put(parameter_key("rtc", "loop", READ, CHANGES), bad[name])
        loop["gain"] = 0.5
        assert next(watch).value == 0.5
        assert watch.refused == 1
