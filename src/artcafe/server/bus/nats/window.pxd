cdef class Window:
    cdef object _call_soon
    cdef object _transport
    cdef object _pongs
    cdef Py_ssize_t _sent
    cdef Py_ssize_t _asked
    cdef Py_ssize_t _confirmed
    cdef Py_ssize_t _most
    cdef list _leaving

    cpdef bint send(self, bytes command, bytes payload=*)
    cpdef ping(self, pong)
    cpdef write(self, bytes command)
    cpdef flush(self)
