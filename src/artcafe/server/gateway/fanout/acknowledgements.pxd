cdef class Acknowledgements:
    cdef object _tenant
    cdef object _link
    cdef readonly list _waiting
    cdef bint _flushing

    cpdef later(self, tell)
