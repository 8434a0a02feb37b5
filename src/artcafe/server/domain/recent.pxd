cdef class Recent:
    cdef Py_ssize_t _half
    cdef dict _newer
    cdef dict _older

    cpdef get(self, key)
    cpdef put(self, key, value)
    cpdef clear(self)
