cdef class MessageIds:
    cdef readonly str process
    cdef Py_ssize_t _count
