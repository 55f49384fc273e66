"""Interrupts that come where Python drops exceptions: the command hears of them again. Each has a process."""

from __future__ import annotations

import signal

import pytest

pytest.importorskip("click", reason="extra cli")
pytest.importorskip("rich", reason="extra cli")

from pymilk.system.signals import ENDS
from support.children import Child

SENTENCES = {
    signal.SIGINT: "pymilk: interrupted\n",
    signal.SIGTERM: "pymilk: ended by SIGTERM\n",
    signal.SIGHUP: "pymilk: ended by SIGHUP\n",
}
each = pytest.mark.parametrize("number", ENDS)

BEGIN = """
import gc, signal, sys
from pymilk import _interpreter
from pymilk.cli import exits

_interpreter.begin_command()
number = int(sys.argv[1])

def alarm():
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0
"""

LOST = """
exits._AGAIN_SECONDS = 0.001

class Destroyed:
    def __del__(self):
        signal.raise_signal(number)

def work():
    Destroyed()
    while True:
        pass

try:
    with exits.clean_exit():
        work()
finally:
    print(alarm())
"""

HANDLED = """
def work():
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt as error:
        kept = error
    gc.collect()
    print(alarm())
    raise kept

with exits.clean_exit():
    work()
"""

CASES = {"lost": LOST, "handled": HANDLED}


@each
@pytest.mark.parametrize("case", CASES)
def test_it_ends_the_command_once(case: str, number: int) -> None:
    """One that got lost in a destructor is raised again; one that cleans up is not taken for that."""
    child = Child(BEGIN + CASES[case], int(number))
    assert child.finish() == (128 + number, "False\n", SENTENCES[signal.Signals(number)])
