cdef class PublishBuffer:
    cdef readonly object items
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t _limit

    cpdef bint put(self, bytes command)
