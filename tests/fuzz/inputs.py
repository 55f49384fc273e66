"""Files that may or may not be streams: golden ones, made-up ones, and both of them damaged."""

from __future__ import annotations

import functools
import math
import os
import random
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from support import golden
from support import isio_format as fmt

__all__ = ["MAX_NBYTES", "Seed", "make_input", "mutate", "own_file", "seeds"]

#: Larger files find nothing that smaller ones do not, and take longer.
MAX_NBYTES = 1 << 16

Random = random.Random


class Seed(NamedTuple):
    """A file to begin with, and where its parts are."""

    data: bytes
    layout: str
    sections: dict[str, fmt.Section]


#: Numbers at which something changes, for every width of field.
_EDGES = sorted(
    {0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 99, 100, 127, 128, 255, 256, 384, 385}
    | {2**bits + more for bits in (15, 16, 31, 32, 33, 53, 61, 62, 63, 64) for more in (-2, -1, 0, 1)}
    | {2**64 - 8, 2**64 - 384, 10**10, 10**10 + 1, 0x20001, 0x20003, 0xF000F}
)

#: Fields that say how the file is laid out; the others are content.
_SHAPING = (
    "version", "naxis", "size", "nelement", "datatype", "imagetype", "location", "shared", "sem",
    "NBproctrace", "NBkw", "CBsize", "CBindex", "imdatamemsize", "name",
)  # fmt: skip


def _seed(stream: fmt.StreamFile) -> Seed:
    table = fmt.section_table(
        stream.size[: stream.naxis],
        stream.datatype,
        nbkw=len(stream.keyword_slots),
        nbsem=len(stream.semaphores),
        nbproctrace=len(stream.trace),
        imagetype=stream.imagetype,
        cbsize=len(stream.ring_records),
        location=stream.location,
        layout=stream.layout,
    )
    return Seed(fmt.encode(stream), stream.layout, table)


@functools.cache
def seeds() -> tuple[Seed, ...]:
    """Return the files that mutation begins with: all golden ones, and small ones of every kind."""
    found = [_seed(fmt.decode(golden.path(entry["name"]).read_bytes())) for entry in golden.entries()]
    for layout in fmt.LAYOUTS:
        for options in (
            {"size": [8, 4]},
            {"size": [5]},
            {"size": [3, 2, 4], "imagetype": 0x20001},
            {"size": [3, 2], "cbsize": 4},
            {"size": [3, 2, 3], "imagetype": 0x20001, "cbsize": 2},
        ):
            size = options.pop("size")
            for code in (1, 9, 12):
                stream = fmt.fresh("base", size, code, nbkw=3, nbsem=2, layout=layout, **options)
                stream.cnt0, stream.cnt1 = 5, 1
                stream.keyword_slots[0] = fmt.KeywordSlot.make("EXPTIME", 0.5, "seconds")
                if stream.ring_records:
                    stream.CBindex, stream.CBcycle = 1, 5 // len(stream.ring_records)
                found.append(_seed(stream))
    return tuple(seed for seed in found if len(seed.data) <= MAX_NBYTES)


def _number(rng: Random, nbytes: int) -> int:
    """Return an interesting number of that width, as it is stored."""
    choice = rng.random()
    if choice < 0.6:
        number = rng.choice(_EDGES)
    elif choice < 0.8:
        number = rng.randrange(64)
    else:
        number = rng.getrandbits(8 * nbytes)
    return (number if rng.random() < 0.9 else -number) % 2 ** (8 * nbytes)


def _noise(rng: Random, nbytes: int) -> bytes:
    """Return bytes of one of the kinds that break things."""
    kind = rng.randrange(5)
    if kind == 0:
        return bytes(nbytes)
    if kind == 1:
        return b"\xff" * nbytes
    if kind == 2:
        return rng.randbytes(nbytes)
    width = rng.choice((1, 2, 4, 8))
    numbers = b"".join(_number(rng, width).to_bytes(width, "little") for _ in range(nbytes // width + 1))
    return numbers[:nbytes]


def _patch(rng: Random, data: bytearray, field: str, layout: str) -> None:
    """Put something into one field of the metadata."""
    at, nbytes = fmt.OFFSETS[layout][field], fmt.field_nbytes(field, layout)
    if field == "write" and rng.random() < 0.9:
        return  # a reader gives a dead writer time: 50 ms that are better spent otherwise
    if field == "size":
        at, nbytes = at + 4 * rng.randrange(3), 4
    elif nbytes == 16:
        at, nbytes = at + 8 * rng.randrange(2), 8
    value = _number(rng, nbytes).to_bytes(nbytes, "little") if nbytes <= 8 else _noise(rng, nbytes)
    data[at : at + nbytes] = value[: max(0, len(data) - at)]


# --- the kinds of damage -----------------------------------------------------------------------


def _field(rng: Random, seed: Seed, data: bytearray) -> None:
    shaping = rng.random() < 0.5
    _patch(rng, data, rng.choice(_SHAPING if shaping else list(fmt.OFFSETS[seed.layout])), seed.layout)


def _content(rng: Random, seed: Seed, data: bytearray) -> None:
    """Anything in the fields that do not decide on the layout: the stream stays one."""
    for field in fmt.OFFSETS[seed.layout]:
        if field not in _SHAPING and rng.random() < 0.5:
            _patch(rng, data, field, seed.layout)


def _section(rng: Random, seed: Seed, data: bytearray) -> None:
    """Anything in one section, or in a part of it."""
    name = rng.choice([name for name, place in seed.sections.items() if place.size and name != "metadata"])
    place = seed.sections[name]
    begin = rng.randrange(place.size) if rng.random() < 0.5 else 0
    end = rng.randrange(begin, place.size) + 1 if rng.random() < 0.5 else place.size
    data[place.offset + begin : place.offset + end] = _noise(rng, end - begin)[: max(0, len(data) - begin)]


def _word(rng: Random, seed: Seed, data: bytearray) -> None:
    """A number at a place where a number may be."""
    if len(data) >= 8:
        nbytes = rng.choice((1, 2, 4, 8))
        at = rng.randrange(0, len(data) - nbytes + 1, nbytes)
        data[at : at + nbytes] = _number(rng, nbytes).to_bytes(nbytes, "little")


def _flip(rng: Random, seed: Seed, data: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _cut(rng: Random, seed: Seed, data: bytearray) -> None:
    del data[rng.choice((rng.randrange(len(data) + 1), len(data) - 8, len(data) - 1, 384, 385)) :]


def _grow(rng: Random, seed: Seed, data: bytearray) -> None:
    data += _noise(rng, rng.choice((1, 8, 48, 128, 4096)))


def _move(rng: Random, seed: Seed, data: bytearray) -> None:
    """A piece of the file over another one."""
    if data:
        length = rng.randrange(min(256, len(data)))
        source, target = rng.randrange(len(data)), rng.randrange(len(data))
        piece = data[source : source + length]
        data[target : target + len(piece)] = piece
        del data[MAX_NBYTES:]


_DAMAGES: tuple[tuple[Callable[[Random, Seed, bytearray], None], int], ...] = (
    (_field, 6), (_content, 3), (_section, 6), (_word, 3), (_flip, 3), (_cut, 1), (_grow, 1), (_move, 1),
)  # fmt: skip


def mutate(rng: Random, seed: Seed) -> bytes:
    """Return the file with one to four things wrong with it."""
    data = bytearray(seed.data)
    kinds, weights = zip(*_DAMAGES, strict=True)
    for damage in rng.choices(kinds, weights, k=rng.choice((1, 1, 2, 3, 4))):
        damage(rng, seed, data)
    return bytes(data)


def _made_up(rng: Random) -> bytes:
    """Return a header whose sizes add up, and noise in all that does not have to."""
    layout = rng.choice(fmt.LAYOUTS)
    size = [rng.choice((1, 1, 2, 3, 5, 8, 16)) for _ in range(rng.choice((1, 2, 2, 3, 3, 3)))]
    code = rng.choice(sorted(fmt.DATATYPES))
    if rng.random() < 0.4 and len(size) == 3:
        kind = 0x20001
    else:
        kind = rng.choice((2, 2, 0x10002, 0x20003, 4, 8, rng.getrandbits(64) & ~1))
    counts = {
        "nbkw": rng.choice((0, 1, 3, 8)),
        "nbsem": rng.choice((0, 1, 2, 10)),
        "nbproctrace": rng.choice((0, 1, 10)),
        "cbsize": rng.choice((0, 0, 1, 2, 3, 7)),
        "location": rng.choice((-1,) * 9 + (0, 127)),
    }
    table = fmt.section_table(size, code, imagetype=kind, layout=layout, **counts)
    end = max(place.offset + place.stored_size for place in table.values())
    if end > MAX_NBYTES:
        return rng.randbytes(rng.randrange(600))
    data = bytearray(end)
    for place in table.values():
        data[place.offset : place.offset + place.size] = _noise(rng, place.size)
    nelement = math.prod(size)
    nbytes = nelement * np.dtype(fmt.DATATYPES[code]).itemsize
    for field, value in (
        ("version", "2.00"), ("name", "made-up"), ("naxis", len(size)), ("size", (*size, 0, 0)[:3]),
        ("nelement", nelement), ("datatype", code), ("imagetype", kind), ("location", counts["location"]),
        ("shared", 1), ("sem", counts["nbsem"]), ("NBproctrace", counts["nbproctrace"]),
        ("NBkw", counts["nbkw"]), ("CBsize", counts["cbsize"]), ("imdatamemsize", nbytes),
        ("CBindex", rng.randrange(counts["cbsize"]) if counts["cbsize"] else 0),
        ("write", rng.random() < 0.05),
    ):  # fmt: skip
        fmt.patch(data, field, int(value) if isinstance(value, bool) else value, layout)
    return bytes(data)


def make_input(seed: int | str, number: int) -> bytes:
    """Return input `number` of the series `seed`: always the same one."""
    rng = Random(f"{seed}/{number}")
    choice = rng.random()
    if choice < 0.25:
        return _made_up(rng)
    if choice < 0.27:
        return rng.randbytes(rng.choice((0, 1, 383, 384, 385, 1856)))
    return mutate(rng, rng.choice(seeds()))


def own_file(path: str | os.PathLike[str]) -> Seed:
    """Read a stream file of somebody's own, to begin mutation with."""
    with open(path, "rb") as file:
        return _seed(fmt.decode(file.read(), check_padding=False))
