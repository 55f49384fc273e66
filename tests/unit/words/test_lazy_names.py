"""Tables of names that are loaded when they are first asked for."""

from __future__ import annotations

import importlib

import pytest

import pymilk
from pymilk import errors, parameters


@pytest.mark.parametrize("room", errors._ROOMS)
def test_errors_hands_on_all_names_of_its_rooms(room: str) -> None:
    names = importlib.import_module(f"pymilk.errors.{room}").__all__
    assert sorted(errors._ROOMS[room]) == sorted(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("room", parameters._ROOMS)
def test_parameters_hands_on_public_names_of_its_rooms(room: str) -> None:
    module = importlib.import_module(f"pymilk.parameters.{room}")
    names = getattr(module, "__all__", None) or dir(module)  # compiled rooms need not have the list
    assert set(parameters._ROOMS[room]) <= set(names)


@pytest.mark.parametrize("module", [pymilk, errors, parameters], ids=lambda module: module.__name__)
def test_every_name_of_all_is_there_once(module: object) -> None:
    names = module.__all__  # type: ignore[attr-defined]
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(module, name) is not None


def test_parameters_offers_what_its_table_has() -> None:
    assert {name for names in parameters._ROOMS.values() for name in names} == set(parameters.__all__)
