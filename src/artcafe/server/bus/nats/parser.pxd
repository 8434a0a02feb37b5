cdef class Parser:
    cdef public list messages
    cdef readonly set full
    cdef object _said
    cdef list _held
    cdef Py_ssize_t _have
    cdef Py_ssize_t _need
