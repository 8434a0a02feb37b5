cdef class MessageIds:
    cdef str _process
    cdef Py_ssize_t _count
