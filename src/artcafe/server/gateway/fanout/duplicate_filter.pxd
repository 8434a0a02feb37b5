cdef class DuplicateFilter:
    cdef readonly dict ids
    cdef Py_ssize_t _most
    cdef Py_ssize_t _count

    cpdef bint is_first(self, name, bint more)
