"""Keywords of a stream: reading, checking and storing them. There is no lock in the format, so readers compare."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from .._isio cimport (
    IMAGE_KEYWORD, KEYWORD_MAX_COMMENT, KEYWORD_MAX_STRING, __ATOMIC_RELAXED, __ATOMIC_RELEASE, atomic_store_u64,
)
from .checks cimport whole_number
from .file cimport StreamFile
from .header cimport decode_text

import operator
from collections import namedtuple

import numpy as np

from ..arguments import shown
from ..errors import KeywordError, KeywordNotFoundError, KeywordTableFullError

__all__ = ["Keyword"]

cdef enum:
    # A reader copies the table until two copies agree, so often at most.
    KEYWORD_TRIES = 4

# Keywords are pickled, and found again, under the name of the core.
Keyword = namedtuple("Keyword", "name value comment cnt", defaults=("", None), module="pymilk._core")
Keyword.__doc__ = """One keyword of a stream.

Parameters
----------
name : str
    1 to 16 bytes of UTF-8.
value : int, float or str
    Stored as int64 (L), double (D), or up to 16 bytes of text (S).
comment : str, default ""
    Up to 80 bytes.
cnt : int or None
    Times the keyword was written. None when writing: one more than in the stream.
"""


cdef list read_keywords(StreamFile file):
    """Return the keywords in order. Writers do not lock: the table is copied until two copies agree."""
    cdef const char *start = file.use_whole() + file.h.at.keywords
    cdef size_t nbytes = file.h.n.nbkw * sizeof(IMAGE_KEYWORD)
    cdef const IMAGE_KEYWORD *slot
    table = start[:nbytes]
    for _ in range(KEYWORD_TRIES):
        again = start[:nbytes]
        if again == table:
            break
        table = again
    file.check_file()
    slot = <const IMAGE_KEYWORD *><const char *>table
    keywords = []
    for _ in range(file.h.n.nbkw):
        if not slot.name[0]:
            break
        keywords.append(Keyword(
            decode_text(slot.name, KEYWORD_MAX_STRING), keyword_value(slot),
            decode_text(slot.comment, KEYWORD_MAX_COMMENT), slot.cnt))
        slot += 1
    return keywords


cdef int write_keywords(StreamFile file, object keywords) except -1:
    """Replace all keywords. On an error nothing is changed."""
    cdef IMAGE_KEYWORD *slots
    cdef char *base = file.use_to_write()
    cdef int i
    try:
        entries = list(keywords)
    except TypeError:
        raise KeywordError(
            f"stream {file.name!r}: keywords are a list of (name, value[, comment[, cnt]]), "
            f"not {shown(keywords)}", stream=file.name) from None
    new = [encode_keyword(file.name, entry) for entry in entries]
    if len(new) > file.h.n.nbkw:
        raise KeywordTableFullError(
            f"Too many keywords provided: stream {file.name!r} has room for {file.h.n.nbkw} keywords, "
            f"not {len(new)}; recreate it with a larger nbkw",
            stream=file.name, keyword=None, limit=file.h.n.nbkw, found=len(new))
    counts = {keyword.name: keyword.cnt for keyword in read_keywords(file)}
    slots = <IMAGE_KEYWORD *>(base + file.h.at.keywords)
    for i, entry in enumerate(new):
        name = entry[0].decode("utf-8", "surrogateescape")
        cnt = next_count(entry, counts.get(name, 0)) if entry[4] is None else entry[4]
        store_keyword(&slots[i], entry, cnt)
    # The first empty name ends the list; slots behind it are ignored.
    i = len(new)
    if i < file.h.n.nbkw and slots[i].name[0]:
        memset(&slots[i], 0, sizeof(IMAGE_KEYWORD))
    file.check_file()
    return 0


cdef int update_keyword(StreamFile file, object name, object value, object comment) except -1:
    """Change one keyword, in its place. None keeps the comment."""
    cdef IMAGE_KEYWORD *slot = <IMAGE_KEYWORD *>(file.use_to_write() + file.h.at.keywords)
    cdef int _
    entry = encode_keyword(file.name, Keyword(name, value, "" if comment is None else comment))
    for _ in range(file.h.n.nbkw):
        if not slot.name[0]:
            break
        if (<char *>slot.name)[:KEYWORD_MAX_STRING].split(b"\0", 1)[0] == entry[0]:
            if comment is None:
                entry = (*entry[:3], None, None)
            store_keyword(slot, entry, next_count(entry, slot.cnt))
            file.check_file()
            return 0
        slot += 1
    file.check_file()
    raise KeywordNotFoundError(
        f"stream {file.name!r} has no keyword {name!r}; add it with SHM.set_keywords or Stream.write_keywords",
        stream=file.name, keyword=name)


cdef object keyword_value(const IMAGE_KEYWORD *slot):
    """Return the value of a slot as int, float, str or None."""
    if slot.type == c"L":
        return slot.value.numl
    if slot.type == c"D":
        return slot.value.numf
    # S is text. An unused slot has N: a name without a value.
    return decode_text(slot.value.valstr, KEYWORD_MAX_STRING) if slot.type == c"S" else None


cdef bytes encode_text(str stream, object keyword, str what, object text, int limit):
    """Return one text of a keyword as bytes; `what` names it in messages."""
    if not isinstance(text, str):
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} has to be str, "
            f"not {type(text).__name__}", stream=stream, keyword=str(keyword))
    try:
        encoded = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} cannot be encoded: {text!r}",
            stream=stream, keyword=str(keyword)) from None
    if len(encoded) > limit or b"\0" in encoded:
        raise KeywordError(
            f"stream {stream!r}: the {what} of keyword {keyword!r} takes {limit} bytes without NUL; "
            f"{text!r} has {len(encoded)}",
            stream=stream, keyword=str(keyword), limit=limit, found=len(encoded))
    return encoded


cdef tuple encode_keyword(str stream, object keyword):
    """Check one keyword. Returns (name, type, value, comment, cnt) as they are stored."""
    try:
        name, value, comment, cnt = Keyword(*keyword)
    except TypeError:
        raise KeywordError(
            f"stream {stream!r}: a keyword is (name, value[, comment[, cnt]]), not {shown(keyword)}",
            stream=stream) from None
    encoded = encode_text(stream, name, "name", name, KEYWORD_MAX_STRING)
    if not encoded:
        raise KeywordError(
            f"stream {stream!r}: a keyword needs a name", stream=stream, keyword="",
            limit=KEYWORD_MAX_STRING, found=0)
    note = encode_text(stream, name, "comment", comment, KEYWORD_MAX_COMMENT)
    count = 0 if cnt is None else whole_number(cnt)
    if count is None or not 0 <= count < 2**64:
        raise KeywordError(
            f"stream {stream!r}: cnt of keyword {name!r} is an int of 0 to 2**64 - 1, not {shown(cnt)}",
            stream=stream, keyword=name, limit=2**64 - 1, found=cnt)
    if value is None:
        return encoded, b"N", 0, note, cnt  # a name and a comment only
    if isinstance(value, str):
        return encoded, b"S", encode_text(stream, name, "value", value, KEYWORD_MAX_STRING), note, cnt
    if isinstance(value, np.bool_):
        value = bool(value)
    try:
        value = operator.index(value)
    except TypeError:
        pass  # no integer
    else:
        if not -2**63 <= value < 2**63:
            raise KeywordError(
                f"stream {stream!r}: keyword {name!r} stores 64-bit integers; {value} needs more",
                stream=stream, keyword=name, limit=64, found=value.bit_length())
        return encoded, b"L", value, note, cnt
    try:
        if np.ndim(value):
            raise TypeError("an array of one element is not a number")
        # Not float(): that reads numbers from bytes.
        return encoded, b"D", value.__float__(), note, cnt
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise KeywordError(
            f"stream {stream!r}: keyword {name!r} takes an int, a float or a str, "
            f"not {type(value).__name__}", stream=stream, keyword=name) from None


cdef uint64_t next_count(tuple entry, uint64_t cnt) except? 0:
    """Return the count of a keyword that is written once more."""
    cnt += 1
    if entry[1] == b"S" and len(entry[2]) == KEYWORD_MAX_STRING:
        # Such a text has no NUL. Other programs read on into the lowest byte of the count: leave it 0.
        cnt = (cnt + 255) & ~<uint64_t>255
    return cnt


cdef int store_keyword(IMAGE_KEYWORD *slot, tuple entry, uint64_t cnt) except -1:
    """Write what `encode_keyword` returned to a slot. A comment of None keeps the stored one."""
    cdef double number
    cdef uint64_t word
    cdef char kind = entry[1][0]
    if (<char *>slot.name)[:KEYWORD_MAX_STRING].split(b"\0", 1)[0] != entry[0]:
        # Another keyword's slot: hide it from readers while it changes.
        memset(&slot.value, 0, sizeof(slot.value))
        store_text(slot.name, entry[0], KEYWORD_MAX_STRING)
    if entry[3] is not None:
        store_text(slot.comment, entry[3], KEYWORD_MAX_COMMENT)
    if kind == c"S":
        store_text(slot.value.valstr, entry[2], KEYWORD_MAX_STRING)
    else:
        if kind == c"D":
            number = entry[2]
            memcpy(&word, &number, 8)
        else:
            word = <uint64_t><int64_t>entry[2]
        # One store: no reader sees half of a number. Relaxed, as readers of keywords do not lock.
        atomic_store_u64(<uint64_t *>&slot.value, word, __ATOMIC_RELAXED)
    slot.type = kind
    # Release: the keyword is complete before its count says so.
    atomic_store_u64(&slot.cnt, cnt, __ATOMIC_RELEASE)
    return 0


cdef int store_text(char *field, bytes text, int nbytes) except -1:
    """Fill a text field. A text of the full length has no NUL."""
    padded = text.ljust(nbytes, b"\0")
    memcpy(field, <const char *>padded, nbytes)
    return 0
