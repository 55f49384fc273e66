"""``pymilk info``: what it tells of a stream."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("click", reason="extra cli")

pytest.importorskip("rich", reason="extra cli")

from pymilk import SHM
from support.calling import call, done


@pytest.mark.parametrize(
    ("found", "words"),
    [({"writes": 0}, "not seen"),
     ({"writes": 3, "write_p50_us": 1.23, "write_max_us": 4.5, "write_error_us": 0.06},
      "1.2 us with the flag set, 4.5 us at most, 3 frames, to within 0.06 us")],
)  # fmt: skip
def test_info_says_how_long_writes_take(make_stream, monkeypatch, found, words):
    make_stream("cam", (2, 2), "u2")
    told = {"rate": 0.0, "frames": 0, "counter_set": 0, "seconds": 1.0, "intervals": 0, **found}
    monkeypatch.setattr("pymilk.cli.describing.measure_stream", lambda *_: told)
    assert words in done("info", "cam")


def test_clock_write_sees_whole_writes_only(make_stream):
    from pymilk.errors import StreamArgumentError

    stream = make_stream("cam", (2, 2), "u2")
    assert stream.clock_write(0.001) is None
    with stream.claim():
        assert stream.clock_write(0.001) is None  # it began before
    for wrong in (None, -1, 2, "soon"):
        with pytest.raises(StreamArgumentError, match="timeout"):
            stream.clock_write(wrong)


def test_info_sections_are_where_the_file_has_them(make_stream):
    stream = make_stream("cam", (3, 5), "u2", cb_size=4, nbkw=3)
    stream.publish(np.arange(15, dtype="u2").reshape(3, 5))
    stream.write_keywords([("GAIN", 2.5, "of the camera")])
    raw = Path(stream.path).read_bytes()
    told = json.loads(done("info", "cam", "--measure", 0, "--json"))
    assert told["measured"] is None
    places = {each["name"]: (each["offset"], each["nbytes"]) for each in told["sections"]}

    def part(name: str) -> bytes:
        offset, nbytes = places[name]
        return raw[offset : offset + nbytes]

    assert part("pixels") == stream.view().tobytes()
    assert part("keywords").startswith(b"GAIN\0")
    for name in ("keywords", "sem_read_pid", "sem_write_pid", "trace", "ring_records", "ring_slots"):
        assert part(name) == stream.section(name).tobytes()
    assert places["metadata"] == (0, 384)
    ends = [offset + nbytes for offset, nbytes in places.values()]
    begins = [offset for offset, _ in places.values()]
    assert all(0 <= begin - end < 8 for begin, end in zip(begins[1:], ends, strict=False))
    assert 0 <= len(raw) - ends[-1] < 8
    assert told["keywords"] == [{"name": "GAIN", "value": 2.5, "comment": "of the camera"}]


@pytest.mark.parametrize(
    "options",
    [
        {"location": 0},
        {"layout": "dao"},
        {"layout": "writehistory", "cb_size": 3},
        {"layout": "dao+writehistory"},
        {"nbkw": 0, "nbsem": 0},
    ],
    ids=str,
)
def test_info_of_other_layouts(make_stream, options):
    stream = make_stream("cam", (3, 5), "u2", **options)
    raw = Path(stream.path).read_bytes()
    told = json.loads(done("info", "cam", "--measure", 0, "--json"))
    places = {each["name"]: raw[each["offset"] :][: each["nbytes"]] for each in told["sections"]}
    assert ("pixels" in places) == ("location" not in options)
    assert ("history" in places) == ("writehistory" in options.get("layout", ""))
    for name, content in places.items():
        if name not in ("metadata", "pixels", "semaphores"):
            assert content == stream.section(name).tobytes()
    assert "sections of the file" in done("info", "cam", "--measure", 0)
    assert done("ls").splitlines()[1].startswith("cam")


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_never_stop_the_commands(make_stream, seed):
    stream = make_stream("cam", (3, 5), "u2", nbkw=3, cb_size=2)
    stream.publish(np.zeros((3, 5), "u2"))
    stream.write_keywords([("A", 1, "c"), ("B", "text", "c"), ("C", 2.0, "")])
    raw, random = Path(stream.path).read_bytes(), np.random.default_rng(seed)
    stream.close()
    refused = 0
    for _ in range(25):
        damaged = bytearray(raw)
        for at in random.integers(0, 384 if random.random() < 0.5 else len(raw), 3):
            damaged[at] = random.choice([0, 127, 128, 255])
        Path(stream.path).write_bytes(damaged)
        done("ls")
        [entry] = json.loads(done("ls", "--json"))
        said = call("info", "cam", "--measure", 0)
        assert said.returncode == ("error" in entry)
        refused += "error" in entry
    assert refused < 25


@pytest.mark.parametrize(
    ("shape", "file", "user"),
    [
        ((7,), "x = 7;", "shape (7,), indices [x]"),
        ((3, 5), "x = 5, y = 3;", "shape (3, 5), indices [y, x]"),
        ((2, 3, 5), "x = 5, y = 3, z = 2;", "shape (3, 5, 2), indices [y, x, z]"),
        ((2, 1, 5), "x = 5, y = 1, z = 2;", "shape (2, 5), indices [z, x]"),
        ((3, 1), "x = 1, y = 3;", "shape (3,), indices [y]"),
        ((1, 1), "x = 1, y = 1;", "shape (), indices []"),
    ],
)
def test_info_orientation_is_that_of_the_data(make_stream, shape, file, user):
    from pymilk.inspection import stream_details

    stream = make_stream("cam", shape, "u1")
    lines = stream_details(stream)["orientation"]
    assert lines[0].startswith(f"file: {file}")
    assert user in lines[-1]
    with SHM("cam") as shm:
        assert f"shape {shm.shape}," in lines[-1]
        # Where the words say that z, y, x are, there the values are.
        content = np.arange(np.prod(shape), dtype="u1").reshape(shape)
        stream.publish(content)
        names = "xyz"[: len(shape)][::-1]
        kept = lines[-1].partition("indices [")[2].partition("]")[0].replace(", ", "")
        dropped = "".join(name for name in names if name not in kept)
        moved = content.transpose([names.index(name) for name in kept + dropped])
        np.testing.assert_array_equal(shm.get_data(), moved.reshape(shm.shape))


def test_info_as_text(make_stream):
    stream = make_stream("cam", (3, 5), "u2", nbkw=3)
    stream.write_keywords([("GAIN", 2.5, "a\x1b[31m comment")])
    stream.publish(np.zeros((3, 5), "u2"))
    text = done("info", "cam", "--measure", 0.01)
    for words in (stream.path, "3x5 uint16", "counter     1", f"by process {os.getpid()} alive", "GAIN",
                  "a?[31m comment", "indices [y, x]", "rate        0.0/s", "sem_write_pid",
                  "crPID"):  # fmt: skip
        assert words in text


def test_info_without_keywords_and_of_a_temporal_ring(make):
    make("bare", np.zeros((4, 6), np.float32), nbkw=0)
    make("cube", ((4, 6), np.float32), ring=9, ring_kind="temporal")
    assert "keywords: none" in done("info", "bare", "--measure", 0)
    told = json.loads(done("info", "cube", "--measure", 0, "--json"))
    assert (told["ring"], told["ring_kind"], told["frame_shape"]) == (9, "temporal", [4, 6])
    assert any("ring of 9 frames" in line for line in told["orientation"])
    assert "temporal 9" in done("ls")


def test_files_of_others_are_told_by_what_is_in_them(tmp_path):
    fits = pytest.importorskip("astropy.io.fits", reason="extra fits")
    first, second = np.zeros((5, 7), "u2"), np.zeros((3, 4), "f4")
    images = [fits.ImageHDU(first, name="SCI"), fits.ImageHDU(second, name="DQ")]
    path = tmp_path / "x.fits"
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)
    assert "1 of 3x4 float32" in done("info", f"{path}[DQ]")
    assert "1 of 5x7 uint16" in done("info", f"{path}[1]")
    said = call("info", path)
    assert f"[SCI] is taken, others are in [DQ]; choose as {path}[DQ]" in said.stderr
    (tmp_path / "x.dat").write_bytes(gzip.compress(path.read_bytes()))
    assert "1 of 3x4 float32" in done("info", f"{tmp_path}/x.dat[DQ]")
    picture = tmp_path / "x.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    said = call("info", picture)
    assert said.returncode == 1
    assert "is a PNG image, and no stream, recording, array or channel" in said.stderr


def test_the_first_line_of_play_names_bytes_behind_an_array(tmp_path):
    with open(tmp_path / "x.npy", "wb") as file:
        np.save(file, np.zeros((2, 3, 4)))
        np.save(file, np.zeros((2, 3, 4)))
    said = call("play", tmp_path / "x.npy", "--rate", 0)
    assert "320 bytes behind its array are left out" in said.stderr
