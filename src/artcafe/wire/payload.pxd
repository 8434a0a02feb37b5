cimport cython

cdef bint _PLAIN
cdef Py_ssize_t _BLOCK
cdef Py_ssize_t _STEP

@cython.locals(
    view='const unsigned char *', size=Py_ssize_t, most=Py_ssize_t, openers=Py_ssize_t, doubts='unsigned char',
    at=Py_ssize_t, end=Py_ssize_t, here=Py_ssize_t, few='unsigned char',
)
cpdef bint doubtful(bytes text)
@cython.locals(view='const unsigned char *', size=Py_ssize_t, at=Py_ssize_t, numeric=bint, now=bint)
cdef bint _has_long_run(bytes text)
cdef bint _in_number(unsigned char byte) noexcept
@cython.locals(
    view='const unsigned char *', size=Py_ssize_t, deepest=Py_ssize_t, longest=Py_ssize_t, depth=Py_ssize_t,
    at=Py_ssize_t, byte='unsigned char', start=Py_ssize_t, exponent=bint,
)
cpdef fault(bytes text)
cpdef require_readable(bytes text)
