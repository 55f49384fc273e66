"""Keywords of a stream. Each function raises `KeywordError` or a subclass of it if a keyword is refused."""

from .file cimport StreamFile

# In order, as `Keyword`.
cdef list read_keywords(StreamFile file)
# Replace all of them.
cdef int write_keywords(StreamFile file, object keywords) except -1
# Change one in its place; a comment of None stays.
cdef int update_keyword(StreamFile file, object name, object value, object comment) except -1
