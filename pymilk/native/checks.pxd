"""Checks of arguments, and the errors that a handle raises. All of these are cold: they cost a call or an exception.

`name` is the name of the stream, for messages; "" where there is none.
"""

from libc.stdint cimport int64_t

from ..protocol.layout cimport Header

# Errors to raise.
cdef object closed_error(str name)
cdef object damaged_error(str name)
cdef object on_gpu_error(str name, int location)
cdef object bad_argument(str name, str argument, object found, str wanted)

# Arguments.
cdef object whole_number(object value)
cdef object index_argument(str name, str argument, object value, object below)
cdef int64_t timeout_ns(object timeout, str name) except? -2
cdef int64_t time_argument(str name, object value) except? -1

# Arrays. The caller releases the buffer that `take_buffer` fills.
cdef int take_buffer(object array, Py_buffer *view, bint writable, str name, str what) except -1
cdef object count_frames(object out, Py_buffer *view, const Header *h, tuple shape, str name, str what)
