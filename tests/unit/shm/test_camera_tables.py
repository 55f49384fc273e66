"""Tables of keywords as camera servers of 2021 and 2022 have them: (value, comment, format, short)."""

from __future__ import annotations

import pytest

from pymilk.errors import KeywordError

TABLE = {
    "EXPTIME": (0.25, "Total integration time of the frame (sec)", "%20.8f", "EXP"),
    "DETECTOR": ("CRED2", "Name of the detector", "%-16s", "DET"),
    "BIN-FCT1": (1, "Binning factor of the X axis (pixel)", "%20d", "BIN1"),
    "EXTTRIG": (False, "", "BOOLEAN", "TRIG"),
}
STORED = {name: (entry[0], entry[1]) for name, entry in TABLE.items()}


def test_table_is_stored(make):
    shm = make("cam", ((2, 2), "u1"), nbkw=8)
    shm.set_keywords(TABLE)
    assert shm.get_keywords(True) == STORED
    shm.set_keywords({"EXPTIME": 1.0, "DETECTOR": TABLE["DETECTOR"]})
    assert shm.get_keywords(True) == {**STORED, "EXPTIME": (1.0, "")}


def test_idiom_of_camera_servers(make):
    shm = make("cam", ((2, 2), "u1"), nbkw=8)
    shm.set_keywords({"GAIN": (2, "of before")})
    keywords = shm.get_keywords(True)
    keywords.update(TABLE)
    shm.set_keywords(keywords)
    assert shm.get_keywords(True) == {"GAIN": (2, "of before"), **STORED}


def test_other_ways_under_the_old_names(make):
    shm = make("cam", ((2, 2), "u1"), nbkw=8)
    shm.reset_keywords(TABLE)
    assert shm.get_keywords(True) == STORED
    shm["EXPTIME"] = (2.0, "new", "%f", "EXP")
    assert shm.get_keyword("EXPTIME", True) == (2.0, "new")


@pytest.mark.parametrize(
    "entry",
    [(1, 2, 3, 4), (1, "comment", "%d"), (1, "comment", "%d", 4), (1, 2, "%d", "X"), (1, "a", "b", "c", "d"),
     (), ((1,), "comment", "%d", "X")],
)  # fmt: skip
def test_other_tuples_are_refused_whole(make, entry):
    shm = make("cam", ((2, 2), "u1"), nbkw=8)
    for store in (shm.set_keywords, shm.reset_keywords):
        with pytest.raises(KeywordError):
            store({"A": 1, "B": entry})
    assert shm.get_keywords() == {}


def test_new_interface_takes_no_tables(make):
    shm = make("cam", ((2, 2), "u1"), nbkw=8)
    with pytest.raises(KeywordError, match="EXPTIME"):
        shm.keywords["EXPTIME"] = TABLE["EXPTIME"]
    with pytest.raises(KeywordError):
        shm.keywords.update(TABLE)


def test_keywords_can_be_deleted(make):
    shm = make("cam", ((2, 2), "u1"), nbkw=8)
    shm.set_keywords(TABLE)
    del shm["EXPTIME"]
    shm.keywords.delete(["DETECTOR", "EXTTRIG"])
    assert list(shm.get_keywords()) == ["BIN-FCT1"]
    for wrong in (lambda: shm.__delitem__("EXPTIME"), lambda: shm.keywords.delete(["BIN-FCT1", "EXPTIME"])):
        with pytest.raises(KeyError, match="EXPTIME"):
            wrong()
    assert list(shm.get_keywords()) == ["BIN-FCT1"]
