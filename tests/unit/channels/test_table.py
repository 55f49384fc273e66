"""Tables: rows come out as they went in, what was overwritten is counted, and their streams are streams."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import pymilk
from pymilk import errors
from pymilk._core import Stream
from pymilk.channels import Table
from pymilk.cli.app import app

COLUMNS = [("t", "f8"), ("n", "i2"), ("name", "U5"), ("pos", "f4", (2, 3)), ("on", "?"), ("day", "M8[ns]")]
ROW = (1.5, -3, "abc", np.arange(6).reshape(2, 3), True, np.datetime64("2026-01-02T03:04:05", "ns"))


@pytest.fixture
def pair():
    with Table.create("t", [("i", "i8"), ("x", "f4")], rows=16) as table, Table.attach("t") as reader:
        yield table, reader


def test_rows_of_all_kinds_come_out_as_they_went_in():
    with Table.create("t", COLUMNS) as table, Table.attach("t") as reader:
        assert reader.dtype == table.dtype == np.dtype(COLUMNS)
        assert table.append(ROW) == 1
        assert table.append(dict(zip(table.dtype.names, ROW, strict=True))) == 2
        assert table.append([ROW, ROW]) == 4
        array = np.zeros(3, table.dtype)
        array["pos"] = 7
        assert table.append(array) == 7
        assert table.append(array[0]) == 8
        assert table.append([]) == table.append(array[:0]) == 8
        rows = reader.read(timeout=1)
    assert len(rows) == 8
    assert rows.numbers.tolist() == list(range(1, 9))
    assert rows.lost == 0
    for row in rows.data[:4]:
        assert (row["t"], row["n"], row["name"], row["on"]) == (1.5, -3, "abc", True)
        assert row["pos"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert row["day"] == ROW[5]
    assert (rows["pos"][4:] == 7).all()


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("a", "u1"), ("b", "f8")], align=True),
        np.dtype({"names": ["b", "a"], "formats": ["<f8", "u1"], "offsets": [16, 3], "itemsize": 40}),
        np.dtype([("big", ">i4"), ("c", "c16"), ("v", "V3"), ("", "S1"), ("\u00b5" * 40, "f2")]),
        np.dtype([(f"column{number}", "f4") for number in range(3000)]),
    ],
    ids=["aligned", "gaps and order", "odd", "many columns"],
)
def test_offsets_types_and_names_are_kept(dtype):
    with Table.create("t", dtype, rows=4) as table, Table.attach("t") as reader:
        assert reader.dtype == dtype
        assert reader.dtype.itemsize == dtype.itemsize
        rows = np.frombuffer(np.random.default_rng(1).bytes(3 * dtype.itemsize), np.uint8).view(dtype)
        table.append(rows)
        read = reader.read(timeout=1).data
    for name in dtype.names:
        assert read[name].tobytes() == rows[name].tobytes()


def test_frames_are_numbers_where_all_columns_are_of_one_type():
    with Table.create("t", [("x", "f4"), ("yz", "f4", 2)]) as table, Stream.attach("t") as stream:
        assert (stream.dtype, stream.frame_shape) == (np.float32, (3,))
        table.append((1, (2, 3)))
        assert stream.read()[0].tolist() == [1, 2, 3]
    with Table.create("u", [("x", "f4"), ("y", ">f4")]) as table:
        assert (table.stream.dtype, table.stream.frame_shape) == (np.uint8, (8,))


def test_each_reader_gets_each_row_once_and_is_told_what_it_missed(pair):
    table, reader = pair
    for number in range(1, 11):
        table.append((number, 0))
    with Table.attach("t", start="oldest") as other, Table.attach("t") as late:
        assert reader.read(timeout=0, limit=4)["i"].tolist() == [1, 2, 3, 4]
        assert len(late.read_many()) == 0
        for number in range(11, 41):
            table.append((number, 0))
        assert (reader.unread, reader.capacity, reader.count) == (16, 16, 40)
        rows = reader.read_many()
        assert rows["i"].tolist() == list(range(25, 41))
        assert rows.lost == reader.lost == 20
        assert other.read_many().lost == late.read_many().lost + 10 == 24
        with pytest.raises(errors.ChannelTimeoutError):
            reader.read(timeout=0)
    assert table.lost == 0


def test_last_rows_sorted(pair):
    table, reader = pair
    table.append([(number, (number * 7) % 5) for number in range(1, 11)])
    assert reader.last().numbers.tolist() == [10]
    assert table.last(3)["i"].tolist() == [8, 9, 10]
    assert reader.last(5, sort_by="x")["i"].tolist() == [10, 8, 6, 9, 7]
    assert reader.last(10, sort_by=["x", "i"])["i"].tolist() == [5, 10, 3, 8, 1, 6, 4, 9, 2, 7]
    assert len(reader.last(0)) == 0
    assert len(reader.last(99)) == 10
    assert reader.unread == 10
    with pytest.raises(errors.ChannelArgumentError, match="sort_by is a column"):
        reader.last(2, sort_by="nothing")


def test_times(pair):
    table, reader = pair
    before = pymilk.times.now_ns()
    table.append((1, 1))
    table.append((2, 2), time_ns=12345)
    table.append([(3, 3), (4, 4)], time_ns=678)
    info = reader.read(timeout=1).info
    assert before <= info["atime_ns"][0] <= pymilk.times.now_ns()
    assert info["atime_ns"][1:].tolist() == [12345, 678, 678]
    assert (info["writetime_ns"] >= before).all()


@pytest.mark.parametrize(
    "rows",
    [
        (1,), (1, 2, 3), 1, "ab", [1, 2], [(1, 2), (1,)], {"i": 1}, {"i": 1, "x": 2, "y": 3}, (1, "x"),
        (2**70, 0.0), np.zeros(2), np.zeros((2, 2), [("i", "i8"), ("x", "f4")]),
        np.zeros(2, [("i", "i8"), ("x", "f8")]), np.zeros(2, [("x", "f4"), ("i", "i8")]), None,
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_are_refused_and_nothing_is_written(pair, rows):
    table, reader = pair
    with pytest.raises(errors.ChannelArgumentError, match="table 't'"):
        table.append(rows)
    assert table.count == 0
    assert reader.unread == 0


def test_text_is_not_cut():
    with Table.create("t", [("a", "S3"), ("b", "U3")]) as table:
        table.append((b"abc", "abc"))
        for row in [(b"abcd", "abc"), (b"abc", "abcd")]:
            with pytest.raises(errors.ChannelArgumentError, match="text that"):
                table.append(row)
        assert table.count == 1


@pytest.mark.parametrize(
    "dtype",
    ["f8", [("a", "O")], [("a", [("b", "f4")])], [("a", "V0")], [], [("a" * 81, "f4")], "nonsense",
     [("a", "f8", (123456, 1234567))], [("a", "f4", (0,))]],
)  # fmt: skip
def test_dtypes_that_cannot_be(dtype):
    with pytest.raises(errors.ChannelArgumentError, match="dtype of its rows"):
        Table.create("t", dtype)
    assert pymilk.list_streams() == []


def test_one_writer(pair):
    table, reader = pair
    with pytest.raises(errors.ChannelReadOnlyError, match="write=True"):
        reader.append((1, 1))
    with pytest.raises(errors.StreamLockedError):
        Table.attach("t", write=True)
    with pytest.raises(errors.StreamExistsError):
        Table.create("t", [("a", "f4")])
    table.append((1, 1))
    table.close()
    with Table.attach("t", write=True) as next_one:
        assert next_one.append((2, 2)) == 2
    assert reader.read(timeout=1)["i"].tolist() == [1, 2]


def test_streams_that_are_no_tables():
    with Stream.create("plain", (4,), np.uint8, cb_size=4) as stream:
        stream.publish(np.zeros(4, np.uint8))
        with pytest.raises(errors.ChannelFormatError, match="PMKIND"):
            Table.attach("plain")
    with pytest.raises(errors.StreamNotFoundError):
        Table.attach("nothing")
    with pytest.raises(errors.ChannelArgumentError, match="start"):
        Table.attach("plain", start="next")


@pytest.mark.parametrize(
    ("name", "value", "comment"),
    [
        ("PMCOLS", 0, ""), ("PMCOLS", -1, ""), ("PMCOLS", 2**62, ""), ("PMCOLS", 3, ""), ("PMCOLS", "2", ""),
        ("PMC1", "O", "i"), ("PMC1", "|O8", "i"), ("PMC1", "<f9", "i"), ("PMC1", "<f8 99999", "i"),
        ("PMC1", "<f8 0", "i"), ("PMC1", 1.5, "i"), ("PMC1", "<i8", "x"), ("PMC1", "|S999999", "i"),
        ("PMO1", 5, ""), ("PMO1", -1, ""), ("PMO1", "0", ""), ("PMO2", 9, ""), ("PMKIND", "video", ""),
        ("PMC1", "<i8\n", "i"), ("PMC1", "<f8 999999999,99", "i"),
    ],
)  # fmt: skip
def test_keywords_are_checked(pair, name, value, comment):
    table, _ = pair
    table.append((1, 1))
    table.stream.update_keyword(name, value, comment)
    with pytest.raises(errors.ChannelFormatError) as caught:
        Table.attach("t")
    assert caught.value.field.startswith(("PMC", "PMO", "PMKIND"))


def test_table_that_is_made_anew_is_followed_only_with_the_same_columns(pair):
    table, reader = pair
    table.append((1, 1))
    table.close()
    with Table.create("t", [("i", "i8"), ("x", "f4")], rows=16, replace=True) as again:
        assert again.append((5, 5)) == 1
        assert reader.read(timeout=1)["i"].tolist() == [1]
        assert reader.read(timeout=1)["i"].tolist() == [5]
    with Table.create("t", [("i", "i8"), ("other", "f4")], rows=16, replace=True) as again:
        again.append((6, 6))
        with pytest.raises(errors.ChannelFormatError, match="columns"):
            reader.read(timeout=1)


def test_removed_and_closed(pair):
    table, reader = pair
    table.append((1, 1))
    table.remove()
    assert table.closed
    assert len(reader.read(timeout=0)) == 1
    for timeout in (0, None):
        with pytest.raises(errors.ChannelRemovedError):
            reader.read(timeout)
    reader.close()
    for call in (reader.read, reader.read_many, reader.last, reader.wait):
        with pytest.raises(errors.StreamClosedError):
            call()
    with pytest.raises(errors.StreamClosedError):
        table.append((1, 1))


def test_data_frame():
    pandas = pytest.importorskip("pandas")
    with Table.create("t", [("a", ">i4"), ("p", "f4", (2,))]) as table:
        table.append([(1, (2, 3)), (4, (5, 6))])
        frame = table.last(2).to_pandas()
    assert list(frame.columns) == ["a", "p[0]", "p[1]"]
    assert frame.index.tolist() == [1, 2]
    assert frame["p[1]"].tolist() == [3, 6]
    assert isinstance(frame, pandas.DataFrame)


def test_ring_readers_captures_and_wait_any_take_tables_as_streams(pair):
    table, reader = pair
    with pymilk.SHM("t") as shm, shm.ring_reader() as ring:
        table.append((1, 1))
        assert ring.read(1, timeout=1).frames.tobytes() == table.last().data.tobytes()
    assert pymilk.wait_any([reader], timeout=1) == [0]
    reader.read_many()
    with pytest.raises(errors.StreamTimeoutError):
        pymilk.wait_any([reader], timeout=0)


def test_commands_tell_what_it_is(pair):
    with Stream.create("cam", (4, 4), np.uint8):
        run = CliRunner().invoke
        lines = run(app, ["ls"]).stdout.splitlines()
        assert "content" in lines[0]
        assert lines[1].split()[:2] == ["cam", "frames"]
        assert lines[2].split()[:2] == ["t", "table"]
        assert {each["name"]: each["content"] for each in json.loads(run(app, ["ls", "--json"]).stdout)} == {
            "cam": "frames",
            "t": "table",
        }
        assert "table: i <i8 at 0, x <f4 at 8" in run(app, ["info", "t", "--measure", "0"]).stdout
        table, _ = pair
        table.stream.update_keyword("PMO1", 77, "")
        assert "PMO1 is 77" in run(app, ["info", "t", "--measure", "0"]).stdout
