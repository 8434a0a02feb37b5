cdef class Lane:
    cdef str subject
    cdef readonly tuple receivers
    cdef Py_ssize_t size
    cdef bytes head

    cpdef bytes sized(self, Py_ssize_t size)
